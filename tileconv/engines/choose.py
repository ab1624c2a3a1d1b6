"""The cheapest allowed engine for one kernel, and why the others lost.

Decided from kernel, dtype and image shape alone, never from a tile or a pixel value, so that tiling stays invisible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.cost import Costs
from tileconv.engines.grid import Blocks, blocks, direct_bound, error_bound
from tileconv.engines.kernel import MAX_WEIGHTS, Kernel
from tileconv.engines.nonfinite import Pattern
from tileconv.engines.values import EXACT, FLOAT32, INT64, Precision, Sums, Values, sums, working_dtype
from tileconv.errors import PlanError

EngineName = Literal["direct", "separable", "fft"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
EXACT_MARGIN = 0.25
"""The FFT's sums of whole numbers are rounded, so its error must stay well below a half."""
NARROW_GAIN = 1e-10, 1e10
"""Sums of absolute weights for which float32 transforms are weighed: others could leave the range of float32."""


@dataclass(frozen=True)
class Candidate:
    """One engine for one kernel: its cost, its error bound, and why it may not be used (empty when it may).

    ``bound_per_peak`` is the largest error of a sum for an image whose largest absolute pixel is 1.
    """

    engine: EngineName
    ns_per_pixel: float
    bound_per_peak: float
    refused: str = ""


@dataclass(frozen=True)
class Choice:
    """How the sums under one kernel are made; axes are always (z, y, x), of one weight where the kernel has none.

    ``watched`` sums may come out as NaN or infinity, and are settled then.
    """

    kernel: Kernel
    shape: tuple[int, ...]
    halo: Halo
    sums: Sums
    engine: EngineName
    why: str
    candidates: tuple[Candidate, ...]
    grid: Blocks
    watched: bool = False

    @property
    def chosen(self) -> Candidate:
        """The candidate that runs."""
        return next(c for c in self.candidates if c.engine == self.engine)

    @cached_property
    def weights(self) -> NDArray[Any]:
        """The weights in the type of the sums; inexact sums have the division folded in."""
        return self._typed(self.kernel.weights.reshape(self.shape), fold=True)

    @cached_property
    def terms(self) -> tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], ...]:
        """The outer products in the type of the sums, three factors each."""
        full = []
        for term in self.kernel.terms:
            z, y, x = (np.ones(1, np.int64),) * (3 - len(term)) + term
            if not self.sums.exact:
                x = x / self.kernel.divide_by
                z, y, x = _levelled(z, y, x)
            full.append((self._typed(z), self._typed(y), self._typed(x)))
        return tuple(full)

    @cached_property
    def pattern(self) -> Pattern:
        """Which weights are 0, for sums that are not finite."""
        if self.engine == "separable":
            return Pattern(self.kernel, self.shape, None, self.terms)
        return Pattern(self.kernel, self.shape, self.weights, ())

    def _typed(self, weights: NDArray[Any], *, fold: bool = False) -> NDArray[Any]:
        if fold and not self.sums.exact:
            weights = weights / self.kernel.divide_by
        dtype = np.float64 if self.engine == "fft" else self.sums.accumulate
        return np.array(weights, dtype, order="C")  # a copy: read-only arrays would be compiled for apart

    def __getstate__(self) -> dict[str, Any]:
        """Leave the derived weights behind: a worker makes them again."""
        return {k: v for k, v in self.__dict__.items() if k not in {"weights", "terms", "pattern"}}


def choose(
    kernel: Kernel,
    values: Values,
    precision: Precision,
    asked: str,
    image: Box,
    costs: Costs,
    zeros_around: Box | None = None,
) -> Choice:
    """Return the engine for *kernel* that makes the pixels of *image*, axes (z, y, x); the kernel has the last of them.

    Parameters
    ----------
    values
        What the pixels under the kernel can be, a constant border's value included.
    asked
        ``auto``, or the engine that the user wants.
    costs
        The constants of the cost model.
    zeros_around
        The box outside which every pixel is zero, if there is one.

    Raises
    ------
    PlanError
        If the engine asked for may not be used; the message says why, and which may.
    """
    shape, halo = (1,) * (3 - len(kernel.shape)) + kernel.shape, in_space(kernel.halo)
    how = sums(kernel, values, precision)
    grid = _grid(kernel, shape, how, image, zeros_around)
    candidates = (
        _direct(kernel, shape, how, costs),
        _separable(kernel, shape, how, values, costs),
        _fft(kernel, how, values, precision, grid, costs.fft_ns(grid)),
    )
    allowed = [c for c in candidates if not c.refused]
    if asked != "auto":
        wanted = next(c for c in candidates if c.engine == asked)
        if wanted.refused:
            raise PlanError(
                f"engine {asked} cannot be used for {kernel}",
                why=wanted.refused,
                fix=f"Use {' or '.join(c.engine for c in allowed)}, or engine: auto.",
            )
        best, why = wanted, "asked for"
    else:
        best = min(allowed, key=lambda c: c.ns_per_pixel)
        why = "cheapest of those allowed" if len(allowed) > 1 else "the only one allowed"
    if best.engine == "fft" and grid.narrow:
        why += "; transforms in float32"
    watched = not how.exact and not values.finite_below(float(np.finfo(how.accumulate).max) / (4 * _swell(kernel)))
    return Choice(kernel, shape, halo, how, best.engine, why, candidates, grid, watched)


