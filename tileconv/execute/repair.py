"""Mending an output: its completion is taken back, what is damaged is found, and its tiles left to be made again.

While the file ``repair`` lies in the run folder, what the journal holds as done may be damaged: a run that finds it
begins with a verification of its own, so that a repair may be killed anywhere, while it verifies too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tileconv.boxes import TileGrid, tile_at
from tileconv.execute.stop import Stop
from tileconv.planning.model import Plan
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.compare import Damage, Verification, check_going, examine
from tileconv.record.done import recorded_plan, tiles_of
from tileconv.record.folder import RunFolder
from tileconv.record.identity import check_same, plan_record
from tileconv.record.journal import DAMAGED, Event, History, TileKey
from tileconv.record.segments import journal
from tileconv.record.todo import sinks_of
from tileconv.sinks.files import refuse_existing, sink_errors
from tileconv.sinks.layout import METADATA
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source
from tileconv.stores import steady


@dataclass(frozen=True)
class Mending:
    """What a repair found, and what the journal says after it."""

    verification: Verification
    history: History


def mark_damaged(plan: Plan, source: Source, output: int, folder: RunFolder, progress: Progress, stop: Stop) -> Mending:
    """Verify an output, which counts as unfinished from here on, and take back what is damaged; return what was found.

    The caller holds the folder's lock.

    After it a run goes on: it makes the tiles that were damaged, and those of earlier passes that they read. What an
    unfinished run left of earlier passes is compared as well.

    Raises
    ------
    SourceError
        If there is no run folder to verify against.
    ResumeError
        If this run differs from the one that made the output.
    Interrupted
        If *stop* is set before all is compared.
    SinkError
        If what lies at the output's place is not what tileconv wrote there, or the file system refuses.
    """
    recorded, sink = recorded_plan(folder), sinks_of(plan)[plan.between + output]
    check_same(recorded, plan_record(plan, source, output), plan.spec.outputs[output].path)
    history = History.of(folder.store, tiles_of(folder, recorded))
    begun = folder.repairing() and not folder.announced()
    again = begun and folder.facts() is None  # of a repair that had found something
    folder.set_repairing()
    verification = examine(folder, recorded, progress, history, repairing=again, stop=stop)
    earlier = dict(_earlier(plan, recorded, history, stop)) if output == 0 else {}
    verification = replace(verification, damages=(*verification.damages, *earlier.values()))
    if not verification.damages:
        return Mending(verification, history)
    if folder.kind and folder.facts():
        return _file_again(folder, verification, history)
    _check_ours(sink, verification)
    folder.unset_done()
    last = len(recorded["grids"]) - 1
    keyed = {TileKey(last, d.level, d.tile): d for d in verification.damages if d.tile is not None}
    of_last = {key: damage for key, damage in keyed.items() if history.digest(key)}
    with journal(folder.place) as lines:
        for key, damage in (of_last | earlier).items():
            event = Event(DAMAGED, key, error=damage.problem)
            lines.append(event)
            history.add(event)
    sink.rebuild()
    with sink_errors(sink.store.where()):
        for stray in [*sink.custody.strays()]:
            sink.store.delete(stray)
    return Mending(verification, history)


def _file_again(folder: RunFolder, verification: Verification, history: History) -> Mending:
    """Take away an output that is one file and damaged, of which the store is gone: all of it is made again."""
    refuse_existing(folder.output.local, overwrite=True)
    folder.unset_done()
    with sink_errors(folder.output):
        steady.remove(folder.output.local)
    return Mending(verification, history)


def _earlier(plan: Plan, recorded: dict[str, Any], history: History, stop: Stop) -> Iterator[tuple[TileKey, Damage]]:
    """Yield the tiles between passes that are done, and whose chunks are there and not those that were written."""
    sinks = sinks_of(plan)
    for number, sink in enumerate(sinks[: plan.between]):
        if not sink.custody.holds_array():
            continue
        pass_ = plan.passes[plan.made_by(number)[0]]
        grid = TileGrid(pass_.image, tuple(recorded["grids"][number]["tile"]))
        for tile in map(int, history.done(number)):
            check_going(stop)
            box, key = tile_at(grid, tile), TileKey(number, 0, tile)
            stored = box.shift([-a for a in pass_.image.start])
            if not sink.custody.lacks(stored) and sink.writer.stored_digest(stored) != history.digest(key):
                problem = f"tile {tile}, {box} of pass {number}: is not what was written to {sink.name}"
                yield key, Damage(problem)


def _check_ours(sink: ZarrSink, verification: Verification) -> None:
    """Refuse what does not look like a store of ours, nor holds a single tile of it; SinkError."""
    sink.custody.check_names()
    sink.custody.check_strays()
    damaged = sum(damage.tile is not None for damage in verification.damages)
    if (
        damaged == verification.tiles
        and not sink.custody.free()
        and any(sink.store.stat(names[0]) for names in METADATA.values())
    ):
        sink.custody.check_free(overwrite=True)
