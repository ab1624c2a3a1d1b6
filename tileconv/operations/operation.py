"""What one stage does to its inputs: sums under kernels, then a formula on each pixel; or one on each neighbourhood.

An operation is a record: a value that holds no pixels, and says all that anyone else must know of it. Whoever plans or
makes a stage asks the record, never which one it is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import SPACE, Halo
from tileconv.engines.borders import Border
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import FLOAT32, Precision, Values, in_float32

if TYPE_CHECKING:  # Numba, which the check of a pipeline does without
    from tileconv.boxes import Box
    from tileconv.engines.choose import Choice
    from tileconv.engines.row_table import Formula

Array = NDArray[Any]
Choices = Sequence["Choice"]


PADDED = dict.fromkeys(("border", "extent"), "padding says what lies around the image, and how large the output is")
"""Keys that an operation excludes which has a padding."""


class Fold(Protocol):
    """What is made of planes, one after another."""

    def add(self, planes: Array) -> None:
        """Take further *planes*, pixels of the axis first."""

    def made(self) -> Array:
        """Return what all planes made, in a type that holds it."""


class Operation(ABC):
    """One operation with its parameters as fields; *values* and *pixels* have an item per input.

    Attributes
    ----------
    inputs
        The least and the most inputs that it takes; None for any number.
    copies
        Arrays of the output's size and type that the formula holds beside its inputs and the sums, the output included.
    reads_pixels
        Whether the formula takes pixels as well where there are sums.
    fills
        Whether missing pixels are what it is about, so that no rule leaves them out.
    makes_channels
        Whether it makes other channels than it gets: ``channels_out`` names them, and a tile holds all of them.
    mixes_channels
        Whether ``mix`` makes them of all channels together, and not ``gather`` of one channel after the other.
    gathers
        Whether it takes its sums part by part in ``gather``, because it has too many kernels to hold all of them.
    libraries
        What takes part in making pixels, beside NumPy and Numba.
    acts_on
        The axes that a stage of it may name.
    """

    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    copies: ClassVar[int] = 1
    reads_pixels: ClassVar[bool] = True
    fills: ClassVar[bool] = False
    makes_channels: ClassVar[bool] = False
    mixes_channels: ClassVar[bool] = False
    gathers: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()
    acts_on: ClassVar[str] = SPACE

    @property
    def excludes(self) -> Mapping[str, str]:
        """Keys of a stage that it has no use for, each with the reason."""
        return {}

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """What the pixels are summed under; an operation with kernels has one input."""
        return ()

    def along(self, axes: str) -> Self:
        """Return what acts on *axes*, some of z, y and x, where this acts on as many: its kernels get the axes between.

        Kernels have the last axes, down to x.
        """
        if SPACE.endswith(axes):
            return self
        own = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **{name: _along(value, axes) for name, value in own.items()})  # type: ignore[type-var]

    def on(self, image: Box, channels: int, times: int) -> Self:
        """Return the operation on an *image*, axes (z, y, x), of so many *channels* and *times*, where these matter."""
        return self

    @property
    def folds(self) -> str:
        """The axis along which it makes one pixel of all, that are handed to a ``fold`` in their order; or empty."""
        return ""

    def fold(self, shape: tuple[int, ...], dtype: np.dtype[Any], out: Values) -> Fold:
        """Return what makes pixels of *shape*, to be stored like *out*, of planes of type *dtype*."""
        raise NotImplementedError

    def fold_bytes(self, values: Values) -> int:
        """Return the bytes that a fold of pixels like *values* holds for each that it makes."""
        return 0

    @property
    def halo(self) -> Halo | None:
        """Pixels needed around an output pixel along the axes that it acts on; None where one needs no other.

        An operation with a halo and without kernels has one input, and makes the same bits wherever a block lies.
        """
        halos = [kernel.halo for kernel in self.kernels]
        return reduce(Halo.union, halos) if halos else None

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of weights that are no kernels."""
        return ()

    @property
    def stride(self) -> tuple[int, ...]:
        """How many pixels of the input, axes (z, y, x), lie between two of the output."""
        return (1, 1, 1)

    @property
    def padding(self) -> tuple[int, ...] | None:
        """Pixels on each side, axes (z, y, x), that stand for border and extent; None where the stage says these."""
        return None

    @property
    def padding_border(self) -> Border:
        """What pixels of the padding are."""
        return Border("constant", 0.0)

    @property
    def sum_offset(self) -> float:
        """What is added to sums that are not exact as they are made, because one may leave the range without it."""
        return 0.0

    @property
    def keeps_whole(self) -> bool:
        """Whether it makes whole numbers of whole numbers."""
        return False

    @property
    def no_mean(self) -> str:
        """Why missing pixels cannot be left out of its sums, in words; empty where they can."""
        if not self.kernels or self.gathers:
            return "it sums under many kernels at once" if self.gathers else "it sums no pixels under weights"
        if any(kernel.signed_sums[1] < 0 for kernel in self.kernels):
            return "its weights are of both signs, and take differences"
        return "" if all(kernel.signed_sums[0] > 0 for kernel in self.kernels) else "its weights sum to 0"

    @property
    def averages(self) -> bool:
        """Whether it is a mean of pixels, under weights not below 0: pixels may then have weights of their own."""
        return False

    @property
    def error_scale(self) -> str:
        """What its errors grow with where nothing bounds the pixels, in words."""
        return "max |pixel|"

    def channels_out(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the channels that it makes of *channels*, which are none without an axis of channels.

        PlanError if it cannot take so many.
        """
        return channels

    def gather(
        self,
        parts: Iterable[tuple[int, tuple[slice, ...], Array]],
        shape: tuple[int, ...],
        choices: Choices,
        out: Values,
    ) -> tuple[Array, ...]:
        """Return the output of one channel, in *shape*: a volume for every channel that is made of it.

        *parts* are the numbers of choices, places in the output, and the sums there, in any order.
        """
        raise NotImplementedError

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        """Return a volume of *out*, type ``made.dtype``, for every channel that is made of all together.

        *blocks* are the channels of the one input: the pixels of *out* and of the halo, *out* being grown to whole
        blocks of ``block_side`` as far as *image* reaches, all that the stage makes.
        """
        raise NotImplementedError

    @abstractmethod
    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        """Return the stage's output, type ``out.dtype``, from *sums* and *pixels* of the same places, axes (z, y, x).

        The list of *sums* is emptied, so that each can be freed as soon as it is used. Where there is a halo and no
        kernel *pixels* are those of the halo, too, maybe a view of others: they may not be written to.
        """

    def row_formula(self, choices: Choices, out: Values) -> Formula | None:
        """Return its formula as the row machine knows it, with the same bits as ``combine``; None if it does not."""
        return None

    @abstractmethod
    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        """Return type and range of the output, from those of the inputs."""

    @abstractmethod
    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        """Return the most by which the output differs from exact arithmetic, for input pixels like *values*.

        Where nothing bounds these the largest absolute pixel counts as 1. Bounds of the sums come from ``choose``; the
        formula adds the roundings of its result. A stage that only moves numbers has bound 0. What earlier stages did
        wrong is not part of it.
        """

    @abstractmethod
    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        """Return the root mean square of the errors of output pixels, for the same pixels as ``error_bound``."""

    def error_unit(self, values: tuple[Values, ...]) -> str:
        """Return what both errors are multiplied by, in words; empty where the pixels have a known largest value."""
        return "" if all(math.isfinite(v.peak) for v in values) else self.error_scale

    def ns_per_pixel(self, values: Values) -> float:
        """Return what an output pixel costs beside its sums, in nanoseconds, of pixels like *values*."""
        return 0.0

    def scratch(self, values: Values, want: int) -> int:
        """Return the bytes that it holds beside *want* pixels like *values*, its sums and ``copies``."""
        return 0

    def engine(self, values: Values) -> str:
        """Return how it makes an output like *values*, in words, where it chooses without kernels."""
        return ""

    def block_side(self, values: Values) -> int:
        """Return how many pixels of an output like *values* it makes at once along y and x, from the origin on."""
        return 1

    def kernel_bytes(self, values: Values) -> int:
        """Return what weights that are no kernels take in one process, for an output like *values*."""
        return 0

    def outcome(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        """Return what the output's pixels are like, from what those of the inputs are like."""
        made = self.range_out(values, choices, precision)
        # where an infinity may come about, the next stage may subtract it from another
        return replace(made, nan=any(v.nan for v in values) or math.isinf(made.peak))

    def outgrows_float32(self, values: tuple[Values, ...], choices: Choices, made: Values) -> bool:
        """Return whether float32 cannot hold the constants of a stage, its sums or what it gives, *made*, by plan.

        Where nothing bounds the pixels, the constants and the weights decide.
        """
        if made.dtype != FLOAT32 or made.whole:
            return False
        peak = max(v.peak for v in values)
        gains = [c.kernel.absolute_sum / abs(c.kernel.divide_by) for c in choices]
        constants = [abs(v) for v in vars(self).values() if isinstance(v, float) and math.isfinite(v)]
        known = [peak * g for g in gains] + [made.peak] if math.isfinite(peak) else []
        if not all(map(in_float32, (*gains, *constants, *known))):
            return True
        return any(not c.kernel.has_grid and not c.pattern.full for c in choices)  # float32 makes some weights 0


def _along(value: Any, axes: str) -> Any:
    """Return *value* with the kernels in it placed along *axes*."""
    if isinstance(value, tuple):
        return tuple(_along(item, axes) for item in value)
    return _placed(value, axes) if isinstance(value, Kernel) else value


def _placed(kernel: Kernel, axes: str) -> Kernel:
    """Return *kernel*, whose axes are *axes*, with axes of one weight between and behind them, down to x."""
    at = [axes.find(axis) for axis in SPACE[SPACE.index(axes[0]) :]]
    anchor, shape = (tuple(own[i] if i >= 0 else n for i in at) for own, n in ((kernel.anchor, 0), (kernel.shape, 1)))
    one = np.ones(1, np.int64)
    terms = tuple(tuple(term[i] if i >= 0 else one for i in at) for term in kernel.given_terms)
    return Kernel(anchor, kernel.divide_by, None if kernel.dense is None else kernel.dense.reshape(shape), terms)
