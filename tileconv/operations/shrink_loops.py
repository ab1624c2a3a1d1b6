"""Compiled loops of levels: means, medians and modes of cells of a block (n, z, y, x)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tileconv.engines.loops import njit
from tileconv.operations.operation import Array

Cell = tuple[int, int, int]
"""Where a cell begins and ends inside a block, and where it would begin."""


@njit(nogil=True, cache=True)
def means(
    block: Array, cells: Array, along_z: Array, along_y: Array, along_x: Array, skips: bool, skip: Any, row: Array,
    out: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    """Write means, by weights along each axis, of cells that begin at ``n * cells[axis, 0] + cells[axis, 1]``.

    *row* holds sums over z and y in float64, in which they are exact for whole numbers. A pixel that comes out as NaN,
    and every one where *skips* is set, is made again without what is missing.
    """
    for n in range(out.shape[0]):
        for z in range(out.shape[1]):
            at_z = _cell(z, cells[0], along_z.size, block.shape[1])
            for y in range(out.shape[2]):
                at_y = _cell(y, cells[1], along_y.size, block.shape[2])
                total = _summed(block[n], at_z, at_y, along_z, along_y, row)
                into = out[n, z, y]
                odd = _divided(row, cells[2], along_x, total, into)
                for x in range(into.size if odd or skips else 0):
                    if skips or into[x] != into[x]:
                        at_x = _cell(x, cells[2], along_x.size, block.shape[3])
                        into[x] = _valid_mean(block[n], at_z, at_y, at_x, along_z, along_y, along_x, skips, skip, into)


@njit(nogil=True, cache=True)
def without(
    block: Array, cells: Array, along_z: Array, along_y: Array, along_x: Array, skip: Any, out: Array
) -> None:  # pragma: no cover - compiled
    """Make those of the means *out* of whole numbers again in whose cells there is a *skip*, without it.

    Apart from ``means``, which all types compile and few need this after.
    """
    lost = np.zeros(block.shape[3], np.int64)
    for n in range(out.shape[0]):
        volume = block[n]
        for z in range(out.shape[1]):
            at_z = _cell(z, cells[0], along_z.size, block.shape[1])
            for y in range(out.shape[2]):
                at_y = _cell(y, cells[1], along_y.size, block.shape[2])
                some, into = _counted(volume, at_z, at_y, skip, lost), out[n, z, y]
                for x in range(into.size if some else 0):
                    at_x = _cell(x, cells[2], along_x.size, block.shape[3])
                    gone = 0
                    for i in range(at_x[0], at_x[1]):
                        gone += lost[i]
                    if gone == (at_z[1] - at_z[0]) * (at_y[1] - at_y[0]) * (at_x[1] - at_x[0]):
                        into[x] = skip
                    elif gone:
                        into[x] = _valid_mean(volume, at_z, at_y, at_x, along_z, along_y, along_x, True, skip, into)


@njit(nogil=True, cache=True)
def _counted(volume: Array, at_z: Cell, at_y: Cell, skip: Any, lost: Array) -> bool:  # pragma: no cover - compiled
    """Count into *lost* the pixels over z and y that are *skip*, and return whether there are any."""
    total = 0
    lost[:] = 0
    for k in range(at_z[0], at_z[1]):
        for j in range(at_y[0], at_y[1]):
            pixels = volume[k, j]
            for x in range(lost.size):
                lost[x] += pixels[x] == skip
                total += pixels[x] == skip
    return total > 0


@njit(nogil=True, cache=True)
def _summed(
    block: Array, at_z: Cell, at_y: Cell, along_z: Array, along_y: Array, row: Array
) -> float:  # pragma: no cover - compiled
    """Put weighted sums over z and y into *row*, and return the sum of the weights."""
    total = 0.0
    row[:] = 0
    for k in range(at_z[0], at_z[1]):
        for j in range(at_y[0], at_y[1]):
            weight = along_z[k - at_z[2]] * along_y[j - at_y[2]]
            total += weight
            pixels = block[k, j]
            for x in range(row.size):
                row[x] += weight * pixels[x]
    return total


@njit(nogil=True, cache=True)
def _divided(row: Array, cell: Array, along_x: Array, total: float, into: Array) -> bool:  # pragma: no cover - compiled
    """Write the means of cells of *row*, and return whether any is NaN."""
    whole = into.dtype.type(0.5) == 0
    odd, begin = False, 0
    if along_x.size == 2:  # a loop that vectorises
        begin = row.size // 2
        for x in range(begin):
            value = (row[2 * x] + row[2 * x + 1]) / (2 * total)
            odd |= value != value
            into[x] = np.rint(value) if whole else value
    for x in range(begin, into.size):
        low, high, shift = _cell(x, cell, along_x.size, row.size)
        value = share = 0.0
        for i in range(low, high):
            value += along_x[i - shift] * row[i]
            share += along_x[i - shift]
        value /= share * total
        odd |= value != value
        into[x] = np.rint(value) if whole else value
    return odd


@njit(nogil=True, cache=True)
def _valid_mean(
    block: Array, at_z: Cell, at_y: Cell, at_x: Cell, along_z: Array, along_y: Array, along_x: Array, skips: bool,
    skip: Any, into: Array,
) -> Any:  # fmt: skip  # pragma: no cover - compiled
    """Return the mean of what is not missing of a cell, as a float64 to be stored in *into*."""
    value = share = 0.0
    for k in range(at_z[0], at_z[1]):
        for j in range(at_y[0], at_y[1]):
            for i in range(at_x[0], at_x[1]):
                pixel = block[k, j, i]
                if pixel == pixel and not (skips and pixel == skip):
                    weight = along_z[k - at_z[2]] * along_y[j - at_y[2]] * along_x[i - at_x[2]]
                    value += weight * pixel
                    share += weight
    if share == 0:
        return float(skip) if skips else math.nan
    return np.rint(value / share) if into.dtype.type(0.5) == 0 else value / share


@njit(nogil=True, cache=True)
def whole_means(
    block: Array, cells: Array, along_z: Array, along_y: Array, along_x: Array, skips: bool, skip: Any, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the same of whole numbers whose sums no float64 holds: sums of quotients, and of what these leave."""
    zero, one = along_x.dtype.type(0), along_x.dtype.type(1)
    for n in range(out.shape[0]):
        for z in range(out.shape[1]):
            at_z = _cell(z, cells[0], along_z.size, block.shape[1])
            for y in range(out.shape[2]):
                at_y = _cell(y, cells[1], along_y.size, block.shape[2])
                for x in range(out.shape[3]):
                    at_x = _cell(x, cells[2], along_x.size, block.shape[3])
                    at, weights = (at_z, at_y, at_x), (along_z, along_y, along_x)
                    share, _, _ = _parts(block[n], at, weights, skips, skip, zero)
                    if share == zero:
                        out[n, z, y, x] = skip
                        continue
                    _, quotients, rests = _parts(block[n], at, weights, skips, skip, share)
                    made, left = quotients + rests // share, rests % share
                    if left > share - left or (left == share - left and (made & one) == one):
                        made += one
                    out[n, z, y, x] = made


