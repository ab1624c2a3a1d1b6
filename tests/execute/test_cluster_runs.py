"""Runs on a real Dask cluster: a scheduler and two workers, each a process of its own, on the loopback."""

import subprocess
import sys

import dask
import numpy as np
import pytest
import strategies
import yaml
from distributed import Client, LocalCluster
from execute.cluster_help import Deadly, seldom
from execute.resume_help import ONE, digest, done, history, write_spec
from properties.runs_help import complete, pipeline, run, tiled, windows, write_tiff

import tileconv
from tileconv.errors import ClusterError, SourceError, TileError, UnfinishedError
from tileconv.execute import crew
from tileconv.execute.run import run_plan
from tileconv.sources.open import open_source

CHAIN = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "unsharp", "sigma": 1}]
TWO = [
    {"op": "sobel", "component": "x"},
    {"op": "disk", "radius": 5, "engine": "direct", "border": "wrap"},
]


@pytest.fixture
def image():
    return strategies.pixels((203, 331), "uint16", 0)


@pytest.fixture
def source(tmp_path, image):
    return write_tiff(tmp_path / "a.tif", image, tile=64)


@pytest.mark.parametrize(
    ("method", "stages"),
    [
        ("windows", CHAIN),
        ("overlap", TWO),
        pytest.param("overlap", CHAIN, marks=seldom),
        pytest.param("windows", TWO, marks=seldom),
    ],
    ids=["windows-one pass", "overlap-two passes", "overlap-one pass", "windows-two passes"],
)
def test_the_same_bytes(tmp_path, cluster, source, image, method, stages):
    made, report = run(tiled(stages, 64, run={"executor": cluster, "halo_method": method}), source, tmp_path)
    assert made.tobytes() == windows(tiled(stages, None), image)[0].tobytes()
    if method == "windows":
        assert report.tiles == (24 if stages is CHAIN else 48)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tif", "out.zarr", "out.zarr.tileconv"]


@pytest.mark.parametrize("method", ["windows", pytest.param("overlap", marks=seldom)])
def test_levels_are_those_of_threads(tmp_path, cluster, source, method):
    spec = tiled(CHAIN[:1], 64, output={"chunks": 32, "pyramid": {"levels": 4}})
    levels = []
    for words in ({"executor": cluster, "halo_method": method}, {}):
        out = tmp_path / f"{len(levels)}.zarr"
        tileconv.run(spec | {"run": spec["run"] | words}, input=source, output=out)
        levels.append([digest(out / name) for name in "0123"])
    assert levels[0] == levels[1]


@pytest.mark.parametrize("method", ["windows", pytest.param("overlap", marks=seldom)])
def test_an_error_of_a_tile_arrives_unchanged(tmp_path, cluster, source, method):
    spec = tiled(TWO, 64, output={"dtype": "uint8", "overflow": "error"})
    spec["run"] |= {"executor": cluster, "halo_method": method}
    with pytest.raises(TileError, match=r"tile y=.*pixels do not fit uint8") as caught:
        run(spec, source, tmp_path)
    assert "rescale" in caught.value.fix
    assert "of 48 tiles are done" in caught.value.__notes__[0]
    assert not complete(tmp_path / "out.zarr")


def test_an_error_of_the_source_arrives_unchanged(tmp_path, cluster, image):
    path = tmp_path / "cut.tif"
    write_tiff(path, image, tile=64)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(SourceError, match=r"cut\.tif"):
        run(tiled(CHAIN, 64, run={"executor": cluster}), path, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_an_error_in_the_first_of_two_passes(tmp_path, cluster):
    """Other workers may still be writing the intermediate store; the error stays the tile's."""
    image = strategies.pixels((400, 600), "float32", 0)
    image[10, 300] = np.nan
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    with pytest.raises(TileError, match="1 missing pixels"):
        run(tiled(TWO, 64, missing={"rule": "error"}, run={"executor": cluster}), source, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_the_cluster_goes_on_after_a_run(tmp_path, cluster, source):
    run(tiled(CHAIN, 64, run={"executor": cluster}), source, tmp_path)
    with Client(cluster) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        assert client.gather(client.map(abs, [-1, -2])) == [1, 2]


def test_clipped_pixels_are_counted_across_workers(tmp_path, cluster, source, image):
    spec = tiled(TWO, 64, output={"dtype": "uint8"}, run={"executor": cluster})
    assert run(spec, source, tmp_path)[1].counts == windows(tiled(TWO, None, output={"dtype": "uint8"}), image)[1]


@seldom
def test_no_cluster_there(tmp_path, source):
    """From the command line: an error that says what to do, exit code 1, no traceback, nothing that passes for done."""
    spec = pipeline(CHAIN, input_={"path": source}, output={"path": str(tmp_path / "o.zarr")})
    spec["run"] |= {"executor": "tcp://127.0.0.1:9"}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "tileconv", "run", str(tmp_path / "p.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: tcp://127.0.0.1:9: cannot reach the Dask scheduler")
    assert "run.executor: processes" in done.stderr
    assert "Traceback" not in done.stderr
    assert not complete(tmp_path / "o.zarr")


def planned(folder, **words):
    """Return the plan of a spec of 110 tiles and its source."""
    spec = write_spec(folder, ONE, **words)
    return tileconv.plan(spec), open_source(str(folder / "a.tif"))


@seldom
def test_a_tile_that_ends_its_workers_is_named_and_the_others_are_made(tmp_path):
    deaths = tmp_path / "deaths"
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), LocalCluster(**options) as local:
        plan, source = planned(tmp_path, run={"executor": local.scheduler_address})
        with pytest.raises(UnfinishedError, match=r"1 tile failed: .*a\.tif, tile y=0:16 x=0:16: ended 2 workers"):
            run_plan(plan, Deadly(source, (0, 0), deaths), keep_going=True)
        assert done(tmp_path) == 109
        assert list(history(tmp_path).failed()) == [(0, 0, 0)]
        assert len(deaths.read_bytes()) <= 4  # two workers, and two again when it is tried alone
        assert run_plan(plan, source).kept == 109


def test_a_cluster_without_workers_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "WORKERS_WITHIN_S", 1)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        spec = write_spec(tmp_path, ONE, run={"executor": empty.scheduler_address})
        with pytest.raises(ClusterError, match="has no workers"):
            tileconv.run(spec)
