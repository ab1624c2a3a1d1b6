"""Which images a pattern, a list or a command line names, where each is written, and what is refused before."""

import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tileconv
from tileconv.errors import PlanError, SourceError, SpecError, TileconvError
from tileconv.execute.images import Images, each_image
from tileconv.sources.patterns import natural
from tileconv.spec import PipelineSpec, as_mapping, parse_spec, spec_from_mapping
from tileconv.spec.model import MaskSpec
from tileconv.stores.local import LocalStore
from tileconv.stores.location import Location

TEXT = "version: 1\ninput: {path: IN}\nstages: []\noutput: {path: OUT}\n"


def spec(path: str, out: str = '"out/{stem}.zarr"', **words: object) -> PipelineSpec:
    return parse_spec(TEXT.replace("IN", path).replace("OUT", out), "p.yaml", Path.cwd(), environ={}, **words)  # type: ignore[arg-type]


def names(images: Images) -> list[str]:
    return [os.path.relpath(str(one.input.path)) for one in images if isinstance(one, PipelineSpec)]


def places(images: Images) -> list[str]:
    return [os.path.relpath(str(out.path)) for one in images if isinstance(one, PipelineSpec) for out in one.outputs]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("raw/z10.npy", "raw/z2.npy", "raw/.hidden.npy", "raw/sub/z2.npy", "run [1]/a[1].npy", "run [1]/b.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, np.arange(6, dtype=np.uint8).reshape(2, 3))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("raw/*.npy", ["raw/z2.npy", "raw/z10.npy"]),
        ("raw/**/*.npy", ["raw/sub/z2.npy", "raw/z2.npy", "raw/z10.npy"]),
        ("**/z2.npy", ["raw/sub/z2.npy", "raw/z2.npy"]),
        ("raw/*", ["raw/z2.npy", "raw/z10.npy"]),
        ("raw/.*.npy", ["raw/.hidden.npy"]),
        ("raw/z[12].npy", ["raw/z2.npy"]),
        ("ra?/z??.npy", ["raw/z10.npy"]),
        ("run [1]/*.npy", ["run [1]/a[1].npy", "run [1]/b.npy"]),
    ],
)
def test_patterns(folder: Path, path: str, expected: list[str]) -> None:
    asked = spec(f'"{path}"', '"{parent}/{stem}.zarr"')
    assert asked.is_batch
    assert names(each_image(asked)) == expected
    assert spec_from_mapping(as_mapping(asked)) == asked


def test_an_existing_path_is_no_pattern(folder: Path) -> None:
    one = spec('"run [1]/a[1].npy"')
    assert not one.is_batch
    assert names(each_image(one)) == ["run [1]/a[1].npy"]
    assert str(one.output.path) == str(folder / "out/a[1].zarr")


def test_lists_keep_their_order_and_name_an_image_once(folder: Path) -> None:
    images = each_image(spec('[raw/z10.npy, "raw/*.npy", absent.tif]'))
    assert names(images) == ["raw/z10.npy", "raw/z2.npy", "absent.tif"]
    assert places(images) == ["out/z10.zarr", "out/z2.zarr", "out/absent.zarr"]
    assert len(images) == 3


def test_each_image_is_the_pipeline_of_it_alone(folder: Path) -> None:
    """Its halos are read by windows, because tiles of several images alternate."""
    several = each_image(spec('"raw/*.npy", mask: {path: "masks/{stem}.tif"}'))
    alone = [spec(f'"raw/{name}.npy", mask: {{path: masks/{name}.tif}}') for name in ("z2", "z10")]
    assert [*several] == [replace(one, run=replace(one.run, halo_method="windows")) for one in alone]
    one = spec('"raw/z2.npy", mask: {path: "{parent}/{name}.tif"}')
    assert one.input.mask == MaskSpec(Location(str(folder / "raw/z2.npy.tif")))


def test_paths_of_the_command_line(folder: Path) -> None:
    images = each_image(spec("a.tif", input_path=["raw/z2.npy", "run [1]/*"], output_path="{parent}/../o/{name}.zarr"))
    assert places(images) == ["o/z2.npy.zarr", "o/a[1].npy.zarr", "o/b.npy.zarr"]
    assert not spec("a.tif", input_path=Path("raw/z2.npy")).is_batch


