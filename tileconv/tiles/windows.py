"""The halo pushed down into the read: the task of a tile reads its own grown box, and stores what it makes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import SPACE, Box, space, with_space
from tileconv.errors import TileError
from tileconv.planning.parts import Pass
from tileconv.planning.pyramid import tiles_of_levels
from tileconv.quick import dataclass
from tileconv.retry import retrying
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Reads, Source
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import Counts, make_tile, needed
from tileconv.tiles.folds import by_parts

Array = NDArray[Any]
Stored = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""The digests of a tile in every array, and those of the levels over it."""
TOGETHER_PX, LEAST = 2**16, 8
"""The most pixels of tiles that are made as one, and how many such tiles there must be for it to pay."""


@dataclass(frozen=True)
class Receipt:
    """What a worker sends back for a finished tile: no pixels, under 1 KiB.

    Of every array that was written: what was noticed, the digest of what its sink stored, and those of levels that were
    made of the tile.
    """

    tile: Box
    seconds: float
    counts: tuple[Counts, ...]
    digests: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Job:
    """One pass with the recipes of its sources and sinks: all that a worker needs, and no open file."""

    pass_: Pass
    sources: tuple[Source, ...]
    sinks: tuple[ZarrSink, ...]

    @property
    def where(self) -> str:
        """What the pass reads, in words."""
        return " and ".join(source.where for source in self.sources)

    @cached_property
    def reads(self) -> tuple[Reads | None, ...]:
        """What all tiles read of each compressed source, so that it keeps what another tile reads too."""
        sources = enumerate(self.sources)
        return tuple(reads_of(self.pass_, n) if source.info.compressed else None for n, source in sources)

    def run(self, tile: Box) -> Receipt:
        """Read, make and write one tile.

        Raises
        ------
        TileconvError
            If the tile cannot be read, made or written; the message names it.
        """
        keep_freed_memory()
        began = time.perf_counter()
        try:
            made, counts = by_parts(self.pass_, self._block, tile, make=make_tile)
        except TileError as error:
            where = f"{self.where}, {error.where}"
            raise TileError(error.problem, where=where, why=error.why, fix=error.fix) from error
        return self.store(tile, made, counts, began)

    @cached_property
    def together(self) -> int:
        """How many tiles side by side are made as one: tiny ones, where no source counts how often a chunk is read.

        Nor where a stage makes whole blocks of a transform, of which many would be held at once.
        """
        most = TOGETHER_PX // max(1, prod(self.pass_.grid.tile))
        alone = most < LEAST or any(self.reads) or any(stage.whole_blocks for stage in self.pass_.stages)
        return 1 if alone else most

    def run_together(self, tiles: Sequence[Box]) -> list[Receipt]:
        """Do as ``run`` for *tiles* that lie side by side along x; return none if anything was noticed of any.

        Raises
        ------
        TileconvError
            As ``run`` does; by then some of *tiles* may have been written.
        """
        keep_freed_memory()
        began = time.perf_counter()
        whole = Box(tiles[0].start, tiles[-1].stop, tiles[0].axes)
        made, counts = by_parts(self.pass_, self._block, whole, make=make_tile)
        if any(count != Counts() for count in counts):  # whose, nobody knows
            return []
        parts = [[pixels[tile.within(whole)] for tile in tiles] for pixels in made]
        stored = self._store(tiles, parts)
        each_s = (time.perf_counter() - began) / len(tiles)
        return [Receipt(tile, each_s, counts, *written) for tile, written in zip(tiles, stored, strict=True)]

    def _block(self, number: int, box: Box) -> Block:
        return Block(read(self.sources[number], self.pass_.reads[number].domain, box, self.reads[number]), box)

    def needs(self, threads: int) -> int:
        """Return the bytes of a process that makes tiles on so many *threads* at once."""
        return self.pass_.process_bytes + threads * self.pass_.tile_bytes

    def store(self, tile: Box, tiles: Sequence[Array], counts: tuple[Counts, ...], began: float) -> Receipt:
        """Write a finished tile and return its receipt."""
        ((digests, levels),) = self._store([tile], [[pixels] for pixels in tiles])
        return Receipt(tile, time.perf_counter() - began, counts, digests, levels)

    def _store(self, tiles: Sequence[Box], pixels: Sequence[Sequence[Array]]) -> Iterator[Stored]:
        """Write *pixels*, of every array those of all *tiles*, and return what a receipt says of each tile."""
        shift = [-a for a in self.pass_.image.start]
        places = [tile.shift(shift) for tile in tiles] if any(shift) else tiles
        digests, levels = [], []
        for sink, parts, count in zip(self.sinks, pixels, self._levels, strict=True):
            placed = [*zip(places, parts, strict=True)]
            digests.append(sink.at(0).writer.write_each(placed))
            levels.append([write_levels(sink, part, place, count) for place, part in placed])
        return zip(zip(*digests, strict=True), zip(*levels, strict=True), strict=True)

    @cached_property
    def _levels(self) -> list[int]:
        """Return how many levels of every array are made of its tiles."""
        levels = (tiles_of_levels(write.levels, self.pass_.grid) for write in self.pass_.writes)
        return [sum(tiles.within for tiles in of) for of in levels]


