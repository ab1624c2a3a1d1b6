"""What of a run is left to do: one rule for a new run, for one that goes on, and for a repair.

Of a pass that writes outputs every tile that the journal of any of them does not hold as done, or of which a chunk is
gone. Of arrays between passes those tiles that the tiles left of later passes read, unless they are done and still
there.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from tileconv.boxes import Box, TileGrid, numbered, tile_at
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass, Write
from tileconv.record.folder import RunFolder
from tileconv.record.journal import DAMAGED, DONE, FAILED, History, TileKey
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.spec.model import INPUT
from tileconv.stores.location import Location
from tileconv.tiles.compute import needed

_REASONS = {None: "not made before", FAILED: "failed before", DAMAGED: "found damaged"}
GONE, AGAIN = "lost chunks", "of an earlier pass needed again"


@dataclass(frozen=True)
class Todo:
    """Numbers of the tiles to make, pass by pass; how many of all tiles are kept; and why the others are made.

    ``lacking`` are the arrays of which a tile is left.
    """

    left: tuple[Sequence[int], ...]
    kept: int
    reasons: dict[str, int]
    lacking: frozenset[int]

    def __str__(self) -> str:
        tiles = sum(map(len, self.left))
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items())
        return f"kept {self.kept:,} tile{'s' * (self.kept != 1)}, {tiles:,} to make" + f": {why}" * bool(why)


def left_to_do(plan: Plan, passes: Sequence[Pass], sinks: Sequence[ZarrSink], histories: Sequence[History]) -> Todo:
    """Return what is left of *passes*, parts of those of *plan*, after what *histories* say, one for each output.

    *sinks* are those of all arrays.
    """
    left: list[Sequence[int]] = []
    wanted: dict[int, Sequence[int]] = {}
    reasons, lacking = Counter[str](), set[int]()
    for pass_ in reversed(passes):
        why: dict[int, str] = {}
        for write in pass_.writes:
            tiles = wanted.get(write.array, ()) if sinks[write.array].layout.plain else range(len(pass_.grid))
            found = _lacking(plan, pass_, write, sinks[write.array], histories, tiles)
            lacking |= {write.array} if found else set()
            why = found | why
        tiles_left = array("q", sorted(why))
        reasons.update(why[tile] for tile in tiles_left)
        left.insert(0, tiles_left)
        for number, read in enumerate(pass_.reads):
            if read.array != INPUT:
                before = next(p.grid for p in passes if any(write.array == read.array for write in p.writes))
                more = read_by(pass_, tiles_left, before, number)
                known = wanted.get(read.array)
                wanted[read.array] = more if known is None else np.union1d(known, more).astype(int).tolist()
    kept = sum(len(p.grid) for p in plan.passes) - sum(map(len, left))
    return Todo(tuple(left), kept, dict(reasons), frozenset(lacking))


def _lacking(
    plan: Plan, pass_: Pass, write: Write, sink: ZarrSink, histories: Sequence[History], wanted: Sequence[int]
) -> dict[int, str]:
    """Return which of the tiles *wanted* of an array have to be made, in order, each with the reason."""
    output, number = plan.recorded(write.array)
    history, there = histories[output], sink.custody.holds_array()
    if history.unreadable:  # what a lost line counted belongs to the result, whether or not its tile is read
        wanted = np.union1d(np.asarray(wanted, np.intp), history.unknown(number)).tolist()
    found = ((tile, _reason(pass_, sink, history, TileKey(number, 0, tile), there=there)) for tile in wanted)
    return {tile: reason for tile, reason in found if reason}


def _reason(pass_: Pass, sink: ZarrSink, history: History, key: TileKey, *, there: bool) -> str:
    """Return why a tile has to be made; empty when it is done and still there."""
    found = history.last(key)
    if found != DONE:
        return _REASONS[found]
    if not there and sink.layout.plain:
        return AGAIN
    return "" if there and not sink.custody.lacks(stored_box(pass_, key.tile)) else GONE


def tiles_done(plan: Plan, histories: Sequence[History]) -> int:
    """Return how many tiles of all passes are done: every record that they write to says so."""
    count = 0
    for pass_ in plan.passes:
        done = np.ones(len(pass_.grid), bool)
        for write in pass_.writes:
            output, number = plan.recorded(write.array)
            done &= histories[output].is_done(number)
        count += int(done.sum())
    return count


def read_by(pass_: Pass, tiles: Sequence[int], before: TileGrid, number: int) -> Sequence[int]:
    """Return the tiles of the array *before*, which *pass_* reads under *number*, that its *tiles* read, in order."""
    if len(tiles) == len(pass_.grid):
        return range(len(before))
    read = np.zeros(len(before), bool)
    for tile in tiles:
        read[list(reads(pass_, tile_at(pass_.grid, tile), before, number))] = True
    return array("q", np.flatnonzero(read).astype("i8").tobytes())


def reads(pass_: Pass, tile: Box, before: TileGrid, number: int) -> Iterator[int]:
    """Yield the numbers of the tiles of *before*, which *pass_* reads under *number*, that *tile* is made from."""
    box = needed(pass_, tile)[number]
    for index in product(*(_along(before, box, axis) for axis in range(len(box.axes)))):
        yield numbered(before, index)


def _along(grid: TileGrid, box: Box, axis: int) -> list[int]:
    """Return which tiles *box* touches along *axis*; positions beyond the image are those of its repetition."""
    low, size, tile = grid.image.start[axis], grid.image.shape[axis], grid.tile[axis]
    start, stop = box.start[axis] - low, box.stop[axis] - low
    touched: set[int] = set()
    while start < stop:
        shift = start // size * size
        end = min(stop, shift + size)
        touched.update(range((start - shift) // tile, (end - shift - 1) // tile + 1))
        start = end
    return sorted(touched)


def stored_box(pass_: Pass, number: int) -> Box:
    """Return where tile *number* lies in the arrays that *pass_* writes."""
    return tile_at(pass_.grid, number).shift([-a for a in pass_.image.start])


def between_passes(output: Location, array: int) -> Location:
    """Return the place beside the first *output* of *array*, which a later pass reads."""
    return output.beside(f"{output.name}.pass{array}")


def places_of(plan: Plan) -> list[Location]:
    """Return where each array of *plan* lies, by number, links followed."""
    outputs = [RunFolder(output.path).output for output in plan.spec.outputs]
    return [*(between_passes(outputs[0], array) for array in range(plan.between)), *outputs]


def sinks_of(plan: Plan) -> list[ZarrSink]:
    """Return where each array of *plan* is written, by number: bare arrays beside the first output, and the outputs."""
    places = places_of(plan)
    writes = [plan.made_by(array)[1] for array in range(len(places))]
    return [
        ZarrSink(place.store(), Layout(write.info, plain=write.array < plan.between, storage=write.storage))
        for place, write in zip(places, writes, strict=True)
    ]
