"""``tileconv run --repair``: exactly what is damaged is made again, under the rules of any run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from execute.resume_help import ONE, TWO, attempts, digest, litter, poisoned, write_spec

import tileconv
from tileconv.audit.status import status
from tileconv.errors import ResumeError, SinkError, SourceError
from tileconv.execute.stop import Stop
from tileconv.planning.machine import usable_processors
from tileconv.sinks.writer import Writer


@pytest.fixture
def made(finished):
    """A finished run of two passes."""
    return finished(TWO)


def test_nothing_to_repair(made, call):
    before = {p: p.stat().st_mtime_ns for p in (made / "o.zarr").rglob("*")}
    code, out, err = call("run", "p.yaml", "--repair", folder=made)
    assert (code, err) == (0, "")
    assert "nothing to repair" in out
    assert {p: p.stat().st_mtime_ns for p in (made / "o.zarr").rglob("*")} == before


def test_only_what_is_damaged(made, call):
    expected = digest(made / "o.zarr")
    chunk = made / "o.zarr" / "0" / "c" / "4" / "5"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    code, out, err = call("run", "p.yaml", "--repair", folder=made)
    assert code == 0, err
    assert "found: tile 49, y=64:80 x=80:96: 0/c/4/5 is not what was written" in out
    assert "repaired in" in out
    assert "10 tiles made again, 210 kept" in out
    assert digest(made / "o.zarr") == expected
    assert litter(made) == []
    assert {k for k, n in attempts(made).items() if n == 2} == {(1, 49)} | {
        (0, 11 * y + x) for y in (3, 4, 5) for x in (4, 5, 6)
    }
    report = json.loads(call("run", "p.yaml", "--repair", "--json", folder=made)[1])
    assert (report["damages"], report["tiles"]) == ([], 0)


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json"])
@pytest.mark.parametrize("text", [None, "", "{}", "other"])
def test_metadata(made, name, text):
    expected = digest(made / "o.zarr")
    file = made / "o.zarr" / name
    before = file.read_text()
    file.unlink()
    if text is not None:
        file.write_text(before.replace("zarr_format", "zarr_forma") if text == "other" else text)
    report = tileconv.run(made / "p.yaml", repair=True)
    assert report.tiles == 0
    assert report.damages == (f"{name} is {'missing' if text is None else 'not what was written'}",)
    assert digest(made / "o.zarr") == expected


def test_what_no_tile_has_goes(made):
    expected = digest(made / "o.zarr")
    shutil.copytree(made / "o.zarr" / "0" / "c" / "3", made / "o.zarr" / "0" / "c" / "44")
    assert len(tileconv.run(made / "p.yaml", repair=True).damages) == 11
    assert digest(made / "o.zarr") == expected


def test_what_is_not_ours_stays(made):
    (made / "o.zarr" / "0" / "c" / "3" / "3").unlink()
    (made / "o.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(SinkError, match=r"holds 'notes\.txt', which tileconv did not write"):
        tileconv.run(made / "p.yaml", repair=True)
    assert (made / "o.zarr" / "notes.txt").read_text() == "mine"
    assert status(made / "o.zarr").state == "unfinished"  # known to be damaged


def test_a_store_of_another_is_not_mended_into_ours(made):
    shutil.rmtree(made / "o.zarr")
    import zarr

    zarr.create_group(made / "o.zarr").create_array("0", data=np.ones((160, 176), "f4"), chunks=(16, 16))
    before = digest(made / "o.zarr")
    with pytest.raises(SinkError, match="was not made by tileconv"):
        tileconv.run(made / "p.yaml", repair=True)
    assert digest(made / "o.zarr") == before


def test_refusals(made, call):
    (made / "a.tif").write_bytes((made / "a.tif").read_bytes()[:-1] + b"?")
    with pytest.raises(ResumeError, match="input"):
        tileconv.run(made / "p.yaml", repair=True)
    assert call("run", "p.yaml", "--repair", "--overwrite", folder=made)[0] == 2
    shutil.rmtree(made / "o.zarr.tileconv")
    with pytest.raises(SourceError, match="expected the run folder"):
        tileconv.run(made / "p.yaml", repair=True)
    assert not (made / "o.zarr.tileconv").exists()


def test_counts_survive_a_damaged_journal(tmp_path):
    """What was counted in a tile of the first pass is in the result's provenance, whether or not the tile is read."""
    spec = write_spec(tmp_path, TWO, image=poisoned(), missing={"rule": "propagate"})
    tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    journal = tmp_path / "o.zarr.tileconv" / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lost = next(n for n, line in enumerate(lines) if b'"array":0,"level":0,"tile":25,' in line)
    lines[lost] = lines[lost].replace(b"digest", b"digesT")
    journal.write_bytes(b"".join(lines))
    (tmp_path / "o.zarr" / "zarr.json").unlink()
    tileconv.run(spec, repair=True)
    assert digest(tmp_path / "o.zarr") == expected


def test_an_unfinished_run_is_verified_and_finished(tmp_path):
    spec = write_spec(tmp_path, ONE, image=poisoned(), missing={"rule": "error"})
    with pytest.raises(tileconv.errors.UnfinishedError):
        tileconv.run(spec, keep_going=True)
    (tmp_path / "o.zarr" / "0" / "c" / "9" / "9").write_bytes(b"x")
    with pytest.raises(tileconv.errors.UnfinishedError, match="109 of 110 tiles are done"):
        tileconv.run(spec, keep_going=True, repair=True)
    assert attempts(tmp_path)[0, 9 * 11 + 9] == 2
    assert status(tmp_path / "o.zarr").state == "unfinished"


