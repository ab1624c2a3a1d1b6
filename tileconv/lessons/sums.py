"""Sums of products of shifted pixels: what least squares asks of a block, in one fixed order and without BLAS.

The columns of the least-squares problem are shifts of one image, so that sums of products depend on the difference of
two shifts, but for what enters and leaves at the sides of the block: ``add_lags`` sums each difference once, some 20
times less work for a kernel of 9 x 9. Pixels that have weights of their own need every pair: ``add_weighted``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit

Array = NDArray[Any]
Shape = tuple[int, int, int]
ROWS = 32
"""Rows of the matrix of products that are summed at once, so that they stay in the cache."""


@njit(nogil=True, cache=True)
def _add_rows(a: Array, b: Array, first: int, count: int, down: int, sums: Array) -> None:  # pragma: no cover
    """Add products of *count* rows of *a* and rows *down* below of *b*, ``sums[k, x] += a[x] * b[x + k - reach]``."""
    reach = sums.shape[0] // 2
    width = a.shape[1]
    y = first
    while y < first + count:
        pair = y + 1 < first + count
        for k in range(sums.shape[0]):
            low, high = max(0, reach - k), width - max(0, k - reach)
            row, p, q = sums[k, low:high], a[y, low:high], b[y + down, low + k - reach : high + k - reach]
            if pair:
                r, s = a[y + 1, low:high], b[y + 1 + down, low + k - reach : high + k - reach]
                for x in range(row.shape[0]):
                    row[x] = (row[x] + p[x] * q[x]) + r[x] * s[x]
            else:
                for x in range(row.shape[0]):
                    row[x] += p[x] * q[x]
        y += 2


@njit(nogil=True, cache=True)
def _total(row: Array) -> float:  # pragma: no cover - compiled
    """Return the sum of *row*, in four running sums."""
    a = b = c = d = 0.0
    x = 0
    while x + 4 <= row.shape[0]:
        a += row[x]
        b += row[x + 1]
        c += row[x + 2]
        d += row[x + 3]
        x += 4
    while x < row.shape[0]:
        a += row[x]
        x += 1
    return (a + b) + (c + d)


@njit(nogil=True, cache=True)
def _windows(row: Array, first: int, last: int, width: int, out: Array) -> None:  # pragma: no cover - compiled
    """Write into *out* the sums of *width* values of *row* that begin at *first* to *last*; none is a difference."""
    core = _total(row[last : first + width])
    for k in range(first, last + 1):
        head = tail = 0.0
        for x in range(k, last):
            head += row[x]
        for x in range(first + width, k + width):
            tail += row[x]
        out[k - first] = (head + core) + tail


@njit(nogil=True, cache=True)
def _add(one: Array, other: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Write the sum of two matrices into *out*; in loops, because Numba takes seconds to compile expressions."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = one[i, k] + other[i, k]


@njit(nogil=True, cache=True)
def _lines(a: Array, b: Array, first: int, height: int, down: int, lines: Array) -> None:  # pragma: no cover
    """Write into ``lines[k]`` products as of ``_add_rows``, summed over *height* rows of *a* from *first* + k on.

    What all k have is summed once; what some have is added, and nothing is subtracted.
    """
    count = lines.shape[0]
    core, edge = np.zeros(lines.shape[1:]), np.zeros(lines.shape[1:])
    _add_rows(a, b, first + count - 1, height - count + 1, down, core)
    for k in range(count - 1, -1, -1):
        _add(edge, core, lines[k])
        if k:
            _add_rows(a, b, first + k - 1, 1, down, edge)
    edge = np.zeros(lines.shape[1:])
    for k in range(1, count):
        _add_rows(a, b, first + height + k - 1, 1, down, edge)
        _add(lines[k], edge, lines[k])


@njit(nogil=True, cache=True)
def _add_plane_lags(a: Array, b: Array, same: bool, ky: int, kx: int, out: Array) -> None:  # pragma: no cover
    """Add to ``out[i, j]`` the sum over all places p of ``a[p + i] * b[p + j]``; of the *same* plane where i <= j."""
    height, width = a.shape[0] - ky + 1, a.shape[1] - kx + 1
    lines, found = np.empty((ky, 2 * kx - 1, a.shape[1])), np.empty(kx)
    for down in range(0 if same else 1 - ky, ky):
        first, count = max(0, -down), ky - abs(down)
        _lines(a, b, first, height, down, lines[:count])
        for right in range(0 if same and down == 0 else 1 - kx, kx):
            left, end = max(0, -right), min(kx - 1, kx - 1 - right)
            for k in range(count):
                _windows(lines[k, right + kx - 1], left, end, width, found)
                for x in range(left, end + 1):
                    out[(first + k) * kx + x, (first + k + down) * kx + x + right] += found[x - left]


@njit(nogil=True, cache=True)
def add_lags(pixels: Array, shape: Shape, products: Array) -> None:  # pragma: no cover - compiled
    """Add to ``products[i, j]``, i <= j, the sums of ``pixels[p + i] * pixels[p + j]`` over all places p.

    Parameters
    ----------
    pixels
        float64, axes (z, y, x): a block and what the kernel's *shape* adds to it, at least two kernels long along y, x.
    products
        One row and column per weight of the kernel, in C order.
    """
    kz, ky, kx = shape
    depth, plane = pixels.shape[0] - kz + 1, ky * kx
    for z in range(pixels.shape[0]):
        for deep in range(min(kz, pixels.shape[0] - z)):
            part = np.zeros((plane, plane))
            _add_plane_lags(pixels[z], pixels[z + deep], deep == 0, ky, kx, part)
            for i in range(max(0, z - depth + 1), min(z, kz - 1 - deep) + 1):
                own = products[i * plane : (i + 1) * plane, (i + deep) * plane : (i + deep + 1) * plane]
                _add(own, part, own)


@njit(nogil=True, cache=True)
def add_columns(pixels: Array, shape: Shape, sums: Array) -> None:  # pragma: no cover - compiled
    """Add to ``sums[i]`` the sums of ``pixels[p + i]``."""
    kz, ky, kx = shape
    depth, height, width = pixels.shape[0] - kz + 1, pixels.shape[1] - ky + 1, pixels.shape[2] - kx + 1
    found = np.empty(kx)
    for z in range(pixels.shape[0]):
        for y in range(pixels.shape[1]):
            _windows(pixels[z, y], 0, kx - 1, width, found)
            for iz in range(max(0, z - depth + 1), min(z, kz - 1) + 1):
                for iy in range(max(0, y - height + 1), min(y, ky - 1) + 1):
                    for ix in range(kx):
                        sums[(iz * ky + iy) * kx + ix] += found[ix]


@njit(nogil=True, cache=True)
def _add_line(line: Array, target: Array, rows: Array) -> None:  # pragma: no cover - compiled
    """Add to ``rows[k, x]`` the product ``target[x] * line[x + k]``."""
    for k in range(rows.shape[0]):
        row, p = rows[k], line[k : k + target.shape[0]]
        for x in range(row.shape[0]):
            row[x] += target[x] * p[x]


@njit(nogil=True, cache=True)
def add_cross(pixels: Array, shape: Shape, target: Array, cross: Array) -> None:  # pragma: no cover
    """Add to ``cross[i]`` the sums of ``target[p] * pixels[p + i]``."""
    kz, ky, kx = shape
    rows = np.empty((kx, target.shape[2]))
    for number in range(kz * ky):
        iz, iy = number // ky, number % ky
        rows[:] = 0
        for z in range(target.shape[0]):
            for y in range(target.shape[1]):
                _add_line(pixels[z + iz, y + iy], target[z, y], rows)
        for ix in range(kx):
            cross[number * kx + ix] += _total(rows[ix])


@njit(nogil=True, cache=True)
def _patches(pixels: Array, shape: Shape, z: int, y: int, patch: Array) -> None:  # pragma: no cover
    """Write into each row of *patch* the pixels below the kernel at one place of a line."""
    kz, ky, kx = shape
    for number in range(kz * ky):
        line = pixels[z + number // ky, y + number % ky]
        for x in range(line.shape[0] - kx + 1):
            patch[x, number * kx : (number + 1) * kx] = line[x : x + kx]


@njit(nogil=True, cache=True)
def _add_outer(weighted: Array, patch: Array, products: Array) -> None:  # pragma: no cover - compiled
    """Add to ``products[i, k]``, i <= k, the products of columns of *weighted* and *patch*, four rows at a time."""
    count = products.shape[0]
    for begin in range(0, count, ROWS):
        for x in range(0, patch.shape[0], 4):
            for i in range(begin, min(begin + ROWS, count)):
                a, b, c, d = weighted[x, i], weighted[x + 1, i], weighted[x + 2, i], weighted[x + 3, i]
                row, p, q = products[i, i:], patch[x, i:], patch[x + 1, i:]
                r, s = patch[x + 2, i:], patch[x + 3, i:]
                for k in range(row.shape[0]):
                    row[k] = (((row[k] + a * p[k]) + b * q[k]) + c * r[k]) + d * s[k]


@njit(nogil=True, cache=True)
def add_weighted(
    pixels: Array, shape: Shape, weights: Array, target: Array, products: Array, sums: Array, cross: Array
) -> None:  # pragma: no cover - compiled
    """Add what the three above do, pixels weighted: ``weights[p] * pixels[p + i] * pixels[p + j]``, i <= j.

    The *target* is multiplied with them already. A block may be of any size.
    """
    width, count = target.shape[2], products.shape[0]
    patch = np.zeros((-(-width // 4) * 4, count))
    weighted = np.zeros_like(patch)
    for z in range(target.shape[0]):
        for y in range(target.shape[1]):
            if not (weights[z, y].any() or target[z, y].any()):
                continue
            _patches(pixels, shape, z, y, patch)
            for x in range(width):
                w, u, p, q = weights[z, y, x], target[z, y, x], patch[x], weighted[x]
                for i in range(count):
                    q[i] = w * p[i]
                    sums[i] += q[i]
                    cross[i] += u * p[i]
            _add_outer(weighted, patch, products)


@njit(nogil=True, cache=True)
def scores(pixels: Array, kernel: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Add to ``out[p]`` the sum of ``kernel[i] * pixels[p + i]``, weight by weight."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            row = out[z, y]
            for iz in range(kernel.shape[0]):
                for iy in range(kernel.shape[1]):
                    line = pixels[z + iz, y + iy]
                    for ix in range(kernel.shape[2]):
                        w, p = kernel[iz, iy, ix], line[ix : ix + row.shape[0]]
                        for x in range(row.shape[0]):
                            row[x] += w * p[x]
