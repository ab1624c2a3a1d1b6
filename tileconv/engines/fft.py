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
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.centred import Loaded
from tileconv.engines.direct import direct
from tileconv.engines.fft_factors import Factor, Read, Shared, factors
from tileconv.engines.grid import Blocks, direct_bound, error_bound
from tileconv.engines.nonfinite import kinds, put, reach
from tileconv.engines.separable import touched
from tileconv.engines.transform import convolve, stages
from tileconv.engines.values import FLOAT64

Array = NDArray[Any]

TOLERANCE = 2.0**-20
"""A block is summed directly when its bound exceeds this share of ``sum |k|`` times the typical step to a neighbour."""
SAFE = 1e-15, 1e18
"""Norms of a block between which float32 neither overflows nor loses digits to numbers too small for it."""
SAMPLED = 4096
"""Pixels of a block, at least, that say what its typical pixel is."""


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
    out, kernel = np.empty(want.shape, dtype), Factor(weights, halo, grid, exact)
    return out, sum(_one_block(block, have, cell, kernel, want, out) for cell in _cells(grid, want))


def fft_each(
    block: Array, have: Box, want: Box, weights: Sequence[Array], halo: Halo, grid: Blocks, *,
    exact: bool, dtype: np.dtype[Any],
) -> Iterator[tuple[int, Box, Array, int]]:  # fmt: skip
    """Yield what ``fft`` makes under each of several *weights* of one shape, part by part of *want*.

    That is which weights, the part, its sums, and how many blocks fell back. What a block reads is transformed once
    for all of them; the sums have the bits of each alone.
    """
    kernels = factors(tuple(w.tobytes() for w in weights), weights[0].shape, halo, grid, exact)
    shared = Shared({}) if len(kernels) > 1 else None
    for cell in _cells(grid, want):
        part = cell.intersect(want)
        for number, kernel in enumerate(kernels):
            made = np.empty(part.shape, dtype)
            yield number, part, made, _one_block(block, have, cell, kernel, part, made, shared)
        if shared:
            shared.reads.clear()


def _cells(grid: Blocks, want: Box) -> Iterator[Box]:
    """Yield the blocks of the canonical grid that touch *want*."""
    ends = [grid.cover(axis, want.start[axis], want.stop[axis]) for axis in range(3)]
    for start in product(*(range(a, b, s) for (a, b), s in zip(ends, grid.step, strict=True))):
        yield Box(start, tuple(a + s for a, s in zip(start, grid.step, strict=True)), want.axes)


def _one_block(
    block: Array, have: Box, cell: Box, kernel: Factor, want: Box, out: Array, shared: Shared | None = None
) -> int:
    """Write into *out* (*want*) what the block *cell* of the canonical grid gives; return blocks summed directly."""
    part = cell.intersect(want)
    grid, around = kernel.grid, cell.grow(kernel.halo)
    read = around.intersect(have)
    outer = around if grid.zeros_around is None else read
    held = shared.reads.get((kernel.type, cell)) if shared else None
    if held is None:
        loaded = Loaded.of(block, have, read)
        if grid.narrow and not math.isfinite(loaded.total):
            return _in_float64(block, have, cell, kernel, want, out, shared)
        held = Read.of(loaded, read, outer, kernel, whole=kernel.exact or block.dtype.kind in "iu")
        if shared:
            shared.reads[kernel.type, cell] = held
    values, base = held.values, kernel.base(held.mean)
    drowned = not kernel.exact and _imprecise(held.loaded.pixels, held.norm, kernel)
    if drowned and grid.narrow:
        return _in_float64(block, have, cell, kernel, want, out, shared)
    if drowned:
        out = out[part.within(want)]
        out[...] = direct(_padded(held.loaded.pixels, read, around), kernel.weights)[part.within(cell)]
        _mark(out, values, read, around, part.within(cell), kernel.weights)
        return 1
    if held.level and kernel.plain(base):
        out[part.within(want)] = np.rint(base) + 0.0 if kernel.exact else base
        return 0
    if grid.paired:
        _convolve_pair(held, kernel, cell, part, want, out, shared)
        return 0
    out = out[part.within(want)]
    # entry p of the circular convolution is the sum whose last pixel is p of the transform
    shift = [k - 1 - (a - b) for k, a, b in zip(kernel.weights.shape, outer.start, around.start, strict=True)]
    wanted = [slice(a, a + n) for a, n in zip(shift, cell.shape, strict=True)]
    back = _convolved(held, kernel, wanted, keep=shared is not None)
    back = back[part.within(cell)]
    if kernel.exact:
        out[...] = np.rint(back + base) + 0.0  # which has no negative zero
        return 0
    np.add(back, base, out=out, casting="same_kind")
    _mark(out, values, read, around, part.within(cell), kernel.weights)
    return 0


