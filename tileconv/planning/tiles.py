"""The tile: as large as pays and as small as fits. All sums over tiles come from a few numbers per axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from tileconv.boxes import SPACE, Box, Interval, pieces
from tileconv.images import ImageInfo
from tileconv.planning.memory import TileSizes
from tileconv.planning.model import Pass
from tileconv.planning.regions import spans
from tileconv.planning.shared import chunk_sums, shared_px
from tileconv.planning.stages import Stage

READ_NS, DECODE_NS, TILE_NS = 0.7, 4.0, 2e6
"""Copying a pixel out of the page cache, decoding a compressed one, and what a tile costs whatever its size."""
STRIP_PX = 2**19
"""Pixels made at once: fewer leave the processor to Python, more leave the L2 cache (measured: docs/performance.md)."""


@dataclass(frozen=True)
class AxisSums:
    """Along one axis: the longest span of any tile, and the sum over all tiles, per stage and at the read."""

    tiles: int
    length: int
    longest_read: int
    read: int
    decoded: int
    reads: tuple[Interval, ...]
    longest: tuple[tuple[int, int, int], ...]
    computed: tuple[int, ...]


@dataclass(frozen=True)
class Tiling:
    """One tile size with what follows from it; ``shared_bytes`` of decoded chunks wait for other tiles at most."""

    tile: tuple[int, ...]
    strip: int
    sizes: TileSizes
    tiles: int
    shared_bytes: int
    read_amplification: float
    ns_per_pixel: float


def axis_sums(
    stages: Sequence[Stage], axis: int, extent: Interval, tile: int, strip: int, image: int, chunk: int
) -> AxisSums:
    """Return the sums along spatial *axis*: outputs *extent* cut every *tile*, read from *image* pixels in *chunk*.

    A tile is read at once and made in pieces of *strip*.
    """
    tiles = pieces(*extent, tile)
    low = stages[0].domain_in.start[axis] if stages else 0
    wanted = [spans(stages, axis, *t)[0].have for t in tiles] if stages else tiles
    reads = [(a - low, b - low) for a, b in wanted]
    rows = [spans(stages, axis, *part) for t in tiles for part in pieces(*t, strip)]
    halos = [s.halo.before[axis] + s.halo.after[axis] for s in stages]
    return AxisSums(
        tiles=len(tiles),
        length=extent[1] - extent[0],
        longest_read=max(_length(r) for r in reads),
        read=sum(_length(r) for r in reads),
        decoded=sum(min(-(-b // chunk) * chunk, image) - max(a // chunk * chunk, 0) for a, b in reads),
        reads=tuple(reads),
        longest=tuple(
            (
                max(_length(r[i].have) for r in rows),
                max(_length(r[i].want) for r in rows),
                max(_length(r[i].out) for r in rows),
            )
            for i in range(len(stages))
        ),
        computed=tuple(sum(max(0, _length(r[i].want) - h) for r in rows) for i, h in enumerate(halos)),
    )


def _length(interval: Interval) -> int:
    return interval[1] - interval[0]


def strip_rows(stages: Sequence[Stage], rows: int, row_px: int) -> int:
    """Return how many of a tile's *rows* are made at once, a row being *row_px* pixels.

    A few at a time keep what passes between stages in the cache and in memory that is used again; enough of them keep
    the rows that are made twice a small share. The FFT wants whole blocks: a tile with one is made at once.
    """
    if not stages or any(c.engine == "fft" for s in stages for c in s.choices):
        return rows
    halo = sum(s.halo.before[1] + s.halo.after[1] for s in stages)
    return min(rows, max(STRIP_PX // row_px, 8 * halo, 16))


def tiling(
    stages: Sequence[Stage], source: ImageInfo, image: Box, tile: Sequence[int], workers: int = 1, cache: int = 0
) -> Tiling:
    """Return what *tile* (one size per axis of *image*) costs in memory, reads and time.

    *workers* threads share a cache of *cache* bytes for decoded chunks; nothing is decoded twice where that is enough.
    """
    along, lead = [], 1
    sides = [min(tile[image.axes.index(a)], image.shape[image.axes.index(a)]) if a in image.axes else 1 for a in SPACE]
    strip = strip_rows(stages, sides[1], sides[0] * sides[2])
    for axis, name in enumerate(SPACE):
        if name not in image.axes:
            along.append(axis_sums(stages, axis, (0, 1), 1, 1, 1, 1))
            continue
        at = image.axes.index(name)
        extent = image.start[at], image.stop[at]
        part = strip if name == "y" else tile[at]
        along.append(axis_sums(stages, axis, extent, tile[at], part, source.shape[at], source.chunks[at]))
    leads, decoded_leads, chunks = 1, 1.0, []
    for at, name in enumerate(image.axes):
        reads: Sequence[Interval] = pieces(0, image.shape[at], tile[at])
        if name in SPACE:
            reads = along[SPACE.index(name)].reads
        else:
            lead *= tile[at]
            leads *= image.shape[at]
            decoded_leads *= max(1.0, source.chunks[at] / tile[at])
        chunks.append(chunk_sums(reads, source.shape[at], source.chunks[at], workers))
    px = math.prod(s.length for s in along)
    read = math.prod(s.read for s in along)
    decoded = math.prod(s.decoded for s in along) * decoded_leads
    shared = shared_px(chunks, workers) * source.dtype.itemsize * source.compressed
    if shared <= cache:
        decoded = min(decoded, math.prod(_space(source)))
    ns = sum(stage.ns_per_pixel * math.prod(s.computed[i] for s in along) for i, stage in enumerate(stages)) / px
    ns += READ_NS * read / px + (DECODE_NS * decoded / px if source.compressed else 0.0)
    ns += TILE_NS * math.prod(s.tiles for s in along) / (px * lead)
    sizes = TileSizes(
        lead,
        math.prod(s.longest_read for s in along),
        math.prod(sides),
        sides[0] * strip * sides[2],
        *(tuple(math.prod(s.longest[i][k] for s in along) for i in range(len(stages))) for k in range(3)),
    )
    count = math.prod(-(-n // t) for n, t in zip(image.shape, tile, strict=True))
    amplification = (decoded if source.compressed else read) / max(1, math.prod(_space(source)))
    return Tiling(tuple(tile), strip, sizes, count, shared, amplification, ns)


def _space(source: ImageInfo) -> list[int]:
    return [n for n, a in zip(source.shape, source.axes, strict=True) if a in SPACE]


def candidates(pass_: Pass) -> list[tuple[int, ...]]:
    """Return tile sizes worth weighing, whole numbers of files: near squares, and bands as wide as the image."""
    stages, source, image, units = pass_.stages, pass_.source, pass_.image, pass_.unit
    deep = any(s.halo.before[0] + s.halo.after[0] for s in stages)
    whole = [-(-n // c) for n, c in zip(image.shape, units, strict=True)]
    options: list[list[int]] = []
    for at, name in enumerate(image.axes):
        if name == "c":
            options.append([min(whole[at], -(-source.chunks[at] // units[at]))])
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
