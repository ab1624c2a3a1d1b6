"""Sums that came out as NaN or infinity, looked at again: what the definition says of each.

A weight of 0 takes no part, so NaN and infinity reach only the pixels under other weights; and a sum of finite pixels
is what the exact sum rounds to, though a partial sum left the range. Engines need not heed either: ``0 * NaN``,
``inf - inf`` and an overflow all leave a sum that is not finite, and only such sums are looked at here. What becomes of
one depends on the pixels under its kernel alone, never on the tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.direct import direct_where
from tileconv.engines.kernel import Kernel
from tileconv.engines.loops import njit
from tileconv.engines.separable import separable, touched
from tileconv.quick import dataclass

Array = NDArray[Any]
Terms = tuple[tuple[Array, Array, Array], ...]

UP, DOWN, NAN = 1, 2, 3
"""What a pixel or a sum that is not finite is: infinity, minus infinity (of both: NaN), NaN. 0 is a finite one."""
MOST = float(np.finfo(np.float64).max)
BAND_PX = 2**17
"""Pixels that are looked at together: some bytes for each are held meanwhile, and stay in the L2 cache."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which of a kernel's weights are 0, and which are 0 to the engine that sums under it.

    Attributes
    ----------
    shape
        Axes (z, y, x).
    weights, terms
        What the engine multiplies by, in the type of its sums; *terms* are empty where it is not the separable one.
    """

    kernel: Kernel
    shape: tuple[int, ...]
    weights: Array | None
    terms: Terms

    @cached_property
    def own(self) -> Array:
        """The kernel's own weights, divided, in float64."""
        return np.ascontiguousarray(self.kernel.weights.reshape(self.shape) / self.kernel.divide_by, np.float64)

    @cached_property
    def swell(self) -> float:
        """The most by which a partial sum exceeds the largest pixel."""
        if self.weights is not None:
            return float(np.abs(self.weights).sum(dtype=np.float64))
        return sum(math.prod(max(1.0, float(np.abs(f).sum(dtype=np.float64))) for f in term) for term in self.terms)

    @cached_property
    def full(self) -> bool:
        """Whether no weight is 0, neither of the kernel's own nor to the engine."""
        if self.weights is not None:
            return bool(self.weights.all() and self.kernel.weights.all())
        if any(not factor.all() for term in self.terms for factor in term):
            return False
        if self.kernel.dense is not None:
            return bool(self.kernel.dense.all())
        least = (float(np.abs(factor).min()) for factor in self.kernel.given_terms[0])
        return not self.kernel.has_grid or math.prod(least) > 0

    @cached_property
    def deaf(self) -> bool:
        """Whether a weight that is not 0 is 0 to the engine, so that it does not hear of a NaN below it."""
        if self.full:
            return False
        if self.weights is not None:
            heard = self.weights != 0
        else:
            heard = np.zeros(self.shape, bool)
            for z, y, x in self.terms:
                heard |= (z[:, None, None] * y[:, None] != 0) & (x != 0)
        return bool(((self.kernel.weights.reshape(self.shape) != 0) & ~heard).any())


def settle(pattern: Pattern, pixels: Array, sums: Array, *, offset: float, marked: bool) -> None:
    """Put right, in place, those of *sums* under a kernel that are not finite.

    Parameters
    ----------
    pattern
        The kernel as the engine knows it.
    pixels
        Axes (z, y, x); the sums are at all places where the kernel fits inside.
    offset
        What was added to each sum.
    marked
        Whether the engine has marked what NaN and infinity reach; an overflow is then all that is left.
    """
    for rows in bands(sums, least=pattern.shape[1]):
        band = sums[:, rows]
        if pattern.deaf or not np.isfinite(band).all():
            under = pixels[:, rows.start : rows.stop + pattern.shape[1] - 1]
            _settle(pattern, under, band, offset, marked=marked)


