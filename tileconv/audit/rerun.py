"""A result once more, from the provenance that it carries: no spec and no run folder is needed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tileconv.errors import ResumeError, SinkError, SourceError
from tileconv.execute.prepare import planned
from tileconv.execute.report import Report
from tileconv.execute.run import run_plan
from tileconv.planning.model import Plan
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.identity import first_difference
from tileconv.record.provenance import identity_of, read_provenance
from tileconv.sinks.files import sink_errors
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec, spec_from_mapping
from tileconv.storage import FILES
from tileconv.stores.location import Location, here

SAME = "the result would be another"
MOST_CHUNK = 10**15 - 1
"""The largest ``run.max_chunk``: the run that made the output read the same file within a limit of its own."""


@dataclass(frozen=True)
class Again:
    """The run that made an output, planned again; ``notes`` tell which versions differ from those of then."""

    plan: Plan
    source: Source
    notes: tuple[str, ...]


def rerun(
    output: str | Path,
    target: str | Path | None = None,
    *,
    input_path: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], object] | None = None,
) -> Report:
    """Make a result once more, from the provenance that the output carries alone, and return a report.

    Parameters
    ----------
    target
        Where; ``NAME.rerun.ome.zarr`` beside *output* by default, of a file with its own suffix.
    input_path
        Where the input lies now; where it lay then by default.
    overwrite
        Whether *target* is replaced, which tileconv must have made.
    progress
        Hears of every tile.
    note
        Hears of versions that differ from those of then.

    Raises
    ------
    SourceError
        If *output* does not say how it was made, or the input is gone.
    ResumeError
        If the input, a kernel or an engine is not what it was.
    """
    made = here(output)
    again = plan_again(made, target_of(made, target, overwrite=overwrite), input_path=input_path)
    if note:
        for text in again.notes:
            note(text)
    return run_plan(again.plan, again.source, overwrite=overwrite, progress=progress)


def plan_again(
    output: Location, target: Location, *, input_path: Path | str | None = None, run: Mapping[str, Any] | None = None
) -> Again:
    """Return the run that made *output*, writing to *target*.

    Parameters
    ----------
    input_path
        Where the input lies now; where it lay then by default.
    run
        The section ``run`` of the spec, which the output does not tell.

    Raises
    ------
    SourceError
        If *output* is no finished output of tileconv, or the input cannot be opened.
    ResumeError
        If the input, a kernel or an engine is not what it was: the first difference is named.
    SpecError, PlanError
        If the recorded pipeline cannot be read or planned here, as when a large kernel's file is gone.
    """
    told = read_provenance(output)
    spec = _spec(told, output, target, input_path, run or {})
    plan, source = planned(spec)
    identity = identity_of(plan, source)
    now = {
        "input": source.fingerprint,
        "kernels": identity.of_stages("kernels"),
        "engines": identity.of_stages("engine"),
    }
    for part, fix in _FIXES.items():
        if part in told:
            before, after = told[part], now[part]
            if part == "input" and "mtime_ns" in before:  # an output of before tells less, and the time of change
                before, after = ({key: one.get(key) for key in ("size", "digest")} for one in (before, after))
            _check(before, after, part, output, fix.format(input=source.where))
    then = {"tileconv": told.get("version"), **told.get("libraries", {})}
    notes = [
        f"{name} was {then.get(name)} then and is {here} now; bytes may differ"
        for name, here in identity.versions.items()
        if then.get(name) != here
    ]
    return Again(plan, source, tuple(notes))


_FIXES = {
    "input": "Give the file as it was: {input}.",
    "kernels": "Give the file of its kernel, or of its weights, as it was.",
    "engines": "Run the spec with that engine stated in the stage.",
}


def target_of(output: Location, asked: Path | str | None, *, overwrite: bool) -> Location:
    """Return where *output* is made again: *asked*, or beside it as ``rerun`` has it.

    Raises
    ------
    SinkError
        If it lies inside *output*, or is *output* and *overwrite* is not set.
    """
    kind = next((suffix for suffix in FILES if output.name.endswith(suffix)), ".ome.zarr")
    stem = output.name.removesuffix(kind).removesuffix(".zarr")
    target = here(asked) if asked is not None else output.beside(f"{stem}.rerun{kind}")
    with sink_errors(target):
        written, read = target.resolved(), output.resolved()
    if written == read and not overwrite:
        fix = "Choose another path, or allow replacing it with --overwrite."
        raise SinkError("is the output itself", where=str(target), fix=fix)
    if written.within(read):
        raise SinkError(f"lies inside {output}", where=str(target), fix="Choose another path.")
    return target


def _spec(
    provenance: Mapping[str, Any],
    output: Location,
    target: Location,
    input_path: Path | str | None,
    run: Mapping[str, Any],
) -> PipelineSpec:
    """Return the recorded pipeline with other paths and another ``run``.

    Outputs of before tell theirs, and the weights that lay in files under ``weights``.
    """
    spec = copy.deepcopy(provenance["spec"])
    try:
        spec["output"] |= {"path": str(target), "pyramid": spec["output"].get("pyramid", "none")}
        spec["run"] = {"max_chunk": MOST_CHUNK, **spec.get("run", {}), **run}
        if input_path is not None:
            spec["input"]["path"] = str(here(input_path))
        for number, stage in enumerate(spec["stages"]):
            name = stage.get("id") or f"{number} {stage['op']}"
            if name in provenance.get("weights", {}):
                stage["kernel"] = provenance["weights"][name]
    except (TypeError, KeyError, AttributeError) as error:
        problem = "its record of how it was made cannot be read"
        raise SourceError(problem, where=str(output), fix="Run its pipeline file instead.") from error
    return spec_from_mapping(spec)


def _check(before: Any, now: Any, part: str, output: Location, fix: str) -> None:
    """Refuse another input, kernel or engine than that of the record."""
    if difference := first_difference(before, now):
        path, was, is_now = difference
        words = {"input": "input", "kernels": "kernel of stage", "engines": "engine of stage"}
        name = " ".join([words[part], *map(str, path[:1])])
        was, is_now = (value if isinstance(value, str) else json.dumps(value) for value in (was, is_now))
        raise ResumeError(f"{name} was {was} when it was made, and is {is_now}", where=str(output), why=SAME, fix=fix)
