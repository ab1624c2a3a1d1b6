"""Exact sums of all blocks to normal equations, and to how well a kernel does: each figure is rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tileconv.lessons.block import HEAD
from tileconv.lessons.exact import ExactSums
from tileconv.quick import dataclass

Array = NDArray[np.float64]
Whole = NDArray[np.object_]


@dataclass(frozen=True)
class Totals:
    """Sums over pixels as whole numbers of Python, each to be times ``unit``; see ``block.block_sums``."""

    head: Whole
    columns: Whole
    cross: Whole
    products: Whole
    unit: Fraction

    @classmethod
    def of(cls, sums: ExactSums, weights: int) -> Totals:
        """Return what *sums* hold for a kernel of so many *weights*."""
        whole, exponent = sums.whole()
        head, columns, cross, upper = np.split(whole, [HEAD, HEAD + weights, HEAD + 2 * weights])
        products = np.zeros((weights, weights), object)
        products[np.triu_indices(weights)] = upper
        products.T[np.triu_indices(weights)] = upper
        return cls(head, columns, cross, products, Fraction(2) ** exponent)

    @property
    def pixels(self) -> int:
        """How many pixels count."""
        return int(self.head[0] * self.unit)

    @property
    def marked(self) -> int:
        """How many of them are marked."""
        return int(self.head[4] * self.unit)

    @property
    def loss(self) -> float:
        """The squares of the target, or the loss where pixels are marked."""
        return float(self.head[3] * self.unit)

    def normal(self) -> tuple[Array, Array]:
        """Return the products of centred columns with each other, and with the target."""
        weight = self.head[1]
        gram = self.products * weight - np.outer(self.columns, self.columns)
        cross = self.cross * weight - self.columns * self.head[2]
        return self._divided(gram, weight), self._divided(cross, weight)

    def offset(self, weights: Array) -> float:
        """Return the offset that goes best with *weights*."""
        whole, one = _whole(weights)
        return float(Fraction(int(self.head[2] * one - whole @ self.columns), int(self.head[1] * one)))

    def squares(self, weights: Array, offset: float) -> tuple[float, float]:
        """Return the squares that a model leaves, and those about the mean of the target; not rounded on the way.

        Where sums of blocks were rounded what is next to nothing may come out below 0, and is 0.
        """
        whole, one = _whole(np.append(weights, offset))
        kernel, shift = whole[:-1], whole[-1]
        count, _, target, square = self.head[:4]
        left = square * one * one - 2 * one * (kernel @ self.cross + shift * target)
        left += kernel @ (self.products @ kernel) + 2 * shift * (kernel @ self.columns) + shift * shift * count
        about = Fraction(int(square * count - target * target), int(count))
        return max(0.0, float(Fraction(int(left), one * one) * self.unit)), max(0.0, float(about * self.unit))

    def _divided(self, numbers: Whole, weight: int) -> Array:
        up, down = self.unit.numerator, weight * self.unit.denominator
        return np.array([n * up / down for n in numbers.ravel().tolist()]).reshape(numbers.shape)


def _whole(numbers: Array) -> tuple[Whole, int]:
    """Return *numbers* as whole ones times a power of 2, and that power."""
    ratios = [number.as_integer_ratio() for number in numbers.tolist()]
    one = max(below for _, below in ratios)
    return np.array([above * (one // below) for above, below in ratios], object), one


def log_loss(pixels: int, marked: int) -> float:
    """Return the loss of a model that knows how many pixels are *marked* and no more."""
    parts = [n for n in (marked, pixels - marked) if n]
    return -math.fsum(n * math.log(n / pixels) for n in parts)
