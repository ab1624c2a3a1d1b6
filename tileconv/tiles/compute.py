"""One tile computed: every stage of a pass on the block that holds its pixels and their halo."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of
from tileconv.boxes import SPACE, Box, pieces, space
from tileconv.engines.borders import Border, extend
from tileconv.engines.cast import cast, exactly, like_nodata, unify_nan
from tileconv.engines.sums import each_sum
from tileconv.errors import TileError
from tileconv.images import equal, parted
from tileconv.planning.memory import last_reader
from tileconv.planning.parts import Missing, Pass, Read, Write
from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage
from tileconv.tiles.idle import of_one_value, parted_along_x, settled
from tileconv.tiles.missing import followed, held, stage_sums

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
    counts = [Counts() for _ in pass_.writes]
    if tile.size == 0:
        return made, tuple(counts)
    out, together = space(tile), pass_.all_channels
    shown = _channels(tile, 0, together=together)
    volumes = [array.reshape(-1, shown.stop - shown.start, *out.shape) for array in made]
    read = zip(*(_volumes(block, tile, together=together) for block in blocks), strict=True)
    boxes = [space(block.box) for block in blocks]
    with np.errstate(all="ignore"):  # NaN and infinity are values here, and pass
        for number, pixels in enumerate(read):
            channels = _channels(tile, number, together=together)
            for strip in _strips(pass_, out, pixels[0], boxes[0]):
                into = [volume[number][:, *strip.within(out)] for volume in volumes]
                try:
                    noticed = _strip(pass_, list(map(Block, pixels, boxes)), strip, into, channels)
                except TileError as error:
                    raise TileError(error.problem, where=f"tile {tile}", why=error.why, fix=error.fix) from error
                counts = [one + more for one, more in zip(counts, noticed, strict=True)]
    return made, tuple(counts)


def _strips(pass_: Pass, out: Box, block: Array, have: Box) -> Iterator[Box]:
    """Yield the parts of *out* that are made one after another: strips of rows, and of these what looks idle apart."""
    for top, end in pieces(out.start[1], out.stop[1], pass_.strip):
        strip = Box((out.start[0], top, out.start[2]), (out.stop[0], end, out.stop[2]), SPACE)
        yield from parted_along_x(pass_, block, have, strip)


def _channels(tile: Box, number: int, *, together: bool) -> slice:
    """Return which channels are in volume *number* of *tile*: one, or all where they are made *together*."""
    if (at := tile.axes.find("c")) < 0:
        return slice(0, 1)
    first = tile.start[at] + (0 if together else number % tile.shape[at])
    return slice(first, tile.stop[at] if together else first + 1)


def _strip(pass_: Pass, blocks: Sequence[Block], out: Box, made: Sequence[Array], channels: slice) -> list[Counts]:
    """Write the pixels of *out*, part of a tile, and its *channels* into *made*; results are freed once read."""
    steps = pass_.regions.of(out)
    results: dict[int, Sequence[Array]] = {}
    missing = fallbacks = 0
    for number, (read, block) in enumerate(zip(pass_.reads, blocks, strict=True)):
        box = steps[-1 - number].out
        pixels: Sequence[Array] = [settled(extend(v, block.box, box, read.domain, REPEATED)) for v in block.pixels]
        if read.missing:
            image, ours = (pass_.regions.seen(-1 - number, b) for b in (pass_.whole, out))
            owned = _owned(read, image, ours)
            if pass_.partial and read.missing.rule == "error":  # no other tile refuses what lies in the halo
                owned = read.domain
            pixels, absent = zip(*(_mark(read, read.missing, volume, box, owned) for volume in pixels), strict=True)
            missing += sum(absent)
            pixels = [settled(volume) for volume in pixels]
        results[-1 - number] = pixels
    stored = _store(pass_, [-1 - n for n in range(len(blocks))], results, steps, out, made, channels)
    idle = of_one_value(pass_, steps, results) if pass_.stages else None
    if idle is not None:
        stored |= _store(pass_, range(len(pass_.stages)), idle, steps, out, made, channels)
        return [stored[n] + Counts(missing=missing, idle=volumes.size) for n, volumes in enumerate(made)]
    results = {n: [v if one_of(v) is None else np.array(v) for v in volumes] for n, volumes in results.items()}
    last = last_reader(pass_.stages)
    for number, stage in enumerate(pass_.stages):
        step = steps[number]
        inputs = [
            [extend(volume, steps[i].out, step.have, stage.domain_in, REPEATED) for volume in results[i]]
            for i in stage.inputs
        ]
        results = {i: pixels for i, pixels in results.items() if last.get(i, -1) > number}
        results[number], fell = _run(stage, inputs, step, 0 if pass_.all_channels else channels.start)
        fallbacks += fell
        stored |= _store(pass_, [number], results, steps, out, made, channels)
    return [stored[n] + Counts(missing=missing, fallbacks=fallbacks) for n in range(len(made))]


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
                noticed[at] += _stored(result[place], into, write, nan=pass_.values(write.stage).nan)
    return noticed


def _stored(pixels: Array, into: Array, write: Write, *, nan: bool) -> Counts:
    """Write *pixels*, among which there may be *nan*, into the array *into*, and return what was noticed."""
    nodata, like, one = write.info.nodata, 0, one_of(pixels)
    if one is not None and into.size > 1:
        stored = np.empty((1, 1, 1), into.dtype)
        with suppress(TileError):  # which all pixels raise together, with their number
            counts = _stored(one, stored, write, nan=nan)
            into[...] = stored
            return counts.of_each(into.size)
    into[...], clipped = cast(pixels, into.dtype, overflow=write.overflow, nodata=nodata)
    if nodata is not None:
        like = like_nodata(pixels, into, nodata, overflow=write.overflow)
    elif into.dtype.kind == "f" and nan:
        unify_nan(into)
    return Counts(clipped, like_nodata=like)


def needed(pass_: Pass, tile: Box) -> tuple[Box, ...]:
    """Return the box that *tile* is made from of every read, all axes; along a ``wrap`` axis it may leave the image."""
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


def _mark(read: Read, missing: Missing, pixels: Array, have: Box, owned: Box) -> tuple[Array, int]:
    """Return *pixels* in the block's type, those *missing* as the rule says, and how many of them *owned* holds.

    One pixel that is repeated stays so.
    """
    dtype, shape, one = read.block.dtype, pixels.shape, one_of(pixels)
    if pixels.dtype.names and pixels.size and not pixels["valid"].any():
        one = pixels[:1, :1, :1]
    pixels, valid = parted(pixels if one is None else one)
    absent = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    if valid is not None:
        absent |= ~valid
    if missing.nodata is not None:
        absent |= equal(pixels, missing.nodata)
    inside = have.intersect(owned)  # may be empty: a tile may lie wholly beyond the image
    if one is None:
        count = int(absent[inside.within(have)].sum()) if inside.size else 0
    else:
        count = inside.size * int(absent[0, 0, 0])
    if count and missing.rule == "error":
        raise TileError(
            f"{count:,} missing pixels under missing: {{rule: error}}",
            fix="Choose rule propagate or fill, or repair the input.",
        )
    made = exactly(pixels, dtype, besides=absent) if read.exact else pixels.astype(dtype)
    if absent.any() and missing.rule != "error":  # in the halo, where another tile refuses it
        made = np.where(absent, dtype.type(missing.value if missing.rule == "fill" else np.nan), made)
    return made if one is None else np.broadcast_to(made[0, 0, 0], shape), count


def _owned(read: Read, image: Box, tile: Box) -> Box:
    """Return *tile* grown to the image's ends where it is an outer one: ``valid`` reads pixels that no tile has."""
    domain = read.domain
    ends = zip(tile.start, tile.stop, image.start, image.stop, domain.start, domain.stop, strict=True)
    bounds = [(min(a, d) if a == i else a, max(b, e) if b == j else b) for a, b, i, j, d, e in ends]
    grown = Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), tile.axes)
    return grown.intersect(domain)  # beyond it ``wrap`` repeats pixels of other tiles


