"""A tree of nodes to a PipelineSpec, or one SpecError that lists every problem in the order of the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from tileconv.engines.borders import Border
from tileconv.errors import KernelError, Problem, SpecError
from tileconv.operations.operation import Operation
from tileconv.operations.registry import HINTS, OPERATORS
from tileconv.operations.steps import Steps, steps_of
from tileconv.spec.borders import borders
from tileconv.spec.clusters import clusters_of, named_cluster
from tileconv.spec.fields import Field, fields_of
from tileconv.spec.graph import check_ids, ids_of, inputs_of
from tileconv.spec.inputs import check_batch, check_input
from tileconv.spec.lengths import written_at
from tileconv.spec.masks import mask_of
from tileconv.spec.missing import check_global, missing_of, rule_of_stage
from tileconv.spec.model import (
    RESOLVED,
    InputSpec,
    MissingSpec,
    OutputSpec,
    Over,
    PipelineSpec,
    RunSpec,
    StageSpec,
)
from tileconv.spec.operators import make_operation, operator_fields
from tileconv.spec.outputs import check_output, outputs_of, stored_stages
from tileconv.spec.part import check_channels, check_extents
from tileconv.spec.reader import BAD, Reader, did_you_mean, join
from tileconv.spec.storage import reach, storage_of, without
from tileconv.spec.text import ListNode, MapNode, Node, ScalarNode, kind_of

MOST_PROBLEMS = 100
"""Mistakes of one file that are listed."""

OPTIONAL_NODE = Field(None, None)
"""A key whose value this module reads itself."""

PIPELINE = (
    {"input": OPTIONAL_NODE, "output": OPTIONAL_NODE}
    | {name: field for name, field in fields_of(PipelineSpec).items() if name not in RESOLVED}
    | {
        "version": Field(fields_of(PipelineSpec)["version"].form),
        "input": Field(None, summary="{path: ...}"),
        "stages": Field(None, summary="[{op: gaussian, sigma: 2}]"),
        "output": Field(None, summary="{path: ...}"),
        "outputs": OPTIONAL_NODE,
        **dict.fromkeys(("border", "clusters", "missing", "run"), OPTIONAL_NODE),
    }
)
STAGE = {name: field for name, field in fields_of(StageSpec).items() if name not in RESOLVED} | {
    "op": Field(None),
    **dict.fromkeys(("border", "from", "missing"), OPTIONAL_NODE),
}
OUTPUT = {name: field for name, field in fields_of(OutputSpec).items() if name not in RESOLVED} | {
    **dict.fromkeys(("codec", "from", "storage"), OPTIONAL_NODE),
}
INPUT = {name: field for name, field in fields_of(InputSpec).items() if name not in RESOLVED} | {
    **dict.fromkeys(("mask", "storage"), OPTIONAL_NODE),
}

RESERVED_STAGE_KEYS = ("mask", "dtype", "input")
FOREIGN: dict[str, dict[str, str]] = {
    "": {"nan": "missing: {rule: ...}", "nodata": "input: {nodata: ...}", "steps": "stages", "mode": "border",
         "boundary": "border", "memory": "run: {memory: ...}", "workers": "run: {workers: ...}"},
    "input": {"file": "path", "page": "series", "nan": "nodata"},
    "stage": {"direction": "component: x, y, z or magnitude", "scale": "divide_by", "axes": "over", "mode": "border",
              "boundary": "border", "padding": "border", "name": "id", "method": "engine", "weights": "kernel",
              "mode: same": "extent: same", "mode: full": "extent: full", "mode: valid": "extent: valid",
              "cval": "border: {rule: constant, value: ...}", "ksize": "size", "std": "sigma"},
    "output": {"file": "path", "type": "dtype", "chunk": "chunks", "chunksize": "chunks", "compression": "codec",
               "fill_value": "nodata", "compressor": "codec", "compressors": "codec", "shard": "shards",
               "ngff_version": "format", "zarr_format": "format: 0.5 (Zarr v3) or 0.4 (Zarr v2)"},
    "run": {"cluster": "executor", "scheduler": "executor", "halo": "halo_method", "threads": "workers",
            "tiles": "tile"},
}  # fmt: skip
"""Keys of other tools and of earlier drafts, some with a value, and ours."""


def check(root: MapNode, name: str, folder: Path, problems: Sequence[Problem]) -> PipelineSpec:
    """Return the pipeline that *root* describes; *problems* are those found on the way here.

    Of several problems of one value the first counts: what a variable that is not set leaves behind is no news.

    Raises
    ------
    SpecError
        If there is any problem, with all of them.
    """
    reader = Reader(folder, name)
    spec = _pipeline(reader, root)
    first: dict[tuple[int, int, str], Problem] = {}
    for problem in (*problems, *reader.problems):
        first.setdefault((problem.line, problem.column, problem.key), problem)
    if first:
        ordered = [first[place] for place in sorted(first, key=lambda place: place[:2])]
        more = len(ordered) - MOST_PROBLEMS
        ordered = [without(problem, reader.secret) for problem in ordered]
        ordered[MOST_PROBLEMS:] = [Problem("", f"and {more:,} more problems")] if more > 0 else []
        raise SpecError(name, tuple(ordered))
    return cast("PipelineSpec", spec)


def _pipeline(reader: Reader, root: MapNode) -> PipelineSpec | None:
    items = {key: item for key, item in root.items.items() if not key.startswith("x-")}
    shape = PIPELINE | ({"output": OPTIONAL_NODE} if "outputs" in items else {})
    values = reader.section(MapNode(items, root.keys, root.place), shape, "", foreign=FOREIGN[""])
    border = dict.fromkeys("zyx", Border()) | (
        borders(reader, values["border"], "border", "zyx") if "border" in values else {}
    )
    missing = missing_of(reader, values["missing"], "missing") if "missing" in values else None
    stages = _stages(reader, values["stages"], border, missing) if "stages" in values else []
    sections: dict[str, Any] = {
        name: _section(reader, values[name], cls, name)
        for name, cls in (("input", InputSpec), ("run", RunSpec))
        if name in values
    }
    sections |= _clusters(reader, values, sections.get("run"))
    outputs = outputs_of(reader, root, values, lambda node, key: _section(reader, node, OutputSpec, key))
    check_batch(reader, sections.get("input"), outputs, sections.get("run"), values.get("run"))
    check_extents(reader, values.get("stages"), stages, sections.get("input"))
    read = stored_stages(reader, values.get("stages"), stages, outputs)
    check_global(reader, values.get("stages"), stages, missing)
    whole = [output for _, _, output in outputs if output is not None]
    if reader.problems:
        return None
    made = tuple(replace(output, stage=stage) for output, stage in zip(whole, read, strict=True))
    values.pop("output", None)
    return PipelineSpec(
        **values | sections | {"border": border, "missing": missing, "stages": tuple(stages), "outputs": made}
    )


def _clusters(reader: Reader, values: Mapping[str, Any], run: RunSpec | None) -> dict[str, Any]:
    """Return the clusters of the file, and the one that the run names."""
    clusters = clusters_of(reader, values["clusters"]) if "clusters" in values else None
    if run is None:
        return {"clusters": clusters}
    if run.timeout_per_tile and run.executor == "threads":
        message = "a tile on threads cannot be ended"
        place = values["run"].items["timeout_per_tile"].place
        reader.problem(place, "run.timeout_per_tile", message, "set run.executor to processes, or to a cluster")
    return {"clusters": clusters, "cluster": named_cluster(reader, values["run"], run.executor, clusters or {})}


def _section(reader: Reader, node: Node, cls: type, name: str) -> Any:
    before = len(reader.problems)
    shape = {OutputSpec: OUTPUT, InputSpec: INPUT}.get(cls) or fields_of(cls)
    values = reader.section(node, shape, name, foreign=FOREIGN.get(name.partition("s.")[0]))
    if "mask" in values:
        values["mask"] = mask_of(reader, values["mask"], join(name, "mask"))
    if cls is OutputSpec:
        check_output(reader, node, name, values)
    if cls is InputSpec:
        check_input(reader, node, name, values)
    if "storage" in values:
        values["storage"] = storage_of(reader, values["storage"], join(name, "storage"))
    reach(reader, node, name, values)
    for sizes in {"chunks", "shards", "tile"} & set(values):
        if isinstance(values[sizes], int):
            values[sizes] = dict.fromkeys("yx", values[sizes])
        elif values[sizes] == "auto":
            values[sizes] = None
    return cls(**values) if len(reader.problems) == before else None


def _stages(
    reader: Reader, node: Node, border: Mapping[str, Border], missing: MissingSpec | None
) -> list[StageSpec | None]:
    """Return the stages in the order of the text, None for one that is wrong."""
    if not isinstance(node, ListNode):
        reader.problem(
            node.place,
            "stages",
            f"expected a list of stages, found {kind_of(node)}",
            "write - {op: gaussian, sigma: 2}",
        )
        return []
    check_ids(reader, node.items)
    ids = ids_of(node.items)
    return [_stage(reader, item, i, border, ids, missing) for i, item in enumerate(node.items)]


def _stage(
    reader: Reader, node: Node, number: int, border: Mapping[str, Border], ids: Mapping[str, int],
    missing: MissingSpec | None,
) -> StageSpec | None:  # fmt: skip
    before, key = len(reader.problems), f"stages[{number}]"
    if not isinstance(node, MapNode) or "op" not in node.items:
        _no_operator(reader, node, key)
        return None
    op = _operator(reader, node.items["op"], join(key, "op"))
    axes = _over(node)
    shape = STAGE if op is BAD else STAGE | operator_fields(op)
    if op is BAD:
        node = MapNode({name: item for name, item in node.items.items() if name in STAGE}, node.keys, node.place)
    words = FOREIGN["stage"]
    values = reader.section(node, shape, key, foreign=words, reserved=RESERVED_STAGE_KEYS, axes=axes)
    own = borders(reader, values["border"], join(key, "border"), axes) if "border" in values else {}
    inputs = inputs_of(reader, values.pop("from"), join(key, "from"), ids) if "from" in values else (number - 1,)
    rule = missing_of(reader, values["missing"], join(key, "missing")) if "missing" in values else None
    if len(reader.problems) > before:
        return None
    here = {axis: own.get(axis, border[axis]) for axis in axes if axis in border}
    values |= {"op": op, "border": here, "inputs": inputs}
    chosen = {name: values.pop(name) for name in operator_fields(op) if name in values}
    try:
        operation = make_operation(op, chosen, axes)
    except KernelError as error:
        name = next(iter(chosen)) if len(chosen) == 1 else next((n for n, v in chosen.items() if v == error.where), "")
        text = str(KernelError(error.problem, why=error.why))
        place = node.items[name].place if name else node.items["op"].place
        reader.problem(place, join(key, name) if name else key, text, error.fix)
        return None
    _suits(reader, node, key, operation)
    check_channels(reader, node, key, values, operation)
    values["missing"] = rule_of_stage(reader, node, key, operation, rule, missing)
    return StageSpec(operation=operation, parameters=chosen, places=written_at(reader, node, key, op, chosen), **values)


def _suits(reader: Reader, node: MapNode, key: str, operation: Operation | Steps) -> None:
    """Record keys of the stage at *node* that its *operation* has no use for."""
    extent = node.items.get("extent")
    if len(steps_of(operation)) > 1 and isinstance(extent, ScalarNode) and extent.text != "same":
        op = cast("ScalarNode", node.items["op"]).text
        message = f"expected 'same', the only one that {op} has, found '{extent.text}'"
        reader.problem(extent.place, join(key, "extent"), message)
    for step in steps_of(operation):
        for name in step.operation.excludes.keys() & node.items.keys():
            reader.problem(node.keys[name], join(key, name), step.operation.excludes[name], f"remove {name}")


def _over(node: MapNode) -> str:
    """Return the axes of a stage; the default where they are wrong, so that its other keys can be checked."""
    over = node.items.get("over")
    return over.text if isinstance(over, ScalarNode) and over.text in get_args(Over) else "yx"


def _operator(reader: Reader, node: Node, key: str) -> Any:
    if isinstance(node, ScalarNode) and node.text in OPERATORS:
        return node.text
    name = node.text if isinstance(node, ScalarNode) else ""
    hint = f"write {HINTS[name]}" if name in HINTS else did_you_mean(name, OPERATORS) or "tileconv ops lists them"
    return reader.problem(node.place, key, f"expected an operator, found {kind_of(node)}", hint)


def _no_operator(reader: Reader, node: Node, key: str) -> None:
    if isinstance(node, MapNode):
        name = next((word.removeprefix("op:") for word in node.items if word.removeprefix("op:") in OPERATORS), "")
        reader.problem(node.place, join(key, "op"), "missing", f"write op: {name or 'gaussian'}")
        return
    text = node.text if isinstance(node, ScalarNode) else ""
    name = next((word for word in text.removeprefix("op:").split() if word in OPERATORS), "gaussian, sigma: 2")
    reader.problem(node.place, key, f"expected a mapping with op, found {kind_of(node)}", f"write {{op: {name}}}")
