"""Sharpening: the image plus what a blur took away."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_pixels, expected_sums
from tileconv.engines.kernel import Kernel
from tileconv.engines.row_table import UNSHARP, Formula
from tileconv.engines.values import Precision, Values, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.blur import bells
from tileconv.operations.formulas import beyond, divided, half_ulp, largest, rounded_by_type, shifts, sum_bounds
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import NotNegative, Positive, Sigmas, number
from tileconv.quick import dataclass


def sharpen(*, axes: str = "yx") -> Kernel:
    """Sharpening by the grid of 3Blue1Brown's lesson: centre 5, its four neighbours -1 (in three axes 7, and six).

    Examples
    --------
    >>> import tileconv
    >>> tileconv.sharpen([[0, 0, 8, 8]])
    array([[ 0, -8, 16,  8]])
    >>> tileconv.kernels.sharpen().weights
    array([[ 0, -1,  0],
           [-1,  5, -1],
           [ 0, -1,  0]])
    """
    distance = sum(abs(g) for g in np.ogrid[(slice(-1, 2),) * len(axes)])
    return Kernel.of(np.select([distance == 0, distance == 1], [2 * len(axes) + 1, -1], 0))


def unsharp(
    sigma: Sigmas, *, amount: float = 1.0, threshold: NotNegative = 0.0, truncate: Positive = 4.0, axes: str = "yx"
) -> Unsharp:
    """Unsharp mask: ``image + amount * (image - gaussian(image))`` where the difference reaches *threshold*.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.unsharp([[0, 0, 8, 8]], 1, amount=2).round(1)
    array([[-1. , -4.8, 12.8,  9. ]])
    """
    amount, threshold = number(amount, "amount"), number(threshold, "threshold")
    if not (math.isfinite(amount) and 0 <= threshold < math.inf):
        raise KernelError(f"amount must be finite and threshold >= 0 and finite, found {amount} and {threshold}")
    return Unsharp(Kernel.separable(bells(sigma, None, truncate, axes)), amount, threshold)


@dataclass(frozen=True)
class Unsharp(Operation):
    """``image + amount * (image - blurred)`` where they differ by at least *threshold*, else the image unchanged."""

    blur: Kernel
    amount: float
    threshold: float
    copies: ClassVar[int] = 2

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return (self.blur,)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        from tileconv.operations.loops import unsharp as sharpened

        (own,), blurred = pixels, divided(sums.pop(), choices[0], out)
        made = np.empty(blurred.shape, out.dtype)
        amount, threshold = (out.dtype.type(number) for number in (self.amount, self.threshold))
        sharpened(np.ascontiguousarray(own, out.dtype), blurred, amount, threshold, made)

        def eighth(pixel: Array, blur: Array) -> Array:
            step = pixel - blur
            return np.where(np.abs(step) < self.threshold / 8, pixel, pixel + self.amount * step)

        beyond(made, (own, blurred), eighth, out)
        return made

    def row_formula(self, choices: Choices, out: Values) -> Formula:
        return Formula(UNSHARP, shifts(choices), (self.amount, self.threshold), reads_pixels=True)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        low, high = values[0].low, values[0].high
        swing = abs(self.amount) * (high - low if math.isfinite(high - low) else math.inf)
        return Values(working_dtype(values[0].dtype, precision), whole=False, low=low - swing, high=high + swing)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        ((own, gain),), amount = sum_bounds(choices, values[0]), abs(self.amount)
        return amount * own + 4 * half_ulp(out) * (1 + amount) * (largest(values[0]) + gain)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        unit, pixels, (made,) = ROUNDING * half_ulp(out), expected_pixels(values[0]), expected_sums(choices, values[0])
        cast = unit * pixels.size * rounded_by_type(values[0], out.dtype)
        difference = abs(self.amount) * math.hypot(pixels.deviation, made.deviation)
        return math.hypot(
            self.amount * made.error, cast, 1.5 * unit * difference, unit * math.hypot(pixels.size, difference)
        )
