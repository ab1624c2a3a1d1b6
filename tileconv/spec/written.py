"""A checked pipeline as a pipeline file would hold it, for provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from tileconv.engines.borders import Border
from tileconv.operations.steps import steps_of
from tileconv.spec.model import ALL, IMAGE, INPUT, RESOLVED, PipelineSpec, StageSpec
from tileconv.stores.location import Location


def as_mapping(spec: PipelineSpec) -> dict[str, Any]:
    """Return *spec* as plain JSON values with every default written out, for provenance.

    ``spec_from_mapping(as_mapping(spec)) == spec``. What the plan chooses (None) is left out; paths are absolute.
    """
    words = {"version": spec.version, **_plain(spec)}
    words["input"] |= {"path": [*spec.input.paths]} if spec.input.paths else {}
    words["input"] |= {"series": ALL} if spec.input.every_series else {}
    for output, told in zip(spec.outputs, words["outputs"], strict=True):
        if output.stage != len(spec.stages) - 1:
            told["from"] = _name(spec, output.stage)
    for number, (stage, told) in enumerate(zip(spec.stages, words["stages"], strict=True)):
        if stage.inputs != (number - 1,):
            told["from"] = [_name(spec, i) for i in stage.inputs]
    several = {output.label: told for output, told in zip(spec.outputs, words["outputs"], strict=True)}
    stored = ("outputs", several) if spec.output.label else ("output", several[""])
    return dict(stored if key == "outputs" else (key, value) for key, value in words.items())


def _name(spec: PipelineSpec, stage: int) -> str | None:
    return IMAGE if stage == INPUT else spec.stages[stage].id


def _plain(value: Any) -> Any:
    if isinstance(value, Location):
        return str(value)
    if isinstance(value, Border):
        return {"rule": value.rule} | ({"value": value.value} if value.rule == "constant" else {})
    if isinstance(value, StageSpec):
        unused = {key for step in steps_of(value.operation) for key in step.operation.excludes}
        written = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in RESOLVED | unused}
        return _plain(written | dict(value.parameters))
    if is_dataclass(value):
        return _plain({f.name: getattr(value, f.name) for f in fields(value) if f.name not in RESOLVED})
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
