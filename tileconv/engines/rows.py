"""The row machine: a run of stages made row by row in one compiled call, so that what lies between them stays in cache.

A table says what each stage is: which rows it reads, its border, its kernels, its formula. A stage keeps the rows that
it reads in rings, as sums along x or as pixels with their border, and makes four rows at a time as soon as the stage
after it lacks one. A pixel sees the operations of the separable and of the direct engine, in their order and in the
type of the sums, so that its bytes are theirs. Where a sum is not finite the machine gives up, and whoever asked makes
the strip stage by stage.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from tileconv.engines.loops import njit
from tileconv.engines.row_loops import BESIDE, add, add_four, copy, length, load, odd, shift, store, unsharp
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
    ROUNDED,
    ROWS,
    SHIFTED,
    SLOTS,
    STOP,
    TALL,
    TAPS,
    UNSHARP,
    WATCHED,
    WIDE,
    WIDTH,
)  # fmt: skip
from tileconv.engines.vectors import BYTES, address, least

Array = NDArray[Any]

GAVE_UP = -1
"""What ``run`` returns where the stages must be made one by one."""
OWN = len(ROUNDED)
"""The number of the type of the sums among those that are made."""
SUMS, MADE, PIXELS, UNDER = GROUP, 3 * GROUP, 4 * GROUP, 5 * GROUP
"""Where, after those to write, the addresses are of sums of two components, what is made of them, pixels, and rings."""


@njit(nogil=True, cache=True, inline="always")
def _read(
    stage: Array, m: Array, base: int, line: int, first: int, rows: int, kind: int, source: int, came: int
) -> None:  # pragma: no cover - compiled
    """Read *rows*, from number *first* on, that *stage* reads of the image."""
    for y in range(first, first + rows):
        row = base + (stage[PADDED] + y % stage[KEPT]) * line + stage[INNER] * m.itemsize
        load(m, kind, source + y * came, row, stage[INNER_WIDTH])


@njit(nogil=True, cache=True, inline="always")
def _ready(
    stage: Array, terms: Array, weights: Array, pads: Array, m: Array, base: int, line: int, first: int, rows: int
) -> None:  # pragma: no cover - compiled
    """Make the borders along x of *rows* that *stage* reads, whose own pixels are there, and their sums along x."""
    size = m.itemsize
    for y in range(first, first + rows):
        row = base + (stage[PADDED] + y % stage[KEPT]) * line
        for k in range(stage[PADS], stage[PADS_STOP]):
            copy(m, row + pads[k, 1] * size, row + pads[k, 0] * size)
        for t in range(stage[FIRST], stage[STOP]):
            if terms[t, RING] >= 0:
                sums = base + (terms[t, RING] + y % stage[ROWS]) * line
                add(weights, terms[t, LINE], terms[t, TAPS], row + terms[t, RIGHT] * size, sums, stage[WIDTH])


@njit(nogil=True, cache=True, inline="always")
def _under(
    stage: Array, terms: Array, slots: Array, places: Array, base: int, line: int, size: int, y: int
) -> None:  # pragma: no cover - compiled
    """Write where the rows are that *stage* reads for row *y* and below."""
    n, first = UNDER, stage[SLOTS] + y
    for t in range(stage[FIRST], stage[STOP]):
        ring = terms[t, RING]
        start = base + ring * line if ring >= 0 else base + stage[PADDED] * line + terms[t, RIGHT] * size
        for k in range(terms[t, TALL] + GROUP - 1):
            places[n] = start + slots[first + terms[t, DOWN] + k] * line
            n += 1
    for i in range(GROUP):  # of which unsharp wants the pixels themselves
        row = stage[PADDED] + slots[first + stage[BEFORE_Y] + i]
        places[PIXELS + i] = base + row * line + stage[BEFORE_X] * size


@njit(nogil=True, cache=True, inline="always")
def _sum(
    stage: Array, terms: Array, weights: Array, at: int, left: int, into: int, width: int
) -> None:  # pragma: no cover - compiled
    """Make the sums of *stage*, of rows whose addresses lie from *at* on, *left* bytes further."""
    for t in range(stage[FIRST], stage[STOP]):
        tall, grid = terms[t, TALL], terms[t, RING] < 0
        which, taps = (terms[t, LINE], terms[t, TAPS]) if grid else (terms[t, COLUMN], 1)
        to = into + 8 * GROUP * terms[t, COMPONENT]
        add_four(weights, which, tall, taps, at, left, to, width, terms[t, NEW])
        at += 8 * (tall + GROUP - 1)


@njit(nogil=True, cache=True, inline="always")
def _finish(
    stage: Array, numbers: Array, m: Array, places: Array, left: int, rows: int, width: int, some: int, into: int
) -> int:  # pragma: no cover - compiled
    """Make pixels of sums where *into* says; return how many are not as the stage by itself makes them."""
    own, which, first = stage[NUMBERS], stage[FORMULA], places[SUMS]
    if stage[SHIFTED]:
        for c in range(stage[COMPONENTS]):
            shift(m, places[SUMS + c * GROUP], some, numbers[own + 2 * c], numbers[own + 2 * c + 1])
    bad = 0
    if which == LINEAR and stage[WATCHED]:
        bad = odd(m, first, rows, width)
    elif which == UNSHARP:
        pixels, amount, threshold = address(places) + 8 * PIXELS, numbers[own + 2], numbers[own + 3]
        bad = unsharp(m, first, rows, width, into, pixels, left, amount, threshold)
    elif which != LINEAR:
        bad = length(m, first, rows, width, into, which)
    return bad


@njit(nogil=True, cache=True, inline="always")
def _aim(
    table: Array, places: Array, base: int, line: int, size: int, s: int, first: int, rows: int, x: int,
    target: int, goes: int,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Write where four rows of stage *s* go, from place *x* on; one that is not wanted goes where nobody reads it."""
    for i in range(GROUP):
        if i >= rows:
            places[i] = base
        elif s == table.shape[0] - 1:
            places[i] = target + (first + i) * goes
        else:
            row = table[s + 1, PADDED] + (first + i) % table[s + 1, KEPT]
            places[i] = base + row * line + (table[s + 1, INNER] + x) * size


