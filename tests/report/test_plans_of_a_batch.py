"""plan and check of many images: what all come to, what is refused and why, as a stream."""

import json
import weakref

import numpy as np
import pytest

import tileconv
from tileconv.errors import SourceError
from tileconv.execute.plans import Sum

PIPELINE = """version: 1
input: {path: "raw/*.npy"}
stages: [{op: gaussian, sigma: 2}]
output: {path: "out/{stem}.zarr", chunks: 64}
run: {memory: 1GiB, workers: 1, tile: 64}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name, shape in (("z1", (64, 64)), ("z2", (70, 200)), ("z10", (64, 130))):
        np.save(f"raw/{name}.npy", np.zeros(shape, np.uint8))
    (tmp_path / "p.yaml").write_text(PIPELINE)
    return tmp_path


def test_plan_sums_up(folder, call):
    code, out, _ = call("plan", "p.yaml")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))
    assert code == 0
    assert lines["images"] == "3"
    assert "         26,416 pixels, 12 tiles" in out
    assert lines["largest"] == f"{folder}/raw/z2.npy: 14,000 pixels"
    assert lines["longest"].startswith(f"{folder}/raw/z2.npy: about ")
    assert lines["disk"].startswith("103.2 KiB before compression")
    assert lines["memory"].startswith("1.0 GiB at most")


def test_refused_images_are_named_and_the_others_counted(folder, call):
    (folder / "raw/bad.npy").write_bytes(b"x")
    code, out, _ = call("plan", "p.yaml")
    assert code == 3
    assert out.startswith(f"refused  {folder}/raw/bad.npy: expected a TIFF")
    assert "images   4, 1 of them would be refused" in out
    assert call("check", "p.yaml")[0] == 3
    for name in ("z1", "z2", "z10"):
        (folder / f"raw/{name}.npy").unlink()
    code, out, _ = call("plan", "p.yaml")
    assert (code, out.count("\n")) == (2, 2)
    assert call("check", "p.yaml")[0] == 2


def test_json_is_a_line_for_each_image_and_one_for_all(folder, call):
    (folder / "raw/z1.npy").write_bytes(b"x")
    code, out, _ = call("plan", "p.yaml", "--json")
    first, *others, last = map(json.loads, out.splitlines())
    assert code == 3
    assert first["image"] == f"{folder}/raw/z1.npy"
    assert first["refused"].startswith(first["image"])
    assert [(one["shape"], one["tiles"], one["outputs"]) for one in others] == [
        ([70, 200], 8, [f"{folder}/out/z2.zarr"]),
        ([64, 130], 3, [f"{folder}/out/z10.zarr"]),
    ]
    assert (last["batch"]["images"], last["batch"]["refused"], last["batch"]["tiles"]) == (4 - 1, 1, 11)
    assert last["batch"]["written_bytes"] == sum(one["written_bytes"] for one in others)


def test_check_looks_at_every_image(folder, call):
    assert call("check", "p.yaml")[1].endswith("images   3, all of which can be read, and their outputs written\n")
    code, out, _ = call("check", "p.yaml", "raw/z1.npy", "absent.tif", "-i", "raw/z2.npy")
    assert code == 3
    assert f"refused  {folder}/absent.tif: " in out
    assert "images   3, 1 of them would be refused" in out
    code, _, err = call("check", "p.yaml", "raw/z1.npy", "./raw/z1.npy", "-o", "o.zarr")
    assert (code, "names one place for several images" in err) == (2, True)


def test_results_among_the_matches_are_told(folder, call):
    (folder / "p.yaml").write_text(PIPELINE.replace("raw/*.npy", "raw/*").replace("out/", "raw/"))
    tileconv.run("p.yaml", input="raw/z1.npy")
    _, out, _ = call("plan", "p.yaml")
    assert f"1 x a result of this pipeline that the pattern matches is no input: {folder}/raw/z1.zarr" in out
    assert json.loads(call("plan", "p.yaml", "--json")[1].splitlines()[-1])["batch"]["left_out"] == [
        f"{folder}/raw/z1.zarr"
    ]


def test_from_python(folder):
    (name, first), *_ = tileconv.plans("p.yaml", input=["raw/z2.npy", "absent.npy"], output="{parent}/{stem}.zarr")
    assert (name, first.info.shape) == (f"{folder}/raw/z2.npy", (70, 200))
    assert tileconv.plan("p.yaml", input="raw/z2.npy").spec.output.path.local == folder / "out/z2.zarr"
    (_, error), *_ = tileconv.plans("p.yaml", input=["absent.npy"])
    assert isinstance(error, SourceError)
    with pytest.raises(tileconv.errors.PlanError, match="names several images, and this is of one"):
        tileconv.plan("p.yaml")


def test_no_plan_is_kept(folder):
    pipeline = {"version": 1, "stages": [], "output": {"path": "out/{stem}.zarr"}}
    plans = tileconv.plans(pipeline, input="raw/*.npy")
    gone = [weakref.ref(plan) for _, plan in Sum().of(plans)]
    assert [one() is None for one in gone[:-1]] == [True, True]
