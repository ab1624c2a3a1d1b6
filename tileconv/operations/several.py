"""What operations of several inputs share: pixels in one type, made some rows at a time, and exact whole numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, Spread, expected_pixels
from tileconv.engines.values import INT64, Precision, Values, held, working_dtype
from tileconv.operations.formulas import half_ulp, largest, rounded_by_type
from tileconv.operations.operation import Array, Choices, Operation

UINT64 = np.dtype(np.uint64)


class Several(Operation):
    """A formula on the pixels of two or more inputs, in a type in which none of them is rounded."""

    inputs: ClassVar[tuple[int, int | None]] = (2, None)

    @property
    def keeps_whole(self) -> bool:
        return True

    @abstractmethod
    def formula(self, parts: list[Array]) -> Array:
        """Return the result for *parts*, an array per input, all of one type."""

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        from tileconv.engines.nonfinite import bands

        made: Array = np.empty(pixels[0].shape, out.dtype)
        for rows in bands(made):
            made[:, rows] = self.formula(self.together([p[:, rows] for p in pixels], out.dtype))
        return made

    def together(self, parts: list[Array], dtype: np.dtype[Any]) -> list[Array]:
        """Return *parts* in *dtype*, or in a wider one where that would round; TileError beyond int64."""
        from tileconv.engines.cast import exactly

        if dtype.kind == "f":
            wide = np.result_type(dtype, *(p.dtype for p in parts))
            return [p.astype(wide, copy=False) for p in parts]
        return [exactly(p, dtype) for p in parts]

    def error_unit(self, values: tuple[Values, ...]) -> str:
        unbounded = [v for v in values if math.isinf(v.peak)]
        if not unbounded:
            return ""
        return self.error_scale if len(unbounded) == len(values) else "max(1, |pixel|)"


def working(values: Sequence[Values], precision: Precision) -> np.dtype[Any]:
    """Return the widest of the types in which the inputs are computed."""
    return max((working_dtype(v.dtype, precision) for v in values), key=lambda dtype: dtype.itemsize)


def whole(values: Sequence[Values]) -> bool:
    """Return whether every pixel of every input is a whole number."""
    return all(v.whole and not v.nan for v in values)


def computed(low: float, high: float, reach: float, values: Sequence[Values], precision: Precision) -> Values:
    """Return results from *low* to *high* of sums and products that get up to *reach* on the way.

    Whole ones are exact: those that may leave int64 are refused where they do.
    """
    if whole(values) and reach >= 2.0**63 and precision == "auto":
        return Values(INT64, whole=True, low=max(low, -(2.0**63)), high=min(high, 2.0**63))
    made = held(-reach, reach, whole=whole(values), working=working(values, precision))
    return replace(made, low=low, high=high)


def moved(low: float, high: float, values: Sequence[Values], precision: Precision) -> Values:
    """Return results from *low* to *high* that are pixels of one input or another: whole ones stay as they are."""
    if whole(values) and max(abs(low), abs(high)) >= 2.0**63:
        if low >= 0:
            return Values(UINT64, whole=True, low=low, high=high)
        if high <= 2.0**63 or precision == "auto":  # of uint64 pixels beside negative ones larger ones are refused
            return Values(INT64, whole=True, low=low, high=min(high, 2.0**63))
    return held(low, high, whole=whole(values), working=working(values, precision))


def roundings(count: int, out: Values) -> float:
    """Return the largest relative error of *count* roundings one after the other."""
    return count * half_ulp(out) / (1 - count * half_ulp(out))


def rounded_once(values: Sequence[Values], out: Values) -> float:
    """Return the error bound of pixels that are only held in the output's type."""
    return half_ulp(out) * max(largest(v) * rounded_by_type(v, out.dtype) for v in values)


def expected_once(values: Sequence[Values], out: Values) -> float:
    """Return the error to expect of the same pixels."""
    sizes = (expected_pixels(v).size * rounded_by_type(v, out.dtype) for v in values)
    return ROUNDING * half_ulp(out) * max(sizes)


def expected_total(values: Sequence[Values], out: Values) -> float:
    """Return the error to expect of pixels that are added one by one, each sum rounded."""
    unit, total, errors = ROUNDING * half_ulp(out), Spread(0.0, 0.0), [0.0]
    for pixels in map(expected_pixels, values):
        total = Spread(total.mean + pixels.mean, math.hypot(total.deviation, pixels.deviation))
        errors.append(unit * total.size)
    return math.hypot(*errors)
