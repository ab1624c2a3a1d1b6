"""However an output is stored: the same pixels, resumed, verified, repaired, made again; another way is refused."""

import json
import os
import shutil

import numpy as np
import pytest
import yaml
from execute.cluster_help import seldom
from execute.resume_help import ONE, digest, finish, signalled, write_spec
from properties.runs_help import stored

import tileconv
from tileconv.errors import PlanError, ResumeError
from tileconv.report.terminal import summary

KINDS = {
    "shards": {"shards": 32},
    "shards without checksums": {"shards": {"y": 48, "x": 32}, "checksum": "none", "codec": {"name": "zstd"}},
    "0.4": {"format": "0.4"},
    "0.4 without compression": {"format": "0.4", "codec": {"name": "none"}},
    "gzip": {"codec": {"name": "gzip", "level": 1}},
}
OTHERS = {
    r"output\.codec\.name was blosc": {"codec": {"name": "zstd"}},
    r"output\.codec\.level was 1 .* and is 5": {"codec": {"level": 5}},
    r"output\.checksum was crc32c .* and is none": {"checksum": "none"},
    r"output\.shards was \[\] .* and is \[96, 96\]": {"shards": 96},
    r"output\.(checksum|format) was": {"format": "0.4"},
}


def spec_of(folder, kind, tile=96):
    """Write a pipeline of 160 x 176 pixels in chunks of 16 and tiles of 96, whole shards of every kind."""
    spec = yaml.safe_load(write_spec(folder, ONE, tile=tile).read_text())
    spec["output"] |= {"chunks": 16, **(KINDS[kind] if isinstance(kind, str) else kind)}
    (folder / "p.yaml").write_text(yaml.safe_dump(spec))
    return folder / "p.yaml"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    folder = tmp_path_factory.mktemp("usual")
    tileconv.run(spec_of(folder, {}))
    return stored(folder / "o.zarr")


@pytest.fixture(scope="module", params=KINDS)
def once(tmp_path_factory, request):
    """A finished output of each kind, not to be changed."""
    folder = tmp_path_factory.mktemp("once")
    report = tileconv.run(spec_of(folder, request.param))
    assert report.tiles == 4
    return folder


@pytest.fixture
def made(once, tmp_path):
    """The same, to be changed, in a place of its own; the input's path is part of what is resumed."""
    shutil.copytree(once / "o.zarr", tmp_path / "o.zarr")
    shutil.copytree(once / "o.zarr.tileconv", tmp_path / "o.zarr.tileconv")
    spec = yaml.safe_load((once / "p.yaml").read_text())
    spec["input"]["path"] = str(once / "a.tif")
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path


def pixel_files(folder):
    metadata = {"zarr.json", ".zattrs", ".zgroup", ".zarray"}
    return sorted(p for p in (folder / "o.zarr").rglob("*") if p.is_file() and p.name not in metadata)


def test_the_pixels_are_the_same_and_it_is_whole(once, usual):
    np.testing.assert_array_equal(stored(once / "o.zarr"), usual)
    found = tileconv.verify(once / "o.zarr", recompute="2")
    assert (found.damages, found.recomputed) == ((), 2)
    report = tileconv.run(once / "p.yaml")
    assert (report.tiles, report.kept) == (0, 4)
    assert "already complete" in summary(report)


def test_a_result_is_made_again_with_the_same_bytes_whatever_the_tile(once, tmp_path):
    tileconv.rerun(once / "o.zarr", tmp_path / "o.zarr")
    assert digest(tmp_path / "o.zarr") == digest(once / "o.zarr")


def test_what_is_damaged_is_found_and_made_again(made):
    before = digest(made / "o.zarr")
    files = pixel_files(made)
    gone, flipped = files[0], files[-1]
    gone.unlink()
    good = flipped.read_bytes()
    flipped.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])
    assert [found.tile for found in tileconv.verify(made / "o.zarr").damages] == [0, 3]
    report = tileconv.run(made / "p.yaml", repair=True)
    assert report.tiles == 2
    assert digest(made / "o.zarr") == before


