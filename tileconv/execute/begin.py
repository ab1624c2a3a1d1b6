"""How a run begins: anew, or from where the run that began this output was left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tileconv.execute.folder import RunFolder
from tileconv.execute.journal import History
from tileconv.execute.resume import Todo, left_to_do, sinks_of
from tileconv.execute.what import adopt, check_same, what
from tileconv.planning.model import Plan
from tileconv.sinks.files import refuse_same
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source


@dataclass(frozen=True)
class Begun:
    """A run about to make tiles: its plan with the tiles that are in force, and what is left of it."""

    plan: Plan
    sinks: Sequence[ZarrSink]
    history: History
    todo: Todo
    resumed: bool


def refuse_outputs(plan: Plan, source: Source) -> None:
    """Refuse to write anything over the input; SinkError."""
    output = Path(plan.spec.output.path)
    for path in (*(sink.path for sink in sinks_of(plan)), RunFolder(output).path):
        refuse_same(path, source.where)


def begin(plan: Plan, source: Source, folder: RunFolder, *, overwrite: bool) -> Begun:
    """Make ready what the run writes to, under the folder's lock.

    Raises
    ------
    SinkError
        If the output exists and is not of this run, unless tileconv made all of it and *overwrite* is set.
    ResumeError
        If the run that began the output differs from this one.
    PlanError
        If its tiles do not fit in the memory that this one may take.
    """
    sinks = sinks_of(plan)
    recorded = folder.plan()
    if overwrite or recorded is None or sinks[-1].free():
        _anew(plan, source, folder, overwrite=overwrite)
        return Begun(plan, sinks, History(), left_to_do(plan, sinks, History()), resumed=False)
    sinks[-1].check_free(overwrite=True)
    check_same(recorded, what(plan, source), plan.spec.output.path)
    plan = adopt(plan, source, recorded)
    folder.tidy()
    history = History.of(folder.journal)
    todo = left_to_do(plan, sinks, history)
    return Begun(plan, sinks, history, todo, resumed=True)


def _anew(plan: Plan, source: Source, folder: RunFolder, *, overwrite: bool) -> None:
    """Forget what was there; the plan comes before the store, so that a run that is killed here can go on."""
    sinks = sinks_of(plan)
    for sink in sinks:
        sink.check_free(overwrite=overwrite or sink.plain)
    folder.clear()
    for sink in sinks[:-1]:
        sink.remove()
    folder.write_plan(what(plan, source))
    sinks[-1].create(overwrite=overwrite)
