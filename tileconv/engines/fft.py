"""The FFT engine: overlap-save in blocks of the canonical grid (``engines/grid.py``).

Method: overlap-save (Oppenheim and Schafer 2010, Discrete-Time Signal Processing, section 8.7). The mean of each block
is taken off before the transform and put back as ``mean * sum(weights)``, which keeps bright flat fields accurate.
Pixels farther outside the image than the kernel reaches count as the block's mean, which cannot touch a result.

A plan says whether transforms run in float64 or, where the bound of ``choose`` allows, in float32. A block whose pixels
would make too much of the rounding goes from float32 to float64, and from float64 to direct sums; that is decided by
the block's own pixels, which are the same in every tiling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.centred import Loaded
from tileconv.engines.direct import direct
from tileconv.engines.grid import Blocks, direct_bound, error_bound
from tileconv.engines.nonfinite import kinds, put, reach
from tileconv.engines.separable import touched
from tileconv.engines.transform import convolve, spectrum, stages
from tileconv.engines.values import FLOAT32, FLOAT64

Array = NDArray[Any]

TOLERANCE = 2.0**-20
"""A block is summed directly when its bound exceeds this share of ``sum |k|`` times the typical step to a neighbour."""
SAFE = 1e-15, 1e18
"""Norms of a block between which float32 neither overflows nor loses digits to numbers too small for it."""
CACHED_SPECTRA = 12
SAMPLED = 4096
"""Pixels of a block, at least, that say what its typical pixel is."""


@dataclass(frozen=True)
class _Kernel:
    """The weights of one call, with what every block wants to know of them."""

    weights: Array
    halo: Halo
    grid: Blocks
    exact: bool

    @cached_property
    def sum(self) -> float:
        return float(self.weights.sum())

    @cached_property
    def gain(self) -> float:
        return float(np.abs(self.weights).sum())

    @cached_property
    def norm(self) -> float:
        return _norm(self.weights)

    @cached_property
    def spectrum(self) -> Array:
        grid = self.grid
        made_for = grid.length, grid.transformed, self.type, grid.paired
        return _spectrum(self.weights.tobytes(), self.weights.shape, *made_for)

    @cached_property
    def scratch(self) -> Array:
        scratch = np.empty_like(self.spectrum)
        scratch[-1] = 0  # of which there may be lanes that nothing is put into
        return scratch

    @cached_property
    def type(self) -> np.dtype[Any]:
        return FLOAT32 if self.grid.narrow else FLOAT64

    @cached_property
    def in_float64(self) -> _Kernel:
        return replace(self, grid=self.grid.in_float64)


@lru_cache(maxsize=CACHED_SPECTRA)
def _spectrum(
    weights: bytes,
    shape: tuple[int, ...],
    length: tuple[int, ...],
    axes: tuple[int, ...],
    real: np.dtype[Any],
    paired: bool,
) -> Array:
    """Return the transform of the weights, turned round because a transform convolves."""
    import scipy.fft  # here and below: plans weigh this engine always, and use it seldom

    kernel = np.frombuffer(weights, np.float64).reshape(shape)
    if paired:
        return spectrum(kernel[0], (length[1], length[2]))
    turned = kernel[::-1, ::-1, ::-1]
    made = scipy.fft.rfftn(turned, s=[length[axis] for axis in axes], axes=axes, workers=1)
    return made.astype(np.result_type(real, np.complex64), copy=False)


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
        The sums, in the shape of *want*; NaN and infinity reach those that have them under weights that are not 0.
    """
    out = np.empty(want.shape, dtype)
    kernel = _Kernel(weights, halo, grid, exact)
    fallbacks = 0
    ends = [grid.cover(axis, want.start[axis], want.stop[axis]) for axis in range(3)]
    for start in product(*(range(a, b, s) for (a, b), s in zip(ends, grid.step, strict=True))):
        cell = Box(start, tuple(a + s for a, s in zip(start, grid.step, strict=True)), want.axes)
        fallbacks += _one_block(block, have, cell, kernel, want, out)
    return out, fallbacks


