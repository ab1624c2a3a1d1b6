"""The smallest and the largest of several inputs."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from tileconv.engines.values import Precision, Values
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, expected_once, moved, rounded_once
from tileconv.quick import dataclass


def minimum(*, axes: str = "yx") -> Minimum:  # noqa: ARG001 every operator takes axes
    """Smallest of two or more inputs, pixel by pixel; NaN where one of them is NaN."""
    return Minimum()


def maximum(*, axes: str = "yx") -> Maximum:  # noqa: ARG001 every operator takes axes
    """Largest of two or more inputs, pixel by pixel; NaN where one of them is NaN."""
    return Maximum()


class _Extreme(Several):
    """A pixel of one input or another."""

    def together(self, parts: list[Array], dtype: np.dtype[Any]) -> list[Array]:
        if dtype.kind == "f":
            return super().together(parts, dtype)
        return [_limited(part, dtype) for part in parts]

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return rounded_once(values, out)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return expected_once(values, out)


@dataclass(frozen=True)
class Minimum(_Extreme):
    """The smallest."""

    def formula(self, parts: list[Array]) -> Array:
        # not np.minimum, whose choice of 0.0 and -0.0 is that of the processor's vectors
        return reduce(lambda a, b: np.where((a <= b) | np.isnan(a), a, b), parts)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return moved(min(v.low for v in values), min(v.high for v in values), values, precision)


@dataclass(frozen=True)
class Maximum(_Extreme):
    """The largest."""

    def formula(self, parts: list[Array]) -> Array:
        return reduce(lambda a, b: np.where((a >= b) | np.isnan(a), a, b), parts)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return moved(max(v.low for v in values), max(v.high for v in values), values, precision)


def _limited(part: Array, dtype: np.dtype[Any]) -> Array:
    """Return whole numbers in *dtype*; what it does not hold is not the extreme, and becomes its end."""
    if dtype.kind == "u":
        return np.maximum(part, 0).astype(dtype)
    return (np.minimum(part, np.uint64(2**63 - 1)) if part.dtype == np.uint64 else part).astype(dtype)
