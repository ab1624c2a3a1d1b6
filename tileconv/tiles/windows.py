"""The halo pushed down into the read: the task of a tile reads its own grown box, and stores what it makes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import Box, space, with_space
from tileconv.errors import TileError
from tileconv.planning.model import Pass
from tileconv.retry import retrying
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Reads, Source
from tileconv.tiles.compute import Counts, compute_tile, needed

Array = NDArray[Any]


@dataclass(frozen=True)
class Receipt:
    """What a worker sends back for a finished tile: no pixels, under 1 KiB; ``digest`` is of what the sink stored."""

    tile: Box
    seconds: float
    counts: Counts
    digest: str = ""


@dataclass(frozen=True)
class Job:
    """One pass with the recipes of its source and sink: all that a worker needs, and no open file."""

    pass_: Pass
    source: Source
    sink: ZarrSink

    @cached_property
    def reads(self) -> Reads | None:
        """What all tiles read of a compressed source, so that it keeps what another tile reads too."""
        return reads_of(self.pass_) if self.source.info.compressed else None

    def run(self, tile: Box) -> Receipt:
        """Read, make and write one tile.

        Raises
        ------
        TileconvError
            If the tile cannot be read, made or written; the message names it.
        """
        keep_freed_memory()
        began = time.perf_counter()
        box = needed(self.pass_, tile)
        try:
            made, counts = compute_tile(self.pass_, read(self.source, self.pass_, box, self.reads), box, tile)
        except TileError as error:
            where = f"{self.source.where}, {error.where}"
            raise TileError(error.problem, where=where, why=error.why, fix=error.fix) from error
        return self.store(tile, made, counts, began)

    def store(self, tile: Box, made: Array, counts: Counts, began: float) -> Receipt:
        """Write a finished tile and return its receipt."""
        digest = self.sink.writer.write(tile.shift([-a for a in self.pass_.image.start]), made)
        return Receipt(tile, time.perf_counter() - began, counts, digest)


def reads_of(pass_: Pass) -> Reads:
    """Return all the boxes that the tiles of *pass_* read of its source, in the source's coordinates."""
    grid, along = pass_.grid, []
    lows = with_space(Box((0,) * len(grid.tile), (0,) * len(grid.tile), pass_.image.axes), pass_.domain).start
    for i, low in enumerate(lows):
        boxes = (needed(pass_, grid.box([k * (i == j) for j in range(len(lows))])) for k in range(grid.counts[i]))
        bounds = [_pieces(box.start[i], box.stop[i], low, pass_.source.shape[i]) for box in boxes]
        along.append([(a + shift - low, b + shift - low) for pieces in bounds for a, b, shift in pieces])
    starts, stops = (tuple(tuple(sorted(ends[n] for ends in axis)) for axis in along) for n in (0, 1))
    return Reads(starts, stops, pass_.cache_bytes)


def read(source: Source, pass_: Pass, box: Box, reads: Reads | None = None) -> Array:
    """Return the pixels of *box*, positions beyond the image taken from its repetition (for ``wrap``), all axes."""
    ask = source.read if reads is None else partial(source.read, reads=reads)
    inner, domain = space(box), pass_.domain
    inside = domain.contains(inner)
    shift = with_space(Box((0,) * len(box.axes), (0,) * len(box.axes), box.axes), Box(domain.start, domain.start)).start
    if inside:
        return retrying(lambda: ask(box.shift([-s for s in shift])))
    out = np.empty(box.shape, source.info.dtype)
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
