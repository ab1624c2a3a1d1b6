"""Two real blocks convolved in one complex transform, in float32: the paired blocks of the FFT engine.

Method: the transform of ``a + i b`` times the spectrum of real weights is that of ``a * k + i b * k`` (Press et al.
2007, Numerical Recipes, section 12.3). Forward transforms decimate in frequency and leave it in the order of
``_order``; the spectrum is kept in that order, and inverse transforms decimate in time from there: nothing is ever put
in order (Gentleman and Sande 1966). All loops run over ``LANES`` neighbours of the other axis, which vectorise.

A strip is an array (points, 2 LANES): the real parts of its lanes, then the imaginary ones. A transform along y is made
in strips of neighbouring x; its results are turned into strips of neighbouring y for the transform along x, and back.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.butterflies import forward, inverse
from tileconv.engines.grid import LANES, strips
from tileconv.engines.loops import njit

Array = NDArray[Any]

TURNED = 16
"""Rows that are turned at once; lengths of transforms and ``LANES`` are multiples of it."""
NEAR_BYTES = 28 * 2**10
"""Bytes of a strip that one stage after the other goes through while they stay in the L1 cache."""


def spectrum(weights: Array, length: tuple[int, int]) -> Array:
    """Return the transform of *weights* (y, x) for correlation, float32, axes (strip of y, x, lanes of y).

    ``length`` is that of both transforms, (y, x). The results of ``convolve`` are divided here.
    """
    high, wide = weights.shape
    rows, columns = (_order(n) for n in length)
    lines = np.zeros((high, length[1]))
    lines[:, -np.arange(wide)] = weights / math.prod(length)  # so that the sums of a block begin at the first point
    along_x = np.fft.fft(lines)[:, columns]
    lanes = np.zeros((strips(length[0]), length[1], 2, LANES), np.float32)
    for left in range(0, length[1], TURNED):
        part = along_x[:, left : left + TURNED].T
        lines = np.zeros((part.shape[0], length[0]), part.dtype)
        lines[:, -np.arange(high)] = part
        made = np.fft.fft(lines)[:, rows]
        for strip in range(lanes.shape[0]):
            here = made[:, strip * LANES : (strip + 1) * LANES]
            lanes[strip, left : left + TURNED, 0, : here.shape[1]] = here.real
            lanes[strip, left : left + TURNED, 1, : here.shape[1]] = here.imag
    return lanes.reshape(-1, length[1], 2 * LANES)


@lru_cache(maxsize=64)
def stages(points: int) -> tuple[Array, Array, int, int]:
    """Return how a transform of so many *points* is made.

    Returns
    -------
    tuple[Array, Array, int, int]
        The radices in their order, int64; ``exp(-2 pi i t / points)``, float32 (2, points); how many of the stages go
        through all of a strip; and the points among which the others stay, which come one lot after the other.
    """
    radices, left = [], points
    for radix in (4, 3, 2):
        while left % radix == 0:
            radices.append(radix)
            left //= radix
    turns = np.exp(-2j * np.pi * np.arange(points) / points)
    far, near = 0, points
    while near * 2 * LANES * 4 > NEAR_BYTES:
        near //= radices[far]
        far += 1
    return np.array(radices), np.array([turns.real, turns.imag], np.float32), far, near


def _order(points: int) -> Array:
    """Return which frequency stands where after a forward transform."""
    order = np.zeros(1, np.int64)
    for radix in stages(points)[0][::-1]:
        order = np.concatenate([q + radix * order for q in range(radix)])
    return order


@njit(nogil=True, cache=True)
def convolve(
    pixels: Array,
    rows: int,
    y_stages: Any,
    x_stages: Any,
    kernel: Array,
    scratch: Array,
    base: Any,
    out: Array,
    box: Any,
) -> None:  # pragma: no cover - compiled
    """Write the sums under a kernel, plus *base*, into *out*.

    Parameters
    ----------
    pixels
        float32 (y, x): those of one block, then *rows* rows more, where the second block ends.
    y_stages, x_stages
        ``stages`` of both lengths.
    kernel
        ``spectrum``.
    scratch
        Like *kernel*; lanes beyond the transform's points must be finite, and stay so.
    out, box
        Any floats (y, x), and which of them to write from which sums: the first row and column of *out*, the first row
        and column of the sums, and how many of both.
    """
    strip = np.empty((y_stages[1].shape[1], 2 * LANES), np.float32)
    if pixels.shape[1] < LANES:  # lanes that nothing is loaded into are transformed too, and nobody reads them
        strip[:] = 0
    for x in range(0, pixels.shape[1], LANES):
        _load(strip, pixels, rows, x)
        forward(strip, y_stages)
        _turn(strip, scratch, x, min(LANES, pixels.shape[1] - x))
    for s in range(scratch.shape[0]):
        scratch[s, pixels.shape[1] :] = 0
        forward(scratch[s], x_stages)
        _multiply(scratch[s], kernel[s])
        inverse(scratch[s], x_stages)
    for x in range(0, box[5], LANES):
        _turn_back(strip, scratch, box[3] + x, min(LANES, box[5] - x))
        inverse(strip, y_stages)
        _store(strip, rows, base, out, box, x)


@njit(nogil=True, cache=True)
def _load(strip: Array, pixels: Array, rows: int, x: int) -> None:  # pragma: no cover - compiled
    wide, half = min(LANES, pixels.shape[1] - x), pixels.shape[0] - rows
    for y in range(half):
        for c in range(wide):
            strip[y, c] = pixels[y, x + c]
            strip[y, LANES + c] = pixels[rows + y, x + c]
    strip[half:] = 0


@njit(nogil=True, cache=True)
def _turn(strip: Array, scratch: Array, x: int, wide: int) -> None:  # pragma: no cover - compiled
    for y in range(0, strip.shape[0], TURNED):
        turned, lane = scratch[y // LANES], y % LANES
        for c in range(wide):
            for i in range(TURNED):
                turned[x + c, lane + i] = strip[y + i, c]
            for i in range(TURNED):
                turned[x + c, LANES + lane + i] = strip[y + i, LANES + c]


@njit(nogil=True, cache=True)
def _turn_back(strip: Array, scratch: Array, x: int, wide: int) -> None:  # pragma: no cover - compiled
    for y in range(0, strip.shape[0], TURNED):
        turned, lane = scratch[y // LANES], y % LANES
        for c in range(wide):
            for i in range(TURNED):
                strip[y + i, c] = turned[x + c, lane + i]
            for i in range(TURNED):
                strip[y + i, LANES + c] = turned[x + c, LANES + lane + i]


@njit(nogil=True, cache=True)
def _store(strip: Array, rows: int, base: Any, out: Array, box: Any, x: int) -> None:  # pragma: no cover - compiled
    out_y, out_x, first, _, tall, broad = box
    wide = min(LANES, broad - x)
    for y in range(first, first + tall):
        row = out[out_y + y - first, out_x + x : out_x + x + wide]
        sums = strip[y, :LANES] if y < rows else strip[y - rows, LANES:]
        for c in range(wide):
            row[c] = sums[c] + base


@njit(nogil=True, cache=True)
def _multiply(z: Array, kernel: Array) -> None:  # pragma: no cover - compiled
    for y in range(z.shape[0]):
        for x in range(LANES):
            real, imaginary = z[y, x], z[y, LANES + x]
            z[y, x] = real * kernel[y, x] - imaginary * kernel[y, LANES + x]
            z[y, LANES + x] = real * kernel[y, LANES + x] + imaginary * kernel[y, x]
