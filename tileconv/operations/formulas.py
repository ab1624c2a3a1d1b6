"""What the formulas of several operations share: sums in the output's type, ranges, and roundings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tileconv.engines.values import FLOAT32, Values
from tileconv.operations.operation import Array, Choices

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice


def divided(sums: Array, choice: Choice, out: Values) -> Array:
    """Return the sums in the output's type; exact sums are divided here, once, others have it in their weights."""
    made = sums.astype(out.dtype, copy=False)
    if choice.sums.exact and choice.kernel.divide_by != 1:
        made /= made.dtype.type(choice.kernel.divide_by)
    return made


def shifts(choices: Choices, offset: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Return what each sum is divided by, as ``divided`` does it, and the *offset* to all of them."""
    return tuple((choice.kernel.divide_by if choice.sums.exact else 1.0, offset) for choice in choices)


def sum_range(choice: Choice, values: Values) -> tuple[float, float]:
    """Return bounds of the divided sums: positive weights take one end of the values, negative ones the other."""
    if math.isinf(values.peak):
        return -math.inf, math.inf
    kernel = choice.kernel
    positive, negative = kernel.signed_sums
    ends = (
        (positive * values.low + negative * values.high) / kernel.divide_by,
        (positive * values.high + negative * values.low) / kernel.divide_by,
    )
    return min(ends), max(ends)


def beyond(
    made: Array, inputs: tuple[Array, ...], formula: Callable[..., Array], out: Values, *, parts: int = 8
) -> None:
    """Make those of *made* again that are not finite though *inputs* are: a part of the formula left the range.

    *formula* takes the inputs divided by *parts*, a power of two, in float64, and gives the result divided by it.
    """
    from tileconv.engines.nonfinite import bands

    if out.finite_below(float(np.finfo(out.dtype).max) / 4 if out.dtype.kind == "f" else math.inf):
        return
    for rows in bands(made):
        again = ~np.isfinite(made[:, rows])
        if again.any():
            for pixels in inputs:
                again &= np.isfinite(pixels[:, rows])
            some = (pixels[:, rows][again].astype(np.float64) / parts for pixels in inputs)
            made[:, rows][again] = parts * formula(*some)


def largest(values: Values) -> float:
    """Return the largest absolute pixel that errors are counted for: 1 where nothing bounds the pixels."""
    return values.peak if math.isfinite(values.peak) else 1.0


def half_ulp(out: Values) -> float:
    """Return the most by which a result near 1 is rounded; nothing where all of them are whole numbers."""
    return 0.0 if out.whole else float(np.finfo(out.dtype).eps) / 2


def sum_bounds(choices: Choices, values: Values) -> list[tuple[float, float]]:
    """Return, for every kernel, the error bound of a divided sum and the largest that it can be."""
    peak = largest(values)
    gains = (c.kernel.absolute_sum / abs(c.kernel.divide_by) * peak for c in choices)
    return list(zip((c.chosen.bound_per_peak * peak for c in choices), gains, strict=True))


def rounded_by_type(values: Values, dtype: np.dtype[Any]) -> bool:
    """Return whether holding pixels like *values* in *dtype* may round them, or a fill value among them has done so."""
    return dtype.kind == "f" and not (values.whole and values.peak <= 2.0 ** (np.finfo(dtype).nmant + 1))


def rounded_by_division(choice: Choice, dtype: np.dtype[Any]) -> int:
    """Return how often exact sums are rounded on their way to *dtype*: into it, by the divisor, by the division."""
    if not choice.sums.exact:
        return 0
    divisor = choice.kernel.divide_by
    narrowed = dtype.kind == "f" and choice.sums.accumulate not in {FLOAT32, dtype}
    return int(narrowed) + (0 if divisor == 1 else 1 + (float(dtype.type(divisor)) != divisor))
