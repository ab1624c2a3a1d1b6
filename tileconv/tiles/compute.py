"""One tile computed: every stage of a pass on the block that holds its pixels and their halo."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of, whole
from tileconv.boxes import SPACE, Box, space
from tileconv.engines.borders import extend
from tileconv.engines.cast import cast, exactly, like_nodata, unify_nan
from tileconv.errors import TileError
from tileconv.planning.folds import along, extent
from tileconv.planning.memory import last_reader
from tileconv.planning.parts import Pass, Write
from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass
from tileconv.tiles.blocks import REPEATED, Block, cut, leads
from tileconv.tiles.idle import of_one, of_one_value
from tileconv.tiles.missing import followed, gathered, held, marked, settled, stage_sums
from tileconv.tiles.rows import by_rows
from tileconv.tiles.strips import strips

Array = NDArray[Any]


@dataclass(frozen=True)
class Counts:
    """What was noticed while a tile was made, in pixels; ``fallbacks`` counts FFT blocks that were summed directly.

    ``like_nodata`` counts valid pixels that are stored as the value that means missing, ``idle`` those that were made
    without arithmetic, because all that they are made from is one value.
    """

    clipped: int = 0
    missing: int = 0
    fallbacks: int = 0
    like_nodata: int = 0
    idle: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, vars(self).values(), vars(other).values()))

    def of_each(self, pixels: int) -> Counts:
        """Return the counts of so many *pixels* that are all like the one of which these are."""
        return Counts(*(count * pixels for count in vars(self).values()))

    def as_json(self) -> dict[str, int]:
        """Return the counts by name; what few outputs have is told where there is any."""
        return {name: count for name, count in vars(self).items() if count or name not in ("like_nodata", "idle")}


def compute_tile(
    pass_: Pass, blocks: Sequence[Block], tile: Box, made: Sequence[Array] = ()
) -> tuple[Sequence[Array], tuple[Counts, ...]]:
    """Run every stage of *pass_* on *blocks*, and return *tile* of all that it writes.

    Parameters
    ----------
    blocks
        Of each array that is read at least ``needed(pass_, tile)``; ``wrap`` positions count on beyond the image.
    tile
        In the coordinates of the run, all axes of the image.
    made
        Contiguous arrays of the outputs' types to write the tile into; new ones by default.

    Returns
    -------
    tuple[Sequence[Array], tuple[Counts, ...]]
        The tile in the type of every write, and what was noticed for each.

    Raises
    ------
    TileError
        If a pixel is missing and the rule is ``error``, or does not fit the output's type and overflow is ``error``.
    """
    made = made or [np.empty(tile.shape, write.info.dtype) for write in pass_.writes]
    counts, out = [Counts() for _ in pass_.writes], space(tile)
    with np.errstate(all="ignore"):  # NaN and infinity are values here, and pass
        for read, into, channels in leads(pass_, blocks, tile, made):
            try:
                noticed = [*_volume(pass_, read, out, into, channels)]
            except TileError as error:
                raise TileError(error.problem, where=f"tile {tile}", why=error.why, fix=error.fix) from error
            counts = [sum(each, one) for one, *each in zip(counts, *noticed, strict=True)]
    return made, tuple(counts)


def make_tile(pass_: Pass, blocks: Sequence[Block], tile: Box) -> tuple[Sequence[Array], tuple[Counts, ...]]:
    """Return what ``compute_tile`` does, perhaps as views: where all is one value a pixel is made, and repeated."""
    if _as_read(pass_, blocks, tile):
        return [blocks[0].pixels] * len(pass_.writes), tuple(Counts() for _ in pass_.writes)
    sides = [1 if axis in SPACE else n for axis, n in zip(tile.axes, tile.shape, strict=True)]
    made = [np.empty(sides, write.info.dtype) for write in pass_.writes]
    counts, out = [Counts() for _ in pass_.writes], space(tile)
    steps = pass_.regions.of(out)
    with np.errstate(all="ignore"), suppress(TileError):  # which ``compute_tile`` raises
        for lead, into, channels in leads(pass_, blocks, tile, made):
            read = cut(pass_, lead, steps)
            if any(one_of(volume) is None for volumes in read.values() for volume in volumes):
                break
            results, missing = marked(pass_, read, steps, out)
            if not (noticed := _idle(pass_, results, steps, out, into, channels)):
                break
            counts = [one + more + Counts(missing=missing) for one, more in zip(counts, noticed, strict=True)]
        else:
            return [np.broadcast_to(array, tile.shape) for array in made], tuple(counts)
    return compute_tile(pass_, blocks, tile)


def _as_read(pass_: Pass, blocks: Sequence[Block], tile: Box) -> bool:
    """Return whether all writes of *tile* are what is read, bit for bit: NaN may be another."""
    if pass_.stages or len(blocks) > 1 or pass_.reads[0].missing is not None or blocks[0].box != tile:
        return False
    dtype = blocks[0].pixels.dtype
    return dtype.kind in "iu" and all(w.info.nodata is None and w.info.dtype == dtype for w in pass_.writes)


def _volume(
    pass_: Pass, blocks: Sequence[Block], out: Box, made: Sequence[Array], channels: slice
) -> Iterator[list[Counts]]:
    """Write the pixels of *out* and its *channels* into *made*, part by part, and yield what was noticed of each."""
    for group in strips(pass_, out, blocks):
        joined = Box(group[0].start, group[-1].stop, SPACE)
        steps, into = pass_.regions.of(joined), [volumes[:, *joined.within(out)] for volumes in made]
        if len(group) > 1 and (rows := by_rows(pass_, 0, steps, cut(pass_, blocks, steps), joined, into)):
            yield [Counts(rows[2][0])]
            continue
        for part in group:
            yield _strip(pass_, blocks, part, [volumes[:, *part.within(joined)] for volumes in into], channels)


def _strip(pass_: Pass, blocks: Sequence[Block], out: Box, made: Sequence[Array], channels: slice) -> list[Counts]:
    """Write the pixels of *out*, part of a tile, and its *channels* into *made*; results are freed once read."""
    steps = pass_.regions.of(out)
    results, missing = marked(pass_, cut(pass_, blocks, steps), steps, out)
    if idle := _idle(pass_, results, steps, out, made, channels):
        return [noticed + Counts(missing=missing) for noticed in idle]
    fallbacks, first = 0, 0 if pass_.all_channels else channels.start
    stored = _store(pass_, results, results, steps, out, made, channels)
    last, number = last_reader(pass_.stages), 0
    while number < len(pass_.stages):
        clipped: Mapping[int, int] = {}
        if rows := by_rows(pass_, number, steps, results, out, made):
            number, volumes, clipped = rows
        else:
            stage, step = pass_.stages[number], steps[number]
            inputs = [
                [extend(volume, steps[i].out, step.have, stage.domain_in, REPEATED) for volume in results[i]]
                for i in stage.inputs
            ]
            results = {i: pixels for i, pixels in results.items() if last.get(i, -1) > number}
            volumes, fell = _run(pass_, number, inputs, step, first)
            if not stage.reaches:  # one value may come of many: clipped glass, colours beside an alpha of 0
                volumes = [*map(settled, volumes)]
            fallbacks += fell
        results = {i: pixels for i, pixels in results.items() if last.get(i, -1) > number} | {number: volumes}
        del volumes  # which the next stage frees once it has read them
        noticed = {at: Counts(n) for at, n in clipped.items()}
        stored |= noticed or _store(pass_, [number], results, steps, out, made, channels)
        number += 1
    return [stored[n] + Counts(missing=missing, fallbacks=fallbacks) for n in range(len(made))]


def _idle(
    pass_: Pass, read: Mapping[int, Sequence[Array]], steps: Mapping[int, Region], out: Box, made: Sequence[Array],
    channels: slice,
) -> list[Counts]:  # fmt: skip
    """Write what comes of volumes that are one value each; return nothing where more may come of them."""
    results = of_one_value(pass_, steps, read, 0 if pass_.all_channels else channels.start)
    if results is None:
        return []
    stored = _store(pass_, results, results, steps, out, made, channels)
    idle = out.size * bool(pass_.stages)
    return [stored[n] + Counts(idle=idle * len(volumes)) for n, volumes in enumerate(made)]


def _store(
    pass_: Pass, numbers: Collection[int], results: Mapping[int, Sequence[Array]], steps: Mapping[int, Region],
    out: Box, made: Sequence[Array], channels: slice,
) -> dict[int, Counts]:  # fmt: skip
    """Write the pixels of *out* of the results *numbers* into their arrays of *made*, and return what was noticed."""
    noticed = {}
    for at, (write, volumes) in enumerate(zip(pass_.writes, made, strict=True)):
        if write.stage in numbers:
            noticed[at], place = Counts(), out.within(steps[write.stage].out)
            stored = results[write.stage][channels] if pass_.all_channels else results[write.stage]
            for result, into in zip(stored, volumes, strict=True):
                noticed[at] += cast_into(result[place], into, write, nan=pass_.values(write.stage).nan)
    return noticed


def cast_into(pixels: Array, into: Array, write: Write, *, nan: bool) -> Counts:
    """Write *pixels*, among which there may be *nan*, into the array *into*, and return what was noticed."""
    nodata, like, one = write.info.nodata, 0, one_of(pixels)
    if one is not None and pixels.size > 1:
        stored = np.empty((1, 1, 1), into.dtype)
        with suppress(TileError):  # which all pixels raise together, with their number
            counts = cast_into(one, stored, write, nan=nan)
            into[...] = stored
            return counts.of_each(pixels.size)
    exact = nodata is None and np.can_cast(pixels.dtype, into.dtype)
    into[...], clipped = (pixels, 0) if exact else cast(pixels, into.dtype, overflow=write.overflow, nodata=nodata)
    if nodata is not None:
        like = like_nodata(pixels, into, nodata, overflow=write.overflow)
    elif into.dtype.kind == "f" and nan:
        unify_nan(into)
    return Counts(clipped, like_nodata=like)


def needed(pass_: Pass, tile: Box) -> tuple[Box, ...]:
    """Return the box that *tile* is made from of every read, all axes; along a ``wrap`` axis it may leave the image."""
    pass_, tile = (pass_.feeder, along(pass_, tile, extent(pass_))) if pass_.folds else (pass_, tile)
    steps = pass_.regions.of(space(tile))
    return tuple(pass_.block(number, tile, steps[-1 - number].out) for number in range(len(pass_.reads)))


def _run(pass_: Pass, number: int, inputs: list[list[Array]], step: Region, first: int) -> tuple[Sequence[Array], int]:
    """Return the volumes of a stage, of channels from *first* on, and FFT fallbacks; lists of *inputs* are emptied."""
    stage = pass_.stages[number]
    if stage.operation.mixes_channels:
        (channels,) = inputs
        if made := of_one(pass_, number, channels, step, first):
            return made, 0
        blocks = [_extended(stage, whole(channels.pop(0)), step) for _ in range(len(channels))]
        return stage.operation.mix(blocks, step.out, stage.domain_out, stage.values_out), 0
    volumes, fallbacks = list[Array](), 0
    for channel in range(first, first + len(inputs[0])):
        each = [channels.pop(0) for channels in inputs]
        if made := of_one(pass_, number, each, step, channel):
            volumes += made
            continue
        each = [*map(whole, each)]
        passed = [extend(each[0], step.have, step.out, stage.domain_in, REPEATED)] if stage.passes(channel) else None
        some, fell = (passed, 0) if passed else _one(stage, each, step)
        volumes += some if stage.channels is None else [exactly(one, stage.values_out.dtype) for one in some]
        fallbacks += fell
    return volumes, fallbacks


def _extended(stage: Stage, pixels: Array, step: Region) -> Array:
    """Return *pixels* in the type of the stage's block, extended at the borders of their image."""
    (pixels,) = followed(stage, [pixels])
    return extend(held(stage, pixels), step.have, step.want, stage.domain_in, stage.borders)


def _one(stage: Stage, inputs: list[Array], step: Region) -> tuple[Sequence[Array], int]:
    """Return what the stage makes of one channel of its *inputs*, a list that is emptied."""
    if not stage.reaches:
        return [stage.operation.combine(tuple(followed(stage, inputs)), [], (), stage.made)], 0
    block = _extended(stage, inputs.pop(), step)
    if stage.operation.gathers:
        return gathered(stage, block, step)
    sums, own, fallbacks = stage_sums(stage, block, step.want, step.out)
    del block
    return [stage.operation.combine((own,), sums, stage.choices, stage.made)], fallbacks
