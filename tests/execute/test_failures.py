"""Tiles that fail: the first one ends a run, or all others are made; and what comes back after a short wait."""

import errno
import json
import os

import numpy as np
import pytest
import strategies
import tifffile
from execute.resume_help import ONE, TWO, attempts, digest, done, finish, history, poisoned, write_spec
from properties.runs_help import complete, write_tiff

import tileconv
from tileconv import retry
from tileconv.audit.status import status
from tileconv.errors import SinkError, SourceError, TileError, UnfinishedError
from tileconv.retry import TRIES, retrying
from tileconv.tiles.windows import Job

RULE = {"missing": {"rule": "error"}}


def test_the_first_failure_ends_the_run(tmp_path, call):
    write_spec(tmp_path, ONE, image=poisoned(), **RULE)
    code, out, err = finish(tmp_path)
    assert (code, out) == (1, "")
    first, note = err.splitlines()
    assert first.startswith("error: ")
    assert "tile y=32:48 x=48:64: 1 missing pixels" in first
    assert note == f"{done(tmp_path)} of 110 tiles are done"  # the input has to change
    ((key, error),) = history(tmp_path).failed().items()
    assert key == (0, 0, 2 * 11 + 3)
    assert "1 missing pixels" in error
    assert not complete(tmp_path / "o.zarr")
    assert call("run", "p.yaml", folder=tmp_path)[0] == 1


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_the_others_are_made_when_one_fails(tmp_path, call, executor):
    write_spec(tmp_path, ONE, image=poisoned(), run={"executor": executor, "workers": 1}, **RULE)
    code, out, err = call("run", "p.yaml", "--keep-going", folder=tmp_path)
    assert (code, out) == (3, "")
    assert "1 tile failed: " in err
    assert "tile y=32:48 x=48:64: 1 missing pixels" in err
    assert "109 of 110 tiles are done" in err
    assert done(tmp_path) == 109
    assert not complete(tmp_path / "o.zarr")
    found = status(tmp_path / "o.zarr")
    assert (found.state, found.done, found.failed, found.left, found.exit_code) == ("unfinished", 109, 1, 1, 3)
    assert found.failures[0]["tile"] == 25
    code, _, err = call("run", "p.yaml", "--keep-going", folder=tmp_path)
    assert code == 3
    assert "kept 109 tiles, 1 to make: 1 failed before" in err
    assert attempts(tmp_path)[0, 25] == 2


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_tiles_that_need_a_failed_one_are_left_out(tmp_path, method):
    write_spec(tmp_path, TWO, image=poisoned(at=(0, 0)), run={"halo_method": method}, **RULE)
    with pytest.raises(UnfinishedError, match=r"^.*o\.zarr: 1 tile failed, 9 need them: .*y=0:16 x=0:16") as caught:
        tileconv.run(tmp_path / "p.yaml", keep_going=True)
    assert "210 of 220 tiles are done" in str(caught.value)
    told = history(tmp_path)
    wanted = {y * 11 + x for y in range(10) for x in range(11)} - {y * 11 + x for y in (9, 0, 1) for x in (10, 0, 1)}
    assert set(told.done(1)) == wanted
    assert (tmp_path / "o.zarr.pass0").is_dir()
    with pytest.raises(SourceError, match=r"is not stored|did not finish"):
        tileconv.run(write_spec_of(tmp_path, "o.zarr.pass0"))


THREE = [*TWO, {"op": "sobel", "component": "y"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}]
"""Three passes: the second and the third begin with a stage that wraps."""


def around(tiles):
    """Return what reads *tiles* through a halo narrower than a tile, of 6 x 7 tiles that wrap."""
    at = [divmod(tile, 7) for tile in tiles]
    return {(y + dy) % 6 * 7 + (x + dx) % 7 for y, x in at for dy in (-1, 0, 1) for dx in (-1, 0, 1)}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_tile_that_fails_in_a_pass_of_three(tmp_path, monkeypatch, number):
    """All tiles are made but those that need it, in this pass and in those after it."""
    spec = write_spec(tmp_path, THREE, image=strategies.pixels((96, 112), "uint16", 0))
    store = tmp_path / ("o.zarr" if number == 2 else f"o.zarr.pass{number}")
    real = Job.run

    def run(job, tile):
        if job.sinks[0].store.root == store and tile.start == (32, 48):
            raise TileError("fell over", where=f"tile {tile}")
        return real(job, tile)

    failed = 2 * 7 + 3
    lost = [set(), set(), set()]
    lost[number] = {failed}
    for later in range(number + 1, 3):
        lost[later] = around(lost[later - 1])
    count = sum(map(len, lost))
    out = f", {count - 1} need them" * (number < 2)
    with monkeypatch.context() as patched:
        patched.setattr(Job, "run", run)
        patched.setattr(Job, "run_together", lambda job, tiles: [run(job, tile) for tile in tiles])
        with pytest.raises(
            UnfinishedError, match=rf"o\.zarr: 1 tile failed{out}: tile y=32:48 x=48:64: fell"
        ) as caught:
            tileconv.run(spec, keep_going=True)
    assert caught.value.exit_code == 3
    assert f"{126 - count} of 126 tiles are done; once that is mended, the same command makes the others" in str(
        caught.value
    )
    assert [set(range(42)) - set(history(tmp_path).done(n)) for n in range(3)] == lost
    found = status(tmp_path / "o.zarr")
    assert (found.state, found.done, found.left) == ("unfinished", 126 - count, count)
    assert found.failures == ({"pass": number, "tile": failed, "error": "tile y=32:48 x=48:64: fell over"},)
    report = tileconv.run(spec)
    assert (report.tiles, report.kept) == (count, 126 - count)
    assert set(attempts(tmp_path).values()) == {1, 2}
    made = digest(tmp_path / "o.zarr")
    tileconv.run(spec, overwrite=True)
    assert digest(tmp_path / "o.zarr") == made


