"""Dask array in, Dask array out, halos by ``map_overlap``: the definition that ``windows`` is held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import SPACE, Box, Interval, TileGrid
from tileconv.errors import PlanError
from tileconv.planning.parts import Pass
from tileconv.quick import dataclass
from tileconv.retry import retrying
from tileconv.sources.source import Source
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile
from tileconv.tiles.folds import by_parts, within_blocks
from tileconv.tiles.windows import Job, Receipt

if TYPE_CHECKING:  # imported where it is used: a run by windows does without
    import dask.array as da

Array = NDArray[Any]
Chunks = tuple[tuple[int, ...], ...]


def overlap(arrays: Sequence[da.Array], pass_: Pass) -> list[da.Array]:
    """Return the arrays that *pass_* writes, lazily, made of *arrays*, which are those that it reads.

    Chunks that are smaller than the halo are merged first, by an explicit rechunk. The results' chunks are those of the
    first array; with ``full`` and ``valid`` the outer ones grow or shrink.
    """
    if any(stage.coarser for stage in pass_.stages):
        problem = "a stage with a stride cannot be lazy where it reads a Dask array, or what another pass made"
        raise PlanError(problem, fix="Give the path of a file, or a NumPy array.")
    arrays = [_with_axes(array, pass_, number) for number, array in enumerate(arrays)]
    cuts = _cuts_of(arrays[0], pass_)

    def tiles(dtype: np.dtype[Any], shown: Callable[[Sequence[Array]], Array]) -> da.Array:
        return _mapped(arrays, cuts, pass_, lambda blocks, box: shown(_made(pass_, blocks, box)), dtype)

    image = zip(pass_.image.start, cuts, pass_.image.stop, strict=True)
    return each_write(tiles, pass_, tuple(_sizes(*along) for along in image))


def _made(pass_: Pass, blocks: Sequence[Block], box: Box) -> Sequence[Array]:
    made = by_parts(pass_, partial(within_blocks, blocks), box) if pass_.folds else compute_tile(pass_, blocks, box)
    return made[0]


def each_write(
    tiles: Callable[[np.dtype[Any], Callable[[Sequence[Array]], Array]], da.Array], pass_: Pass, chunks: Chunks
) -> list[da.Array]:
    """Return the arrays that *pass_* writes, in *chunks*.

    *tiles* gets a type and a function, and returns a lazy array of that type: of every tile what the function returns
    for the pixels of all writes. Where there are several, these wait in one object for those who take them apart.
    """
    if len(pass_.writes) == 1:
        return [tiles(pass_.writes[0].info.dtype, lambda made: made[0])]
    import dask.array as da

    together, arrays = tiles(np.dtype(object), _in_one), []
    for number, write in enumerate(pass_.writes):
        meta, words = np.empty((0,) * len(chunks), write.info.dtype), {"chunks": chunks, "token": keys_of(pass_)}
        arrays.append(da.map_blocks(_one_of, together, number, dtype=meta.dtype, meta=meta, **words))
    return arrays


def _in_one(arrays: Sequence[Array]) -> Array:
    """Return an array of one element: *arrays* themselves."""
    held = np.empty((1,) * arrays[0].ndim, object)
    held.flat[0] = arrays
    return held


def _one_of(held: Array, number: int) -> Array:
    made: Array = held.item()[number]
    return made


def outcomes_by_rows(job: Job, outcome_of: Callable[[Box, Callable[[], Receipt]], Any]) -> Iterator[da.Array]:
    """Yield, for every row of tiles of *job*, a lazy array that writes them and holds lists of what became of each.

    What did is what *outcome_of* returns, which gets the tile and a function that makes it and returns its receipt.

    A row at a time keeps the graph and the pixels in flight small; the chunks beside a row are read again for the next.
    Where the halo is larger than a tile, tiles that lie side by side are made by one task, one after the other.
    """
    array = _with_axes(as_dask(job.sources[0], chunks_for(job.pass_)), job.pass_, 0)

    def store(blocks: Sequence[Block], box: Box) -> Array:
        keep_freed_memory()

        def receipt(tile: Box) -> Receipt:
            began = time.perf_counter()
            return job.store(tile, *compute_tile(job.pass_, blocks, tile), began)

        outcomes = np.empty((1,) * array.ndim, object)
        outcomes.flat[0] = [outcome_of(tile, partial(receipt, tile)) for tile in TileGrid(box, job.pass_.grid.tile)]
        return outcomes

    outcomes = _mapped([array], _cuts_of(array, job.pass_), job.pass_, store, np.dtype(object))
    for index in product(*map(range, outcomes.numblocks[:-1])):
        yield outcomes.blocks[index]


def chunks_for(pass_: Pass, number: int = 0) -> Chunks:
    """Return chunks of what *pass_* reads, of the read *number*, each of which becomes a whole number of tiles."""
    image, along = pass_.image, []
    for i, (axis, tile) in enumerate(zip(image.axes, pass_.grid.tile, strict=True)):
        if axis not in pass_.reads[number].source.axes:
            continue
        cuts = _inside(range(image.start[i], image.stop[i], tile), pass_, i)
        start, stop = _extents(pass_, i)[number]
        along.append(_sizes(start, cuts, stop))
    return tuple(along)


def keys_of(pass_: Pass) -> str:
    """Return what the keys of *pass_* begin with: its stages, in words that Dask's dashboard keeps together."""
    return "-".join(stage.name.split()[-1] for stage in pass_.stages).replace("_", "-") or "copy"


