"""A pyramid as one TIFF: OME-TIFF with levels below each plane, or one image with its levels behind it, as COG.

Tiles of small levels lie before those of large ones, and all of them behind the front (``front.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid, number_of
from tileconv.formats.encode import Encoding
from tileconv.formats.front import Directory, Value, longs, rational, shorts
from tileconv.formats.stream import in_order
from tileconv.formats.tiled import Tiled, written
from tileconv.images import ImageInfo
from tileconv.planning.files import block_of
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.sources.source import Source

_METERS = {"micrometer": 1e-6, "nanometer": 1e-9, "millimeter": 1e-3, "centimeter": 1e-2, "meter": 1.0}
_CM, _METERS_OF_CM = 3, 1e-2
Stored = list[tuple[int, int, bytes]]
"""Encoded tiles by directory and number."""


@dataclass(frozen=True)
class Tiff:
    """A file of *levels*, the largest first, whose tiles are encoded by *encoding* and have *tile* pixels a side.

    Attributes
    ----------
    below
        Whether every plane has a directory, with those of its levels below it; else one directory holds all channels
        of a level, one behind the other.
    first, every
        Further tags of the first directory, and of all that are or hold a level.
    """

    levels: Sequence[ImageInfo]
    encoding: Encoding
    tile: int
    below: bool
    first: Mapping[int, Value]
    every: Mapping[int, Value]

    @cached_property
    def planes(self) -> TileGrid:
        """The directories of one level, as boxes of it: of the first, for all are cut alike along t, c and z."""
        info = self.levels[0]
        sides = {"t": 1, "z": 1, "c": self.encoding.samples} if self.below else {}
        return TileGrid(info.box, tuple(sides.get(a, n) for a, n in zip(info.axes, info.shape, strict=True)))

    @property
    def bands(self) -> int:
        """Channels of one directory."""
        info = self.levels[0]
        return self.encoding.samples if self.below else dict(zip(info.axes, info.shape, strict=True)).get("c", 1)

    def tiles(self, level: int) -> TileGrid:
        """Return the tiles of *level*, in the order of their directory."""
        info = self.levels[level]
        sides = {"y": self.tile, "x": self.tile, "c": self.encoding.samples}
        return TileGrid(info.box, tuple(sides.get(axis, 1) for axis in info.axes))

    @property
    def directories(self) -> list[Directory]:
        """Return all directories in their order."""
        each = len(self.planes)
        levels = [Directory(self._tags(n), len(self.tiles(n)) // each) for n in range(len(self.levels))]
        top = levels[0]
        planes = [Directory(top.tags, top.tiles, tuple(levels[1:]))] * each if self.below else levels
        return [Directory({**planes[0].tags, **self.first}, planes[0].tiles, planes[0].below), *planes[1:]]

    def _tags(self, level: int) -> dict[int, Value]:
        height, width = self.levels[level].shape[-2:]
        tags = {254: longs(int(level > 0)), 256: longs(width), 257: longs(height)}
        tags |= {322: shorts(self.tile), 323: shorts(self.tile), **self.encoding.tags(self.bands), **self.every}
        return tags | (_resolution(self.levels[0]) if level == 0 else {})

    def place(self, level: int, tile: Box) -> tuple[int, int]:
        """Return the directory of a tile of *level*, counted as ``front.flat`` does, and its number there."""
        each, number = len(self.planes), number_of(self.tiles(level), tile)
        plane, inner = divmod(number, len(self.tiles(level)) // each)
        return (plane * len(self.levels) + level if self.below else level), inner

    @property
    def most_bytes(self) -> int:
        """The bytes that its tiles may come to; a codec may make noise longer."""
        pixels = sum(len(self.tiles(n)) for n in range(len(self.levels))) * self.tile**2
        return pixels * self.encoding.samples * self.encoding.dtype.itemsize * (1 + (self.encoding.codec != "none"))

    def blocks(self, level: int) -> TileGrid:
        """Return what one thread reads and encodes at once: whole tiles, about as large as a chunk."""
        info = self.levels[level]
        return TileGrid(info.box, block_of(info, self.tiles(level).tile))


def write_tiff(path: Path, tiff: Tiff, sources: Sequence[Source], workers: int, stop: Event, progress: Progress) -> int:
    """Write *tiff*, whose levels *sources* hold, to *path*, and return its bytes.

    Raises
    ------
    Interrupted
        If *stop* is set before the end.
    SourceError, OSError
        If pixels cannot be read, or the file system refuses.
    """
    with written(path, tiff.directories, most_bytes=tiff.most_bytes) as file:
        for level in reversed(range(len(sources))):
            blocks = tiff.blocks(level)
            made = in_order(partial(_encoded, tiff, sources[level], level), blocks, workers, stop)
            for block, stored in zip(blocks, made, strict=True):
                _add(file, stored)
                progress.tile(block.size)
        return file.end


def write_tiles(path: Path, tiff: Tiff, tiles: Iterable[NDArray[Any]]) -> None:
    """Write *tiff*, of one level, to *path*: its *tiles* in their order, short at the far edges, one at a time."""
    with written(path, tiff.directories, most_bytes=tiff.most_bytes) as file:
        for box, pixels in zip(tiff.tiles(0), tiles, strict=True):
            file.add(*tiff.place(0, box), tiff.encoding.encode(_whole(pixels, tiff)))


def _add(file: Tiled, tiles: Stored) -> None:
    for directory, number, stored in tiles:
        file.add(directory, number, stored)


def _encoded(tiff: Tiff, source: Source, level: int, block: Box) -> Stored:
    """Return the tiles of *block*, encoded."""
    pixels = source.read(block)
    return [
        (*tiff.place(level, tile), tiff.encoding.encode(_whole(pixels[tile.within(block)], tiff)))
        for tile in _tiles_in(tiff.tiles(level), block)
    ]


def _tiles_in(tiles: TileGrid, block: Box) -> Iterator[Box]:
    return iter(TileGrid(block, tiles.tile))


def _whole(pixels: NDArray[Any], tiff: Tiff) -> NDArray[Any]:
    """Return the pixels of one tile as (y, x) or (y, x, sample); beyond the image those at its edge are repeated."""
    height, width = pixels.shape[-2:]
    plane = pixels.reshape(-1, height, width)
    if height < tiff.tile or width < tiff.tile:
        plane = np.pad(plane, ((0, 0), (0, tiff.tile - height), (0, tiff.tile - width)), mode="edge")
    return plane[0] if tiff.encoding.samples == 1 else np.moveaxis(plane, 0, -1)


def _resolution(info: ImageInfo) -> dict[int, Value]:
    """Return the tags of how many pixels lie in a centimetre, where *info* tells a length."""
    sizes = [_METERS.get(unit, 0.0) * scale for scale, unit in zip(info.scale[-2:], info.units[-2:], strict=True)]
    if not all(sizes):
        return {}
    height, width = (_fraction(_METERS_OF_CM / size) for size in sizes)
    return {282: width, 283: height, 296: shorts(_CM)}


def _fraction(value: float) -> Value:
    """Return *value* to as many digits as two numbers of 32 bits hold; nothing above 2**31."""
    below = max(1, min(10**6, int(2**31 / value)))
    return rational(round(min(value, 2**31) * below), below)