def bands(pixels: Array, *, least: int = 1) -> Iterator[slice]:
    """Yield the rows of *pixels* (z, y, x), at *least* so many together."""
    step = max(least, BAND_PX * pixels.shape[1] // max(1, pixels.size), 1)
    for first in range(0, pixels.shape[1], step):
        yield slice(first, min(first + step, pixels.shape[1]))


def finite(pixels: Array) -> bool:
    """Return whether all *pixels* (z, y, x) are finite."""
    return all(np.isfinite(pixels[:, rows]).all() for rows in bands(pixels))


def _settle(pattern: Pattern, pixels: Array, sums: Array, offset: float, *, marked: bool) -> None:
    strange, bad = kinds(pixels), ~np.isfinite(sums)
    if pattern.deaf:
        bad |= touched((strange > 0).view(np.uint8), pattern.shape)
    clean = np.where(strange == 0, pixels, pixels.dtype.type(0))
    largest = max(float(clean.max()), -float(clean.min()))
    cancel = len(pattern.terms) > 1 and bool(((strange == UP) | (strange == DOWN)).any())
    overflows = largest * max(1.0, pattern.swell) + abs(offset) > float(np.finfo(sums.dtype).max) / 2
    if not overflows and (marked or (pattern.full and not cancel)):
        return
    if not pattern.kernel.has_grid:
        bad &= ~touched((strange > 0).view(np.uint8), pattern.shape)
    elif strange.any():
        codes = reach(strange, pattern.own, bad)
        put(sums, codes)
        bad &= codes == 0
    if bad.any():
        sums[bad] = _again(pattern, clean.astype(np.float64), bad, offset, largest)


def _again(pattern: Pattern, pixels: Array, where: Array, offset: float, largest: float) -> Array:
    """Return the sums of finite *pixels* plus *offset*, *where* they are wanted; infinite only beyond float64."""
    sums = _sums(pattern, pixels, where, 0) + offset
    beyond = ~np.isfinite(sums)
    if beyond.any():
        power = max(0, math.frexp(pattern.swell)[1])
        part = _sums(pattern, pixels / 4, where, power)[beyond] + math.ldexp(offset, -power - 2)
        scaled = np.ldexp(part, power + 2)
        # what rounding alone took out of the range is the last number in it
        roundings = math.prod(pattern.shape) + 2 if pattern.kernel.has_grid else sum(pattern.shape) + 6
        slack = roundings * 2.0**-53 * math.ldexp(pattern.swell, -power) * (largest / 4)
        inside = np.isinf(scaled) & (np.abs(part) - slack <= math.ldexp(MOST, -power - 2))
        sums[beyond] = np.where(inside, np.copysign(MOST, part), scaled)
    return sums


def _sums(pattern: Pattern, pixels: Array, where: Array, power: int) -> Array:
    """Return the sums under the kernel's weights, times ``2**-power``, *where* they are wanted."""
    if not pattern.kernel.has_grid:
        z, y, x = (np.ones(1),) * (3 - len(pattern.kernel.shape)) + pattern.kernel.given_terms[0]
        line = np.ldexp(x / pattern.kernel.divide_by, -power)
        return separable(pixels, ((z.astype(np.float64), y.astype(np.float64), line),))[where]
    sums = np.zeros(where.shape)
    direct_where(pixels, np.ldexp(pattern.own, -power), where, sums)
    return sums[where]


def kinds(pixels: Array) -> Array:
    """Return what each pixel is, as uint8: 0 where it is finite, else ``UP``, ``DOWN`` or ``NAN``."""
    codes = np.isnan(pixels).view(np.uint8) * np.uint8(NAN)
    infinite = np.isinf(pixels)
    if infinite.any():
        codes[infinite] = np.where(pixels[infinite] > 0, UP, DOWN)
    return codes


def put(sums: Array, codes: Array) -> None:
    """Write into *sums* what *codes* say of those that are not finite."""
    for code, value in ((UP, np.inf), (DOWN, -np.inf), (NAN, np.nan)):
        reached = codes == code
        if reached.any():
            sums[reached] = value


def reach(strange: Array, weights: Array, near: Array) -> Array:
    """Return what the sums that *near* marks become by the *kinds* of the pixels under weights that are not 0.

    Runs of such weights along x are looked at by the numbers of strange pixels before their ends, so that a large
    kernel costs a few steps per row.
    """
    counts = np.zeros((*strange.shape[:2], strange.shape[2] + 1), np.int32)
    np.cumsum(strange > 0, axis=2, out=counts[..., 1:])
    signs = np.sign(weights).astype(np.int8)
    turns = np.diff(signs != 0, axis=2, prepend=False, append=False)
    ends = np.argwhere(turns).reshape(-1, 2, 3)
    runs = np.concatenate([ends[:, 0], ends[:, 1, 2:]], axis=1)
    codes = np.zeros(near.shape, np.uint8)
    _reach(strange, counts, runs, signs, near, codes)
    return codes


@njit(nogil=True, cache=True)
def _reach(
    strange: Array, counts: Array, runs: Array, signs: Array, near: Array, codes: Array
) -> None:  # pragma: no cover - compiled
    for z in range(near.shape[0]):
        for y in range(near.shape[1]):
            for x in range(near.shape[2]):
                if not near[z, y, x]:
                    continue
                code = 0
                for n in range(runs.shape[0]):
                    i, j, first, stop = runs[n, 0], runs[n, 1], runs[n, 2], runs[n, 3]
                    row = counts[z + i, y + j]
                    if row[x + first] != row[x + stop]:
                        code |= _met(strange[z + i, y + j, x + first : x + stop], signs[i, j, first:stop])
                    if code == NAN:
                        break
                codes[z, y, x] = code


@njit(nogil=True, cache=True)
def _met(strange: Array, signs: Array) -> int:  # pragma: no cover - compiled
    """Return what infinities of one sign, of both or NaN make together; a negative weight turns an infinity round."""
    code = 0
    for k in range(strange.shape[0]):
        kind = strange[k]
        code |= kind if kind == 0 or kind == NAN or signs[k] > 0 else NAN - kind
    return code
