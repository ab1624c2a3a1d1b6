"""What passes make without storing it: as a source whose pixels are made whenever they are read, or as a Dask array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.parts import Pass, only
from tileconv.sources.source import Source
from tileconv.spec.model import INPUT
from tileconv.tiles.compute import Block, compute_tile, needed
from tileconv.tiles.overlap import chunks_for, keys_of, overlap
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
            made[part.within(box)] = pixels(self.pass_, self.sources, part.shift(self.pass_.image.start))
        return made


def pixels(pass_: Pass, sources: Sequence[Source], box: Box) -> NDArray[Any]:
    """Return the pixels of *box*, in the run's position, made by *pass_*, which writes one array, from *sources*."""
    have = zip(sources, pass_.reads, needed(pass_, box), strict=True)
    (made,), _ = compute_tile(pass_, [Block(read(source, of.domain, part), part) for source, of, part in have], box)
    return made


def of_source(source: Source, passes: Sequence[Pass]) -> dict[int, da.Array]:
    """Return the arrays that *passes* write, by number, lazily: where *source* is read, a tile is one task."""
    return _each(passes, lambda part: _by_windows(source, part))


def of_array(array: NDArray[Any] | da.Array, passes: Sequence[Pass]) -> dict[int, da.Array]:
    """Return the arrays that *passes* write, by number, lazily, of *array*: a NumPy array is cut as the tiles are."""
    import dask.array as da

    lazy = da.from_array(array, chunks=chunks_for(passes[0])) if isinstance(array, np.ndarray) else array
    return _each(passes, lambda part: overlap(lazy.astype(part.reads[0].source.dtype), part))  # in native byte order


def _each(passes: Sequence[Pass], of_input: Callable[[Pass], da.Array]) -> dict[int, da.Array]:
    """Return every array, made by *of_input* where a pass reads the input, and from another by ``overlap``."""
    made: dict[int, da.Array] = {}
    for part in (only(pass_, [write.array]) for pass_ in passes for write in pass_.writes):
        if len(part.reads) > 1:
            problem = f"{part.stages[-1].name} is made of {len(part.reads)} arrays, and a lazy one can be of one alone"
            raise PlanError(problem, why=part.why, fix="Run the pipeline, or leave out what cuts it.")
        array, dtype = part.reads[0].array, part.reads[0].source.dtype
        made[part.writes[0].array] = of_input(part) if array == INPUT else overlap(made[array].astype(dtype), part)
    return made


def _by_windows(source: Source, pass_: Pass) -> da.Array:
    """Return what *pass_* makes of *source*, whose tiles each read their own grown box."""
    import dask.array as da

    def tile(block_id: Sequence[int]) -> NDArray[Any]:
        return pixels(pass_, [source], pass_.grid.box(block_id))

    dtype = pass_.writes[0].info.dtype
    meta = np.empty((0,) * len(pass_.image.shape), dtype)
    array: da.Array = da.map_blocks(tile, chunks=pass_.grid.chunks, dtype=dtype, meta=meta, token=keys_of(pass_))
    return array
