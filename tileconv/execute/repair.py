"""Mending an output: what is damaged is found, its completion taken back, and its tiles left to be made again.

While the file ``repair`` lies in the run folder, what the journal holds as done may be damaged: a run that finds it
begins with a verification of its own, so that a repair may be killed anywhere.
"""

from __future__ import annotations

from tileconv.execute.folder import RunFolder
from tileconv.execute.journal import DAMAGED, Event, History, Journal
from tileconv.execute.progress import Progress
from tileconv.execute.resume import sinks_of
from tileconv.execute.verify import Verification, examine, recorded_plan
from tileconv.execute.what import check_same, what
from tileconv.planning.model import Plan
from tileconv.sinks.files import remove, sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source


def mark_damaged(plan: Plan, source: Source, folder: RunFolder, progress: Progress) -> Verification:
    """Verify the output and take back, under the folder's lock, what is damaged; return what was found.

    After it a run goes on: it makes the tiles that were damaged, and those of earlier passes that they read.

    Raises
    ------
    SourceError
        If there is no run folder to verify against.
    ResumeError
        If this run differs from the one that made the output.
    SinkError
        If what lies at the output's place is not what tileconv wrote there, or the file system refuses.
    """
    recorded, sink = recorded_plan(folder), sinks_of(plan)[-1]
    check_same(recorded, what(plan, source), plan.spec.output.path)
    found = examine(folder, recorded, progress)
    if not found.damages:
        return found
    _check_ours(sink, found)
    folder.set_repairing()
    folder.unset_done()
    last, history = len(plan.passes) - 1, History.of(folder.journal)
    done = history.done(last)
    with Journal(folder.journal) as journal:
        for damage in found.damages:
            if damage.tile in done:
                journal.append(Event(DAMAGED, (last, damage.tile), error=damage.problem))
    sink.rebuild()
    with sink_errors(sink.path):
        for file in list(sink.strays()):
            remove(file)
    return found


def _check_ours(sink: ZarrSink, found: Verification) -> None:
    """Refuse what does not look like a store of ours, nor holds a single tile of it; SinkError."""
    sink.check_names()
    damaged = sum(damage.tile is not None for damage in found.damages)
    if damaged == found.tiles and not sink.free() and (sink.path / "zarr.json").exists():
        sink.check_free(overwrite=True)
