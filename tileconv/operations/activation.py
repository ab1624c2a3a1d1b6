"""What the activation of a layer makes of ranges and errors; its loops are in ``engines/activations.py``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from tileconv.quick import dataclass

Activation = Literal["none", "relu", "leaky_relu", "tanh", "sigmoid", "gelu"]

LEAST_GELU, AT = -0.17004075, -0.7517916
"""The least value of gelu, and where it is."""


@dataclass(frozen=True)
class Shape:
    """One activation: its value, how much it can enlarge a difference, and what it is wrong by.

    ``error`` is in half ulps of the largest result, or of 1 where that is smaller.
    """

    of: Callable[[float, float], float]
    steepest: Callable[[float], float]
    error: float = 0.0

    def range(self, low: float, high: float, slope: float) -> tuple[float, float]:
        """Return the least and the largest result for numbers from *low* to *high*."""
        ends = [self.of(low, slope), self.of(high, slope)]
        return (LEAST_GELU if self is SHAPES["gelu"] and low < AT < high else min(ends)), max(ends)


def _leaky(value: float, slope: float) -> float:
    return value * slope if value < 0 else value


def _sigmoid(value: float, _: float) -> float:
    return 1 / (1 + math.exp(min(-value, 700.0)))


def _gelu(value: float, _: float) -> float:
    return value * 0.5 * math.erfc(-value / math.sqrt(2)) if value > -40 else 0.0


SHAPES: dict[Activation, Shape] = {
    "none": Shape(lambda value, _: value, lambda _: 1.0),
    "relu": Shape(lambda value, _: max(value, 0.0), lambda _: 1.0),
    "leaky_relu": Shape(_leaky, lambda slope: max(1.0, abs(slope)), 1.0),
    "tanh": Shape(lambda value, _: math.tanh(value), lambda _: 1.0, 4.0),
    "sigmoid": Shape(_sigmoid, lambda _: 0.25, 4.0),
    "gelu": Shape(_gelu, lambda _: 1.13, 8.0),
}
