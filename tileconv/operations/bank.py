"""Many kernels at once: one read of the image, and one channel for each of them, or their channels reduced to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from tileconv.engines.kernel import Kernel
from tileconv.engines.values import INT64, Precision, Values, held, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.custom import correlate, weights_over
from tileconv.operations.directions import compass_kernels, gabor_kernels, steerable_kernels
from tileconv.operations.formulas import divided
from tileconv.operations.linear import Linear
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Compass, Gabor, KernelsOrFile, Reduction, Steerable, WeightsOrFile
from tileconv.quick import dataclass

MOST = 1024
"""Kernels of a bank."""
Named = dict[str, Kernel]


def bank(
    kernels: KernelsOrFile | None = None,
    *,
    compass: Compass | None = None,
    gabor: Gabor | None = None,
    steerable: Steerable | None = None,
    reduce: Reduction = "none",
    divide_by: float | Sequence[float] = 1.0,
    axes: str = "yx",
) -> Operation:
    """Many kernels at once: a channel for each, or one of all, by ``reduce``: magnitude, maximum, argmax or sum.

    *kernels* are lists of weights or files, by name or in a list, or one ``.npy`` file of shape (kernels, y, x). They
    slide over the image as written (correlation), each with a size of its own. *compass* makes one for each of eight
    directions, *gabor* waves of every *wavelengths* in pixels in so many *orientations*, even and odd, *steerable* all
    derivatives of an *order* of a Gaussian of *sigma*. *divide_by* is a number, or one for each kernel. ``argmax``
    gives the number of the first kernel whose result is the largest, and -1 where a result is NaN.

    Raises
    ------
    KernelError
        If there is not exactly one source of kernels, or one of them makes no kernel.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.bank([[0, 0, 8, 8]], [[[-1, 1]], [[1, -1]]])
    array([[[ 0,  0,  8,  0]],
    <BLANKLINE>
           [[ 0,  0, -8,  0]]])
    >>> tileconv.bank([[0, 0, 8, 8]], [[[-1, 1]], [[1, -1]]], reduce="argmax")
    array([[0, 0, 0, 0]], dtype=int32)
    """
    words = {"kernels": kernels, "compass": compass, "gabor": gabor, "steerable": steerable}
    given = [name for name, value in words.items() if value is not None]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise KernelError(f"a bank has one of {', '.join(words)}, found {found}", fix="Give one of them.")
    if kernels is None and len(axes) != 2:
        problem = f"{given[0]} makes kernels of two axes, found {', '.join(axes)}"
        raise KernelError(problem, fix="Give kernels of your own.")
    made = _own(kernels, divide_by, axes) if kernels is not None else {}
    made |= _divided(compass_kernels(compass), divide_by) if compass is not None else {}
    made |= _divided(gabor_kernels(gabor), divide_by) if gabor is not None else {}
    made |= _divided(steerable_kernels(steerable), divide_by) if steerable is not None else {}
    if reduce == "none":
        return Bank(tuple(made.values()), tuple(made))
    from tileconv.operations.reduced import reduced

    return reduced(tuple(made.values()), reduce)


def _own(given: KernelsOrFile, divide_by: float | Sequence[float], axes: str) -> Named:
    """Return the user's kernels by name."""
    if isinstance(given, str):
        given = list(weights_over(given, f"k{axes}"))
    named = dict(given) if isinstance(given, Mapping) else dict(zip(_names(given), given, strict=True))
    if not 1 <= len(named) <= MOST:
        raise KernelError(f"a bank has 1 to {MOST:,} kernels, found {len(named):,}")
    divisors = _divisors(divide_by, len(named))
    return {
        name: correlate(weights, divide_by=divisor, axes=axes).kernel
        for (name, weights), divisor in zip(named.items(), divisors, strict=True)
    }


def _names(kernels: Sequence[WeightsOrFile]) -> list[str]:
    """Return names of kernels without: their files', where each has one of its own, or numbers."""
    names = [Path(one).stem if isinstance(one, str) else f"kernel {n}" for n, one in enumerate(kernels)]
    return names if len(set(names)) == len(names) else [f"kernel {n}" for n in range(len(names))]


def _divisors(divide_by: float | Sequence[float], count: int) -> list[float]:
    divisors = [*divide_by] if isinstance(divide_by, Sequence | np.ndarray) else [divide_by] * count
    if len(divisors) != count:
        raise KernelError(f"divide_by needs a number for each of {count} kernels, found {len(divisors)}")
    return divisors


def _divided(kernels: Named, divide_by: float | Sequence[float]) -> Named:
    """Return *kernels*, their sums divided by *divide_by*, too."""
    divisors = zip(kernels.items(), _divisors(divide_by, len(kernels)), strict=True)
    if divide_by == 1.0:
        return kernels
    return {name: Kernel.of(kernel.weights, divide_by=kernel.divide_by * by) for (name, kernel), by in divisors}


@dataclass(frozen=True)
class Bank(Operation):
    """The sums under each kernel of a bank, as channels with their *names*."""

    bank: tuple[Kernel, ...]
    names: tuple[str, ...]
    copies: ClassVar[int] = 0
    reads_pixels: ClassVar[bool] = False
    makes_channels: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return self.bank

    @property
    def keeps_whole(self) -> bool:
        return all(Linear(kernel).keeps_whole for kernel in self.bank)

    def channels_out(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return a channel for every kernel, of the first channel first: OME-Zarr has one axis of channels at most."""
        before = [f"{name or number} " for number, name in enumerate(channels)] or [""]
        return tuple(f"{channel}{name}" for channel in before for name in self.names)

    def gather(
        self, parts: Iterable[tuple[int, tuple[slice, ...], Array]], shape: tuple[int, ...], choices: Choices,
        out: Values,
    ) -> tuple[Array, ...]:  # fmt: skip
        made = tuple(np.empty(shape, out.dtype) for _ in choices)
        for number, place, sums in parts:
            made[number][place] = divided(sums, choices[number], out)
        return made

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError  # it gathers

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return hull(self.bank, values, choices, precision)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return max(Linear(c.kernel).error_bound(values, [c], out) for c in choices)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return max(Linear(c.kernel).expected_error(values, [c], out) for c in choices)


def hull(kernels: Sequence[Kernel], values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
    """Return type and range of pixels each of which is a sum under one of *kernels*."""
    each = [Linear(k).range_out(values, [c], precision) for k, c in zip(kernels, choices, strict=True)]
    low, high, whole = min(v.low for v in each), max(v.high for v in each), all(v.whole for v in each)
    if whole and any(v.dtype == INT64 for v in each):
        return Values(INT64, whole=True, low=low, high=high)
    return held(low, high, whole=whole, working=working_dtype(values[0].dtype, precision))
