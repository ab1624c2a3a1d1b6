"""What a run folder says of a finished output: what was written, where, and that it is still that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tileconv.boxes import TileGrid
from tileconv.errors import ResumeError, SinkError, SourceError
from tileconv.images import ImageInfo
from tileconv.planning.encoding import decoded
from tileconv.planning.machine import usable_processors
from tileconv.record.filed import checksums, looks
from tileconv.record.folder import RunFolder
from tileconv.sinks.files import refuse_existing, sink_errors
from tileconv.sinks.layout import Layout
from tileconv.sinks.levels import Level
from tileconv.sinks.zarr import ZarrSink
from tileconv.spec.model import RunSpec
from tileconv.storage import Storage
from tileconv.stores import steady
from tileconv.stores.location import Location
from tileconv.stores.store import content

PLAN, METADATA, PARTS = "plan", "metadata", "parts"
"""What ``done`` holds digests of: ``plan.json``, the metadata files of the store, and the parts of a file."""


def recorded_plan(folder: RunFolder) -> dict[str, Any]:
    """Return ``plan.json`` of the run that made an output.

    Raises
    ------
    SourceError
        If it is absent or damaged.
    """
    plan, where = folder.plan(), str(folder.place)
    expected = (folder.facts() or {}).get(PLAN)
    if plan is None or (expected is not None and expected != plan_digest(folder)):
        state = "a plan.json that is damaged" if folder.holds("plan.json") else "no plan.json"
        state = state if folder.there() else "nothing"
        fix = "Give the output of a run; its run folder lies beside it."
        if folder.output.store().stat("zarr.json"):
            fix = f"Only that holds the digests of tiles; tileconv rerun {folder.output} makes the result again."
        raise SourceError(f"expected the run folder of {folder.output}, found {state}", where=where, fix=fix)
    return plan


def recorded_run(output: Location) -> dict[str, Any]:
    """Return the section ``run`` of the spec of the run that made *output*; empty if that does not tell it.

    Raises
    ------
    SourceError
        If there is no run folder, or it is damaged.
    """
    run: dict[str, Any] = recorded_plan(RunFolder(output)).get("run", {})
    return {key: value for key, value in run.items() if key in RunSpec.__dataclass_fields__}


def plan_digest(folder: RunFolder) -> str:
    """Return a digest of ``plan.json``; empty if it is absent."""
    with sink_errors(folder.place, "read"):
        stored = content(folder.store, "plan.json")
    return "" if stored is None else hashlib.sha256(stored).hexdigest()


def facts_of(folder: RunFolder, sink: ZarrSink, fingerprint: str) -> dict[str, Any]:
    """Return what ``done`` says of a finished output, so that damage to any file of it is found."""
    facts = {"fingerprint": fingerprint, PLAN: plan_digest(folder), METADATA: known_by(folder, sink)}
    return facts | ({PARTS: [*checksums(folder.output.local, usable_processors())]} if folder.kind else {})


def known_by(folder: RunFolder, sink: ZarrSink) -> dict[str, str]:
    """Return by what a finished output is known again: digests of a store's metadata, or what a file looks like.

    They are empty for what is missing.
    """
    if not folder.kind:
        return sink.custody.metadata_digests()
    with sink_errors(folder.output, "read"):
        return {folder.output.name: looks(folder.output.local)}


def check_file(folder: RunFolder, *, overwrite: bool) -> None:
    """Refuse to begin an output that is a file where one lies that must stay; SinkError."""
    if not (folder.kind and steady.exists(folder.output.local)):
        return
    refuse_existing(folder.output.local, overwrite=overwrite)
    facts = facts_read(folder) or {METADATA: {}}
    if facts[METADATA].get(folder.output.name) != looks(folder.output.local):
        problem, fix = "exists and is not what a run of tileconv wrote there", "Choose another output path."
        raise SinkError(problem, where=str(folder.output), fix=fix)


def facts_read(folder: RunFolder) -> dict[str, Any] | None:
    """Return what ``done`` says; None when it is absent or damaged, or says nothing of the files."""
    facts = folder.facts()
    told = facts is not None and isinstance(facts.get(PLAN), str) and isinstance(facts.get(METADATA), dict)
    return facts if told else None


def check_not_replaced(folder: RunFolder, stored: Mapping[str, str]) -> None:
    """Refuse an output that is done, but whose metadata files, with digests as *stored*, are not those of its run.

    A file that is missing is let pass: a run that goes on makes it again.

    Raises
    ------
    ResumeError
        If a metadata file differs, or ``done`` does not say what it was.
    """
    if not folder.done():
        return
    facts = facts_read(folder)
    problem = "its run folder cannot tell what was written: the marker done cannot be read"
    if facts is not None:
        differing = [name for name, digest in stored.items() if digest and digest != facts[METADATA].get(name)]
        if not differing:
            return
        problem = f"{differing[0]} is not what the run wrote, so this may be another output in its place"
    fix = "Compare and mend every tile with --repair, or begin anew with --overwrite."
    raise ResumeError(problem, where=str(folder.output), fix=fix)


def tiles_of(folder: RunFolder, plan: dict[str, Any]) -> dict[tuple[int, int], int]:
    """Return how many tiles there are of each (array, level) of *plan*; SourceError if it does not tell."""
    try:
        grids = [[grid, *grid.get("levels", ())] for grid in plan["grids"]]
        levels = ((array, level, grid) for array, each in enumerate(grids) for level, grid in enumerate(each))
        return {(array, level): int(grid["tiles"]) for array, level, grid in levels}
    except (KeyError, TypeError, ValueError) as error:
        raise _untold(folder) from error


def recorded_store(folder: RunFolder, plan: dict[str, Any]) -> tuple[ZarrSink, list[TileGrid]]:
    """Return the store, and the tiles of its levels in their own coordinates; SourceError if *plan* does not tell."""
    try:
        told = plan["identity"]["output"] if "identity" in plan else _before_format_4(plan)
        info, storage = decoded(ImageInfo, told), decoded(Storage, told)
        layout = Layout(info, storage=storage, levels=decoded(tuple[Level, ...], told.get("levels", [])))
        last = plan["grids"][-1]
        each = zip(layout.each, [last, *last.get("levels", ())], strict=True)
        grids = [(TileGrid(of.info.box, tuple(grid["tile"])), grid["tiles"]) for of, grid in each]
        if any(len(grid) != count for grid, count in grids):
            raise ValueError
        return ZarrSink(folder.stored.store(), layout), [grid for grid, _ in grids]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _untold(folder) from error


def _before_format_4(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what plans of earlier formats tell of the output."""
    names = ("shape", "axes", "dtype", "chunks", *Storage.__dataclass_fields__)
    return {name: plan["what"][f"output.{name}"] for name in names if f"output.{name}" in plan["what"]}


def _untold(folder: RunFolder) -> SourceError:
    fix = "Verify it with the version of tileconv that made it, or make it again with --overwrite."
    return SourceError("does not say what was written", where=folder.store.where("plan.json"), fix=fix)
