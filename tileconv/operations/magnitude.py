"""The length of a vector of sums: what a gradient over several axes is."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_sums
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import FLOAT32, FLOAT64, Precision, Values, working_dtype
from tileconv.operations.formulas import divided, half_ulp, sum_bounds, sum_range
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.quick import dataclass

SQUARABLE = {FLOAT32: (1e-11, 1e18), FLOAT64: (1e-138, 1e150)}
"""Between them squares neither overflow nor lose, of the largest result, more than rounding does."""


@dataclass(frozen=True)
class Magnitude(Operation):
    """Euclidean length of the vector whose components are the sums under *components*."""

    components: tuple[Kernel, ...]
    reads_pixels: ClassVar[bool] = False

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return self.components

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        parts = tuple(divided(s, c, out) for s, c in zip(sums, choices, strict=True))
        sums.clear()
        return length(parts, out)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        ends = [max(map(abs, sum_range(c, values[0]))) for c in choices]
        return Values(working_dtype(values[0].dtype, precision), whole=False, low=0.0, high=math.hypot(*ends))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        own, gains = zip(*sum_bounds(choices, values[0]), strict=True)
        return math.hypot(*own) + 4 * half_ulp(out) * math.hypot(*gains)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        made, unit = expected_sums(choices, values[0]), ROUNDING * half_ulp(out)
        errors, sizes = math.hypot(*(m.error for m in made)), math.hypot(*(m.size for m in made))
        return math.hypot(errors / math.sqrt(len(made)), 1.5 * unit * sizes)


def length(parts: tuple[Array, ...], out: Values) -> Array:
    """Return the length of the vectors whose components *parts* are, in the output's type.

    Where squares would leave the range it is made again from parts that are divided by the largest first.
    """
    from tileconv.operations.loops import magnitude, magnitude_again

    made: Array = np.empty(parts[0].shape, out.dtype)
    low, high = SQUARABLE[FLOAT32]
    narrow = out.dtype == FLOAT32 and out.finite_below(high) and out.high > low
    magnitude(parts, np.empty(made.shape[-1], FLOAT32 if narrow else FLOAT64), made)
    low, high = SQUARABLE[FLOAT64]
    if out.dtype == FLOAT64 and not (out.finite_below(high) and out.high > low):
        magnitude_again(parts, low, high, made)
    return made
