"""The loops of the row machine: what it does to rows of pixels, of which it is told the addresses.

What is being made lies in rows of ``WIDE`` pixels, four of each component. Sums are made for four rows at once, because
a pixel that is loaded counts in up to four of them, and they stay in registers until they are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tileconv.engines.row_table import GROUP, GUARDED, NARROW_SQUARES, WIDE, WIDE_SQUARES
from tileconv.engines.vectors import Code, Value, written

ALONG, BESIDE = 8, 2
"""Vectors that are summed at once: of a row along x, and of each of four rows along y."""


@written()
def load(code: Code, _: Value, kind: Value, source: Value, into: Value, width: Value) -> None:
    """Copy *width* pixels of ``KINDS[kind]``."""
    kinds = [(code.byte, False), (code.short, False), (code.short, True), (code.float, True), (code.double, True)]
    for number, (of, signed) in enumerate(kinds):
        if of == code.double != code.real:
            continue  # sums in float32 are never made of float64

        def cast(start: Value, end: Value, x: Value, _: Value, of: Any = of, signed: bool = signed) -> None:
            pixels = code.load(code.at(start, x, of=of), 2 * code.lanes, of)
            code.store(code.cast(pixels, code.real, signed=signed), code.at(end, x))

        with code.where(kind, "==", number):
            code.exactly(width, source, of, into, code.real, cast)


@written()
def copy(code: Code, _: Value, source: Value, into: Value) -> None:
    """Copy one pixel."""
    code.store(code.load(source, 1), into)


@written()
def add(code: Code, weights: Value, first: Value, taps: Value, row: Value, into: Value, width: Value) -> None:
    """Write to *into* the sums of ``weights[first + k]`` times pixel x + k of *row*, k ascending below *taps*.

    Some are written beyond *width*.
    """
    with code.counting(0, width, ALONG * code.lanes) as x:
        sums = [code.variable(code.fill(0.0)) for _ in range(ALONG)]
        with code.counting(0, taps) as k:
            weight = code.fill(code.load(code.at(weights, first, k), 1))
            for n, total in enumerate(sums):
                _plus(code, total, weight, code.load(code.at(row, x, k, n * code.lanes)))
        for n, total in enumerate(sums):
            code.store(code.builder.load(total), code.at(into, x, n * code.lanes))


def _plus(code: Code, total: Value, weight: Value, pixels: Value) -> None:
    b = code.builder
    b.store(b.fadd(b.load(total), b.fmul(weight, pixels)), total)


@written()
def add_four(
    code: Code, weights: Value, first: Value, tall: Value, taps: Value, rows: Value, left: Value, into: Value,
    width: Value, new: Value,
) -> None:  # fmt: skip
    """Write to four rows, or add to them unless *new*, the sums of a grid of weights times pixels, row after row.

    Parameters
    ----------
    first
        The number of the first of *tall* times *taps* weights.
    rows, into
        Where the addresses of *tall* + 3 rows lie, to which *left* bytes are added; and those of the four.
    """

    def row(r: Value, low: int, high: int, side: Value) -> None:
        """Add row number *r*, of *side* weights, to the sums from *low* to *high*."""
        begin = code.at(code.sum(_address(code, rows, r), left), x)
        lines = [(i, code.at(weights, first, code.product(side, code.sum(r, -i)))) for i in range(low, high + 1)]
        with code.counting(0, side) as k:
            pixels = [code.load(code.at(begin, k, n * code.lanes)) for n in range(BESIDE)]
            for i, line in lines:
                weight = code.fill(code.load(code.at(line, k), 1))
                for total, some in zip(sums[i], pixels, strict=True):
                    _plus(code, total, weight, some)

    with code.across(width, BESIDE * code.lanes) as (x, _):
        sums = [[code.variable(code.fill(0.0)) for _ in range(BESIDE)] for _ in range(GROUP)]
        places = [[code.at(_address(code, into, i), x, n * code.lanes) for n in range(BESIDE)] for i in range(GROUP)]
        every = [(total, place) for pair in zip(sums, places, strict=True) for total, place in zip(*pair, strict=True)]
        with code.where(new, "==", 0):
            for total, place in every:
                code.builder.store(code.load(place), total)
        for side in (1, 3):  # of which LLVM makes no loop
            with code.where(taps, "==", side):
                _grid(code, tall, code.number(side), row)
        with code.where(code.builder.and_(taps, code.number(~2)), "!=", 1):
            _grid(code, tall, taps, row)
        for total, place in every:
            code.store(code.builder.load(total), place)


def _grid(code: Code, tall: Value, side: Value, row: Callable[[Value, int, int, Value], None]) -> None:
    """Add *tall* rows of *side* weights to sums of four rows, each *row* to all the sums that it counts in."""
    with code.where(tall, "<", GROUP - 1):
        for i in range(GROUP):
            with code.counting(i, code.sum(tall, i)) as r:
                row(r, i, i, side)
    with code.where(tall, ">=", GROUP - 1):
        for r in range(GROUP - 1):
            row(code.number(r), 0, r, side)
        with code.counting(GROUP - 1, tall) as r:
            row(r, 0, GROUP - 1, side)
        for r in range(GROUP - 1):
            row(code.sum(tall, r), r + 1, GROUP - 1, side)


@written()
def shift(code: Code, _: Value, first: Value, width: Value, divisor: Value, offset: Value) -> None:
    """Divide the sums of four rows from address *first* on, and add to them, some beyond *width* too."""
    b = code.builder

    def every(change: Any) -> None:
        with code.counting(0, GROUP) as i, code.counting(0, width, code.lanes) as x:
            place = code.at(first, code.product(i, WIDE), x)
            code.store(change(code.load(place)), place)

    with b.if_then(b.fcmp_unordered("!=", divisor, code.fill(1.0, 1))):
        every(lambda pixels: b.fdiv(pixels, code.fill(divisor)))
    with b.if_then(b.fcmp_unordered("!=", offset, code.fill(0.0, 1))):
        every(lambda pixels: b.fadd(pixels, code.fill(offset)))


@written("int64")
def odd(code: Code, _: Value, first: Value, rows: Value, width: Value) -> Value:
    """Return how many sums of *rows* are not finite, of the first component, from address *first* on."""
    found = code.variable(code.number(0))
    with code.counting(0, rows) as i, code.across(width, 2 * code.lanes) as (x, _):
        _count_odd(code, found, code.load(code.at(first, code.product(i, WIDE), x), 2 * code.lanes), x, width)
    return code.builder.load(found)


def _count_odd(code: Code, found: Value, pixels: Value, x: Value, width: Value, also: Value = None) -> None:
    """Count pixels, from place *x* of a row of *width* on, that are not finite, or something else *also*."""
    b = code.builder
    condition = b.fcmp_unordered("!=", b.fsub(pixels, pixels), code.fill(0.0, 2 * code.lanes))
    code.count(found, b.or_(condition, also) if also else condition, 0, b.sub(width, x))


@written("int64")
def length(code: Code, _: Value, first: Value, rows: Value, width: Value, into: Value, how: Value) -> Value:
    """Write the lengths of vectors to rows whose addresses lie at *into*; return how many are odd.

    Those are not finite, or in float64 where squares may have left the range.
    """
    b, found = code.builder, code.variable(code.number(0))
    for which in (NARROW_SQUARES, GUARDED if code.real == code.double else WIDE_SQUARES):
        with code.where(how, "==", which), code.counting(0, rows) as i, code.across(width, 2 * code.lanes) as (x, _):
            of = code.double if which == WIDE_SQUARES else code.real
            starts = (code.at(first, code.product(code.sum(i, n * GROUP), WIDE), x) for n in range(2))
            vectors = [code.cast(code.load(start, 2 * code.lanes), of) for start in starts]
            squares = (b.fmul(vector, vector) for vector in vectors)
            made = code.call("sqrt", b.fadd(*squares))
            beyond = None
            if which == GUARDED:
                none = (b.fcmp_unordered("!=", vector, code.fill(0.0, 2 * code.lanes)) for vector in vectors)
                small = b.and_(b.fcmp_ordered("<=", made, code.fill(1e-138, 2 * code.lanes)), b.or_(*none))
                beyond = b.or_(b.fcmp_ordered(">=", made, code.fill(1e150, 2 * code.lanes)), small)
            made = code.cast(made, code.real)
            _count_odd(code, found, made, x, width, beyond)
            code.store(made, code.at(_address(code, into, i), x))
    return b.load(found)


@written("int64")
def unsharp(
    code: Code, _: Value, first: Value, rows: Value, width: Value, into: Value, pixels: Value, left: Value,
    amount: Value, threshold: Value,
) -> Value:  # fmt: skip
    """Write what unsharp makes of blurred rows, and of *pixels*, as ``length`` does."""
    b, found = code.builder, code.variable(code.number(0))
    with code.counting(0, rows) as i, code.across(width, 2 * code.lanes) as (x, _):
        pixel = code.load(code.at(code.sum(_address(code, pixels, i), left), x), 2 * code.lanes)
        difference = b.fsub(pixel, code.load(code.at(first, code.product(i, WIDE), x), 2 * code.lanes))
        small = b.fcmp_ordered("<", code.call("fabs", difference), code.fill(threshold, 2 * code.lanes))
        made = b.select(small, pixel, b.fadd(pixel, b.fmul(code.fill(amount, 2 * code.lanes), difference)))
        _count_odd(code, found, made, x, width)
        code.store(made, code.at(_address(code, into, i), x))
    return b.load(found)


@written("int64")
def store(code: Code, _: Value, kind: Value, first: Value, rows: Value, width: Value, into: Value) -> Value:
    """Write rows in a type of ``ROUNDED``, or as they are, where *into* says; return how many pixels were clipped."""
    b, clipped = code.builder, code.variable(code.number(0))
    for number, (of, highest) in enumerate([(code.byte, 255.0), (code.short, 65535.0), (code.real, 0.0)]):
        with code.where(kind, "==", number), code.counting(0, rows) as i:

            def write(start: Value, end: Value, x: Value, old: Value, of: Any = of, highest: float = highest) -> None:
                pixels, lanes = code.load(code.at(start, x), 2 * code.lanes), 2 * code.lanes
                if of != code.real:
                    value = code.call("rint", pixels)
                    low, high = code.fill(0.0, lanes), code.fill(highest, lanes)
                    pixels = b.select(b.fcmp_ordered(">", value, low), value, low)
                    pixels = b.select(b.fcmp_ordered("<", pixels, high), pixels, high)
                    code.count(clipped, b.fcmp_unordered("!=", pixels, value), old, b.sub(width, x))
                    pixels = b.trunc(b.fptosi(pixels, code.beside(code.int, lanes)), code.beside(of, lanes))
                code.store(pixels, code.at(end, x, of=of))

            row = code.at(first, code.product(i, WIDE))
            code.exactly(width, row, code.real, _address(code, into, i), of, write)
    return b.load(clipped)


def _address(code: Code, addresses: Value, number: int | Value) -> Value:
    return code.load(code.at(addresses, number, of=code.whole), 1, code.whole)
