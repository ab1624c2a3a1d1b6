"""What a projection makes of pixels that it is given one plane after another, and may never have all at once.

Planes are put together in their order, whoever hands them over and however many at a time: no bit depends on that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tileconv.engines.values import FLOAT64, INT64
from tileconv.operations.operation import Array
from tileconv.operations.variance import Parts, both, middle_of, of_sums


class Picked:
    """One pixel of all: *further* returns which of two it is."""

    def __init__(self, further: Callable[[Array, Array], Array]) -> None:
        self.further, self.kept = further, np.empty(0)

    def add(self, planes: Array) -> None:
        for plane in planes:
            self.kept = self.further(self.kept, plane) if self.kept.size else np.array(plane)

    def made(self) -> Array:
        return self.kept


class Totalled:
    """The sum in *dtype*, divided by *by*; with *halved* also of pixels that are halved so often.

    That one counts where a partial sum of the others left the range.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], by: int, halved: int) -> None:
        self.total, self.by, self.halved = np.zeros(shape, dtype), by, halved
        self.small = np.zeros(shape if halved else 0)

    def add(self, planes: Array) -> None:
        for plane in planes:
            np.add(self.total, plane, out=self.total, dtype=self.total.dtype, casting="unsafe")
            if self.halved:
                self.small += plane * 2.0**-self.halved

    def made(self) -> Array:
        if self.total.dtype == INT64:
            return self.total
        made = self.total / self.by
        if self.halved and not (known := np.isfinite(self.total)).all():
            made[~known] = self.small[~known] / self.by * 2.0**self.halved
        return made


class WholeSpread:
    """The standard deviation of *count* whole numbers, from exact sums of what they differ from a middle."""

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        self.count, self.sums, self.squares = count, np.zeros(shape, INT64), np.zeros(shape, INT64)

    def add(self, planes: Array) -> None:
        for plane in planes:
            moved = plane.astype(INT64) - middle_of(plane.dtype)
            self.sums += moved
            self.squares += np.multiply(moved, moved, out=moved)

    def made(self) -> Array:
        made: Array = np.sqrt(of_sums(self.sums, self.squares, self.count))
        return made


class Spread:
    """The standard deviation of *count* numbers, merged as ``variance`` merges those of a window so long.

    Its parts are as long as the binary digits of the count say, the shortest first; each is merged of pairs, of fours
    and so on, of which no more than one of each length waits for another.
    """

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        self.lengths = [1 << bit for bit in range(count.bit_length()) if count >> bit & 1]
        self.waiting: list[tuple[int, Parts]] = []
        self.done, self.merged = 0, (np.zeros(0), np.zeros(0))
        self.infinite = np.zeros(shape, bool)

    def add(self, planes: Array) -> None:
        for plane in planes:
            self.infinite |= ~np.isfinite(plane)
            pixels = plane.astype(FLOAT64)
            length, parts = 1, (pixels, pixels - pixels)
            while self.waiting and self.waiting[-1][0] == length and length < self.lengths[0]:
                length, parts = 2 * length, both(self.waiting.pop()[1], parts, 0.5)
            if length < self.lengths[0]:
                self.waiting.append((length, parts))
                continue
            self.done += self.lengths.pop(0)
            self.merged = both(self.merged, parts, length / self.done) if self.done > length else parts

    def made(self) -> Array:
        variances = self.merged[1]
        variances[~np.isfinite(variances)] = np.inf  # that of large numbers; also where it went on as a NaN
        variances[self.infinite] = np.nan
        made: Array = np.sqrt(variances)
        return made
