"""One kernel over one block, by the engine that the plan chose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.choose import Choice
from tileconv.engines.nonfinite import finite, settle
from tileconv.errors import TileError

Array = NDArray[Any]


def reach(choice: Choice, axis: int, start: int, stop: int, domain: Box) -> tuple[int, int]:
    """Return the positions along *axis* that *choice* needs for outputs ``start`` to ``stop`` of image *domain*.

    Direct and separable engines need the outputs grown by the halo; the FFT needs the same for every canonical block
    that it touches, as far as *domain* grown by the halo reaches.
    """
    return choice.by.reach(choice, axis, start, stop, domain)


def reach_box(choice: Choice, out: Box, domain: Box) -> Box:
    """Return the box of ``reach`` along every axis (z, y, x)."""
    ends = [reach(choice, axis, out.start[axis], out.stop[axis], domain) for axis in range(3)]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends), out.axes)


def kernel_sums(
    choice: Choice, block: Array, have: Box, out: Box, domain: Box, offset: float = 0.0
) -> tuple[Array, int]:
    """Return the sums at the pixels of *out* and the number of FFT blocks that fell back to direct sums.

    *block* holds the pixels of *have*, which contains ``reach_box(choice, out, domain)``. The sums come in the type
    that ``choice.sums`` names, the FFT's rounded to it once. To inexact ones *offset* is added here, because a sum may
    leave the range where both together do not.
    """
    have_needed = reach_box(choice, out, domain)
    pixels = block if have_needed == have else block[have_needed.within(have)]
    if choice.sums.guarded:
        _refuse_overflow(choice, pixels)
    sums, fallbacks = choice.by.sums(choice, pixels, have_needed, out)
    if offset and not choice.sums.exact:
        sums += sums.dtype.type(offset)
    _settle(choice, pixels, have_needed, out, sums, offset)
    return sums, fallbacks


def each_sum(
    choices: Sequence[Choice], block: Array, have: Box, out: Box, domain: Box
) -> Iterator[tuple[int, Box, Array, int]]:
    """Yield the number of one of *choices*, a part of *out*, its sums as ``kernel_sums`` makes them, and fallbacks.

    Together the parts are all of *out* under every choice. What choices of one engine can share is made once.
    """
    together: dict[Any, list[int]] = {}
    for number, choice in enumerate(choices):
        together.setdefault((choice.engine, choice.by.shares(choice) or number), []).append(number)
    for numbers in together.values():
        some = [choices[number] for number in numbers]
        needed = reach_box(some[0], out, domain)
        pixels = block[needed.within(have)]
        for choice in (choice for choice in some if choice.sums.guarded):
            _refuse_overflow(choice, pixels)
        for at, part, made, fallbacks in some[0].by.each_sum(some, pixels, needed, out):
            _settle(some[at], pixels, needed, part, made)
            yield numbers[at], part, made, fallbacks


def _settle(choice: Choice, pixels: Array, have: Box, out: Box, made: Array, offset: float = 0.0) -> None:
    """Put right those of the sums *made* at *out* that are not finite, or must not be; *pixels* are of *have*."""
    if choice.watched and (choice.pattern.deaf or not finite(made)):
        under = _under(pixels, have, out.grow(choice.halo))
        settle(choice.pattern, under, made, offset=offset, marked=choice.by.marks)


def _under(pixels: Array, have: Box, under: Box) -> Array:
    """Return the pixels of *under*: the FFT reads more of them, or none where all are zeros."""
    inner = have.intersect(under)
    if inner == under:
        return pixels[under.within(have)]
    made = np.zeros(under.shape, pixels.dtype)
    made[inner.within(under)] = pixels[inner.within(have)]
    return made


def _refuse_overflow(choice: Choice, pixels: Array) -> None:
    peak = max(int(pixels.max()), -int(pixels.min()))
    total = int(choice.kernel.absolute_sum)  # of whole numbers: exact up to 2**53, then rounded by less than its 2**-52
    if (total + (total >> 52)) * peak >= 2**63:
        raise TileError(
            f"sums under {choice.kernel} of pixels up to {peak:,} could leave int64",
            fix="Set precision: float64 to sum them with rounding.",
        )
