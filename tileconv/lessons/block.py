"""One block of the canonical grid: its pixels to sums.

The grid is anchored at the first pixel of the image and does not depend on tiles, so that neither do the sums: each is
made of the pixels of one block in a fixed order, and blocks are added without rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tileconv.lessons.sums import Shape, add_columns, add_cross, add_lags, add_weighted, scores
from tileconv.quick import dataclass

Array = NDArray[np.float64]

PLANE: Shape = (1, 256, 256)
VOLUME: Shape = (16, 64, 64)
"""A block, for kernels over y and x and over all three axes. Products of whole numbers of 16 bits that it holds sum to
less than 2**53, so that they are exact in float64."""
HEAD = 5
"""Numbers before those of each weight: pixels, their weight, target, square or loss, and pixels that are marked."""
_WEYL = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Model:
    """What a pass over marked pixels begins with: log odds of a pixel are the sum under *kernel* plus *offset*."""

    kernel: Array
    offset: float


def entries(weights: int) -> int:
    """Return how many sums there are for that many weights."""
    return HEAD + 2 * weights + weights * (weights + 1) // 2


def held_out(number: int, share: float) -> bool:
    """Return whether block *number* is held out for validation: as many as *share* says, spread evenly.

    Method: the multiples of the golden ratio, whose fractions are spread as evenly as those of any number are.

    Examples
    --------
    >>> [held_out(n, 0.25) for n in range(8)]
    [False, True, False, False, True, False, False, False]
    """
    return (number + 1) * _WEYL % 2**64 < share * 2**64


def block_sums(pixels: Array, shape: Shape, target: Array, counts: NDArray[np.bool_] | None) -> Array:
    """Return the sums of one block for least squares.

    Parameters
    ----------
    pixels
        The block and what a kernel of *shape* adds to it, axes (z, y, x).
    target
        What the pixels of the block are to become; 0 where they do not count.
    counts
        Which pixels count; None where all do.

    Returns
    -------
    Array
        ``HEAD`` numbers; sums of columns; sums of columns times target; sums of products of columns i <= j.
    """
    number = target.size if counts is None else int(counts.sum())
    head = np.array([number, number, target.sum(), np.square(target).sum(), 0.0])
    return _sums(pixels, shape, head, None if counts is None else counts.astype(np.float64), target)


def marked_sums(pixels: Array, shape: Shape, marks: Array, counts: NDArray[np.bool_] | None, model: Model) -> Array:
    """Return the sums of one block for a step of Newton's method for logistic regression.

    Weights are ``p (1 - p)`` and the target is, times these, what least squares must meet for the step that leads
    away from *model* (iteratively reweighted least squares: Bishop 2006, Pattern Recognition, section 4.3.3).
    """
    odds = np.full(marks.shape, model.offset)
    scores(pixels, model.kernel, odds)
    small = np.exp(-np.abs(odds))
    likely = np.where(odds >= 0, 1, small) / (1 + small)
    valid = np.ones(marks.shape) if counts is None else counts.astype(np.float64)
    weights = valid * small / (1 + small) ** 2
    target = weights * odds + valid * (marks - likely)
    loss = valid * (np.log1p(small) + np.maximum(odds, 0) - marks * odds)
    head = np.array([valid.sum(), weights.sum(), target.sum(), loss.sum(), (valid * marks).sum()])
    return _sums(pixels, shape, head, weights, target)


def _sums(pixels: Array, shape: Shape, head: Array, weights: Array | None, target: Array) -> Array:
    count = math.prod(shape)
    products, columns, cross = np.zeros((count, count)), np.zeros(count), np.zeros(count)
    large = all(n >= k for n, k in zip(target.shape[1:], shape[1:], strict=True))
    if weights is None and large:
        add_lags(pixels, shape, products)
        add_columns(pixels, shape, columns)
        add_cross(pixels, shape, target, cross)
    else:
        plain = np.ones(target.shape) if weights is None else weights
        add_weighted(pixels, shape, plain, target, products, columns, cross)
    return np.concatenate([head, columns, cross, products[np.triu_indices(count)]])


def footprints(good: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return at which places all pixels below a kernel of *shape* are *good*."""
    for axis, size in enumerate(shape):
        length = good.shape[axis] - size + 1
        parts = [good[(slice(None),) * axis + (slice(k, k + length),)] for k in range(size)]
        good = np.logical_and.reduce(parts)
    return good
