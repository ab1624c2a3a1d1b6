"""The record of the FFT engine: where it may be used, what it costs, reads and holds. ``fft.py`` makes its sums."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tileconv.boxes import Box
from tileconv.engines.engine import Array, Candidate, Engine, Wanted
from tileconv.engines.expected import ROUNDING, Spread
from tileconv.engines.grid import LANES, Blocks, blocks, direct_bound, error_bound, strips
from tileconv.engines.kernel import MAX_WEIGHTS, Kernel
from tileconv.engines.values import FLOAT32, FLOAT64, INT64, Sums, Values, working_dtype

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

EXACT_MARGIN = 0.25
"""The FFT's sums of whole numbers are rounded, so its error must stay well below a half."""
NARROW_GAIN = 1e-10, 1e10
"""Sums of absolute weights for which float32 transforms are weighed: others could leave the range of float32."""
COPIES = 7
"""Arrays of a transform's size that one FFT block holds at once, in float64."""
TRANSFORM = 1.2
"""Like ``ROUNDING``, of a product of transforms for each root of log2 N (tests/engines/test_expected.py holds it)."""


class Fft(Engine):
    """Products of transforms, block by block of a grid that is the image's."""

    name: ClassVar[str] = "fft"
    repeats: ClassVar[bool] = False
    whole_blocks: ClassVar[bool] = True
    further: ClassVar[float] = 0.5
    marks: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("scipy",)

    def weigh(self, wanted: Wanted) -> Candidate:
        kernel, how, grid, values = wanted.kernel, wanted.sums, wanted.grid, wanted.values
        if math.prod(kernel.shape) > MAX_WEIGHTS:
            return self.no_grid(kernel)
        ns, bound = wanted.costs.fft_ns(grid), error_bound(grid.points, math.sqrt(grid.points), kernel.norm)
        if how.exact:
            spread = values.high - values.low
            if how.accumulate == INT64:
                return Candidate(self.name, ns, bound, "sums beyond 2**53 are exact in int64 alone")
            if bound * spread >= EXACT_MARGIN:
                refused = f"its error bound {bound * spread:.2g} could round whole-number sums wrongly"
                return Candidate(self.name, ns, bound, refused)
            return Candidate(self.name, ns, 0.0)
        if grid.narrow:
            return Candidate(self.name, ns, _narrow_bound(kernel, grid) / abs(kernel.divide_by))
        rounding = float(np.finfo(working_dtype(values.dtype, wanted.precision)).eps)
        return Candidate(self.name, ns, (2 * bound + rounding * kernel.absolute_sum) / abs(kernel.divide_by))

    def note(self, grid: Blocks) -> str:
        return "; transforms in float32" if grid.narrow else ""

    def sums(self, choice: Choice, pixels: Array, have: Box, out: Box) -> tuple[Array, int]:
        from tileconv.engines.fft import fft  # and its loops, which a run without transforms does not declare

        exact, dtype = choice.sums.exact, choice.sums.accumulate
        return fft(pixels, have, out, choice.weights, choice.halo, choice.grid, exact=exact, dtype=dtype)

    def shares(self, choice: Choice) -> Hashable:
        return choice.grid, choice.halo, choice.sums.exact, choice.sums.accumulate

    def each_sum(
        self, choices: Sequence[Choice], pixels: Array, have: Box, out: Box
    ) -> Iterator[tuple[int, Box, Array, int]]:
        from tileconv.engines.fft import fft_each

        first, weights = choices[0], [choice.weights for choice in choices]
        exact, dtype = first.sums.exact, first.sums.accumulate
        return fft_each(pixels, have, out, weights, first.halo, first.grid, exact=exact, dtype=dtype)

    def levels(self, choice: Choice, pixel: Array) -> bool:
        """See ``Engine.levels``: so it is where the mean of any block is the pixel, to the last bit.

        Sums of up to 2**29 of one float32 are exact in float64. Where a transform holds the whole image no mean is
        taken off.
        """
        from tileconv.engines.fft_factors import Factor

        value = pixel.item()
        with np.errstate(over="ignore"):
            exact = not math.isfinite(value) or float(np.float32(value)) == value
        factor = Factor(choice.weights, choice.halo, choice.grid, choice.sums.exact)
        return exact and choice.grid.zeros_around is None and factor.plain(factor.base(value))

    def reach(self, choice: Choice, axis: int, start: int, stop: int, domain: Box) -> tuple[int, int]:
        grid = choice.grid
        if grid.zeros_around is not None:
            return grid.zeros_around.start[axis], grid.zeros_around.stop[axis]
        first, last = grid.cover(axis, start, stop)
        first, last = max(first, domain.start[axis]), min(last, domain.stop[axis])
        return first - choice.halo.before[axis], last + choice.halo.after[axis]

    def held_in(self, sums: Sums) -> np.dtype[Any]:
        return FLOAT64

    def scratch(self, choice: Choice, values: Values, want: int) -> int:
        grid = choice.grid
        own = COPIES * 8 * math.prod(grid.length)  # of a paired block: what one of both takes in float64
        if grid.paired:  # beside it the centred pixels, the strips of the transform, and the one under work
            _, rows, columns = grid.length
            own += 4 * math.prod(s + k - 1 for s, k in zip(grid.step, choice.shape, strict=True))
            own += 8 * LANES * (strips(rows) * columns + rows)
        return own

    def kernel_bytes(self, choice: Choice) -> int:
        grid = choice.grid
        last = grid.length[grid.transformed[-1]]
        half = grid.points // last * (last // 2 + 1)
        # each is kept with the weights; blocks that float32 would drown have a second transform, in float64
        narrow = 8 * (strips(grid.length[1]) * LANES * last if grid.paired else half)
        keys, kept = (2, narrow + 16 * half) if grid.narrow else (1, 16 * half)
        return super().kernel_bytes(choice) + kept + keys * 8 * math.prod(choice.shape)

    def expected_error(self, choice: Choice, pixels: Spread, sums: Spread, unit: float) -> float:
        grid, kernel = choice.grid, choice.kernel
        held = pixels.deviation if grid.zeros_around is None else pixels.size
        own = float(np.finfo(FLOAT32 if grid.narrow else FLOAT64).eps) / 2
        mean = ROUNDING * own * abs(pixels.mean * kernel.total * kernel.divide_by) if grid.narrow else 0.0
        error = math.hypot(TRANSFORM * own * math.sqrt(math.log2(grid.points)) * held * kernel.norm, mean)
        return math.hypot(error / abs(kernel.divide_by), unit * sums.size)


def canonical_grid(kernel: Kernel, shape: tuple[int, ...], how: Sums, image: Box, zeros_around: Box | None) -> Blocks:
    """Return the grid of blocks, with transforms in float32 where these promise no less than direct float32 sums."""
    gain = kernel.absolute_sum / abs(kernel.divide_by)
    if how.accumulate == FLOAT32 and not how.exact and NARROW_GAIN[0] < gain < NARROW_GAIN[1]:
        grid = blocks(shape, image.shape, image.start, zeros_around, narrow=True)
        if _narrow_bound(kernel, grid) <= direct_bound(math.prod(shape), kernel.absolute_sum):
            return grid
    return blocks(shape, image.shape, image.start, zeros_around)


def _narrow_bound(kernel: Kernel, grid: Blocks) -> float:
    """Return how wrong float32 transforms may be for pixels up to 1, before the sums are divided.

    Taking the mean off makes no block's norm larger; it and the sum that puts it back each round once.
    """
    rounding = float(np.finfo(FLOAT32).eps) * kernel.absolute_sum
    return error_bound(grid.points, math.sqrt(grid.held), kernel.norm, narrow=True) + 2 * rounding
