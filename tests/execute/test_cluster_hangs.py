"""Workers that hang, and workers that wake when their run is over."""

import os
import signal

import pytest
from execute.cluster_help import after, eventually, hanging, running, seldom, wake
from execute.resume_help import ONE, TWO, digest, done, litter, start, write_spec

import tileconv
from tileconv.errors import Interrupted
from tileconv.execute import crew, flight, tasks


@pytest.fixture
def cluster(tmp_path):
    """A cluster of which one worker will hang, where the heartbeat goes on, before it stores a tile."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with running(folder, *hanging(folder)) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch):
    """Nobody is waited for as long as in earnest."""
    monkeypatch.setattr(crew, "SILENT_S", 3)
    monkeypatch.setattr(tasks, "LATE_S", 3)
    monkeypatch.setattr(flight, "QUIET_S", 1)
    monkeypatch.setattr(flight, "TELL_S", 0.5)
    monkeypatch.setattr(flight, "LOOK_S", 0.2)


@pytest.mark.parametrize("stages", [ONE, pytest.param(TWO, marks=seldom)], ids=["one pass", "two passes"])
def test_a_tile_that_hangs_is_made_elsewhere_and_its_worker_comes_too_late(
    tmp_path, cluster, impatient, finished, stages
):
    """The run does not wait for it; what it stores in the end reaches nothing."""
    report = tileconv.run(write_spec(tmp_path, stages, run={"executor": cluster.address}))
    assert (cluster.folder / "hung").exists()
    assert not (cluster.folder / "awake").exists()
    assert report.tiles == 110 * (1 + (stages is TWO))
    before = {path: path.stat().st_ino for path in tmp_path.rglob("o.zarr*/**/*")}
    wake(cluster.folder)
    assert {path: path.stat().st_ino for path in tmp_path.rglob("o.zarr*/**/*")} == before
    assert litter(tmp_path) == []
    assert digest(tmp_path / "o.zarr" / "0") == digest(finished(stages) / "o.zarr" / "0")
    assert not tileconv.verify(tmp_path / "o.zarr").damages


@seldom
def test_a_stopped_worker_is_gone_on_without(tmp_path, cluster, impatient, finished, monkeypatch):
    """It may hold the job that others wait for, and receipts that nobody can fetch."""
    (cluster.folder / "hang").unlink()
    after(monkeypatch, 5, lambda: cluster.workers[0].send_signal(signal.SIGSTOP))
    monkeypatch.setattr("tileconv.execute.connect.ANSWER_WITHIN_S", 1)
    tileconv.run(write_spec(tmp_path, ONE, run={"executor": cluster.address}))
    assert digest(tmp_path / "o.zarr" / "0") == digest(finished(ONE) / "o.zarr" / "0")


@seldom
def test_an_interrupt_does_not_wait_for_a_worker_that_hangs(tmp_path, cluster, impatient, monkeypatch):
    monkeypatch.setattr(tasks, "LATE_S", 600)
    after(monkeypatch, 20, lambda: os.kill(os.getpid(), signal.SIGINT))
    spec = write_spec(tmp_path, ONE, run={"executor": cluster.address})
    monkeypatch.setattr(tasks, "TILES", 1)
    with pytest.raises(Interrupted, match="of 110 tiles are done"):
        tileconv.run(spec)
    kept, chunks = done(tmp_path), digest(tmp_path / "o.zarr")
    wake(cluster.folder)
    assert digest(tmp_path / "o.zarr") == chunks  # the next run makes that tile
    assert tileconv.run(spec).kept == kept


@seldom
def test_a_worker_of_a_killed_client_cannot_write_into_the_next_run(tmp_path, cluster):
    write_spec(tmp_path, TWO, run={"executor": cluster.address})
    with start(tmp_path) as process:
        eventually((cluster.folder / "hung").exists)
        process.kill()
    report = tileconv.run(write_spec(tmp_path, ONE), overwrite=True)
    assert report.tiles == 110
    before = digest(tmp_path / "o.zarr")
    wake(cluster.folder)
    assert digest(tmp_path / "o.zarr") == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["cluster", "o.zarr", "o.zarr.tileconv"]
