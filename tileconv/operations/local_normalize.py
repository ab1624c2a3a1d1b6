"""Local normalisation: what differs from its surroundings, in units of how much pixels there differ."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tileconv.engines.expected import ROUNDING
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import Precision, Values
from tileconv.errors import KernelError
from tileconv.operations.blur import bells
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.linear import Linear
from tileconv.operations.multiply import Multiply
from tileconv.operations.operation import Array, Choices
from tileconv.operations.parameters import Positive, Sigmas, number
from tileconv.operations.several import Several, roundings, working
from tileconv.operations.steps import OWN, Step, Steps
from tileconv.operations.subtract import Subtract
from tileconv.quick import dataclass


def local_normalize(
    sigma: Sigmas,
    epsilon: Positive,
    *,
    deviation_sigma: Sigmas | None = None,
    truncate: Positive = 4.0,
    axes: str = "yx",
) -> Steps:
    """Difference from the local mean, over the local standard deviation.

    That is ``(x - G1 x) / sqrt(G2 (x - G1 x)**2 + epsilon)``. G1 is the Gaussian blur of *sigma*, G2 that of
    *deviation_sigma*, the same by default. *epsilon*, a square of pixel values, is how much is noise: where pixels
    differ by far less than its root the result stays near 0.

    Raises
    ------
    KernelError
        If a sigma makes no Gaussian, or *epsilon* is not above 0.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.local_normalize([[0, 0, 8, 8], [0, 0, 800, 800]], {"y": 0, "x": 1}, 1e-6).round(1)
    array([[-0.3, -1.2,  1.2,  0.3],
           [-0.3, -1.2,  1.2,  0.3]])
    """
    epsilon = number(epsilon, "epsilon")
    if not 0 < epsilon < math.inf:
        raise KernelError(f"epsilon must be above 0 and finite, found {epsilon}")
    mean = Kernel.separable(bells(sigma, None, truncate, axes))
    spread = Kernel.separable(bells(sigma if deviation_sigma is None else deviation_sigma, None, truncate, axes))
    return Steps(
        (
            Step("mean", Linear(mean), (OWN,)),
            Step("difference", Subtract(), (OWN, 0)),
            Step("square", Multiply(), (1, 1)),
            Step("variance", Linear(spread), (2,)),
            Step("quotient", OverRoot(epsilon), (1, 3)),
        )
    )


@dataclass(frozen=True)
class OverRoot(Several):
    """``a / sqrt(b + epsilon)``, NaN where b is infinite: the square of a finite difference left its type."""

    epsilon: float
    inputs: ClassVar[tuple[int, int | None]] = (2, 2)

    @property
    def keeps_whole(self) -> bool:
        return False

    def formula(self, parts: list[Array]) -> Array:
        a, b = parts
        root = np.maximum(b, 0)  # sums by FFT may lie below 0 by their error
        root += a.dtype.type(self.epsilon)
        np.sqrt(root, out=root)
        made: Array = np.where(np.isinf(root), a.dtype.type(np.nan), a / root)
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        high = values[0].peak / math.sqrt(self.epsilon)
        return Values(working(values, precision), whole=False, low=-high, high=high)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return roundings(5, out) * largest(values[0]) / math.sqrt(self.epsilon)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 2 * ROUNDING * half_ulp(out)  # of quotients of about 1