def _one_block(block: Array, have: Box, cell: Box, kernel: _Kernel, want: Box, out: Array) -> int:
    """Write into *out* (*want*) what the block *cell* of the canonical grid gives; return blocks summed directly."""
    part = cell.intersect(want)
    grid, around = kernel.grid, cell.grow(kernel.halo)
    read = around.intersect(have)
    outer = around if grid.zeros_around is None else read
    loaded = Loaded.of(block, have, read)
    if grid.narrow and not math.isfinite(loaded.total):
        return _in_float64(block, have, cell, kernel, want, out)
    loaded, values = loaded.finite()
    whole = kernel.exact or block.dtype.kind in "iu"
    mean = 0.0 if grid.zeros_around else _mean(loaded.total / max(1, read.size), whole=whole, real=kernel.type)
    centred, norm = loaded.less(mean, read, outer, kernel.type)
    if values is not None:  # pixels of NaN or infinity are zeros of the block
        centred[read.within(outer)][~np.isfinite(values)] = 0.0
        norm = _norm(centred)
    drowned = not kernel.exact and _imprecise(loaded.pixels, norm, kernel)
    if drowned and grid.narrow:
        return _in_float64(block, have, cell, kernel, want, out)
    if drowned:
        out = out[part.within(want)]
        out[...] = direct(_padded(loaded.pixels, read, around), kernel.weights)[part.within(cell)]
        _mark(out, values, read, around, part.within(cell), kernel.weights)
        return 1
    if grid.paired:
        _convolve_pair(centred, kernel, mean, cell, part, want, out)
        return 0
    out = out[part.within(want)]
    # entry p of the circular convolution is the sum whose last pixel is p of the transform
    shift = [k - 1 - (a - b) for k, a, b in zip(kernel.weights.shape, outer.start, around.start, strict=True)]
    back = _convolved(centred, kernel, [slice(a, a + n) for a, n in zip(shift, cell.shape, strict=True)])
    back = back[part.within(cell)]
    if kernel.exact:
        out[...] = np.rint(back + mean * kernel.sum) + 0.0  # which has no negative zero
        return 0
    np.add(back, kernel.type.type(mean * kernel.sum), out=out, casting="same_kind")
    _mark(out, values, read, around, part.within(cell), kernel.weights)
    return 0


def _in_float64(block: Array, have: Box, cell: Box, kernel: _Kernel, want: Box, out: Array) -> int:
    """Do what ``_one_block`` does in float64: a paired block is two blocks then."""
    wide = kernel.in_float64
    (z, first, x), step = cell.start, wide.grid.step
    starts = ((z, y, x) for y in range(first, cell.stop[1], step[1]))
    halves = [Box(at, tuple(a + s for a, s in zip(at, step, strict=True)), cell.axes) for at in starts]
    return sum(_one_block(block, have, half, wide, want, out) for half in halves if half.intersect(want).size)


def _convolve_pair(centred: Array, kernel: _Kernel, mean: float, cell: Box, part: Box, want: Box, out: Array) -> None:
    """Write the sums of *part* from *centred*, the pixels that the paired block *cell* reads less their *mean*."""
    grid, base = kernel.grid, kernel.type.type(mean * kernel.sum)
    sizes = grid.step[1] // 2, stages(grid.length[1]), stages(grid.length[2])
    (z, *at), (plane, *first) = ([a - b for a, b in zip(part.start, box.start, strict=True)] for box in (want, cell))
    for n in range(part.shape[0]):
        box = (*at, *first, *part.shape[1:])
        convolve(centred[plane + n], *sizes, kernel.spectrum, kernel.scratch, base, out[z + n], box)


