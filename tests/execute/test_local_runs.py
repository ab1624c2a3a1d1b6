"""Runs on threads: receipts and progress, intermediate stores, and what is left behind by failure and interruption."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import strategies
import yaml
import zarr
from properties.runs_help import complete, pipeline, run, stored, tiled, windows, write_tiff

import tileconv
from tileconv.errors import ResumeError, SinkError, SourceError, TileError
from tileconv.execute.report import Report, peak_bytes
from tileconv.images import ImageInfo
from tileconv.progress import Progress
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore

TWO = [{"op": "sobel", "component": "x"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}]
"""Two passes: the second wraps."""


class Heard(Progress):
    """Progress that writes down what it hears; a list's append is safe among threads."""

    def __init__(self):
        self.total, self.tiles = None, []

    def begin(self, tiles, pixels, kept=0):
        self.total = tiles, pixels

    def tile(self, pixels):
        self.tiles.append(pixels)


@pytest.fixture
def image():
    return strategies.pixels((130, 150), "uint16", 0)


@pytest.fixture
def source(tmp_path, image):
    return write_tiff(tmp_path / "a.tif", image, tile=64)


@pytest.mark.parametrize("method", ["windows", "overlap"])
@pytest.mark.parametrize("workers", [1, 3])
def test_progress_hears_of_every_tile(tmp_path, source, image, method, workers):
    heard = Heard()
    words = {"input_": {"path": source}, "output": {"path": str(tmp_path / "o.zarr")}}
    report = tileconv.run(tiled(TWO, 64, run={"halo_method": method, "workers": workers}, **words), progress=heard)
    assert heard.total == (18, 2 * image.size)
    assert len(heard.tiles) == report.tiles
    assert report.tiles == 18 or (method == "overlap" and report.tiles < 18)  # small ones at the end are merged
    assert sum(heard.tiles) == 2 * image.size


def test_more_tiles_than_wait_in_the_pool(tmp_path, source, image):
    made, report = run(tiled(TWO, 32), source, tmp_path)
    assert report.tiles == 2 * 25
    assert made.tobytes() == windows(tiled(TWO, None), image)[0].tobytes()


