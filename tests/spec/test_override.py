"""--set, ${VAR}, -i and -o: what the command line and the environment change."""

from pathlib import Path

import pytest

from tileconv.errors import SpecError
from tileconv.spec import PipelineSpec, parse_spec

TEXT = """version: 1
input: {path: "raw/cells.ome.tif"}
stages:
  - {id: blur, op: gaussian, sigma: 2}
  - {op: box, size: 3}
output: {path: b.zarr}
"""


def read(*overrides: str, text: str = TEXT, **paths: str) -> PipelineSpec:
    return parse_spec(text, "p.yaml", "/data", overrides, environ={}, **paths)


def refused(*overrides: str, text: str = TEXT, **paths: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(*overrides, text=text, **paths)
    return str(caught.value)


def test_by_position_and_by_id() -> None:
    assert read("stages.0.sigma=3").stages[0].parameters["sigma"] == 3.0
    assert read("stages.blur.sigma=3", "stages.1.size={y: 5, x: 1}").stages[0].parameters["sigma"] == 3.0
    assert read("stages.1.size={y: 5, x: 1}").stages[1].parameters["size"] == {"y": 5, "x": 1}


def test_missing_sections_are_made_and_the_last_wins() -> None:
    assert read("run.memory=1GiB", "run.memory=2GiB").run.memory == 2**31
    assert read("border={rule: constant, value: 0}").stages[1].border["x"].rule == "constant"
    assert read("stages=[]").stages == ()


def test_an_override_mends_the_file() -> None:
    wrong = TEXT.replace("sigma: 2", "sigma: -2")
    assert "sigma" in refused(text=wrong)
    assert read("stages.blur.sigma=2", text=wrong) == read()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sigma", "p.yaml: --set sigma: expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("stages..sigma=3", "expected KEY=VALUE"),
        ("stages.2.sigma=3", "there is no item '2' among 2 (numbered from 0; ids: blur)"),
        ("stages.-1.sigma=3", "there is no item '-1'"),
        ("stages.sharp.sigma=3", "there is no item 'sharp'"),
        ("version.x=3", "'x' leads nowhere: expected a mapping or a list above it, found '1'"),
        ("stages.0.sigma=[1", "not valid YAML"),
        ("stages.0.sigma={x: 1, x: 2}", "given twice"),
        ("stages.0.sigma=*a", "anchors"),
        (
            "stages.0.sigma=0",
            "p.yaml: stages[0].sigma: expected a number of pixels above 0, or a length such as 1.5 um, "
            "or a mapping per axis, found '0'\n    from --set",
        ),
        (
            "stages.0.sgima=3",
            "p.yaml: stages[0].sgima: unknown key\n    did you mean 'sigma'?; from --set",
        ),
        ("run.memory=", "found nothing"),
    ],
)
def test_bad_overrides_are_named(override: str, expected: str) -> None:
    assert expected in refused(override)


def test_variables_are_typed_again() -> None:
    text = TEXT.replace("sigma: 2", 'sigma: "${SIGMA:-2}"').replace("b.zarr", '"${OUT}.zarr"').replace("raw/", "$${x}/")
    spec = parse_spec(text, "p.yaml", "/data", environ={"SIGMA": "1e1", "OUT": "/out: [a]"})
    assert spec.stages[0].parameters["sigma"] == 10.0
    assert (str(spec.output.path), str(spec.input.path)) == ("/out: [a].zarr", "/data/${x}/cells.ome.tif")
    assert parse_spec(text, "p.yaml", "/data", environ={"OUT": "o"}).stages[0].parameters["sigma"] == 2.0
    with pytest.raises(SpecError, match="found '1_0'"):
        parse_spec(text, "p.yaml", "/data", environ={"OUT": "o", "SIGMA": "1_0"})


def test_paths_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = read(input_path="x.tif", output_path="{stem}.zarr")
    assert (str(spec.input.path), str(spec.output.path)) == (str(tmp_path / "x.tif"), str(tmp_path / "x.zarr"))
    assert str(read(output_path="{parent}/{stem}.zarr").output.path) == "/data/raw/cells.zarr"
    assert str(read(text=TEXT.replace("b.zarr", '"{stem}.zarr"')).output.path) == "/data/cells.zarr"
    assert (
        str(read(input_path="file:///k/y.zarr", output_path="{parent}/{stem}-blur.zarr").output.path)
        == "/k/y-blur.zarr"
    )
    without = TEXT.replace('input: {path: "raw/cells.ome.tif"}\n', "")
    assert str(read(text=without, input_path="/x.tif").input.path) == "/x.tif"
    assert str(read(output_path="/o/{name}.zarr").output.path) == "/o/cells.ome.tif.zarr"
    assert "expected {stem}, {name} or {parent}, found {series}" in refused(output_path="{series}.zarr")
    assert "names no output" in refused(input_path="...tif", output_path="{stem}/b.zarr")
    assert "'path' leads nowhere" in refused(text=TEXT.replace("{path: b.zarr}", "b.zarr"), output_path="c.zarr")


def test_paths_of_several_outputs() -> None:
    several = TEXT.replace("output: {path: b.zarr}", 'outputs: {a: {path: "{stem}.zarr"}, b: {path: b.zarr}}')
    assert [str(one.path) for one in read(text=several).outputs] == ["/data/cells.zarr", "/data/b.zarr"]
    assert str(read("outputs.b.path=/c.zarr", text=several).outputs[1].path) == "/c.zarr"
    message = refused(text=several, output_path="c.zarr")
    assert "--output c.zarr names one output of 2" in message
    assert "--set outputs.a.path=c.zarr" in message
    one = several.replace(", b: {path: b.zarr}", "")
    assert str(read(text=one, output_path="/c/{stem}-2.zarr").output.path) == "/c/cells-2.zarr"


@pytest.mark.parametrize(
    "path", [r"C:\a.tif", r"data\a.tif", "ftp://host/a.tif", "zip::https://h/a.zip", "~/a", "", "a\tb"]
)
def test_paths_of_no_file_here_are_refused_wherever_they_come_from(path: str) -> None:
    """Text of the file or the command line, or a path of Python, in which one slash of two is left."""
    for words in ({"input_path": path}, {"output_path": path}, {"input_path": Path(path or " ")}):
        message = refused(**words)
        assert "expected a path" in message
        assert "from --" in message
