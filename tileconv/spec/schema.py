"""The JSON Schema (2020-12) of a pipeline file, for editors; made from the same fields as the checks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import BaseModel, ConfigDict, WithJsonSchema, create_model
from pydantic import Field as PydanticField

from tileconv.engines.borders import RULES
from tileconv.operations.registry import OPERATORS
from tileconv.spec.check import INPUT, OUTPUT, PIPELINE, STAGE
from tileconv.spec.clusters import JOBS, Adaptive, Jobs
from tileconv.spec.fields import REQUIRED, Field, fields_of
from tileconv.spec.masks import MASK
from tileconv.spec.model import InputSpec, MaskSpec, MissingSpec, OutputSpec, RunSpec
from tileconv.spec.operators import operator_fields, operator_summary
from tileconv.spec.pyramid import PyramidSpec
from tileconv.spec.storage import STORAGE
from tileconv.spec.words import ID
from tileconv.storage import Codec
from tileconv.stores.location import Access

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_RULE = {"enum": list(RULES)}
_ONE_BORDER = {
    "anyOf": [
        _RULE,
        {
            "type": "object",
            "properties": {"rule": _RULE, "value": {"type": "number"}},
            "required": ["rule"],
            "additionalProperties": False,
        },
    ]
}
_BORDER = {
    "anyOf": [
        *_ONE_BORDER["anyOf"],
        {"type": "object", "properties": dict.fromkeys("zyx", _ONE_BORDER), "additionalProperties": False},
    ]
}
BORDER = Field(Annotated[Any, WithJsonSchema(_BORDER)], None, "What lies outside the image.")
_NAME = WithJsonSchema({"type": "string", "pattern": f"^{ID}$"})
_NAMES = WithJsonSchema({"anyOf": [_NAME.json_schema, {"type": "array", "items": _NAME.json_schema, "minItems": 1}]})
FROM = Field(
    Annotated[Any, _NAMES], None, "What the stage reads: ids of stages, or input; the stage before by default."
)
STORED = Field(Annotated[Any, _NAME], None, "The id of the stage that is stored, or input; the last stage by default.")


def json_schema() -> dict[str, Any]:
    """Return the schema that editors complete and check pipeline files with; ``${VAR}`` is beyond it."""
    codec = Field(_model("Codec", fields_of(Codec), Codec.__doc__ or ""), None, "How chunks are compressed.")
    levels = _model("PyramidSpec", fields_of(PyramidSpec), PyramidSpec.__doc__ or "") | Literal["auto", "none"]
    pyramid = Field(levels, None, OUTPUT["pyramid"].summary)
    mask = Field(_model("MaskSpec", MASK, MaskSpec.__doc__ or "") | Literal["none"], None, "Which pixels are missing.")
    storage = Field(_model("Access", STORAGE, Access.__doc__ or ""), None, "How an object store is reached.")
    sections = {
        name: Field(_model(cls.__name__, shape, cls.__doc__ or ""), default)
        for name, cls, shape, default in (
            ("input", InputSpec, INPUT | {"mask": mask, "storage": storage}, REQUIRED),
            ("run", RunSpec, fields_of(RunSpec), None),
        )
    }
    adaptive = Field(_model("Adaptive", fields_of(Adaptive), Adaptive.__doc__ or ""), None, JOBS["adaptive"].summary)
    cluster = _model("Jobs", JOBS | {"adaptive": adaptive}, Jobs.__doc__ or "")
    clusters: Any = dict[Annotated[str, _NAME], cluster]  # type: ignore[valid-type]
    sections["clusters"] = Field(clusters, None, "Clusters that run.executor may name.")
    missing = Field(_model("MissingSpec", fields_of(MissingSpec), MissingSpec.__doc__ or ""), None)
    output = _model(
        "OutputSpec",
        OUTPUT | {"codec": codec, "from": STORED, "pyramid": pyramid, "storage": storage},
        OutputSpec.__doc__ or "",
    )
    sections |= {
        "output": Field(output, None),
        "outputs": Field(Annotated[dict[Annotated[str, _NAME], output], MinLen(1)], None, "Several outputs, by name."),  # type: ignore[valid-type]
    }
    stage: Any = Annotated[
        reduce(or_, (_stage(name, missing) for name in OPERATORS)), PydanticField(discriminator="op")
    ]
    shape = PIPELINE | sections | {"border": BORDER, "missing": missing, "stages": Field(list[stage])}
    pipeline = _model("Pipeline", shape, "A tileconv pipeline.")
    schema = pipeline.model_json_schema()
    either = [{"required": ["output"]}, {"required": ["outputs"]}]
    return {"$schema": DIALECT, **_without_null(schema), "oneOf": either, "patternProperties": {"^x-": {}}}


def _stage(name: str, missing: Field) -> type[BaseModel]:
    own = {"border": BORDER, "from": FROM, "missing": missing, "op": Field(Literal[name])}
    shape = STAGE | own | operator_fields(name)
    return _model(f"Stage_{name}", shape, operator_summary(name))


def _model(name: str, shape: Mapping[str, Field], summary: str) -> type[BaseModel]:
    """Return a pydantic model with the fields of *shape*, which is asked for its schema only."""
    columns: Any = {key: (field.form, _default(field)) for key, field in shape.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid", title=name), __doc__=summary, **columns)


def _default(field: Field) -> Any:
    description = field.summary or None
    if field.default is REQUIRED:
        return PydanticField(description=description)
    if field.default is None:
        return PydanticField(default_factory=lambda: None, description=description)
    return PydanticField(field.default, description=description)


def _without_null(schema: Any) -> Any:
    """Return *schema* without the alternative null: a spec leaves out what it does not say."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(value) for key, value in schema.items()}
    if "anyOf" in kept:
        kept["anyOf"] = [item for item in kept["anyOf"] if item != {"type": "null"}]
    return kept
