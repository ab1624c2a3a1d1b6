"""The product of several inputs."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import INT64, Precision, Values
from tileconv.errors import TileError
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, computed, roundings
from tileconv.quick import dataclass


def multiply(*, axes: str = "yx") -> Multiply:  # noqa: ARG001 every operator takes axes
    """Product of two or more inputs, pixel by pixel."""
    return Multiply()


@dataclass(frozen=True)
class Multiply(Several):
    """The product, multiplied in the order of the inputs."""

    def formula(self, parts: list[Array]) -> Array:
        if parts[0].dtype == INT64:
            return reduce(_whole_product, parts)
        return parts[0] * parts[1] if len(parts) == 2 else _product(parts)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        low, high = 1.0, 1.0
        for v in values:
            ends = [a * b if a and b else 0.0 for a in (low, high) for b in (v.low, v.high)]  # ends may be infinite
            low, high = min(ends), max(ends)
        return computed(low, high, math.prod(max(1.0, v.peak) for v in values), values, precision)

    def error_unit(self, values: tuple[Values, ...]) -> str:
        unit = "max |pixel| of every input without bounds, multiplied"
        return unit if any(math.isinf(v.peak) for v in values) else ""

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(2 * len(values), out) * math.prod(map(largest, values))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        sizes = math.prod(expected_pixels(v).size for v in values)
        return ROUNDING * half_ulp(out) * math.sqrt(len(values)) * sizes


def _product(parts: list[Array]) -> Array:
    """Return the product of floats, whose exponents are added apart: no part of it leaves the range alone."""
    made, power = np.frexp(parts[0])
    for part in parts[1:]:
        fraction, more = np.frexp(part)
        made, carried = np.frexp(made * fraction)
        power = power + more + carried
    return np.ldexp(made, power)


def _whole_product(a: Array, b: Array) -> Array:
    made: Array = a * b
    least = np.iinfo(INT64).min
    if ((a != 0) & ((made // np.where(a == 0, 1, a) != b) | ((a == -1) & (b == least)))).any():
        fix = "Set precision: float64 to multiply with rounding."
        raise TileError("products of whole-number pixels leave int64", fix=fix)
    return made
