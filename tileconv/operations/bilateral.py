"""Bilateral filter: a mean over near pixels that are alike, which keeps edges."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.boxes import Halo
from tileconv.engines.expected import ROUNDING
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import Precision, Values, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Lengths, Positive, Sizes, number, per_axis, sizes_per_axis
from tileconv.quick import dataclass


def bilateral(
    sigma_color: Positive,
    sigma_spatial: Lengths = 1.0,
    *,
    size: Sizes | None = None,
    axes: str = "yx",
) -> Bilateral:
    """Mean of near pixels that are alike: Gaussian weights of the distance and of the difference in value.

    As ``skimage.restoration.denoise_bilateral``, whose weights come from a table, and here are exact; every channel by
    itself. *sigma_color* is in pixel values, *sigma_spatial* in pixels. The window is *size* pixels wide, by default
    the next odd number above 6 sigmas, at least 5. A missing pixel in the window makes the result missing.

    Raises
    ------
    KernelError
        If a sigma is not above 0, or the size is even.

    References
    ----------
    C. Tomasi and R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.bilateral([[0, 2, 1, 90, 91, 89]], 5, 2).round(1)
    array([[ 0.9,  1. ,  1. , 90. , 90. , 89.9]])
    """
    colour = number(sigma_color, "sigma_color")
    if not 0 < colour < math.inf:
        raise KernelError(f"sigma_color must be above 0 and finite, found {colour}")
    sigmas = per_axis(sigma_spatial, axes, "sigma_spatial", above=0.0)
    if size is None:
        sizes = tuple(max(5, 2 * math.ceil(3 * min(s, 1e6)) + 1) for s in sigmas)
    else:
        sizes = sizes_per_axis(size, axes)
    if any(n % 2 == 0 for n in sizes):
        raise KernelError(
            f"the size must be odd, found {size}", why="a window has a middle", fix="Use the next odd one."
        )
    lines = [np.exp(-0.5 * ((np.arange(n) - n // 2) / s) ** 2) for n, s in zip(sizes, sigmas, strict=True)]
    return Bilateral(Kernel.separable(lines), colour)


@dataclass(frozen=True)
class Bilateral(Operation):
    """Weighted mean of the window: weights of *near* times those of the difference from the pixel in the middle."""

    near: Kernel
    sigma_color: float
    copies: ClassVar[int] = 1

    @property
    def halo(self) -> Halo:
        return self.near.halo

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        from tileconv.operations.loops import bilateral, bilateral_by_table

        (block,) = pixels
        weights = self.near.weights.astype(np.float64).reshape((1,) * (3 - len(self.near.shape)) + self.near.shape)
        made: Array = np.empty([n - w + 1 for n, w in zip(block.shape, weights.shape, strict=True)], out.dtype)
        block = np.ascontiguousarray(block)
        if block.dtype.kind in "iu" and block.dtype.itemsize <= 2:
            reach = 2 ** (8 * block.dtype.itemsize)
            alike = np.exp(-0.5 * (np.arange(reach) / self.sigma_color) ** 2)
            bilateral_by_table(block, weights, alike, made)
        else:
            block = block.astype(np.result_type(block.dtype, np.float32), copy=False)
            bilateral(block, weights, -0.5 / self.sigma_color**2, made)
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        return Values(working_dtype(own.dtype, precision), whole=False, low=own.low, high=own.high)

    def ns_per_pixel(self, values: Values) -> float:
        return (1.5 if values.dtype.kind in "iu" and values.dtype.itemsize <= 2 else 8.0) * math.prod(self.near.shape)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        # of n weights exp(-t), each wrong by (3 t + 2) roundings, beside one of 1; then sums of n products
        count = math.prod(self.near.shape)
        return largest(values[0]) * (8 * count * float(np.finfo(np.float64).eps) + half_ulp(out))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * half_ulp(out) * largest(values[0])
