"""What an engine is: how it is weighed for a kernel, what it reads, holds and makes. One record per engine.

Whoever plans or makes sums asks the record of the engine that was chosen, never which one it is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.cost import Costs
from tileconv.engines.expected import Spread
from tileconv.engines.grid import Blocks
from tileconv.engines.kernel import MAX_WEIGHTS, Kernel
from tileconv.engines.values import Precision, Sums, Values
from tileconv.quick import dataclass

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

Array = NDArray[Any]
Terms = tuple[tuple[Array, Array, Array], ...]


@dataclass(frozen=True)
class Candidate:
    """One engine for one kernel: its cost, its error bound, and why it may not be used (empty when it may).

    ``bound_per_peak`` is the largest error of a sum for an image whose largest absolute pixel is 1.
    """

    engine: str
    ns_per_pixel: float
    bound_per_peak: float
    refused: str = ""


@dataclass(frozen=True)
class Wanted:
    """The sums that engines are weighed for; *shape* is the kernel's in axes (z, y, x)."""

    kernel: Kernel
    shape: tuple[int, ...]
    sums: Sums
    values: Values
    precision: Precision
    grid: Blocks
    costs: Costs

    @property
    def gain(self) -> float:
        """The largest divided sum of pixels up to 1."""
        return self.kernel.absolute_sum / abs(self.kernel.divide_by)

    @property
    def rounding(self) -> float:
        """Half an ulp of 1 in the type of the sums; nothing when they are exact."""
        return 0.0 if self.sums.exact else float(np.finfo(self.sums.accumulate).eps) / 2

    def remainder(self, *, given: bool = False) -> float:
        """Return how wrong sums may be because weights and terms differ; the *given* ones of the two are right."""
        if self.sums.exact or (given and not self.kernel.given_terms):
            return 0.0
        return self.kernel.remainder / abs(self.kernel.divide_by)


class Engine(ABC):
    """One engine.

    Attributes
    ----------
    name
        The word of specs and plans.
    repeats
        Whether it makes the same bits of the same pixels wherever they lie, so that an image that repeats still does.
    whole_blocks
        Whether it makes outputs in blocks, whole: a tile is then made at once, and one stage more costs its blocks.
    further
        What each further sum of those that share costs, of the first (measured: decision 030).
    by_rows
        Whether the row machine makes its sums, of one plane, with the same bits.
    marks
        Whether it leaves sums of what is not finite marked, as ``nonfinite.settle`` takes it.
    libraries
        What takes part in making the sums, beside NumPy and Numba.
    """

    name: ClassVar[str]
    repeats: ClassVar[bool] = True
    whole_blocks: ClassVar[bool] = False
    further: ClassVar[float] = 1.0
    by_rows: ClassVar[bool] = False
    marks: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def weigh(self, wanted: Wanted) -> Candidate:
        """Return what the sums cost, how wrong they may be, and why they cannot be had, if so."""

    @abstractmethod
    def sums(self, choice: Choice, pixels: Array, have: Box, out: Box) -> tuple[Array, int]:
        """Return the sums at *out* from the *pixels* of *have*, and how many blocks fell back to direct sums."""

    def shares(self, choice: Choice) -> Hashable:  # noqa: ARG002
        """Return what choices have in common whose sums are made together by ``each_sum``; None for one by one."""
        return None

    def each_sum(
        self, choices: Sequence[Choice], pixels: Array, have: Box, out: Box
    ) -> Iterator[tuple[int, Box, Array, int]]:
        """Yield which of *choices*, a part of *out*, its sums, and how many blocks fell back, until all have all."""
        for number, choice in enumerate(choices):
            made, fallbacks = self.sums(choice, pixels, have, out)
            yield number, out, made, fallbacks

    def levels(self, choice: Choice, pixel: Array) -> bool:  # noqa: ARG002
        """Return whether it makes one value of an image whose pixels are all *pixel*, one alone, inside of borders."""
        return self.repeats

    @abstractmethod
    def scratch(self, choice: Choice, values: Values, want: int) -> int:
        """Return the bytes it holds beside *want* pixels of its input, like *values*, and its sums."""

    @abstractmethod
    def expected_error(self, choice: Choice, pixels: Spread, sums: Spread, unit: float) -> float:
        """Return the error to expect of divided sums like *sums*, *unit* being that of one rounding near 1."""

    def note(self, grid: Blocks) -> str:  # noqa: ARG002 for those who have something to say of it
        """Return what a plan should say where it is chosen."""
        return ""

    def reach(self, choice: Choice, axis: int, start: int, stop: int, domain: Box) -> tuple[int, int]:  # noqa: ARG002
        """Return the positions along *axis* that it reads for outputs ``start`` to ``stop`` of image *domain*."""
        return start - choice.halo.before[axis], stop + choice.halo.after[axis]

    def held_in(self, sums: Sums) -> np.dtype[Any]:
        """Return the type of the weights."""
        return sums.accumulate

    def parts(self, choice: Choice) -> tuple[Array | None, Terms]:
        """Return what of the kernel it multiplies by: the grid of weights, or the terms."""
        return choice.weights, ()

    def kernel_bytes(self, choice: Choice) -> int:
        """Return what a kernel takes in one process."""
        return 3 * 8 * math.prod(choice.shape)  # as given, as checked, in the type of the sums

    def no_grid(self, kernel: Kernel) -> Candidate:
        """Return that the weights of *kernel* are too many for a grid."""
        refused = f"it needs the {'x'.join(map(str, kernel.shape))} weights as a grid, of at most {MAX_WEIGHTS:,}"
        return Candidate(self.name, math.inf, math.inf, refused)
