"""An operator that is several stages: the plan puts these in its place, each with the border and engine of the one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import ClassVar

from tileconv.boxes import Halo
from tileconv.engines.kernel import Kernel
from tileconv.operations.operation import Operation
from tileconv.quick import dataclass

OWN = -1
"""What a step reads where it is not another step: the pixels that the stage reads."""


@dataclass(frozen=True)
class Step:
    """One of the stages; *inputs* are earlier steps by their positions, and ``OWN``."""

    name: str
    operation: Operation
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Steps:
    """The stages in their order; the last gives the result. Their boxes are one: the extent is ``same``."""

    steps: tuple[Step, ...]
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    fills: ClassVar[bool] = False
    no_mean: ClassVar[str] = "it is made in several steps"

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """Those of all steps."""
        return tuple(kernel for step in self.steps for kernel in step.operation.kernels)

    @property
    def halo(self) -> Halo:
        """Pixels of one step: the most that one of them needs."""
        return reduce(Halo.union, (kernel.halo for kernel in self.kernels))

    def along(self, axes: str) -> Steps:
        """Return what acts on *axes*, as ``Operation.along``."""
        return Steps(tuple(replace(step, operation=step.operation.along(axes)) for step in self.steps))


def steps_of(operation: Operation | Steps) -> Sequence[Step]:
    """Return the steps of *operation*: one, without a name of its own, where it is no more than that."""
    return operation.steps if isinstance(operation, Steps) else (Step("", operation, ()),)
