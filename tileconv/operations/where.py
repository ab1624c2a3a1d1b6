"""One input or another, as a third says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tileconv.engines.values import Precision, Values
from tileconv.operations.operation import Array, Choices
from tileconv.operations.several import Several, expected_once, moved, rounded_once
from tileconv.quick import dataclass


def where(*, axes: str = "yx") -> Where:  # noqa: ARG001 every operator takes axes
    """Second input where the first, a mask, is not 0, else the third; NaN where the mask is NaN."""
    return Where()


@dataclass(frozen=True)
class Where(Several):
    """``a`` where the mask is not 0, else ``b``."""

    inputs: ClassVar[tuple[int, int | None]] = (3, 3)

    def together(self, parts: list[Array], dtype: np.dtype[Any]) -> list[Array]:
        from tileconv.engines.cast import exactly

        mask, a, b = parts
        if dtype.kind == "f":
            return [mask, *super().together([a, b], dtype)]
        if dtype.kind == "u":
            return [mask, a.astype(dtype, copy=False), b.astype(dtype, copy=False)]
        return [mask, exactly(a, dtype, besides=mask == 0), exactly(b, dtype, besides=mask != 0)]

    def formula(self, parts: list[Array]) -> Array:
        mask, a, b = parts
        made = np.where(mask != 0, a, b)
        if mask.dtype.kind == "f" and made.dtype.kind == "f":  # a mask of whole numbers held as floats has no NaN
            made[np.isnan(mask)] = np.nan
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        mask, a, b = values
        either = [replace(a, nan=a.nan or mask.nan), b]
        return moved(min(a.low, b.low), max(a.high, b.high), either, precision)

    def error_unit(self, values: tuple[Values, ...]) -> str:
        return super().error_unit(values[1:])

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return rounded_once(values[1:], out)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return expected_once(values[1:], out)
