"""Tiles, workers and memory of a lesson, decided from sizes alone before a pixel is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tileconv.boxes import SPACE, Box, TileGrid
from tileconv.errors import PlanError
from tileconv.images import DECODED_CACHE_BYTES, ImageInfo
from tileconv.lessons.block import PLANE, VOLUME, entries
from tileconv.lessons.exact import LIMBS
from tileconv.lessons.sums import Shape
from tileconv.planning.machine import Allowance, Machine
from tileconv.planning.memory import BASE_BYTES, Bytes, peak_bytes, total
from tileconv.quick import dataclass
from tileconv.shown import size_text
from tileconv.sources.source import Source

MOST_WEIGHTS = 1024
"""Weights of a kernel that is learned, at most: their products are 32 times as many as those of 9 x 9."""
TILE_BLOCKS = (8, 4, 2, 1)
TILE_PX, TILES = 2**22, 4
"""Pixels of a tile that is large enough, and how many tiles each worker should have."""
OBJECT_BYTES = 100
"""What a whole number of Python takes in an array, that of its product included."""


@dataclass(frozen=True)
class Layout:
    """What was decided: tiles that are whole blocks, what each worker and all of them hold, and who they are.

    ``cluster`` is the one that ``executor`` names, if it names one.
    """

    grid: TileGrid
    blocks: TileGrid
    workers: int
    executor: str
    memory: tuple[Bytes, ...]
    process_bytes: int
    cluster: Mapping[str, Any] | None = None

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of the pass, all local processes together."""
        tiles = [(total(self.memory), len(self.grid))]
        return peak_bytes(self.process_bytes, tiles, self.workers, self.executor)


