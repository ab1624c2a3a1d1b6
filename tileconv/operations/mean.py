"""The mean of several inputs."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values
from tileconv.operations.formulas import beyond, half_ulp, largest
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, expected_total, roundings, working
from tileconv.quick import dataclass


def mean(*, axes: str = "yx") -> Mean:  # noqa: ARG001 every operator takes axes
    """Mean of two or more inputs, pixel by pixel; the mean of a pixel and its neighbours is box."""
    return Mean()


@dataclass(frozen=True)
class Mean(Several):
    """The sum, divided by the number of inputs."""

    @property
    def keeps_whole(self) -> bool:
        return False

    def formula(self, parts: list[Array]) -> Array:
        made: Array = reduce(np.add, parts) / len(parts)
        return made

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made = super().combine(pixels, sums, choices, out)
        beyond(made, pixels, lambda *some: reduce(np.add, (p / len(some) for p in some)), out)
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        count = len(values)
        low, high = sum(v.low / count for v in values), sum(v.high / count for v in values)
        return Values(working(values, precision), whole=False, low=low, high=high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(len(values) + 2, out) * sum(largest(v) / len(values) for v in values)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        sizes = math.hypot(*(expected_pixels(v).size for v in values))
        return math.hypot(expected_total(values, out), ROUNDING * half_ulp(out) * sizes) / len(values)
