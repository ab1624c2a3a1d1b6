"""The error to expect, beside the bound that always holds: roundings as independent random numbers.

Model: each operation errs by ``ROUNDING`` half-ulps of what it makes, independently of the others, so that errors grow
with the root of their number (Higham and Mary 2019, A new approach to probabilistic rounding error analysis); those of
a transform of N points with the root of log2 N (Schatzman 1996, Accuracy of the discrete Fourier transform and the fast
Fourier transform). Pixels count as independent and evenly spread between the least and the largest that they can be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.values import Dtype, Values
from tileconv.quick import dataclass

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

ROUNDING = 0.42
"""Root mean square of a rounding error in half-ulps: evenly spread, over mantissas that are so by their logarithms."""


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of numbers, and the root mean square of their errors."""

    mean: float
    deviation: float
    error: float = 0.0

    @property
    def size(self) -> float:
        """Root mean square of the numbers."""
        return math.hypot(self.mean, self.deviation)


def expected_pixels(values: Values) -> Spread:
    """Return what pixels like *values* are like; where nothing bounds them they count as up to 1."""
    low, high = (values.low, values.high) if math.isfinite(values.peak) else (-1.0, 1.0)
    return Spread((low + high) / 2, (high - low) / math.sqrt(12))


def expected_sums(choices: Sequence[Choice], values: Values) -> list[Spread]:
    """Return what the divided sums under each kernel are like, for pixels like *values*."""
    return [_sums(choice, expected_pixels(values)) for choice in choices]


def _sums(choice: Choice, pixels: Spread) -> Spread:
    """Return what the divided sums under the kernel of *choice* are like."""
    kernel, divisor = choice.kernel, abs(choice.kernel.divide_by)
    made = Spread(pixels.mean * kernel.total, pixels.deviation * kernel.norm / divisor)
    unit = 0.0 if choice.sums.exact else ROUNDING * _unit(choice.sums.accumulate)
    error = choice.by.expected_error(choice, pixels, made, unit) if unit else 0.0
    return Spread(made.mean, made.deviation, error)


def running_error(factors: Sequence[NDArray[Any]], pixels: Spread, unit: float) -> float:
    """Return the error of sums that grow weight by weight, along one axis after the other.

    Of n equal steps the mean square of the sums so far is a third of the last one's for the mean, a half for the rest.
    """
    square, mean, variance = 0.0, pixels.mean, pixels.deviation**2
    for weights in factors:
        count, total = np.count_nonzero(weights), float(weights.sum(dtype=np.float64))
        power = float(np.square(weights, dtype=np.float64).sum())
        adds = (count - 1) * ((mean * total) ** 2 / 3 + variance * power / 2) if count > 1 else 0.0
        square = square * power + unit**2 * (adds + 2 * power * (mean**2 + variance))
        mean, variance = mean * total, variance * power
    return math.sqrt(square)


def _unit(dtype: Dtype) -> float:
    """Return half an ulp of 1."""
    return float(np.finfo(dtype).eps) / 2
