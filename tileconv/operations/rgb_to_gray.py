"""Colours to gray: one channel for red, green and blue."""

from __future__ import annotations

from itertools import product
from typing import ClassVar

import numpy as np

from tileconv.boxes import Box
from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import FLOAT64, Precision, Values, working_dtype
from tileconv.errors import PlanError
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.project import parts_of
from tileconv.operations.variance import BAND_PX
from tileconv.quick import dataclass

WEIGHTS = (0.2125, 0.7154, 0.0721)
"""Of red, green and blue: the luminance of light with the primaries of Rec. 709, as ``skimage.color.rgb2gray`` has."""
UNIT = 2.0**-53


def rgb_to_gray(*, axes: str = "yx") -> Gray:  # noqa: ARG001 every operator takes axes
    """Gray of a colour image: 0.2125 red + 0.7154 green + 0.0721 blue, the weights of Rec. 709.

    It has three channels, and the result one, named gray; pixels keep their scale. Alpha is left out with
    ``input.select: {c: [0, 1, 2]}``.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.rgb_to_gray([[[200, 100, 0]]], channel_axis=-1)
    array([[[114.04]]])
    """
    return Gray()


@dataclass(frozen=True)
class Gray(Operation):
    """The weighted sum of three channels, in float64, rounded once."""

    makes_channels: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    def channels_out(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        if len(channels) != len(WEIGHTS):
            fix = "Say which are red, green and blue: input.select: {c: [0, 1, 2]}."
            raise PlanError(f"it takes red, green and blue, and gets {len(channels)} channels", fix=fix)
        return ("gray",)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        result = np.empty(out.shape, made.dtype)
        for z, part in product(range(out.shape[0]), parts_of(out.shape[1:], 1)):
            colours = (block[z, *part].astype(FLOAT64) for block in blocks)
            red, green, blue = (weight * colour for weight, colour in zip(WEIGHTS, colours, strict=True))
            result[z, *part] = red + green + blue
        return (result,)

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        return Values(working_dtype(own.dtype, precision), whole=False, low=own.low, high=own.high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return largest(values[0]) * (half_ulp(out) + 5 * UNIT)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return ROUNDING * half_ulp(out) * expected_pixels(values[0]).size

    def ns_per_pixel(self, values: Values) -> float:
        return 2.0

    def scratch(self, values: Values, want: int) -> int:
        return 6 * 8 * BAND_PX