@njit(nogil=True, cache=True)
def _parts(
    block: Array, at: tuple[Cell, ...], weights: tuple[Array, ...], skips: bool, skip: Any, by: Any
) -> tuple[Any, Any, Any]:  # pragma: no cover - compiled
    """Return sums over a cell without what is missing: of weights; with *by* of quotients, and of what these leave."""
    wide = weights[0].dtype.type
    share, quotients, rests = wide(0), wide(0), wide(0)
    for k in range(at[0][0], at[0][1]):
        for j in range(at[1][0], at[1][1]):
            for i in range(at[2][0], at[2][1]):
                pixel = wide(block[k, j, i])
                if not (skips and pixel == wide(skip)):
                    weight = weights[0][k - at[0][2]] * weights[1][j - at[1][2]] * weights[2][i - at[2][2]]
                    share += weight
                    if by != wide(0):
                        quotients += weight * (pixel // by)
                        rests += weight * (pixel % by)
    return share, quotients, rests


@njit(nogil=True, cache=True)
def modes(
    block: Array, factor: Array, skips: bool, skip: Any, some: Array, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the value that most pixels of each cell have, of several the one that comes first; *some* holds a cell."""
    for n in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                for x in range(out.shape[3]):
                    count = _gathered(block[n], z, y, x, factor, skips, skip, some)
                    best, most = 0, 0
                    for i in range(count):
                        alike = 0
                        for j in range(i, count):
                            alike += some[i] == some[j]
                        if alike > most:
                            best, most = i, alike
                    out[n, z, y, x] = some[best] if count else _none(skips, skip, out)


@njit(nogil=True, cache=True)
def medians(
    block: Array, factor: Array, skips: bool, skip: Any, some: Array, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the median of each cell of floats, the mean of both in the middle of an even number."""
    for n in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                for x in range(out.shape[3]):
                    count = _gathered(block[n], z, y, x, factor, skips, skip, some)
                    _sort(some, count)
                    low, high = some[(count - 1) // 2], some[count // 2]
                    value = low if low == high else 0.5 * low + 0.5 * high
                    out[n, z, y, x] = value if count else _none(skips, skip, out)


@njit(nogil=True, cache=True)
def whole_medians(
    block: Array, factor: Array, skips: bool, skip: Any, some: Array, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the median of each cell of whole numbers; half of an odd sum is rounded to even."""
    one = some.dtype.type(1)
    for n in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                for x in range(out.shape[3]):
                    count = _gathered(block[n], z, y, x, factor, skips, skip, some)
                    _sort(some, count)
                    low, high = some[(count - 1) // 2], some[count // 2]
                    value = (low & high) + ((low ^ high) >> one)  # the mean rounded down, where a sum might not fit
                    if ((low ^ high) & value & one) == one:
                        value += one
                    out[n, z, y, x] = value if count else skip


@njit(nogil=True, cache=True, inline="always")
def _none(skips: bool, skip: Any, out: Array) -> Any:  # pragma: no cover - compiled
    return skip if skips else out.dtype.type(math.nan)


@njit(nogil=True, cache=True)
def _cell(n: int, cell: Array, length: int, size: int) -> Cell:  # pragma: no cover - compiled
    """Return where cell *n* of *length* lies in a block of *size*."""
    shift = n * cell[0] + cell[1]
    return max(shift, 0), min(shift + length, size), shift


@njit(nogil=True, cache=True)
def _gathered(
    block: Array, z: int, y: int, x: int, factor: Array, skips: bool, skip: Any, some: Array
) -> int:  # pragma: no cover - compiled
    """Put what is not missing of a cell into *some*, and return how many pixels that are."""
    count = 0
    for k in range(z * factor[0], min((z + 1) * factor[0], block.shape[0])):
        for j in range(y * factor[1], min((y + 1) * factor[1], block.shape[1])):
            for i in range(x * factor[2], min((x + 1) * factor[2], block.shape[2])):
                pixel = block[k, j, i]
                if pixel == pixel and not (skips and pixel == skip):
                    some[count] = pixel
                    count += 1
    return count


@njit(nogil=True, cache=True)
def _sort(some: Array, count: int) -> None:  # pragma: no cover - compiled
    for i in range(1, count):
        value, j = some[i], i
        while j > 0 and some[j - 1] > value:
            some[j] = some[j - 1]
            j -= 1
        some[j] = value
