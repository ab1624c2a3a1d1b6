"""The pixels that a block of the FFT reads, less their mean: what is transformed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.direct import LOADABLE, loadable
from tileconv.engines.loops import njit
from tileconv.engines.values import FLOAT64
from tileconv.quick import dataclass

Array = NDArray[Any]

LANES = 512
"""Sums over a block that grow side by side."""


@dataclass(frozen=True)
class Loaded:
    """The *pixels* of a block, where they begin in an *array* that compiled loops take, and their *total*."""

    pixels: Array
    array: Array
    corner: tuple[int, ...]
    total: float

    @classmethod
    def of(cls, block: Array, have: Box, read: Box) -> Loaded:
        """Return the pixels of *read* in *block*, which holds *have*."""
        pixels = block[read.within(have)]
        array, corner = block, tuple(a - b for a, b in zip(read.start, have.start, strict=True))
        if not block.flags.c_contiguous or block.dtype.name not in LOADABLE[FLOAT64]:
            array, corner = loadable(pixels, FLOAT64), (0, 0, 0)
        return cls(pixels, array, corner, _total(array, corner, read.shape))

    def finite(self) -> tuple[Loaded, Array | None]:
        """Return the pixels with zeros for NaN and infinity, and as they were in float64; None if all are finite."""
        if math.isfinite(self.total):
            return self, None
        values = self.pixels.astype(np.float64)
        pixels, corner = np.where(np.isfinite(values), values, 0.0), (0, 0, 0)
        return Loaded(pixels, pixels, corner, _total(pixels, corner, pixels.shape)), values

    def less(self, mean: float, read: Box, outer: Box, real: np.dtype[Any]) -> tuple[Array, float]:
        """Return *outer* with the pixels of *read* less *mean*, and the norm; outside them it is zero, the mean."""
        centred = (np.empty if outer.shape == read.shape else np.zeros)(outer.shape, real)
        with np.errstate(over="ignore"):  # pixels beyond float32 make the norm infinite
            norm = math.sqrt(_centre(self.array, self.corner, real.type(mean), centred[read.within(outer)]))
        return centred, norm


@njit(nogil=True, cache=True)
def _total(block: Array, corner: Any, shape: Any) -> float:  # pragma: no cover - compiled
    """Return the sum of the pixels of *shape* from *corner* on; many sums at once vectorise in a fixed order."""
    sums = np.zeros(LANES)
    for z in range(corner[0], corner[0] + shape[0]):
        for y in range(corner[1], corner[1] + shape[1]):
            row = block[z, y, corner[2] : corner[2] + shape[2]]
            for first in range(0, shape[2], LANES):
                part = row[first : first + LANES]
                for x in range(part.shape[0]):
                    sums[x] += part[x]
    total = 0.0
    for x in range(LANES):
        total += sums[x]
    return total


@njit(nogil=True, cache=True)
def _centre(block: Array, corner: Any, mean: Any, out: Array) -> float:  # pragma: no cover - compiled
    """Write the pixels from *corner* on less *mean* into *out*; return the sum of their squares."""
    real = out.dtype.type
    squares = np.zeros(LANES)
    centred = np.empty(LANES, out.dtype)
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            row = block[corner[0] + z, corner[1] + y, corner[2] : corner[2] + out.shape[2]]
            for first in range(0, out.shape[2], LANES):
                part = row[first : first + LANES]
                for x in range(part.shape[0]):
                    centred[x] = real(part[x]) - mean
                    squares[x] += np.float64(centred[x]) * np.float64(centred[x])
                into = out[z, y, first : first + LANES]
                for x in range(part.shape[0]):  # not by slices: Numba would compile the text of their error for 2 s
                    into[x] = centred[x]
    total = 0.0
    for x in range(LANES):
        total += squares[x]
    return total
