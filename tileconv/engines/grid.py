"""The canonical grid of the FFT engine: which outputs one transform makes, of how many points, and how wrong it may be.

    image      |0--------------------------------------------->
    blocks     |-- step --|-- step --|-- step --|               outputs of one transform each
    transform  |............|                                   step + kernel - 1 pixels, then zeros up to length

The grid comes from kernel and image, never from the tile, so that every pixel comes from the same transform of the same
numbers whatever the tiling. The price: a tile needs every block that it touches, whole. Steps that divide common tiles
are therefore preferred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from operator import itemgetter

import numpy as np

from tileconv.boxes import Box
from tileconv.engines.values import FLOAT32, FLOAT64
from tileconv.quick import dataclass

BATCH = 16
"""Rows (or planes) that share one call where the kernel has one weight along an axis."""
TYPICAL_TILE, TYPICAL_LINE = 2048, 2**17
"""Sides of a tile, and of one of an image that is cut along one axis: it makes the blocks that it touches whole."""
CACHE_BITS = 18
"""log2 of the points that fit the L2 cache."""
BEYOND_CACHE = {True: 0.13, False: 0.25}
"""What each doubling beyond it costs more, by ``Blocks.narrow``."""
LANES = 48
"""Lines that are transformed side by side: enough to hide what a loop costs, few enough for the caches."""
WEIGHED = 288
"""Lines of a strip as the cost has them: grids follow from it, and bytes from grids, so that it stays what it was."""
BEYOND_PAIRED = 0.05
"""The same of paired blocks, which are transformed in strips."""
PER_BLOCK = 350_000
"""What a block costs whatever its size: some 70 microseconds of Python."""


ERROR_CONSTANT = 1.0
"""c of the bound ``c eps log2(N) |x|_2 |k|_2``. Measured 2026-11 over transforms of 64 to 2**20 points: at most 0.25
(tests/engines/test_fft.py holds it); 1.0 leaves a factor of four."""


def strips(lines: int) -> int:
    """Return how many strips hold the *lines* of a transform."""
    return -(-lines // LANES)


@dataclass(frozen=True)
class Blocks:
    """Sizes of the canonical grid, axes (z, y, x).

    ``length`` points go into one transform and ``step <= length - kernel + 1`` come out of it; ``origin`` is where the
    first block of outputs begins. Where there are only zeros outside the box ``zeros_around``, one block may be the
    whole output: what a transform wraps round is zero, so that ``length`` need only hold the image and the kernel.
    ``narrow`` transforms run in float32. A ``paired`` block is two such blocks, one below the other, that one complex
    transform makes (``engines/transform.py``): its step along y is twice ``length - kernel + 1`` at most.
    """

    length: tuple[int, ...]
    step: tuple[int, ...]
    transformed: tuple[int, ...]
    origin: tuple[int, ...] = (0, 0, 0)
    zeros_around: Box | None = None
    narrow: bool = False
    paired: bool = False

    @property
    def points(self) -> int:
        """Points of one transform, batches left out."""
        return math.prod(self.length[axis] for axis in self.transformed)

    @property
    def held(self) -> int:
        """Pixels that go into one transform, batches left out."""
        return (1 + self.paired) * self.points

    @property
    def in_float64(self) -> Blocks:
        """The grid for a block that float32 would drown: a paired one is two."""
        step = (self.step[0], self.step[1] // 2, self.step[2]) if self.paired else self.step
        return replace(self, step=step, narrow=False, paired=False)

    @property
    def area(self) -> int:
        """Output pixels of one transform, batches left out."""
        return math.prod(self.step[axis] for axis in self.transformed)

    def cover(self, axis: int, start: int, stop: int) -> tuple[int, int]:
        """Return the interval *start* to *stop* along *axis* grown to whole blocks."""
        origin, step = self.origin[axis], self.step[axis]
        return origin + (start - origin) // step * step, origin - (origin - stop) // step * step


@lru_cache(maxsize=256)
def blocks(
    kernel: tuple[int, ...],
    image: tuple[int, ...],
    origin: tuple[int, ...] = (0, 0, 0),
    zeros_around: Box | None = None,
    *,
    narrow: bool = False,
) -> Blocks:
    """Return the cheapest grid for a *kernel* shape on an output of shape *image* that begins at *origin* (z, y, x).

    The cost is ``block_cost`` and what blocks stand out of a typical tile, over fast lengths per axis; an output
    smaller than a block gets a block of its own size. An axis along which the kernel has one weight is cut every
    ``BATCH`` rows.
    """
    transformed = tuple(axis for axis, k in enumerate(kernel) if k > 1) or (2,)
    batch = tuple(min(BATCH, n) for n in image)
    rows = math.prod(n for axis, n in enumerate(batch) if axis not in transformed)
    tile = TYPICAL_TILE if len(transformed) > 1 else TYPICAL_LINE
    kinds = {False: [_sizes(kernel[axis], image[axis], tile) for axis in transformed]}
    if narrow and transformed == (1, 2):
        kinds[True] = [_paired_sizes(kernel[axis], image[axis], 3 - axis) for axis in transformed]
    weighed: list[tuple[float, tuple[int, ...], tuple[int, ...], bool, Box | None]] = []
    for paired, sizes in kinds.items():
        axes = zip(transformed, sizes, strict=True)
        wasted = [[(n, s, _waste(s, image[axis], tile)) for n, s in choices] for axis, choices in axes]
        for lengths, steps, wastes in (zip(*chosen, strict=True) for chosen in product(*wasted)):
            cost = _cost(lengths, steps, rows, narrow=narrow, paired=paired) * math.prod(wastes)
            weighed.append((cost, lengths, steps, paired, None))
    if zeros_around is not None:
        lengths = tuple(fast_length(zeros_around.shape[axis] + kernel[axis] - 1) for axis in transformed)
        steps = tuple(image[axis] for axis in transformed)
        cost = _cost(lengths, steps, rows, narrow=narrow, paired=False)
        weighed.append((cost, lengths, steps, False, zeros_around))
    _, lengths, steps, paired, around = min(weighed, key=itemgetter(0, 1, 2))
    length, step = (_replaced(batch, transformed, values) for values in (lengths, steps))
    return Blocks(length, step, transformed, origin, around, narrow, paired)


def _sizes(kernel: int, image: int, tile: int) -> list[tuple[int, int]]:
    """Return lengths of a transform and their steps worth weighing along one axis."""
    whole = fast_length(image + kernel - 1)
    multiples = [fast_length(math.ceil(kernel * factor)) for factor in (1.25, 1.5, 2, 3, 4, 6, 8)]
    lengths = {min(n, whole) for n in (*multiples, 64, 128, 256, 512, 1024, 4096) if n > kernel} or {whole}
    sizes = {(n, n - kernel + 1) for n in lengths}
    sizes |= {(fast_length(s + kernel - 1), s) for s in (1 << b for b in range(5, tile.bit_length())) if s < image}
    return sorted(sizes)


def _paired_sizes(kernel: int, image: int, count: int) -> list[tuple[int, int]]:
    """Return lengths of a paired transform along one axis, and steps of a block, which *count* of them make."""
    half = -(-image // count)
    steps = {s for s in (1 << b for b in range(5, TYPICAL_TILE.bit_length())) if s < half and s * count <= TYPICAL_TILE}
    steps |= {half} if half * count <= TYPICAL_TILE else set()
    return [(paired_length(s + kernel - 1), s * count) for s in sorted(steps)]


def _waste(step: int, image: int, tile: int) -> float:
    """Return how many pixels are made along one axis for each that an average tile wants, blocks being made whole."""
    covered = -(-image // step) * step / image
    return covered if step >= image or tile % step == 0 else covered + step / min(tile, image)


def _replaced(sizes: tuple[int, ...], axes: tuple[int, ...], values: Sequence[int]) -> tuple[int, ...]:
    changed = dict(zip(axes, values, strict=True))
    return tuple(changed.get(axis, size) for axis, size in enumerate(sizes))


def fast_length(points: int) -> int:
    """Return the next length with no prime factor above 5, as ``scipy.fft.next_fast_len(points, real=True)`` does."""
    best = 1 << (points - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            best = min(best, threes << max(0, (-(-points // threes) - 1).bit_length()))
            threes *= 3
        fives *= 5
    return best


def paired_length(points: int) -> int:
    """Return the next length of a paired transform: a multiple of 16 with no prime factor above 3."""
    count, threes = -(-points // 16), 1
    best = 1 << (count - 1).bit_length()
    while threes < best:
        best = min(best, threes << max(0, (-(-count // threes) - 1).bit_length()))
        threes *= 3
    return 16 * best


def block_cost(grid: Blocks) -> float:
    """Return the work per output pixel of *grid*, in a unit that a machine's constants turn into nanoseconds.

    ``N log2 N``, a part for every point, more beyond the L2 cache, and a fixed part for all rows of a batch.
    """
    lengths, steps = ([sizes[axis] for axis in grid.transformed] for sizes in (grid.length, grid.step))
    return _cost(lengths, steps, math.prod(grid.step) // grid.area, narrow=grid.narrow, paired=grid.paired)


def _cost(lengths: Sequence[int], steps: Sequence[int], rows: int, *, narrow: bool, paired: bool) -> float:
    points, area = math.prod(lengths), math.prod(steps)
    bits = math.log2(points)
    beyond = 1 + (BEYOND_PAIRED if paired else BEYOND_CACHE[narrow]) * max(0.0, bits - CACHE_BITS)
    made = float(points)
    if paired:  # strips are made whole
        made *= sum(-(-n // WEIGHED) * WEIGHED / n for n in lengths) / 2
    return (made * (bits + 8) * beyond + PER_BLOCK / rows) / area


def error_bound(points: int, image_norm: float, kernel_norm: float, *, narrow: bool = False) -> float:
    """Return ``c eps log2(N) |x|_2 |k|_2``: no pixel from a transform of N *points* is wrong by more."""
    eps = float(np.finfo(FLOAT32 if narrow else FLOAT64).eps)
    return float(ERROR_CONSTANT * eps * math.log2(points) * image_norm * kernel_norm)


def direct_bound(count: int, gain: float) -> float:
    """Return how wrong float32 sums of *count* products may be for pixels up to 1, *gain* being ``sum |k|``."""
    return float(np.finfo(FLOAT32).eps) / 2 * (count + 2) * gain
