"""The length of the vector whose components are the inputs."""

from __future__ import annotations

import math

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.magnitude import length
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, roundings, working
from tileconv.quick import dataclass


def hypot(*, axes: str = "yx") -> Hypot:  # noqa: ARG001 every operator takes axes
    """Root of the sum of the squares of two or more inputs, pixel by pixel."""
    return Hypot()


@dataclass(frozen=True)
class Hypot(Several):
    """Euclidean length, which is finite wherever the type holds it."""

    @property
    def keeps_whole(self) -> bool:
        return False

    def formula(self, parts: list[Array]) -> Array:
        contiguous = tuple(np.ascontiguousarray(part) for part in parts)  # others would be compiled for apart
        return length(contiguous, Values(parts[0].dtype, whole=False))

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return Values(working(values, precision), whole=False, low=0.0, high=math.hypot(*(v.peak for v in values)))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(len(values) + 4, out) * math.hypot(*map(largest, values))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 1.5 * ROUNDING * half_ulp(out) * math.hypot(*(expected_pixels(v).size for v in values))
