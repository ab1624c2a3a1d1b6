"""What of a run is left to do: one rule for a new run, for one that goes on, and for a repair.

Of a pass that writes outputs every tile that the journal of any of them does not hold as done, or of which a chunk is
gone. Of arrays between passes those tiles that the tiles left of later passes read, unless they are done and still
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid, numbered, tile_at
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass, Write
from tileconv.quick import dataclass
from tileconv.record.folder import RunFolder
from tileconv.record.journal import DAMAGED, DONE, FAILED, History
from tileconv.record.levels import levels_left
from tileconv.record.numbers import Numbers
from tileconv.sinks.contrast import Samples
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.spec.model import INPUT
from tileconv.stores.listed import listed_keys
from tileconv.stores.location import Location
from tileconv.tiles.compute import needed

_REASONS = ("", "not made before", "failed before", "found damaged", "lost chunks", "of an earlier pass needed again")
"""Why a tile is made, by codes; 0 is one that is not."""
GONE, AGAIN = 4, 5
OF_LEVELS = "of levels"
_OF_EVENTS = {None: 1, DONE: 0, FAILED: 2, DAMAGED: 3}
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Todo:
    """Numbers of the tiles to make, pass by pass; how many of all tiles are kept; and why the others are made.

    ``lacking`` are the arrays of which a tile is left; ``levels`` are, pass by pass, the tiles of levels to make of
    what is stored, by array.
    """

    left: tuple[Sequence[int], ...]
    kept: int
    reasons: dict[str, int]
    lacking: frozenset[int]
    levels: tuple[Mapping[int, Sequence[Sequence[int]]], ...]

    def __str__(self) -> str:
        tiles = sum(self.reasons.values())
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.items())
        return f"kept {self.kept:,} tile{'s' * (self.kept != 1)}, {tiles:,} to make" + f": {why}" * bool(why)


def left_to_do(plan: Plan, passes: Sequence[Pass], sinks: Sequence[ZarrSink], histories: Sequence[History]) -> Todo:
    """Return what is left of *passes*, parts of those of *plan*, after what *histories* say, one for each output.

    *sinks* are those of all arrays.
    """
    left: list[Sequence[int]] = []
    levels: list[Mapping[int, Sequence[Sequence[int]]]] = []
    wanted: dict[int, NDArray[np.bool_]] = {}
    reasons, lacking = Counter[str](), set[int]()
    for pass_ in reversed(passes):
        why = np.zeros(len(pass_.grid), np.uint8)
        for write in pass_.writes:
            sink = sinks[write.array]
            tiles = np.full(why.size, not sink.layout.plain) | wanted.get(write.array, False)
            found = _lacking(plan, pass_, write, sink, histories, tiles)
            lacking |= {write.array} if found.any() else set()
            why = np.where(found, found, why)
        counts = np.bincount(why, minlength=len(_REASONS))
        for code in sorted(np.flatnonzero(counts[1:]) + 1, key=lambda code: int((why == code).argmax())):
            reasons[_REASONS[code]] += int(counts[code])
        left.insert(0, Numbers(why > 0))
        levels.insert(
            0, {w.array: _levels(plan, pass_, w, sinks, histories, why > 0) for w in pass_.writes if w.levels}
        )
        lacking |= {array for array, of in levels[0].items() if any(of)}
        for number, read in enumerate(pass_.reads):
            if read.array != INPUT:
                before = next(p.grid for p in passes if any(write.array == read.array for write in p.writes))
                more = read_by(pass_, left[0], before, number)
                wanted[read.array] = wanted.get(read.array, more) | more
    kept = sum(len(p.grid) for p in plan.passes) - sum(map(len, left))
    if of_levels := sum(len(tiles) for each in levels for of in each.values() for tiles in of):
        reasons[OF_LEVELS] = of_levels
    return Todo(tuple(left), kept, dict(reasons), frozenset(lacking), tuple(levels))


def _levels(
    plan: Plan, pass_: Pass, write: Write, sinks: Sequence[ZarrSink], histories: Sequence[History],
    left: NDArray[np.bool_],
) -> list[Numbers]:  # fmt: skip
    output, number = plan.recorded(write.array)
    return levels_left(sinks[write.array], pass_.grid, histories[output], number, left)


def _lacking(
    plan: Plan, pass_: Pass, write: Write, sink: ZarrSink, histories: Sequence[History], wanted: NDArray[np.bool_]
) -> Codes:
    """Return for each tile of an array, of which those *wanted* may have to be made, why it has to, or 0."""
    output, number = plan.recorded(write.array)
    history, there = histories[output], sink.custody.holds_array()
    if history.unreadable:  # what a lost line counted belongs to the result, whether or not its tile is read
        wanted = wanted | history.is_last(None, number)
    why = np.zeros(wanted.size, np.uint8)
    for event, code in _OF_EVENTS.items():
        why[wanted & history.is_last(event, number)] = code
    done = wanted & history.is_last(DONE, number)
    if not there:
        why[done] = AGAIN if sink.layout.plain else GONE
    elif done.any():
        listed = listed_keys(sink.store)
        for tile in Numbers(done):
            why[tile] = GONE if sink.custody.lacks(stored_box(pass_, tile), listed) else 0
    return why


def tiles_done(plan: Plan, histories: Sequence[History]) -> int:
    """Return how many tiles of all passes, and of levels, are done: every record that they write to says so."""
    count = 0
    for pass_ in plan.passes:
        done = np.ones(len(pass_.grid), bool)
        for write in pass_.writes:
            output, number = plan.recorded(write.array)
            done &= histories[output].is_last(DONE, number)
        count += int(done.sum())
    for output, history in enumerate(histories):
        of_levels = [at for at in plan.tiles_of(output) if at[1]]
        count += sum(int(history.is_last(DONE, *at).sum()) for at in of_levels)
    return count


def read_by(pass_: Pass, tiles: Sequence[int], before: TileGrid, number: int) -> NDArray[np.bool_]:
    """Return a mask of the tiles of *before*, which *pass_* reads under *number*, that its *tiles* read."""
    read = np.full(len(before), len(tiles) == len(pass_.grid))
    for tile in tiles if not read.all() else ():
        read[[*reads(pass_, tile_at(pass_.grid, tile), before, number)]] = True
    return read


def reads(pass_: Pass, tile: Box, before: TileGrid, number: int) -> Iterator[int]:
    """Yield the numbers of the tiles of *before*, which *pass_* reads under *number*, that *tile* is made from."""
    return touched(before, needed(pass_, tile)[number])


def touched(grid: TileGrid, box: Box) -> Iterator[int]:
    """Yield the numbers of the tiles of *grid* that *box* touches."""
    for index in product(*(_along(grid, box, axis) for axis in range(len(box.axes)))):
        yield numbered(grid, index)


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
    """Return where each array of *plan* lies, by number, links followed: of an output that is a file its store."""
    folders = [RunFolder(output.path) for output in plan.spec.outputs]
    between = (between_passes(folders[0].output, array) for array in range(plan.between))
    return [*between, *(folder.stored for folder in folders)]


def sinks_of(plan: Plan) -> list[ZarrSink]:
    """Return where each array of *plan* is written, by number: bare arrays beside the first output, and the outputs."""
    places = places_of(plan)
    writes = [plan.made_by(array)[1] for array in range(len(places))]
    sinks = []
    for place, write in zip(places, writes, strict=True):
        plain = write.array < plan.between
        layout, shown = Layout(write.info, plain, write.storage, write.levels), None if plain else Samples(write.info)
        sinks.append(ZarrSink(place.store(), layout, shown))
    return sinks