def test_the_report(tmp_path, source, image):
    made, report = run(tiled(TWO, 64), source, tmp_path)
    assert isinstance(report, Report)
    assert (report.output, report.shape, report.dtype) == (tmp_path / "out.zarr", made.shape, str(made.dtype))
    assert report.seconds > 0
    assert 0 < report.peak_bytes <= peak_bytes()
    found = report.as_json()
    assert found["output"] == str(tmp_path / "out.zarr")
    assert found["counts"] == {"clipped": 0, "missing": 0, "fallbacks": 0, "like_nodata": 0, "idle": 0}
    notes = zarr.open_group(report.output, mode="r").attrs["tileconv"]
    assert notes["fingerprint"] == report.fingerprint
    assert notes["complete"] is True
    assert notes["input"]["size"] > image.nbytes / 2
    assert [len(engines) for engines in notes["engines"].values()] == [1, 1]
    notes["spec"]["output"]["path"] = "elsewhere.zarr"
    assert tileconv.plan(notes["spec"]).fingerprint() == report.fingerprint


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_no_intermediate_store_is_left_after_success(tmp_path, source, image):
    made, _ = run(tiled(TWO, 64), source, tmp_path)
    assert len(tileconv.plan(tiled(TWO, 64, input_={"path": source})).passes) == 2
    assert names(tmp_path) == ["a.tif", "out.zarr", "out.zarr.tileconv"]
    assert made.tobytes() == windows(tiled(TWO, None), image)[0].tobytes()


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_it_is_kept_after_failure_in_the_last_pass(tmp_path, source, method):
    spec = tiled(TWO, 64, output={"dtype": "uint8", "overflow": "error"}, run={"halo_method": method})
    with pytest.raises(TileError):
        run(spec, source, tmp_path)
    assert names(tmp_path) == ["a.tif", "out.zarr", "out.zarr.pass0", "out.zarr.tileconv"]
    assert not complete(tmp_path / "out.zarr")


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_an_error_while_other_tiles_of_the_first_pass_are_written(tmp_path, method):
    image = strategies.pixels((300, 600), "float32", 0)
    image[10, 300] = np.nan
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    with pytest.raises(TileError, match="1 missing pixels"):
        run(tiled(TWO, 64, missing={"rule": "error"}, run={"halo_method": method, "workers": 4}), source, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_nothing_looks_whole_when_the_input_is_damaged(tmp_path, image):
    path = tmp_path / "a.tif"
    write_tiff(path, image, tile=64)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(SourceError, match=r"a\.tif"):
        run(tiled(TWO, 64), path, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_a_failed_output_may_be_replaced_and_a_finished_one_only_on_request(tmp_path, source):
    words = {"input_": {"path": source}, "output": {"path": str(tmp_path / "o.zarr"), "dtype": "int8"}}
    bad = tiled(TWO, 64, **words)
    bad["output"]["overflow"] = "error"
    with pytest.raises(TileError):
        tileconv.run(bad)
    tileconv.run(tiled(TWO, 64, **words), overwrite=True)
    assert complete(tmp_path / "o.zarr")
    with pytest.raises(ResumeError, match=r"output\.overflow was clip .* and is error"):
        tileconv.run(bad)
    assert complete(tmp_path / "o.zarr")


def test_another_store_is_not_mistaken_for_an_intermediate_one(tmp_path, source):
    """A user's folder happens to have the name of an intermediate store."""
    foreign = tmp_path / "out.zarr.pass0"
    foreign.mkdir()
    (foreign / "precious.txt").write_text("mine")
    with pytest.raises(SinkError, match="not made by tileconv"):
        run(tiled(TWO, 64), source, tmp_path)
    assert (foreign / "precious.txt").read_text() == "mine"
    assert not complete(tmp_path / "out.zarr")


def test_interrupted_in_the_middle(tmp_path):
    """Ctrl-C once the first chunk is there: exit code 130, a line and no traceback, and no finished image."""
    image = strategies.pixels((4096, 4096), "uint8", 0)
    kernel = np.random.default_rng(0).standard_normal((101, 101)).tolist()  # many seconds, of which few pass
    spec = pipeline(
        [{"op": "convolve", "kernel": kernel, "engine": "direct"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}],
        input_={"path": write_tiff(tmp_path / "a.tif", image, tile=256)},
        output={"path": str(tmp_path / "o.zarr"), "chunks": 64, "pyramid": "none"},
        run={"tile": 64},
    )
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "tileconv", "run", str(tmp_path / "p.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        while process.poll() is None and not list(tmp_path.glob("o.zarr.pass0/c/0/*")):
            time.sleep(0.002)  # leave the processor to the run
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert re.fullmatch(r"interrupted: \d+ of 8,192 tiles are done; the same command makes the others\n", err)
    assert not complete(tmp_path / "o.zarr")


def test_it_can_be_run_again_after_an_interruption(tmp_path, source, monkeypatch):
    class Interrupting(Heard):
        def tile(self, pixels):
            raise KeyboardInterrupt

    words = {"input_": {"path": source}, "output": {"path": str(tmp_path / "o.zarr")}}
    with pytest.raises(KeyboardInterrupt):
        tileconv.run(tiled(TWO, 64, **words), progress=Interrupting())
    assert not complete(tmp_path / "o.zarr")
    tileconv.run(tiled(TWO, 64, **words))
    assert stored(tmp_path / "o.zarr").shape == (130, 150)


@pytest.mark.parametrize(("extent", "shift"), [("full", -3), ("same", 0), ("valid", 3)])
def test_where_the_first_pixel_lies(tmp_path, extent, shift):
    """In units of the pixel's size, from where the input's own first pixel lies, over two passes."""
    given = ImageInfo(
        (12, 20, 30), "zyx", np.dtype("u1"), (4, 20, 30), (1.5, 0.5, 0.25), ("micrometer",) * 3, origin=(10.0, 0, -7)
    )
    sink = ZarrSink(LocalStore(tmp_path / "a.zarr"), Layout(given))
    sink.create()
    sink.writer.write(given.box, np.ones(given.shape, np.uint8))
    sink.finish({})
    ends = [{"op": "box", "size": n, "over": "zyx", "extent": extent} for n in (3, 5)]
    _, report = run(tiled([ends[0] | {"border": "wrap"}, ends[1] | {"border": "wrap"}], 16), sink.store.root, tmp_path)
    (level,) = zarr.open_group(report.output, mode="r").attrs["ome"]["multiscales"][0]["datasets"]
    size, at = level["coordinateTransformations"]
    assert size["scale"] == [1.5, 0.5, 0.25]
    assert at["translation"] == [10 + 1.5 * shift, 0.5 * shift, -7 + 0.25 * shift]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channel_names_reach_the_result(tmp_path, dtype):
    names = ("DAPI", "GFP", "RFP")
    given = ImageInfo((3, 20, 30), "cyx", np.dtype(dtype), (3, 20, 30), channels=names)
    sink = ZarrSink(LocalStore(tmp_path / "a.zarr"), Layout(given))
    sink.create()
    sink.writer.write(given.box, np.arange(1800).reshape(3, 20, 30).astype(dtype))
    sink.finish({})
    pixels, report = run(pipeline([{"op": "box", "size": 3}], output={"dtype": "float32"}), sink.store.root, tmp_path)
    attributes = zarr.open_group(report.output, mode="r").attrs
    assert attributes["tileconv"]["channels"] == list(names)
    channels = attributes["ome"]["omero"]["channels"]
    assert [channel["label"] for channel in channels] == list(names)
    for channel, plane in zip(channels, pixels, strict=True):
        window = channel["window"]
        assert (window["min"], window["max"]) == (plane.min(), plane.max())
        assert window["min"] <= window["start"] < window["end"] <= window["max"]
