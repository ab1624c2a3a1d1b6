"""One input less another."""

from __future__ import annotations

from typing import ClassVar

from tileconv.engines.values import INT64, Precision, Values
from tileconv.errors import TileError
from tileconv.operations.formulas import largest
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, computed, expected_total, roundings
from tileconv.quick import dataclass


def subtract(*, axes: str = "yx") -> Subtract:  # noqa: ARG001 every operator takes axes
    """First input minus the second, pixel by pixel."""
    return Subtract()


@dataclass(frozen=True)
class Subtract(Several):
    """``a - b``."""

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)

    def formula(self, parts: list[Array]) -> Array:
        a, b = parts
        made: Array = a - b
        if made.dtype == INT64 and (((a ^ b) & (a ^ made)) < 0).any():
            fix = "Set precision: float64 to subtract with rounding."
            raise TileError("differences of whole-number pixels leave int64", fix=fix)
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        a, b = values
        return computed(a.low - b.high, a.high - b.low, a.peak + b.peak, values, precision)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(3, out) * sum(map(largest, values))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return expected_total(values, out)