def lay_out(
    sources: tuple[Source, Source],
    shape: Shape,
    machine: Machine,
    *,
    tile: int | None = None,
    workers: int | None = None,
    memory: int | None = None,
    executor: str = "threads",
    cluster: Mapping[str, Any] | None = None,
) -> Layout:
    """Return how a lesson on *sources* is laid out, for a kernel of *shape*.

    Parameters
    ----------
    tile
        Pixels along y and x, a whole number of blocks; by default as many as fit.
    workers, memory, executor
        As in a pipeline file's ``run``; *cluster* is the one that *executor* names.

    Raises
    ------
    PlanError
        If it does not fit in memory, or the tile is no whole number of blocks.
    """
    image = sources[0].info
    sides = dict(zip(SPACE, VOLUME if shape[0] > 1 else PLANE, strict=True))
    block = tuple(min(sides.get(axis, 1), n) for axis, n in zip(image.axes, image.shape, strict=True))
    job = cluster if cluster and "kind" in cluster else {}
    count = workers or job.get("cores", machine.processors.count)
    threads = count if executor == "threads" else 1
    limits = machine.memory
    limit = limits.available(threads) if memory is None else limits.at_most(memory, "memory", threads)
    if job and memory is None:
        limit = Allowance(job["memory"], f"memory of a job of {executor}")
    options = [_layout(sources, shape, block, tile, count, executor) for tile in _tiles(image, block, tile)]
    fitting = [option for option in options if option.peak_bytes <= limit.count]
    if not fitting:
        least = min(options, key=lambda option: option.peak_bytes)
        problem = f"learning takes {size_text(least.peak_bytes)}, and may take {size_text(limit.count)} ({limit.why})"
        raise PlanError(problem, fix="Let it take more, use fewer workers, or a smaller kernel.")
    enough = min(TILE_PX, math.prod(image.shape) // (TILES * count))

    def cost(option: Layout) -> tuple[float, bool, int]:
        pixels = math.prod(option.grid.tile)
        return _decoded(sources, option.grid), pixels < enough, pixels if pixels >= enough else -pixels

    return replace(min(fitting, key=cost), cluster=cluster)


def _tiles(image: ImageInfo, block: tuple[int, ...], asked: int | None) -> list[tuple[int, ...]]:
    """Return tiles worth weighing: near squares, and bands as wide as the image; or the one that is *asked* for."""
    if asked is not None:
        wrong = [n for a, n in zip(image.axes, block, strict=True) if a in "yx" and asked % n]
        if wrong:
            fix = f"Give {-(-asked // wrong[0]) * wrong[0]}."
            raise PlanError(f"a tile of {asked} pixels is not a whole number of blocks of {wrong[0]}", fix=fix)
        sides = [n if a not in "yx" else asked for a, n in zip(image.axes, block, strict=True)]
        return [tuple(map(min, sides, _whole(image, block)))]
    chunks = [c if axis == "c" else 1 for axis, c in zip(image.axes, image.chunks, strict=True)]
    tiles = []
    for many in TILE_BLOCKS:
        square = [n * many if a in "yx" else n for a, n in zip(image.axes, block, strict=True)]
        band = [n if a == "x" else m for a, n, m in zip(image.axes, image.shape, square, strict=True)]
        for sides in (square, band):
            whole = map(min, map(max, sides, chunks), _whole(image, block))
            tiles.append(tuple(-(-n // b) * b for n, b in zip(whole, block, strict=True)))
    return list(dict.fromkeys(tiles))


def _whole(image: ImageInfo, block: tuple[int, ...]) -> list[int]:
    return [-(-n // b) * b for n, b in zip(image.shape, block, strict=True)]


def _layout(
    sources: tuple[Source, Source],
    shape: Shape,
    block: tuple[int, ...],
    tile: tuple[int, ...],
    workers: int,
    executor: str,
) -> Layout:
    image = sources[0].info
    whole = Box.of_shape(image.shape, image.axes)
    held = tuple(map(min, tile, image.shape))
    halo = dict(zip(SPACE, (n - 1 for n in shape), strict=True))
    grown = math.prod(n + halo.get(axis, 0) for axis, n in zip(image.axes, held, strict=True))
    read = (grown, math.prod(held))
    weights, pixels = math.prod(shape), math.prod(VOLUME if shape[0] > 1 else PLANE)
    padded = math.prod(n + k - 1 for n, k in zip(VOLUME if shape[0] > 1 else PLANE, shape, strict=True))
    sums = 8 * entries(weights)
    memory = (
        Bytes("pixels read", sum(n * s.info.as_read.itemsize for n, s in zip(read, sources, strict=True))),
        Bytes("a mask beside them", 3 * max((n for n, s in zip(read, sources, strict=True) if s.info.mask), default=0)),
        Bytes("a chunk being decoded", 2 * max(_chunk(i) for s in sources for i in s.info.stored)),
        Bytes("a block", 16 * padded + 48 * pixels),
        Bytes("products under way", 8 * (weights * weights + 4 * 256 * weights) + 3 * sums),
        Bytes("sums of the tile", 2 * 2 * LIMBS * sums),
    )
    compressed = any(source.info.compressed for source in sources)
    totals = 2 * LIMBS * sums + OBJECT_BYTES * (4 * weights * weights + 2 * entries(weights))
    process = BASE_BYTES + compressed * DECODED_CACHE_BYTES + sum(s.cache_bytes for s in sources) + totals
    return Layout(TileGrid(whole, tile), TileGrid(whole, block), workers, executor, memory, process)


def _chunk(image: ImageInfo) -> int:
    return math.prod(image.chunks) * image.dtype.itemsize * image.compressed


def _decoded(sources: tuple[Source, Source], grid: TileGrid) -> float:
    """Return how many pixels are decoded for each that is read, rounded so that near ones count as one."""
    amplification = 1.0
    for source in (source for source in sources if source.info.compressed):
        for axis, chunk, size in zip(source.info.axes, source.info.chunks, source.info.shape, strict=True):
            side = grid.tile[grid.image.axes.index(axis)]
            cuts = [(a, min(a + side, size)) for a in range(0, size, side)]
            read = sum(min(-(-b // chunk) * chunk, size) - a // chunk * chunk for a, b in cuts)
            amplification *= read / size
    return round(amplification, 1)