def _in_float64(
    block: Array, have: Box, cell: Box, kernel: Factor, want: Box, out: Array, shared: Shared | None
) -> int:
    """Do what ``_one_block`` does in float64: a paired block is two blocks then."""
    wide = kernel.in_float64
    (z, first, x), step = cell.start, wide.grid.step
    starts = ((z, y, x) for y in range(first, cell.stop[1], step[1]))
    halves = [Box(at, tuple(a + s for a, s in zip(at, step, strict=True)), cell.axes) for at in starts]
    return sum(_one_block(block, have, half, wide, want, out, shared) for half in halves if half.intersect(want).size)


def _convolve_pair(
    read: Read, kernel: Factor, cell: Box, part: Box, want: Box, out: Array, shared: Shared | None
) -> None:
    """Write the sums of *part* from what the paired block *cell* reads."""
    grid, base = kernel.grid, kernel.base(read.mean)
    sizes = grid.step[1] // 2, stages(grid.length[1]), stages(grid.length[2])
    (z, *at), (plane, *first) = ([a - b for a, b in zip(part.start, box.start, strict=True)] for box in (want, cell))
    for n in range(part.shape[0]):
        box = (*at, *first, *part.shape[1:])
        if shared is None:
            convolve(read.centred[plane + n], *sizes, kernel.spectrum, kernel.scratch, base, out[z + n], box)
            continue
        from tileconv.engines.transform_once import convolve_transformed, transformed  # banks alone compile them

        if n not in read.transforms:
            read.transforms[n] = kernel.new_scratch()
            transformed(read.centred[plane + n], *sizes, read.transforms[n])
        if shared.product is None:
            shared.product = np.empty_like(read.transforms[n])
        convolve_transformed(read.transforms[n], *sizes, kernel.spectrum, shared.product, base, out[z + n], box)


def _convolved(read: Read, kernel: Factor, wanted: list[slice], *, keep: bool) -> Array:
    """Return the *wanted* part of the circular convolution of what a block reads, zeros added, with turned weights."""
    import scipy.fft

    grid, centred = kernel.grid, read.centred
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
        transform = read.transforms.get(-1)
        if transform is None:
            transform = scipy.fft.rfftn(centred, s=lengths, axes=grid.transformed, workers=1)
        if keep:
            read.transforms[-1] = transform
        transform = np.multiply(transform, kernel.spectrum, out=None if keep else transform)
    for axis in first:  # the inverse, one axis at a time: rows that nobody wants are not transformed further
        transform = scipy.fft.ifft(transform, axis=axis, overwrite_x=True, workers=1)
        transform = transform[tuple(wanted[axis] if a == axis else slice(None) for a in range(3))]
    line = scipy.fft.irfft(transform, grid.length[last], axis=last, workers=1)
    return np.asarray(line[tuple(slice(None) if axis in first else wanted[axis] for axis in range(3))])


def _imprecise(pixels: Array, norm: float, kernel: Factor) -> bool:
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
