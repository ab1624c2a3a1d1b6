"""What one stage does to its input: sums under kernels, then a formula on each pixel.

Every operation says how many inputs it takes (``inputs``: least and most, None for any number) and which kernels it
needs (``kernels``, all applied to the same input); ``tileconv.engines.combine`` holds the formulas. An operation is a
value: it holds no pixels and does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tileconv.errors import KernelError
from tileconv.kernels.kernel import Kernel

Inputs = tuple[int, int | None]
ONE: Inputs = (1, 1)


@dataclass(frozen=True)
class Linear:
    """``kernel * image + offset``."""

    kernel: Kernel
    offset: float = 0.0
    inputs: ClassVar[Inputs] = ONE

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The one kernel."""
        return (self.kernel,)


@dataclass(frozen=True)
class Magnitude:
    """Euclidean length of the vector whose components are the sums under *kernels*."""

    kernels: tuple[Kernel, ...]
    inputs: ClassVar[Inputs] = ONE


@dataclass(frozen=True)
class Unsharp:
    """``image + amount * (image - blurred)`` where they differ by at least *threshold*, else the image unchanged."""

    blur: Kernel
    amount: float
    threshold: float
    inputs: ClassVar[Inputs] = ONE

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The blur."""
        return (self.blur,)


@dataclass(frozen=True)
class Rescale:
    """``gain * image + offset``."""

    gain: float
    offset: float
    kernels: ClassVar[tuple[Kernel, ...]] = ()
    inputs: ClassVar[Inputs] = ONE


@dataclass(frozen=True)
class Absolute:
    """The absolute value."""

    kernels: ClassVar[tuple[Kernel, ...]] = ()
    inputs: ClassVar[Inputs] = ONE


@dataclass(frozen=True)
class Clip:
    """Values below *low* become *low*, above *high* become *high*; NaN stays."""

    low: float
    high: float
    kernels: ClassVar[tuple[Kernel, ...]] = ()
    inputs: ClassVar[Inputs] = ONE


Operation = Linear | Magnitude | Unsharp | Rescale | Absolute | Clip


def as_operation(made: Kernel | Operation) -> Operation:
    """Return what an operator made as an operation: a bare kernel is a linear one."""
    if isinstance(made, Kernel):
        return Linear(made)
    if isinstance(made, Operation):
        return made
    raise KernelError(f"an operator makes a Kernel or an operation, found {type(made).__name__}")