@pytest.fixture
def stopped_in_the_second_pass(made):
    """A run of two passes of which one tile of the second is left, beside what the first left for it; its digest."""
    expected = digest(made / "o.zarr")
    chunk = made / "o.zarr" / "0" / "c" / "2" / "3"
    chunk.unlink()
    (chunk / "x").mkdir(parents=True)
    with pytest.raises(SinkError, match="Is a directory"):
        tileconv.run(made / "p.yaml")
    (chunk / "x").rmdir()
    chunk.rmdir()
    return made, expected


def test_a_chunk_of_an_intermediate_result(stopped_in_the_second_pass):
    """Another chunk in its place is whole by its own checksum: the digest in the journal alone tells."""
    folder, expected = stopped_in_the_second_pass
    chunks = folder / "o.zarr.pass0" / "c"
    shutil.copy(chunks / "1" / "2", chunks / "2" / "3")
    before = attempts(folder)
    report = tileconv.run(folder / "p.yaml", repair=True)
    assert "tile 25, y=32:48 x=48:64 of pass 0: is not what was written to o.zarr.pass0" in report.damages
    assert attempts(folder) - before == {(0, 25): 1, (1, 25): 1}
    assert digest(folder / "o.zarr") == expected
    assert litter(folder) == []


@pytest.mark.parametrize("share", ["output", "intermediate result"])
def test_stopped_while_it_verifies(stopped_in_the_second_pass, monkeypatch, call, share):
    """The signal comes while a tile is compared: no other begins; unfinished then, and the plain command verifies."""
    folder, expected = stopped_in_the_second_pass
    if share == "output":  # one that is damaged
        tileconv.run(folder / "p.yaml")
        (folder / "o.zarr" / "0" / "c" / "4" / "5").write_bytes(b"x")
    else:
        (folder / "o.zarr.pass0" / "c" / "3" / "4").write_bytes(b"x")
    before = digest(folder)
    calls, stopped = [], threading.Event()

    def compared(sink, box):
        calls.append(box)
        if (sink.store.root.name == "o.zarr") == (share == "output"):
            if not stopped.is_set():
                os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(60)
        return stored_digest(sink, box)

    def stop(event):
        threading.Event.set(event)
        stopped.set()

    stored_digest = Writer.stored_digest
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "stored_digest", compared)
        patched.setattr(Stop, "set", stop)
        stopped_at = call("run", "p.yaml", "--repair", folder=folder)
    assert stopped_at == (
        130,
        "",
        "interrupted while the output was verified: it counts as unfinished until the same command has ended\n",
    )
    assert len(calls) <= (usable_processors() if share == "output" else 110)
    begun = folder / "o.zarr.tileconv" / "repair"
    kept = begun.read_bytes()
    begun.unlink()
    assert digest(folder) == before  # nothing else was changed
    begun.write_bytes(kept)
    assert (status(folder / "o.zarr").exit_code, status(folder / "o.zarr").repairing) == (3, True)
    problems = [damage.problem for damage in tileconv.verify(folder / "o.zarr").damages]
    assert problems[0] == "a repair was begun and is not finished; the command of the run finishes it"
    code, out, err = call("run", "p.yaml", folder=folder)
    assert code == 0, err
    assert "found: " in out
    assert digest(folder / "o.zarr") == expected


KILLED_AT_IMPORTS = """
import os, sys

class Killed:
    def find_spec(name, path=None, target=None):
        if name == "tileconv.execute.prepare":
            assert "numba" not in sys.modules
            os._exit(9)

sys.meta_path.insert(0, Killed)
sys.argv = ["tileconv", "run", "p.yaml", "--repair"]
from tileconv import cli
cli.main()
"""


def test_killed_before_its_libraries_are_there(made):
    """The plain command verifies all the same."""
    expected = digest(made / "o.zarr")
    (made / "o.zarr" / "0" / "c" / "4" / "5").write_bytes(b"x")
    assert subprocess.run([sys.executable, "-c", KILLED_AT_IMPORTS], cwd=made, check=False).returncode == 9
    assert (status(made / "o.zarr").exit_code, status(made / "o.zarr").repairing) == (3, True)
    assert tileconv.run(made / "p.yaml").damages
    assert digest(made / "o.zarr") == expected
    assert not status(made / "o.zarr").repairing


@pytest.mark.parametrize("words", [("--set", "stages.0.component=y"), ("-i", "absent.tif"), ("-o", "other.zarr")])
def test_one_that_is_refused_leaves_no_trace(made, call, words):
    before = digest(made / "o.zarr.tileconv")
    code, _, err = call("run", "p.yaml", "--repair", *words, folder=made)
    assert code in (1, 2), err
    lock = made / "o.zarr.tileconv" / "lock"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"pid": os.getpid()}))
    assert status(made / "o.zarr").state == "complete"
    assert digest(made / "o.zarr.tileconv") == before
    assert not (made / "other.zarr.tileconv").exists()


def test_stopped_while_it_verifies_what_is_whole(made, monkeypatch):
    """The plain command finds nothing and changes no byte: complete again, by the marker of before."""
    expected, record = digest(made / "o.zarr"), digest(made / "o.zarr.tileconv")
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "stored_digest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tileconv.run(made / "p.yaml", repair=True)
    assert status(made / "o.zarr").state == "unfinished"
    report = tileconv.run(made / "p.yaml")
    assert (report.tiles, report.damages) == (0, ())
    assert status(made / "o.zarr").state == "complete"
    assert (digest(made / "o.zarr"), digest(made / "o.zarr.tileconv")) == (expected, record)
