"""Selection by a network: a fixed list of minima and maxima of rows, the same for every pixel.

A value of the network is a row of pixels, and an operand is a value some pixels further on: the sorted columns of a
footprint, and what columns beside each other give together, are made once for all pixels that they are under. Two
sorted lists are merged as Batcher does (1968, "Sorting networks and their applications"), and what does not lead to
the pixel that is asked for is left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit
from tileconv.operations.footprint import Footprint

Array = NDArray[Any]
Item = tuple[int, int]
"""A value by its number, and how many pixels further on."""
Step = tuple[int, int, int, int, int]

LOAD, LOW, HIGH = 0, 1, 2
"""A row of the block; the smaller and the larger of two operands."""
ROOM = 2**16
"""Bytes that the rows at work may take: they stay in the cache."""


class _Steps:
    """The values of a network, each by its step: LOAD, plane and row; or LOW or HIGH and two operands."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[Step, int] = {}

    def value(self, step: Step) -> int:
        """Return the number of the value of *step*, the same for the same."""
        number = self._numbers.setdefault(step, len(self.steps))
        if number == len(self.steps):
            self.steps.append(step)
        return number

    def exchanged(self, one: Item, other: Item) -> list[Item]:
        """Return the smaller and the larger of two."""
        (a, left), (b, right) = sorted((one, other))
        least = min(left, right)
        return [(self.value((code, a, left - least, b, right - least)), least) for code in (LOW, HIGH)]

    def merged(self, one: list[Item], other: list[Item]) -> list[Item]:
        """Return two sorted lists as one."""
        if not one or not other:
            return one + other
        if len(one) == len(other) == 1:
            return self.exchanged(one[0], other[0])
        firsts, seconds = self.merged(one[::2], other[::2]), self.merged(one[1::2], other[1::2])
        made = firsts[:1]
        for low, high in zip(seconds, firsts[1:], strict=False):
            made += self.exchanged(low, high)
        return made + firsts[1 + len(seconds) :] + seconds[len(firsts) - 1 :]

    def sorted(self, items: list[Item]) -> list[Item]:
        """Return *items* from the smallest to the largest."""
        if len(items) < 2:
            return items
        half = len(items) // 2
        return self.merged(self.sorted(items[:half]), self.sorted(items[half:]))

    def ranked(self, columns: list[list[Item]], low: int, high: int) -> list[Item]:
        """Return the items from rank *low* to *high* of sorted *columns* together.

        An item is left out early where too many others are larger, or smaller, whatever the rest.
        """
        if len(columns) == 1:
            return columns[0][low : high + 1]
        half = 1 << (len(columns) - 1).bit_length() - 1  # pairs, fours and so on are the same some columns further on
        parts = columns[:half], columns[half:]
        counts = [sum(map(len, part)) for part in parts]
        starts = [max(0, low - counts[1]), max(0, low - counts[0])]
        lists = [
            self.ranked(part, start, min(count - 1, high))
            for part, start, count in zip(parts, starts, counts, strict=True)
        ]
        return self.merged(*lists)[low - sum(starts) : high - sum(starts) + 1]


@lru_cache(maxsize=32)
def network(footprint: Footprint, rank: int) -> tuple[Array, int]:
    """Return the steps that give the pixel of *rank* in *footprint*, and how many rows are at work at once.

    Of each step its code, where it puts its row, what it takes (LOAD: plane and row; else two rows, each with how many
    pixels further on), and how many pixels beyond the last it makes.
    """
    all_ = _Steps()
    columns = [
        all_.sorted([(all_.value((LOAD, z, y, 0, 0)), x) for z, y in column])
        for x, column in enumerate(footprint.columns())
    ]
    ((last, shift),) = all_.ranked([column for column in columns if column], rank, rank)
    order = _before(all_.steps, last)
    beyond = dict.fromkeys(order, 0) | {last: shift}
    for number in reversed(order):
        for operand, further in _operands(all_.steps[number]):
            beyond[operand] = max(beyond[operand], beyond[number] + further)
    last_use = {operand: at for at, number in enumerate(order) for operand, _ in _operands(all_.steps[number])}
    places: dict[int, int] = {}
    free: list[int] = []
    made, rows = [], 0
    for at, number in enumerate(order):
        code, a, left, b, right = all_.steps[number]
        if not free:
            free.append(rows)
            rows += 1
        places[number] = free.pop()
        operands = {operand for operand, _ in _operands(all_.steps[number])}
        taken = (a, left, 0, 0) if code == LOAD else (places[a], left, places[b], right)
        made.append((code, places[number], *taken, beyond[number]))
        free += [places[operand] for operand in operands if last_use[operand] == at]
    return np.array([*made, (LOAD, places[last], shift, 0, 0, 0, 0)], np.int64), rows


def _operands(step: Step) -> list[Item]:
    code, a, left, b, right = step
    return [] if code == LOAD else [(a, left), (b, right)]


def _before(steps: list[Step], last: int) -> list[int]:
    """Return the numbers of what leads to value *last*, each after what it takes."""
    order: dict[int, None] = {}
    waiting = [(last, False)]
    while waiting:
        number, ready = waiting.pop()
        if ready:
            order[number] = None
        elif number not in order:
            waiting.append((number, True))
            waiting += [(operand, False) for operand, _ in _operands(steps[number])]
    return list(order)


@njit(nogil=True, cache=True)
def _step(code: int, one: Array, other: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Write to *row* what *code* makes of its operands, which are in no part the same memory."""
    if code == LOAD:
        for x in range(row.shape[0]):
            row[x] = one[x]
    elif code == LOW:
        for x in range(row.shape[0]):
            p, q = one[x], other[x]
            row[x] = p if p < q else q
    else:
        for x in range(row.shape[0]):
            p, q = one[x], other[x]
            row[x] = p if p > q else q


@njit(nogil=True, cache=True)
def _run(block: Array, steps: Array, wide: int, rows: Array, out: Array) -> None:  # pragma: no cover - compiled
    final = steps.shape[0] - 1
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for left in range(0, out.shape[2], wide):
                width = min(wide, out.shape[2] - left)
                for at in range(final):
                    code, place, a, shift, b, other, beyond = steps[at]
                    row = rows[place, : width + beyond]
                    if code == LOAD:
                        source = block[z + a, y + shift, left:]
                        _step(code, source, source, row)
                    else:
                        _step(code, rows[a, shift:], rows[b, other:], row)
                made = rows[steps[final, 1], steps[final, 2] :]
                _step(LOAD, made, made, out[z, y, left : left + width])


def selected(keys: Array, footprint: Footprint, rank: int) -> Array:
    """Return the pixel of *rank* of *footprint* wherever it fits inside *keys*, unsigned, axes (z, y, x)."""
    steps, count = network(footprint, rank)
    sizes = footprint.box
    out = np.empty(tuple(n - k + 1 for n, k in zip(keys.shape, sizes, strict=True)), keys.dtype)
    wide = max(64, ROOM // (count * keys.itemsize))
    rows = np.empty((count, min(wide, out.shape[2]) + sizes[2]), keys.dtype)
    _run(keys, steps, wide, rows, out)
    return out
