"""What passes make without storing it: as a source whose pixels are made whenever they are read, or as a Dask array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.planning.parts import Pass
from tileconv.quick import dataclass
from tileconv.sources.source import Source
from tileconv.spec.model import INPUT
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile
from tileconv.tiles.folds import by_parts
from tileconv.tiles.overlap import as_dask, chunks_for, each_write, keys_of, overlap
from tileconv.tiles.windows import read

if TYPE_CHECKING:  # half a second to import, which those do without who read a source
    import dask.array as da


@dataclass(frozen=True)
class Computed:
    """The one array that *pass_* writes, made from *sources* whenever it is read, in parts no larger than tiles."""

    pass_: Pass
    sources: tuple[Source, ...]

    @property
    def info(self) -> ImageInfo:
        """The image that the pass makes."""
        return self.pass_.writes[0].info

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*, in the position of the store."""
        made = np.empty(box.shape, self.info.dtype)
        for part in TileGrid(box, self.pass_.grid.tile):
            made[part.within(box)] = pixels(self.pass_, self.sources, part.shift(self.pass_.image.start))[0]
        return made


def pixels(pass_: Pass, sources: Sequence[Source], box: Box) -> Sequence[NDArray[Any]]:
    """Return the pixels of *box*, in the run's position, of all that *pass_* writes, made from *sources*."""

    def block(number: int, part: Box) -> Block:
        return Block(read(sources[number], pass_.reads[number].domain, part), part)

    return by_parts(pass_, block, box, make=compute_tile)[0]


def of_source(source: Source, passes: Sequence[Pass]) -> dict[int, da.Array]:
    """Return the arrays that *passes* write, by number, lazily: where *source* alone is read, a tile is one task."""
    made: dict[int, da.Array] = {}
    for pass_ in passes:
        if [read.array for read in pass_.reads] == [INPUT]:
            arrays = _by_windows(source, pass_)
        else:
            reads = enumerate(read.array for read in pass_.reads)
            given = [as_dask(source, chunks_for(pass_, n)) if array == INPUT else made[array] for n, array in reads]
            arrays = overlap(given, pass_)
        made |= _named(arrays, pass_)
    return made


def of_array(array: NDArray[Any] | da.Array, passes: Sequence[Pass]) -> dict[int, da.Array]:
    """Return the arrays that *passes* write, by number, lazily, of *array*: a NumPy array is cut as the tiles are."""
    import dask.array as da

    lazy = da.from_array(array, chunks=chunks_for(passes[0])) if isinstance(array, np.ndarray) else array
    made = {INPUT: lazy.astype(passes[0].reads[0].source.dtype)}  # in native byte order
    for pass_ in passes:
        made |= _named(overlap([made[read.array] for read in pass_.reads], pass_), pass_)
    return made


def _named(arrays: Sequence[da.Array], pass_: Pass) -> dict[int, da.Array]:
    """Return the *arrays* that *pass_* writes by their numbers."""
    return {write.array: array for write, array in zip(pass_.writes, arrays, strict=True)}


def _by_windows(source: Source, pass_: Pass) -> list[da.Array]:
    """Return what *pass_* makes of *source*, whose tiles each read their own grown box."""
    import dask.array as da

    chunks = pass_.grid.chunks

    def tiles(dtype: np.dtype[Any], shown: Callable[[Sequence[NDArray[Any]]], NDArray[Any]]) -> da.Array:
        def tile(block_id: Sequence[int]) -> NDArray[Any]:
            return shown(pixels(pass_, [source], pass_.grid.box(block_id)))

        one = tuple((1,) * len(along) for along in chunks)
        meta, cut = np.empty((0,) * len(chunks), dtype), one if dtype.kind == "O" else chunks
        array: da.Array = da.map_blocks(tile, chunks=cut, dtype=dtype, meta=meta, token=keys_of(pass_))
        return array

    return each_write(tiles, pass_, chunks)
