"""What a run makes, part by part, so that the first difference between two runs can be named in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tileconv.boxes import TileGrid
from tileconv.engines.filters import BLAS
from tileconv.errors import ResumeError
from tileconv.planning.build import with_tile
from tileconv.planning.lengths import meant
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass, only
from tileconv.planning.pyramid import tiles_of_levels
from tileconv.record.provenance import identity_of
from tileconv.sources.source import Source
from tileconv.spec.written import as_mapping
from tileconv.stores.location import Location

FORMAT = 4
LONGEST = 200
CHANGED = "input_changed"
CONTENT = tuple(
    f"input.{of}{name}" for of in ("", "mask_") for name in ("size", "version", "digest", "blocks", "stored", "sample")
)
PIXELS = ("output.dtype", "output.overflow", "output.nodata")
TOLD = ("border", "extent", "engine")
"""Words of a stage that stand in its identity as they are."""
Words = Mapping[str, Any]
ANEW = "Use what it was, choose another output path, or begin anew with --overwrite."


def plan_record(plan: Plan, source: Source, output: int = 0) -> dict[str, Any]:
    """Return ``plan.json`` of an output: under ``identity`` all that determines it, the tiles under ``grids``.

    ``words`` are those of its stages, by which a difference is named, and the pixels of lengths in them. Under ``run``
    is noted what changes no pixel: where the output was to lie, how the run was to go, and when the input was changed
    last.
    """
    asked = plan.spec.only(output)
    spec, lengths = as_mapping(asked), meant(asked, plan.source)
    made = [plan.made_by(array) for array in plan.arrays_of(output)]
    grids = [(plan.passes[number].grid, write.levels) for number, write in made]
    return {
        "format": FORMAT,
        "identity": identity_of(plan, source, output).as_json(),
        "words": [
            {key: value for key, value in words.items() if key not in TOLD}
            | ({"pixels": lengths[name]} if (name := stage.name_at(number)) in lengths else {})
            for number, (words, stage) in enumerate(zip(spec["stages"], asked.stages, strict=True))
        ],
        "grids": [
            _grid(grid) | ({"levels": [_grid(of.grid) for of in tiles_of_levels(levels, grid)]} if levels else {})
            for grid, levels in grids
        ],
        "run": spec["run"] | {"output": spec["output"]["path"], CHANGED: _date(source.changed)},
    }


def _grid(grid: TileGrid) -> dict[str, Any]:
    return {"tile": [*grid.tile], "tiles": len(grid)}


def touched(recorded: dict[str, Any], source: Source) -> tuple[str, ...]:
    """Return a note if the time of change of the input is not that of when the run *recorded* was begun."""
    before, now = recorded["run"][CHANGED], _date(source.changed)
    if before == now:
        return ()
    same = "its size and all parts that are compared are the same, so it is taken for the same"
    return (f"the input was changed last at {now}, and at {before} when this output was begun: {same}",)


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9).astimezone().isoformat(" ", "seconds") if ns else "an unknown time"


def check_same(recorded: dict[str, Any], now: dict[str, Any], output: Location) -> None:
    """Refuse to go on with what another run began.

    Raises
    ------
    ResumeError
        If anything that decides pixels differs; the first difference is named with both values.
    """
    if (format_ := recorded.get("format")) != FORMAT:
        problem = f"was begun by another version of tileconv: its plan.json has format {format_}, and not {FORMAT}"
        why = "that does not tell all that decides pixels"
        raise ResumeError(
            problem, where=str(output), why=why, fix="Begin anew with --overwrite, or resume it with that version."
        )
    found = first_difference(recorded["identity"], now["identity"])
    if found is None:
        return
    path, before, after = found
    name, fix = ".".join(map(str, path)), ANEW
    if path[0] == "stages" and len(path) > 2:
        stage = now["identity"]["stages"][path[1]]["name"]
        if worded := first_difference(*_words_of(stage, recorded["words"], now["words"]), path[:2]):
            path, before, after = worded
        name = f"{path[2]} of stage {stage}" + "".join(f", {part}" for part in path[3:])
        if path[2] == "engine":
            fix = f"State engine: {before} in stage {stage}, or begin anew with --overwrite."
    problem = f"{name} was {_short(before)} when this output was begun, and is {_short(after)}"
    if name in CONTENT:
        problem += f"; the file was changed last at {now['run'][CHANGED]}, and at {recorded['run'][CHANGED]} then"
    raise ResumeError(problem, where=str(output), why=_why(name), fix=fix)


def _words_of(stage: str, recorded: Sequence[Words], now: Sequence[Words]) -> tuple[Words, Words]:
    """Return what both pipelines say of *stage*, which may be a step of theirs; nothing if it is of colours alone."""
    for number, (before, after) in enumerate(zip(recorded, now, strict=False)):
        name = after.get("id") or f"{number} {after['op']}"
        if f"{stage},".startswith(f"{name},"):
            return before, after
    return {}, {}


def _why(name: str) -> str:
    """Return why an output cannot be resumed where *name* differs."""
    if name == f"versions.{BLAS}":
        return "products of matrices differ by processor and by the library that makes them"
    if name.startswith("versions"):
        return "another version may make other bytes"
    if name == "input.path":
        return "an output is resumed from the file that it was begun from"
    stored = name.startswith("output.") and name not in PIXELS
    return "one image cannot hold both" if stored else "one image cannot hold the pixels of both"


def first_difference(before: Any, after: Any, path: tuple[Any, ...] = ()) -> tuple[tuple[Any, ...], Any, Any] | None:
    """Return where two JSON values differ first, in the order of *after*, and both values there; None if nowhere.

    Examples
    --------
    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]})
    (('a', 1), 2, 3)
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in (*after, *(key for key in before if key not in after)):
            if found := first_difference(before.get(key), after.get(key), (*path, key)):
                return found
        return None
    if isinstance(before, list) and isinstance(after, list):
        if path == ("stages",) and len(before) != len(after):
            return ("number of stages",), len(before), len(after)
        if len(before) == len(after):
            pairs = enumerate(zip(before, after, strict=True))
            return next((f for i, (b, a) in pairs if (f := first_difference(b, a, (*path, i)))), None)
    return None if before == after else (path, before, after)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def adopt(plan: Plan, source: Source, recorded: Mapping[int, dict[str, Any]]) -> Plan:
    """Return *plan* with the tiles of the runs that began its outputs, by output; a pass of several is cut in parts.

    Raises
    ------
    ResumeError
        If the spec states other tiles.
    PlanError
        If they do not fit in the memory that this run may take.
    """
    passes: list[Pass] = []
    for pass_ in plan.passes:
        groups: dict[tuple[int, ...], list[int]] = {}
        for write in sorted(pass_.writes, key=lambda write: plan.recorded(write.array)[0] not in recorded):
            output, number = plan.recorded(write.array)
            if output in recorded:
                tile = tuple(recorded[output]["grids"][number]["tile"])
            else:  # it joins one that was begun, if it can
                tile = next((tile for tile in groups if write.suits(tile)), pass_.grid.tile)
            groups.setdefault(tile, []).append(write.array)
        for tile, arrays in groups.items():
            part = only(pass_, arrays)
            passes.append(part if tile == pass_.grid.tile else _with_tile(plan, source, part, tile))
    return replace(plan, passes=tuple(passes))


def _with_tile(plan: Plan, source: Source, pass_: Pass, tile: tuple[int, ...]) -> Pass:
    if plan.spec.run.tile is not None:
        before, now = (_short(dict(zip(pass_.image.axes, sides, strict=True))) for sides in (tile, pass_.grid.tile))
        problem = f"run.tile was {before} when this output was begun, and is {now}"
        raise ResumeError(problem, where=str(plan.spec.output.path), fix=ANEW)
    return with_tile(plan, pass_, tile, cache_bytes=source.cache_bytes)
