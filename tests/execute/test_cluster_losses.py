"""What is lost on a cluster: a stop, all workers, a worker's disk, and code that it lacks."""

import errno
import os
import signal
import sys

import pytest
from execute.cluster_help import Wrapped, running, seldom
from execute.resume_help import ONE, TWO, digest, done, finish, litter, signalled, write_spec

import tileconv
from tileconv.audit.status import status
from tileconv.errors import ClusterError, SinkError, SourceError
from tileconv.execute import connect, crew, flight
from tileconv.execute.run import run_plan
from tileconv.sources.open import open_source


@pytest.fixture
def mortal(tmp_path):
    """A cluster whose workers a test may end."""
    (tmp_path / "cluster").mkdir()
    with running(tmp_path / "cluster") as made:
        yield made


@seldom
@pytest.mark.parametrize(("stages", "lines"), [(ONE, 5), (TWO, 125)], ids=["first pass", "second pass"])
def test_stopped_and_gone_on_with(tmp_path, cluster, stages, lines):
    write_spec(tmp_path, stages, run={"executor": cluster})
    code, out, err = signalled(tmp_path, signal.SIGINT, lines)
    total = 110 * (1 + (stages is TWO))
    assert (code, out) == (130, ""), err
    assert (
        err.splitlines()[-1]
        == f"interrupted: {done(tmp_path)} of {total} tiles are done; the same command makes the others"
    )
    kept = done(tmp_path)
    assert lines - 1 <= kept < total
    assert sum(p.name.isdigit() for p in tmp_path.rglob("c/*/*")) == kept  # no worker wrote on
    assert finish(tmp_path)[0] == 0
    assert litter(tmp_path) == []
    made = digest(tmp_path / "o.zarr" / "0")
    tileconv.run(write_spec(tmp_path, stages), overwrite=True)
    assert digest(tmp_path / "o.zarr" / "0") == made


@seldom
@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_all_workers_lost(tmp_path, mortal, monkeypatch, method):
    """They end after a tile is done and before its receipt is fetched, which then exists nowhere."""
    spec = write_spec(tmp_path, ONE, run={"executor": mortal.address, "halo_method": method})
    landed, seen = flight.Flight.landed, []

    def last_words(self):
        found = landed(self)
        seen.append(found)
        if found and len([f for f in seen if f]) == 5:
            for worker in mortal.workers:
                worker.kill()
            mortal.wait_for(0)
            patched.setattr(crew, "WORKERS_WITHIN_S", 1)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(flight.Flight, "landed", last_words)
        patched.setattr(connect, "ANSWER_WITHIN_S", 1)
        with pytest.raises(ClusterError, match=r"all workers were lost\. See why they ended") as caught:
            tileconv.run(spec)
    kept = done(tmp_path)
    assert caught.value.__notes__ == [f"{kept} of 110 tiles are done; the same command makes the others"]
    assert status(tmp_path / "o.zarr").state == "unfinished"
    mortal.add_worker()
    mortal.wait_for(1)
    assert tileconv.run(spec).kept == kept
    assert not tileconv.verify(tmp_path / "o.zarr").damages


def test_an_error_of_a_workers_disk_says_how_to_go_on(tmp_path, cluster):
    spec = write_spec(tmp_path, ONE, run={"executor": cluster})
    tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    made = tmp_path / "o.zarr" / "0" / "c" / "4" / "5"
    made.unlink()
    made.mkdir()
    (made / "x").touch()
    with pytest.raises(SinkError, match=r"c/4/5: cannot write: Is a directory") as caught:
        tileconv.run(spec)
    (note,) = caught.value.__notes__
    assert note.startswith(f"{done(tmp_path)} of 110 tiles are done; once that is mended, the same command")
    (made / "x").unlink()
    made.rmdir()
    tileconv.run(spec)
    assert digest(tmp_path / "o.zarr") == expected


class Full(Wrapped):
    """Meets a full disk at every tile."""

    def read(self, box):
        raise SourceError("cannot read") from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def planned(folder, executor):
    spec = write_spec(folder, ONE, run={"executor": executor})
    return tileconv.plan(spec), open_source(str(folder / "a.tif"))


@seldom
def test_a_full_disk_of_a_worker_ends_the_run_though_it_should_keep_going(tmp_path):
    plan, source = planned(tmp_path, "processes")
    with pytest.raises(SourceError, match="cannot read") as caught:
        run_plan(plan, Full(source), keep_going=True)
    assert caught.value.__notes__ == ["0 of 110 tiles are done"]
    assert 0 < status(tmp_path / "o.zarr").failed < 110


@seldom
@pytest.mark.parametrize("who", ["workers", "scheduler"])
def test_code_that_a_cluster_lacks_is_named(tmp_path, who):
    known = {} if who == "workers" else {"PYTHONPATH": os.pathsep.join(sys.path)}
    lacks = ("it lacks what the client has" if who == "workers" else "the cluster lacks") + ":? test_cluster_losses"
    with running(tmp_path, workers=0) as cluster:
        cluster.add_worker(env=known)
        plan, source = planned(tmp_path, cluster.address)
        with pytest.raises(ClusterError, match=lacks):
            run_plan(plan, Full(source))