@njit(nogil=True, cache=True, error_model="numpy")
def run(
    table: Array, terms: Array, weights: Array, numbers: Array, slots: Array, needs: Array, pads: Array,
    places: Array, m: Array, wide: int, kind: int, source: int, came: int, goes_as: int, target: int, goes: int,
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """Make all rows of the last stage of *table*, and return how many pixels were clipped, or ``GAVE_UP``.

    Parameters
    ----------
    table, terms, weights, numbers, slots, needs, pads
        What ``row_table`` makes of stages.
    places
        Zeros, for addresses of rows, and then for how many rows are there for each stage and of what is made.
    m
        Pixels in the type of the sums, in rows of *wide*: first those that are being made, then all that is kept.
    kind, source, came
        What is read: the number of its type, its address, and the bytes from one row to the next.
    goes_as, target, goes
        The same of what is made, of a type in ``ROUNDED`` or ``OWN``.
    """
    size, base, last = m.itemsize, address(m), table.shape[0] - 1
    line, unit, wider = wide * size, BESIDE * BYTES // size, goes_as + 1 if goes_as < OWN else size
    ready, into, clipped, s = UNDER + table[0, LONGEST], address(places), 0, last
    for i in range(PIXELS - SUMS):
        places[SUMS + i] = base + i * WIDE * size
    while places[ready + last + 1] < table[last, COUNT]:
        stage, first = table[s], places[ready + s + 1]
        rows = least(GROUP, stage[COUNT] - first)
        need = needs[stage[NEEDS] + first + rows - 1]
        if need > places[ready + s] and s > 0:
            s -= 1
            continue
        reader, width = s + 1, stage[WIDTH]
        if need > places[ready + s]:
            reader, width, first = 0, 0, places[ready]
            rows = least(GROUP, need - first)
            _read(table[0], m, base, line, first, rows, kind, source, came)
        else:
            _under(stage, terms, slots, places, base, line, size, first)
        ends, linear = s == last and goes_as < OWN, stage[FORMULA] == LINEAR
        plain = stage[STOP] - stage[FIRST] == 1 and linear and not stage[SHIFTED] + stage[WATCHED]
        plain = plain and not ends and width >= unit  # its sums are its pixels
        for x in range(0, width, width if plain else WIDE):
            part = width if plain else least(WIDE, width - x)
            some, at_once = (part + unit - 1) // unit * unit, not ends and part >= unit
            _aim(table, places, base, line, size, s, first, rows, x, target + x * wider, goes)
            sums, made = into + 8 * SUMS * (not plain), into + 8 * MADE * (not at_once)
            _sum(stage, terms, weights, into + 8 * UNDER, x * size, sums, part if plain else some)
            if plain:
                continue
            if _finish(stage, numbers, m, places, x * size, rows, part, some, made):
                return GAVE_UP
            if linear or not at_once:
                clipped += store(m, goes_as if ends else OWN, places[SUMS if linear else MADE], rows, part, into)
        places[ready + reader], s = first + rows, last
        if reader <= last:
            _ready(table[reader], terms, weights, pads, m, base, line, first, rows)
    return clipped
