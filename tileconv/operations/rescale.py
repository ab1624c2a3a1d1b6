"""Every pixel times a number, plus a number."""

from __future__ import annotations

import math

from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.values import Precision, Values, held, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.formulas import beyond, half_ulp, largest, rounded_by_type
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import number
from tileconv.quick import dataclass


def rescale(gain: float = 1.0, offset: float = 0.0, *, axes: str = "yx") -> Rescale:  # noqa: ARG001 every operator takes axes
    """Every pixel times *gain*, plus *offset*.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.rescale([[1, 2]], gain=2, offset=0.5)
    array([[2.5, 4.5]])
    """
    gain, offset = number(gain, "gain"), number(offset, "offset")
    if not (math.isfinite(gain) and math.isfinite(offset)):
        raise KernelError(f"gain and offset must be finite, found {gain} and {offset}")
    return Rescale(gain, offset)


@dataclass(frozen=True)
class Rescale(Operation):
    """``gain * image + offset``."""

    gain: float
    offset: float

    @property
    def keeps_whole(self) -> bool:
        return self.gain.is_integer() and self.offset.is_integer()

    @property
    def error_scale(self) -> str:
        return "max(1, |pixel|)" if self.offset else "max |pixel|"

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made = pixels[0].astype(out.dtype)
        made *= out.dtype.type(self.gain)
        made += out.dtype.type(self.offset)
        beyond(made, pixels, lambda eighth: self.gain * eighth + self.offset / 8, out)
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        if own.dtype.kind in "iu" and own.dtype.itemsize == 8 and self == Rescale(1.0, 0.0):
            return Values(own.dtype, whole=True, low=own.low, high=own.high)
        ends = [own.low, own.high, *(self.gain * v if self.gain else 0.0 for v in (own.low, own.high))]
        ends += [v + self.offset for v in ends[2:]]
        whole = own.whole and self.keeps_whole
        if not whole:  # whole numbers are held in the type of the result before the formula, too
            ends = ends[2:]
        return held(min(ends), max(ends), whole=whole, working=working_dtype(own.dtype, precision))

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 4 * half_ulp(out) * (abs(self.gain) * largest(values[0]) + abs(self.offset))

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        unit, pixels = ROUNDING * half_ulp(out), expected_pixels(values[0])
        cast = unit * pixels.size * rounded_by_type(values[0], out.dtype)
        scaled = abs(self.gain) * pixels.size
        return math.hypot(self.gain * cast, unit * scaled, unit * math.hypot(scaled, self.offset))
