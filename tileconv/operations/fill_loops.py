"""Compiled loops that look around missing pixels, imported when a stage runs."""

from __future__ import annotations

import math

from tileconv.engines.loops import njit
from tileconv.operations.operation import Array


@njit(nogil=True, cache=True)
def nearest(block: Array, places: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Write for NaN in *out* the first pixel that is none, of those at *places* in the window of *block*."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                if not math.isnan(out[z, y, x]):
                    continue
                for n in range(places.shape[0]):
                    pixel = block[z + places[n, 0], y + places[n, 1], x + places[n, 2]]
                    if not math.isnan(pixel):
                        out[z, y, x] = pixel
                        break


@njit(nogil=True, cache=True)
def mean(block: Array, weights: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Write for NaN in *out* the mean by *weights* of the pixels of *block* around it that are none, in float64."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                if not math.isnan(out[z, y, x]):
                    continue
                total = share = 0.0
                for k in range(weights.shape[0]):
                    for j in range(weights.shape[1]):
                        for i in range(weights.shape[2]):
                            pixel = float(block[z + k, y + j, x + i])
                            if not math.isnan(pixel):
                                total += weights[k, j, i] * pixel
                                share += weights[k, j, i]
                if share > 0:
                    out[z, y, x] = total / share
