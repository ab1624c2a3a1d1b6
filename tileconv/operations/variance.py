"""How much the pixels around each differ: their variance, or its root.

Whole numbers are summed exactly, themselves and their squares. Others are merged, pairs to fours and so on: the mean
and the variance of two parts give those of both (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample
variance"), in float64, without a difference of large sums. How parts are merged depends on the size alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np

from tileconv.boxes import Halo, pieces
from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values, working_dtype
from tileconv.operations.extremes_around import largest_around
from tileconv.operations.footprint import Footprint, footprint
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Sizes
from tileconv.quick import dataclass

Parts = tuple[Array, Array]
"""Of every window the sum and the sum of squares, or the mean and the variance."""
BAND_PX = 2**16
"""Pixels that are made at once, so that what is merged stays in the cache."""
UNIT = 2.0**-53


def variance(size: Sizes = 3, *, axes: str = "yx") -> Variance:
    """Variance of the pixels in a box of *size*: the mean square of what they differ from their mean.

    Not finite pixels make it NaN. It is that of ``numpy.var``, of the population.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.variance([[1, 1, 1, 4, 4]]).round(1)
    array([[0., 0., 2., 2., 0.]])
    """
    return Variance(footprint(size, None, axes), root=False)


def standard_deviation(size: Sizes = 3, *, axes: str = "yx") -> Variance:
    """Root of the variance of the pixels in a box of *size*, which shows texture: standard deviation.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.standard_deviation([[1, 1, 1, 4, 4]]).round(1)
    array([[0. , 0. , 1.4, 1.4, 0. ]])
    """
    return Variance(footprint(size, None, axes), root=True)


@dataclass(frozen=True)
class Variance(Operation):
    """The variance of the pixels in *footprint*, a box, or its *root*."""

    footprint: Footprint
    root: bool

    @property
    def halo(self) -> Halo:
        return self.footprint.halo

    @property
    def error_scale(self) -> str:
        return "max |pixel|" if self.root else "max |pixel|^2"

    def along(self, axes: str) -> Self:
        return replace(self, footprint=self.footprint.along(axes))

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        (block,) = pixels
        shape = tuple(n - k + 1 for n, k in zip(block.shape, self.footprint.box, strict=True))
        made: Array = np.empty(shape, out.dtype)
        high, exact = self.footprint.box[1], self.exact(block.dtype)
        for top, bottom in pieces(0, shape[1], self._rows(block.shape[0] * block.shape[2])):
            band = block[:, top : bottom + high - 1]
            variances = _of_whole(band, self.footprint) if exact else _of_reals(band, self.footprint)
            made[:, top:bottom] = np.sqrt(variances, out=variances) if self.root else variances
        return made

    def exact(self, dtype: np.dtype[Any]) -> bool:
        """Return whether the sums of squares, times how many there are, fit int64 wherever zero is in the middle."""
        return dtype.kind in "iub" and self.footprint.count << (8 * dtype.itemsize - 1) <= 2**31

    def _rows(self, row_px: int) -> int:
        """Return how many rows are made at once."""
        return max(self.footprint.box[1], BAND_PX // max(1, row_px))

    @property
    def _levels(self) -> int:
        """How many mergers lie between a pixel and the result, at most."""
        return sum(2 * (n.bit_length() - 1) for n in self.footprint.sizes)

    def ns_per_pixel(self, values: Values) -> float:
        return 4.0 + (3.0 if self.exact(values.dtype) else 7.0) * self._levels

    def scratch(self, values: Values, want: int) -> int:
        return 9 * 8 * want  # a band may be all of it

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        most = (own.high - own.low) / 2
        high = most if self.root else most * most
        return Values(working_dtype(own.dtype, precision), whole=False, low=0.0, high=high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        """Return the bound: a merger adds up to 8 units to a mean's error, which counts twice in that of a variance."""
        (own,), levels = values, self._levels
        peak = largest(own)
        square = (4 if self.exact(own.dtype) else 8 * levels * levels + 16 * levels + 8) * UNIT
        made = peak if self.root else peak * peak
        rounded = half_ulp(out) * made * (1 + square)
        if self.exact(own.dtype):
            return square * made + rounded
        return (math.sqrt(square) if self.root else square) * made + rounded

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        (own,), exact = values, self.exact(values[0].dtype)
        pixels = expected_pixels(own)
        made = pixels.deviation if self.root else pixels.deviation**2
        merged = 0.0 if exact else UNIT * math.sqrt(self._levels) * pixels.size * (1 if self.root else pixels.deviation)
        return math.hypot(ROUNDING * half_ulp(out) * made, merged)


def _of_whole(block: Array, footprint: Footprint) -> Array:
    """Return the variances of whole numbers, from exact sums of what they differ from the middle of their type."""
    moved = block.astype(np.int64) - middle_of(block.dtype)
    sums, squares = _merged((moved, moved * moved), footprint, lambda a, b, _share: (a[0] + b[0], a[1] + b[1]))
    return of_sums(sums, squares, footprint.count)


def middle_of(dtype: np.dtype[Any]) -> int:
    """Return the middle of a type of whole numbers."""
    return 1 << (8 * dtype.itemsize - 1) if dtype.kind == "u" else 0


def of_sums(sums: Array, squares: Array, count: int) -> Array:
    """Return the variances of *count* whole numbers by their *sums* and those of their *squares*, which change."""
    squares *= count
    squares -= np.multiply(sums, sums, out=sums)
    return squares / float(count**2)


def _of_reals(block: Array, footprint: Footprint) -> Array:
    """Return the variances of real numbers; NaN where one of them is not finite."""
    pixels = block.astype(np.float64)
    made = _merged((pixels, pixels - pixels), footprint, both)[1]
    if not (finite := np.isfinite(made)).all():
        made[~finite] = np.inf  # that of large numbers; also where it went on as a NaN
        made[largest_around(~np.isfinite(block), footprint)] = np.nan
    return made


def both(one: Parts, other: Parts, share: float) -> Parts:
    """Return mean and variance of two parts together; *share* is that of the other in the pixels of both."""
    apart = other[0] - one[0]
    variance = one[1] * (1 - share)
    variance += other[1] * share
    mean = apart * share
    mean += one[0]
    apart *= apart
    apart *= share * (1 - share)
    variance += apart
    return mean, variance


def _merged(parts: Parts, footprint: Footprint, both: Callable[[Parts, Parts, float], Parts]) -> Parts:
    """Return what *both* makes of all parts under a box: along each axis of pairs, of fours and so on."""
    for axis, size in enumerate(footprint.box):
        power, length = _moved(parts, axis, 0), 1
        made, done = power, 0
        while done < size:
            if size & length:
                count = len(power[0]) - done
                share = length / (done + length)
                made = both(_cut(made, 0, count), _cut(power, done, count), share) if done else power
                done += length
            if done < size:
                count = len(power[0]) - length
                power = both(_cut(power, 0, count), _cut(power, length, count), 0.5)
                length *= 2
        parts = _moved(made, 0, axis)
    return parts


def _moved(parts: Parts, source: int, target: int) -> Parts:
    return np.moveaxis(parts[0], source, target), np.moveaxis(parts[1], source, target)


def _cut(parts: Parts, start: int, count: int) -> Parts:
    return parts[0][start : start + count], parts[1][start : start + count]
