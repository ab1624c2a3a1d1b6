"""Strips whose pixels are all one value, or all missing: what stages make of them is made of one, and repeated.

Glass, background and what lies outside a mask are such. The value is the engine's own, of the smallest block of that
constant; where an engine would not make one value of it, nothing is left out (docs/decisions/037-background.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of, repeated
from tileconv.boxes import SPACE, Box
from tileconv.engines.sums import kernel_sums
from tileconv.errors import TileError
from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage
from tileconv.tiles.missing import followed, held

Array = NDArray[Any]

ONE = Box((0, 0, 0), (1, 1, 1), SPACE)
"""One pixel, as an image of its own."""


def settled(pixels: Array) -> Array:
    """Return *pixels* (z, y, x), where they are one value or all NaN as one that is repeated."""
    made = repeated(pixels)
    if one_of(made) is None and all_missing(pixels):
        return np.broadcast_to(np.full(1, np.nan, pixels.dtype), pixels.shape)
    return made


def all_missing(pixels: Array) -> bool:
    """Return whether every one of *pixels* (z, y, x) is NaN; one look at the first tells of most that they are not."""
    return pixels.dtype.kind == "f" and pixels.size > 0 and bool(np.isnan(pixels[0, 0, 0]) and np.isnan(pixels).all())


def of_one_value(
    stages: Sequence[Stage], steps: Mapping[int, Region], read: Mapping[int, Sequence[Array]]
) -> dict[int, list[Array]] | None:
    """Return what all *stages* make, by their numbers, where all volumes that are read are one pixel, repeated.

    None where a volume is not, or something else than one value may come of it.

    Parameters
    ----------
    steps
        The regions that the stages make.
    read
        The volumes of each read by their numbers, as ``settled`` returns them.
    """
    made: dict[int, list[Array]] = {}
    for number, volumes in read.items():
        ones = [one for volume in volumes if (one := one_of(volume)) is not None]
        if len(ones) < len(volumes):
            return None
        made[number] = ones
    try:
        for number, stage in enumerate(stages):
            channels = zip(*(made[i] for i in stage.inputs), strict=True)
            each = [_of_one(stage, steps[number], inputs) for inputs in channels]
            if not all(each):
                return None
            made[number] = [one for volumes in each for one in volumes]
    except TileError:  # which whoever makes all pixels raises, and tells how many they are
        return None
    return {n: [np.broadcast_to(one, steps[n].out.shape) for one in made[n]] for n in range(len(stages))}


def _of_one(stage: Stage, step: Region, inputs: Sequence[Array]) -> Sequence[Array]:
    """Return what a stage makes of one pixel each of *inputs*, around which all are like it; nothing if more may be."""
    operation = stage.operation
    if operation.mixes_channels:
        return ()
    pixels = followed(stage, list(inputs))
    if not stage.reaches:
        return [operation.combine(tuple(pixels), [], (), stage.values_out)]
    pixel = held(stage, pixels[0])
    if not _same_border(stage, step, pixel):
        return ()
    if not stage.choices:
        block = np.full([1 + a + b for a, b in zip(stage.halo.before, stage.halo.after, strict=True)], pixel)
        return [operation.combine((block,), [], (), stage.values_out)]
    if not all(choice.by.levels(choice, pixel) for choice in stage.choices):
        return ()
    sums = [_sum(stage, number, pixel) for number in range(len(stage.choices))]
    if operation.gathers:
        parts = ((number, (slice(None),) * 3, one) for number, one in enumerate(sums))
        return operation.gather(parts, (1, 1, 1), stage.choices, stage.values_out)
    return [operation.combine((pixel,), sums, stage.choices, stage.values_out)]


def _sum(stage: Stage, number: int, pixel: Array) -> Array:
    choice = stage.choices[number]
    if stage.coverage and np.isnan(pixel).any():  # no weight is on a valid pixel
        return np.full((1, 1, 1), np.nan, choice.sums.accumulate)
    have = ONE.grow(choice.halo)
    return kernel_sums(choice, np.full(have.shape, pixel), have, ONE, ONE, stage.operation.sum_offset)[0]


def _same_border(stage: Stage, step: Region, pixel: Array) -> bool:
    """Return whether no border brings another value than *pixel* into the block of *stage*."""
    values = [border.value for border in stage.borders if border.rule == "constant"]
    inside = stage.domain_in.contains(step.want)
    return inside or all(np.full((1, 1, 1), value, pixel.dtype).tobytes() == pixel.tobytes() for value in values)
