"""Passes over an array that is in memory already, or that Dask chunked: no tile to choose, no budget to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tileconv.boxes import Box, TileGrid
from tileconv.engines.values import Precision
from tileconv.images import ImageInfo
from tileconv.planning.build import block_values, image_box, output_info
from tileconv.planning.model import Missing, Pass, output_dtype
from tileconv.planning.passes import split
from tileconv.planning.stages import SPACE, make_stages
from tileconv.planning.tiles import strip_rows
from tileconv.spec.model import StageSpec

BAND_PX = 2**21
"""Pixels of a tile of an array in memory: enough to keep overheads small, few enough to share among processors."""


def array_passes(
    specs: Sequence[StageSpec],
    source: ImageInfo,
    *,
    precision: Precision = "auto",
    missing: Missing | None = None,
    dtype: str = "auto",
    tile: Sequence[int] | None = None,
) -> tuple[Pass, ...]:
    """Return the passes that *specs* need on an array like *source*.

    Parameters
    ----------
    tile
        Pixels per tile along the image's last axes; by default bands of about ``BAND_PX`` pixels.

    Raises
    ------
    PlanError
        As ``make_stages`` says.
    """
    block = block_values(source.dtype, missing, precision)
    sizes = [source.shape[source.axes.index(a)] if a in source.axes else 1 for a in SPACE]
    stages = make_stages(specs, Box.of_shape(sizes), block, precision)
    passes: list[Pass] = []
    groups = split(stages)
    for group, why in groups:
        values = group[-1].values_out
        last = len(passes) == len(groups) - 1
        kind = output_dtype(dtype, source.dtype, values, computed=True) if last else values.dtype
        before = passes[-1].info if passes else source
        info = output_info(before, group, kind, {})
        image = image_box(info, group)
        sides = _tile(image.shape, tile)
        rows = min(sides[-2], image.shape[-2]) if len(sides) > 1 else 1
        passes.append(
            Pass(
                stages=group,
                why=why,
                source=before,
                domain=group[0].domain_in,
                info=info,
                image=image,
                block=group[0].values_in,
                grid=TileGrid(image, sides),
                strip=strip_rows(group, rows, math.prod(sides[-3:]) // rows),
                missing=None if passes else missing,
            )
        )
    return tuple(passes)


def _tile(shape: tuple[int, ...], asked: Sequence[int] | None) -> tuple[int, ...]:
    if asked is not None:
        lead = len(shape) - len(asked)
        return (1,) * lead + tuple(asked)
    sizes = list(shape)
    for i in range(len(sizes)):
        rest = 1
        for n in sizes[i + 1 :]:
            rest *= n
        sizes[i] = max(1, min(sizes[i], BAND_PX // max(1, rest)))
        if sizes[i] > 1:
            break
    return tuple(max(1, n) for n in sizes)
