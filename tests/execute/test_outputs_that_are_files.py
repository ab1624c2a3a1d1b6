"""Outputs that are one file: whole or not there, resumed, verified, repaired and made again as stores are."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import strategies
import tifffile
from PIL import Image

import tileconv
from tileconv.audit.rerun import rerun
from tileconv.audit.status import status
from tileconv.audit.verify import verify
from tileconv.errors import Interrupted, PlanError, ResumeError, SinkError, SpecError
from tileconv.execute import run
from tileconv.execute.batch_report import KEPT
from tileconv.formats import export as exporting
from tileconv.formats import stream
from tileconv.planning.model import Plan
from tileconv.report.explain import file_text
from tileconv.sinks.custody import Custody
from tileconv.stores import steady

NAMES = ["r.ome.tif", "r.tif", "r.png", "r.npy"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image, which is the current one; tiles of files are small."""
    np.save(tmp_path / "a.npy", strategies.pixels((50, 44), "uint8", 0))
    monkeypatch.setattr(exporting, "TILE", 32)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(path="r.ome.tif", **output):
    output = {"path": path, "dtype": "uint8", "chunks": 15, **output}
    return {
        "version": 1,
        "input": {"path": "a.npy"},
        "stages": [{"op": "gaussian", "sigma": 1}],
        "output": output,
        "run": {"tile": 30, "workers": 2},
    }


def names(folder):
    return {path.name for path in folder.iterdir()} - {"a.npy"}


def pixels_in(path):
    if path.suffix == ".npy":
        return np.load(path)
    return np.asarray(Image.open(path)) if path.suffix == ".png" else tifffile.imread(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_leaves_the_file_and_its_record_alone(folder, name):
    report = tileconv.run(spec(name))
    assert report.output == folder / name
    assert names(folder) == {name, f"{name}.tileconv"}
    np.testing.assert_array_equal(pixels_in(folder / name), np.asarray(tileconv.lazy(spec("x.zarr"))))
    again = tileconv.run(spec(name))
    assert (again.tiles, again.kept, again.fingerprint) == (0, report.tiles, report.fingerprint)
    assert status(name).state == "complete"
    assert not verify(name).damages


@pytest.mark.parametrize(
    ("place", "name", "error", "there"),
    [
        (stream, "_result", Interrupted("interrupted"), False),
        (steady, "rename", OSError(errno.ENOSPC, "No space left on device"), False),
        (run, "facts_of", OSError(errno.EROFS, "Read-only file system"), True),
        (Custody, "remove", SinkError("cannot write"), True),
    ],
    ids=["in the pass", "before its name", "before its record", "before the store goes"],
)
def test_a_run_is_resumed_wherever_its_export_ends(folder, monkeypatch, place, name, error, there):
    tileconv.run(spec("whole.ome.tif"))
    kept = getattr(place, name)

    def ends(*words):
        if name == "rename" and Path(words[1]).name != "r.ome.tif":
            return kept(*words)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(place, name, ends)
        with pytest.raises((Interrupted, SinkError)):
            tileconv.run(spec())
    assert (folder / "r.ome.tif").exists() == there
    assert status("r.ome.tif").state == ("complete" if name == "remove" else "unfinished")
    assert tileconv.run(spec()).tiles == 0
    assert (folder / "r.ome.tif").read_bytes() == (folder / "whole.ome.tif").read_bytes()
    assert {one for one in names(folder) if "whole" not in one} == {"r.ome.tif", "r.ome.tif.tileconv"}


@pytest.mark.parametrize("name", ["r.tif", "r.npy"])
def test_a_file_of_others_is_never_replaced(folder, name):
    (folder / name).write_text("mine")
    with pytest.raises(SinkError, match="already exists"):
        tileconv.run(spec(name))
    with pytest.raises(SinkError, match="is not what a run of tileconv wrote there"):
        tileconv.run(spec(name), overwrite=True)
    assert (folder / name).read_text() == "mine"


def test_a_file_of_ours_is_replaced_where_that_is_allowed(folder):
    tileconv.run(spec())
    other = spec(codec={"name": "zstd"})
    with pytest.raises(ResumeError, match=r"output\.file\.codec\.name was deflate when this output was begun"):
        tileconv.run(other)
    report = tileconv.run(other, overwrite=True)
    assert report.tiles > 0
    with tifffile.TiffFile("r.ome.tif") as file:
        assert file.pages.first.compression == tifffile.COMPRESSION.ZSTD


@pytest.mark.parametrize("name", ["r.ome.tif", "r.npy"])
def test_damage_is_found_and_mended(folder, name):
    tileconv.run(spec(name))
    whole = (folder / name).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    (folder / name).write_bytes(damaged)
    assert [damage.files for damage in verify(name).damages] == [(name,)]
    report = tileconv.run(spec(name), repair=True)
    assert len(report.damages) == 1
    assert (folder / name).read_bytes() == whole
    (folder / name).unlink()
    assert verify(name).damages
    tileconv.run(spec(name))
    assert (folder / name).read_bytes() == whole


def test_another_file_in_its_place_is_seen(folder):
    tileconv.run(spec())
    tifffile.imwrite("r.ome.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(ResumeError, match=r"r\.ome\.tif is not what the run wrote"):
        tileconv.run(spec())
    with pytest.raises(ResumeError, match=r"r\.ome\.tif is not what the run wrote"):
        status("r.ome.tif")


@pytest.mark.parametrize("name", ["r.ome.tif", "r.tif", "r.png"])
def test_a_result_is_made_once_more_from_what_it_carries(folder, name):
    tileconv.run(spec(name))
    suffix = name.removeprefix("r")
    shutil.rmtree(f"{name}.tileconv")
    rerun(name)
    assert (folder / f"r.rerun{suffix}").read_bytes() == (folder / name).read_bytes()


def test_how_a_run_goes_changes_no_byte_of_a_file(folder):
    files = []
    for number, how in enumerate([{"tile": 60}, {"tile": 15, "workers": 1}]):
        words = spec(f"{number}.ome.tif") | {"run": how}
        tileconv.run(words)
        files.append((folder / f"{number}.ome.tif").read_bytes())
    assert files[0] == files[1]


def test_a_plan_of_a_file(folder):
    plan = tileconv.plan(spec(codec={"name": "jpeg", "level": 80}))
    assert Plan.from_json(plan.as_json()) == plan
    assert plan.as_json()["output"]["file"]["codec"]["name"] == "jpeg"
    said = file_text(plan.spec.output, plan.file_memory(0))
    assert said.startswith("one OME-TIFF, tiles by jpeg level 80, written by 2 threads in 3")
    plain = tileconv.plan(spec())
    assert plain.fingerprint() != plan.fingerprint()  # JPEG changes pixels
    assert plain.fingerprint() == tileconv.plan(spec("r.zarr")).fingerprint()


def test_stores_and_files_of_one_run(folder):
    outputs = {"store": {"path": "r.zarr", "chunks": 15}, "picture": spec("r.png")["output"]}
    words = spec() | {"outputs": outputs}
    del words["output"]
    tileconv.run(words)
    assert names(folder) == {"r.zarr", "r.zarr.tileconv", "r.png", "r.png.tileconv"}
    assert tileconv.run(words).tiles == 0


def test_a_batch_of_files(folder):
    np.save("b.npy", strategies.pixels((40, 50), "uint8", 1))
    words = spec("{stem}.ome.tif") | {"input": {"path": ["a.npy", "b.npy"]}}
    report = tileconv.run(words)
    assert not report.failed
    assert {"a.ome.tif", "b.ome.tif"} < names(folder)
    assert not any(name.endswith(".zarr") for name in names(folder))
    assert [one.state for one in tileconv.run(words)] == [KEPT, KEPT]


def test_results_of_a_batch_are_none_of_its_inputs(folder):
    tifffile.imwrite("a.tif", np.load("a.npy"))
    words = spec("{stem}_blur.tif") | {"input": {"path": "*.tif"}}
    assert len(tileconv.run(words)) == 1
    assert [one.state for one in tileconv.run(words)] == [KEPT]


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"path": "r.png", "dtype": "float32"}, "a PNG holds uint8 and uint16, and the pixels are float32"),
        ({"path": "r.ome.tif", "dtype": "int64"}, "an OME-TIFF has no pixels of int64"),
        ({"dtype": "uint16", "codec": {"name": "jpeg"}}, "JPEG holds uint8"),
    ],
)
def test_refused_by_the_plan(folder, output, text):
    with pytest.raises(PlanError, match=text):
        tileconv.plan(spec(**output))