def as_dask(source: Source, chunks: Chunks) -> da.Array:
    """Return *source* as a lazy array that reads a box per chunk."""
    import dask.array as da

    array: da.Array = da.from_array(_Readable(source), chunks=chunks, name=False, asarray=False, fancy=False)
    return array


def _with_axes(array: da.Array, pass_: Pass, number: int) -> da.Array:
    """Return *array*, which is the read *number* of *pass_*, with all axes of what the pass makes."""
    own = pass_.reads[number].source.axes
    made: da.Array = array[tuple(slice(None) if axis in own else None for axis in pass_.image.axes)]
    return made


def _mapped(
    arrays: Sequence[da.Array],
    cuts: Sequence[Sequence[int]],
    pass_: Pass,
    make: Callable[[Sequence[Block], Box], Array],
    dtype: np.dtype[Any],
) -> da.Array:
    """Return ``make(blocks, box)`` for every chunk of *arrays*, cut at *cuts*: *blocks* hold *box* with its halo."""
    import dask.array as da

    image = pass_.image
    read = [_chunks_of(pass_, number, cuts) for number in range(len(arrays))]
    ends = [(image.start[i], *along, image.stop[i]) for i, along in enumerate(cuts)]

    def tile(*pixels: Array, block_id: Sequence[int]) -> Array:
        blocks = [Block(p, chunks.box(block_id, image.axes)) for p, chunks in zip(pixels, read, strict=True)]
        start, stop = (tuple(along[n + k] for along, n in zip(ends, block_id, strict=True)) for k in (0, 1))
        return make(blocks, Box(start, stop, image.axes))

    cut = [array.rechunk(chunks.sizes) for array, chunks in zip(arrays, read, strict=True)]
    sizes = tuple(_sizes(along[0], along[1:-1], along[-1]) for along in ends)
    result: da.Array = da.map_overlap(
        tile,
        *cut,
        depth=[{i: d[0] if chunks.wraps[i] else d for i, d in enumerate(chunks.depth)} for chunks in read],
        boundary=[{i: "periodic" if wraps else "none" for i, wraps in enumerate(chunks.wraps)} for chunks in read],
        trim=False,
        allow_rechunk=False,
        align_arrays=False,  # whose outer chunks may differ
        dtype=dtype,
        meta=np.empty((0,) * len(ends), dtype),
        token=keys_of(pass_),
        chunks=tuple((1,) * len(n) for n in sizes) if dtype.kind == "O" else sizes,
    )
    return result


class _Readable:
    """What ``dask.array.from_array`` wants of an array: shape, type and slices."""

    def __init__(self, source: Source) -> None:
        self.source, self.shape, self.dtype = source, source.info.shape, source.info.as_read
        self.ndim = len(self.shape)

    def __getitem__(self, index: tuple[slice, ...]) -> Array:
        ranges = [s.indices(n) for s, n in zip(index, self.shape, strict=True)]
        box = Box(tuple(r[0] for r in ranges), tuple(r[1] for r in ranges), self.source.info.axes)
        return retrying(lambda: self.source.read(box))


@dataclass(frozen=True)
class _Chunks:
    """How an array that is read is cut along each axis: where chunks end, what each has of neighbours, and repeats."""

    ends: tuple[tuple[int, ...], ...]
    depth: tuple[Interval, ...]
    wraps: tuple[bool, ...]

    @property
    def sizes(self) -> Chunks:
        """As Dask writes them."""
        return tuple(_sizes(along[0], along[1:-1], along[-1]) for along in self.ends)

    def box(self, index: Sequence[int], axes: str) -> Box:
        """Return the box of the chunk at *index*, with what it has of its neighbours."""
        low, high = [], []
        for n, ends, (before, after), wraps in zip(index, self.ends, self.depth, self.wraps, strict=True):
            low.append(ends[n] - (before if n or wraps else 0))
            high.append(ends[n + 1] + (after if n + 2 < len(ends) or wraps else 0))
        return Box(tuple(low), tuple(high), axes)


