"""The direct engine: every weight times every pixel, in one fixed order.

An output pixel sees the same operations in the same order wherever it falls in a block, because the loops run over
weights outside and over pixels inside, and every operation rounds as IEEE 754 says: no ``fastmath``. That is why the
bytes do not depend on tiles (docs/decisions/005-no-contraction.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.engine import Candidate, Engine, Wanted
from tileconv.engines.expected import Spread, running_error
from tileconv.engines.kernel import MAX_WEIGHTS
from tileconv.engines.loops import njit
from tileconv.engines.values import Values

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

Array = NDArray[Any]


# Loops over slices, because Numba vectorises them; one pass over a row for every four weights, and one for the rest.


@njit(nogil=True, cache=True)
def add_along(pixels: Array, line: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add ``line[k] * pixels[x + k]`` to ``row[x]``, k ascending."""
    real = line.dtype.type
    width = row.shape[0]
    taps = line.shape[0]
    k = 0
    while k + 4 <= taps:
        a, b, c, d = line[k], line[k + 1], line[k + 2], line[k + 3]
        for x in range(width):
            p, q, r, s = pixels[x + k], pixels[x + k + 1], pixels[x + k + 2], pixels[x + k + 3]
            row[x] = (((row[x] + a * real(p)) + b * real(q)) + c * real(r)) + d * real(s)
        k += 4
    if taps - k == 3:
        add_three(pixels[k : k + width], pixels[k + 1 : k + 1 + width], pixels[k + 2 : k + 2 + width], line[k:], row)
    elif taps - k == 2:
        add_two(pixels[k : k + width], pixels[k + 1 : k + 1 + width], line[k:], row)
    elif taps - k == 1:
        add_one(pixels[k : k + width], line[k:], row)


@njit(nogil=True, cache=True, inline="always")
def add_three(p: Array, q: Array, r: Array, weights: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add three weighted rows to *row*."""
    real = weights.dtype.type
    a, b, c = weights[0], weights[1], weights[2]
    for x in range(row.shape[0]):
        row[x] = ((row[x] + a * real(p[x])) + b * real(q[x])) + c * real(r[x])


@njit(nogil=True, cache=True, inline="always")
def add_two(p: Array, q: Array, weights: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add two weighted rows to *row*."""
    real = weights.dtype.type
    a, b = weights[0], weights[1]
    for x in range(row.shape[0]):
        row[x] = (row[x] + a * real(p[x])) + b * real(q[x])


@njit(nogil=True, cache=True, inline="always")
def add_one(p: Array, weights: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add one weighted row to *row*."""
    real = weights.dtype.type
    a = weights[0]
    for x in range(row.shape[0]):
        row[x] += a * real(p[x])


@njit(nogil=True, cache=True)
def _direct(block: Array, weights: Array, out: Array) -> None:  # pragma: no cover - compiled
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            row = out[z, y]
            row[:] = 0
            for i in range(weights.shape[0]):
                for j in range(weights.shape[1]):
                    add_along(block[z + i, y + j], weights[i, j], row)


@njit(nogil=True, cache=True)
def _direct_where(block: Array, weights: Array, where: Array, out: Array) -> None:  # pragma: no cover - compiled
    real = weights.dtype.type
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                if where[z, y, x]:
                    total = real(0)
                    for i in range(weights.shape[0]):
                        for j in range(weights.shape[1]):
                            for k in range(weights.shape[2]):
                                total += weights[i, j, k] * real(block[z + i, y + j, x + k])
                    out[z, y, x] = total


def direct(block: Array, weights: Array) -> Array:
    """Return the sums under *weights* at every place where they fit inside *block*.

    Parameters
    ----------
    block
        Pixels, axes (z, y, x), any type of ``LOADABLE``.
    weights
        Axes (z, y, x), in the type in which to sum: float32, float64 or int64.

    Returns
    -------
    Array
        Shape ``block - weights + 1`` along every axis, type of *weights*; entry ``p`` is
        ``sum over j of weights[j] * block[p + j]``. Rounding: at most ``n + 1`` half-ulps of ``sum |w| max |x|`` for n
        weights (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    out = np.empty(fitting(block.shape, weights.shape), weights.dtype)
    _direct(loadable(block, weights.dtype), weights, out)
    return out


def direct_where(block: Array, weights: Array, where: Array, out: Array) -> None:
    """Write into *out* the direct sums at the pixels that *where* marks (axes z, y, x; shape of *out*)."""
    _direct_where(loadable(block, weights.dtype), weights, where, out)


LOADABLE = {
    np.dtype(np.float32): frozenset(["uint8", "uint16", "int16", "float32"]),
    np.dtype(np.float64): frozenset(["uint8", "uint16", "int16", "float32", "float64"]),
    np.dtype(np.int64): frozenset(["int64"]),
}
"""Pixel types that the loops read as they are, per type of sum; others are cast first: few compiled loops."""


def loadable(block: Array, accumulate: np.dtype[Any]) -> Array:
    """Return *block* contiguous, in a type that the loops read; rounds no pixel more than *accumulate* does."""
    if block.dtype.name not in LOADABLE[accumulate]:
        block = block.astype(accumulate)
    return np.ascontiguousarray(block)


def fitting(block: tuple[int, ...], weights: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the places where a grid of *weights* fits inside *block*."""
    return tuple(n - k + 1 for n, k in zip(block, weights, strict=True))


def copied(choice: Choice, values: Values, want: int) -> int:
    """Return the bytes of *want* pixels like *values* in a type that the loops read, if they are in another."""
    accumulate = choice.sums.accumulate
    return want * accumulate.itemsize if values.dtype.name not in LOADABLE[accumulate] else 0


class Direct(Engine):
    """Every weight times every pixel."""

    name: ClassVar[str] = "direct"
    by_rows: ClassVar[bool] = True

    def weigh(self, wanted: Wanted) -> Candidate:
        count = math.prod(wanted.shape)
        if count > MAX_WEIGHTS:
            return self.no_grid(wanted.kernel)
        bound = wanted.rounding * (count + 2) * wanted.gain + wanted.remainder(given=True)
        return Candidate(self.name, wanted.costs.direct_ns(wanted.shape, wanted.sums.accumulate), bound)

    def sums(self, choice: Choice, pixels: Array, have: Box, out: Box) -> tuple[Array, int]:
        return direct(pixels, choice.weights), 0

    def scratch(self, choice: Choice, values: Values, want: int) -> int:
        return copied(choice, values, want)

    def expected_error(self, choice: Choice, pixels: Spread, sums: Spread, unit: float) -> float:
        weights = choice.kernel.weights.reshape(-1)
        return running_error([weights], pixels, unit) / abs(choice.kernel.divide_by)
