"""The paired blocks of ``transform``, with one forward transform for many kernels: the same steps, the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tileconv.engines.butterflies import forward, inverse
from tileconv.engines.grid import LANES
from tileconv.engines.loops import njit
from tileconv.engines.transform import Array, _load, _store, _turn, _turn_back


@njit(nogil=True, cache=True)
def transformed(
    pixels: Array, rows: int, y_stages: Any, x_stages: Any, into: Array
) -> None:  # pragma: no cover - compiled
    """Write the transform of *pixels* into *into*, which is like the *scratch* of ``convolve``, as the others are."""
    strip = np.empty((y_stages[1].shape[1], 2 * LANES), np.float32)
    if pixels.shape[1] < LANES:
        strip[:] = 0
    for x in range(0, pixels.shape[1], LANES):
        _load(strip, pixels, rows, x)
        forward(strip, y_stages)
        _turn(strip, into, x, min(LANES, pixels.shape[1] - x))
    for s in range(into.shape[0]):
        into[s, pixels.shape[1] :] = 0
        forward(into[s], x_stages)


@njit(nogil=True, cache=True)
def convolve_transformed(
    given: Array,
    rows: int,
    y_stages: Any,
    x_stages: Any,
    kernel: Array,
    product: Array,
    base: Any,
    out: Array,
    box: Any,
) -> None:  # pragma: no cover - compiled
    """Do what ``convolve`` does with pixels whose transform is *given*, and stays; *product* is overwritten."""
    strip = np.empty((y_stages[1].shape[1], 2 * LANES), np.float32)
    for s in range(given.shape[0]):
        _product(given[s], kernel[s], product[s])
        inverse(product[s], x_stages)
    for x in range(0, box[5], LANES):
        _turn_back(strip, product, box[3] + x, min(LANES, box[5] - x))
        inverse(strip, y_stages)
        _store(strip, rows, base, out, box, x)


@njit(nogil=True, cache=True)
def _product(z: Array, kernel: Array, into: Array) -> None:  # pragma: no cover - compiled
    for y in range(z.shape[0]):
        for x in range(LANES):
            real, imaginary = z[y, x], z[y, LANES + x]
            into[y, x] = real * kernel[y, x] - imaginary * kernel[y, LANES + x]
            into[y, LANES + x] = real * kernel[y, LANES + x] + imaginary * kernel[y, x]
