"""What lies outside the image: five rules with scipy.ndimage's names, each as a map from positions to pixels.

    reflect    (d c b a | a b c d | d c b a)    the edge pixel is repeated
    mirror     (d c b | a b c d | c b a)        the edge pixel is not repeated
    nearest    (a a a a | a b c d | d d d d)
    wrap       (a b c d | a b c d | a b c d)
    constant   (k k k k | a b c d | k k k k)

The maps are periodic, so an image smaller than the halo is no special case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import GeometryError

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
}
"""What other libraries call our rules, for hints in messages."""

OUTSIDE = -1
"""What ``index_map`` gives for positions that the constant rule fills."""


@dataclass(frozen=True, slots=True)
class Border:
    """A rule, and the value of the pixels outside when the rule is ``constant``."""

    rule: Rule = "reflect"
    value: float = 0.0

    def __str__(self) -> str:
        return f"{self.rule} {self.value:g}" if self.rule == "constant" else self.rule


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
    """Return the pixels of *want*, made from *block*, which holds the pixels of *have*.

    Where *want* leaves the image *domain* the border rules make the pixels, along the first axis first. Returns a view
    where nothing had to be made. A ``wrap`` axis is cut from *block* when *have* reaches that far, else folded.

    Raises
    ------
    GeometryError
        If a pixel that is needed is not in *have*.
    """
    for axis, border in enumerate(borders):
        start, stop = want.start[axis], want.stop[axis]
        first, last = have.start[axis], have.stop[axis]
        low, high = domain.start[axis], domain.stop[axis]
        inside = low <= start and stop <= high
        if first <= start and stop <= last and (inside or border.rule == "wrap"):
            block = block[(slice(None),) * axis + (slice(start - first, stop - first),)]
            continue
        index = index_map(start - low, stop - low, high - low, border.rule)
        made = index == OUTSIDE
        index = index + (low - first)
        kept = index[~made]
        if kept.size and (kept.min() < 0 or kept.max() >= last - first):
            raise GeometryError(f"{have} lacks pixels that {want} takes from {domain} under border {border}")
        if made.all():
            shape = (*block.shape[:axis], stop - start, *block.shape[axis + 1 :])
            block = np.full(shape, border.value, block.dtype)
            continue
        block = np.take(block, np.where(made, kept[0] if kept.size else 0, index), axis=axis)
        if made.any():
            block[(slice(None),) * axis + (made,)] = border.value
    return block
