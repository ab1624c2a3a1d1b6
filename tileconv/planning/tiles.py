"""The tile: as large as pays and as small as fits. All sums over tiles come from a few numbers per axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from tileconv.boxes import SPACE, Interval, pieces
from tileconv.images import ImageInfo
from tileconv.planning.folds import part_of
from tileconv.planning.memory import TileSizes
from tileconv.planning.parts import Pass, Read
from tileconv.planning.regions import outputs
from tileconv.planning.shared import chunk_sums, shared_px
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass

READ_NS, DECODE_NS, WRITE_NS, TILE_NS = 0.7, 4.0, 1.0, 1e6
"""Copying a pixel out of the page cache, decoding a compressed one, encoding and writing a byte of the result, and what
a tile costs whatever its size."""
STRIP_PX = 2**19
"""Pixels made at once: fewer leave the processor to Python, more leave the L2 cache (measured: docs/performance.md)."""


@dataclass(frozen=True)
class ReadSums:
    """Along one axis, of one array that is read: the longest read of any tile, all together, and what is decoded."""

    longest: int
    read: int
    decoded: int
    reads: tuple[Interval, ...]


@dataclass(frozen=True)
class AxisSums:
    """Along one axis: the longest spans of any tile by the numbers of stages and reads, and sums over all tiles.

    ``computed`` are the pixels of each stage, ``reads`` the sums of each array that is read.
    """

    tiles: int
    length: int
    reads: tuple[ReadSums, ...]
    longest: Mapping[int, tuple[int, int, int]]
    computed: tuple[int, ...]


@dataclass(frozen=True)
class Tiling:
    """One tile size with what follows from it.

    ``shared_bytes`` of decoded chunks wait for other tiles at most. ``width`` is how far rows of stored chunks reach
    beyond a tile, and how wide it is: of less, less is read in vain, and less is cut into rows.
    """

    tile: tuple[int, ...]
    strip: int
    sizes: TileSizes
    tiles: int
    shared_bytes: int
    read_amplification: float
    ns_per_pixel: float
    width: tuple[int, int]


def axis_sums(pass_: Pass, axis: int, tile: int, strip: int) -> AxisSums:
    """Return the sums along spatial *axis* of *pass_* cut every *tile*: one is read at once, made *strip* by *strip*.

    An axis that the image does not have is one pixel long.
    """
    at = pass_.image.axes.find(SPACE[axis])
    extent = (pass_.image.start[at], pass_.image.stop[at]) if at >= 0 else (0, 1)
    tiles, regions = pieces(*extent, tile), pass_.regions
    whole = regions.alike(axis, tiles)
    rows = regions.alike(axis, [part for t in tiles for part in pieces(*t, strip)])
    return AxisSums(
        tiles=len(tiles),
        length=extent[1] - extent[0],
        reads=tuple(
            _read_sums(read, axis, sorted(_moved(spans[-1 - n].out, by) for spans, moves in whole for by in moves))
            for n, read in enumerate(pass_.reads)
        ),
        longest={
            n: (
                max(_length(r[n].have) for r, _ in rows),
                max(_length(r[n].want) for r, _ in rows),
                max(_length(r[n].out) for r, _ in rows),
            )
            for n in rows[0][0]
        },
        computed=tuple(
            sum(len(moves) * outputs(stage, axis, spans[i].want) for spans, moves in rows)
            for i, stage in enumerate(pass_.stages)
        ),
    )


def _moved(interval: Interval, by: int) -> Interval:
    return interval[0] + by, interval[1] + by


def _read_sums(read: Read, axis: int, wanted: Sequence[Interval]) -> ReadSums:
    """Return the sums of *read* along spatial *axis*."""
    at = read.source.axes.find(SPACE[axis])
    image, chunk = (read.source.shape[at], read.source.chunks[at]) if at >= 0 else (1, 1)
    reads = [(a - read.domain.start[axis], b - read.domain.start[axis]) for a, b in wanted]
    return ReadSums(
        longest=max(map(_length, reads)),
        read=sum(map(_length, reads)),
        decoded=sum(min(-(-b // chunk) * chunk, image) - max(a // chunk * chunk, 0) for a, b in reads),
        reads=tuple(reads),
    )


def _length(interval: Interval) -> int:
    return interval[1] - interval[0]


def strip_rows(stages: Sequence[Stage], rows: int, row_px: int) -> int:
    """Return how many of a tile's *rows* are made at once, a row being *row_px* pixels.

    A few at a time keep what passes between stages in the cache and in memory that is used again; enough of them keep
    the rows that are made twice a small share; more where layers make a row cost a thousand times more. The FFT wants
    whole blocks: a tile with one is made at once.
    """
    if not stages or any(s.whole_blocks for s in stages):
        return rows
    halo = sum(s.halo.before[1] + s.halo.after[1] for s in stages)
    least = 16 if any(s.operation.mixes_channels for s in stages) else 8
    return min(rows, max(STRIP_PX // row_px, least * halo, 16))


def strip_of(pass_: Pass, sides: Sequence[int]) -> int:
    """Return the ``strip_rows`` of a tile of *sides* (z, y, x); where it holds all channels there are fewer."""
    volumes = max(map(pass_.volumes, (*range(-len(pass_.reads), len(pass_.stages)),)))
    return strip_rows(pass_.stages, sides[1], sides[0] * sides[2] * volumes)


Sums = Callable[[int, int, int], AxisSums]
"""``axis_sums`` of one pass, which remember those that several of its tiles have."""


def tiling(pass_: Pass, tile: Sequence[int], sums: Sums, workers: int = 1, cache: int = 0) -> Tiling:
    """Return what *tile* (one size per axis of the image) costs *pass_* in memory, reads and time.

    *sums* are the pass's own. *workers* threads share a cache of *cache* bytes for decoded chunks; nothing is decoded
    twice where that is enough.
    """
    stages, image = pass_.stages, pass_.image
    sides = [min(tile[image.axes.index(a)], image.shape[image.axes.index(a)]) if a in image.axes else 1 for a in SPACE]
    strip = strip_of(pass_, sides)
    along = []
    for axis, name in enumerate(SPACE):
        side = tile[image.axes.index(name)] if name in image.axes else 1
        along.append(sums(axis, side, strip if name == "y" and name in image.axes else side))
    given = [pass_.sides(n, tile) for n in range(len(pass_.reads))]
    volumes = {n: pass_.volumes(n) for n in along[0].longest}
    px = math.prod(s.length for s in along)
    shares = [_shared_bytes(read, n, along, given[n], workers) for n, read in enumerate(pass_.reads)]
    ns = fetched = 0.0
    for i, stage in enumerate(stages):
        ns += stage.ns_per_pixel * volumes[stage.inputs[0]] * math.prod(s.computed[i] for s in along) / px
    for n, read in enumerate(pass_.reads):
        copied = math.prod(s.reads[n].read for s in along)
        decoded = math.prod(s.reads[n].decoded for s in along) * _decoded_leads(read.source, given[n])
        if sum(shares) <= cache:
            decoded = min(decoded, math.prod(_space(read.source)))
        each = READ_NS * copied / px + (DECODE_NS * decoded / px if read.source.compressed else 0.0)
        ns += each * volumes[-1 - n]
        fetched += decoded if read.source.compressed else copied
    ns = ns / volumes[pass_.stored[0]] + WRITE_NS * sum(write.info.dtype.itemsize for write in pass_.writes)
    ns += TILE_NS * math.prod(s.tiles for s in along) / (px * planes(image.axes, tile))
    sizes = TileSizes(
        tuple(
            planes(read.source.axes, given[n]) * math.prod(s.reads[n].longest for s in along)
            for n, read in enumerate(pass_.reads)
        ),
        planes(image.axes, tile) * math.prod(sides),
        sides[0] * strip * sides[2],
        tuple(math.prod(s.longest[n][1] for s in along) for n in range(len(stages))),
        {n: math.prod(s.longest[n][2] for s in along) for n in along[0].longest},
        volumes,
    )
    count = math.prod(-(-n // t) for n, t in zip(image.shape, tile, strict=True))
    amplification = fetched / max(1, sum(math.prod(_space(read.source)) for read in pass_.reads))
    width = max(max(0, read.source.chunks[-1] - tile[-1]) for read in pass_.reads), tile[-1]
    return Tiling(tuple(tile), strip, sizes, count, sum(shares), amplification, ns, width)


def folding(pass_: Pass, tile: Sequence[int], sums: Sums, workers: int = 1, cache: int = 0) -> Tiling:
    """Return what ``tiling`` does of a pass that projects an axis; *sums* are those of its feeder.

    The sizes are those of the largest part; the time is that of all of them.
    """
    feeder = pass_.feeder
    part = tiling(feeder, part_of(pass_, tile), sums, workers, cache)
    whole = feeder.image.shape[feeder.image.axes.index(pass_.folds)]
    sides = [whole if axis == pass_.folds else side for axis, side in zip(pass_.image.axes, tile, strict=True)]
    all_ = tiling(feeder, sides, sums, workers, cache)
    ns = whole * all_.ns_per_pixel + sum(pass_.stages[number].ns_per_pixel for number in pass_.stored)
    return replace(part, tile=tuple(tile), tiles=all_.tiles, ns_per_pixel=ns)


def planes(axes: str, sides: Sequence[int]) -> int:
    """Return how many planes or volumes (t, c) there are in *sides*, one per axis."""
    return math.prod(side for axis, side in zip(axes, sides, strict=True) if axis not in SPACE)


def _decoded_leads(source: ImageInfo, tile: Sequence[int]) -> float:
    """Return how often a chunk is decoded because it holds more planes or volumes than a tile."""
    sides = zip(source.axes, source.chunks, tile, strict=True)
    return math.prod(max(1.0, chunk / side) for axis, chunk, side in sides if axis not in SPACE)


def _shared_bytes(read: Read, number: int, along: Sequence[AxisSums], tile: Sequence[int], workers: int) -> int:
    """Return the most bytes of decoded chunks of *read*, the array of that *number*, that wait for another tile."""
    source, chunks = read.source, []
    for at, name in enumerate(source.axes):
        reads: Sequence[Interval] = pieces(0, source.shape[at], tile[at])
        if name in SPACE:
            reads = along[SPACE.index(name)].reads[number].reads
        chunks.append(chunk_sums(reads, source.shape[at], source.chunks[at], workers))
    return shared_px(chunks, workers) * source.dtype.itemsize * source.compressed


def _space(source: ImageInfo) -> list[int]:
    return [n for n, a in zip(source.shape, source.axes, strict=True) if a in SPACE]


def candidates(pass_: Pass) -> list[tuple[int, ...]]:
    """Return tile sizes worth weighing, whole numbers of files: near squares, and bands as wide as the image."""
    stages, image, units = pass_.stages, pass_.image, pass_.unit
    deep = any(s.halo.before[0] + s.halo.after[0] for s in stages)
    whole = [-(-n // c) for n, c in zip(image.shape, units, strict=True)]
    options: list[list[int]] = []
    for at, name in enumerate(image.axes):
        if name == "c" and pass_.all_channels:
            options.append([whole[at]])
        elif name == "c":
            stored = max(dict(zip(r.source.axes, r.source.chunks, strict=True)).get(name, 1) for r in pass_.reads)
            options.append([min(whole[at], -(-stored // units[at]))])
        elif name == "t" or (name == "z" and not deep):
            options.append([1])
        else:
            options.append(sorted({min(n, whole[at]) for n in (1, 2, 3, 4, 6, 8, 12, 16)} | {whole[at]}))
    tiles = []
    for counts in product(*options):
        sides = [n * units[at] for at, n in enumerate(counts) if image.axes[at] in "yx" and n < whole[at]]
        if not sides or max(sides) <= 2 * min(sides):
            tiles.append(tuple(n * c for n, c in zip(counts, units, strict=True)))
    return tiles
