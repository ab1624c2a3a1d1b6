"""A tile of a lesson: its blocks are read from both images, with the halo of the kernel, and summed."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import SPACE, Box, Halo, TileGrid, number_of, pieces, space, with_space
from tileconv.engines.borders import Border, extend, source_interval
from tileconv.errors import TileError
from tileconv.images import ImageInfo, equal, parted
from tileconv.lessons.block import Model, block_sums, entries, footprints, held_out, marked_sums
from tileconv.lessons.exact import ExactSums, packed
from tileconv.lessons.sums import Shape
from tileconv.planning.memory import BASE_BYTES
from tileconv.quick import dataclass
from tileconv.sinks.files import sink_errors
from tileconv.sources.source import Source
from tileconv.stores.store import Store
from tileconv.tiles.compute import Counts
from tileconv.tiles.windows import Receipt, read

Pixels = NDArray[np.generic]


@dataclass(frozen=True)
class Notebook:
    """The folder in which workers leave the sums of their tiles, as a run's sinks are where they leave pixels."""

    store: Store

    @property
    def written(self) -> str:
        """Where files are written."""
        return self.store.where()


@dataclass(frozen=True)
class Lesson:
    """One pass over two images, with all that a worker needs and no open file.

    Attributes
    ----------
    sources
        The image before and the one after; pixels that a mask of theirs calls missing do not count.
    shape
        Of the kernel, axes (z, y, x); its centre is ``n // 2``.
    borders
        What lies outside the image, axes (z, y, x); None where pixels do not count whose kernel leaves the image.
    centre
        Two numbers that are subtracted from pixels before and after.
    share
        Of the blocks how many are held out.
    grid, blocks
        Tiles, and the blocks that they are whole numbers of; both anchored at the first pixel, all axes.
    model
        Where *after* is a mask: what the step begins with.
    """

    together: ClassVar[int] = 1

    sources: tuple[Source, Source]
    sinks: tuple[Notebook]
    shape: Shape
    borders: tuple[Border, Border, Border] | None
    centre: tuple[float, float]
    share: float
    grid: TileGrid
    blocks: TileGrid
    model: Model | None = None

    @property
    def where(self) -> str:
        """What the pass reads, in words."""
        return " and ".join(source.where for source in self.sources)

    @property
    def halo(self) -> Halo:
        """What the kernel adds to a tile."""
        before = tuple(n // 2 for n in self.shape)
        return Halo(before, tuple(n - 1 - b for n, b in zip(self.shape, before, strict=True)))

    @property
    def counting(self) -> Box:
        """The places, axes (z, y, x), at which a kernel may lie."""
        whole, halo = space(self.grid.image), self.halo
        if self.borders is not None:
            return whole
        start = tuple(map(min, halo.before, whole.stop))
        return Box(start, tuple(max(a, n - h) for a, n, h in zip(start, whole.stop, halo.after, strict=True)))

    def held(self, want: Box) -> Box:
        """Return the pixels that those of *want*, axes (z, y, x), are made from; where an axis wraps perhaps beyond."""
        if self.borders is None:
            return want
        ends = zip(want.start, want.stop, space(self.grid.image).stop, self.borders, strict=True)
        have = [source_interval(a, b, n, border.rule) for a, b, n, border in ends]
        return Box(tuple(a for a, _ in have), tuple(b for _, b in have))

    def run(self, tile: Box) -> Receipt:
        """Sum one tile, and leave its sums in the notebook.

        Raises
        ------
        TileconvError
            If the tile cannot be read or its sums not be written; the message names it.
        """
        keep_freed_memory()
        began, left_out = time.perf_counter(), 0
        sums = [ExactSums(entries(int(np.prod(self.shape)))) for _ in range(2)]
        with np.errstate(all="ignore"):
            for number, before, after in self._volumes(tile):
                try:
                    made, without = self._block(before, after)
                    sums[held_out(number, self.share)].add(made)
                except TileError as error:
                    raise TileError(error.problem, where=f"{self.where}, tile {tile}", fix=error.fix) from error
                left_out += without
        data, store = packed(sums), self.sinks[0].store
        key = self.key(tile)
        with sink_errors(store.where(key)):
            store.write(key, [[data]])
        counts = (Counts(missing=left_out),)
        return Receipt(tile, time.perf_counter() - began, counts, (hashlib.sha256(data).hexdigest(),))

    def needs(self, threads: int) -> int:
        """Return the least bytes of a process that sums tiles on so many *threads*."""
        return BASE_BYTES + threads * 2 * 8 * math.prod(self.blocks.tile)

    def key(self, tile: Box) -> str:
        """Return the name under which the sums of *tile* lie."""
        return f"{number_of(self.grid, tile)}.sums"

    def _volumes(self, tile: Box) -> Iterator[tuple[int, Pixels, Pixels]]:
        """Yield every block of *tile* that counts: its number, and its pixels before, with the halo, and after."""
        inner, blocks = space(tile).intersect(self.counting), self.blocks
        if not inner.size:
            return
        have = self.held(inner.grow(self.halo))
        boxes = with_space(tile, have), with_space(tile, inner)
        read_of = zip(self.sources, boxes, strict=True)
        before, after = (read(source, space(self.grid.image), box) for source, box in read_of)
        before, after = before.reshape(-1, *have.shape), after.reshape(-1, *inner.shape)
        lead = [range(a, b) for axis, a, b in zip(tile.axes, tile.start, tile.stop, strict=True) if axis not in SPACE]
        sides = space(Box((0,) * len(tile.axes), blocks.tile, tile.axes)).shape
        cuts = [pieces(a, b, n) for a, b, n in zip(space(tile).start, space(tile).stop, sides, strict=True)]
        for at, index in enumerate(product(*lead)):
            for cut in product(*cuts):
                block = Box(tuple(a for a, _ in cut), tuple(b for _, b in cut)).intersect(inner)
                if not block.size:
                    continue
                grown = self._extended(before[at], have, block.grow(self.halo))
                yield self._number(tile, index, [a for a, _ in cut]), grown, after[at][block.within(inner)]

    def _extended(self, pixels: Pixels, have: Box, want: Box) -> Pixels:
        """Return the pixels of *want* from those of *have*; float64 where some lie outside, as a constant may be."""
        own, whole = self.held(want), space(self.grid.image)
        part = pixels[own.within(have)]
        if own == want or self.borders is None:
            return part
        plain, good = parted(part)
        made = extend(plain.astype(np.float64), own, want, whole, self.borders)
        if good is None:
            return made
        both = np.empty(want.shape, [("pixel", np.float64), ("valid", np.bool_)])
        both["pixel"] = made
        rules = [replace(border, value=1.0) for border in self.borders]  # constants are valid
        both["valid"] = extend(good, own, want, whole, rules)
        return both

    def _number(self, tile: Box, lead: tuple[int, ...], start: list[int]) -> int:
        """Return the number of the block of the volume *lead* that begins at *start*, axes (z, y, x)."""
        starts = dict(zip(SPACE, start, strict=True))
        at = dict(zip([a for a in tile.axes if a not in SPACE], lead, strict=True)) | starts
        number = 0
        for axis, count, side in zip(tile.axes, self.blocks.counts, self.blocks.tile, strict=True):
            number = number * count + at[axis] // side
        return number

    def _block(self, before: Pixels, after: Pixels) -> tuple[NDArray[np.float64], int]:
        """Return the sums of one block, and how many of its pixels do not count."""
        pixels, good = _centred(before, self.sources[0], self.centre[0])
        target, counts = _centred(after, self.sources[1], self.centre[1] if self.model is None else 0.0)
        if good is not None:
            counts = footprints(good, self.shape) & (True if counts is None else counts)
        if counts is not None and counts.all():
            counts = None
        without = 0 if counts is None else int(counts.size - counts.sum())
        if self.model is not None:
            return marked_sums(pixels, self.shape, (target != 0).astype(np.float64), counts, self.model), without
        if counts is not None:
            target[~counts] = 0
        return block_sums(pixels, self.shape, target, counts), without


def valid(pixels: Pixels, image: ImageInfo) -> tuple[Pixels, NDArray[np.bool_] | None]:
    """Return the pixels of what was read of *image*, and which are numbers that nothing calls missing; None for all."""
    pixels, good = parted(pixels)
    if pixels.dtype.kind == "f":
        good = np.isfinite(pixels) & (True if good is None else good)
    if image.nodata is not None:
        good = ~equal(pixels, image.nodata) & (True if good is None else good)
    return pixels, None if good is None or good.all() else good


def _centred(pixels: Pixels, source: Source, centre: float) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Return *pixels* less *centre*, 0 where one is missing, and where none is; None where none is anywhere."""
    pixels, good = valid(pixels, source.info)
    made = np.ascontiguousarray(pixels, np.float64) - centre
    if good is not None:
        made[~good] = 0
    return made, good
