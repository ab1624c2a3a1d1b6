"""What lies outside the image: five rules with scipy.ndimage's names, each as a map from positions to pixels.

    reflect    (d c b a | a b c d | d c b a)    the edge pixel is repeated
    mirror     (d c b | a b c d | c b a)        the edge pixel is not repeated
    nearest    (a a a a | a b c d | d d d d)
    wrap       (a b c d | a b c d | a b c d)
    constant   (k k k k | a b c d | k k k k)

The maps are periodic, so an image smaller than the halo is no special case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import GeometryError
from tileconv.quick import dataclass

Rule = Literal["reflect", "mirror", "nearest", "wrap", "constant"]
RULES: tuple[Rule, ...] = get_args(Rule)

ALIASES: dict[str, Rule] = {
    "symmetric": "reflect",
    "replicate": "nearest",
    "edge": "nearest",
    "copy": "nearest",
    "reflect_pixel": "mirror",
    "periodic": "wrap",
    "circular": "wrap",
    "zero": "constant",
    "zeros": "constant",
    "grid-wrap": "wrap",
    "grid-mirror": "reflect",
    "grid-constant": "constant",
}
"""What other libraries call our rules, for hints in messages."""

OUTSIDE = -1
"""What ``index_map`` gives for positions that the constant rule fills."""

FEW = 9
"""Along this many pieces an axis is copied together with the others; images smaller than the halo have more."""

Pieces = list[tuple[slice, slice | None]]
"""Slices of an axis of what is made, each with the slice of an axis of a block that lies there."""


@dataclass(frozen=True, slots=True)
class Border:
    """A rule, and the value of the pixels outside when the rule is ``constant``."""

    rule: Rule = "reflect"
    value: float = 0.0

    def __str__(self) -> str:
        if self.rule != "constant":
            return self.rule
        short = f"{self.value:g}"
        return f"{self.rule} {short if float(short) == self.value else self.value}"


def index_map(start: int, stop: int, size: int, rule: Rule) -> NDArray[np.intp]:
    """Return, for every position ``start <= p < stop``, the pixel ``0 <= i < size`` that stands there.

    Raises
    ------
    GeometryError
        If the image has no pixels along this axis.

    Examples
    --------
    >>> index_map(-3, 6, 4, "mirror")
    array([3, 2, 1, 0, 1, 2, 3, 2, 1])
    """
    if size < 1:
        raise GeometryError("an image without pixels cannot be extended")
    positions = np.arange(start, stop, dtype=np.intp)
    if rule == "wrap":
        return positions % size
    if rule == "nearest":
        return np.clip(positions, 0, size - 1)
    if rule == "constant":
        return np.where((positions < 0) | (positions >= size), OUTSIDE, positions)
    period = 2 * size if rule == "reflect" else max(1, 2 * size - 2)
    folded = positions % period
    return np.where(folded < size, folded, period - (rule == "reflect") - folded)


def source_interval(start: int, stop: int, size: int, rule: Rule) -> tuple[int, int]:
    """Return the smallest interval of pixels that the positions ``start <= p < stop`` take their values from.

    For ``wrap`` the interval is not clipped: it may leave the image, and the reader folds it (each piece stays small).
    A ``constant`` border beyond the image needs no pixel; the interval is then empty.

    Examples
    --------
    >>> source_interval(-3, 2, 10, "reflect")
    (0, 3)
    """
    if rule == "wrap" or (start >= 0 and stop <= size):
        return start, stop
    inside = index_map(start, stop, size, rule)
    inside = inside[inside != OUTSIDE]
    if inside.size == 0:
        nearest = min(max(start, 0), size)
        return nearest, nearest
    return int(inside.min()), int(inside.max()) + 1


def extend(
    block: NDArray[np.generic], have: Box, want: Box, domain: Box, borders: Sequence[Border]
) -> NDArray[np.generic]:
    """Return the pixels of *want*, made from *block*, which holds the pixels of *have*; axes (z, y, x).

    Where *want* leaves the image *domain* the border rules make the pixels; where two constants meet, the later axis'
    value stands. Returns a view where nothing had to be made. A ``wrap`` axis is taken from *block* as it lies when
    *have* reaches that far, else folded.

    Raises
    ------
    GeometryError
        If a pixel that is needed is not in *have*, or a constant is no number of the block's whole-number type.
    """
    if have == want and domain.contains(want):
        return block
    if all(_as_it_lies(axis, have, want, domain, border) for axis, border in enumerate(borders)):
        return block[want.within(have)]
    pieces = [_pieces(axis, have, want, domain, border) for axis, border in enumerate(borders)]
    for found, border in zip(pieces, borders, strict=True):
        if any(taken is None for _, taken in found) and not _holds(block.dtype, border.value):
            raise GeometryError(f"pixels of type {block.dtype} cannot hold the border value {border.value:g}")
    for axis in [axis for axis, found in enumerate(pieces) if len(found) > FEW][1:]:  # pieces multiply; no constants
        block = block.take(_positions(axis, want.start[axis], want.stop[axis], have, domain, borders[axis]), axis)
        pieces[axis] = [(slice(want.shape[axis]), slice(want.shape[axis]))]
    out = np.empty(want.shape, block.dtype)
    for parts in product(*pieces):
        constants = [border.value for border, (_, taken) in zip(borders, parts, strict=True) if taken is None]
        out[tuple(to for to, _ in parts)] = constants[-1] if constants else block[tuple(taken for _, taken in parts)]
    return out


def _as_it_lies(axis: int, have: Box, want: Box, domain: Box, border: Border) -> bool:
    """Return whether *have* holds *want* along *axis*, and its positions mean pixels there."""
    start, stop = want.start[axis], want.stop[axis]
    held = have.start[axis] <= start and stop <= have.stop[axis]
    return held and (border.rule == "wrap" or (domain.start[axis] <= start and stop <= domain.stop[axis]))


def _pieces(axis: int, have: Box, want: Box, domain: Box, border: Border) -> Pieces:
    """Return slices of *want* along *axis*, each with the slice of the block that lies there: None for a constant.

    A slice of the block goes forwards, backwards or, one long, stays at a pixel: NumPy copies slices as fast as a
    compiled loop, which would take seconds to compile.
    """
    start, stop, first, last = want.start[axis], want.stop[axis], have.start[axis], have.stop[axis]
    low, high = domain.start[axis], domain.stop[axis]
    if _as_it_lies(axis, have, want, domain, border):
        return [(slice(stop - start), slice(start - first, stop - first))]
    inner = min(max(start, low), stop)
    outer = max(inner, min(stop, high))
    pieces: Pieces = [(slice(inner - start, outer - start), slice(inner - first, outer - first))]
    lacks = inner < outer and (inner < first or outer > last)
    for begin, end in ((start, inner), (outer, stop)):
        positions = _positions(axis, begin, end, have, domain, border)
        if border.rule == "constant":
            pieces.append((slice(begin - start, end - start), None))
            continue
        lacks = lacks or bool(((positions < 0) | (positions >= last - first)).any())
        pieces += [(slice(begin - start + p, begin - start + q), taken) for p, q, taken in _runs(positions.tolist())]
    if lacks:
        raise GeometryError(f"{have} lacks pixels that {want} takes from {domain} under border {border}")
    return [(to, taken) for to, taken in pieces if to.start < to.stop]


def _positions(axis: int, start: int, stop: int, have: Box, domain: Box, border: Border) -> NDArray[np.intp]:
    """Return where in the block the positions from *start* to *stop* along *axis* lie; means nothing for a constant."""
    low = domain.start[axis]
    return index_map(start - low, stop - low, domain.stop[axis] - low, border.rule) + (low - have.start[axis])


def _runs(positions: list[int]) -> Iterator[tuple[int, int, slice]]:
    """Yield the stretches of one step in *positions*: where each starts and stops, and the slice of its values."""
    start = 0
    while start < len(positions):
        stop = start + 1
        step = positions[stop] - positions[start] if stop < len(positions) else 1
        while stop < len(positions) and positions[stop] - positions[stop - 1] == step:
            stop += 1
        past = positions[stop - 1] + step
        yield start, stop, slice(positions[start], past if past >= 0 else None, step) if step else slice(past, past + 1)
        start = stop


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
