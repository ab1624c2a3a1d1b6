"""One kernel over one block, by the engine that the plan chose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.choose import Choice
from tileconv.engines.direct import direct, direct_where
from tileconv.engines.fft import fft
from tileconv.engines.separable import separable, touched
from tileconv.errors import TileError

Array = NDArray[Any]


def reach(choice: Choice, axis: int, start: int, stop: int, domain: Box) -> tuple[int, int]:
    """Return the positions along *axis* that *choice* needs for outputs ``start`` to ``stop`` of image *domain*.

    Direct and separable engines need the outputs grown by the halo; the FFT needs the same for every canonical block
    that it touches, as far as *domain* grown by the halo reaches.
    """
    before, after = choice.halo.before[axis], choice.halo.after[axis]
    if choice.engine != "fft":
        return start - before, stop + after
    if choice.grid.zeros_around is not None:
        return choice.grid.zeros_around.start[axis], choice.grid.zeros_around.stop[axis]
    first, last = choice.grid.cover(axis, start, stop)
    return max(first, domain.start[axis]) - before, min(last, domain.stop[axis]) + after


def reach_box(choice: Choice, out: Box, domain: Box) -> Box:
    """Return the box of ``reach`` along every axis (z, y, x)."""
    ends = [reach(choice, axis, out.start[axis], out.stop[axis], domain) for axis in range(3)]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends), out.axes)


def kernel_sums(choice: Choice, block: Array, have: Box, out: Box, domain: Box) -> tuple[Array, int]:
    """Return the sums at the pixels of *out* and the number of FFT blocks that fell back to direct sums.

    *block* holds the pixels of *have*, which contains ``reach_box(choice, out, domain)``. The sums come in the type
    that ``choice.sums`` names, the FFT's rounded to it once.
    """
    have_needed = reach_box(choice, out, domain)
    pixels = block[have_needed.within(have)]
    exact = choice.sums.exact
    if choice.sums.guarded:
        _refuse_overflow(choice, pixels)
    if choice.engine == "fft":
        grid, dtype = choice.grid, choice.sums.accumulate
        return fft(pixels, have_needed, out, choice.weights, choice.halo, grid, exact=exact, dtype=dtype)
    if choice.engine == "direct":
        return direct(pixels, choice.weights), 0
    made = separable(pixels, choice.terms)
    if len(choice.terms) > 1 and not exact:
        _direct_at_infinities(choice, pixels, made)
    return made, 0


def _refuse_overflow(choice: Choice, pixels: Array) -> None:
    peak = max(int(pixels.max()), -int(pixels.min()))
    total = int(choice.kernel.absolute_sum)  # of whole numbers: exact up to 2**53, then rounded by less than its 2**-52
    if (total + (total >> 52)) * peak >= 2**63:
        raise TileError(
            f"sums under {choice.kernel} of pixels up to {peak:,} could leave int64",
            fix="Set precision: float64 to sum them with rounding.",
        )


def _direct_at_infinities(choice: Choice, pixels: Array, made: Array) -> None:
    """Sum directly where an infinity is near: terms that cancel would make NaN of it."""
    infinite = np.isinf(pixels)
    if infinite.any():
        weights = np.ascontiguousarray(
            (choice.kernel.weights / choice.kernel.divide_by).reshape(choice.shape), made.dtype
        )
        direct_where(pixels, weights, touched(infinite.view(np.uint8), choice.shape), made)
