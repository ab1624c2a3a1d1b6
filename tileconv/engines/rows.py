"""The row machine: a run of stages made row by row in one compiled call, so that what lies between them stays in cache.

A table says what each stage is: which rows it reads, its border, its kernels, its formula. A stage keeps the rows that
it reads in rings, as sums along x or as pixels with their border, and makes four rows at a time as soon as the stage
after it lacks one. A pixel sees the operations of the separable and of the direct engine, in their order and in the
type of the sums, so that its bytes are theirs. Where a sum is not finite the machine gives up, and whoever asked makes
the strip stage by stage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit
from tileconv.engines.row_loops import add, add_four, length, load, move, shift, store, unsharp
from tileconv.engines.row_table import (
    BEFORE_X,
    BEFORE_Y,
    COLUMN,
    COMPONENT,
    COMPONENTS,
    COUNT,
    DOWN,
    FIRST,
    FORMULA,
    GROUP,
    INNER,
    INNER_WIDTH,
    KEPT,
    LINE,
    LINEAR,
    LONGEST,
    NEEDS,
    NEW,
    NUMBERS,
    PADDED,
    PADS,
    PADS_STOP,
    RIGHT,
    RING,
    ROWS,
    SHIFTED,
    SLOTS,
    STOP,
    TALL,
    TAPS,
    UNSHARP,
    WIDE,
    WIDTH,
)  # fmt: skip

Array = NDArray[Any]

GAVE_UP = -1
"""What ``run`` returns where the stages must be made one by one."""


@njit(nogil=True, cache=True, inline="always")
def _place(
    stage: Array, terms: Array, weights: Array, pads: Array, m: Array, wide: int, y: int, under: Array
) -> None:  # pragma: no cover - compiled
    """Make the border along x of row *y* of what *stage* reads, whose own pixels are there, and its sums along x."""
    row = (stage[PADDED] + y % stage[KEPT]) * wide
    for k in range(stage[PADS], stage[PADS_STOP]):
        m[row + pads[k, 0]] = m[row + pads[k, 1]]
    for t in range(stage[FIRST], stage[STOP]):
        term = terms[t]
        if term[RING] >= 0:
            for k in range(term[TAPS]):
                under[k] = row + term[RIGHT] + k
            sums, width = np.uint64((term[RING] + y % stage[ROWS]) * wide), np.uint64(stage[WIDTH])
            add(m, weights, term[LINE], term[TAPS], under, sums, width)


@njit(nogil=True, cache=True, inline="always")
def _sum(
    stage: Array, terms: Array, weights: Array, slots: Array, m: Array, wide: int, y: int, x: int, rows: int,
    width: int, under: Array,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Make the sums of *stage* at row *y* and below, from *x* on, in the first rows of *m*."""
    for t in range(stage[FIRST], stage[STOP]):
        term = terms[t]
        row, tall, taps, first = term[COMPONENT] * GROUP * WIDE, term[TALL], term[TAPS], stage[SLOTS] + y + term[DOWN]
        if term[RING] >= 0:
            for k in range(tall + GROUP - 1):
                under[k] = (term[RING] + slots[first + k]) * wide + x
            add_four(m, weights, term[COLUMN], tall, under, np.uint64(row), width, term[NEW] > 0)
            continue
        for i in range(rows):
            for k in range(tall * taps):
                under[k] = (stage[PADDED] + slots[first + i + k // taps]) * wide + x + term[RIGHT] + k % taps
            add(m, weights, term[LINE], tall * taps, under, np.uint64(row + i * WIDE), width)


@njit(nogil=True, cache=True, inline="always")
def _finish(
    stage: Array, numbers: Array, slots: Array, m: Array, wide: int, y: int, x: int, rows: int, width: int,
    under: Array,
) -> bool:  # pragma: no cover - compiled  # fmt: skip
    """Make pixels of the sums, in the first of them; return whether they are as the stage by itself makes them."""
    good, own, which = True, stage[NUMBERS], stage[FORMULA]
    if stage[SHIFTED]:
        for c in range(stage[COMPONENTS]):
            good &= shift(m, c * GROUP, rows, width, numbers[own + 2 * c], numbers[own + 2 * c + 1])
    if which == UNSHARP:
        for i in range(rows):
            line = stage[PADDED] + slots[stage[SLOTS] + y + stage[BEFORE_Y] + i]
            under[i] = line * wide + x + stage[BEFORE_X]
        good &= unsharp(m, rows, width, under, numbers[own + 2], numbers[own + 3])
    elif which != LINEAR:
        good &= length(m, rows, width, which)
    return good


@njit(nogil=True, cache=True, inline="always")
def _hand_on(
    after: Array, m: Array, wide: int, y: int, x: int, rows: int, width: int, under: Array
) -> None:  # pragma: no cover - compiled
    """Write the first *rows* of *m* where the stage *after* this reads row *y* and below, from *x* on."""
    for i in range(rows):
        under[i] = (after[PADDED] + (y + i) % after[KEPT]) * wide + after[INNER] + x
    move(m, rows, width, under)


@njit(nogil=True, cache=True)
def run(
    table: Array, terms: Array, weights: Array, numbers: Array, slots: Array, needs: Array, pads: Array,
    m: Array, wide: int, u1: Array, u2: Array, i2: Array, f4: Array, f8: Array, came: int,
    u1_out: Array, u2_out: Array, own_out: Array, goes: int,
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """Make all rows of the last stage of *table*, and return how many pixels were clipped, or ``GAVE_UP``.

    Parameters
    ----------
    table, terms, weights, numbers, slots, needs, pads
        What ``row_table`` makes of stages.
    m
        Rows of *wide* pixels in the type of the sums: first those that are being made, then all that is kept.
    u1, u2, i2, f4, f8, u1_out, u2_out, own_out
        What is read, in one of several types, and what is made; the others are empty.
    came, goes
        Pixels from one row of them to the next.
    """
    last, longest = table.shape[0] - 1, table[0, LONGEST]
    ready = np.zeros(last + 2, np.int64)  # rows that are there for a stage; the last is what is made
    under, clipped, s = np.empty(longest, np.uint64), 0, last
    while ready[last + 1] < table[last, COUNT]:
        stage, first, reader = table[s], ready[s + 1], s + 1
        rows = min(GROUP, stage[COUNT] - first)
        need = needs[stage[NEEDS] + first + rows - 1]
        if need > ready[s]:
            s -= 1
            if s >= 0:
                continue
            reader, first, rows = 0, ready[0], need - ready[0]
        for x in range(0, stage[WIDTH] if reader else 0, WIDE):
            width = np.uint64(min(WIDE, stage[WIDTH] - x))
            _sum(stage, terms, weights, slots, m, wide, first, x, rows, width, under)
            if not _finish(stage, numbers, slots, m, wide, first, x, rows, width, under):
                return GAVE_UP
            if s == last:
                for i in range(rows):
                    under[i] = (first + i) * goes + x
                clipped += store(m, rows, width, u1_out, u2_out, own_out, under)
            else:
                _hand_on(table[s + 1], m, wide, first, x, rows, width, under)
        ready[reader], s = first + rows, last
        for y in range(first, first + rows if reader <= last else first):
            stage = table[reader]
            if reader == 0:
                row = np.uint64((stage[PADDED] + y % stage[KEPT]) * wide + stage[INNER])
                load(u1, u2, i2, f4, f8, np.uint64(y * came), m, row, np.uint64(stage[INNER_WIDTH]))
            _place(stage, terms, weights, pads, m, wide, y, under)
    return clipped
