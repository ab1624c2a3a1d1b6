"""Projections: one pixel for all along an axis, as the brightest of a stack of planes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np

from tileconv.boxes import SPACE, Box, Halo, pieces
from tileconv.engines.borders import Border
from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import FLOAT64, INT64, Precision, Values, held, working_dtype
from tileconv.errors import KernelError, PlanError
from tileconv.operations.folds import Picked, Spread, Totalled, WholeSpread
from tileconv.operations.footprint import Footprint
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import PADDED, Array, Choices, Fold, Operation
from tileconv.operations.parameters import Projected
from tileconv.operations.variance import BAND_PX, Variance
from tileconv.quick import dataclass

PICKS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "max": (np.maximum, np.greater_equal),
    "min": (np.minimum, np.less_equal),
}
"""What picks one of two pixels, and what says that the first is picked."""
UNIT = 2.0**-53
NS = {"max": 0.7, "min": 0.7, "mean": 1.2, "sum": 1.2, "std": 9.0}
"""What a pixel costs, nanoseconds."""


def project(method: Projected, *, axes: str = "yx") -> Projection:
    """One pixel for all along an axis: the largest of them, their mean, their sum, the smallest, their deviation.

    The stage names the axis: ``over: z``, ``over: t`` for time points, or ``over: c`` for channels. It stays, one pixel
    long, as thick as all of them. NaN among them makes NaN. ``std`` is that of the population, as ``numpy.std`` makes
    it.

    Raises
    ------
    KernelError
        If it is to act along several axes.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.project([[[1, 9]], [[5, 2]]], method="max", axes=0)
    array([[[5, 9]]])
    """
    if len(axes) != 1:
        fix = "Write over: z for the planes of a stack, over: t for time points, or over: c for channels."
        raise KernelError(f"a projection goes along one axis, found {axes}", fix=fix)
    others = {"c": OfChannels, "t": OfTime}
    return others[axes](method) if axes in others else AlongAxis(method, axis=axes)


@dataclass(frozen=True)
class Projection(Operation):
    """What *method* makes of *count* pixels, which are as many as the image has along the axis."""

    method: Projected
    count: int = 0
    acts_on: ClassVar[str] = "tc" + SPACE

    @property
    def keeps_whole(self) -> bool:
        return self.method in {*PICKS, "sum"}

    @property
    def excludes(self) -> Mapping[str, str]:
        why = "a projection has all pixels along its axis, and none beyond them"
        return {"engine": "a projection makes no sums under kernels"} | dict.fromkeys(PADDED, why)

    def along(self, axes: str) -> Self:
        return self

    @abstractmethod
    def on(self, image: Box, channels: int, times: int) -> Self:
        """Return the projection of as many pixels as the *image* has."""

    @property
    def _deviation(self) -> Variance:
        return Variance(Footprint((self.count, 1, 1)), root=True)

    def _of(self, planes: Array, out: Values) -> Array:
        """Return what *planes*, pixels of the axis first, are projected to; in the same order whatever their size."""
        fold = self.fold(planes.shape[1:], planes.dtype, out)
        fold.add(planes)
        return fold.made().astype(out.dtype, copy=False)

    def fold(self, shape: tuple[int, ...], dtype: np.dtype[Any], out: Values) -> Fold:
        if self.method in PICKS:
            return Picked(_further(self.method, dtype))
        if self.method == "std":
            return WholeSpread(shape, self.count) if self._deviation.exact(dtype) else Spread(shape, self.count)
        halved = max(1, self.count).bit_length() if dtype == FLOAT64 and not out.whole else 0
        return Totalled(shape, INT64 if out.whole else FLOAT64, self.count if self.method == "mean" else 1, halved)

    def fold_bytes(self, values: Values) -> int:
        if self.method in PICKS:
            return 2 * values.dtype.itemsize
        wide = 2 + (0 if self._deviation.exact(values.dtype) else 2 * self.count.bit_length())
        return 8 * (wide if self.method == "std" else 3)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,), count = values, max(1, self.count)
        working = working_dtype(own.dtype, precision)
        match self.method:
            case "std":
                return self._deviation.range_out(values, choices, precision)
            case "sum":
                whole = own.whole and not own.nan and count * own.peak < 2.0**63
                return held(count * own.low, count * own.high, whole=whole, working=working)
            case "mean":
                return Values(working, whole=False, low=own.low, high=own.high)
        return own

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        (own,), count = values, max(1, self.count)
        if self.method == "std":
            return self._deviation.error_bound(values, choices, out)
        if self.method in PICKS or out.whole:
            return 0.0
        size = (count if self.method == "sum" else 1) * largest(own)
        return size * (half_ulp(out) + (count + 2) * UNIT)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        (own,), count = values, max(1, self.count)
        if self.method == "std":
            return self._deviation.expected_error(values, choices, out)
        if self.method in PICKS or out.whole:
            return 0.0
        size = (count if self.method == "sum" else 1) * expected_pixels(own).size
        return ROUNDING * size * math.hypot(half_ulp(out), math.sqrt(count) * UNIT)

    @property
    def error_scale(self) -> str:
        return "max |pixel|"

    def ns_per_pixel(self, values: Values) -> float:
        return NS[self.method] * self.count

    def scratch(self, values: Values, want: int) -> int:
        return 9 * 8 * max(BAND_PX, self.count)


@dataclass(frozen=True)
class AlongAxis(Projection):
    """The projection along *axis*, one of z, y and x: a window as long as the image, which takes one step."""

    axis: str = "z"

    @property
    def folds(self) -> str:
        return self.axis if self.count > 1 else ""

    def on(self, image: Box, channels: int, times: int) -> Self:
        return replace(self, count=image.shape[SPACE.index(self.axis)])

    def _sizes(self, size: int, other: int) -> tuple[int, ...]:
        return tuple(size if axis == self.axis else other for axis in SPACE)

    @property
    def halo(self) -> Halo:
        count, first = max(1, self.count), SPACE.index(self.axis)
        return Halo(self._sizes(count // 2, 0)[first:], self._sizes(count - 1 - count // 2, 0)[first:])

    @property
    def stride(self) -> tuple[int, ...]:
        return self._sizes(max(1, self.count), 1)

    @property
    def padding(self) -> tuple[int, ...]:
        return (0, 0, 0)

    @property
    def padding_border(self) -> Border:
        return Border("nearest")

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        at = SPACE.index(self.axis)
        block = np.moveaxis(pixels[0], at, 0)
        made = np.empty(block.shape[1:], out.dtype)
        for part in parts_of(made.shape, len(block)):
            made[part] = self._of(block[:, *part], out)
        return np.expand_dims(made, at)


@dataclass(frozen=True)
class OfTime(Projection):
    """The projection of all time points, of which a tile never holds all."""

    @property
    def folds(self) -> str:
        return "t" if self.count > 1 else ""

    def on(self, image: Box, channels: int, times: int) -> Self:
        return replace(self, count=times)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        return self._of(pixels[0][None], out)


@dataclass(frozen=True)
class OfChannels(Projection):
    """The projection of all channels."""

    makes_channels: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    def on(self, image: Box, channels: int, times: int) -> Self:
        return replace(self, count=channels)

    def channels_out(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        if not channels:
            raise PlanError("the image that it projects has no channels", fix="Remove the stage.")
        return (self.method,)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        result = np.empty(out.shape, made.dtype)
        for z in range(out.shape[0]):
            for part in parts_of(out.shape[1:], len(blocks)):
                result[z, *part] = self._of(np.stack([block[z, *part] for block in blocks]), made)
        return (result,)


def parts_of(shape: Sequence[int], count: int) -> list[tuple[slice, slice]]:
    """Return the parts of a plane, each with *count* pixels for one, that are made at once."""
    room = max(1, BAND_PX // max(1, count))
    columns = min(shape[1], room)
    ends = pieces(0, shape[0], max(1, room // max(1, columns))), pieces(0, shape[1], max(1, columns))
    return [(slice(*rows), slice(*some)) for rows, some in product(*ends)]


def _further(method: Projected, dtype: np.dtype[Any]) -> Callable[..., Any]:
    """Return what picks the larger, or the smaller, of two pixels: the first of equal ones, and NaN where one is."""
    pick, before = PICKS[method]
    if dtype.kind != "f":
        return pick
    # not np.maximum, whose choice of 0.0 and -0.0 is that of the processor's vectors
    return lambda a, b: np.where(before(a, b) | np.isnan(a), a, b)