def test_several_outputs(folder: Path) -> None:
    outputs = {"a": {"path": "o/{stem}_a.zarr"}, "b": {"path": "o/{stem}_b.zarr"}}
    pipeline = {"version": 1, "input": {"path": "raw/*.npy"}, "stages": [], "outputs": outputs}
    images = each_image(spec_from_mapping(pipeline))
    assert places(images) == ["o/z2_a.zarr", "o/z2_b.zarr", "o/z10_a.zarr", "o/z10_b.zarr"]


@pytest.mark.parametrize(
    ("path", "out", "message"),
    [
        ('"raw/*.npy"', "o.zarr", "p.yaml:4:16: output.path: names one place for several images"),
        ("[a.tif, b.tif]", "o.zarr", "write {stem} in it, as in {stem}.ome.zarr"),
        ("[]", "o.zarr", "p.yaml:2:15: input.path: expected a path or several, found an empty list"),
        ("[a.tif, [b.tif]]", '"{stem}.zarr"', "input.path[1]: expected a path"),
        ('"raw/*.npy"', '"{stem}{well}.zarr"', "expected {stem}, {name} or {parent}, found {well}"),
        ('a.tif, mask: {path: "{stm}.tif"}', "o.zarr", "2:35: input.mask.path: expected {stem}, {name} or {parent}, f"),
        ('"raw/*.npy", mask: {path: "{field}.tif"}', '"{stem}.zarr"', "input.mask.path: expected {stem}, {name} or"),
        ('"raw/*.npy"', '"{stem}.zarr"}\nrun: {halo_method: overlap', "p.yaml:5:7: run.halo_method: tiles of several"),
    ],
)
def test_mistakes_of_the_file_have_their_place(folder: Path, path: str, out: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        spec(path, out)


@pytest.mark.parametrize(
    ("path", "out", "message"),
    [
        ('"raw/**/*.npy"', '"o/{stem}.zarr"', ["raw/sub/z2.npy and", "raw/z2.npy would both be written to it"]),
        ("[raw/z2.npy, raw/sub/z2.npy]", '"o/{name}/{stem}"', ["sub/z2.npy would both"]),
        ("[a.tif, A.tif]", '"Out/{stem}.zarr"', ["a.tif and", "A.tif would both", "by another name"]),
        (
            "[a/b.tif, a.tif]",
            '"{parent}/{stem}"',
            ["a/b.tif would be written to it, inside", "where", "a.tif is written"],
        ),
        ("[b.npy, b_1]", '"{parent}/{stem}_1"', ["b.npy would be written to it, and it is the input"]),
        ("[a/b.tif, a]", '"{parent}/{stem}.x"', ["a/b.tif would be written to it, inside the input", "/a"]),
        ("[t/a.tif, t/a/b.tif]", '"t/{stem}"', ["a.tif would be written to it, and it holds the input", "a/b.tif"]),
        ("[link/a.tif, raw/a.tif]", '"{parent}/{stem}.zarr"', ["link/a.tif and", "by another name"]),
    ],
)
def test_outputs_that_collide_are_refused_with_both_inputs(
    folder: Path, path: str, out: str, message: list[str]
) -> None:
    (folder / "Out").mkdir()
    (folder / "oUT").symlink_to("Out")  # as if names were one in capitals and small letters
    (folder / "link").symlink_to("raw")
    with pytest.raises(PlanError) as caught:
        each_image(spec(path, out))
    assert all(part in str(caught.value) for part in message), caught.value


def test_capitals_are_other_letters_where_they_are(folder: Path) -> None:
    assert len(each_image(spec("[a.tif, A.tif]"))) == 2


def test_no_match_says_what_lies_there(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"no image matches; .*raw holds z2.npy, z10.npy|\.hidden"):
        each_image(spec('"raw/*.tif"'))
    with pytest.raises(SourceError, match="absent does not exist"):
        each_image(spec('"absent/*/a.tif"'))
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match="empty is empty"):
        each_image(spec('"empty/**/*.tif"'))
    with pytest.raises(SourceError, match="listing failed: the system says: File name too long"):
        each_image(spec(f'"raw/{"1" * 300}*/a.tif"'))


