"""Compiled loops of formulas, imported when a stage runs: a pipeline is checked without Numba."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tileconv.engines.loops import njit
from tileconv.operations.operation import Array


@njit(nogil=True, cache=True)
def magnitude(parts: tuple[Array, ...], row: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Sum squares in *row*, whose type is wide enough for them, and write the root."""
    real = row.dtype.type
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            row[:] = 0
            for part in parts:
                pixels = part[z, y]
                for x in range(row.shape[0]):
                    value = real(pixels[x])
                    row[x] += value * value
            for x in range(row.shape[0]):
                out[z, y, x] = real(math.sqrt(row[x]))


@njit(nogil=True, cache=True)
def magnitude_again(parts: tuple[Array, ...], low: Any, high: Any, out: Array) -> None:  # pragma: no cover - compiled
    """Make what does not lie between *low* and *high* again from parts that are divided by the largest first."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            odd = False
            for x in range(out.shape[2]):  # without branches: it vectorises, and most rows end here
                odd |= (out[z, y, x] <= low) | (out[z, y, x] >= high)
            if not odd:
                continue
            for x in range(out.shape[2]):
                if low < out[z, y, x] < high or math.isnan(out[z, y, x]):
                    continue
                largest = 0.0
                for part in parts:
                    largest = max(largest, abs(part[z, y, x]))
                if 0 < largest < math.inf:
                    total = 0.0
                    for part in parts:
                        share = part[z, y, x] / largest
                        total += share * share
                    out[z, y, x] = largest * math.sqrt(total)


@njit(nogil=True, cache=True)
def unsharp(
    pixels: Array, blurred: Array, amount: Any, threshold: Any, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the pixel, and where it differs from *blurred* by at least *threshold* so much more of it."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                pixel = pixels[z, y, x]
                difference = pixel - blurred[z, y, x]
                # written so that a NaN in the blur passes
                out[z, y, x] = pixel if abs(difference) < threshold else pixel + amount * difference


@njit(nogil=True, cache=True)
def bilateral(block: Array, near: Array, factor: float, out: Array) -> None:  # pragma: no cover - compiled
    """Write means of windows of *block*, weighted by *near* and by ``exp(factor * difference**2)``, in float64."""
    depth, height, width = near.shape
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                middle = float(block[z + depth // 2, y + height // 2, x + width // 2])
                weight = total = 0.0
                for k in range(depth):
                    for j in range(height):
                        for i in range(width):
                            pixel = float(block[z + k, y + j, x + i])
                            difference = pixel - middle
                            share = near[k, j, i] * math.exp(factor * difference * difference)
                            weight += share
                            total += share * difference
                out[z, y, x] = middle + total / weight


@njit(nogil=True, cache=True)
def bilateral_by_table(block: Array, near: Array, alike: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Write the same of whole numbers, whose weights by difference are *alike*."""
    depth, height, width = near.shape
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                middle = np.int64(block[z + depth // 2, y + height // 2, x + width // 2])  # of uint8 int() is unsigned
                weight = total = 0.0
                for k in range(depth):
                    for j in range(height):
                        for i in range(width):
                            difference = np.int64(block[z + k, y + j, x + i]) - middle
                            share = near[k, j, i] * alike[abs(difference)]
                            weight += share
                            total += share * difference
                out[z, y, x] = middle + total / weight
