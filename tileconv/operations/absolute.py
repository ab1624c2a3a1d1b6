"""The absolute value of every pixel."""

from __future__ import annotations

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import INT64, Precision, Values, held, working_dtype
from tileconv.errors import TileError
from tileconv.operations.formulas import half_ulp, largest, rounded_by_type
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.quick import dataclass


def absolute(*, axes: str = "yx") -> Absolute:  # noqa: ARG001 every operator takes axes
    """Absolute value: an edge's strength without its sign.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.absolute([[-3, 2]])
    array([[3, 2]])
    """
    return Absolute()


@dataclass(frozen=True)
class Absolute(Operation):
    """The absolute value."""

    @property
    def keeps_whole(self) -> bool:
        return True

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made: Array = pixels[0].astype(out.dtype)
        if made.dtype == INT64 and made.size and made.min() == np.iinfo(INT64).min:
            raise TileError(
                f"the absolute value of {made.min()} does not fit int64",
                fix=f"If it marks missing pixels set input.nodata: {made.min()} and missing; else clip them first.",
            )
        return np.abs(made, out=made)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        least = 0.0 if own.low <= 0 <= own.high else min(abs(own.low), abs(own.high))
        if own.dtype.kind in "iu" and own.dtype.itemsize == 8:
            return Values(own.dtype, whole=True, low=least, high=own.peak)
        return held(least, own.peak, whole=own.whole, working=working_dtype(own.dtype, precision))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return half_ulp(out) * (largest(values[0]) * rounded_by_type(values[0], out.dtype))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * half_ulp(out) * expected_pixels(values[0]).size * rounded_by_type(values[0], out.dtype)
