"""Number types: what a stage sums in, what it gives, and when the sums of whole numbers are exact."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tileconv.engines.kernel import Kernel
from tileconv.quick import dataclass

Precision = Literal["auto", "float32", "float64"]
Dtype = np.dtype[Any]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)
EXACT: tuple[tuple[Dtype, int], ...] = ((FLOAT32, 24), (FLOAT64, 53), (INT64, 63))
"""Types that hold whole numbers below a power of two without rounding, narrowest first."""


@dataclass(frozen=True)
class Values:
    """What is known of the pixels between two stages before any is read.

    Attributes
    ----------
    dtype
        Type in which the pixels are held.
    whole
        Whether every pixel is a whole number, though perhaps held as a float.
    low, high
        Bounds that no pixel leaves; infinite where unknown.
    nan
        Whether a pixel may be NaN.
    """

    dtype: Dtype
    whole: bool
    low: float = -math.inf
    high: float = math.inf
    nan: bool = False

    @classmethod
    def of(cls, dtype: Dtype) -> Values:
        """Return what the type of an image alone says of its pixels."""
        if dtype.kind == "b":
            return cls(dtype, whole=True, low=0.0, high=1.0)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            return cls(dtype, whole=True, low=float(limits.min), high=float(limits.max))
        return cls(dtype, whole=False, nan=True)

    @property
    def peak(self) -> float:
        """The largest absolute value, infinite where unknown."""
        return max(abs(self.low), abs(self.high))

    def hold(self, value: float) -> bool:
        """Return whether a pixel of *value* leaves all true that is said of the pixels."""
        if self.dtype.kind in "iu" and not np.iinfo(self.dtype).min <= value <= np.iinfo(self.dtype).max:
            return False  # their float bounds may lie one beyond
        if self.dtype.kind == "f":  # sums in a wider type promise more than this one rounds to
            with np.errstate(over="ignore"):
                rounded = float(self.dtype.type(value)) != value
            if rounded or (self.dtype == FLOAT32 and not in_float32(abs(value))):
                return False
        return self.low <= value <= self.high and (not self.whole or float(value).is_integer())

    def including(self, value: float) -> Values:
        """Return the same with *value* among the pixels, as a constant border adds it."""
        value, whole = float(value), self.whole and float(value).is_integer()
        return Values(self.dtype, whole, min(self.low, value), max(self.high, value), self.nan)

    def finite_below(self, limit: float) -> bool:
        """Return whether it is known beforehand that every pixel is finite and smaller than *limit*."""
        return not self.nan and self.peak < limit


@dataclass(frozen=True)
class Sums:
    """How the sums under one kernel are held.

    ``accumulate`` is float32, float64 or int64. With ``exact`` every partial sum is a whole number that the type
    holds, so that no engine, order or tiling can change a bit. With ``guarded`` that is so unless a block holds pixels
    whose sums could leave int64; such a block is refused.
    """

    accumulate: Dtype
    exact: bool
    why: str
    guarded: bool = False


def working_dtype(dtype: Dtype, precision: Precision) -> Dtype:
    """Return float32 or float64: what pixels that are not exact whole numbers are computed and held in."""
    if precision != "auto":
        return np.dtype(precision)
    small = dtype.itemsize <= 2 or dtype == FLOAT32
    return FLOAT32 if small else FLOAT64


def block_dtype(dtype: Dtype, precision: Precision) -> Dtype:
    """Return the type for pixels of *dtype* beside others that it does not hold: no narrower than the sums may get.

    Sums in float32 that are asked for may still be made in float64, where float32 does not hold their result.
    """
    return working_dtype(dtype, "auto" if precision == "float32" else precision)


def in_float32(size: float) -> bool:
    """Return whether numbers up to *size* can be held and summed in float32 with the relative error that it promises.

    Near its least numbers what is rounded is rounded absolutely, by 2**-150 at most; from 2**-102 on that is lost in
    the rounding of the largest.
    """
    return size == 0 or 2.0**-102 <= size <= float(np.finfo(FLOAT32).max)


def sums(kernel: Kernel, values: Values, precision: Precision) -> Sums:
    """Decide how to sum *kernel* over *values*.

    Whole numbers under whole weights are summed exactly in the narrowest type that holds ``sum |w| * max |x|``:
    float32 below 2**24, float64 below 2**53 (both hold such numbers without rounding), int64 below 2**63.

    Examples
    --------
    >>> sums(Kernel.of([[1, 2, 1]]), Values.of(np.dtype("uint16")), "auto").why
    'whole numbers below 2**24 are exact in float32'
    """
    largest = kernel.absolute_sum * values.peak
    if kernel.integral and values.whole:
        for dtype, bits in EXACT:
            if largest < 2.0**bits:
                return Sums(dtype, exact=True, why=f"whole numbers below 2**{bits} are exact in {dtype}")
        if values.dtype.kind in "iu" and precision == "auto":
            return Sums(
                INT64, exact=True, why="whole numbers are summed in int64; beyond 2**63 is refused", guarded=True
            )
    dtype = working_dtype(values.dtype, precision)
    why = f"precision {precision} sums {values.dtype} pixels in {dtype}"
    return Sums(dtype, exact=False, why=why)


def held(low: float, high: float, *, whole: bool, working: Dtype) -> Values:
    """Return pixels between *low* and *high*: whole numbers in the narrowest exact type, others in *working*."""
    peak = max(abs(low), abs(high))
    if whole:
        for dtype, bits in EXACT:
            if peak < 2.0**bits:
                return Values(dtype, whole=True, low=low, high=high)
    return Values(working, whole=False, low=low, high=high)


def beside(values: Values, value: float, *, working: Dtype, exact: bool) -> Values:
    """Return pixels like *values* with *value* among them, in a type for both.

    No type holds uint64 and negative numbers: with *exact* that is int64, and pixels beyond it are refused when they
    are met; else it is *working*, which rounds.
    """
    more = values.including(value)
    if exact and more.whole and values.dtype == np.uint64 and Values.of(INT64).hold(value):
        return Values(INT64, whole=True, low=more.low, high=2.0**63)
    working = working if in_float32(abs(value)) else FLOAT64
    return replace(held(more.low, more.high, whole=more.whole, working=working), nan=values.nan)
