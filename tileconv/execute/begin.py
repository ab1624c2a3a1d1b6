"""How a run begins: anew, or from where the run that began this output was left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tileconv.errors import ResumeError, SinkError
from tileconv.planning.model import Plan
from tileconv.record.done import check_not_replaced
from tileconv.record.folder import RunFolder
from tileconv.record.identity import adopt, check_same, touched, what
from tileconv.record.journal import History
from tileconv.record.todo import Todo, left_to_do, sinks_of
from tileconv.sinks.files import refuse_same, sink_errors
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source
from tileconv.stores import steady
from tileconv.stores.local import LocalStore


@dataclass(frozen=True)
class Begun:
    """A run about to make tiles: its plan with the tiles that are in force, what is left of it, and what to say."""

    plan: Plan
    sinks: Sequence[ZarrSink]
    history: History
    todo: Todo
    resumed: bool
    notes: tuple[str, ...] = ()


def refuse_outputs(plan: Plan, source: Source) -> None:
    """Refuse to write anything over the input, or through a link; SinkError."""
    output, sinks = Path(plan.spec.output.path), sinks_of(plan)
    for place in (*(sink.store.where() for sink in sinks), str(RunFolder(output).path)):
        refuse_same(place, source.where)
    for sink in sinks:
        with sink_errors(sink.store.where()):
            sink.store.check(f"{sink.layout.chunks_key()}0")


def begin(plan: Plan, source: Source, folder: RunFolder, *, overwrite: bool, history: History | None = None) -> Begun:
    """Make ready what the run writes to, under the folder's lock.

    *history* is what the journal says, if it was read before.

    Raises
    ------
    SinkError
        If the output exists and is not of this run, unless tileconv made all of it and *overwrite* is set.
    ResumeError
        If the run that began the output differs from this one, or another output lies in its place.
    PlanError
        If its tiles do not fit in the memory that this one may take.
    """
    sinks = sinks_of(plan)
    recorded, custody = folder.plan(), sinks[-1].custody
    if overwrite or recorded is None or custody.free():
        _anew(plan, source, folder, overwrite=overwrite)
        history = History([len(pass_.grid) for pass_ in plan.passes])
        return Begun(plan, sinks, history, left_to_do(plan, sinks, history), resumed=False)
    custody.check_free(overwrite=True)
    check_same(recorded, what(plan, source), plan.spec.output.path)
    check_not_replaced(folder, custody.metadata_digests())
    if custody.complete() and custody.marker().get("fingerprint") != plan.fingerprint():
        problem = "its metadata names another run than the one that began this output"
        fix = "Compare and mend every tile with --repair, or begin anew with --overwrite."
        raise ResumeError(problem, where=plan.spec.output.path, fix=fix)
    plan = adopt(plan, source, recorded)
    folder.tidy()
    history = history or History.of(folder.store, [len(pass_.grid) for pass_ in plan.passes])
    todo = left_to_do(plan, sinks, history)
    return Begun(plan, sinks, history, todo, resumed=True, notes=touched(recorded, source))


def _anew(plan: Plan, source: Source, folder: RunFolder, *, overwrite: bool) -> None:
    """Forget what was there; the plan comes before the store, so that a run that is killed here can go on."""
    *between, last = sinks_of(plan)
    last.custody.check_free(overwrite=overwrite)
    between += _litter(folder.output, plan, {sink.store.where() for sink in between})
    for sink in between:
        sink.custody.check_free(overwrite=True)
        if not (sink.custody.free() or sink.custody.replaceable()):
            fix = "Choose another output path."
            raise SinkError("exists and is no intermediate result of tileconv", where=sink.store.where(), fix=fix)
    folder.clear()
    for sink in between:
        sink.custody.remove()
    folder.write_plan(what(plan, source))
    last.create(overwrite=overwrite)


def _litter(output: Path, plan: Plan, known: Collection[str]) -> list[ZarrSink]:
    """Return intermediate results beside *output* that a run of more passes left; *known* are those of this one."""
    prefix = f"{output.name}.pass"
    with sink_errors(output):
        entries = steady.entries(output.parent) if steady.is_folder(output.parent) else []
    numbered = [e for e in entries if e.name.startswith(prefix) and e.name.removeprefix(prefix).isdecimal()]
    places = sorted({e.path for e in numbered} - set(known))
    sinks = [ZarrSink(LocalStore(Path(place)), Layout(plan.info, plain=True)) for place in places]
    return [sink for sink in sinks if sink.custody.replaceable()]
