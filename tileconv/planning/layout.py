"""Stages to passes over one image: shapes, coordinates and pixel types, with tiles still to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tileconv.boxes import SPACE, Box, TileGrid
from tileconv.engines.cost import Costs
from tileconv.engines.values import FLOAT32, FLOAT64, Dtype, Precision, Values, beside, block_dtype
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.chunks import Asked, chunks_of
from tileconv.planning.model import Missing, Pass
from tileconv.planning.passes import split
from tileconv.planning.stages import Stage, make_stages
from tileconv.spec.model import StageSpec


def lay_out(
    specs: Sequence[StageSpec],
    source: ImageInfo,
    costs: Costs,
    *,
    missing: Missing | None,
    precision: Precision,
    dtype: str,
    chunks: Mapping[str, int] | None = None,
    shards: Asked = None,
    overflow: str = "clip",
) -> list[Pass]:
    """Return the passes of *specs* on an image like *source*, each as one tile.

    Parameters
    ----------
    costs
        What engines are chosen by.
    dtype
        As ``output.dtype`` in a spec.
    chunks
        Pixels per chunk of what is written, along some axes; the others are left to ``chunks_of``.
    shards
        As ``output.shards`` in a spec; chunks are parts of them.

    Raises
    ------
    PlanError
        As ``make_stages`` says, and if the output's type cannot hold what the pipeline makes.
    """
    domain = Box.of_shape([source.shape[source.axes.index(a)] if a in source.axes else 1 for a in SPACE])
    exact = precision == "auto" and all(spec.operation.keeps_whole for spec in specs)
    block = block_values(source.dtype, missing, precision, exact=exact)
    stages = make_stages(specs, domain, block, precision, costs)
    filled = missing is not None and missing.rule == "fill"
    if filled and block.dtype == FLOAT32 and any(stage.values_out.dtype == FLOAT64 for stage in stages):
        block = block_values(source.dtype, missing, "float64", exact=exact)  # not as float32 rounds the fill value
        stages = make_stages(specs, domain, block, precision, costs)
    groups = split(stages)
    passes: list[Pass] = []
    for number, (stages, why) in enumerate(groups):
        values = stages[-1].values_out if stages else block
        kind = values.dtype
        if number == len(groups) - 1:
            kind = output_dtype(dtype, source.dtype, values, computed=bool(specs))
            _refuse_what_cannot_fit(kind, values, source.dtype, missing, overflow)
        before = passes[-1].info if passes else source
        info = _written(before, stages, kind)
        info = replace(info, chunks=chunks_of(info, chunks or {}, shards))
        image = _image_box(info, stages)
        moved = zip(source.origin, image.start, source.scale, strict=True)
        origin = tuple(at + pixels * size for at, pixels, size in moved)
        info = replace(info, origin=origin, georeference=source.georeference.moved(*(0, *image.start)[-2:]))
        passes.append(
            Pass(
                stages=stages,
                why=why,
                source=before,
                domain=stages[0].domain_in if stages else domain,
                info=info,
                image=image,
                block=stages[0].values_in if passes else block,
                grid=TileGrid(image, image.shape),
                strip=image.shape[-2] if len(image.shape) > 1 else 1,
                missing=None if passes else missing,
                overflow=overflow,
                exact=exact and not passes,
            )
        )
    return passes


def block_values(dtype: Dtype, missing: Missing | None, precision: Precision, *, exact: bool = False) -> Values:
    """Return what the pixels of a block are like once missing ones are dealt with.

    With *exact* uint64 pixels beside a negative one are held in int64, and larger ones refused when they are met.
    """
    values = Values.of(dtype)
    if missing is None or missing.rule == "error" or (values.whole and missing.nodata is None):
        return values
    working = block_dtype(dtype, precision)
    if missing.rule == "propagate":
        return Values(working, whole=False, low=values.low, high=values.high, nan=True) if values.whole else values
    value = missing.value or 0.0
    return values if values.hold(value) else beside(values, value, working=working, exact=exact)


def output_dtype(asked: str, source: Dtype, values: Values, *, computed: bool) -> Dtype:
    """Return the output's pixel type for what the spec asks.

    ``auto`` loses nothing: float64 and uint64 stay, whole numbers become int32 or int64 by their range, all else
    float32; an image that no stage touched keeps its type.
    """
    if asked == "input":
        return source
    if asked != "auto":
        return np.dtype(asked)
    if values.whole and computed and values.dtype != np.uint64:
        return np.dtype(np.int32 if values.low >= -(2.0**31) and values.high < 2.0**31 else np.int64)
    return values.dtype


def _refuse_what_cannot_fit(
    dtype: Dtype, values: Values, source: Dtype, missing: Missing | None, overflow: str
) -> None:
    """Refuse an integer type for NaN, and one that no pixel fits under overflow: error, as a tile would later."""
    if dtype.kind == "f":
        return
    if missing and missing.rule == "propagate" and (missing.nodata is not None or source.kind == "f"):
        raise PlanError(
            f"missing pixels become NaN under rule propagate, and {dtype} has no NaN",
            where="output.dtype",
            fix="Choose output.dtype: float32, or missing: {rule: fill, value: 0}.",
        )
    limits = np.iinfo(dtype)
    if overflow == "error" and (values.low > limits.max + 1 or values.high < limits.min - 1):
        raise PlanError(
            f"pixels lie between {values.low:g} and {values.high:g}, outside {dtype} from {limits.min} to {limits.max}",
            where="output.dtype",
            fix="Choose a wider output.dtype, or a rescale stage, or output.overflow: clip, which counts them.",
        )


def _written(source: ImageInfo, stages: Sequence[Stage], dtype: Dtype) -> ImageInfo:
    """Return what a pass of *stages* writes: the source's axes and pixel size with its own shape and type."""
    shape = list(source.shape)
    for axis, name in enumerate(SPACE):
        if stages and name in source.axes:
            shape[source.axes.index(name)] = stages[-1].domain_out.shape[axis]
    written = replace(source, shape=tuple(shape), dtype=dtype, compressed=True)
    return replace(written, nodata=None, masks=(), notes=(), inverted=False)


def _image_box(info: ImageInfo, stages: Sequence[Stage]) -> Box:
    """Return the output's box in the coordinates of the run: the last stage's along z, y and x."""
    start = [0] * len(info.shape)
    for axis, name in enumerate(SPACE):
        if stages and name in info.axes:
            start[info.axes.index(name)] = stages[-1].domain_out.start[axis]
    return Box(tuple(start), tuple(a + n for a, n in zip(start, info.shape, strict=True)), info.axes)
