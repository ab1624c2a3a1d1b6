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
from tileconv.sinks.files import refuse_links, refuse_same, sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source
from tileconv.stores import steady


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
    for path in (*(sink.path for sink in sinks), RunFolder(output).path):
        refuse_same(path, source.where)
    for sink in sinks:
        with sink_errors(sink.path):
            refuse_links(sink.path, sink.chunks_path / "0")


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
    recorded = folder.plan()
    if overwrite or recorded is None or sinks[-1].free():
        _anew(plan, source, folder, overwrite=overwrite)
        history = History([len(pass_.grid) for pass_ in plan.passes])
        return Begun(plan, sinks, history, left_to_do(plan, sinks, history), resumed=False)
    sinks[-1].check_free(overwrite=True)
    check_same(recorded, what(plan, source), plan.spec.output.path)
    check_not_replaced(folder, sinks[-1].metadata_digests())
    if sinks[-1].complete() and sinks[-1].marker().get("fingerprint") != plan.fingerprint():
        problem = "its metadata names another run than the one that began this output"
        fix = "Compare and mend every tile with --repair, or begin anew with --overwrite."
        raise ResumeError(problem, where=plan.spec.output.path, fix=fix)
    plan = adopt(plan, source, recorded)
    folder.tidy()
    history = history or History.of(folder.journal, [len(pass_.grid) for pass_ in plan.passes])
    todo = left_to_do(plan, sinks, history)
    return Begun(plan, sinks, history, todo, resumed=True, notes=touched(recorded, source))


def _anew(plan: Plan, source: Source, folder: RunFolder, *, overwrite: bool) -> None:
    """Forget what was there; the plan comes before the store, so that a run that is killed here can go on."""
    *between, last = sinks_of(plan)
    last.check_free(overwrite=overwrite)
    between += _litter(folder.output, plan, {sink.path for sink in between})
    for sink in between:
        sink.check_free(overwrite=True)
        if not (sink.free() or sink.replaceable()):
            fix = "Choose another output path."
            raise SinkError("exists and is no intermediate result of tileconv", where=str(sink.path), fix=fix)
    folder.clear()
    for sink in between:
        sink.remove()
    folder.write_plan(what(plan, source))
    last.create(overwrite=overwrite)


def _litter(output: Path, plan: Plan, known: Collection[Path]) -> list[ZarrSink]:
    """Return intermediate results beside *output* that a run of more passes left; *known* are those of this one."""
    prefix = f"{output.name}.pass"
    with sink_errors(output):
        entries = steady.entries(output.parent) if steady.is_folder(output.parent) else []
    numbered = [e for e in entries if e.name.startswith(prefix) and e.name.removeprefix(prefix).isdecimal()]
    paths = sorted({Path(e.path) for e in numbered} - set(known))
    sinks = [ZarrSink(path, plan.info, plain=True) for path in paths]
    return [sink for sink in sinks if sink.replaceable()]
