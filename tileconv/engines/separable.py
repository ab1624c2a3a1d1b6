"""The separable engine: a kernel that is a sum of few outer products, one axis after the other.

Rows are summed along x into a ring that stays in the L2 cache, and the ring is summed along y for four rows at once: a
row of the ring that is loaded once counts in up to four of them. The order of operations on a pixel depends on the
kernel alone, as in the direct engine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.direct import add_along, copied, fitting, loadable
from tileconv.engines.engine import Candidate, Engine, Terms, Wanted
from tileconv.engines.expected import Spread, running_error
from tileconv.engines.loops import njit
from tileconv.engines.values import EXACT, Values

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

Array = NDArray[Any]

WIDE = 512
"""Pixels of a row that are summed along y at once; four such rows and six of the ring fit the L1 cache."""
RING_BYTES = 2**19
"""What a ring may take of the L2 cache; that of a very high kernel is ``WIDE`` and takes more."""
LANES = 16
"""Pixels in a line of the cache, at 4 bytes each."""


@njit(nogil=True, cache=True)
def _copy(source: Array, target: Array) -> None:  # pragma: no cover - compiled
    real = target.dtype.type
    for x in range(target.shape[0]):
        target[x] = real(source[x])


@njit(nogil=True, cache=True)
def _add_four(
    ring: Array, first: int, left: int, column: Array, width: int, sums: Array
) -> None:  # pragma: no cover - compiled
    """Add ``column[k] * ring[first + i + k, left + x]`` to ``sums[i * WIDE + x]`` for i below 4, k ascending."""
    taps = column.shape[0]
    k = 0
    while k + 3 <= taps:
        y = first + k
        a, b, c = column[k], column[k + 1], column[k + 2]
        p, q, r, s = ring[y, left:], ring[y + 1, left:], ring[y + 2, left:], ring[y + 3, left:]
        t, u = ring[y + 4, left:], ring[y + 5, left:]
        for x in range(width):
            e = ((sums[x] + a * p[x]) + b * q[x]) + c * r[x]
            f = ((sums[x + WIDE] + a * q[x]) + b * r[x]) + c * s[x]
            g = ((sums[x + 2 * WIDE] + a * r[x]) + b * s[x]) + c * t[x]
            h = ((sums[x + 3 * WIDE] + a * s[x]) + b * t[x]) + c * u[x]
            sums[x], sums[x + WIDE], sums[x + 2 * WIDE], sums[x + 3 * WIDE] = e, f, g, h
        k += 3
    while k < taps:
        y = first + k
        a = column[k]
        p, q, r, s = ring[y, left:], ring[y + 1, left:], ring[y + 2, left:], ring[y + 3, left:]
        for x in range(width):
            e, f = sums[x] + a * p[x], sums[x + WIDE] + a * q[x]
            g, h = sums[x + 2 * WIDE] + a * r[x], sums[x + 3 * WIDE] + a * s[x]
            sums[x], sums[x + WIDE], sums[x + 2 * WIDE], sums[x + 3 * WIDE] = e, f, g, h
        k += 1


@njit(nogil=True, cache=True)
def _planes(
    block: Array, column: Array, line: Array, ring: Array, pixels: Array, sums: Array, new: bool, out: Array
) -> None:  # pragma: no cover - compiled
    """Write (*new*) or add to every plane of *out* that of *block* summed along x under *line*, y under *column*.

    Row y lies in the ring twice, half a ring apart, so that the rows under four rows of *out* lie one below the other.
    Where fewer are left to make, old rows of the ring count in sums that are not used.
    """
    half, reach = ring.shape[0] // 2, line.shape[0] - 1
    for z in range(out.shape[0]):
        for left in range(0, out.shape[2], ring.shape[1]):
            width = min(ring.shape[1], out.shape[2] - left)
            have = 0
            for top in range(0, out.shape[1], 4):
                rows = min(4, out.shape[1] - top)
                need = top + rows + column.shape[0] - 1
                for y in range(have, need):
                    _copy(block[z, y, left:], pixels[: width + reach])
                    row = ring[y % half, :width]
                    row[:] = 0
                    add_along(pixels[: width + reach], line, row)
                    _copy(row, ring[y % half + half, :width])
                have = need
                for x in range(0, width, WIDE):
                    part = min(WIDE, width - x)
                    sums[:] = 0
                    if not new:
                        for i in range(rows):
                            _copy(out[z, top + i, left + x :], sums[i * WIDE : i * WIDE + part])
                    _add_four(ring, top % half, x, column, part, sums)
                    for i in range(rows):
                        _copy(sums[i * WIDE :], out[z, top + i, left + x : left + x + part])


@njit(nogil=True, cache=True)
def _threes(
    block: Array, column: Array, line: Array, ring: Array, new: bool, out: Array
) -> None:  # pragma: no cover - compiled
    """As ``_planes`` where *column* and *line* have three weights: each row is written once along x, once along y."""
    real = line.dtype.type
    zero = real(0)
    a, b, c = line[0], line[1], line[2]
    e, f, g = column[0], column[1], column[2]
    for z in range(out.shape[0]):
        for y in range(block.shape[1]):
            pixels, row = block[z, y], ring[y % 3]
            for x in range(row.shape[0]):
                row[x] = ((zero + a * real(pixels[x])) + b * real(pixels[x + 1])) + c * real(pixels[x + 2])
            if y < 2:
                continue
            p, q, into = ring[(y - 2) % 3], ring[(y - 1) % 3], out[z, y - 2]
            if new:
                for x in range(row.shape[0]):
                    into[x] = ((zero + e * p[x]) + f * q[x]) + g * row[x]
            else:
                for x in range(row.shape[0]):
                    into[x] = ((into[x] + e * p[x]) + f * q[x]) + g * row[x]


def _along(block: Array, column: Array, line: Array, out: Array, *, new: bool) -> None:
    """As ``_planes``, with rows to work in."""
    size = out.itemsize
    if column.size == line.size == 3:
        _threes(block, column, line, np.empty((3, out.shape[2]), out.dtype), new, out)
        return
    half = column.size + 3
    wide = min(_whole(out.shape[2]), max(WIDE, RING_BYTES // (2 * half * size) // LANES * LANES))
    pixels, sums = _whole(wide + line.size), 4 * WIDE
    scratch = np.empty(pixels + sums + 2 * half * wide + LANES, out.dtype)
    scratch = scratch[-scratch.ctypes.data % 64 // size :]  # a vector that lies in two lines of the cache loads slowly
    ring = scratch[pixels + sums :][: 2 * half * wide].reshape(2 * half, wide)
    _planes(block, column, line, ring, scratch[:pixels], scratch[pixels:][:sums], new, out)


def _whole(n: int) -> int:
    """Return more than *n*, in whole lines of the cache."""
    return (n // LANES + 1) * LANES


def separable(block: Array, terms: tuple[tuple[Array, Array, Array], ...]) -> Array:
    """Return the sums under the kernel ``sum of outer products of terms``, wherever it fits inside *block*.

    Parameters
    ----------
    block
        Pixels, axes (z, y, x), any type of ``direct.LOADABLE``.
    terms
        Each three 1-D factors (z, y, x) in the type in which to sum; all terms of one shape.

    Returns
    -------
    Array
        As ``direct.direct`` gives. Rounding: at most ``kz + ky + kx + terms`` half-ulps of the sum over terms of
        ``prod sum |factor| * max |x|``.
    """
    shape = tuple(f.size for f in terms[0])
    accumulate = terms[0][0].dtype
    block = loadable(block, accumulate)
    out = np.empty(fitting(block.shape, shape), accumulate)
    for number, (along_z, column, line) in enumerate(terms):
        new = number == 0
        if shape[0] == 1:
            _along(block, along_z[0] * column, line, out, new=new)
            continue
        planes = np.empty((block.shape[0], *out.shape[1:]), accumulate)
        _along(block, column, line, planes, new=True)
        deep = planes.reshape(1, block.shape[0], -1)  # a plane as one row
        _along(deep, along_z, np.ones(1, accumulate), out.reshape(1, out.shape[0], -1), new=new)
    return out


def touched(strange: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a rectangle of *shape* weights holds a pixel that *strange* (uint8, axes z, y, x) marks with 1."""
    ones = tuple(np.ones(k, np.float32) for k in shape)
    return separable(strange, ((ones[0], ones[1], ones[2]),)) > 0


