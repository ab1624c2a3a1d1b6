"""Levels of a pyramid that are made of what is stored of the level below."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.operations.shrink import Shrink
from tileconv.quick import dataclass
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source
from tileconv.tiles.compute import Counts
from tileconv.tiles.windows import Receipt


class Below(Protocol):
    """The level below, whose pixels are read: what a run has written, or any source."""

    @property
    def info(self) -> ImageInfo:
        """What is stored."""

    @property
    def where(self) -> str:
        """What is read, in words."""

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*."""


@dataclass(frozen=True)
class Stored:
    """One level as *sink* wrote it: chunks are read as they were encoded, without Zarr."""

    sink: ZarrSink

    @property
    def info(self) -> ImageInfo:
        """What is stored."""
        return self.sink.layout.info

    @property
    def where(self) -> str:
        """The folder below which it lies."""
        return self.sink.written

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*; SinkError if a chunk is missing or damaged."""
        info = self.info
        pixels, grid = np.empty(box.shape, info.dtype), TileGrid(info.box, info.chunks)
        first = tuple(a // c * c for a, c in zip(box.start, info.chunks, strict=True))
        for part in TileGrid(Box(first, box.stop, box.axes), info.chunks):
            chunk = grid.box([a // c for a, c in zip(part.start, info.chunks, strict=True)])
            wanted = chunk.intersect(box)
            pixels[wanted.within(box)] = self.sink.writer.read(chunk)[wanted.within(chunk)]
        return pixels


@dataclass(frozen=True)
class LevelJob:
    """A level, which *sink* alone is for, in the tiles of *grid*, made of the level *below*; of ``array`` of the plan.

    A process takes so many bytes in any case, and so many for a tile.
    """

    below: Below
    shrink: Shrink
    sink: ZarrSink
    grid: TileGrid
    array: int = 0
    process_bytes: int = 0
    tile_bytes: int = 0
    sources: tuple[Source, ...] = ()
    together: ClassVar[int] = 1

    @property
    def level(self) -> int:
        """Its number."""
        return self.sink.layout.level

    @property
    def sinks(self) -> tuple[ZarrSink, ...]:
        """Where it is written."""
        return (self.sink,)

    @property
    def where(self) -> str:
        """What is read, in words."""
        return self.below.where

    def needs(self, threads: int) -> int:
        """Return the bytes of a process that makes tiles on so many *threads* at once."""
        return self.process_bytes + threads * self.tile_bytes

    def run(self, tile: Box) -> Receipt:
        """Read, make and write one tile of the level.

        Raises
        ------
        TileconvError
            If a chunk of the level below is missing or damaged, or the file system refuses.
        """
        keep_freed_memory()
        began = time.perf_counter()
        info = self.below.info
        pixels = self.shrink.make(self.below.read(self.shrink.needed(tile, info.shape)), tile, info.nodata)
        digest = self.sink.writer.write(tile, pixels)
        return Receipt(tile, time.perf_counter() - began, (Counts(),), (digest,))
