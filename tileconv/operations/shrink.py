"""One level of a pyramid from the level below: each pixel stands for some of those below it, counted from the first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from tileconv.boxes import Box
from tileconv.operations.operation import Array
from tileconv.quick import dataclass

Method = Literal["mean", "gaussian", "nearest", "mode", "median"]
METHODS: tuple[Method, ...] = get_args(Method)
LABELS: Method = "mode"
"""The method for pixels that are names of things, of which there is no mean."""
EXACT_BITS = 52
"""Whole numbers of so many bits, and halves of them, are exact in float64."""


@dataclass(frozen=True)
class Shrink:
    """How a level is made: pixel ``n`` from those from ``n * factor`` on, as many as *factor* says along each axis.

    ``mean`` and ``median`` skip missing pixels, and round halves of whole numbers to even; what is missing all over
    stays so. ``gaussian`` is a mean with the weights of three boxes, one after another (1, 3, 3, 1 for a factor of 2),
    which reach *factor* - 1 pixels further on each side. ``mode`` takes the value that most pixels have, of several the
    one that is met first, and ``nearest`` the pixel in the middle, or before it. At the far ends there may be fewer
    pixels: they count alone.

    Examples
    --------
    >>> Shrink("mean", (2, 2)).of(np.array([[1, 2, 5], [3, 5, 8]], np.uint8))
    array([[3, 6]], dtype=uint8)
    >>> Shrink("mode", (2, 2)).of(np.array([[7, 7, 0], [4, 7, 9]], np.uint8))
    array([[7, 0]], dtype=uint8)
    """

    method: Method
    factor: tuple[int, ...]

    @property
    def halo(self) -> tuple[int, ...]:
        """Pixels that are read beyond those that a pixel stands for, on each side."""
        return tuple((f - 1) * (self.method == "gaussian") for f in self.factor)

    @property
    def first(self) -> tuple[float, ...]:
        """Where the first pixel lies, in pixels of the level below."""
        return tuple((f - 1) // 2 if self.method == "nearest" else (f - 1) / 2 for f in self.factor)

    def shape(self, below: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the level over one of shape *below*."""
        return tuple(-(-n // f) for n, f in zip(below, self.factor, strict=True))

    def needed(self, box: Box, below: Sequence[int]) -> Box:
        """Return what *box* of the level is made from, of a level below of that shape."""
        ends = zip(box.start, box.stop, self.factor, self.halo, below, strict=True)
        bounds = [(max(0, a * f - h), min(b * f + h, n)) for a, b, f, h, n in ends]
        return Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), box.axes)

    def of(self, pixels: Array, nodata: float | None = None) -> Array:
        """Return the level over a whole image."""
        return self.make(pixels, Box.of_shape(self.shape(pixels.shape)), nodata)

    def make(self, pixels: Array, box: Box, nodata: float | None = None) -> Array:
        """Return the pixels of *box* of the level, of the same type.

        Parameters
        ----------
        pixels
            Those that ``needed`` names, of two axes or more.
        nodata
            The value that means missing, beside NaN.
        """
        still = [not stride for stride in pixels.strides]
        if any(still) and self._same_of_all(still, pixels.dtype):
            cell = pixels[tuple(slice(f) if s else slice(None) for f, s in zip(self.factor, still, strict=True))]
            sides = [1 if s else n for n, s in zip(box.shape, still, strict=True)]
            return np.broadcast_to(self.make(cell.copy(), Box.of_shape(sides), nodata), box.shape)
        made = np.empty(box.shape, pixels.dtype)
        if self.method == "nearest":
            made[...] = pixels[np.ix_(*map(self._taken, range(pixels.ndim), made.shape, pixels.shape))]
            return made
        cells = [(f, min(a * f, h) - h) for a, f, h in zip(box.start, self.factor, self.halo, strict=True)]
        flat = 3 - pixels.ndim
        lead, shape = math.prod(made.shape[:-3]), (1,) * flat
        block, out = (np.ascontiguousarray(a).reshape(lead, *shape, *a.shape[-3:]) for a in (pixels, made))
        self._write(block, np.array([(1, 0)] * flat + cells[-3:]), out, nodata)
        if made.dtype.kind == "f":
            from tileconv.engines.cast import unify_nan

            for volume in out:
                unify_nan(volume)
        return made

    def _taken(self, axis: int, count: int, size: int) -> Array:
        step = self.factor[axis]
        return np.minimum(np.arange(count) * step + (step - 1) // 2, size - 1)

    def _write(self, block: Array, cells: Array, out: Array, nodata: float | None) -> None:
        """Write *out* (n, z, y, x); along each axis *cells* tells how far cells are apart and where the first is."""
        from tileconv.operations import shrink_loops as loops

        dtype = block.dtype
        skips, skip = nodata is not None, dtype.type(0 if nodata is None else nodata)
        wide: type = {"f": np.float64, "i": np.int64, "u": np.uint64}[dtype.kind]
        if self.method in ("mode", "median"):
            step = cells[:, 0]
            some = np.empty(step.prod(), wide)
            if self.method == "mode":
                loops.modes(block, step, skips, skip, some, out)
            else:
                (loops.medians if dtype.kind == "f" else loops.whole_medians)(block, step, skips, skip, some, out)
            return
        weights = [self._weights(f) for f in cells[:, 0]]
        if dtype.kind == "f" or self._exact(dtype):
            floats = dtype.kind == "f"
            loops.means(block, cells, *weights, skips and floats, skip, np.empty(block.shape[-1]), out)
            if skips and not floats:
                loops.without(block, cells, *weights, skip, out)
        else:
            loops.whole_means(block, cells, *(w.astype(wide) for w in weights), skips, skip, out)

    def _exact(self, dtype: np.dtype[Any]) -> bool:
        """Return whether float64 holds the weighted sums of such pixels to the last bit."""
        return dtype.itemsize * 8 + sum(math.log2(self._weights(f).sum()) for f in self.factor) <= EXACT_BITS

    def _same_of_all(self, still: Sequence[bool], dtype: np.dtype[Any]) -> bool:
        """Return whether every cell makes the same of pixels that are repeated along the axes that are *still*.

        So it is where all that is put together is alike, and fewer pixels at an end make no other mean of it.
        """
        alike = all(s or f == 1 for s, f in zip(still, self.factor, strict=True))
        return alike and (dtype.kind != "f" or self.method not in ("mean", "gaussian") or self._exact(dtype))

    def _weights(self, factor: int) -> Array:
        box = np.ones(factor)
        return np.convolve(np.convolve(box, box), box) if self.method == "gaussian" else box
