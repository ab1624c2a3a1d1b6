"""Parts of a plan as plain JSON values."""

from __future__ import annotations

from typing import Any

from tileconv.boxes import SPACE
from tileconv.images import ImageInfo
from tileconv.planning.encoding import by_field, encoded
from tileconv.planning.parts import Pass
from tileconv.planning.stages import Stage


def image_json(info: ImageInfo) -> dict[str, Any]:
    """Return what is worth knowing of an image."""
    return {
        "shape": info.shape,
        "axes": info.axes,
        "dtype": str(info.dtype),
        "chunks": info.chunks,
        "nodata": encoded(info.nodata),
        **({} if info.mask is None else {"mask": {"path": info.mask.where, "inverted": info.mask.inverted}}),
        "bytes": info.nbytes,
        "scale": info.scale,
        "origin": info.origin,
        "units": info.units,
        **({"transform": info.georeference.transform} if info.georeference.transform else {}),
    }


def stage_json(stage: Stage) -> dict[str, Any]:
    """Return what was decided about a stage."""
    return {
        "name": stage.name,
        "halo_px": {a: [stage.halo.before[i], stage.halo.after[i]] for i, a in enumerate(SPACE)},
        "border": {a: str(b) for a, b in zip(SPACE, stage.borders, strict=True)},
        "dtype": str(stage.values_out.dtype),
        "channels": stage.channels_out,
        **({} if stage.channels is None else {"acts_on": stage.channels}),
        "error_bound": stage.error_bound,
        "expected_error": stage.expected_error,
        "error_unit": stage.error_unit,
        "ns_per_pixel": stage.ns_per_pixel,
        "kernels": [
            {
                "shape": c.kernel.shape,
                "engine": c.engine,
                "why": c.why,
                "sums": c.sums.why,
                "candidates": [
                    {
                        "engine": k.engine,
                        "ns_per_pixel": k.ns_per_pixel if not k.refused else None,
                        "refused": k.refused,
                    }
                    for k in c.candidates
                ],
            }
            for c in stage.choices
        ],
        **_missing(stage),
    }


def _missing(stage: Stage) -> dict[str, Any]:
    """Return what the stage does about missing pixels; nothing where NaN makes NaN."""
    if stage.missing is None:
        return {}
    sums = [
        {"engine": c.choice.engine, "ns_per_pixel": c.choice.chosen.ns_per_pixel, "whole": c.whole, "least": c.least}
        for c in stage.coverage
    ]
    return {"missing": by_field(stage.missing), "coverage": sums}


def pass_json(pass_: Pass) -> dict[str, Any]:
    """Return what was decided about a pass."""
    names = {number: stage.name for number, stage in enumerate(pass_.stages)}
    return {
        "why": pass_.why,
        "reads": [read.array for read in pass_.reads],
        "writes": [{"array": write.array, "stage": names.get(write.stage)} for write in pass_.writes],
        "stages": [stage_json(s) for s in pass_.stages],
        "tile": dict(zip(pass_.image.axes, pass_.grid.tile, strict=True)),
        **({"parts": {pass_.folds: pass_.part}} if pass_.folds else {}),
        "strip_rows": pass_.strip,
        "why_tile": pass_.why_tile,
        "tiles": len(pass_.grid),
        "halo_method": pass_.method,
        "why_halo_method": pass_.why_method,
        "read_amplification": pass_.read_amplification,
        "ns_per_pixel": pass_.ns_per_pixel,
        "tile_bytes": {part.name: part.count for part in pass_.memory if part.count},
        "process_bytes": pass_.process_bytes,
        "cache_bytes": pass_.cache_bytes,
    }