class Separable(Engine):
    """One axis after the other."""

    name: ClassVar[str] = "separable"
    by_rows: ClassVar[bool] = True

    def weigh(self, wanted: Wanted) -> Candidate:
        kernel, how, terms = wanted.kernel, wanted.sums, wanted.kernel.terms
        if not terms:
            return self._refused(f"the {'x'.join(map(str, kernel.shape))} weights are not a sum of few outer products")
        gain = sum(math.prod(float(np.abs(f).sum()) for f in term) for term in terms)
        if how.guarded and len(terms) > 1:
            return self._refused("its terms could leave int64 where their sum does not")
        if how.exact and not how.guarded and gain * wanted.values.peak >= 2.0 ** dict(EXACT)[how.accumulate]:
            return self._refused(f"its terms could leave the range where {how.why}")
        roundings = sum(wanted.shape) + len(terms) + 6
        bound = wanted.rounding * roundings * gain / abs(kernel.divide_by) + wanted.remainder()
        return Candidate(self.name, wanted.costs.separable_ns(wanted.shape, len(terms), how.accumulate), bound)

    def _refused(self, why: str) -> Candidate:
        return Candidate(self.name, math.inf, math.inf, why)

    def sums(self, choice: Choice, pixels: Array, have: Box, out: Box) -> tuple[Array, int]:
        return separable(pixels, choice.terms), 0

    def scratch(self, choice: Choice, values: Values, want: int) -> int:
        deep = want * choice.sums.accumulate.itemsize if choice.shape[0] > 1 else 0
        return copied(choice, values, want) + deep

    def expected_error(self, choice: Choice, pixels: Spread, sums: Spread, unit: float) -> float:
        errors = (running_error(term[::-1], pixels, unit) for term in choice.kernel.terms)
        return math.hypot(*errors) / abs(choice.kernel.divide_by)

    def parts(self, choice: Choice) -> tuple[Array | None, Terms]:
        return None, choice.terms

    def kernel_bytes(self, choice: Choice) -> int:
        return 0 if choice.kernel.dense is None else super().kernel_bytes(choice)