def _convolved(centred: Array, kernel: _Kernel, wanted: list[slice]) -> Array:
    """Return the *wanted* part of the circular convolution of *centred*, zeros added, with the turned weights."""
    import scipy.fft

    grid = kernel.grid
    lengths = [grid.length[axis] for axis in grid.transformed]
    *first, last = grid.transformed
    if grid.zeros_around is not None and not first and centred.size == centred.shape[last]:
        # pixels and weights of one line in one call: SciPy transforms two lines in the time of one
        lines = np.zeros((2, lengths[0]), kernel.type)
        lines[0, : centred.size], lines[1, : kernel.weights.size] = centred.ravel(), kernel.weights.ravel()[::-1]
        transforms = scipy.fft.rfft(lines, workers=1)
        transform = np.multiply(transforms[0], transforms[1], out=transforms[0])
        transform = transform.reshape([-1 if axis == last else 1 for axis in range(3)])
    else:
        transform = scipy.fft.rfftn(centred, s=lengths, axes=grid.transformed, workers=1)
        transform *= kernel.spectrum
    for axis in first:  # the inverse, one axis at a time: rows that nobody wants are not transformed further
        transform = scipy.fft.ifft(transform, axis=axis, overwrite_x=True, workers=1)
        transform = transform[tuple(wanted[axis] if a == axis else slice(None) for a in range(3))]
    line = scipy.fft.irfft(transform, grid.length[last], axis=last, workers=1)
    return np.asarray(line[tuple(slice(None) if axis in first else wanted[axis] for axis in range(3))])


def _norm(values: Array) -> float:
    """Return the Euclidean norm; not by BLAS, whose threads take longer to wake than this sum."""
    return math.sqrt(float(np.einsum("zyx,zyx->", values, values)))


def _mean(mean: float, *, whole: bool, real: np.dtype[Any]) -> float:
    """Return *mean* as *real* holds it, and so that whole numbers less it are whole."""
    with np.errstate(over="ignore"):
        return float(round(mean)) if whole else float(real.type(mean))


def _imprecise(pixels: Array, norm: float, kernel: _Kernel) -> bool:
    """Return whether a few huge pixels would drown the rest in rounding.

    float32 is judged by the typical pixel: the bound must not exceed that of direct sums of such pixels. float64 is
    judged by the typical step between unequal neighbours. Medians: a mean or a deviation would be the huge pixels'.
    """
    grid = kernel.grid
    # rows that both blocks of a pair read count twice
    bound = error_bound(grid.points, math.sqrt(grid.held / grid.points) * norm, kernel.norm, narrow=grid.narrow)
    if not math.isfinite(bound):
        return True
    axis = 2 if pixels.shape[2] > 1 else 1
    rows = pixels[:, ::8] if axis == 2 else pixels.swapaxes(1, 2)
    every = (rows.size // SAMPLED) | 1  # odd: fewer patterns repeat so
    these, those = (rows[..., n::every].astype(np.float64) for n in (0, 1))
    if grid.narrow:
        typical = _median(np.abs(these))
        outside = norm != 0 and not SAFE[0] < norm < SAFE[1]
        return outside or bound > direct_bound(kernel.weights.size, kernel.gain) * typical
    with np.errstate(over="ignore"):
        typical = _median(np.abs(those - these[..., : those.shape[-1]]))
    return bound > TOLERANCE * kernel.gain * typical > 0


def _median(sizes: Array) -> float:
    """Return the median of those that are not zero, or 0."""
    sizes = sizes[sizes > 0]
    return float(np.partition(sizes, sizes.size // 2)[sizes.size // 2]) if sizes.size else 0.0


def _padded(pixels: Array, read: Box, around: Box) -> Array:
    """Return *pixels* with zeros up to *around*, in float64."""
    padded = np.zeros(around.shape)
    padded[read.within(around)] = pixels
    return padded


def _mark(out: Array, values: Array | None, read: Box, around: Box, part: tuple[slice, ...], weights: Array) -> None:
    """Put into *out*, the sums without them, what NaN and infinity in *values* make of those that they reach."""
    if values is None:  # all are finite
        return
    strange = np.zeros(around.shape, np.uint8)
    strange[read.within(around)] = kinds(values)
    near = touched((strange > 0).view(np.uint8), weights.shape)
    put(out, reach(strange, weights, near)[part])
