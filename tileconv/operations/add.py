"""The sum of several inputs."""

from __future__ import annotations

from functools import reduce

import numpy as np

from tileconv.engines.values import INT64, Precision, Values
from tileconv.errors import TileError
from tileconv.operations.formulas import beyond, largest
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, computed, expected_total, roundings
from tileconv.quick import dataclass


def add(*, axes: str = "yx") -> Add:  # noqa: ARG001 every operator takes axes
    """Sum of two or more inputs, pixel by pixel."""
    return Add()


@dataclass(frozen=True)
class Add(Several):
    """The sum, added in the order of the inputs."""

    def formula(self, parts: list[Array]) -> Array:
        return reduce(_sum, parts)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made = super().combine(pixels, sums, choices, out)
        beyond(made, pixels, lambda *some: reduce(np.add, some), out, parts=2 ** len(pixels).bit_length())
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        low, high = sum(v.low for v in values), sum(v.high for v in values)
        return computed(low, high, sum(v.peak for v in values), values, precision)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(len(values) + 1, out) * sum(map(largest, values))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return expected_total(values, out)


def _sum(a: Array, b: Array) -> Array:
    made: Array = a + b
    if made.dtype == INT64 and (((a ^ made) & (b ^ made)) < 0).any():
        raise TileError("sums of whole-number pixels leave int64", fix="Set precision: float64 to add with rounding.")
    return made
