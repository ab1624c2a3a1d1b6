"""The loops of the row machine: what it does to rows of pixels.

All pixels lie in one array *m*, and places in it are unsigned: Numba would spend most of its time on slices, and on
places that may be negative. What is being made lies first in it, in rows of ``WIDE``: four of each component. A call
costs as much as some hundred pixels, because each array is counted, so that most loops do some rows at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit
from tileconv.engines.row_table import GROUP, GUARDED, WIDE, WIDE_SQUARES

Array = NDArray[Any]


@njit(nogil=True, cache=True)
def load(
    u1: Array, u2: Array, i2: Array, f4: Array, f8: Array, at: int, m: Array, row: int, width: int
) -> None:  # pragma: no cover - compiled
    """Copy *width* pixels, from *at* on, of the one array that has any."""
    real = m.dtype.type
    if u1.size:
        for x in range(width):
            m[row + x] = real(u1[at + x])
    elif u2.size:
        for x in range(width):
            m[row + x] = real(u2[at + x])
    elif i2.size:
        for x in range(width):
            m[row + x] = real(i2[at + x])
    elif f4.size:
        for x in range(width):
            m[row + x] = real(f4[at + x])
    else:
        for x in range(width):
            m[row + x] = real(f8[at + x])


@njit(nogil=True, cache=True)
def store(
    m: Array, rows: int, width: int, u1: Array, u2: Array, own: Array, into: Array
) -> int:  # pragma: no cover - compiled
    """Write the first *rows* to the one array that has any, from places *into* on; return how many were clipped."""
    real, clipped = m.dtype.type, 0
    low, high = real(0), real(255) if u1.size else real(65535)
    for i in range(rows):
        row, at, outside = np.uint64(i * WIDE), into[i], False
        if own.size:
            for x in range(width):
                own[at + x] = m[row + x]
        elif u1.size:
            for x in range(width):
                value = np.rint(m[row + x])
                inside = min(max(value, low), high)
                outside |= inside != value
                u1[at + x] = np.uint8(np.int32(inside))
        else:
            for x in range(width):
                value = np.rint(m[row + x])
                inside = min(max(value, low), high)
                outside |= inside != value
                u2[at + x] = np.uint16(np.int32(inside))
        if outside:  # counted apart, because it is slow
            for x in range(width):
                value = np.rint(m[row + x])
                clipped += (value < low) | (value > high)
    return clipped


@njit(nogil=True, cache=True)
def move(m: Array, rows: int, width: int, into: Array) -> None:  # pragma: no cover - compiled
    """Write the first *rows* to places *into*."""
    for i in range(rows):
        row, at = np.uint64(i * WIDE), into[i]
        for x in range(width):
            m[at + x] = m[row + x]


@njit(nogil=True, cache=True, inline="always")
def _begin(
    m: Array, weights: Array, w: int, count: int, at: Array, row: int, width: int
) -> int:  # pragma: no cover - compiled
    """Write what ``add`` adds to nothing of the first weights, and return how many these are."""
    zero = m.dtype.type(0)
    if count < 3:
        for x in range(width):
            m[row + x] = zero
        return 0
    a, b, c, p, q, r = weights[w], weights[w + 1], weights[w + 2], at[0], at[1], at[2]
    if count != 9:
        for x in range(width):
            m[row + x] = ((zero + a * m[p + x]) + b * m[q + x]) + c * m[r + x]
        return 3
    d, e, f, g, h, i = weights[w + 3], weights[w + 4], weights[w + 5], weights[w + 6], weights[w + 7], weights[w + 8]
    s, t, u, v, y, z = at[3], at[4], at[5], at[6], at[7], at[8]
    for x in range(width):
        one = ((zero + a * m[p + x]) + b * m[q + x]) + c * m[r + x]
        two = ((one + d * m[s + x]) + e * m[t + x]) + f * m[u + x]
        m[row + x] = ((two + g * m[v + x]) + h * m[y + x]) + i * m[z + x]
    return 9


@njit(nogil=True, cache=True)
def add(
    m: Array, weights: Array, w: int, count: int, at: Array, row: int, width: int
) -> None:  # pragma: no cover - compiled
    """Write the sum of all ``weights[w + k] * m[at[k] + x]``, k ascending below *count*, to ``m[row + x]``."""
    k = _begin(m, weights, w, count, at, row, width)
    while k + 4 <= count:
        a, b, c, d = weights[w + k], weights[w + k + 1], weights[w + k + 2], weights[w + k + 3]
        p, q, r, s = at[k], at[k + 1], at[k + 2], at[k + 3]
        for x in range(width):
            m[row + x] = (((m[row + x] + a * m[p + x]) + b * m[q + x]) + c * m[r + x]) + d * m[s + x]
        k += 4
    while k < count:
        a, p = weights[w + k], at[k]
        for x in range(width):
            m[row + x] += a * m[p + x]
        k += 1


@njit(nogil=True, cache=True)
def add_four(
    m: Array, weights: Array, w: int, count: int, at: Array, row: int, width: int, new: bool
) -> None:  # pragma: no cover - compiled
    """Do what ``_add`` does for four rows ``WIDE`` apart, of which each has the places from one further in *at* on."""
    one, two, three = row + np.uint64(WIDE), row + np.uint64(2 * WIDE), row + np.uint64(3 * WIDE)
    zero, k = m.dtype.type(0), 0
    if new:
        for x in range(width):
            m[row + x], m[one + x], m[two + x], m[three + x] = zero, zero, zero, zero
    while k + 3 <= count:
        a, b, c = weights[w + k], weights[w + k + 1], weights[w + k + 2]
        p, q, r, s, t, u = at[k], at[k + 1], at[k + 2], at[k + 3], at[k + 4], at[k + 5]
        for x in range(width):
            e = ((m[row + x] + a * m[p + x]) + b * m[q + x]) + c * m[r + x]
            f = ((m[one + x] + a * m[q + x]) + b * m[r + x]) + c * m[s + x]
            g = ((m[two + x] + a * m[r + x]) + b * m[s + x]) + c * m[t + x]
            h = ((m[three + x] + a * m[s + x]) + b * m[t + x]) + c * m[u + x]
            m[row + x], m[one + x], m[two + x], m[three + x] = e, f, g, h
        k += 3
    while k < count:
        a, p, q, r, s = weights[w + k], at[k], at[k + 1], at[k + 2], at[k + 3]
        for x in range(width):
            e, f = m[row + x] + a * m[p + x], m[one + x] + a * m[q + x]
            g, h = m[two + x] + a * m[r + x], m[three + x] + a * m[s + x]
            m[row + x], m[one + x], m[two + x], m[three + x] = e, f, g, h
        k += 1


@njit(nogil=True, cache=True, error_model="numpy")
def shift(
    m: Array, first: int, rows: int, width: int, divisor: Any, offset: Any
) -> bool:  # pragma: no cover - compiled
    """Divide sums and add to them; return whether they are finite."""
    odd = False
    for i in range(rows):
        row = np.uint64((first + i) * WIDE)
        if divisor != 1:
            for x in range(width):
                m[row + x] /= divisor
        if offset != 0:
            for x in range(width):
                m[row + x] += offset
        for x in range(width):
            odd |= m[row + x] - m[row + x] != 0
    return not odd


@njit(nogil=True, cache=True)
def length(m: Array, rows: int, width: int, how: int) -> bool:  # pragma: no cover - compiled
    """Write the lengths of vectors into the first of their components; return whether squares stay in the range."""
    odd = False
    for i in range(rows):
        row, other = np.uint64(i * WIDE), np.uint64((i + GROUP) * WIDE)
        if how == WIDE_SQUARES:
            for x in range(width):
                a, b = np.float64(m[row + x]), np.float64(m[other + x])
                size = m.dtype.type(math.sqrt(a * a + b * b))
                odd |= size - size != 0
                m[row + x] = size
        elif how == GUARDED:
            for x in range(width):
                a, b = m[row + x], m[other + x]
                size = math.sqrt(a * a + b * b)
                odd |= (size >= 1e150) | ((size <= 1e-138) & ((a != 0) | (b != 0)))
                m[row + x] = size
        else:
            for x in range(width):
                a, b = m[row + x], m[other + x]
                m[row + x] = math.sqrt(a * a + b * b)
    return not odd


@njit(nogil=True, cache=True)
def unsharp(
    m: Array, rows: int, width: int, pixels: Array, amount: Any, threshold: Any
) -> bool:  # pragma: no cover - compiled
    """Write what unsharp makes of *pixels*, and of the blurred first rows; return whether it is finite."""
    odd = False
    for i in range(rows):
        row, at = np.uint64(i * WIDE), pixels[i]
        for x in range(width):
            pixel = m[at + x]
            difference = pixel - m[row + x]
            made = pixel if abs(difference) < threshold else pixel + amount * difference
            odd |= made - made != 0
            m[row + x] = made
    return not odd
