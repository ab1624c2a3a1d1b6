"""What of a run is left to do: one rule for a new run, for one that goes on, and for a repair.

Of the last pass every tile that the journal does not hold as done, or of which a chunk is gone. Of an earlier pass
those tiles that the tiles left of the next pass read, unless they are done and still there.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from tileconv.boxes import Box, TileGrid, numbered, tile_at
from tileconv.planning.model import Pass, Plan
from tileconv.record.folder import RunFolder
from tileconv.record.journal import DAMAGED, DONE, FAILED, History, TileKey
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore
from tileconv.tiles.compute import needed

_REASONS = {None: "not made before", FAILED: "failed before", DAMAGED: "found damaged"}
GONE, AGAIN = "lost chunks", "of an earlier pass needed again"


@dataclass(frozen=True)
class Todo:
    """Numbers of the tiles to make, pass by pass; how many of all tiles are kept; and why the others are made."""

    left: tuple[Sequence[int], ...]
    kept: int
    reasons: dict[str, int]

    def __str__(self) -> str:
        tiles = sum(map(len, self.left))
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items())
        return f"kept {self.kept:,} tile{'s' * (self.kept != 1)}, {tiles:,} to make" + f": {why}" * bool(why)


def left_to_do(plan: Plan, sinks: Sequence[ZarrSink], history: History) -> Todo:
    """Return what is left of *plan*, whose passes write to *sinks*, after what *history* says."""
    left: list[Sequence[int]] = []
    wanted: Sequence[int] = range(len(plan.passes[-1].grid))
    reasons = Counter[str]()
    for number in reversed(range(len(plan.passes))):
        pass_, sink = plan.passes[number], sinks[number]
        there = sink.custody.holds_array()
        if history.unreadable:  # what a lost line counted belongs to the result, whether or not its tile is read
            wanted = np.union1d(np.asarray(wanted, np.intp), history.unknown(number)).tolist()
        found = array("q")
        for tile in wanted:
            reason = _reason(pass_, sink, history, TileKey(number, 0, tile), there=there)
            if reason:
                found.append(tile)
                reasons[reason] += 1
        left.insert(0, found)
        if number:
            before = plan.passes[number - 1]
            wanted = read_by(pass_, found, before.grid)
    kept = sum(len(p.grid) for p in plan.passes) - sum(map(len, left))
    return Todo(tuple(left), kept, dict(reasons))


def _reason(pass_: Pass, sink: ZarrSink, history: History, key: TileKey, *, there: bool) -> str:
    """Return why a tile has to be made; empty when it is done and still there."""
    found = history.what(key)
    if found != DONE:
        return _REASONS[found]
    if not there and sink.layout.plain:
        return AGAIN
    return "" if there and not sink.custody.lacks(stored_box(pass_, key.tile)) else GONE


def read_by(pass_: Pass, tiles: Sequence[int], before: TileGrid) -> Sequence[int]:
    """Return the tiles of the pass *before* that *tiles* of *pass_* read, in order."""
    if len(tiles) == len(pass_.grid):
        return range(len(before))
    read = np.zeros(len(before), bool)
    for tile in tiles:
        read[list(reads(pass_, tile_at(pass_.grid, tile), before))] = True
    return array("q", np.flatnonzero(read).astype("i8").tobytes())


def reads(pass_: Pass, tile: Box, before: TileGrid) -> Iterator[int]:
    """Yield the numbers of the tiles of *before* that *tile* of *pass_* is made from."""
    box = needed(pass_, tile)
    for index in product(*(_along(before, box, axis) for axis in range(len(box.axes)))):
        yield numbered(before, index)


def _along(grid: TileGrid, box: Box, axis: int) -> list[int]:
    """Return which tiles *box* touches along *axis*; positions beyond the image are those of its repetition."""
    low, size, tile = grid.image.start[axis], grid.image.shape[axis], grid.tile[axis]
    start, stop = box.start[axis] - low, box.stop[axis] - low
    found: set[int] = set()
    while start < stop:
        shift = start // size * size
        end = min(stop, shift + size)
        found.update(range((start - shift) // tile, (end - shift - 1) // tile + 1))
        start = end
    return sorted(found)


def stored_box(pass_: Pass, number: int) -> Box:
    """Return where tile *number* lies in the array that *pass_* writes."""
    return tile_at(pass_.grid, number).shift([-a for a in pass_.image.start])


def intermediate_path(output: Path, number: int) -> Path:
    """Return the folder beside *output* in which pass *number* leaves its result for the next."""
    return output.with_name(f"{output.name}.pass{number}")


def sinks_of(plan: Plan) -> list[ZarrSink]:
    """Return where each pass of *plan* writes: the last to the output, the others to bare arrays beside it."""
    output = RunFolder(Path(plan.spec.output.path)).output
    stores = (LocalStore(intermediate_path(output, number)) for number in range(len(plan.passes) - 1))
    layouts = (Layout(pass_.info, plain=True) for pass_ in plan.passes[:-1])
    last = ZarrSink(LocalStore(output), Layout(plan.info, storage=plan.passes[-1].storage))
    return [*map(ZarrSink, stores, layouts), last]