def test_a_name_that_makes_no_output_is_the_error_of_its_image_alone(folder: Path) -> None:
    images = [*each_image(spec('[raw/z2.npy, "...tif", raw/sub/z2.npy]', '"o/{parent}/{stem}"'))]
    assert [isinstance(one, TileconvError) for one in images] == [False, True, False]
    assert "names no output" in str(images[1])
    assert "z2.npy is the name of a NumPy file" in str(next(iter(each_image(spec("[raw/z2.npy, b]", '"o/{name}"')))))


@pytest.mark.parametrize("out", ["raw/{stem}.ome.zarr", "raw/{stem}_blur.zarr", "{parent}/{name}.zarr"])
def test_results_in_the_same_folder_are_no_inputs_of_the_next_run(folder: Path, out: str) -> None:
    """Neither while the image of which one was made lies there, nor once it is gone; one that is named is an input."""
    pipeline = {"version": 1, "stages": [], "output": {"path": out}, "run": {"workers": 1}}
    first = each_image(spec('"raw/z*"', f'"{out}"'))
    for one in first:
        tileconv.run(one)  # type: ignore[arg-type]
    assert names(each_image(spec('"raw/z*"', f'"{out}"'))) == names(first)
    (folder / "raw/z2.npy").unlink()
    again = each_image(spec('"raw/z*"', f'"{out}"'))
    assert names(again) == ["raw/z10.npy"]
    assert sorted(again.left_out) == sorted(str(folder / place) for place in places(first))
    (folder / "raw/z10.npy").unlink()
    with pytest.raises(SourceError, match="all 2 images that match are results of this pipeline"):
        each_image(spec('"raw/z*"', f'"{out}"'))
    made = places(first)[0]
    named = spec_from_mapping(pipeline | {"input": {"path": [made]}, "output": {"path": "other/{stem}.zarr"}})
    assert names(each_image(named)) == [made]


@settings(max_examples=20)
@given(st.lists(st.from_regex(r"[a-z]{0,2}[0-9]{0,3}[a-z]?[0-9]{0,2}", fullmatch=True), min_size=2, max_size=8))
def test_natural_order_counts(texts: list[str]) -> None:
    """It is an order; numbers in one frame come as they count, and texts without numbers as their letters do."""
    ordered = sorted(texts, key=natural)
    ordered_again = sorted(reversed(ordered), key=natural)  # noqa: C414 the order must not depend on this one
    assert ordered_again == ordered
    for one, other in pairwise(ordered):
        frames = [re.sub(r"\d+", "#", text) for text in (one, other)]
        if frames[0] == frames[1]:
            numbers = [[*map(int, re.findall(r"\d+", text))] for text in (one, other)]
            assert numbers[0] <= numbers[1]


def test_patterns_of_a_bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below a prefix are listed as a store tells them; an object whose name has a bracket is no pattern."""
    monkeypatch.setattr(Location, "store", lambda self, _=None: LocalStore(folder / self.text.removeprefix("s3://")))
    (image,) = each_image(spec('"s3://raw/**/z10*"', '"s3://o/{name}.zarr"'))
    assert isinstance(image, PipelineSpec)
    assert (str(image.input.path), str(image.output.path)) == ("s3://raw/z10.npy", "s3://o/z10.npy.zarr")
    np.save(folder / "raw/b[1].npy", np.eye(3))
    (image,) = each_image(spec('"s3://raw/b[1].npy"', '"s3://o/{stem}.zarr"'))
    assert isinstance(image, PipelineSpec)
    assert str(image.input.path) == "s3://raw/b[1].npy"
    with pytest.raises(SourceError, match=r"no image matches; s3://raw holds .*z2\.npy, z10\.npy"):
        each_image(spec('"s3://raw/*.tif"', '"s3://o/{stem}.zarr"'))
    assert not spec('"https://host/a[1].tif"', '"/o/{stem}.zarr"').is_batch
