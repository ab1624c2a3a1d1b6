"""The separable engine: a kernel that is a sum of few outer products, one axis after the other.

Rows are summed along x into a ring of as many rows as the kernel is high, which stays in the L2 cache, and the ring is
summed along y. The order of operations on a pixel depends on the kernel alone, as in the direct engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tileconv.engines.direct import add_along, add_one, add_three, add_two, fitting, loadable

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def _add_rows(rows: Array, first: int, column: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add ``column[k] * rows[(first + k) % len(rows)]`` to *row*, k ascending."""
    count = rows.shape[0]
    taps = column.shape[0]
    k = 0
    while k + 4 <= taps:
        a, b, c, d = column[k], column[k + 1], column[k + 2], column[k + 3]
        p, q = rows[(first + k) % count], rows[(first + k + 1) % count]
        r, s = rows[(first + k + 2) % count], rows[(first + k + 3) % count]
        for x in range(row.shape[0]):
            row[x] = (((row[x] + a * p[x]) + b * q[x]) + c * r[x]) + d * s[x]
        k += 4
    last = first + k
    if taps - k == 3:
        add_three(rows[last % count], rows[(last + 1) % count], rows[(last + 2) % count], column[k:], row)
    elif taps - k == 2:
        add_two(rows[last % count], rows[(last + 1) % count], column[k:], row)
    elif taps - k == 1:
        add_one(rows[last % count], column[k:], row)


@njit(nogil=True, cache=True)
def _planes(block: Array, column: Array, line: Array, ring: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Add to every plane of *out* the plane of *block* summed along x under *line* and along y under *column*."""
    high = column.shape[0]
    for z in range(out.shape[0]):
        for y in range(out.shape[1] + high - 1):
            ring[y % high] = 0
            add_along(block[z, y], line, ring[y % high])
            if y >= high - 1:
                _add_rows(ring, y - high + 1, column, out[z, y - high + 1])


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
    out = np.zeros(fitting(block.shape, shape), accumulate)
    ring = np.empty((shape[1], out.shape[2]), accumulate)
    for along_z, column, line in terms:
        if shape[0] == 1:
            _planes(block, along_z[0] * column, line, ring, out)
            continue
        planes = np.zeros((block.shape[0], *out.shape[1:]), accumulate)
        _planes(block, column, line, ring, planes)
        flat = planes.reshape(block.shape[0], -1)
        for z in range(out.shape[0]):
            _add_rows(flat, z, along_z, out[z].reshape(-1))
    return out


def touched(strange: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where a rectangle of *shape* weights holds a pixel that *strange* (uint8, axes z, y, x) marks with 1."""
    ones = tuple(np.ones(k, np.float32) for k in shape)
    return separable(strange, ((ones[0], ones[1], ones[2]),)) > 0
