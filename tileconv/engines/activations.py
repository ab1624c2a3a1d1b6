"""Functions of the sums of a layer, in compiled loops that make the same bytes wherever a pixel lies.

The last bit of NumPy's tanh and exp may hang on the place of a number in its array. Here exp is made of sums and
products in float64, each rounded as IEEE 754 says, erf is the C library's, of one number at a time, and the result is
rounded to the type of the pixels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit

Array = NDArray[Any]

LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
INVERSE_FACTORIALS = tuple(1 / math.factorial(n) for n in range(14))
ROOT_HALF = math.sqrt(0.5)


@njit(nogil=True, cache=True)
def exp(value: float) -> float:  # pragma: no cover - compiled
    """Return e to *value*, of -700 to 700: a power of two, and Taylor's series of what is left, within an ulp."""
    whole = math.floor(value * LOG2E + 0.5)
    rest = (value - whole * LN2_HIGH) - whole * LN2_LOW
    total = INVERSE_FACTORIALS[13]
    for n in range(12, -1, -1):
        total = total * rest + INVERSE_FACTORIALS[n]
    return total * np.int64((np.int64(whole) + 1023) << 52).view(np.float64)


@njit(nogil=True, cache=True)
def relu(row: Array, slope: float) -> None:  # noqa: ARG001  # pragma: no cover - compiled
    """Put 0 in the place of what is negative; NaN passes."""
    none = row.dtype.type(0)
    for i in range(row.shape[0]):
        row[i] = none if row[i] < 0 else row[i]


@njit(nogil=True, cache=True)
def leaky_relu(row: Array, slope: float) -> None:  # pragma: no cover - compiled
    """Multiply what is negative by *slope*; NaN passes."""
    small = row.dtype.type(slope)
    for i in range(row.shape[0]):
        row[i] = row[i] * small if row[i] < 0 else row[i]


@njit(nogil=True, cache=True)
def tanh(row: Array, slope: float) -> None:  # noqa: ARG001  # pragma: no cover - compiled
    """Put tanh in the place of every number."""
    for i in range(row.shape[0]):
        value = np.float64(row[i])
        if value == value:
            row[i] = 1 - 2 / (exp(2 * min(max(value, -20.0), 20.0)) + 1)


@njit(nogil=True, cache=True)
def sigmoid(row: Array, slope: float) -> None:  # noqa: ARG001  # pragma: no cover - compiled
    """Put 1 / (1 + exp(-x)) in the place of every number x."""
    for i in range(row.shape[0]):
        value = np.float64(row[i])
        if value == value:
            row[i] = 1 / (1 + exp(min(max(-value, -700.0), 700.0)))


@njit(nogil=True, cache=True)
def gelu(row: Array, slope: float) -> None:  # noqa: ARG001  # pragma: no cover - compiled
    """Put x times the share of a normal distribution below x in the place of every number x."""
    for i in range(row.shape[0]):
        value = np.float64(row[i])
        if value == value:
            row[i] = value * (0.5 * (1 + math.erf(value * ROOT_HALF))) if value > -40 else -0.0


LOOPS = {"relu": relu, "leaky_relu": leaky_relu, "tanh": tanh, "sigmoid": sigmoid, "gelu": gelu}
"""By the words of specs; *slope* is that of ``leaky_relu`` alone."""
