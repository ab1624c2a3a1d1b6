"""Dask array in, Dask array out, halos by ``map_overlap``: the definition that ``windows`` is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import SPACE, Box, TileGrid
from tileconv.planning.parts import Pass
from tileconv.planning.regions import spans
from tileconv.retry import retrying
from tileconv.sources.source import Source
from tileconv.tiles.compute import Block, compute_tile
from tileconv.tiles.windows import Job, Receipt

if TYPE_CHECKING:  # imported where it is used: a run by windows does without
    import dask.array as da

Array = NDArray[Any]
Chunks = tuple[tuple[int, ...], ...]


def overlap(array: da.Array, pass_: Pass) -> da.Array:
    """Return what *pass_*, which reads one array and writes one, makes of *array*, lazily.

    Chunks that are smaller than the halo are merged first, by an explicit rechunk. The result's chunks are the
    input's; with ``full`` and ``valid`` the outer ones grow or shrink.
    """

    def make(block: Array, have: Box, box: Box) -> Array:
        return compute_tile(pass_, [Block(block, have)], box)[0][0]

    return _mapped(array, pass_, make, pass_.writes[0].info.dtype)


def outcomes_by_rows(job: Job, outcome_of: Callable[[Box, Callable[[], Receipt]], Any]) -> Iterator[da.Array]:
    """Yield, for every row of tiles of *job*, a lazy array that writes them and holds lists of what became of each.

    What did is what *outcome_of* returns, which gets the tile and a function that makes it and returns its receipt.

    A row at a time keeps the graph and the pixels in flight small; the chunks beside a row are read again for the next.
    Where the halo is larger than a tile, tiles that lie side by side are made by one task, one after the other.
    """
    array = as_dask(job.sources[0], chunks_for(job.pass_))

    def store(block: Array, have: Box, box: Box) -> Array:
        keep_freed_memory()

        def receipt(tile: Box) -> Receipt:
            began = time.perf_counter()
            return job.store(tile, *compute_tile(job.pass_, [Block(block, have)], tile), began)

        outcomes = np.empty((1,) * block.ndim, object)
        outcomes.flat[0] = [outcome_of(tile, partial(receipt, tile)) for tile in TileGrid(box, job.pass_.grid.tile)]
        return outcomes

    outcomes = _mapped(array, job.pass_, store, np.dtype(object))
    for index in product(*map(range, outcomes.numblocks[:-1])):
        yield outcomes.blocks[index]


def chunks_for(pass_: Pass) -> Chunks:
    """Return chunks of what *pass_* reads, each of which becomes a whole number of tiles."""
    cuts = (_cuts(pass_, i) for i in range(len(pass_.image.axes)))
    return tuple(tuple(b - a for a, b in pairwise(along)) for along in cuts)


def keys_of(pass_: Pass) -> str:
    """Return what the keys of *pass_* begin with: its stages, in words that Dask's dashboard keeps together."""
    return "-".join(stage.name.split()[-1] for stage in pass_.stages).replace("_", "-") or "copy"


def as_dask(source: Source, chunks: Chunks) -> da.Array:
    """Return *source* as a lazy array that reads a box per chunk."""
    import dask.array as da

    array: da.Array = da.from_array(_Readable(source), chunks=chunks, name=False, asarray=False, fancy=False)
    return array


def _mapped(array: da.Array, pass_: Pass, make: Callable[[Array, Box, Box], Array], dtype: np.dtype[Any]) -> da.Array:
    """Return ``make(block, have, box)`` for every chunk of *array*: *block* holds *have*, *box* with its halo."""
    axes = pass_.image.axes
    array = array.rechunk(tuple(_merged(c, pass_, i) for i, c in enumerate(array.chunks)))
    tiles = tuple(_tiles(c, pass_, i) for i, c in enumerate(array.chunks))
    depth = {i: _depth(c, t, pass_, i) for i, (c, t) in enumerate(zip(array.chunks, tiles, strict=True))}
    wraps = {i: max(d) > 0 and _wraps(pass_, i) for i, d in depth.items()}
    depth = {i: (max(d), max(d)) if wraps[i] else d for i, d in depth.items()}
    starts = tuple(_starts(c, pass_, i) for i, c in enumerate(array.chunks))

    def tile(block: Array, block_id: Sequence[int]) -> Array:
        low, high = [], []
        for i, number in enumerate(block_id):
            first, last = number == 0 and not wraps[i], number == len(tiles[i]) - 1 and not wraps[i]
            low.append(starts[i][number] - (0 if first else depth[i][0]))
            high.append(starts[i][number + 1] + (0 if last else depth[i][1]))
        bounds = [tiles[i][number] for i, number in enumerate(block_id)]
        box = Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), axes)
        return make(block, Box(tuple(low), tuple(high), axes), box)

    pixels = tuple(tuple(b - a for a, b in t) for t in tiles)
    result: da.Array = array.map_overlap(
        tile,
        depth={i: d[0] if wraps[i] else d for i, d in depth.items()},
        boundary={i: "periodic" if wraps[i] else "none" for i in depth},
        trim=False,
        allow_rechunk=False,
        dtype=dtype,
        meta=np.empty((0,) * array.ndim, dtype),
        token=keys_of(pass_),
        chunks=tuple((1,) * len(t) for t in tiles) if dtype.kind == "O" else pixels,
    )
    return result


