"""The weights of a layer of a network: every kernel from an in-channel to an out-channel, and what is added."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tileconv.errors import KernelError
from tileconv.quick import dataclass

Numbers = NDArray[np.float32] | NDArray[np.float64]
MAX_WEIGHTS = 2**26
"""Most weights of one layer: 512 MiB in float64."""
BLAS = "BLAS"
"""What the library of matrix products is called among those that take part in making pixels."""
RUNS, WIDE, APART = 2, 32, 4
"""The outputs of one product: runs along x of so many, so many rows apart. BLAS is as fast with these as with more, and
few are made in vain at the edges of a tile."""
COLUMNS, HIGH = RUNS * WIDE, RUNS * APART
MOST_BLOCKS, STRIP_BYTES, BATCH_BYTES = 16, 2**21, 2**20
"""What is copied at once: blocks and bytes of pixels of all channels, and bytes of columns gathered of them
(measured: docs/decisions/031)."""


@dataclass(frozen=True, eq=False)
class Filters:
    """Weights as they slide over the image, which is correlation: nothing is flipped.

    Attributes
    ----------
    weights
        (out-channels, in-channels of a group, z, y, x).
    bias
        What is added to each out-channel.
    """

    weights: Numbers
    bias: Numbers

    @classmethod
    def of(cls, weights: ArrayLike, bias: ArrayLike | None = None, *, axes: str = "yx") -> Filters:
        """Return filters of *weights* (out-channels, in-channels of a group, then *axes*), and none or one *bias* each.

        Raises
        ------
        KernelError
            If these are no finite real numbers of such shapes, or too many.
        """
        array = _numbers(weights, "weights")
        if array.ndim != 2 + len(axes) or array.size == 0:
            wanted = ", ".join(("out-channels", "in-channels", *axes))
            fix = "State over: zyx in the stage." if array.ndim == 5 else "Give them as PyTorch has them."
            raise KernelError(f"weights have the axes ({wanted}), found shape {array.shape}", fix=fix)
        added = np.zeros(len(array), array.dtype) if bias is None else _numbers(bias, "bias")
        if added.shape != (len(array),):
            raise KernelError(f"bias has a number for each of {len(array)} out-channels, found shape {added.shape}")
        return cls(_frozen(array.reshape(*array.shape[:2], *(1,) * (3 - len(axes)), *array.shape[2:])), _frozen(added))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all numbers."""
        digest = hashlib.sha256(f"{self.weights.shape}".encode())
        for array in (self.weights, self.bias):
            digest.update(array.dtype.str.encode() + array.tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        outs, ins, *size = self.weights.shape
        return f"Filters({ins} to {outs} channels, {'x'.join(map(str, size))})"

    @property
    def taps(self) -> int:
        """How many products make a sum."""
        return math.prod(self.weights.shape[1:])

    @cached_property
    def ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sums of the negative and of the positive weights of each out-channel."""
        flat = self.weights.reshape(len(self.weights), -1).astype(np.float64)
        return np.minimum(flat, 0).sum(axis=1), np.maximum(flat, 0).sum(axis=1)

    @cached_property
    def norm(self) -> float:
        """The largest root of a sum of squares of an out-channel's weights."""
        flat = self.weights.reshape(len(self.weights), -1).astype(np.float64)
        return float(np.sqrt(np.square(flat).sum(axis=1)).max())

    @property
    def gain(self) -> float:
        """The largest sum of absolute weights of an out-channel."""
        low, high = self.ends
        return float((high - low).max())


def _numbers(numbers: ArrayLike, name: str) -> Any:
    try:
        array = np.asarray(numbers)
    except ValueError as error:
        raise KernelError(f"the rows of {name} must have the same length") from error
    if array.dtype.kind not in "biuf":
        raise KernelError(f"{name} must be real numbers, found type {array.dtype}")
    if array.size > MAX_WEIGHTS:
        raise KernelError(f"a layer has at most {MAX_WEIGHTS:,} weights, found {array.size:,}")
    narrow = array.dtype in (np.float16, np.float32)
    made: Any = array.astype(np.float32 if narrow else np.float64) + 0  # one zero: what acts alike has one digest
    if not np.isfinite(made).all():
        raise KernelError(f"{name} must be finite, found NaN or infinity")
    return made


def _frozen(array: Any) -> Any:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Room:
    """The shapes of what a layer holds beside pixels and sums, for *blocks* of its products."""

    blocks: int
    strip: tuple[int, ...]
    columns: tuple[int, ...]
    products: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers they hold together."""
        return sum(map(math.prod, (self.strip, self.columns, self.products)))


@dataclass(frozen=True)
class Taps:
    """Which pixels are summed for an output: those at its place times *step*, plus tap * *dilation*; (z, y, x)."""

    shape: tuple[int, ...]
    step: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def lines(self) -> tuple[list[int], list[int]]:
        """The rows of pixels under the first run of a block's products, and the place of each product's first.

        The rows under one product follow each other.
        """
        step, apart = self.step[1], self.dilation[1]
        under = {row * step + tap * apart for row in range(APART) for tap in range(self.shape[1])}
        lines = sorted(under, key=lambda line: (line % apart, line))
        return lines, [lines.index(row * step) for row in range(APART)]

    def room(self, ins: int, outs: int, itemsize: int) -> Room:
        """Return what a layer of *ins* and *outs* channels in a group holds, of numbers of *itemsize* bytes."""
        (depth, _, wide), lines = self.shape, len(self.lines[0])
        rows = (HIGH - 1) * self.step[1] + (self.shape[1] - 1) * self.dilation[1] + 1
        beside = (wide - 1) * self.dilation[2]
        fitting = (STRIP_BYTES // (rows * depth * ins * itemsize) - beside) // (WIDE * self.step[2])
        blocks = min(MOST_BLOCKS, max(1, fitting))
        block = (lines, depth * ins, wide, RUNS, WIDE)
        batch = min(blocks, max(1, BATCH_BYTES // (math.prod(block) * itemsize)))
        strip = (rows, depth, ins, blocks * WIDE * self.step[2] + beside)
        return Room(blocks, strip, (batch, *block), (APART, blocks, outs, COLUMNS))
