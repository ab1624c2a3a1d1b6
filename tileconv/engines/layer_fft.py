"""Sums over channels by transforms: a network's layer of large kernels, block by block of the canonical grid.

Method: overlap-save (Oppenheim and Schafer 2010, section 8.7), in float64. Every channel of a block is transformed
once; products with the transforms of the kernels are added up over the in-channels in their order, and one inverse
transform makes each out-channel. The grid begins at the origin of the image, so that the block of a pixel, and what it
reads, is the same in every tiling. Where it reads NaN or infinity the block is made by products of matrices.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.activations import LOOPS
from tileconv.engines.filters import Filters, Taps
from tileconv.engines.loops import njit
from tileconv.engines.products import add, layer
from tileconv.engines.waves import Waves

Array = NDArray[Any]

_lock = threading.Lock()
AT_ONCE = 1024
"""Frequencies whose sums stay in the L1 cache."""


def layer_by_fft(
    filters: Filters, groups: int, waves: Waves, channels: Sequence[Array], out: Box, image: Box,
    dtype: np.dtype[Any], activation: str, slope: float,
) -> Array:  # fmt: skip
    """Return the pixels of *out* of every out-channel (out-channels, z, y, x), in the type *dtype*.

    Parameters
    ----------
    channels
        Each (z, y, x): the pixels under the blocks of *waves* that touch *out*, as far as *image* reaches, all that the
        layer makes.
    activation
        ``none``, or one of ``activations.LOOPS``, with its *slope*.
    """
    factors = _spectra(filters, waves)
    made = np.empty((len(filters.weights), *out.shape), dtype)
    _, begin_y, begin_x = (max(a // waves.step * waves.step, b) for a, b in zip(out.start, image.start, strict=True))
    for cell in _cells(out, image, waves.step):
        part = cell.intersect(out)
        z, y, x = (a - b for a, b in zip(cell.start, (out.start[0], begin_y, begin_x), strict=True))
        high, wide = (n + k - 1 for n, k in zip(cell.shape[1:], filters.weights.shape[3:], strict=True))
        read = [channel[z : z + 1, y : y + high, x : x + wide] for channel in channels]
        if all(np.isfinite(pixels).all() for pixels in read):
            sums = _sums(read, factors, groups, waves, cell.shape[1:])[(slice(None), *part.within(cell)[1:])]
            some = np.array(sums, dtype, order="C")
            add(some.reshape(1, 1, len(some), -1), filters.bias.astype(dtype))
            if activation != "none":
                LOOPS[activation](some.reshape(-1), slope)
        else:
            taps = Taps(filters.weights.shape[2:], (1, 1, 1), (1, 1, 1))
            under = [pixels[:, part.start[1] - cell.start[1] :, part.start[2] - cell.start[2] :] for pixels in read]
            some = layer(filters, groups, taps, under, part, dtype, activation, slope)[:, 0]
        made[(slice(None), *part.within(out))] = some[:, None]
    return made


def _cells(out: Box, image: Box, step: int) -> list[Box]:
    """Return the blocks of the canonical grid that touch *out*, as far as they lie in *image*."""
    high, wide = (range(a // step * step, b, step) for a, b in zip(out.start[1:], out.stop[1:], strict=True))
    starts = product(range(out.start[0], out.stop[0]), high, wide)
    return [Box((z, y, x), (z + 1, y + step, x + step), out.axes).intersect(image) for z, y, x in starts]


def _sums(read: Sequence[Array], factors: Array, groups: int, waves: Waves, shape: Sequence[int]) -> Array:
    """Return the sums (out-channel, y, x) of a block of *shape*, in float64."""
    import scipy.fft

    ins, outs = factors.shape[1], len(factors) // groups
    pixels = np.zeros((len(read), *waves.length))
    for channel, into in zip(read, pixels, strict=True):
        into[: channel.shape[1], : channel.shape[2]] = channel[0]
    transforms = scipy.fft.rfft2(pixels, workers=1, overwrite_x=True)
    total = np.empty((len(factors), *transforms.shape[1:]), transforms.dtype)
    for group in range(groups):
        here = slice(group * outs, (group + 1) * outs)
        given = transforms[group * ins :][:ins].reshape(ins, -1)
        accumulate(given, factors[here].reshape(outs, ins, -1), total[here].reshape(outs, -1))
    lines = scipy.fft.ifft(total, axis=1, workers=1, overwrite_x=True)[:, : shape[0]]
    made: Array = scipy.fft.irfft(lines, waves.length[1], axis=2, workers=1)[..., : shape[1]]
    return made


def _spectra(filters: Filters, waves: Waves) -> Array:
    """Return the transforms of all kernels, for correlation: (out-channel, in-channel, y, x)."""
    with _lock:  # two threads would make and hold them twice
        return _made_spectra(filters, waves)


@lru_cache(maxsize=8)
def _made_spectra(filters: Filters, waves: Waves) -> Array:
    import scipy.fft

    outs, ins = filters.weights.shape[:2]
    made = np.empty((outs, ins, waves.length[0], waves.length[1] // 2 + 1), np.complex128)
    for kernels, into in zip(filters.weights[:, :, 0].astype(np.float64), made, strict=True):
        np.conj(scipy.fft.rfft2(kernels, s=waves.length, workers=1), out=into)
    return made


@njit(nogil=True, cache=True)
def accumulate(given: Array, factors: Array, total: Array) -> None:  # pragma: no cover - compiled
    """Write the sums over in-channels of what is *given* (in-channel, number) times *factors* into *total*."""
    for first in range(0, given.shape[1], AT_ONCE):
        last = min(first + AT_ONCE, given.shape[1])
        for out in range(factors.shape[0]):
            sums = total[out, first:last]
            for i in range(last - first):
                sums[i] = 0
            for channel in range(factors.shape[1]):
                pixels, weights = given[channel, first:last], factors[out, channel, first:last]
                for i in range(last - first):
                    sums[i] += pixels[i] * weights[i]
