"""``tileconv pyramid``: levels beside results and images of other programs, what is there kept, and after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
import strategies
import zarr
from execute.resume_help import digest
from execute.test_pyramids import check_levels, levels, made, stored
from properties.runs_help import write_tiff

import tileconv
from tileconv.audit.status import status
from tileconv.errors import Interrupted, PlanError, SinkError, SpecError
from tileconv.execute.pyramid_in_place import _Group, of_any, of_result
from tileconv.operations.shrink import Shrink
from tileconv.planning.memory import BASE_BYTES
from tileconv.record.folder import RunFolder
from tileconv.sources.open import open_source
from tileconv.spec.pyramid import PyramidSpec
from tileconv.stores.local import LocalStore
from tileconv.stores.location import here

LONG = os.environ.get("TILECONV_PROFILE") == "long"
MIB = 2**20


def test_levels_of_a_result_are_those_that_its_run_would_have_made(tmp_path):
    spec = made(tmp_path, pyramid="none")
    spec.write_text(spec.read_text().replace("  pyramid: none\n", ""))
    added = tileconv.pyramid(tmp_path / "o.zarr", levels=4, workers=2)
    assert (added.added, [*added.shapes]) == (3, [(75, 93), (38, 47), (19, 24), (10, 12)])
    (other := tmp_path / "other").mkdir()
    made(other)
    assert stored(tmp_path / "o.zarr") == stored(other / "o.zarr")
    told = [json.loads((folder / "o.zarr" / "zarr.json").read_text())["attributes"] for folder in (tmp_path, other)]
    assert told[0]["ome"] == told[1]["ome"]
    assert not tileconv.verify(tmp_path / "o.zarr").damages
    assert status(tmp_path / "o.zarr").state == "complete"
    assert tileconv.run(spec).tiles == 0  # what the pipeline does not say is as it is
    assert tileconv.pyramid(tmp_path / "o.zarr", levels=4).added == 0
    (tmp_path / "o.zarr" / "2" / "c" / "0" / "1").unlink()
    assert len(tileconv.run(spec, repair=True).damages) == 1
    assert stored(tmp_path / "o.zarr") == stored(other / "o.zarr")
    report = tileconv.rerun(tmp_path / "o.zarr", tmp_path / "again.ome.zarr")
    assert stored(report.output) == stored(other / "o.zarr")


@pytest.mark.parametrize("at", [0, 3, 4, 9, 17])
def test_stopped_anywhere_the_same_command_goes_on(tmp_path, monkeypatch, at):
    """Also what was begun so is gone on with by the command of the run; the image can be read all the while."""
    spec = made(tmp_path, pyramid="none")
    spec.write_text(spec.read_text().replace("  pyramid: none\n", ""))
    real, writes = LocalStore.write, []

    def stops(self, *args, **words):
        writes.append(args)
        if len(writes) > at:
            raise KeyboardInterrupt
        return real(self, *args, **words)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "write", stops)
        with pytest.raises(KeyboardInterrupt):
            tileconv.pyramid(tmp_path / "o.zarr", levels=4, workers=1)
    assert levels(tmp_path / "o.zarr")[0].shape == (75, 93)
    if at % 2:
        tileconv.run(spec)
    tileconv.pyramid(tmp_path / "o.zarr", levels=4, workers=1)
    assert check_levels(tmp_path / "o.zarr") == 3
    assert not tileconv.verify(tmp_path / "o.zarr").damages


def test_levels_that_are_made_and_not_named_are_named(tmp_path):
    """As a call leaves them that died before its last step, after which the run's own command called all done."""
    spec = made(tmp_path, pyramid="none")
    spec.write_text(spec.read_text().replace("  pyramid: none\n", ""))
    told = tmp_path / "o.zarr" / "zarr.json"
    before = told.read_bytes()
    tileconv.pyramid(tmp_path / "o.zarr", levels=4, workers=1)
    whole = told.read_bytes()
    told.write_bytes(before)
    RunFolder(here(tmp_path / "o.zarr")).unset_done()
    tileconv.run(spec)
    tileconv.pyramid(tmp_path / "o.zarr", levels=4, workers=1)
    assert json.loads(told.read_bytes())["attributes"]["ome"] == json.loads(whole)["attributes"]["ome"]
    assert check_levels(tmp_path / "o.zarr") == 3


