"""Pooling, as networks do it: one pixel for the mean or the maximum of a window, channel by channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np

from tileconv.boxes import Halo
from tileconv.engines.borders import Border
from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import PADDED, Array, Choices, Operation
from tileconv.operations.parameters import Amounts, Counts, sizes_per_axis
from tileconv.operations.several import expected_once, moved, rounded_once
from tileconv.quick import dataclass

NS_PER_TAP = 0.6
"""A pixel added or compared, nanoseconds (measured: docs/networks.md)."""


def pool(
    size: Counts = 2,
    method: Literal["mean", "maximum"] = "maximum",
    *,
    stride: Counts | None = None,
    padding: Amounts | None = None,
    axes: str = "yx",
) -> Pool:
    """Mean or maximum of windows of *size* that step over the image: one pixel for each, on a coarser grid.

    *stride* is *size* where nothing is said. *padding* stands for border and extent, as in PyTorch: zeros that count
    for the mean, nothing for the maximum.

    Raises
    ------
    KernelError
        If the padding is larger than half a window.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.pool([[1, 2, 3, 4], [5, 6, 7, 8]], padding=0)
    array([[6, 8]])
    """
    sizes = sizes_per_axis(size, axes)
    steps = sizes if stride is None else sizes_per_axis(stride, axes, "stride")
    around = None if padding is None else sizes_per_axis(padding, axes, "padding", least=0)
    if around is not None and any(2 * p > n for p, n in zip(around, sizes, strict=True)):
        raise KernelError(f"padding is at most half of size, found {padding}", why="a window would hold no pixel")
    return Pool(method, sizes, steps, around)


@dataclass(frozen=True)
class Pool(Operation):
    """One pixel per window; the sizes are those of the axes that it acts on."""

    method: Literal["mean", "maximum"]
    size: tuple[int, ...]
    steps: tuple[int, ...]
    around: tuple[int, ...] | None = None
    copies: ClassVar[int] = 2

    def along(self, axes: str) -> Self:
        if axes not in {"x", "yx", "zyx"}:
            raise KernelError(f"pool acts over yx, zyx or x, found {axes}")
        return self

    @property
    def averages(self) -> bool:
        return self.method == "mean"

    @property
    def halo(self) -> Halo:
        return Halo(tuple(n // 2 for n in self.size), tuple(n - 1 - n // 2 for n in self.size))

    @property
    def stride(self) -> tuple[int, ...]:
        return (1,) * (3 - len(self.steps)) + self.steps

    @property
    def padding(self) -> tuple[int, ...] | None:
        return None if self.around is None else (0,) * (3 - len(self.size)) + self.around

    @property
    def padding_border(self) -> Border:
        """Reflect doubles pixels of the window itself, as long as no more than half of it lies outside."""
        return Border("reflect") if self.method == "maximum" else Border("constant", 0.0)

    @property
    def excludes(self) -> Mapping[str, str]:
        return {"engine": "pool makes no sums under kernels"} | (PADDED if self.around is not None else {})

    @property
    def keeps_whole(self) -> bool:
        return self.method == "maximum"

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        add: Callable[..., Any] = np.maximum if self.method == "maximum" else np.add
        made = pixels[0].astype(out.dtype, copy=False)
        for axis, (size, step) in enumerate(zip(self.size, self.steps, strict=True), start=3 - len(self.size)):
            count = (made.shape[axis] - size) // step + 1
            parts = [made[(slice(None),) * axis + (slice(k, k + (count - 1) * step + 1, step),)] for k in range(size)]
            made = parts[0].copy()
            for part in parts[1:]:
                add(made, part, out=made)
        if self.method == "mean":
            made /= made.dtype.type(math.prod(self.size))
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        if self.method == "maximum":
            return moved(own.low, own.high, values, precision)
        return Values(working_dtype(own.dtype, precision), whole=False, low=own.low, high=own.high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        if self.method == "maximum":
            return rounded_once(values, out)
        return half_ulp(out) * (sum(self.size) + 2) * largest(values[0])

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        if self.method == "maximum":
            return expected_once(values, out)
        return ROUNDING * half_ulp(out) * expected_pixels(values[0]).size * math.sqrt(sum(self.size))

    def ns_per_pixel(self, values: Values) -> float:
        return NS_PER_TAP * sum(n * s for n, s in zip(self.size, self.steps, strict=True))
