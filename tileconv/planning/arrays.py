"""Passes over an array that is in memory already, or that Dask chunked: no budget to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from tileconv.boxes import SPACE, TileGrid
from tileconv.engines.cost import shipped_costs
from tileconv.engines.values import Precision
from tileconv.images import ImageInfo
from tileconv.planning.folds import part_of
from tileconv.planning.layout import lay_out
from tileconv.planning.parts import Missing, Pass
from tileconv.planning.tiles import strip_of
from tileconv.spec.model import OutputSpec, StageSpec
from tileconv.stores.location import Location

BAND_PX = 2**21
"""Pixels of a tile of an array in memory: enough to keep overheads small, few enough to share among processors."""


def array_passes(
    specs: Sequence[StageSpec],
    source: ImageInfo,
    *,
    precision: Precision = "auto",
    missing: Missing | None = None,
    dtype: str = "auto",
    nodata: float | None = None,
    tile: Sequence[int] | None = None,
) -> list[Pass]:
    """Return the passes that *specs* need on an array like *source*, on every machine the same.

    Parameters
    ----------
    nodata
        The value of the result that NaN becomes.
    tile
        Pixels per tile along the image's last axes; by default bands of about ``BAND_PX`` pixels.

    Raises
    ------
    PlanError
        As ``make_stages`` says.
    """
    output = OutputSpec(Location(""), cast("Any", dtype), nodata=nodata, pyramid="none", stage=len(specs) - 1)
    passes = lay_out(specs, [output], source, shipped_costs(), missing=missing, precision=precision)[1]
    return [_tiled(pass_, tile) for pass_ in passes]


def _tiled(pass_: Pass, asked: Sequence[int] | None) -> Pass:
    image, whole = pass_.image, "c" if pass_.all_channels else ""
    channels = dict(zip(image.axes, image.shape, strict=True)).get(whole, 1)
    shape = tuple(1 if a == whole else n for a, n in zip(image.axes, image.shape, strict=True))
    sizes = _band(shape, BAND_PX // channels) if asked is None else (1,) * (len(shape) - len(asked)) + tuple(asked)
    rows = min(sizes[-2], shape[-2]) if len(shape) > 1 else 1
    depth = sizes[-3] if image.axes[-3:] == "zyx" else 1
    strip = strip_of(pass_, (min(depth, shape[0]), rows, min(sizes[-1], shape[-1])))
    tile = tuple(channels if a == whole else n for a, n in zip(image.axes, sizes, strict=True))
    if pass_.folds:
        sides = dict(zip(image.axes, part_of(pass_, tile), strict=True))
        strip = strip_of(pass_.feeder, [sides.get(axis, 1) for axis in SPACE])
    return replace(pass_, grid=TileGrid(image, tile), strip=strip)


def _band(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return the longest tile of whole rows that has about *most* pixels."""
    sizes = []
    for axis, size in enumerate(shape):
        sizes.append(max(1, min(size, most // math.prod(shape[axis + 1 :]))))
    return tuple(sizes)
