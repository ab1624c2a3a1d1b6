"""The FFT engine: overlap-save in blocks on a grid that is anchored at the output's origin.

    image      |0--------------------------------------------->
    blocks     |-- step --|-- step --|-- step --|               outputs of one transform each
    transform |............|                                    reads step + kernel - 1 pixels

The grid comes from kernel and image, never from the tile, so that every pixel comes from the same transform of the same
numbers whatever the tiling. The price: a tile needs every block that it touches, whole. Pixels farther outside the
image than the kernel reaches count as the block's mean, which cannot touch a result.

Method: overlap-save (Oppenheim and Schafer 2010, Discrete-Time Signal Processing, section 8.7). The mean of each block
is taken off before the transform and put back as ``mean * sum(weights)``, which keeps bright flat fields accurate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.direct import direct, direct_where
from tileconv.engines.separable import touched
from tileconv.engines.values import FLOAT64

Array = NDArray[Any]

ERROR_CONSTANT = 1.0
"""c of the bound ``c eps log2(N) |x|_2 |k|_2``. Measured 2026-11 over transforms of 64 to 2**20 points: at most 0.25
(tests/engines/test_fft.py holds it); 1.0 leaves a factor of four."""
TOLERANCE = 2.0**-20
"""A block is summed directly when its bound exceeds this share of ``sum |k|`` times the typical step to a neighbour."""
CACHED_SPECTRA = 12
BATCH = 16
"""Rows (or planes) that share one call where the kernel has one weight along an axis."""
L2_BITS = 18
"""log2 of the points that still fit the L2 cache (2 MiB of float64); each doubling costs 0.3 more per point."""


@dataclass(frozen=True)
class Blocks:
    """Sizes of the canonical grid, axes (z, y, x).

    ``length`` points go into one transform and ``step = length - kernel + 1`` come out of it; ``origin`` is where the
    first block of outputs begins. Where there are only zeros outside the box ``zeros_around``, one block may be the
    whole output: what a transform wraps round is zero, so that ``length`` need only hold the image and the kernel.
    """

    length: tuple[int, ...]
    step: tuple[int, ...]
    transformed: tuple[int, ...]
    origin: tuple[int, ...] = (0, 0, 0)
    zeros_around: Box | None = None

    @property
    def points(self) -> int:
        """Points of one transform, batches left out."""
        return math.prod(self.length[axis] for axis in self.transformed)

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
) -> Blocks:
    """Return the cheapest grid for a *kernel* shape on an output of shape *image* that begins at *origin* (z, y, x).

    The cost is ``block_cost`` over fast lengths per axis; an output smaller than a block gets a block of its own size.
    An axis along which the kernel has one weight is cut every ``BATCH`` rows.
    """
    transformed = tuple(axis for axis, k in enumerate(kernel) if k > 1) or (2,)
    batch = tuple(min(BATCH, n) for n in image)
    grids = []
    for lengths in product(*(_lengths(kernel[axis], image[axis]) for axis in transformed)):
        length = _replaced(batch, transformed, lengths)
        step = tuple(n - k + 1 for n, k in zip(length, kernel, strict=True))
        grids.append(Blocks(length, step, transformed, origin))
    if zeros_around is not None:
        whole = [_fast(zeros_around.shape[axis] + kernel[axis] - 1) for axis in transformed]
        step = _replaced(batch, transformed, [image[axis] for axis in transformed])
        grids.append(Blocks(_replaced(batch, transformed, whole), step, transformed, origin, zeros_around))
    return min(grids, key=lambda grid: (block_cost(grid.points, grid.area), grid.length))


def _lengths(kernel: int, image: int) -> list[int]:
    """Return transform lengths worth weighing along one axis."""
    whole = _fast(image + kernel - 1)
    multiples = [_fast(math.ceil(kernel * factor)) for factor in (1.25, 1.5, 2, 3, 4, 6, 8)]
    return sorted({min(n, whole) for n in (*multiples, 64, 128, 256, 512, 1024, 4096) if n > kernel} or {whole})


def _replaced(sizes: tuple[int, ...], axes: tuple[int, ...], values: Sequence[int]) -> tuple[int, ...]:
    changed = dict(zip(axes, values, strict=True))
    return tuple(changed.get(axis, size) for axis, size in enumerate(sizes))


def _fast(points: int) -> int:
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


def block_cost(points: int, area: int) -> float:
    """Return the work per output pixel, in an arbitrary unit, of a transform of *points* that gives *area* pixels.

    ``N log2 N``, a part for every point, more beyond the L2 cache, and a fixed part.
    """
    bits = math.log2(points)
    return (points * (bits + 8) * (1 + 0.3 * max(0.0, bits - L2_BITS)) + 5000) / area


def error_bound(points: int, image_norm: float, kernel_norm: float) -> float:
    """Return ``c eps log2(N) |x|_2 |k|_2``: no pixel from a float64 transform of N *points* is wrong by more."""
    return float(ERROR_CONSTANT * np.finfo(np.float64).eps * math.log2(points) * image_norm * kernel_norm)


@lru_cache(maxsize=CACHED_SPECTRA)
def _spectrum(weights: bytes, shape: tuple[int, ...], grid: Blocks) -> NDArray[np.complex128]:
    """Return the transform of the weights, turned round because a transform convolves."""
    import scipy.fft  # here and below: plans weigh this engine always, and use it seldom

    turned = np.frombuffer(weights, np.float64).reshape(shape)[::-1, ::-1, ::-1]
    padded = np.zeros([n if axis in grid.transformed else 1 for axis, n in enumerate(grid.length)])
    padded[tuple(slice(k) for k in shape)] = turned
    return scipy.fft.rfftn(padded, axes=grid.transformed, workers=1)


def fft(
    block: Array,
    have: Box,
    want: Box,
    weights: Array,
    halo: Halo,
    grid: Blocks,
    *,
    exact: bool,
    dtype: np.dtype[Any] = FLOAT64,
) -> tuple[Array, int]:
    """Return the sums under *weights* at the pixels of *want*, and how many blocks fell back to direct sums.

    Parameters
    ----------
    block
        The pixels of *have*, axes (z, y, x): all that the blocks of the grid that touch *want* read, as far as the
        image with its halo reaches.
    weights, halo
        float64, axes (z, y, x), and the pixels that they reach before and after.
    exact
        Whether pixels and weights are whole numbers whose sums the bound keeps within a quarter: they are rounded.
    dtype
        Type of the result; the sums are rounded to it once.

    Returns
    -------
    tuple[Array, int]
        The sums, in the shape of *want*: NaN where the kernel's rectangle holds NaN; infinities are summed directly.
    """
    out = np.empty(want.shape, dtype)
    fallbacks = 0
    ends = [grid.cover(axis, want.start[axis], want.stop[axis]) for axis in range(3)]
    for start in product(*(range(a, b, s) for (a, b), s in zip(ends, grid.step, strict=True))):
        made = Box(start, tuple(a + s for a, s in zip(start, grid.step, strict=True)), want.axes)
        read = made.grow(halo).intersect(have)
        sums, fell_back = _one_block(block[read.within(have)], read, made, weights, halo, grid, exact=exact)
        fallbacks += fell_back
        part = made.intersect(want)
        out[part.within(want)] = sums[part.within(made)]
    return out, fallbacks


def _one_block(
    pixels: Array, read: Box, made: Box, weights: Array, halo: Halo, grid: Blocks, *, exact: bool
) -> tuple[Array, bool]:
    """Return the sums of one block of the canonical grid, and whether they were summed directly."""
    import scipy.fft

    outer = made.grow(halo) if grid.zeros_around is None else read
    shift = [
        k - 1 - (a - (m - h)) for k, a, m, h in zip(weights.shape, outer.start, made.start, halo.before, strict=True)
    ]
    values = pixels.astype(np.float64)
    finite = np.isfinite(values)
    clean = exact or bool(finite.all())
    kept = values if clean else np.where(finite, values, 0.0)
    mean = 0.0 if grid.zeros_around else _mean(kept, exact=exact)
    centred = np.zeros(outer.shape)
    inner = read.within(outer)
    centred[inner] = kept - mean if clean else np.where(finite, kept - mean, 0.0)
    if not exact and _imprecise(kept, centred, weights, grid):
        padded = np.zeros(made.grow(halo).shape)
        padded[read.within(made.grow(halo))] = values
        return direct(padded, weights), True
    spectrum = _spectrum(weights.tobytes(), weights.shape, grid)
    lengths = [grid.length[axis] for axis in grid.transformed]
    transform = scipy.fft.rfftn(centred, s=lengths, axes=grid.transformed, workers=1)
    transform *= spectrum
    back = scipy.fft.irfftn(transform, s=lengths, axes=grid.transformed, workers=1)
    sums = back[tuple(slice(a, a + s) for a, s in zip(shift, grid.step, strict=True))]
    sums = sums + mean * float(weights.sum())
    if exact:
        return np.rint(sums) + 0.0, False
    if not clean:
        _mark(sums, values, read, made.grow(halo), weights)
    return sums, False


def _mean(values: Array, *, exact: bool) -> float:
    mean = float(values.mean()) if values.size else 0.0
    return round(mean) if exact else mean


def _imprecise(values: Array, centred: Array, weights: Array, grid: Blocks) -> bool:
    """Return whether a few huge pixels would drown the rest in rounding.

    The rest is judged by the median step between unequal neighbours: a mean or a deviation would be the huge pixels'.
    """
    with np.errstate(over="ignore"):
        norm = _norm(centred)
        steps = np.abs(np.diff(values[:, ::8], axis=2 if values.shape[2] > 1 else 1))
    steps = steps[steps > 0]
    typical = float(np.median(steps)) if steps.size else 0.0
    bound = error_bound(grid.points, norm, _norm(weights))
    return bound > TOLERANCE * float(np.abs(weights).sum()) * typical > 0 or not math.isfinite(bound)


def _norm(values: Array) -> float:
    """Return the Euclidean norm; not by BLAS, whose threads take longer to wake than this sum."""
    return math.sqrt(float(np.einsum("zyx,zyx->", values, values)))


def _mark(sums: Array, values: Array, read: Box, outer: Box, weights: Array) -> None:
    """Put into *sums* what NaN and infinity make of every pixel whose kernel rectangle touches one."""
    strange = np.zeros(outer.shape, np.uint8)
    strange[read.within(outer)] = ~np.isfinite(values)
    near = touched(strange, weights.shape)
    if np.isinf(values).any():
        padded = np.zeros(outer.shape)
        padded[read.within(outer)] = values
        direct_where(padded, weights, near, sums)
    else:
        sums[near] = np.nan