@pytest.mark.parametrize("name", ["first", "last"])
def test_metadata_are_verified_and_written_again(made, name):
    before = digest(made / "o.zarr")
    files = sorted(p for p in (made / "o.zarr").rglob("*") if p.is_file() and p not in pixel_files(made))
    file = files[0 if name == "first" else -1]
    file.unlink()
    assert [str(found) for found in tileconv.verify(made / "o.zarr").damages] == [
        f"{file.relative_to(made / 'o.zarr').as_posix()} is missing"
    ]
    assert tileconv.run(made / "p.yaml", repair=True).tiles == 0
    assert digest(made / "o.zarr") == before


def test_windows_are_part_of_what_is_verified(made):
    file = next(p for p in (made / "o.zarr" / ".zattrs", made / "o.zarr" / "zarr.json") if p.exists())
    text = file.read_text()
    assert text.count('"window"') == 1
    file.write_text(text.replace('"start": ', '"start": 1'))
    (found,) = tileconv.verify(made / "o.zarr").damages
    assert "is not what was written" in str(found)


@pytest.mark.parametrize("message", OTHERS)
def test_another_way_to_store_it_is_refused(tmp_path, message):
    tileconv.run(spec_of(tmp_path, {}))
    pixel_files(tmp_path)[0].unlink()
    spec = spec_of(tmp_path, OTHERS[message])
    with pytest.raises(ResumeError, match=message):
        tileconv.run(spec)
    tileconv.run(spec, overwrite=True)
    assert tileconv.verify(tmp_path / "o.zarr").damages == ()


@seldom
def test_a_run_that_is_killed_goes_on_with_shards(tmp_path):
    spec_of(tmp_path, KINDS["shards"] | {"chunks": 8, "shards": 16}, tile=16)
    code, _, _ = signalled(tmp_path, 9, 20)
    assert code == -9
    assert finish(tmp_path)[0] == 0
    first = digest(tmp_path / "o.zarr")
    assert finish(tmp_path, "--overwrite")[0] == 0
    assert digest(tmp_path / "o.zarr") == first
    assert tileconv.verify(tmp_path / "o.zarr").damages == ()


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=seldom)])
def test_the_bytes_do_not_depend_on_the_tile_or_on_who_makes_it(tmp_path, once, executor):
    spec = yaml.safe_load((once / "p.yaml").read_text())
    spec["input"]["path"] = str(once / "a.tif")
    spec["output"]["path"] = str(tmp_path / "o.zarr")
    spec["run"] = {"executor": executor, "tile": "auto", "memory": "4GiB", "workers": 2}
    tileconv.run(spec)
    assert digest(tmp_path / "o.zarr") == digest(once / "o.zarr")


def test_the_marker_of_an_unfinished_result_of_0_4_is_heeded_as_an_input(tmp_path):
    tileconv.run(spec_of(tmp_path, "0.4"))
    file = tmp_path / "o.zarr" / ".zattrs"
    file.write_text(json.dumps({"tileconv": {"complete": False}}))
    for path in (tmp_path / "o.zarr", tmp_path / "o.zarr" / "0"):
        spec = {"version": 1, "input": {"path": str(path)}, "stages": [], "output": {"path": str(tmp_path / "n.zarr")}}
        with pytest.raises(tileconv.errors.SourceError, match="a run that did not finish"):
            tileconv.run(spec)


def test_tiles_that_are_no_whole_shards_are_refused(tmp_path):
    with pytest.raises(PlanError, match=r"run\.tile of 96 pixels along y is not a whole number of shards of 64"):
        tileconv.run(spec_of(tmp_path, {"shards": 64}))
    assert not os.path.lexists(tmp_path / "o.zarr")
