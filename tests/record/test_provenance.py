"""What an output says of how it was made: all that determines it, and nothing that may differ between equal runs."""

import json
import subprocess
import sys

import numpy as np
import pytest
import strategies
import zarr
from execute.resume_help import TWO, digest, write_spec
from PIL import Image
from properties.runs_help import pipeline, plan_of, write_tiff

import tileconv
from tileconv.errors import ResumeError
from tileconv.record.folder import RunFolder
from tileconv.record.provenance import libraries
from tileconv.sources.open import open_source
from tileconv.sources.source import fingerprint_of
from tileconv.stores.location import here

KERNEL = [{"op": "correlate", "kernel": "k.npy", "id": "own"}, *TWO]
IMAGE = strategies.pixels((160, 176), "uint16", 0)
OTHER_RUNS = {
    "tile, workers and memory": {"tile": 80, "workers": 1, "memory": "1GiB"},
    "halo method": {"tile": 48, "halo_method": "overlap", "max_chunk": "2GiB"},
    "processes": {"tile": 64, "executor": "processes"},
}


def provenance(store):
    return json.loads((store / "zarr.json").read_text())["attributes"]["tileconv"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished output, and its digest: of all its files, ``zarr.json`` included."""
    folder = tmp_path_factory.mktemp("made")
    np.save(folder / "k.npy", np.arange(6).reshape(2, 3) / 7)
    tileconv.run(write_spec(folder, KERNEL))
    return folder, digest(folder / "o.zarr")


@pytest.mark.parametrize("name", OTHER_RUNS)
def test_equal_runs_make_equal_stores(made, name):
    """Another executor, memory, tile, output and current folder, by the command line: the same bytes."""
    folder, expected = made
    (folder / "sub" / name).mkdir(parents=True)
    words = [f"--set=run.{key}={value}" for key, value in OTHER_RUNS[name].items()]
    command = [sys.executable, "-m", "tileconv", "run", "../../p.yaml", "-i", "../../a.tif", "-o", "x.ome.zarr", *words]
    subprocess.run(command, cwd=folder / "sub" / name, check=True, capture_output=True)
    assert digest(folder / "sub" / name / "x.ome.zarr") == expected
    run = RunFolder(here(folder / "sub" / name / "x.ome.zarr")).plan()["run"]
    assert run["output"].endswith("x.ome.zarr")
    assert {
        key: str(run[key]) for key in ("executor", "tile") if key in OTHER_RUNS[name]
    }  # noted where no pixel hangs on it


def test_nothing_of_the_place_or_the_machine_is_written_down(made):
    folder, _ = made
    found = provenance(folder / "o.zarr")
    assert "run" not in found["spec"]
    assert "path" not in found["spec"]["output"]
    assert found["spec"]["stages"][0]["kernel"] == (np.arange(6).reshape(2, 3) / 7).tolist()
    assert found["spec"]["input"]["path"] == str(folder / "a.tif")  # which rerun needs
    assert (folder / "o.zarr" / "zarr.json").read_text().count(str(folder)) == 1
    assert zarr.open_group(folder / "o.zarr", mode="r").attrs["ome"]["multiscales"][0]["name"] == "a own sobel gaussian"


def test_outputs_of_before_are_made_again(made, tmp_path):
    """They told ``run``, the output's path, weights apart, the input's time of change, and all libraries."""
    folder, _ = made
    found = json.loads((folder / "o.zarr" / "zarr.json").read_text())
    old = found["attributes"]["tileconv"]
    old["spec"]["output"]["path"] = "/gone/o.zarr"
    old["spec"]["run"] = {"executor": "threads", "workers": 1, "halo_method": "auto"}
    old["weights"] = {"own": old["spec"]["stages"][0]["kernel"]}
    old["spec"]["stages"][0]["kernel"] = "/gone/k.npy"
    old["input"] = {key: old["input"][key] for key in ("size", "digest")} | {"mtime_ns": 5}
    old["libraries"]["pillow"] = "1.0"
    (tmp_path / "o.zarr").mkdir()
    (tmp_path / "o.zarr" / "zarr.json").write_text(json.dumps(found))
    notes = []
    tileconv.rerun(tmp_path / "o.zarr", tmp_path / "n.zarr", note=notes.append)
    assert digest(tmp_path / "n.zarr") == digest(folder / "o.zarr")
    assert notes == []
    old["input"]["digest"] = "5"
    (tmp_path / "o.zarr" / "zarr.json").write_text(json.dumps(found))
    with pytest.raises(ResumeError, match="input digest was 5 when"):
        tileconv.rerun(tmp_path / "o.zarr", tmp_path / "m.zarr")


def npy(path):
    np.save(path / "a.npy", IMAGE)
    return path / "a.npy"


def picture(path):
    Image.fromarray(IMAGE.astype(np.uint8)).save(path / "a.png")
    return path / "a.png"


def stored(path, **options):
    zarr.create_array(path / "a.zarr", data=IMAGE, chunks=(64, 64), **options)
    return path / "a.zarr"


INPUTS = {
    "npy": (npy, set()),
    "png": (picture, {"pillow"}),
    "tiff": (lambda path: write_tiff(path / "a.tif", IMAGE), {"tifffile"}),
    "zarr": (stored, {"zarr", "numcodecs"}),
    "plain zarr": (lambda path: stored(path, compressors=None), {"zarr"}),
}
BLUR = {"op": "gaussian", "sigma": 1}
STAGES = {
    "none": ([], set()),
    "separable": ([BLUR], {"numba"}),
    "fft": ([BLUR | {"engine": "fft"}], {"numba", "scipy"}),
    "two passes": (TWO, {"numba", "zarr", "numcodecs"}),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_the_libraries_that_read_an_input(tmp_path, kind):
    write, expected = INPUTS[kind]
    source = open_source(write(tmp_path))
    assert set(libraries(plan_of(pipeline([]), IMAGE), source)) == {"numpy", "imagecodecs"} | expected


@pytest.mark.parametrize("kind", STAGES)
def test_the_libraries_that_make_the_pixels(tmp_path, kind):
    stages, expected = STAGES[kind]
    assert (
        set(libraries(plan_of(pipeline(stages), IMAGE), open_source(npy(tmp_path))))
        == {"numpy", "imagecodecs"} | expected
    )


@pytest.mark.parametrize("size", [0, 1, 16384, 70_000, 2**20])
def test_every_byte_of_a_small_file_is_part_of_its_fingerprint(tmp_path, size):
    data = bytearray(np.random.default_rng(0).bytes(size))
    file = tmp_path / "a"
    file.write_bytes(data)
    whole = fingerprint_of(file)
    assert whole["size"] == size
    for at in {0, size // 3, size // 2 + 1, size - 1} & set(range(size)):
        data[at] ^= 1
        file.write_bytes(data)
        assert fingerprint_of(file) != whole
        data[at] ^= 1


def test_a_change_as_wide_as_a_32nd_of_a_large_file_is_found_wherever_it_lies(tmp_path):
    data = np.zeros(2**23, np.uint8)
    file, wide = tmp_path / "a", data.size // 32
    data.tofile(file)
    whole = fingerprint_of(file)
    for at in (*range(0, data.size - wide + 1, wide // 2), 60_000 - wide + 1):
        data[max(0, at) : at + wide] = 1
        data.tofile(file)
        assert fingerprint_of(file) != whole
        data[:] = 0
    data[:70_000:69_999] = 0, 1  # between two parts that are compared: not promised, and not found
    data.tofile(file)
    assert fingerprint_of(file) == whole