def test_a_large_image_is_no_small_file(folder, monkeypatch):
    monkeypatch.setattr("tileconv.planning.files.MOST_BYTES", {"PNG": 1000})
    with pytest.raises(PlanError, match=r"for small results, of up to 1000 B of pixels, and these are 2\.1 KiB"):
        tileconv.plan(spec("r.png"))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"shards": 64}, "belongs to an OME-Zarr store, and the path names an OME-TIFF"),
        ({"path": "s3://bucket/r.tif"}, "a TIFF is written to no object store"),
        ({"codec": {"name": "blosc"}}, "expected a codec of an OME-TIFF, found 'blosc'"),
        ({"path": "r.zarr", "codec": {"name": "lzw"}}, "expected a codec of an OME-Zarr store, found 'lzw'"),
        ({"path": "r.png", "codec": {"name": "zstd"}}, "expected a codec of a PNG, found 'zstd'"),
    ],
)
def test_refused_where_it_is_written(folder, output, text):
    with pytest.raises(SpecError, match=text):
        tileconv.plan(spec(**output))


def test_no_sample_is_made_again_of_a_file(folder):
    tileconv.run(spec())
    with pytest.raises(PlanError, match="a sample is made again of stores alone, and this is one OME-TIFF"):
        verify("r.ome.tif", recompute="1")


def test_commands_know_a_file_from_a_pipeline(folder, call):
    tileconv.run(spec())
    for command in ("status", "verify"):
        assert call(command, "r.ome.tif")[0] == 0
