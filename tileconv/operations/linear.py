"""The operation of one kernel: what a blur, an edge along one axis and one's own weights are."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING, expected_sums
from tileconv.engines.kernel import Kernel
from tileconv.engines.row_table import LINEAR, Formula
from tileconv.engines.values import INT64, Precision, Values, held, working_dtype
from tileconv.errors import KernelError, TileError
from tileconv.operations.formulas import divided, half_ulp, rounded_by_division, shifts, sum_bounds, sum_range
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.steps import Steps
from tileconv.quick import dataclass


@dataclass(frozen=True)
class Linear(Operation):
    """``kernel * image + offset``."""

    kernel: Kernel
    offset: float = 0.0
    copies: ClassVar[int] = 0  # the sums are the output
    reads_pixels: ClassVar[bool] = False

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return (self.kernel,)

    @property
    def sum_offset(self) -> float:
        return self.offset

    @property
    def keeps_whole(self) -> bool:
        return self.kernel.integral and self.kernel.divide_by == 1 and self.offset.is_integer()

    @property
    def averages(self) -> bool:
        return not self.offset and self.kernel.signed_sums[1] == 0 and abs(self.kernel.total - 1) < 1e-9

    @property
    def error_scale(self) -> str:
        return "max(1, |pixel|)" if self.offset else "max |pixel|"

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        made = divided(sums.pop(), choices[0], out)
        if self.offset and choices[0].sums.exact:  # to others it was added before they were settled
            if made.dtype == INT64 and made.size:
                _refuse_beyond_int64(made, int(self.offset))
            made += made.dtype.type(self.offset)
        return made

    def row_formula(self, choices: Choices, out: Values) -> Formula:
        return Formula(LINEAR, shifts(choices, self.offset))

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (choice,), offset = choices, self.offset
        low, high = sum_range(choice, values[0])
        if choice.sums.guarded and self.keeps_whole and abs(offset) < 2.0**63:
            return Values.of(INT64)
        whole, working = choice.sums.exact and self.keeps_whole, working_dtype(values[0].dtype, precision)
        return held(low + min(offset, 0), high + max(offset, 0), whole=whole, working=working)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        ((own, gain),), unit = sum_bounds(choices, values[0]), half_ulp(out)
        moved = unit * (gain + 2 * abs(self.offset)) if self.offset else 0.0
        return own + unit * rounded_by_division(choices[0], out.dtype) * gain + moved

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        (made,), unit = expected_sums(choices, values[0]), ROUNDING * half_ulp(out)
        extra = unit * math.sqrt(rounded_by_division(choices[0], out.dtype)) * made.size
        moved = unit * math.hypot(made.size, self.offset) if self.offset else 0.0
        return math.hypot(made.error, extra, moved)


def as_operation(given: Kernel | Operation | Steps) -> Operation | Steps:
    """Return what an operator made as an operation, or as its steps: a bare kernel is a linear one."""
    if isinstance(given, Kernel):
        return Linear(given)
    if isinstance(given, Operation | Steps):
        return given
    raise KernelError(f"an operator makes a Kernel or an operation, found {type(given).__name__}")


def _refuse_beyond_int64(sums: Array, offset: int) -> None:
    limits = np.iinfo(INT64)
    if int(sums.min()) + offset < limits.min or int(sums.max()) + offset > limits.max:
        raise TileError(
            f"sums plus the offset {offset:,} leave int64", fix="Set precision: float64 to add it with rounding."
        )
