"""Strips whose pixels are all one value, or all missing: what stages make of them is made of one, and repeated.

Glass, background and what lies outside a mask are such. The value is the engine's own, of the smallest block of that
constant; where an engine would not make one value of it, nothing is left out (docs/decisions/037-background.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of
from tileconv.boxes import SPACE, Box
from tileconv.engines.cast import exactly
from tileconv.engines.sums import kernel_sums
from tileconv.errors import TileError
from tileconv.planning.parts import Pass
from tileconv.planning.regions import Region, Regions
from tileconv.planning.stages import Stage
from tileconv.tiles.missing import followed, held

Array = NDArray[Any]

ONE = Box((0, 0, 0), (1, 1, 1), SPACE)
"""One pixel, as an image of its own."""
WIDE = 256
"""Pixels along x that are worth a part of their own: a halo beside them is made twice."""
MOST_KNOWN = 256
"""Values of which is kept what the stages of a pass make of them."""
_KNOWN: WeakKeyDictionary[Regions, dict[Any, Sequence[Array]]] = WeakKeyDictionary()


def of_one_value(
    pass_: Pass, steps: Mapping[int, Region], read: Mapping[int, Sequence[Array]], first: int
) -> dict[int, Sequence[Array]] | None:
    """Return what all stages of *pass_* make, by their numbers, where each volume that is read is one pixel, repeated.

    None where a volume is not, or something else than one value may come of it.

    Parameters
    ----------
    steps
        The regions that the stages make.
    read
        The volumes of each read by their numbers, as ``settled`` returns them, of channels from *first* on.
    """
    made = dict(read)
    if any(one_of(volume) is None for volumes in read.values() for volume in volumes):
        return None
    for number, stage in enumerate(pass_.stages):
        inputs = [made[i] for i in stage.inputs]
        each = inputs if stage.operation.mixes_channels else zip(*inputs, strict=True)
        volumes = [of_one(pass_, number, of, steps[number], first + n) for n, of in enumerate(each)]
        if not all(volumes):
            return None
        made[number] = [one for some in volumes for one in some]
    return made


def of_one(pass_: Pass, number: int, inputs: Sequence[Array], step: Region, channel: int) -> Sequence[Array]:
    """Return what the stage *number* of *pass_* makes of a *channel* of its *inputs*, each one pixel, repeated.

    Nothing where one is not, or something else than one value may come of them. Where the stage mixes channels *inputs*
    are these. What was made last is kept: strips of one glass are many.
    """
    ones, stage = [one_of(volume) for volume in inputs], pass_.stages[number]
    if any(one is None for one in ones):
        return ()
    passes, inside = stage.passes(channel), stage.domain_in.contains(step.want)
    key = number, passes, inside, tuple(one.tobytes() for one in ones if one is not None)
    known = _KNOWN.setdefault(pass_.regions, {})
    made = known.get(key)
    if made is None:
        try:
            made = _made(stage, [one for one in ones if one is not None], passes=passes, inside=inside)
        except TileError:  # which whoever makes all pixels raises, and tells how many they are
            made = ()
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[key] = made
    return [np.broadcast_to(one, step.out.shape) for one in made]


def _made(stage: Stage, pixels: Sequence[Array], *, passes: bool, inside: bool) -> Sequence[Array]:
    """Return what a *stage* that *passes* them on or not makes of *pixels*, one of each input; see ``_of_one``."""
    volumes = pixels[:1] if passes else _of_one(stage, pixels, inside=inside)
    return volumes if stage.channels is None else [exactly(one, stage.values_out.dtype) for one in volumes]


def _of_one(stage: Stage, inputs: Sequence[Array], *, inside: bool) -> Sequence[Array]:
    """Return what a stage makes of one pixel each of *inputs*, around which all are like it; nothing if more may be.

    *inside* says whether the block lies in its image.
    """
    operation = stage.operation
    if operation.mixes_channels:
        if stage.reaches:  # by products of matrices, whose rounding depends on the place
            return ()
        blocks = [held(stage, pixel) for one in inputs for pixel in followed(stage, [one])]
        return operation.mix(blocks, ONE, stage.domain_out, stage.values_out)
    pixels = followed(stage, list(inputs))
    if not stage.reaches:
        return [operation.combine(tuple(pixels), [], (), stage.made)]
    pixel = held(stage, pixels[0])
    if not (inside or _same_border(stage, pixel)):
        return ()
    if not stage.choices:
        block = np.full([1 + a + b for a, b in zip(stage.halo.before, stage.halo.after, strict=True)], pixel)
        return [operation.combine((block,), [], (), stage.made)]
    if not all(choice.by.levels(choice, pixel) for choice in stage.choices):
        return ()
    sums = [_sum(stage, number, pixel) for number in range(len(stage.choices))]
    if operation.gathers:
        parts = ((number, (slice(None),) * 3, one) for number, one in enumerate(sums))
        return operation.gather(parts, (1, 1, 1), stage.choices, stage.made)
    return [operation.combine((pixel,), sums, stage.choices, stage.made)]


def _sum(stage: Stage, number: int, pixel: Array) -> Array:
    choice = stage.choices[number]
    if stage.coverage and np.isnan(pixel).any():  # no weight is on a valid pixel
        return np.full((1, 1, 1), np.nan, choice.sums.accumulate)
    have = ONE.grow(choice.halo)
    return kernel_sums(choice, np.full(have.shape, pixel), have, ONE, ONE, stage.operation.sum_offset)[0]


def _same_border(stage: Stage, pixel: Array) -> bool:
    """Return whether no border brings another value than *pixel* into the block of *stage*."""
    values = [border.value for border in stage.borders if border.rule == "constant"]
    return all(np.full((1, 1, 1), value, pixel.dtype).tobytes() == pixel.tobytes() for value in values)


def parted_along_x(pass_: Pass, block: Array, have: Box, strip: Box) -> list[Box]:
    """Return *strip* in parts along x: those that look idle apart from the others, by one row of what is read.

    *block* are the volumes of the one array that is read, of *have*. Where nothing looks idle, or the pass makes whole
    blocks or takes steps, the strip is one part.
    """
    stages = pass_.stages
    steps = any(s.whole_blocks or s.stride != (1, 1, 1) for s in stages)
    if steps or not stages or len(pass_.reads) > 1 or strip.shape[2] <= WIDE:
        return [strip]
    seen = pass_.regions.of(strip)[-1].out
    row = block[0, 0, (seen.start[1] + seen.stop[1]) // 2 - have.start[1]]
    bits = row["valid"] if row.dtype.names else row.view(f"u{row.itemsize}")
    if not may_rest(bits):
        return [strip]
    edges = np.concatenate(([0], np.flatnonzero(bits[1:] != bits[:-1]) + 1, [bits.size]))
    ends = [strip.start[2]]
    for at in np.flatnonzero(np.diff(edges) > WIDE):
        a, b = edges[at : at + 2].tolist()
        if not (row.dtype.names and bits[a]):
            start, stop = _within(pass_, have.start[2] + a, have.start[2] + b, strip)
            if stop - start > WIDE and start >= ends[-1]:
                ends += [start, stop]
    bounds = pairwise(dict.fromkeys([*ends, strip.stop[2]]))
    return [Box((*strip.start[:2], a), (*strip.stop[:2], b), SPACE) for a, b in bounds]


def may_rest(bits: Array) -> bool:
    """Return whether *bits* may have more than ``WIDE`` alike side by side: two of them would be looked at."""
    some = bits[..., :: WIDE // 2]
    return bool((some[..., 1:] == some[..., :-1]).any())


def _within(pass_: Pass, low: int, high: int, strip: Box) -> tuple[int, int]:
    """Return the pixels along x of *strip* that are made from those from *low* to *high* alone."""
    start, stop = max(low, strip.start[2]), min(high, strip.stop[2])
    if start >= stop:
        return start, start
    first, last = pass_.regions.spans(2, start, stop)[-1].out
    return start + max(0, low - first), stop - max(0, last - high)
