"""Which workers get tiles: of another version, another disk, another input, and those that come late."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from pickle import dumps, loads
from types import SimpleNamespace

import numpy as np
import pytest
import strategies
from execute.cluster_help import Wrapped, after, another, may_mount, running, seeing, seldom
from execute.resume_help import ONE, TWO, digest, done, litter, write_spec
from PIL import Image
from properties.runs_help import write_tiff, write_zarr

import tileconv
from tileconv.errors import ClusterError, SourceError
from tileconv.execute import connect, crew
from tileconv.execute import look as looking
from tileconv.execute.begin import sinks_of
from tileconv.execute.ledger import Ledger
from tileconv.execute.run import run_plan
from tileconv.execute.trust import admit, trusting
from tileconv.sources.open import open_source
from tileconv.stores.local import LocalStore
from tileconv.tiles.windows import Job


@pytest.fixture
def right(tmp_path):
    """The digest of what the chain makes on threads."""
    (tmp_path / "right").mkdir()
    tileconv.run(write_spec(tmp_path / "right", TWO))
    return digest(tmp_path / "right" / "o.zarr" / "0")


@pytest.mark.parametrize(
    "number", [pytest.param("0.0.1", marks=seldom), None], ids=["another version", "another checkout of it"]
)
def test_another_code_gets_no_tiles_and_is_named(tmp_path, right, number):
    with running(tmp_path) as cluster:
        cluster.add_worker(env=another(tmp_path, number=number))
        cluster.wait_for(3)
        report = tileconv.run(write_spec(tmp_path, TWO, run={"executor": cluster.address}))
    assert digest(tmp_path / "o.zarr" / "0") == right
    assert litter(tmp_path) == []
    (note,) = report.notes
    what = f"tileconv 0.0.1, here {version('tileconv')}" if number else f"{looking.CODE} "
    assert note.startswith("no tiles go to worker tcp://127.0.0.1:")
    assert what in note
    assert not tileconv.verify(tmp_path / "o.zarr", recompute="5").damages


@seldom
def test_where_all_are_refused_the_run_says_why(tmp_path):
    with running(tmp_path, workers=0) as cluster:
        cluster.add_worker(env=another(tmp_path, number="0.0.1"))
        spec = write_spec(tmp_path, ONE, run={"executor": cluster.address})
        with pytest.raises(ClusterError, match=r"no worker may have tiles: .*: it has tileconv 0\.0\.1, here"):
            tileconv.run(spec)
    assert done(tmp_path) == 0


@seldom
def test_where_only_refused_ones_are_left_the_run_says_why(tmp_path, monkeypatch):
    """Tiles wait for workers that are trusted, never for those that are there."""
    with running(tmp_path, workers=1) as cluster:
        cluster.add_worker(env=another(tmp_path))
        cluster.wait_for(2)

        def end():
            monkeypatch.setattr(crew, "WORKERS_WITHIN_S", 1)
            monkeypatch.setattr(connect, "ANSWER_WITHIN_S", 1)
            cluster.workers[0].kill()

        after(monkeypatch, 5, end)
        spec = write_spec(tmp_path, ONE, run={"executor": cluster.address})
        with pytest.raises(ClusterError, match=rf"no worker may have tiles: .*{looking.CODE}"):
            tileconv.run(spec)
        monkeypatch.undo()
        kept = done(tmp_path)
        assert 0 < kept < 110
        cluster.add_worker()
        cluster.wait_for(2)
        assert tileconv.run(spec).kept == kept
    assert not tileconv.verify(tmp_path / "o.zarr", recompute="5").damages


@seldom
@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_one_that_comes_late_is_looked_at_first(tmp_path, right, monkeypatch, method):
    hear = Ledger.hear

    with running(tmp_path, workers=1) as cluster:

        def late(self, outcome):
            hear(self, outcome)
            if self.tiles_made == 5:
                cluster.add_worker(env=another(tmp_path))
                cluster.wait_for(2)

        monkeypatch.setattr(Ledger, "hear", late)
        tileconv.run(write_spec(tmp_path, TWO, run={"executor": cluster.address, "halo_method": method}))
    assert digest(tmp_path / "o.zarr" / "0") == right


@seldom
@pytest.mark.skipif(not may_mount(), reason="needs a kernel that lets users mount a file system of their own")
@pytest.mark.parametrize("hidden", ["o.zarr", "."], ids=["output", "input and output"])
def test_another_disk_gets_no_tiles(tmp_path, right, hidden):
    """The worker has another folder in the place of the output, or of all; nothing is written there."""
    data = tmp_path / "data"
    (data / "o.zarr").mkdir(parents=True)
    kept = tmp_path / "theirs"
    kept.mkdir()
    spec = write_spec(data, TWO)
    with running(tmp_path, workers=1) as cluster:
        cluster.add_worker(prefix=seeing(kept, data / hidden))
        cluster.wait_for(2)
        report = tileconv.run(write_spec(data, TWO, run={"executor": cluster.address}))
    assert spec.exists()
    assert digest(data / "o.zarr" / "0") == right
    assert list(kept.iterdir()) == []
    assert len(report.notes) == 1 + (hidden == ".")  # the first pass has an input and an output of its own
    assert ("another folder there" if hidden == "o.zarr" else "a.tif") in report.notes[0]


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.png", "a.zarr"])
def test_a_source_is_known_again_and_another_is_not(tmp_path, name):
    pixels = strategies.pixels((40, 50), "uint8", 0)

    def write(image):
        if name == "a.zarr":
            return write_zarr(tmp_path / name, image, (20, 25))
        if name == "a.npy":
            return np.save(tmp_path / name, image)
        return write_tiff(tmp_path / name, image) if name == "a.tif" else Image.fromarray(image).save(tmp_path / name)

    write(pixels)
    source = open_source(tmp_path / name)
    source.check_stored()
    shutil.rmtree(tmp_path / name) if name == "a.zarr" else (tmp_path / name).unlink()
    with pytest.raises(SourceError):
        source.check_stored()
    write(pixels + 1)
    with pytest.raises(SourceError, match=r"another file than|changed after"):
        source.check_stored()


class Elsewhere(Wrapped):
    """An input that is another file on a worker."""

    def check_stored(self):
        if os.getpid() != self.words[0]:
            self.source.fingerprint["size"] += 1
        self.source.check_stored()


def test_who_sees_another_output_or_input_is_told(tmp_path):
    plan = tileconv.plan(write_spec(tmp_path, ONE))
    run_plan(plan, open_source(tmp_path / "a.tif"))
    key, source = "name", open_source(tmp_path / "a.tif")
    (sink,) = sinks_of(plan)

    def staged(folder):
        store = LocalStore(tmp_path / "o.zarr", folder)
        return Job(plan.passes[0], (source,), (replace(sink, store=store),))

    job = staged(tmp_path)
    assert "o.zarr is another folder there than here (No such file" in admit(job, key)
    (tmp_path / "o.zarr" / key).write_text("another name")
    assert admit(job, key).endswith("o.zarr is another folder there than here")
    (tmp_path / "o.zarr" / key).write_text("name")
    assert admit(job, key) == ""
    assert admit(staged(tmp_path / "not here"), key).endswith("not here is another folder there than here")
    source.fingerprint["size"] += 1
    assert admit(job, key).endswith("a.tif is another file than the one that was opened")


class Here:
    """A client whose one worker is this process."""

    asked = 0

    def submit(self, _eval, _code, words, **_):
        self.asked += 1
        function, args = loads(words["call"])  # noqa: S301  made here
        return SimpleNamespace(done=lambda: True, result=lambda **_: ("here", function(*args)))


def test_workers_are_asked_anew_about_every_job_and_about_those_at_work(tmp_path):
    jobs, told = [], []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        plan = tileconv.plan(write_spec(folder, ONE))
        (sink,) = sinks_of(plan)
        sink.create(overwrite=False)
        jobs.append(Job(plan.passes[0], (open_source(folder / "a.tif"),), (sink,)))
    one, two = jobs

    def files():
        return [len([*(tmp_path / name / "o.zarr").glob(".worker.*")]) for name in ("one", "two")]

    with trusting(Here(), [], told.append) as trust:
        trust.take(one, [])
        trust.look({"w"})
        assert (trust.trusted, files()) == ({"w"}, [1, 0])
        (tmp_path / "one" / "a.tif").unlink()
        trust.take(two, [one])
        assert (trust.trusted, files()) == (set(), [1, 1])
        trust.look({"w"})
        assert (trust.trusted, len(told)) == (set(), 1)
        assert "a.tif" in told[0]
        trust.take(two, [])
        trust.look({"w"})
        assert (trust.trusted, trust.refused, files()) == ({"w"}, {}, [0, 1])
        assert (trust.knows(one), trust.knows(two)) == (False, True)
    assert files() == [0, 0]


def test_workers_are_asked_once_about_images_that_lie_beside_each_other(tmp_path):
    """Unless one needs more memory, or the worker is new."""
    write_spec(tmp_path, ONE)

    def job(name, tile=16):
        spec = write_spec(tmp_path, ONE, store=f"{name}.zarr", tile=tile)
        plan = tileconv.plan(spec)
        (sink,) = sinks_of(plan)
        sink.create(overwrite=False)
        return Job(plan.passes[0], (open_source(tmp_path / "a.tif"),), (sink,))

    a, b, large, d, e = job("a"), job("b"), job("c", tile=160), job("d", tile=160), job("e")
    client = Here()
    with trusting(client, [], pytest.fail) as trust:

        def take(one, at_work, workers):
            trust.take(one, at_work)
            trust.look(workers)
            assert trust.trusted == workers
            return client.asked

        assert take(a, [], {"v"}) == 1
        assert take(b, [a], {"v"}) == 1
        assert take(large, [b], {"v"}) == 2
        assert take(d, [large], {"v", "w"}) == 3
        assert take(e, [], {"v", "w", "x"}) == 4
        assert take(large, [e], {"v", "w", "x"}) == 7  # x was asked about less
    assert list(tmp_path.rglob(".worker.*")) == []


@seldom
def test_another_input_gets_no_tiles(tmp_path):
    with running(tmp_path, workers=0) as cluster:
        cluster.add_worker(env={"PYTHONPATH": os.pathsep.join(sys.path)})
        plan = tileconv.plan(write_spec(tmp_path, ONE, run={"executor": cluster.address}))
        with pytest.raises(ClusterError, match=r"a\.tif is another file than the one that was opened"):
            run_plan(plan, Elsewhere(open_source(tmp_path / "a.tif"), os.getpid()))


@pytest.fixture
def forgetful(monkeypatch):
    """A process that was never looked at."""
    monkeypatch.setattr(sys, "_tileconv_first_look", {}, raising=False)


@pytest.mark.usefixtures("forgetful")
def test_what_differs_is_named_and_what_was_called_is_not_done():
    here = looking.look(["numpy", "zarr"])
    calls = []
    _, why = looking.accept(here | {"numpy": "0.1", "zarr": "0.2"}, dumps((calls.append, (1,))))
    assert why == f"it has numpy {version('numpy')}, here 0.1; zarr {version('zarr')}, here 0.2"
    assert looking.accept(here, dumps((abs, (-1,))))[1] == 1


@pytest.mark.usefixtures("forgetful")
def test_what_was_installed_after_a_process_began_is_not_trusted(monkeypatch):
    here = looking.look([])
    assert looking.accept(here, dumps((abs, (-1,))))[1] == 1
    monkeypatch.setattr(looking, "_code", lambda: "new")
    _, why = looking.accept(here | {looking.CODE: "new"}, dumps((abs, (-1,))))
    assert why == "code of tileconv changed after it began; start it again"


@pytest.mark.usefixtures("forgetful")
def test_the_text_runs_without_tileconv():
    code = Path(looking.__file__).read_text() + "\nprint(look(['no such library']))"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "'tileconv': 'none', 'no such library': 'none', 'code of tileconv': 'none'" in ran.stdout