def _grid(kernel: Kernel, shape: tuple[int, ...], how: Sums, image: Box, zeros_around: Box | None) -> Blocks:
    """Return the FFT's grid: its transforms are in float32 where that promises no less than direct float32 sums do."""
    if how.accumulate == FLOAT32 and not how.exact and NARROW_GAIN[0] < _gain(kernel) < NARROW_GAIN[1]:
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


def in_space(halo: Halo) -> Halo:
    """Return *halo*, of a kernel's 1 to 3 axes, in axes (z, y, x)."""
    none = (0,) * (3 - len(halo.before))
    return Halo(none + halo.before, none + halo.after)


def _direct(kernel: Kernel, shape: tuple[int, ...], how: Sums, costs: Costs) -> Candidate:
    count = math.prod(shape)
    if count > MAX_WEIGHTS:
        return _no_grid("direct", kernel)
    bound = _rounding(how) * (count + 2) * _gain(kernel) + _remainder(kernel, how, given=True)
    return Candidate("direct", costs.direct_ns(shape, how.accumulate), bound)


def _separable(kernel: Kernel, shape: tuple[int, ...], how: Sums, values: Values, costs: Costs) -> Candidate:
    terms = kernel.terms
    if not terms:
        refused = f"the {'x'.join(map(str, kernel.shape))} weights are not a sum of few outer products"
        return Candidate("separable", math.inf, math.inf, refused)
    gain = sum(math.prod(float(np.abs(f).sum()) for f in term) for term in terms)
    if how.guarded and len(terms) > 1:
        return Candidate("separable", math.inf, math.inf, "its terms could leave int64 where their sum does not")
    if how.exact and not how.guarded and gain * values.peak >= 2.0 ** dict(EXACT)[how.accumulate]:
        return Candidate("separable", math.inf, math.inf, f"its terms could leave the range where {how.why}")
    bound = _rounding(how) * (sum(shape) + len(terms) + 6) * gain / abs(kernel.divide_by) + _remainder(kernel, how)
    return Candidate("separable", costs.separable_ns(shape, len(terms), how.accumulate), bound)


def _fft(kernel: Kernel, how: Sums, values: Values, precision: Precision, grid: Blocks, ns: float) -> Candidate:
    if math.prod(kernel.shape) > MAX_WEIGHTS:
        return _no_grid("fft", kernel)
    bound = error_bound(grid.points, math.sqrt(grid.points), kernel.norm)
    if how.exact:
        spread = values.high - values.low
        if how.accumulate == INT64:
            return Candidate("fft", ns, bound, "sums beyond 2**53 are exact in int64 alone")
        if bound * spread >= EXACT_MARGIN:
            refused = f"its error bound {bound * spread:.2g} could round whole-number sums wrongly"
            return Candidate("fft", ns, bound, refused)
        return Candidate("fft", ns, 0.0)
    if grid.narrow:
        return Candidate("fft", ns, _narrow_bound(kernel, grid) / abs(kernel.divide_by))
    rounding = float(np.finfo(working_dtype(values.dtype, precision)).eps)
    return Candidate("fft", ns, (2 * bound + rounding * kernel.absolute_sum) / abs(kernel.divide_by))


def _no_grid(engine: EngineName, kernel: Kernel) -> Candidate:
    refused = f"it needs the {'x'.join(map(str, kernel.shape))} weights as a grid, of at most {MAX_WEIGHTS:,}"
    return Candidate(engine, math.inf, math.inf, refused)


def _rounding(how: Sums) -> float:
    """Return half an ulp of 1 in the type of the sums; nothing when they are exact."""
    return 0.0 if how.exact else float(np.finfo(how.accumulate).eps) / 2


def _remainder(kernel: Kernel, how: Sums, *, given: bool = False) -> float:
    """Return how wrong sums may be because weights and terms differ; the *given* ones of the two are right."""
    if how.exact or (given and not kernel.given_terms):
        return 0.0
    return kernel.remainder / abs(kernel.divide_by)


def _gain(kernel: Kernel) -> float:
    return kernel.absolute_sum / abs(kernel.divide_by)


def _swell(kernel: Kernel) -> float:
    """Return the most by which a partial sum of any engine exceeds the largest pixel."""
    terms = (math.prod(max(1.0, float(np.abs(f).sum(dtype=np.float64))) for f in term) for term in kernel.terms)
    return max(1.0, kernel.absolute_sum, *terms) * max(1.0, 1 / abs(kernel.divide_by))


def _levelled(z: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the same outer product with all of its size in *x*, which is summed first.

    What is summed along x then has the size of the result, and neither overflows nor underflows before it does. Powers
    of two change no byte of what does not.
    """
    powers = [int(np.frexp(np.abs(f).max())[1]) for f in (z, y)]
    return np.ldexp(z, -powers[0]), np.ldexp(y, -powers[1]), np.ldexp(x, sum(powers))
