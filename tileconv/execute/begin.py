"""How a run begins: anew, or from where the run that began this output was left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tileconv.errors import ResumeError, SinkError
from tileconv.execute.places import read_by
from tileconv.planning.encoding import decoded
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass, only
from tileconv.quick import dataclass
from tileconv.record.done import check_file, check_not_replaced, known_by
from tileconv.record.filed import exported
from tileconv.record.folder import RunFolder
from tileconv.record.identity import adopt, check_same, plan_record, touched
from tileconv.record.journal import History
from tileconv.record.todo import Todo, left_to_do, places_of, sinks_of
from tileconv.sinks.files import refuse_same, sink_errors
from tileconv.sinks.layout import Layout
from tileconv.sinks.levels import Level
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.source import Source
from tileconv.stores import steady
from tileconv.stores.location import Location


@dataclass(frozen=True)
class Begun:
    """A run about to make tiles: its plan with the tiles that are in force, what is left of it, and what to say.

    ``passes`` are those of the plan, without what writes outputs that are complete; ``places`` and ``sinks`` are those
    of all arrays, and ``histories`` those of all outputs.
    """

    plan: Plan
    passes: tuple[Pass, ...]
    places: Sequence[Location]
    sinks: Sequence[ZarrSink]
    histories: Sequence[History]
    todo: Todo
    resumed: bool
    notes: tuple[str, ...] = ()

    @property
    def outputs(self) -> list[int]:
        """The outputs that are not complete."""
        first = self.plan.between
        return sorted(w.array - first for pass_ in self.passes for w in pass_.writes if w.array >= first)


def refuse_outputs(plan: Plan) -> None:
    """Refuse to write anything over the input, through a link, or twice to one place; SinkError."""
    folders = [RunFolder(output.path) for output in plan.spec.outputs]
    inputs = read_by(plan.spec, plan.source)
    for place in (*places_of(plan), *(place for folder in folders for place in (folder.place, folder.output))):
        for read in inputs:
            refuse_same(place, read)
    for sink in sinks_of(plan):
        with sink_errors(sink.store.where()):
            sink.store.check(f"{sink.layout.chunks_key()}0")
    for number, folder in enumerate(folders):
        if folder.output in [other.output for other in folders[:number]]:
            fix = "Give each output a path of its own."
            raise SinkError("is the place of two outputs, by different names", where=str(folder.output), fix=fix)


def as_begun(plan: Plan, folders: Sequence[RunFolder]) -> tuple[Plan, list[str]]:
    """Return *plan* with the levels with which outputs were begun, where a pipeline does not say others, and notes.

    They stay also where it says more of the same kind, or fewer.
    """
    notes = []
    for output, folder in enumerate(folders):
        said = folder.plan()
        if said is None or not folder.output.exists():
            continue
        told = decoded(tuple[Level, ...], said.get("identity", {}).get("output", {}).get("levels", []))
        levels, asked = plan.write_of(output).levels, plan.spec.outputs[output].pyramid
        both = min(len(told), len(levels))
        if asked is None or told[:both] == levels[:both]:
            plan = _with_levels(plan, plan.between + output, told)
            text = (
                f"{1 + len(told)} of {1 + len(levels)} levels: tileconv pyramid {folder.output} --in-place adds others"
            )
            notes += [f"it was begun with {text}"] if len(levels) > len(told) else []
    return plan, notes


def _with_levels(plan: Plan, array: int, levels: tuple[Level, ...]) -> Plan:
    writes = [[replace(w, levels=levels) if w.array == array else w for w in p.writes] for p in plan.passes]
    passes = zip(plan.passes, writes, strict=True)
    return replace(plan, passes=tuple(replace(pass_, writes=tuple(of)) for pass_, of in passes))


def begin(
    plan: Plan, source: Source, folders: Sequence[RunFolder], *, overwrite: bool, known: Mapping[int, History]
) -> Begun:
    """Make ready what the run writes to, under the locks of the outputs' *folders*.

    *known* is what journals say that were read before, by output.

    Raises
    ------
    SinkError
        If an output exists and is not of this run, unless tileconv made all of it and *overwrite* is set.
    ResumeError
        If the run that began an output differs from this one, or another output lies in its place.
    PlanError
        If its tiles do not fit in the memory that this one may take.
    """
    sinks = sinks_of(plan)
    recorded = {}
    for output, folder in enumerate(folders):
        said, sink = folder.plan(), sinks[plan.between + output]
        if not (overwrite or said is None or (sink.custody.free() and not exported(folder))):
            _check_goes_on(plan, source, output, folder, sink, said)
            recorded[output] = said
    plan = adopt(plan, source, recorded)
    histories = []
    for output, folder in enumerate(folders):
        tiles = plan.tiles_of(output)
        if output in recorded:
            folder.tidy()
            histories.append(known.get(output) or History.of(folder.store, tiles, stored=False))
        else:
            _anew(plan, source, output, folder, sinks, overwrite=overwrite)
            histories.append(History(tiles, stored=False))
    notes = tuple(dict.fromkeys(note for said in recorded.values() for note in touched(said, source)))
    todo = left_to_do(plan, plan.passes, sinks, histories)
    files = {output for output in recorded if exported(folders[output])}
    passes = _unfinished(plan, sinks, todo, files)
    if passes != plan.passes:
        todo = left_to_do(plan, passes, sinks, histories)
    return Begun(plan, passes, places_of(plan), sinks, histories, todo, bool(recorded), notes)


def _unfinished(plan: Plan, sinks: Sequence[ZarrSink], todo: Todo, files: Collection[int]) -> tuple[Pass, ...]:
    """Return what of the passes outputs need that are not complete; *files* are, of which the stores are gone."""
    wanted, passes = set[int](), list[Pass]()
    for output in range(len(plan.spec.outputs)):
        array = plan.between + output
        whole = sinks[array].custody.complete() and todo.lacking.isdisjoint(plan.arrays_of(output))
        if not (whole or output in files):
            wanted.add(array)
    for pass_ in reversed(plan.passes):
        if any(write.array in wanted for write in pass_.writes):
            passes.insert(0, only(pass_, wanted))
            wanted |= {read.array for read in passes[0].reads}
    return tuple(passes)


def _check_goes_on(
    plan: Plan, source: Source, output: int, folder: RunFolder, sink: ZarrSink, recorded: dict[str, Any]
) -> None:
    """Refuse to go on with an output that another run began; errors as of ``begin``."""
    custody = sink.custody
    custody.check_free(overwrite=True)
    path = plan.spec.outputs[output].path
    check_same(recorded, plan_record(plan, source, output), path)
    check_not_replaced(folder, known_by(folder, sink))
    if custody.complete() and custody.marker().get("fingerprint") != plan.fingerprint(output):
        problem = "its metadata names another run than the one that began this output"
        fix = "Compare and mend every tile with --repair, or begin anew with --overwrite."
        raise ResumeError(problem, where=str(path), fix=fix)


def _anew(
    plan: Plan, source: Source, output: int, folder: RunFolder, sinks: Sequence[ZarrSink], *, overwrite: bool
) -> None:
    """Forget what was there; the plan comes before the store, so that a run that is killed here can go on."""
    *between, last = (sinks[array] for array in plan.arrays_of(output))
    check_file(folder, overwrite=overwrite)
    last.custody.check_free(overwrite=overwrite or bool(folder.kind))
    between += _litter(folder.output, last, {sink.store.where() for sink in between})
    for sink in between:
        sink.custody.check_free(overwrite=True)
        if not (sink.custody.free() or sink.custody.replaceable()):
            fix = "Choose another output path."
            raise SinkError("exists and is no intermediate result of tileconv", where=sink.store.where(), fix=fix)
    if folder.kind:
        with sink_errors(folder.output):
            steady.remove(folder.output.local)
    folder.clear()
    for sink in between:
        sink.custody.remove()
    folder.write_plan(plan_record(plan, source, output))
    last.create(overwrite=overwrite or bool(folder.kind))


def _litter(output: Location, last: ZarrSink, known: Collection[str]) -> list[ZarrSink]:
    """Return intermediate results beside *output* that a run of more passes left; *known* are those of this one."""
    prefix = f"{output.name}.pass"
    with sink_errors(output):
        names = sorted(name.removesuffix("/") for name in output.parent.store().names())
    places = [output.beside(n) for n in names if n.startswith(prefix) and n.removeprefix(prefix).isdecimal()]
    others = [place.store() for place in places if str(place) not in known]
    sinks = [ZarrSink(store, Layout(last.layout.info, plain=True)) for store in others]
    return [sink for sink in sinks if sink.custody.replaceable()]
