"""The sums under all kernels of a bank as one channel, kernel by kernel, so that few of them are held at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_sums
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import FLOAT32, FLOAT64, INT64, Precision, Values, held, working_dtype
from tileconv.operations.bank import hull
from tileconv.operations.formulas import divided, half_ulp, sum_bounds, sum_range
from tileconv.operations.linear import Linear
from tileconv.operations.magnitude import SQUARABLE
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.quick import dataclass

Parts = Iterable[tuple[int, tuple[slice, ...], Array]]


def reduced(kernels: Sequence[Kernel], how: str) -> Operation:
    """Return the reduction *how* of the sums under *kernels*; their sum is that under the sum of the kernels."""
    if how == "sum":
        return Linear(_sum(kernels))
    makers: dict[str, Callable[[tuple[Kernel, ...]], Operation]]
    makers = {"magnitude": Energy, "maximum": Largest, "argmax": Which}
    return makers[how](tuple(kernels))


def _sum(kernels: Sequence[Kernel]) -> Kernel:
    """Return the kernel under which a sum is that of the sums under *kernels*."""
    divisors = {kernel.divide_by for kernel in kernels}
    anchor = tuple(map(max, zip(*(k.anchor for k in kernels), strict=True)))
    after = tuple(map(max, zip(*(k.halo.after for k in kernels), strict=True)))
    whole = len(divisors) == 1 and all(k.integral for k in kernels)
    total: Array = np.zeros([a + 1 + b for a, b in zip(anchor, after, strict=True)], np.int64 if whole else np.float64)
    for kernel in kernels:
        first = [a - b for a, b in zip(anchor, kernel.anchor, strict=True)]
        place = tuple(slice(a, a + n) for a, n in zip(first, kernel.shape, strict=True))
        total[place] += kernel.weights if len(divisors) == 1 else kernel.weights / kernel.divide_by
    divide_by = divisors.pop() if len(divisors) == 1 else 1.0
    return replace(Kernel.of(total, divide_by=divide_by), anchor=anchor)


@dataclass(frozen=True)
class Reduced(Operation):
    """One pixel of the sums under every kernel of a bank."""

    bank: tuple[Kernel, ...]
    copies: ClassVar[int] = 5
    reads_pixels: ClassVar[bool] = False
    gathers: ClassVar[bool] = True

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return self.bank

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError  # it gathers

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return max(Linear(c.kernel).error_bound(values, [c], out) for c in choices)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return max(Linear(c.kernel).expected_error(values, [c], out) for c in choices)


class Energy(Reduced):
    """The root of the sum of the squares."""

    def gather(self, parts: Parts, shape: tuple[int, ...], choices: Choices, out: Values) -> tuple[Array, ...]:
        low, high = SQUARABLE[FLOAT32]
        narrow = out.dtype == FLOAT32 and out.finite_below(high) and out.high > low
        low, high = SQUARABLE[FLOAT64]
        safe = out.dtype == FLOAT32 or (out.finite_below(high) and out.high > low)
        total = np.zeros(shape, FLOAT32 if narrow else FLOAT64)
        for number, place, sums in parts:
            part, into = divided(sums, choices[number], out), total[place]
            if safe:
                into += np.square(part, dtype=total.dtype)
            else:  # squares may leave the range
                unknown = np.isnan(into) | np.isnan(part)
                np.hypot(into, part, out=into)
                into[unknown] = np.nan
        if safe:
            np.sqrt(total, out=total)
        return (total.astype(out.dtype, copy=False),)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        ends = [max(map(abs, sum_range(c, values[0]))) for c in choices]
        return Values(working_dtype(values[0].dtype, precision), whole=False, low=0.0, high=math.hypot(*ends))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        own, gains = zip(*sum_bounds(choices, values[0]), strict=True)
        return math.hypot(*own) + (len(choices) + 4) * half_ulp(out) * math.hypot(*gains)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        made, unit = expected_sums(choices, values[0]), ROUNDING * half_ulp(out)
        errors, sizes = math.hypot(*(m.error for m in made)), math.hypot(*(m.size for m in made))
        return math.hypot(errors / math.sqrt(len(made)), 1.5 * unit * sizes)


class Largest(Reduced):
    """The largest."""

    @property
    def keeps_whole(self) -> bool:
        return all(Linear(kernel).keeps_whole for kernel in self.bank)

    def gather(self, parts: Parts, shape: tuple[int, ...], choices: Choices, out: Values) -> tuple[Array, ...]:
        best = np.full(shape, _least(out.dtype), out.dtype)
        for number, place, sums in parts:
            np.maximum(best[place], divided(sums, choices[number], out), out=best[place])
        return (best,)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return hull(self.bank, values, choices, precision)


class Which(Reduced):
    """The number of the kernel with the largest sum, the first of several; -1 where a sum is NaN."""

    @property
    def keeps_whole(self) -> bool:
        return True

    def gather(self, parts: Parts, shape: tuple[int, ...], choices: Choices, out: Values) -> tuple[Array, ...]:
        kind = _compared(choices)
        best = np.full(shape, _least(kind), kind)
        which = np.full(shape, len(choices), out.dtype)
        for number, place, sums in parts:  # in the order of engines and grids, not of numbers
            part = divided(sums, choices[number], Values(kind, whole=False))
            before, first = best[place], which[place]
            first[(part > before) | ((part == before) & (first > number)) | np.isnan(part)] = number
            np.maximum(before, part, out=before)
        which[np.isnan(best)] = -1
        return (which,)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return held(-1.0, float(len(choices)), whole=True, working=FLOAT32)

    def outcome(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return self.range_out(values, choices, precision)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        """Return 0 where sums are exact; else another kernel may win where two are as near as their bounds."""
        exact = all(c.sums.exact and c.kernel.divide_by == choices[0].kernel.divide_by for c in choices)
        return 0.0 if exact else len(choices) - 1.0

    expected_error = error_bound


def _compared(choices: Choices) -> np.dtype[Any]:
    """Return the type in which sums are compared: that of exact ones holds all of them, divided ones need a float."""
    kinds = {c.sums.accumulate for c in choices}
    if any(c.sums.exact and c.kernel.divide_by != 1 for c in choices):
        return FLOAT64
    if INT64 in kinds and all(c.sums.exact for c in choices):
        return INT64
    return np.result_type(*kinds)


def _least(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else int(np.iinfo(dtype).min)
