"""What passes make without storing it: as a source whose pixels are made whenever they are read, or as a Dask array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.planning.model import Pass
from tileconv.sources.source import Source
from tileconv.tiles.compute import compute_tile, needed
from tileconv.tiles.overlap import chunks_for, keys_of, overlap
from tileconv.tiles.windows import read

if TYPE_CHECKING:  # half a second to import, which those do without who read a source
    import dask.array as da


@dataclass(frozen=True)
class Computed:
    """What *pass_* stores, made from *before* whenever it is read: in parts no larger than a tile."""

    pass_: Pass
    before: Source

    @property
    def info(self) -> ImageInfo:
        """The image that the pass makes."""
        return self.pass_.info

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*, in the position of the store."""
        made = np.empty(box.shape, self.info.dtype)
        for part in TileGrid(box, self.pass_.grid.tile):
            made[part.within(box)] = pixels(self.pass_, self.before, part.shift(self.pass_.image.start))
        return made


def pixels(pass_: Pass, before: Source, box: Box) -> NDArray[Any]:
    """Return the pixels of *box*, in the run's position, made by *pass_* from *before*."""
    have = needed(pass_, box)
    return compute_tile(pass_, read(before, pass_, have), have, box)[0]


def of_source(source: Source, passes: Sequence[Pass]) -> da.Array:
    """Return what *passes* make of *source*, lazily: a tile of the first is one task, which reads its own grown box."""
    import dask.array as da

    first = passes[0]

    def tile(block_id: Sequence[int]) -> NDArray[Any]:
        return pixels(first, source, first.grid.box(block_id))

    dtype = first.info.dtype
    meta = np.empty((0,) * len(first.info.shape), dtype)
    array = da.map_blocks(tile, chunks=first.grid.chunks, dtype=dtype, meta=meta, token=keys_of(first))
    return of_array(array, passes[1:])


def of_array(array: NDArray[Any] | da.Array, passes: Sequence[Pass]) -> da.Array:
    """Return what *passes* make of *array*, lazily, each by ``overlap``; a NumPy array is cut as the tiles are."""
    import dask.array as da

    lazy = da.from_array(array, chunks=chunks_for(passes[0])) if isinstance(array, np.ndarray) else array
    for pass_ in passes:
        lazy = overlap(lazy.astype(pass_.source.dtype), pass_)  # in native byte order
    return lazy