def foreign(path, *, zarr_format, count=2, image=None, chunks=(1, 32, 32)):
    """Write an image as another program does, with *count* levels that are not ours; return the pixels of the last."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    image = strategies.pixels((2, 90, 77), "uint16", 1) if image is None else image
    words = {"dimension_names": ["c", "y", "x"]} if zarr_format == 3 else {}
    datasets = []
    for number in range(count):
        name = f"s{number}"
        group.create_array(name, data=image, chunks=chunks, **words)
        scale = [1.0, 0.5 * 2**number, 0.25 * 2**number]
        datasets.append({"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
        last, image = image, image[:, ::2, ::2] + 1
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    told = {"version": "0.4", "axes": axes, "datasets": datasets}
    group.attrs.update(
        {"multiscales": [told]} if zarr_format == 2 else {"ome": {"version": "0.5", "multiscales": [told]}}
    )
    return last


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_image_of_another_program_keeps_what_it_has(tmp_path, zarr_format):
    last = foreign(tmp_path / "a.zarr", zarr_format=zarr_format)
    before = [digest(tmp_path / "a.zarr" / name) for name in ("s0", "s1")]
    added = tileconv.pyramid(tmp_path / "a.zarr", levels=4)
    assert (added.added, added.shapes[2:]) == (2, ((2, 23, 20), (2, 12, 10)))
    assert [digest(tmp_path / "a.zarr" / name) for name in ("s0", "s1")] == before
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    (told,) = (group.attrs.get("ome") or group.attrs)["multiscales"]
    assert [of["path"] for of in told["datasets"]] == ["s0", "s1", "2", "3"]
    assert told["datasets"][2]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1, 2, 1]}, {"type": "translation", "translation": [0, 0.5, 0.25]}
    ]  # fmt: skip
    shrink = Shrink("mean", (1, 2, 2))
    np.testing.assert_array_equal(group["2"][...], shrink.of(last))
    np.testing.assert_array_equal(group["3"][...], shrink.of(shrink.of(last)))
    assert open_source(tmp_path / "a.zarr", level=3).info.shape == (2, 12, 10)


def test_labels_are_made_by_mode(tmp_path):
    foreign(tmp_path / "a.zarr", zarr_format=3, count=1)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    group.attrs["ome"] = group.attrs["ome"] | {"image-label": {}}
    tileconv.pyramid(tmp_path / "a.zarr", levels=4)
    np.testing.assert_array_equal(group["1"][...], Shrink("mode", (1, 2, 2)).of(group["s0"][...]))


def test_what_was_not_listed_is_made_anew_and_others_are_refused(tmp_path, monkeypatch):
    foreign(tmp_path / "a.zarr", zarr_format=3)
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    before = digest(tmp_path / "a.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(Shrink, "make", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tileconv.pyramid(tmp_path / "a.zarr", levels=4)
    assert levels(tmp_path / "a.zarr")[0].shape == (2, 90, 77)
    tileconv.pyramid(tmp_path / "a.zarr", levels=4)
    tileconv.pyramid(tmp_path / "b.zarr", levels=4)
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr") != before
    foreign(tmp_path / "c.zarr", zarr_format=3)
    zarr.open_group(tmp_path / "c.zarr", mode="r+").create_array("2", shape=(3,), dtype="u1")
    with pytest.raises(SinkError, match="which is none of its levels"):
        tileconv.pyramid(tmp_path / "c.zarr", levels=4)


def test_what_has_no_place_for_levels_is_copied(tmp_path, call):
    write_tiff(tmp_path / "a.tif", strategies.pixels((70, 90), "uint16", 0), tile=32)
    zarr.create_array(tmp_path / "a.zarr", data=strategies.pixels((70, 90), "uint16", 0), chunks=(16, 16))
    with pytest.raises(SinkError, match="is no OME-Zarr image"):
        tileconv.pyramid(tmp_path / "a.zarr")
    for image in ("a.tif", "a.zarr"):
        out = tmp_path / f"{image}.ome.zarr"
        code, _, err = call("pyramid", str(tmp_path / image), "-o", str(out), "--levels", "3")
        assert (code, err) == (0, "")
        assert check_levels(out) == 2
    code, said, _ = call("pyramid", str(out), "--in-place", "--levels", "4")
    assert (code, said.splitlines()[1]) == (0, "levels     4, 1 of them added: 70 x 90, 35 x 45, 18 x 23, 9 x 12")
    assert call("pyramid", str(out))[0] == 2


def test_what_is_there_and_was_not_named_may_be_made_anew(tmp_path, monkeypatch):
    """Also what a call left that was killed after its last tile, and what it had only begun to write."""
    foreign(tmp_path / "a.zarr", zarr_format=3)
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    tileconv.pyramid(tmp_path / "a.zarr", levels=4)
    with monkeypatch.context() as patched:
        patched.setattr(_Group, "list_levels", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tileconv.pyramid(tmp_path / "b.zarr", levels=4)
    shutil.rmtree(tmp_path / "b.zarr" / "3")
    (tmp_path / "b.zarr" / "3").mkdir()
    (tmp_path / "b.zarr" / "3" / f".zarr.json.{'0' * 32}.partial").write_bytes(b"{")
    assert tileconv.pyramid(tmp_path / "b.zarr", levels=4).added == 2
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr")


def test_two_at_once_are_refused(tmp_path):
    foreign(tmp_path / "a.zarr", zarr_format=3)
    with RunFolder(here(tmp_path / "a.zarr")).locked(), pytest.raises(SinkError, match="is being written by another"):
        tileconv.pyramid(tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("ours", [True, False])
def test_a_signal_stops_it_and_the_same_call_makes_the_rest(tmp_path, monkeypatch, ours):
    place, real, made_tiles = tmp_path / "o.zarr", Shrink.make, []
    made(tmp_path, pyramid={"levels": 2}) if ours else foreign(place, zarr_format=3)

    def interrupted(self, *args):
        made_tiles.append(args)
        if len(made_tiles) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Shrink, "make", interrupted)
        with pytest.raises(Interrupted, match="the same command makes the levels that are left"):
            tileconv.pyramid(place, levels=5, workers=1)
    assert len(levels(place)) == 2
    left = tileconv.pyramid(place, levels=5, workers=1)
    assert left.tiles == 6 - len(made_tiles) * ours
    assert len(levels(place)) == 5


@contextmanager
def adding(place, asked):
    """Yield what would be added to the image at *place*."""
    folder = RunFolder(here(place))
    with folder.locked(), (of_result if folder.plan() else of_any)(folder, asked) as added:
        yield added


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("mean", {}),
        ("gaussian", {"dtype": "float32"}),
        ("median", {"chunks": 300}),
        ("nearest", {"checksum": "none", "codec": {"name": "zstd", "level": 9}}),
        ("mode", None),
    ],
)
def test_a_tile_takes_no_more_than_is_predicted(tmp_path, method, words):
    """Of the first level that is added: read, made and stored; words None are an image of another program."""
    image = strategies.pixels((600, 600), "uint16", 0)
    if words is None:
        foreign(tmp_path / "o.zarr", zarr_format=3, image=image[None], chunks=(1, 300, 300), count=1)
    else:
        made(tmp_path, image=image, stages=[], tile=600, pyramid="none", output={"chunks": 300} | words)
    with adding(tmp_path / "o.zarr", PyramidSpec(levels=2, method=method)) as added:
        ((job, _),) = added.todo
        added.begin()
        tile = job.grid.box((0,) * len(job.grid.counts))
        job.run(tile)  # compiles
        tracemalloc.start()
        try:
            job.run(tile)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 600 * 600 * job.sink.layout.info.dtype.itemsize < peak <= job.tile_bytes


def test_the_memory_says_how_many_take_part(tmp_path):
    foreign(tmp_path / "a.zarr", zarr_format=3)
    with adding(tmp_path / "a.zarr", PyramidSpec(levels=3)) as would:
        ((job, _),), held = would.todo, BASE_BYTES + would.held
    before = digest(tmp_path / "a.zarr")
    with pytest.raises(PlanError, match=r"levels take .* and may take") as refused:
        tileconv.pyramid(tmp_path / "a.zarr", levels=3, memory=held)
    assert "Raise memory, or write a new store" in refused.value.fix
    assert digest(tmp_path / "a.zarr") == before
    added = tileconv.pyramid(tmp_path / "a.zarr", levels=3, memory=held + job.tile_bytes, workers=9)
    assert added.predicted_bytes == held + job.tile_bytes


@pytest.mark.skipif(not LONG, reason="fresh processes: TILECONV_PROFILE=long")
@pytest.mark.parametrize("zarr_format", [None, 2, 3])
@pytest.mark.parametrize("method", ["mean", "gaussian", "median"])
def test_measured_stays_below_predicted(tmp_path, zarr_format, method):
    image = strategies.pixels((4096, 4096), "uint16", 0)
    if zarr_format:
        foreign(tmp_path / "o.zarr", zarr_format=zarr_format, image=image[None], chunks=(1, 1024, 1024), count=1)
    else:
        made(tmp_path, image=image, stages=[], tile=1024, pyramid="none", output={"chunks": 1024})
    words = ["pyramid", "o.zarr", "--in-place", "--json", "--method", method, "--workers", "4", "--levels", "4"]
    told = subprocess.run([sys.executable, "-m", "tileconv", *words], cwd=tmp_path, capture_output=True, check=True)
    added = json.loads(told.stdout)
    assert 50 * MIB < added["peak_bytes"] <= added["predicted_bytes"] <= 4 * added["peak_bytes"]
    print(method, zarr_format, added["peak_bytes"] / MIB, added["predicted_bytes"] / MIB)  # noqa: T201


def test_what_is_no_method_is_refused(tmp_path):
    foreign(tmp_path / "a.zarr", zarr_format=3)
    with pytest.raises(SpecError, match=r"(?s)output.pyramid.method: expected .*did you mean 'mode'"):
        tileconv.pyramid(tmp_path / "a.zarr", method="mod")
    with pytest.raises(SpecError, match=r"run.memory"):
        tileconv.pyramid(tmp_path / "a.zarr", memory="much")
