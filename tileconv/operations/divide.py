"""One input by another, with a stated value where that is 0."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values
from tileconv.errors import KernelError
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices
from tileconv.operations.parameters import number
from tileconv.operations.several import Several, roundings, working
from tileconv.quick import dataclass


def divide(by_zero: float, *, axes: str = "yx") -> Divide:  # noqa: ARG001 every operator takes axes
    """First input divided by the second, and *by_zero* where the second is 0; a missing pixel stays missing."""
    by_zero = number(by_zero, "by_zero")
    if not math.isfinite(by_zero):
        raise KernelError(f"by_zero must be finite, found {by_zero}")
    return Divide(by_zero)


@dataclass(frozen=True)
class Divide(Several):
    """``a / b``, and *by_zero* where b is 0 and a is not NaN."""

    by_zero: float
    inputs: ClassVar[tuple[int, int | None]] = (2, 2)

    @property
    def keeps_whole(self) -> bool:
        return False

    def formula(self, parts: list[Array]) -> Array:
        a, b = parts
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((b == 0) & ~np.isnan(a), a.dtype.type(self.by_zero), a / b)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        a, b = values
        high = a.peak / least if (least := _least(b)) else math.inf
        low = 0.0 if a.low >= 0 and b.low >= 0 else -high
        return Values(working(values, precision), whole=False, low=min(low, self.by_zero), high=max(high, self.by_zero))

    def outgrows_float32(self, values: tuple[Values, ...], choices: Choices, made: Values) -> bool:
        unbounded = math.isinf(made.peak)  # then by_zero decides, as constants do where nothing bounds the pixels
        return super().outgrows_float32(values, choices, replace(made, low=0.0, high=0.0) if unbounded else made)

    def error_unit(self, values: tuple[Values, ...]) -> str:
        return "" if self._largest(values) else "max |result|"

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(4, out) * max(self._largest(values) or 1.0, abs(self.by_zero))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        a, b = values
        size = 1 / math.sqrt(3)
        if self._largest(values):  # of divisors evenly spread between two numbers the mean of 1 / b**2 is 1 / product
            size = expected_pixels(a).size / math.sqrt(_least(b) * largest(b))
        return ROUNDING * half_ulp(out) * math.hypot(math.sqrt(2) * size, self.by_zero)

    def _largest(self, values: tuple[Values, ...]) -> float:
        """Return the largest quotient; 0 where nothing bounds it, or it is 0."""
        a, b = values
        return a.peak / _least(b) if math.isfinite(a.peak) and math.isfinite(b.peak) and _least(b) else 0.0


def _least(divisor: Values) -> float:
    """Return the least absolute divisor other than 0; 0 where it may be as small as anything."""
    if divisor.low > 0 or divisor.high < 0:
        return min(abs(divisor.low), abs(divisor.high))
    return 1.0 if divisor.whole else 0.0
