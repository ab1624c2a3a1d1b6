"""One tile computed: every stage of a pass on the block that holds its pixels and their halo."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of, whole
from tileconv.boxes import SPACE, Box, pieces, space
from tileconv.engines.borders import Border, extend
from tileconv.engines.cast import cast, exactly, like_nodata, unify_nan
from tileconv.errors import TileError
from tileconv.planning.folds import along, extent
from tileconv.planning.memory import last_reader
from tileconv.planning.parts import Pass, Write
from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass
from tileconv.tiles.idle import of_one, of_one_value, parted_along_x
from tileconv.tiles.missing import followed, gathered, held, marked, settled, stage_sums
from tileconv.tiles.rows import by_rows

Array = NDArray[Any]

REPEATED = (Border("wrap"),) * 3
"""How a strip is cut from a block: positions beyond the image occur for ``wrap`` alone, as its repetition."""


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


@dataclass(frozen=True)
class Block:
    """The *pixels* of *box*, all axes of the image: what a tile is made from, of one array."""

    pixels: Array
    box: Box


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
        for read, into, channels in _leads(pass_, blocks, tile, made):
            for strip in _strips(pass_, out, read[0]):
                try:
                    noticed = _strip(pass_, read, strip, [volumes[:, *strip.within(out)] for volumes in into], channels)
                except TileError as error:
                    raise TileError(error.problem, where=f"tile {tile}", why=error.why, fix=error.fix) from error
                counts = [one + more for one, more in zip(counts, noticed, strict=True)]
    return made, tuple(counts)


def make_tile(pass_: Pass, blocks: Sequence[Block], tile: Box) -> tuple[Sequence[Array], tuple[Counts, ...]]:
    """Return what ``compute_tile`` does, perhaps as views: where all is one value a pixel is made, and repeated."""
    sides = [1 if axis in SPACE else n for axis, n in zip(tile.axes, tile.shape, strict=True)]
    made = [np.empty(sides, write.info.dtype) for write in pass_.writes]
    counts, out = [Counts() for _ in pass_.writes], space(tile)
    steps = pass_.regions.of(out)
    with np.errstate(all="ignore"), suppress(TileError):  # which ``compute_tile`` raises
        for lead, into, channels in _leads(pass_, blocks, tile, made):
            read = _cut(pass_, lead, steps)
            if any(one_of(volume) is None for volumes in read.values() for volume in volumes):
                break
            results, missing = marked(pass_, read, steps, out)
            if not (noticed := _idle(pass_, results, steps, out, into, channels)):
                break
            counts = [one + more + Counts(missing=missing) for one, more in zip(counts, noticed, strict=True)]
        else:
            return [np.broadcast_to(array, tile.shape) for array in made], tuple(counts)
    return compute_tile(pass_, blocks, tile)


def _leads(
    pass_: Pass, blocks: Sequence[Block], tile: Box, made: Sequence[Array]
) -> Iterator[tuple[list[Block], list[Array], slice]]:
    """Yield what of *tile* is made one after the other: volumes of *blocks*, and those of *made* for its channels."""
    together = pass_.all_channels
    shown = _channels(tile, 0, together=together)
    sides = (space(Box.of_shape(array.shape, tile.axes)).shape for array in made)
    volumes = [a.reshape(-1, shown.stop - shown.start, *side) for a, side in zip(made, sides, strict=True)]
    boxes = [space(block.box) for block in blocks]
    for number, pixels in enumerate(zip(*(_volumes(block, tile, together=together) for block in blocks), strict=True)):
        channels = _channels(tile, number, together=together)
        yield list(map(Block, pixels, boxes)), [volume[number] for volume in volumes], channels


def _strips(pass_: Pass, out: Box, block: Block) -> Iterator[Box]:
    """Yield the parts of *out* that are made one after another: strips of rows, and of these what looks idle apart."""
    for top, end in pieces(out.start[1], out.stop[1], pass_.strip):
        strip = Box((out.start[0], top, out.start[2]), (out.stop[0], end, out.stop[2]), SPACE)
        yield from parted_along_x(pass_, block.pixels, block.box, strip)


def _channels(tile: Box, number: int, *, together: bool) -> slice:
    """Return which channels are in volume *number* of *tile*: one, or all where they are made *together*."""
    if (at := tile.axes.find("c")) < 0:
        return slice(0, 1)
    first = tile.start[at] + (0 if together else number % tile.shape[at])
    return slice(first, tile.stop[at] if together else first + 1)


def _strip(pass_: Pass, blocks: Sequence[Block], out: Box, made: Sequence[Array], channels: slice) -> list[Counts]:
    """Write the pixels of *out*, part of a tile, and its *channels* into *made*; results are freed once read."""
    steps = pass_.regions.of(out)
    results, missing = marked(pass_, _cut(pass_, blocks, steps), steps, out)
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


def _cut(pass_: Pass, blocks: Sequence[Block], steps: Mapping[int, Region]) -> dict[int, list[Array]]:
    """Return the volumes that each read of *pass_* has in *steps*, by its number; of one value where they are."""
    return {
        -1 - n: [settled(extend(v, block.box, steps[-1 - n].out, read.domain, REPEATED)) for v in block.pixels]
        for n, (read, block) in enumerate(zip(pass_.reads, blocks, strict=True))
    }


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
    into[...], clipped = cast(pixels, into.dtype, overflow=write.overflow, nodata=nodata)
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


def _volumes(block: Block, tile: Box, *, together: bool) -> Iterator[Array]:
    """Yield the volumes (n, z, y, x) of every index along the lead axes of *tile*; of all channels *together*."""
    have, shape = block.box, space(block.box).shape
    count = dict(zip(have.axes, have.shape, strict=True)).get("c", 1) if together else 1
    lead = {a: range(tile.start[i], tile.stop[i]) for i, a in enumerate(tile.axes) if a not in SPACE + "c" * together}
    for index in product(*lead.values()):
        at = dict(zip(lead, index, strict=True))
        place = (at[a] - have.start[i] if a in at else slice(None) for i, a in enumerate(have.axes) if a not in SPACE)
        yield block.pixels[tuple(place)].reshape(count, *shape)


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
