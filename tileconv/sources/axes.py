"""From the axes of a file, in its own order and letters, to the canonical ones and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tileconv.boxes import AXES, Box, default_axes
from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.sources.source import AXIS_LIMIT, Pixels, Window

Item = TypeVar("Item")

NAMES = {
    **{letter: letter for letter in AXES},
    **{"s": "c", "channel": "c", "band": "c", "sample": "c", "time": "t", "depth": "z", "plane": "z"},
    **{"lat": "y", "latitude": "y", "row": "y", "lon": "x", "longitude": "x", "column": "x"},
}
"""What files call their axes, in lower case. TIFF calls colour ``S``."""


@dataclass(frozen=True)
class AxisMap:
    """Which axis of the file each canonical axis is; the other axes of the file have length 1.

    ``shape`` is the file's own, ``order`` holds one axis of the file per letter of ``axes``.
    """

    shape: tuple[int, ...]
    axes: str
    order: tuple[int, ...]

    def of_file(self, values: Sequence[Item]) -> tuple[Item, ...]:
        """Return *values*, one per axis of the file, in canonical order."""
        return tuple(values[i] for i in self.order)

    def window(self, box: Box) -> Window:
        """Return the slices of the file's own array that hold *box*."""
        window = [slice(0, 1)] * len(self.shape)
        for axis, start, stop in zip(self.order, box.start, box.stop, strict=True):
            window[axis] = slice(start, stop)
        return tuple(window)

    def as_in_file(self, block: Pixels) -> Pixels:
        """Return a view of *block*, an array in canonical order, with its axes in the file's order."""
        dropped = [i for i in range(len(self.shape)) if i not in self.order]
        full = block.reshape(block.shape + (1,) * len(dropped))
        return full.transpose(np.argsort([*self.order, *dropped]).tolist())

    def canonical(self, block: Pixels) -> Pixels:
        """Return *block*, an array in the file's order, as a C-contiguous one in canonical order."""
        dropped = [i for i in range(block.ndim) if i not in self.order]
        moved = np.transpose(block, (*self.order, *dropped))
        return np.ascontiguousarray(moved.reshape(moved.shape[: len(self.order)]))


def assumed_axes(shape: Sequence[int], given: str | None, where: str = "") -> Sequence[str]:
    """Return the last letters of ``tczyx`` for an array that names no axes, and no names where they are *given*.

    Raises
    ------
    SourceError
        If the last axis is as long as colours are many, and nobody names it.

    Examples
    --------
    >>> assumed_axes((20, 30), None), assumed_axes((5, 20, 30), None), assumed_axes((20, 30, 3), "yxc")
    ('yx', 'zyx', ('', '', ''))
    """
    if given is not None:
        return ("",) * len(shape)
    names = default_axes(len(shape))
    _refuse_colour(shape, names, where)
    return names


def _refuse_colour(shape: Sequence[int], names: str, where: str) -> None:
    """Raise SourceError if the last of three axes or more, taken as x, may be colour."""
    if len(shape) > 2 and shape[-1] in (3, 4):
        spatial = "tzyx"[1 - len(shape) :]
        raise SourceError(
            f"the last axis of {tuple(shape)} is {shape[-1]} long and may be colour, and nothing names it",
            where=where,
            why="a kernel must not mix colours",
            fix=f"Set input.axes: {spatial}c if it is, or input.axes: {names} if it is not.",
        )


def map_axes(
    own: Sequence[str], shape: Sequence[int], override: str | None, where: str
) -> tuple[AxisMap, tuple[str, ...]]:
    """Return the map from the *own* axes of a file to canonical ones, and notes on what had to be guessed.

    An axis without a known name is dropped when its length is 1; else it becomes z, or t when z is taken. *override*
    names every axis of the file in the file's order and wins.

    Raises
    ------
    SourceError
        If the override does not fit, an axis occurs twice, y or x is absent or the image has no pixels.

    Examples
    --------
    >>> map_axes("YXS", (20, 30, 3), None, "a.tif")[0]
    AxisMap(shape=(20, 30, 3), axes='cyx', order=(2, 0, 1))
    """
    shape = tuple(int(n) for n in shape)
    notes: tuple[str, ...] = ()
    stated = [NAMES.get(name.lower(), "") for name in own]
    if override is not None:
        if len(override) != len(shape) or not set(override) <= set(AXES):
            raise SourceError(
                f"axes must be {len(shape)} letters of {AXES!r}, one per axis of the file's shape {shape}, "
                f"found {override!r}",
                where=where,
                fix="Name every axis of the file in the file's order, as in input.axes: zyx.",
            )
        letters = list(override)
        if any(name not in ("", given) for name, given in zip(stated, letters, strict=True)):
            notes += (f"input.axes {override} is taken instead of the file's own {', '.join(own)}",)
    else:
        letters = stated.copy()
        for i, letter in enumerate(letters):
            free = [a for a in "zt" if a not in letters]
            if not letter and shape[i] != 1 and free:
                letters[i] = free[0]
                notes += (f"axis {i} ({own[i] or 'without a name'}, {shape[i]} long) is taken as {free[0]}",)
        if notes and letters[-1] == "x":
            _refuse_colour(shape, "".join(letters), where)
    named = [(AXES.index(a), i) for i, a in enumerate(letters) if a]
    axes = "".join(AXES[k] for k, _ in sorted(named))
    unnamed = any(not a and n != 1 for a, n in zip(letters, shape, strict=True))
    if unnamed or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        shown = ", ".join(name or "unnamed" for name in own)
        raise SourceError(
            f"expected y, x and at most one each of t, c and z, found axes {shown} of shape {shape}",
            where=where,
            fix="Name every axis of the file with input.axes.",
        )
    if 0 in shape:
        raise SourceError(f"the image has no pixels, its shape is {shape}", where=where, fix="Write it again.")
    if max(shape) > AXIS_LIMIT:
        problem = f"an axis has at most {AXIS_LIMIT} pixels, found shape {shape}"
        raise SourceError(problem, where=where, fix="Its header is damaged: copy the file again.")
    return AxisMap(shape, axes, tuple(i for _, i in sorted(named))), notes