class _Readable:
    """What ``dask.array.from_array`` wants of an array: shape, type and slices."""

    def __init__(self, source: Source) -> None:
        self.source, self.shape, self.dtype = source, source.info.shape, source.info.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, index: tuple[slice, ...]) -> Array:
        ranges = [s.indices(n) for s, n in zip(index, self.shape, strict=True)]
        box = Box(tuple(r[0] for r in ranges), tuple(r[1] for r in ranges), self.source.info.axes)
        return retrying(lambda: self.source.read(box))


def _space_axis(pass_: Pass, i: int) -> int:
    """Return which of (z, y, x) axis *i* of the image is, or -1."""
    return SPACE.find(pass_.image.axes[i])


def _starts(chunks: Sequence[int], pass_: Pass, i: int) -> list[int]:
    axis = _space_axis(pass_, i)
    return list(accumulate(chunks, initial=pass_.reads[0].domain.start[axis] if axis >= 0 else 0))


def _cuts(pass_: Pass, i: int) -> list[int]:
    """Return where to cut the input along axis *i* so that every chunk becomes a whole number of tiles."""
    size = pass_.reads[0].source.shape[i]
    first = _starts((size,), pass_, i)[0]
    grid = range(pass_.image.start[i], pass_.image.stop[i], pass_.grid.tile[i])
    return [first, *(cut for cut in grid[1:] if first < cut < first + size), first + size]


def _tiles(chunks: Sequence[int], pass_: Pass, i: int) -> list[tuple[int, int]]:
    """Return what each chunk becomes along axis *i*: itself, but up to the output's ends at both sides."""
    low, high = pass_.image.start[i], pass_.image.stop[i]
    ends = [low, *(min(max(s, low), high) for s in _starts(chunks, pass_, i)[1:-1]), high]
    return list(pairwise(ends))


def _depth(chunks: Sequence[int], tiles: Sequence[tuple[int, int]], pass_: Pass, i: int) -> tuple[int, int]:
    """Return the pixels that a chunk needs of its neighbours before and after it; none when it is the only one."""
    axis = _space_axis(pass_, i)
    if axis < 0 or len(chunks) == 1 or not pass_.stages:
        return 0, 0
    starts = _starts(chunks, pass_, i)
    before = after = 0
    for number, tile in enumerate(tiles):
        if tile[0] < tile[1]:
            first, last = spans(pass_.stages, pass_.stored, axis, *tile)[-1].out
            before, after = max(before, starts[number] - first), max(after, last - starts[number + 1])
    return before, after


def _wraps(pass_: Pass, i: int) -> bool:
    axis = _space_axis(pass_, i)
    return any(s.borders[axis].rule == "wrap" and s.halo.before[axis] + s.halo.after[axis] > 0 for s in pass_.stages)


def _merged(chunks: tuple[int, ...], pass_: Pass, i: int) -> tuple[int, ...]:
    """Return *chunks* merged along axis *i* until each makes pixels and is as long as the halo its neighbours need."""
    chunks = _without_empty(chunks, _tiles(chunks, pass_, i))
    while len(chunks) > 1:
        depth = max(_depth(chunks, _tiles(chunks, pass_, i), pass_, i))
        if depth <= min(chunks) and depth < sum(chunks):
            break
        size = max(depth, 2 * min(chunks))
        merged: list[int] = []
        for chunk in chunks:
            if merged and merged[-1] < size:
                merged[-1] += chunk
            else:
                merged.append(chunk)
        if len(merged) > 1 and merged[-1] < size:
            merged[-2:] = [merged[-2] + merged[-1]]
        chunks = tuple(merged)
    return chunks


def _without_empty(chunks: Sequence[int], tiles: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return *chunks* with those that become an empty tile (``valid`` cuts them off) joined to a neighbour."""
    merged: list[int] = []
    waiting = 0
    for chunk, (start, stop) in zip(chunks, tiles, strict=True):
        if start < stop:
            merged.append(waiting + chunk)
            waiting = 0
        elif merged:
            merged[-1] += chunk
        else:
            waiting += chunk
    return tuple(merged)
