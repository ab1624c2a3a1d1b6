"""The length of a vector of sums: what a gradient over several axes is."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_sums
from tileconv.engines.kernel import Kernel
from tileconv.engines.row_table import GUARDED, NARROW_SQUARES, WIDE_SQUARES, Formula
from tileconv.engines.values import FLOAT32, FLOAT64, Precision, Values, working_dtype
from tileconv.operations.formulas import divided, half_ulp, shifts, sum_bounds, sum_range
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

    def row_formula(self, choices: Choices, out: Values) -> Formula | None:
        if len(choices) != 2:
            return None
        squares = NARROW_SQUARES if _squarable(out) else WIDE_SQUARES if out.dtype == FLOAT32 else GUARDED
        return Formula(squares, shifts(choices))

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
    squarable = _squarable(out)
    magnitude(parts, np.empty(made.shape[-1], out.dtype if squarable else FLOAT64), made)
    if out.dtype == FLOAT64 and not squarable:
        magnitude_again(parts, *SQUARABLE[FLOAT64], made)
    return made


def _squarable(out: Values) -> bool:
    """Return whether the squares of vectors whose lengths are like *out* stay in the range of its type."""
    low, high = SQUARABLE[out.dtype]
    return out.finite_below(high) and out.high > low
