"""Colours beside alpha: multiplied by it before means are taken and divided after; and linear light for sRGB.

T. Porter and T. Duff, "Compositing digital images", SIGGRAPH 1984; IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.expected import ROUNDING
from tileconv.engines.values import Precision, Values, held, working_dtype
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.quick import dataclass


class BesideAlpha(Operation):
    """A formula on all channels of a pixel, the last of which is alpha."""

    makes_channels: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True
    copies: ClassVar[int] = 4

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError  # it mixes channels

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 3 * half_ulp(out) * largest(out)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * half_ulp(out) * largest(out)

    def error_unit(self, values: tuple[Values, ...]) -> str:
        return "" if math.isfinite(values[0].peak) else "max |result|"


@dataclass(frozen=True)
class Premultiply(BesideAlpha):
    """Colours times alpha, over *unit*; a pixel of which one channel is missing is missing in all."""

    unit: float

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        alpha = blocks[-1].astype(made.dtype)
        products = [np.multiply(colour, alpha, dtype=made.dtype) for colour in blocks[:-1]]
        if self.unit != 1:
            for product in products:
                product /= made.dtype.type(self.unit)
        missing = np.isnan(sum(products, alpha)) if made.nan else ()
        for channel in (*products, alpha) if made.nan else ():
            channel[missing] = np.nan
        return (*products, alpha)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        high = own.peak * own.peak / self.unit
        whole = own.whole and self.unit == 1 and high < 2.0**24  # more is not worth sums in float64
        low = 0.0 if own.low >= 0 else -high
        return held(low, high, whole=whole, working=working_dtype(own.dtype, precision))


@dataclass(frozen=True)
class Straighten(BesideAlpha):
    """Colours over alpha, times *unit*, up to *peak*; 0 where alpha is 0, or less by the errors of a transform."""

    unit: float
    peak: float

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        alpha = np.maximum(blocks[-1].astype(made.dtype, copy=False), 0)
        seen, colours = alpha != 0, []  # NaN too
        for product in blocks[:-1]:
            colour = np.divide(product, alpha, out=np.zeros_like(alpha), where=seen)
            colour *= made.dtype.type(self.unit)
            colours.append(np.clip(colour, made.low, made.high, out=colour))
        return (*colours, alpha)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        low = 0.0 if own.low >= 0 and math.isfinite(self.peak) else -math.inf
        return Values(working_dtype(own.dtype, precision), whole=False, low=low, high=self.peak)


@dataclass(frozen=True)
class Hide(BesideAlpha):
    """Colours as they are, but 0 where alpha is at most *faintest*, which an integer stores as 0."""

    faintest: float

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        *colours, alpha = blocks
        hidden = alpha <= self.faintest
        return (*(np.where(hidden, made.dtype.type(0), colour) for colour in colours), alpha)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return values[0].including(0.0)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 0.0

    expected_error = error_bound


class Curve(Operation):
    """A curve on every pixel, from 0 to *peak* and on as steeply; its mirror image below 0."""

    peak: float

    @staticmethod
    def _curve(size: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError

    def _of(self, pixels: Any) -> NDArray[np.float64]:
        pixels = np.asarray(pixels, np.float64) / self.peak
        made: NDArray[np.float64] = np.copysign(self._curve(np.abs(pixels)), pixels) * self.peak
        return made

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        from tileconv.engines.nonfinite import bands

        (own,), made = pixels, np.empty(pixels[0].shape, out.dtype)
        table = self._of(np.arange(np.iinfo(own.dtype).max + 1)) if own.dtype.kind == "u" and own.itemsize < 3 else None
        for rows in bands(own):
            made[:, rows] = self._of(own[:, rows]) if table is None else table[own[:, rows]]
        return made

    def scratch(self, values: Values, want: int) -> int:
        return 2**20

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        low, high = (float(self._of(end)) for end in (values[0].low, values[0].high))
        return Values(working_dtype(values[0].dtype, precision), whole=False, low=low, high=high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 8 * half_ulp(out) * largest(out)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * half_ulp(out) * largest(out)

    def error_unit(self, values: tuple[Values, ...]) -> str:
        return "" if math.isfinite(values[0].peak) else "max(1, |result|)"

    def ns_per_pixel(self, values: Values) -> float:
        return 2.0 if values.dtype.kind == "u" else 25.0


@dataclass(frozen=True)
class Decode(Curve):
    """Numbers of sRGB to amounts of light."""

    peak: float

    @staticmethod
    def _curve(size: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class Encode(Curve):
    """Amounts of light to numbers of sRGB."""

    peak: float

    @staticmethod
    def _curve(size: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055)
