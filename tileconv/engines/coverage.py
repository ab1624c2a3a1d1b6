"""Sums over the pixels that are there: how much of a kernel's weight lies on them, and what a sum becomes by it.

A sum over valid pixels is multiplied by the whole weight and divided by that on valid pixels, its *coverage*. Weights
on missing pixels are summed in whole numbers, to which they are rounded once: such sums are exact in every engine and
any order, so that the same pixels are NaN whatever makes them. Weights that are whole numbers stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.choose import Choice, choose
from tileconv.engines.cost import Costs
from tileconv.engines.kernel import Kernel, Weights
from tileconv.engines.nonfinite import bands
from tileconv.engines.values import Values
from tileconv.quick import dataclass

Array = NDArray[Any]

MASK = Values(np.dtype(np.uint8), whole=True, low=0.0, high=1.0)
"""What is summed: 1 where a pixel is missing."""
LINE_BITS = {1: 40, 2: 26, 3: 20}
"""log2 of the whole numbers that the weights along an axis sum to, by the axes of an outer product: its sums stay below
2**53, and those of three axes below 2**63."""
LINE_WEIGHTS = 256
"""Weights along all axes up to which an outer product is cheaper summed as one than by transforms (docs/engines.md)."""
GRID_BITS = 33
"""log2 of the largest norm of a rounded grid: sums of transforms of up to 2**24 points are still rounded rightly."""
WHOLE = 2.0**45
"""Sums of whole weights from which on these are rounded, too."""


@dataclass(frozen=True)
class Coverage:
    """The sums of whole-number weights on missing pixels, beside the sums under one kernel.

    Attributes
    ----------
    choice
        How they are made.
    whole
        What all weights sum to.
    least
        The weight on valid pixels below which a result is NaN, at least 1.
    """

    choice: Choice
    whole: int
    least: int

    @classmethod
    def of(cls, kernel: Kernel, min_coverage: float, image: Box, costs: Costs, zeros_around: Box | None) -> Coverage:
        """Return the coverage of *kernel* for the pixels of *image*; the last three are as ``choose`` takes them.

        *min_coverage* is a share of the weights: the decimal number that it is written as.
        """
        rounded = whole_weights(kernel)
        whole = math.prod(int(part.sum()) for part in rounded.parts)
        from fractions import Fraction

        least = max(1, math.ceil(Fraction(repr(min_coverage)) * whole))
        return cls(choose(rounded, MASK, "auto", "auto", image, costs, zeros_around), whole, least)

    def widened(self, choice: Choice) -> Choice:
        """Return *choice*, whose sums are divided by this coverage, with the error bound of the quotients.

        What an engine that makes whole blocks does wrong is multiplied as the sum is; the errors of others shrink with
        the weight that is summed. To these come what the rounded weights do wrong, and four roundings.
        """
        kernel, most = choice.kernel, self.whole / self.least
        own, gain = choice.chosen.bound_per_peak, kernel.absolute_sum / abs(kernel.divide_by)
        together, each = _rounding_errors(kernel, self.choice.kernel)
        off = min(together * most, each / (1 - each) if each < 1 else math.inf)
        grown = most if choice.by.whole_blocks or len(choice.by.parts(choice)[1]) > 1 else 1.0
        own = own * grown + kernel.remainder / abs(kernel.divide_by) * most
        bound = own * (1 + off) + gain * (off + 2 * float(np.finfo(choice.sums.accumulate).eps))
        candidates = (replace(c, bound_per_peak=bound) if c is choice.chosen else c for c in choice.candidates)
        return replace(choice, candidates=tuple(candidates))


def whole_weights(kernel: Kernel) -> Kernel:
    """Return *kernel* with its weights, none below 0, rounded to whole numbers as far as sums of them stay exact.

    An outer product stays one where that is cheap to sum, or has no grid: its lines are rounded, each to the same sum.
    Of another the grid is, times a power of two.
    """
    if kernel.integral and kernel.absolute_sum < WHOLE:
        return replace(kernel, divide_by=1.0)
    lines = kernel.terms[0] if len(kernel.terms) == 1 else ()
    if lines and (sum(kernel.shape) <= LINE_WEIGHTS or not kernel.has_grid):
        bits = LINE_BITS[sum(line.size > 1 for line in lines) or 1]
        return Kernel(kernel.anchor, given_terms=(tuple(_rounded_line(line, bits) for line in lines),))
    power = GRID_BITS - math.frexp(kernel.norm)[1]
    return Kernel(kernel.anchor, dense=np.rint(np.ldexp(kernel.weights, power)).astype(np.int64))


def _rounded_line(line: Weights, bits: int) -> Weights:
    if line.size == 1:
        return np.ones(1, np.int64)
    sizes = np.abs(line).astype(np.float64)
    top = np.ldexp(sizes, -math.frexp(float(sizes.max()))[1])  # so that no sum leaves float64
    return np.rint(top * (2.0**bits / math.fsum(top))).astype(np.int64)


def _rounding_errors(kernel: Kernel, whole: Kernel) -> tuple[float, float]:
    """Return by how much the weights of *whole* differ from those of *kernel*, both as shares of their sums.

    The first is of all together, the second of the one that differs most from its own share; infinite if not known.
    """
    if kernel.integral and kernel.absolute_sum < WHOLE:
        return 0.0, 0.0
    given = (kernel.weights,) if whole.dense is not None else kernel.terms[0]
    together, most = 1.0, 1.0
    for weights, rounded in zip(given, whole.parts, strict=True):
        share = np.abs(weights / weights.sum(dtype=np.float64))
        wrong = np.abs(rounded / rounded.sum() - share)
        together *= 1 + float(wrong.sum())
        most *= 1 + float((wrong[share > 0] / share[share > 0]).max())
    left = 4 * kernel.remainder / kernel.absolute_sum if whole.dense is None else 0.0  # by the terms of the weights
    return together - 1 + left, most - 1 if left == 0 else math.inf


def renormalize(coverage: Coverage, lost: Array, plain: Array, sums: Array, offset: float) -> None:
    """Put into *sums*, in place, what those become that lack some weight, and NaN where they lack too much.

    Parameters
    ----------
    lost
        The weight on missing pixels, axes (z, y, x); where it is 0 the sum stands as it is.
    plain
        The sums over valid pixels before *offset* is added to them.
    """
    for rows in bands(sums):
        band, made = lost[:, rows], sums[:, rows]
        partly = band > 0
        if partly.any():
            covered = coverage.whole - band[partly]
            quotients = plain[:, rows][partly].astype(np.float64) * (coverage.whole / covered.astype(np.float64))
            quotients += offset
            quotients[covered < coverage.least] = np.nan
            made[partly] = quotients
