"""A right spec to its values: defaults, resolution, round trip, Python mappings, the schema and the docs."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tileconv.engines.borders import Border
from tileconv.errors import SpecError
from tileconv.operations.linear import Linear
from tileconv.operations.registry import OPERATORS
from tileconv.operations.sharpen import Unsharp
from tileconv.spec import (
    PipelineSpec,
    as_mapping,
    load_spec,
    operator_table,
    parse_spec,
    spec_from_mapping,
)
from tileconv.spec.schema import json_schema
from tileconv.stores.location import located

DOCS = Path(__file__).parents[2] / "docs"
FULL = """
version: 1
x-note: {anything: [goes, "${HERE}"]}
input: {path: ../a.tif, series: 1, level: 2, axes: yxc, nodata: -1, missing_chunks: error}
stages:
  - {id: blur, op: gaussian, sigma: {y: 2, x: 3.5}, border: {x: wrap}}
  - {op: unsharp, sigma: 1, amount: 0.6, over: zyx, border: {rule: constant, value: 1e1}, engine: separable}
  - {op: correlate, kernel: k.csv, normalize: true, extent: valid}
  - {op: clip, range: [-1, .5]}
border: {y: mirror, x: {rule: constant, value: 2}}
missing: {rule: fill, value: 0}
precision: float64
output: {path: b.zarr, dtype: uint16, chunks: {x: 512, z: 1}, overflow: error}
run: {memory: 1.5GB, workers: 2, tile: 256, executor: "tcp://host:8786", halo_method: windows}
"""
MINIMAL: dict[str, Any] = {"version": 1, "input": {"path": "/a.tif"}, "stages": [], "output": {"path": "/b.zarr"}}


def test_files_with_a_byte_order_mark_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode())
    assert load_spec(path) == spec_from_mapping(MINIMAL)
    path.write_bytes(b"#" * (2**20 + 1))
    for wrong, expected in (
        (path, "at most 1,048,576 bytes"),
        (tmp_path, "cannot read"),
        (tmp_path / "no", "there is no such file"),
    ):
        with pytest.raises(SpecError, match=expected):
            load_spec(wrong)


@pytest.fixture
def full(tmp_path: Path) -> PipelineSpec:
    (tmp_path / "k.csv").write_text("1,2\n3,4\n")
    (tmp_path / "p.yaml").write_text(FULL)
    return load_spec(tmp_path / "p.yaml", environ={})


def with_stage(**stage: Any) -> dict[str, Any]:
    return MINIMAL | {"stages": [stage]}


def message(mapping: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(mapping)
    assert all(problem.line == 0 for problem in caught.value.problems)
    return str(caught.value)


def test_every_key_is_read(full: PipelineSpec, tmp_path: Path) -> None:
    assert (str(full.input.path), full.input.axes, full.input.nodata) == (str(tmp_path.parent / "a.tif"), "yxc", -1.0)
    assert (full.input.series, full.input.level, full.input.missing_chunks) == (1, 2, "error")
    blur, unsharp, own, clip = full.stages
    assert blur.parameters == {"sigma": {"y": 2.0, "x": 3.5}}
    assert blur.border == {"y": Border("mirror"), "x": Border("wrap")}
    assert unsharp.border == dict.fromkeys("zyx", Border("constant", 10.0))
    assert isinstance(unsharp.operation, Unsharp)
    assert unsharp.operation.blur.shape == (9, 9, 9)
    assert (unsharp.engine, own.extent, own.parameters["kernel"]) == ("separable", "valid", str(tmp_path / "k.csv"))
    assert isinstance(own.operation, Linear)
    assert own.operation.kernel.weights.tolist() == [[1, 2], [3, 4]]
    assert own.operation.kernel.total == 1.0
    assert own.border == {"y": Border("mirror"), "x": Border("constant", 2.0)}
    assert clip.parameters == {"range": [-1.0, 0.5]}
    assert full.border["z"] == Border("reflect")
    assert full.missing is not None
    assert (full.missing.rule, full.missing.value, full.precision) == ("fill", 0.0, "float64")
    assert (full.output.dtype, full.output.overflow) == ("uint16", "error")
    assert full.output.chunks == {"x": 512, "z": 1}
    assert (full.run.memory, full.run.workers, full.run.tile) == (1_500_000_000, 2, {"y": 256, "x": 256})
    assert (full.run.executor, full.run.halo_method) == ("tcp://host:8786", "windows")


def test_defaults() -> None:
    spec = spec_from_mapping(MINIMAL)
    assert (spec.stages, spec.missing, spec.precision) == ((), None, "auto")
    assert spec.border == dict.fromkeys("zyx", Border("reflect"))
    assert (spec.output.dtype, spec.output.chunks, spec.output.overflow) == ("auto", None, "clip")
    assert (spec.run.memory, spec.run.workers, spec.run.tile, spec.run.executor) == (None, None, None, "threads")
    assert (spec.input.nodata, spec.input.axes, spec.input.missing_chunks) == (None, None, "report")


def test_round_trip(full: PipelineSpec) -> None:
    mapping = as_mapping(full)
    assert spec_from_mapping(json.loads(json.dumps(mapping))) == full
    assert spec_from_mapping(as_mapping(spec_from_mapping(MINIMAL))) == spec_from_mapping(MINIMAL)
    mapping["stages"][0]["sigma"]["x"] = 4.0
    assert spec_from_mapping(mapping) != full
    assert pickle.loads(pickle.dumps(full)) == full  # noqa: S301 our own bytes


def test_mapping_takes_what_notebooks_hold() -> None:
    kernel = np.array([[1, 2], [3, 4]])
    stage = spec_from_mapping(with_stage(op="convolve", kernel=kernel, normalize=True, id="k")).stages[0]
    assert isinstance(stage.operation, Linear)
    assert stage.operation.kernel.weights.tolist() == [[4, 3], [2, 1]]
    spec = spec_from_mapping(MINIMAL | {"input": {"path": Path("a.tif"), "level": np.int64(3)}}, "/data")
    assert (str(spec.input.path), spec.input.level) == ("/data/a.tif", 3)
    assert str(spec_from_mapping(MINIMAL | {"input": {"path": "/${A}.tif"}}).input.path) == "/${A}.tif"


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (with_stage(op="box", size="3"), "stages[0].size: expected a whole number of pixels of at least 1"),
        (with_stage(op="box", size=True), "found 'true'"),
        (with_stage(op="rescale", gain=float("nan")), "only finite numbers"),
        (with_stage(op="rescale", gain=10**400), "the number is too large"),
        (with_stage(op="rescale", gain=None), "found nothing"),
        (with_stage(op="rescale", gain={1, 2}), "stages[0].gain: expected text, a number"),
        ({1: 2}, "a key must be text, found 1"),
        ([], "expected a mapping, found list"),
    ],
)
def test_mapping_is_checked_as_text_is(mapping: dict[str, Any], expected: str) -> None:
    assert expected in message(mapping)


@pytest.mark.parametrize("sigma", [1e-300, 1e17, 1e300])
def test_weights_that_no_machine_can_make(sigma: float) -> None:
    assert "stages[0].sigma: " in message(with_stage(op="laplacian_of_gaussian", sigma=sigma))


def test_mapping_that_holds_itself() -> None:
    endless: dict[str, Any] = {}
    endless["a"] = endless
    assert "nested deeper" in message(endless)


@pytest.mark.parametrize("text", ["3", "3.5", "1e3", "-2", "+.5e-1", "0"])
def test_numbers(text: str) -> None:
    spec = parse_spec(json.dumps(MINIMAL), "p", ".", [f"stages=[{{op: rescale, gain: {text}}}]"])
    assert spec.stages[0].parameters["gain"] == float(text)


@pytest.mark.parametrize("text", [".", ".e9", "+", "1e", "1_0", "0x1", "010", "-01", "1,5", "12:30", "inf", "٣", "--1"])
def test_not_numbers(text: str) -> None:
    with pytest.raises(SpecError, match="gain: expected a number, found"):
        parse_spec(json.dumps(with_stage(op="rescale")), "p", ".", [f"stages.0.gain={text}"])


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("2GiB", 2**31), ("512MiB", 2**29), ("1.5GB", 15 * 10**8), ("100 kB", None), ("7", 7), ("auto", 0)],
)
def test_memory(text: str, bytes_: int | None) -> None:
    if bytes_ is None:
        assert "run.memory" in message(MINIMAL | {"run": {"memory": text}})
    else:
        assert spec_from_mapping(MINIMAL | {"run": {"memory": text}}).run.memory == (bytes_ or None)


def test_operator_table_matches_the_registry() -> None:
    table = {record["name"]: record for record in operator_table()}
    assert list(table) == list(OPERATORS)
    assert json.dumps(operator_table())
    parameters = {p["name"]: p for p in table["unsharp"]["parameters"]}
    assert parameters["sigma"]["required"]
    assert (parameters["amount"]["default"], parameters["threshold"]["type"]) == (1.0, "a number of at least 0")
    assert "axes" not in parameters


def test_docs_name_every_operator_and_parameter() -> None:
    text = (DOCS / "operators.md").read_text(encoding="utf-8")
    for record in operator_table():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{record['name']}` "))
        assert all(f"`{p['name']}`" in row for p in record["parameters"]), record["name"]


def test_docs_name_every_key() -> None:
    text = (DOCS / "spec.md").read_text(encoding="utf-8")
    schema = json_schema()
    sections = [("", schema), ("", schema["$defs"]["Stage_abs"])]
    sections += [(f"{name}.", schema["$defs"][f"{name.title()}Spec"]) for name in ("input", "output", "run", "missing")]
    for prefix, section in sections:
        for key in section["properties"]:
            label = f"`{prefix}{key}`"
            assert f"| {label} " in text, label


def test_docs_example_is_right(tmp_path: Path) -> None:
    text = (DOCS / "spec.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in text.split("```yaml\n")[1:]]
    assert examples
    for example in examples:
        parse_spec(example, "docs/spec.md", tmp_path, environ={})


def test_one_place_has_one_name(tmp_path: Path) -> None:
    """Behind a link ``..`` is the folder above its target; a link that is not gone back from keeps its name."""
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    (tmp_path / "here").mkdir()
    assert located("link/../a.tif", tmp_path) == str(tmp_path.resolve() / "far" / "a.tif")
    assert located("../here/a.tif", tmp_path / "here") == located("a.tif", tmp_path.resolve() / "here")
    assert located("link/a.tif", tmp_path) == str(tmp_path / "link" / "a.tif")
    assert located(f"file://{tmp_path}/a%20b.tif", Path("/")) == str(tmp_path / "a b.tif")
