"""What of the levels of an output is left to make: of tiles of the level below follow those above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import TileGrid, tile_at
from tileconv.planning.pyramid import LevelTiles, tiles_of_levels
from tileconv.record.journal import DONE, History
from tileconv.record.numbers import Numbers
from tileconv.sinks.layout import Layout
from tileconv.sinks.levels import Level
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.listed import listed_keys

Mask = NDArray[np.bool_]


def above(below: Mask, one: OneLevel) -> Mask:
    """Return a mask of the tiles of a level that are made of any tile of the level below that *below* marks.

    Examples
    --------
    >>> from tileconv.images import ImageInfo
    >>> from tileconv.operations.shrink import Shrink
    >>> from tileconv.storage import USUAL
    >>> level = Level(ImageInfo((1, 5), "yx", np.dtype("u1"), (1, 2)), USUAL, Shrink("mean", (1, 2)))
    >>> layout = Layout(ImageInfo((1, 9), "yx", np.dtype("u1"), (1, 2)), levels=(level,))
    >>> (one,) = each_level(layout, TileGrid(layout.info.box, (1, 2)))
    >>> above(np.array([False, True, False, False, True]), one).tolist()
    [True, False, True]
    """
    grid, level, tiles = one.below, one.level, one.tiles.grid
    if below.all():
        return np.ones(len(tiles), bool)
    counts = below.reshape(grid.counts).astype(np.int64)
    for axis, count in enumerate(tiles.counts):
        boxes = (tiles.box([n * (a == axis) for a in range(len(tiles.counts))]) for n in range(count))
        needed = [level.shrink.needed(box, grid.image.shape) for box in boxes]
        first = [box.start[axis] // grid.tile[axis] for box in needed]
        last = [(box.stop[axis] - 1) // grid.tile[axis] + 1 for box in needed]
        summed = np.cumsum(np.insert(counts, 0, 0, axis), axis)
        counts = summed.take(last, axis) - summed.take(first, axis)
    return (counts > 0).reshape(-1)


class OneLevel(NamedTuple):
    """A level that is made: its number, what it is, its tiles, and those of the level below."""

    number: int
    level: Level
    tiles: LevelTiles
    below: TileGrid


def each_level(layout: Layout, grid: TileGrid) -> Iterator[OneLevel]:
    """Yield all levels of a store of *layout*, whose full size is made by tiles like those of *grid*."""
    below = TileGrid(layout.info.box, grid.tile)
    levels = zip(layout.levels, tiles_of_levels(layout.levels, below), strict=True)
    for number, (level, tiles) in enumerate(levels, start=1):
        yield OneLevel(number, level, tiles, below)
        below = tiles.grid


def levels_left(sink: ZarrSink, grid: TileGrid, history: History, array: int, left: Mask) -> list[Numbers]:
    """Return of each level of *sink* the tiles that are to be made of what is stored.

    These are those that are not done, or not there any more, and those over tiles of *grid*, the full size, that are
    *left* themselves; but not those that are made with such a tile. *array* is the number of the output in *history*.
    """
    numbers, below = [], left
    listed = listed_keys(sink.store) if history.total_done() else ()
    for one in each_level(sink.layout, grid):
        done = history.is_last(DONE, array, one.number).copy()
        custody = sink.at(one.number).custody
        done[[tile for tile in Numbers(done) if custody.lacks(tile_at(one.tiles.grid, tile), listed)]] = False
        below = ~done | above(below, one)
        numbers.append(Numbers(below & ~left if one.tiles.within else below))
    return numbers


def all_done(history: History, array: int, levels: int) -> bool:
    """Return whether all tiles of an array and its *levels* are stored."""
    return all(bool(history.is_last(DONE, array, level).all()) for level in range(levels + 1))
