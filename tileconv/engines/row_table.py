"""What the row machine is told of a run of stages: tables of numbers, made once, in which a strip writes its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.borders import Border, index_map
from tileconv.quick import dataclass

if TYPE_CHECKING:
    from tileconv.engines.choose import Choice

Array = NDArray[Any]

LINEAR, NARROW_SQUARES, WIDE_SQUARES, GUARDED, UNSHARP = range(5)
"""Formulas: the sums; lengths of two, squared in their type, in float64, or there and looked at; unsharp masks."""
(
    HEIGHT, BEFORE_Y, BEFORE_X, ROWS, KEPT, PADDED, LONGEST, FIRST, STOP, COMPONENTS, FORMULA, NUMBERS, SHIFTED,
    WATCHED, COUNT, WIDTH, INNER, INNER_WIDTH, SLOTS, NEEDS, PADS, PADS_STOP, STAGE_FIELDS,
) = range(23)  # fmt: skip
"""Columns of the table of stages; those from ``COUNT`` on depend on the place of a strip."""
COMPONENT, DOWN, RIGHT, TALL, TAPS, NEW, COLUMN, LINE, RING = range(9)
"""Columns of the table of terms: outer products, or grids of weights, which have no ring."""
KINDS = tuple(np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64"))
"""Types of pixels that the machine reads, by number."""
ROUNDED = KINDS[:2]
"""Those to which it rounds what it makes."""
GROUP, WIDE = 4, 256
"""Rows that a stage makes at once, and pixels of each: with the rows of a ring below them they fit the L1 cache."""
NO_RING = -(2**31)
LANES = 64
"""Pixels that are summed at once along a row, at 4 bytes each: rows are a whole number of them."""
MOST_KNOWN = 64
"""Places of strips whose tables are kept: all inside of an image have the same."""


@dataclass(frozen=True)
class Formula:
    """What the row machine makes of sums: which formula, its *numbers*, and of each sum its divisor and offset."""

    which: int
    shifts: tuple[tuple[float, float], ...]
    numbers: tuple[float, ...] = ()
    reads_pixels: bool = False


@dataclass(frozen=True)
class Step:
    """One stage of a run: how its sums are made, what of them, and what lies outside *domain*, in pixels of *held*."""

    choices: tuple[Choice, ...]
    formula: Formula
    borders: tuple[Border, ...]
    domain: Box
    held: np.dtype[Any]


class RowTable:
    """The tables of *steps*, each of which reads the one before, in the type *dtype* of their sums."""

    def __init__(self, steps: Sequence[Step], dtype: np.dtype[Any]) -> None:
        self.dtype, self._steps, self._rows = dtype, steps, 0
        self._stages = np.zeros((len(steps), STAGE_FIELDS), np.int64)
        terms, weights, numbers = list[list[int]](), list[float](), list[float]()
        for stage, step in zip(self._stages, steps, strict=True):
            stage[FORMULA], stage[NUMBERS] = step.formula.which, len(numbers)
            numbers += [*(n for shift in step.formula.shifts for n in shift), *step.formula.numbers]
            self._lay_out(stage, step)
            stage[FIRST] = len(terms)
            for component, choice in enumerate(step.choices):
                terms += self._terms(component, choice, stage, weights)
            stage[STOP] = len(terms)
            stage[LONGEST] = sum(term[TALL] + GROUP - 1 for term in terms[stage[FIRST] :])
        self._terms_of = np.array(terms)
        self._numbers = np.array(weights, dtype), np.array(numbers, dtype)
        self._known: dict[Any, _Places | None] = {}

    def _lay_out(self, stage: Array, step: Step) -> None:
        """Write what does not depend on the strip."""
        halos = [choice.halo for choice in step.choices]
        before, after = (np.max([getattr(halo, side) for halo in halos], axis=0) for side in ("before", "after"))
        stage[BEFORE_Y], stage[BEFORE_X], stage[HEIGHT] = before[1], before[2], before[1] + 1 + after[1]
        keeps = step.formula.reads_pixels or any(choice.by.parts(choice)[0] is not None for choice in step.choices)
        stage[ROWS] = stage[HEIGHT] + 2 * (GROUP - 1)  # of the last group before not all may be needed yet
        stage[KEPT] = stage[ROWS] if keeps else GROUP
        stage[PADDED] = self._take(stage[KEPT] + 1)
        stage[COMPONENTS] = len(step.choices)
        plain = all(shift == (1.0, 0.0) for shift in step.formula.shifts)
        stage[SHIFTED], stage[WATCHED] = not plain, any(choice.watched for choice in step.choices)

    def _terms(self, component: int, choice: Choice, stage: Array, weights: list[float]) -> list[list[int]]:
        """Return the rows of *choice* in the table of terms, whose *weights* are added."""
        place = [component, stage[BEFORE_Y] - choice.halo.before[1], stage[BEFORE_X] - choice.halo.before[2]]
        found = []
        grid, terms = choice.by.parts(choice)
        if grid is not None:
            found.append([*place, *choice.shape[1:], 1, 0, len(weights), NO_RING])
            weights += grid.reshape(-1).tolist()
        for number, (along_z, column, line) in enumerate(terms):
            at = len(weights)
            weights += [*(along_z[0] * column).tolist(), *line.tolist()]
            ring = self._take(stage[ROWS] + 1)
            found.append([*place, *choice.shape[1:], number == 0, at, at + column.size, ring])
        return found

    def _take(self, rows: int) -> int:
        first, self._rows = self._rows, self._rows + int(rows)
        return first

    def make(self, places: Sequence[tuple[Box, Box]], plane: Array, out: Array) -> int | None:
        """Make the last stage's pixels of one plane in *out*; return how many were clipped to its type.

        None where the stages must be made one by one.

        Parameters
        ----------
        places
            Of every stage the pixels under its kernels, and those that it makes.
        plane
            The pixels inside of the image that these are made from, axes (y, x), as ``readable`` wants them; *out* is
            in the type of the sums or in one of ``ROUNDED``.
        """
        from tileconv.engines.rows import GAVE_UP, UNDER, run

        at = self._placed(places)
        if at is None or at.reads != plane.shape:
            return None
        kinds = KINDS.index(plane.dtype), (*ROUNDED, self.dtype).index(out.dtype)
        source, target = ((array.ctypes.data, array.strides[0]) for array in (plane, out))
        rows = np.zeros(UNDER + at.stages[0, LONGEST] + len(self._steps) + 1, np.int64)
        maps = (at.stages, at.terms, *self._numbers, *at.maps, rows)
        clipped: int = run(*maps, self._memory(at), at.wide, kinds[0], *source, kinds[1], *target)
        return None if clipped == GAVE_UP else clipped

    def _placed(self, places: Sequence[tuple[Box, Box]]) -> _Places | None:
        """Return the tables of a strip; None where a ring would be too short."""
        key = tuple(
            (want.start[axis] - low, want.stop[axis] - low, high - low)
            if want.start[axis] < low or want.stop[axis] > high
            else want.shape[axis]
            for (want, _), step in zip(places, self._steps, strict=True)
            for axis, low, high in ((a, step.domain.start[a], step.domain.stop[a]) for a in (1, 2))
        )
        known = self._known
        if key not in known:
            known = self._known = {**(known if len(known) < MOST_KNOWN else {}), key: self._place(places)}
        return known[key]

    def _place(self, places: Sequence[tuple[Box, Box]]) -> _Places | None:
        stages, slots, needs, pads = self._stages.copy(), list[int](), list[int](), list[tuple[int, int]]()
        for stage, step, (want, out) in zip(stages, self._steps, places, strict=True):
            rows, columns = (_inside(step, axis, want) for axis in (1, 2))
            if rows.max() < 0 or columns.max() < 0:
                return None
            rows = np.where(rows < 0, -1, rows - rows[rows >= 0].min())
            lowest = sliding_window_view(np.where(rows < 0, rows.max(), rows), stage[HEIGHT]).min(axis=1)
            highest = np.maximum.accumulate(rows)[stage[HEIGHT] - 1 :]
            ahead = np.pad(highest, (0, GROUP - 1), mode="edge")[GROUP - 1 :] + GROUP
            if (ahead - lowest > stage[ROWS]).any():
                return None
            stage[[COUNT, WIDTH]], stage[[SLOTS, NEEDS, PADS]] = out.shape[1:], (len(slots), len(needs), len(pads))
            slots += np.where(rows < 0, stage[ROWS], rows % stage[ROWS]).tolist()
            slots += slots[-1:] * (GROUP - 1)
            needs += (highest + 1).tolist()
            low, high = (0, columns.size) if step.borders[2].rule == "wrap" else _ends(step, want)
            stage[[INNER, INNER_WIDTH]] = low, high - low
            outer = [*range(low), *range(high, columns.size)]
            pads += [(x, low + columns[x] - columns[low]) for x in outer if columns[x] >= 0]
            stage[PADS_STOP] = len(pads)
        wide = max(want.shape[2] for want, _ in places) // LANES * LANES + LANES
        first = -(-3 * GROUP * WIDE // wide)  # rows in which sums are made
        terms = self._terms_of.copy()
        stages[:, PADDED] += first
        stages[:, LONGEST] = stages[:, LONGEST].max()
        terms[:, RING] += first
        maps = np.array(slots), np.array(needs), np.array(pads, np.int64).reshape(-1, 2)
        reads = int(max(needs[: stages[0, COUNT]])), int(stages[0, INNER_WIDTH])
        return _Places(stages, terms, maps, reads, wide, (first + self._rows) * wide)

    def _memory(self, at: _Places) -> Array:
        """Return rows to work in, with the constants of borders in them."""
        scratch = np.empty(at.size + 2 * LANES, self.dtype)  # some are read beyond the last row
        scratch = scratch[-scratch.ctypes.data % 64 // scratch.itemsize :]  # vectors in one line of the cache load fast
        memory = scratch[: at.size]
        every = memory.reshape(-1, at.wide)
        for stage, step in zip(at.stages, self._steps, strict=True):
            _, y, x = (step.held.type(border.value) if border.rule == "constant" else None for border in step.borders)
            rows = every[stage[PADDED] :][: stage[KEPT] + 1]
            if y is not None:
                rows[-1] = y
            if x is not None:  # where both meet it is that of x
                rows[:, : stage[INNER]] = rows[:, stage[INNER] + stage[INNER_WIDTH] :] = x
            for term in at.terms[stage[FIRST] : stage[STOP]] if y is not None else ():
                if term[RING] >= 0:
                    sums = every[term[RING] + stage[ROWS], : stage[WIDTH]]
                    sums[:] = 0
                    for k, weight in enumerate(self._numbers[0][term[LINE] :][: term[TAPS]]):
                        sums += weight * rows[-1, term[RIGHT] + k :][: stage[WIDTH]]
        return memory


@dataclass(frozen=True)
class _Places:
    """The tables of a strip, the shape of what it reads, and the pixels to work in: *size*, in rows of *wide*."""

    stages: Array
    terms: Array
    maps: tuple[Array, Array, Array]
    reads: tuple[int, int]
    wide: int
    size: int


def _inside(step: Step, axis: int, want: Box) -> Array:
    """Return which pixel of the image stands at each position of *want* along *axis*, -1 for a constant."""
    low, high = step.domain.start[axis], step.domain.stop[axis]
    start, stop, rule = want.start[axis] - low, want.stop[axis] - low, step.borders[axis].rule
    return np.arange(stop - start) if rule == "wrap" else index_map(start, stop, high - low, rule)


def _ends(step: Step, want: Box) -> tuple[int, int]:
    """Return where in *want* along x the image begins and ends."""
    low, high = (end - want.start[2] for end in (step.domain.start[2], step.domain.stop[2]))
    return max(0, low), min(want.shape[2], high)


def readable(block: Array) -> bool:
    """Return whether the machine reads the pixels of *block* (z, y, x) as they lie."""
    rows = block.strides[-1] == block.itemsize and block.strides[-2] % block.itemsize == 0 and block.strides[-2] >= 0
    return rows and block.flags.aligned and block.dtype in KINDS
