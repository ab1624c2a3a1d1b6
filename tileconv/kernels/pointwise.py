"""Formulas on single pixels: no kernel, no halo."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tileconv.errors import KernelError
from tileconv.kernels.operations import Absolute, Clip, Rescale
from tileconv.kernels.parameters import Range, number


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


def absolute(*, axes: str = "yx") -> Absolute:  # noqa: ARG001 every operator takes axes
    """Absolute value: an edge's strength without its sign.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.absolute([[-3, 2]])
    array([[3, 2]])
    """
    return Absolute()


def clip(range: Range, *, axes: str = "yx") -> Clip:  # noqa: ARG001 the spec's word; every operator takes axes
    """Limit values to *range*, ``[low, high]``.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.clip([[1, 5, 9]], [2, 8])
    array([[2, 5, 8]], dtype=int32)
    """
    if not isinstance(range, Iterable) or isinstance(range, str):
        raise KernelError(f"range must be [low, high], found {range!r}")
    ends = [number(end, "an end of range") for end in range]
    if len(ends) != 2 or not ends[0] <= ends[1]:
        fix = "Exchange them." if len(ends) == 2 else "Give two numbers."
        raise KernelError(f"range must be [low, high] with low <= high, found {list(range)}", fix=fix)
    return Clip(*ends)