def write_spec_of(folder, name):
    """Return a spec that takes an intermediate store for an image."""
    return {
        "version": 1,
        "input": {"path": str(folder / name), "missing_chunks": "error"},
        "stages": [],
        "output": {"path": str(folder / "other.zarr")},
    }


def test_a_mended_cause_lets_the_run_finish(finished):
    """A folder stands where a chunk belongs; once it is gone the same command makes what is left."""
    made = finished(TWO)
    spec, expected = made / "p.yaml", digest(made / "o.zarr")
    for chunk in ("3", "5"):
        path = made / "o.zarr" / "0" / "c" / "2" / chunk
        path.unlink()
        (path / "x").mkdir(parents=True)
    with pytest.raises(SinkError, match="Is a directory"):
        tileconv.run(spec)
    with pytest.raises(UnfinishedError, match="2 tiles failed"):
        tileconv.run(spec, keep_going=True)
    for chunk in ("3", "5"):
        (made / "o.zarr" / "0" / "c" / "2" / chunk / "x").rmdir()
        (made / "o.zarr" / "0" / "c" / "2" / chunk).rmdir()
    report = tileconv.run(spec)
    assert report.why.endswith("2 failed before")
    assert report.tiles == 2
    assert digest(made / "o.zarr") == expected
    assert not (made / "o.zarr.pass0").exists()


def test_a_damaged_input_fails_its_tiles_alone(tmp_path):
    image = strategies.pixels((160, 176), "uint16", 0)
    write_tiff(tmp_path / "a.tif", image, tile=32, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        at, size = file.pages[0].dataoffsets[14], file.pages[0].databytecounts[14]
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(at + size // 2)
        file.write(bytes(size // 4))
    spec = write_spec(tmp_path, ONE)
    with pytest.raises(UnfinishedError, match=r"16 tiles failed: .*a\.tif: page 0, segment 14 cannot be read"):
        tileconv.run(spec, keep_going=True)
    assert done(tmp_path) == 110 - 16  # four tiles in the segment, twelve around it


def errors_of(number, every, real, *, forever=False):
    """Return *real*, but every n-th call raises an error of the system; or each from that one on."""
    calls = []

    def faulty(*words, **options):
        calls.append(words)
        if len(calls) % every == 0 or (forever and len(calls) > every):
            raise OSError(number, os.strerror(number))
        return real(*words, **options)

    faulty.calls = calls
    return faulty


def test_errors_that_pass_are_outlived(finished, monkeypatch):
    made = finished(TWO)
    spec, expected = made / "p.yaml", digest(made / "o.zarr")
    monkeypatch.setattr(os, "replace", errors_of(errno.EIO, 10, os.replace))
    monkeypatch.setattr(os, "pread", errors_of(errno.ESTALE, 10, os.pread))
    monkeypatch.setattr(os, "write", errors_of(errno.EIO, 10, os.write))
    report = tileconv.run(spec, overwrite=True)
    assert report.tiles == 220
    assert len(os.replace.calls) > 220
    monkeypatch.undo()
    assert digest(made / "o.zarr") == expected
    assert history(made).unreadable == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_ends_the_run_though_it_should_keep_going(tmp_path, monkeypatch, number):
    spec = write_spec(tmp_path, ONE)
    monkeypatch.setattr(os, "replace", errors_of(number, 20, os.replace, forever=True))
    with pytest.raises(SinkError, match=os.strerror(number)) as caught:
        tileconv.run(spec, keep_going=True)
    monkeypatch.undo()
    assert "of 110 tiles are done; once that is mended, the same command makes the others" in caught.value.__notes__[0]
    assert 0 < done(tmp_path) < 40
    kept = done(tmp_path)
    assert tileconv.run(spec).kept == kept


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (OSError(errno.EIO, ""), TRIES),
        (OSError(errno.ENOENT, ""), 1),
        (OSError(errno.ENOSPC, ""), 1),
        (ValueError("no"), 1),
        (TileError("no"), 1),
    ],
    ids=repr,
)
def test_what_is_tried_again(monkeypatch, error, calls):
    waits, made = [], []
    monkeypatch.setattr(retry.time, "sleep", waits.append)

    def fail():
        made.append(1)
        raise SourceError("cannot") from error

    with pytest.raises(SourceError):
        retrying(fail)
    assert len(made) == calls
    assert waits == [0.01 * 2**n for n in range(calls - 1)]


def test_status_from_the_shell(tmp_path, finished, call):
    code, out, err = call("status", tmp_path / "o.zarr")
    assert (code, out) == (1, "")
    assert "expected the run folder" in err
    folder = finished(ONE)
    output = folder / "o.zarr"
    code, out, err = call("status", output)
    assert (code, err) == (0, "")
    assert "complete" in out
    assert "110 of 110 tiles" in out
    with (folder / "o.zarr.tileconv" / "journal").open("ab") as journal:
        journal.write(b"torn")
    (folder / "o.zarr.tileconv" / "done").unlink()
    code, out, err = call("status", output, "--json")
    found = json.loads(out)
    assert (code, found["state"], found["done"], found["unreadable_lines"]) == (3, "unfinished", 110, 1)
    assert found["seconds_left"] is None
    assert np.isfinite(found["tiles_per_second"])
