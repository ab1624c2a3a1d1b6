"""The JSON Schema says what the checks say, by a validator that knows exactly the keywords that the schema uses."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tileconv.errors import SpecError
from tileconv.operations.registry import OPERATORS
from tileconv.spec import spec_from_mapping
from tileconv.spec.schema import json_schema

SCHEMA = json_schema()
OBJECTS = {"additionalProperties", "patternProperties"}
NOTES = {"$schema", "$defs", "title", "description", "default", "discriminator"}
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float)}
GOOD: dict[str, Any] = {
    "version": 1,
    "x-note": 3,
    "input": {"path": "/a.tif", "nodata": 0},
    "stages": [
        {"op": "gaussian", "sigma": {"y": 2, "x": 3.5}, "id": "blur", "border": {"x": "wrap"}},
        {"op": "box", "size": 3, "border": {"rule": "constant", "value": 1}},
        {"op": "correlate", "kernel": [[1, 2], [3, 4]], "normalize": True},
        {"op": "clip", "range": [0, 1], "id": "clipped"},
        {"op": "sobel", "component": "x", "over": "zyx", "id": "last", "from": "blur"},
        {"op": "add", "from": ["last", "clipped"]},
    ],
    "border": "mirror",
    "missing": {"rule": "fill", "value": 0},
    "output": {"path": "/b.zarr", "chunks": 512},
    "run": {"memory": "2GiB", "workers": "auto", "tile": {"y": 256}, "executor": "tcp://host:1"},
}


def valid(value: Any, schema: dict[str, Any]) -> bool:
    extra = schema.get("additionalProperties")
    if isinstance(value, dict) and not all(extra is not False and valid(v, extra) for v in others(value, schema)):
        return False
    return all(VALIDATORS[word](value, rule) for word, rule in schema.items() if word not in NOTES | OBJECTS)


def of_type(value: Any, name: str) -> bool:
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def others(value: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    if "additionalProperties" not in schema:
        return []
    patterns = schema.get("patternProperties", {})
    named = {key for key in value if key in schema.get("properties", {}) or any(re.search(p, key) for p in patterns)}
    return [item for key, item in value.items() if key not in named]


VALIDATORS: dict[str, Any] = {
    "$ref": lambda v, r: valid(v, SCHEMA["$defs"][r.removeprefix("#/$defs/")]),
    "type": lambda v, r: of_type(v, r),
    "properties": lambda v, r: not isinstance(v, dict) or all(valid(v[k], r[k]) for k in v if k in r),
    "propertyNames": lambda v, r: not isinstance(v, dict) or all(valid(k, r) for k in v),
    "required": lambda v, r: not isinstance(v, dict) or set(r) <= set(v),
    "items": lambda v, r: not isinstance(v, list) or all(valid(item, r) for item in v),
    "enum": lambda v, r: v in r,
    "const": lambda v, r: v == r and type(v) is type(r),
    "anyOf": lambda v, r: any(valid(v, one) for one in r),
    "oneOf": lambda v, r: sum(valid(v, one) for one in r) == 1,
    "minItems": lambda v, r: not isinstance(v, list) or len(v) >= r,
    "minProperties": lambda v, r: not isinstance(v, dict) or len(v) >= r,
    "minimum": lambda v, r: not isinstance(v, int | float) or v >= r,
    "exclusiveMinimum": lambda v, r: not isinstance(v, int | float) or v > r,
    "pattern": lambda v, r: not isinstance(v, str) or re.search(r, v) is not None,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    mapping = copy.deepcopy(GOOD)
    node: Any = mapping
    *keys, last = path.split(".")
    for key in keys:
        node = node[int(key) if isinstance(node, list) else key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return mapping


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        named = [n for key in ("properties", "$defs", "patternProperties") for n in schema.get(key, {}).values()]
        inner = [schema.get(key) for key in ("items", "additionalProperties", "propertyNames")]
        for node in [*named, *inner, *schema.get("anyOf", []), *schema.get("oneOf", [])]:
            yield from subschemas(node)


def test_a_right_pipeline_is_valid() -> None:
    assert valid(GOOD, SCHEMA)
    assert spec_from_mapping(GOOD)


def test_shape_of_the_schema() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert {f"Stage_{name}" for name in OPERATORS} <= set(SCHEMA["$defs"])
    assert all(set(node) <= NOTES | OBJECTS | set(VALIDATORS) for node in subschemas(SCHEMA))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 2),
        ("input", None),
        ("input.pth", "a"),
        ("input.series", -1),
        ("input.axes", "yxs"),
        ("stages.0.sgima", 2),
        ("stages.0.sigma", 0),
        ("stages.0.sigma", [2, 3]),
        ("stages.0.id", "3"),
        ("stages.1.size", 2.5),
        ("stages.1.size", "3"),
        ("stages.1.border", {"rule": "edge"}),
        ("stages.2.kernel", None),
        ("stages.2.normalize", "yes"),
        ("stages.3.op", "trim"),
        ("stages.4.component", "w"),
        ("stages.4.from", []),
        ("stages.4.from", ["3"]),
        ("output", None),
        ("outputs", {"a": {"path": "/c.zarr"}}),
        ("output.from", ["blur", "last"]),
        ("border", ["wrap"]),
        ("missing.rule", "renormalise"),
        ("output.dtype", "float"),
        ("output.chunks", {"w": 3}),
        ("run.memory", "2G"),
        ("run.workers", 0),
        ("run.executor", "http://host:1"),
        ("run.cluster", "x"),
    ],
)
def test_schema_and_checks_refuse_the_same(path: str, value: Any) -> None:
    mapping = changed(path, value)
    assert not valid(mapping, SCHEMA)
    with pytest.raises(SpecError):
        spec_from_mapping(mapping)
