"""Dark for bright: every pixel subtracted from the largest that there can be."""

from __future__ import annotations

import numpy as np

from tileconv.engines.values import Precision, Values
from tileconv.errors import PlanError
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.rescale import Rescale, rescale
from tileconv.quick import dataclass


def invert(maximum: float | None = None, *, axes: str = "yx") -> Invert | Rescale:
    """Dark for bright: *maximum* minus the pixel; of whole numbers, by default, the largest of their type.

    Of unsigned types that is the type's largest value, of signed ones -1, so that the largest becomes the smallest, as
    ``skimage.util.invert`` has it. Floats have no largest value: say it, 1 or 255.

    Examples
    --------
    >>> import numpy as np, tileconv
    >>> tileconv.invert(np.array([[0, 55, 255]], np.uint8))
    array([[255, 200,   0]], dtype=uint8)
    """
    return Invert() if maximum is None else rescale(-1.0, maximum, axes=axes)


@dataclass(frozen=True)
class Invert(Operation):
    """The largest whole number of an unsigned type, or -1, minus the pixel."""

    @property
    def keeps_whole(self) -> bool:
        return True

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made: Array = np.invert(pixels[0])  # all bits: 255 - v of uint8, and -1 - v of int8
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        if own.dtype.kind not in "iu":
            fix = "Say maximum: 255 for pixels that were uint8, or maximum: 1."
            raise PlanError(f"pixels of {own.dtype} have no largest value to be inverted by", fix=fix)
        limits = np.iinfo(own.dtype)
        ends = (-1.0 if own.dtype.kind == "i" else float(limits.max)) - np.array([own.high, own.low])
        return Values(own.dtype, whole=True, low=float(ends[0]), high=float(ends[1]))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 0.0

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 0.0