def _chunks_of(pass_: Pass, number: int, cuts: Sequence[Sequence[int]]) -> _Chunks:
    """Return how the read *number* of *pass_* is cut at *cuts*; where it repeats it is given as much on both sides."""
    ends, depth, wraps = [], [], []
    for i, along in enumerate(cuts):
        start, stop = _extents(pass_, i)[number]
        before, after = _depth(along, pass_, i, number)
        repeats = max(before, after) > 0 and _wraps(pass_, i)
        ends.append((start, *along, stop))
        depth.append((max(before, after),) * 2 if repeats else (before, after))
        wraps.append(repeats)
    return _Chunks(tuple(ends), tuple(depth), tuple(wraps))


def _sizes(start: int, cuts: Sequence[int], stop: int) -> tuple[int, ...]:
    """Return the lengths of what *cuts* make of *start* to *stop*."""
    return tuple(b - a for a, b in pairwise((start, *cuts, stop)))


def _space_axis(pass_: Pass, i: int) -> int:
    """Return which of (z, y, x) axis *i* of the image is, or -1."""
    return SPACE.find(pass_.image.axes[i])


def _extents(pass_: Pass, i: int) -> list[Interval]:
    """Return where each array that is read starts and stops along axis *i*."""
    axis, name = _space_axis(pass_, i), pass_.image.axes[i]
    if axis >= 0:
        return [(read.domain.start[axis], read.domain.stop[axis]) for read in pass_.reads]
    return [(0, dict(zip(read.source.axes, read.source.shape, strict=True)).get(name, 1)) for read in pass_.reads]


def _inside(cuts: Iterable[int], pass_: Pass, i: int) -> list[int]:
    """Return those of *cuts* along axis *i* that leave pixels of the image and of each read on both sides.

    None among channels that are made together.
    """
    if pass_.all_channels and pass_.image.axes[i] == "c":
        return []
    starts, stops = zip((pass_.image.start[i], pass_.image.stop[i]), *_extents(pass_, i), strict=True)
    return [cut for cut in cuts if max(starts) < cut < min(stops)]


def _cuts_of(array: da.Array, pass_: Pass) -> list[list[int]]:
    """Return where to cut all that *pass_* reads along each axis, as *array*, the first of them, is cut."""
    firsts = [_extents(pass_, i)[0][0] for i in range(array.ndim)]
    along = ([*accumulate(chunks, initial=first)][1:-1] for first, chunks in zip(firsts, array.chunks, strict=True))
    return [_merged(_inside(cuts, pass_, i), pass_, i) for i, cuts in enumerate(along)]


def _depth(cuts: Sequence[int], pass_: Pass, i: int, number: int) -> Interval:
    """Return the pixels that a chunk of the read *number* needs of those before and after it; none without *cuts*."""
    axis = _space_axis(pass_, i)
    if axis < 0 or not cuts or not pass_.stages:
        return 0, 0
    start, stop = _extents(pass_, i)[number]
    have, tiles = (start, *cuts, stop), (pass_.image.start[i], *cuts, pass_.image.stop[i])
    before = after = 0
    for (low, high), tile in zip(pairwise(have), pairwise(tiles), strict=True):
        first, last = pass_.regions.spans(axis, *tile)[-1 - number].out
        before, after = max(before, low - first), max(after, last - high)
    return before, after


def _wraps(pass_: Pass, i: int) -> bool:
    axis = _space_axis(pass_, i)
    return any(s.borders[axis].rule == "wrap" and s.halo.before[axis] + s.halo.after[axis] > 0 for s in pass_.stages)


def _merged(cuts: list[int], pass_: Pass, i: int) -> list[int]:
    """Return those of *cuts* along axis *i* that stay, so that chunks are as long as the halo their neighbours need."""
    starts, stops = zip(*_extents(pass_, i), strict=True)
    while cuts:
        sizes = _sizes(max(starts), cuts, min(stops))
        depth = max(max(_depth(cuts, pass_, i, number)) for number in range(len(pass_.reads)))
        if depth <= min(sizes):
            break
        size, kept, last = max(depth, 2 * min(sizes)), [], max(starts)
        for cut in cuts:
            if cut - last >= size:
                kept.append(cut)
                last = cut
        cuts = kept[:-1] if min(stops) - last < size else kept
    return cuts
