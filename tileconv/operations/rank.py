"""One pixel of those around each, by its place in their order: the median or another, the least, the largest."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Self

import numpy as np

from tileconv.boxes import Halo
from tileconv.engines.expected import ROUNDING
from tileconv.engines.values import Precision, Values
from tileconv.errors import KernelError
from tileconv.operations.footprint import Footprint, footprint
from tileconv.operations.formulas import half_ulp
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Lengths, Sizes, number
from tileconv.quick import dataclass

MOST = {1: 121, 2: 121, 4: 81, 8: 81}
"""The largest footprint that a network is quicker for than a window that slides, by the bytes of a pixel."""


def median(size: Sizes | None = None, *, radius: Lengths | None = None, axes: str = "yx") -> Rank:
    """Median of a box of *size* pixels (3 by default), or of a disk of *radius*: specks go, edges stay.

    Of an even number of pixels it is the upper of both in the middle, as in scipy.ndimage. NaN where one is NaN.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.median([[1, 2, 90, 4, 5]])
    array([[1, 2, 4, 5, 5]])
    """
    pixels = footprint(size, radius, axes)
    return Rank(pixels, pixels.count // 2)


def rank(
    size: Sizes | None = None,
    *,
    radius: Lengths | None = None,
    rank: int | None = None,
    percentile: float | None = None,
    axes: str = "yx",
) -> Rank:
    """Pixel at place *rank* in the order of those in a box or a disk; or at *percentile*, from 0 to 100.

    Rank 0 is the smallest, -1 the largest, -2 the one before it; a percentile below 0 counts from 100, too. Both are as
    in scipy.ndimage. NaN where one of the pixels is NaN.

    Raises
    ------
    KernelError
        If rank or percentile is not stated, both are, or there is no such pixel.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.rank([[1, 2, 90, 4, 5]], {"y": 1, "x": 3}, rank=-1)
    array([[ 2, 90, 90, 90,  5]])
    """
    pixels = footprint(size, radius, axes)
    if (rank is None) == (percentile is None):
        found = "neither" if rank is None else "both"
        raise KernelError(f"expected rank or percentile, found {found}", fix="As in percentile: 90.")
    count, place = pixels.count, number(rank if percentile is None else percentile, "rank")
    if percentile is None:
        if not -count <= place < count or not place.is_integer():
            problem = f"rank must be a whole number from {-count} to {count - 1}, found {rank}"
            raise KernelError(problem, why=f"there are {count} pixels, and the first has rank 0")
        return Rank(pixels, int(place) % count)
    if not -100 <= place <= 100:
        raise KernelError(f"percentile must be from 0 to 100, found {percentile}")
    place += 100 * (place < 0)
    return Rank(pixels, count - 1 if place == 100 else int(count * place / 100))


def local_minimum(size: Sizes | None = None, *, radius: Lengths | None = None, axes: str = "yx") -> Rank:
    """Smallest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: erosion of a gray image.

    NaN where one of the pixels is NaN.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.local_minimum([[1, 2, 90, 4, 5]])
    array([[1, 1, 2, 4, 4]])
    """
    return Rank(footprint(size, radius, axes), 0)


def local_maximum(size: Sizes | None = None, *, radius: Lengths | None = None, axes: str = "yx") -> Rank:
    """Largest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: dilation of a gray image.

    NaN where one of the pixels is NaN.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.local_maximum([[1, 2, 90, 4, 5]])
    array([[ 2, 90, 90, 90,  5]])
    """
    pixels = footprint(size, radius, axes)
    return Rank(pixels, pixels.count - 1)


@dataclass(frozen=True)
class Rank(Operation):
    """The pixel of *rank*, from 0, of those in *footprint*: a pixel of the input, in its type, bit by bit."""

    footprint: Footprint
    rank: int

    @property
    def halo(self) -> Halo:
        return self.footprint.halo

    @property
    def keeps_whole(self) -> bool:
        return True

    def along(self, axes: str) -> Self:
        return replace(self, footprint=self.footprint.along(axes))

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        from tileconv.operations.extremes_around import largest_around
        from tileconv.operations.ordered import as_keys, from_keys

        (block,) = pixels
        made = from_keys(self._picked(as_keys(block)), out.dtype)
        if out.nan:
            absent = np.isnan(block)
            if absent.any():
                made[largest_around(absent, self.footprint)] = np.nan
        return made

    def _picked(self, keys: Array) -> Array:
        from tileconv.operations.extremes_around import largest_around

        if self.rank == 0:
            made = largest_around(np.invert(keys), self.footprint)
            return np.invert(made, out=made)
        if self.rank == self.footprint.count - 1:
            return largest_around(keys, self.footprint)
        if self.footprint.count <= MOST[keys.itemsize]:
            from tileconv.operations.networks import selected

            return selected(keys, self.footprint, self.rank)
        from tileconv.operations.sliding import slid

        return slid(keys, self.footprint, self.rank)

    def ns_per_pixel(self, values: Values) -> float:
        bytes_, count, rows = values.dtype.itemsize, self.footprint.count, len(self.footprint.runs)
        if self.rank in {0, count - 1}:
            lines = rows if self.footprint.radii else 1
            return 0.4 * bytes_ * (lines + sum(math.log2(n) for n in self.footprint.sizes))
        if count <= MOST[bytes_]:
            return 0.03 * bytes_ * count * math.sqrt(math.log2(count))
        return 50.0 + 5.0 * rows + 5.0 * bytes_

    def scratch(self, values: Values, want: int) -> int:
        return want * (3 * values.dtype.itemsize + 2 * values.nan) + 36 * self.footprint.region_px + 2**20

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return values[0]

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        """Return 0, but of 64-bit whole numbers that a border's constant beside them made floats."""
        rounds = not out.whole and 2.0 ** (np.finfo(out.dtype).nmant + 1) < out.peak < math.inf
        return half_ulp(out) * out.peak if rounds else 0.0

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * self.error_bound(values, choices, out)