def write_levels(sink: ZarrSink, pixels: Array, place: Box, count: int) -> tuple[str, ...]:
    """Write the first *count* levels over *place*, of which *pixels* are the full size, and return their digests."""
    digests = []
    for number, level in enumerate(sink.layout.levels[:count], start=1):
        ends = zip(place.start, place.stop, level.shrink.factor, strict=True)
        bounds = [(a // f, -(-b // f)) for a, b, f in ends]
        place = Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), place.axes)
        pixels = level.shrink.make(pixels, place, level.info.nodata)
        digests.append(sink.at(number).writer.write(place, pixels))
    return tuple(digests)


def reads_of(pass_: Pass, number: int = 0) -> Reads:
    """Return all the boxes that the tiles of *pass_* read of source *number*, in the source's coordinates."""
    pass_ = pass_.feeder if pass_.folds else pass_
    grid, along, of = pass_.grid, [], pass_.reads[number]
    lows = with_space(of.source.box, of.domain).start
    for at, low in enumerate(lows):
        i = pass_.image.axes.index(of.source.axes[at])
        boxes = (
            needed(pass_, grid.box([k * (i == j) for j in range(len(grid.tile))]))[number]
            for k in range(grid.counts[i])
        )
        bounds = [_pieces(box.start[at], box.stop[at], low, of.source.shape[at]) for box in boxes]
        along.append([(a + shift - low, b + shift - low) for pieces in bounds for a, b, shift in pieces])
    starts, stops = (tuple(tuple(sorted(ends[n] for ends in axis)) for axis in along) for n in (0, 1))
    return Reads(starts, stops, pass_.cache_bytes)


def read(source: Source, domain: Box, box: Box, reads: Reads | None = None) -> Array:
    """Return the pixels of *box*, all axes, of *source*, which holds *domain*; beyond it those of its repetition."""
    ask = source.read if reads is None else partial(source.read, reads=reads)
    inner = space(box)
    shift = [domain.start[i] if i >= 0 else 0 for i in map(SPACE.find, box.axes)]
    if domain.contains(inner):
        return retrying(partial(ask, box.shift([-s for s in shift]) if any(shift) else box))
    out = np.empty(box.shape, source.info.as_read)
    along = [_pieces(inner.start[a], inner.stop[a], domain.start[a], domain.shape[a]) for a in range(3)]
    for piece in product(*along):
        part = Box(tuple(p[0] for p in piece), tuple(p[1] for p in piece))
        real = part.shift([p[2] for p in piece])
        target = with_space(box, part).within(box)
        stored = with_space(box, real).shift([-s for s in shift])
        out[target] = retrying(partial(ask, stored))
    return out


def _pieces(start: int, stop: int, low: int, size: int) -> list[tuple[int, int, int]]:
    """Return pieces of ``start`` to ``stop`` that each lie in one repetition, with the shift into the image."""
    pieces = []
    while start < stop:
        repetition = (start - low) // size
        end = min(stop, low + (repetition + 1) * size)
        pieces.append((start, end, -repetition * size))
        start = end
    return pieces
