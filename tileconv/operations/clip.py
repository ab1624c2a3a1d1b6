"""Pixels limited to a range."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import INT64, Precision, Values, held, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.formulas import half_ulp, largest, rounded_by_type
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Range, number
from tileconv.quick import dataclass


def clip(range: Range, *, axes: str = "yx") -> Clip:  # noqa: ARG001 the spec's word; every operator takes axes
    """Limit values to *range*, ``[low, high]``.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.clip([[1, 5, 9]], [2, 8])
    array([[2, 5, 8]], dtype=int32)
    """
    if not isinstance(range, Iterable) or isinstance(range, str):
        raise KernelError(f"range must be [low, high], found {range!r}")
    ends = [number(end, "an end of range") for end in range]
    if len(ends) != 2 or not ends[0] <= ends[1]:
        fix = "Exchange them." if len(ends) == 2 else "Give two numbers."
        raise KernelError(f"range must be [low, high] with low <= high, found {list(range)}", fix=fix)
    return Clip(*ends)


@dataclass(frozen=True)
class Clip(Operation):
    """Values below *low* become *low*, above *high* become *high*; NaN stays."""

    low: float
    high: float

    @property
    def keeps_whole(self) -> bool:
        return all(end.is_integer() or math.isinf(end) for end in (self.low, self.high))

    @property
    def error_scale(self) -> str:
        return "max(1, |pixel|)"

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        (own,) = pixels
        if own.dtype == np.uint64 and out.dtype == INT64:
            own = np.minimum(own, np.uint64(np.iinfo(INT64).max))  # the end of the range lies in int64
        made: Array = own.astype(out.dtype)
        return np.clip(made, _held(out.low, out.dtype), _held(out.high, out.dtype), out=made)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        low, high = (min(max(end, self.low), self.high) for end in (own.low, own.high))
        if own.dtype.kind in "iu" and own.dtype.itemsize == 8 and self.keeps_whole:
            limits = np.iinfo(own.dtype)
            outside = self.low > limits.max or self.high < limits.min
            if not outside and (limits.min < 0 or high >= 2.0**63):
                return Values(own.dtype, whole=True, low=low, high=high)
        whole = own.whole and self.low.is_integer() and self.high.is_integer()
        return held(low, high, whole=whole, working=working_dtype(own.dtype, precision))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        own = largest(values[0]) * rounded_by_type(values[0], out.dtype)
        return half_ulp(out) * max(own, self._rounded_end(out.dtype))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        unit = ROUNDING * half_ulp(out)
        cast = unit * expected_pixels(values[0]).size * rounded_by_type(values[0], out.dtype)
        return math.hypot(cast, unit * self._rounded_end(out.dtype))

    def _rounded_end(self, dtype: np.dtype[Any]) -> float:
        """Return the largest end that *dtype* rounds, or 0."""
        ends = (self.low, self.high) if dtype.kind == "f" else ()
        return max((abs(end) for end in ends if math.isfinite(end) and float(dtype.type(end)) != end), default=0.0)


def _held(value: float, dtype: np.dtype[Any]) -> Any:
    """Return *value* in *dtype*, of an integer type at most its highest: 2**63 stands for int64's."""
    if dtype.kind == "f":
        return dtype.type(value)
    limits = np.iinfo(dtype)
    return dtype.type(min(max(int(value), limits.min), limits.max))
