"""Strips without any valid pixel, whose arithmetic is left out: what it would make is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage

Array = NDArray[Any]


def all_missing(pixels: Array) -> bool:
    """Return whether every one of *pixels* (z, y, x) is NaN; one look at the first tells of most that they are not."""
    return pixels.dtype.kind == "f" and pixels.size > 0 and bool(np.isnan(pixels[0, 0, 0]) and np.isnan(pixels).all())


def of_nothing(
    stages: Sequence[Stage], steps: Mapping[int, Region], volumes: Mapping[int, int]
) -> dict[int, list[Array]] | None:
    """Return what all *stages* make, by their numbers, where each pixel that is read is NaN: nothing but NaN.

    So it is if no border brings in a number, and the formula of each makes NaN of NaN; else None is returned.

    Parameters
    ----------
    steps
        The regions that the stages make.
    volumes
        How many volumes there are of each read, by their numbers.
    """
    counts, made = dict(volumes), dict[int, list[Array]]()
    for number, stage in enumerate(stages):
        each = _of_nan(stage, steps[number])
        if not all(map(all_missing, each)) or not each:
            return None
        counts[number] = len(each) * counts[stage.inputs[0]]
        made[number] = [np.broadcast_to(each[0][0, 0, 0], steps[number].out.shape)] * counts[number]
    return made


def _of_nan(stage: Stage, step: Region) -> Sequence[Array]:
    """Return what a stage makes of one pixel that is NaN, and around which all are; nothing where numbers may be."""
    constant = any(border.rule == "constant" for border in stage.borders) and not stage.domain_in.contains(step.want)
    weighed = all(choice.kernel.absolute_sum for choice in stage.choices)  # NaN under no weight is nothing
    if constant or not weighed or stage.operation.mixes_channels or not all(values.nan for values in stage.padded):
        return ()
    size = [1, 1, 1]
    if stage.reaches and not stage.choices:
        size = [1 + a + b for a, b in zip(stage.halo.before, stage.halo.after, strict=True)]
    pixels = tuple(np.full(size, np.nan, values.dtype) for values in stage.padded)
    sums = [np.full((1, 1, 1), np.nan, choice.sums.accumulate) for choice in stage.choices]
    if stage.operation.gathers:
        parts = ((number, (slice(None),) * 3, one) for number, one in enumerate(sums))
        return stage.operation.gather(parts, (1, 1, 1), stage.choices, stage.values_out)
    return [stage.operation.combine(pixels, sums, stage.choices, stage.values_out)]