def _run(stage: Stage, inputs: list[list[Array]], step: Region, first: int) -> tuple[Sequence[Array], int]:
    """Return the stage's volumes, of channels from *first* on, and FFT fallbacks; the lists of *inputs* are emptied."""
    if stage.operation.mixes_channels:
        (channels,) = inputs
        blocks = [_extended(stage, channels.pop(0), step) for _ in range(len(channels))]
        return stage.operation.mix(blocks, step.out, stage.domain_out, stage.values_out), 0
    made, fallbacks = list[Array](), 0
    for channel in range(first, first + len(inputs[0])):
        each = [channels.pop(0) for channels in inputs]
        passed = [extend(each[0], step.have, step.out, stage.domain_in, REPEATED)] if stage.passes(channel) else None
        volumes, fell = (passed, 0) if passed else _one(stage, each, step)
        made += volumes if stage.channels is None else [exactly(one, stage.values_out.dtype) for one in volumes]
        fallbacks += fell
    return made, fallbacks


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
        return _gathered(stage, block, step)
    sums, own, fallbacks = stage_sums(stage, block, step.want, step.out)
    del block
    return [stage.operation.combine((own,), sums, stage.choices, stage.made)], fallbacks


def _gathered(stage: Stage, block: Array, step: Region) -> tuple[Sequence[Array], int]:
    """Return what the stage makes of its sums, which it takes part by part."""
    fallbacks = []

    def parts() -> Iterator[tuple[int, tuple[slice, ...], Array]]:
        for number, part, sums, fell in each_sum(stage.choices, block, step.want, step.out, stage.domain_out):
            fallbacks.append(fell)
            yield number, part.within(step.out), sums

    return stage.operation.gather(parts(), step.out.shape, stage.choices, stage.made), sum(fallbacks)
