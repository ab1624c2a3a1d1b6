"""Killed at several lengths of the journal, then the same command: the bytes of an undisturbed run, kept tiles kept."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
import zarr
from execute.resume_help import ONE, TWO, attempts, digest, done, finish, litter, signalled, start, write_spec

import tileconv
from tileconv.errors import SinkError


@pytest.fixture(scope="module", params=[ONE, TWO], ids=["one pass", "two passes"])
def clean(request, tmp_path_factory):
    """An undisturbed run: its folder, its stages, its digest and how many tiles it made."""
    folder = tmp_path_factory.mktemp("clean")
    report = tileconv.run(write_spec(folder, request.param))
    return folder, request.param, digest(folder / "o.zarr"), report.tiles


def again(folder):
    """Take the clean run's output away, so that another makes it on the same paths: the provenance names them."""
    for name in ("o.zarr", "o.zarr.tileconv", "o.zarr.pass0"):
        subprocess.run(["rm", "-rf", folder / name], check=True)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_killed_and_run_again(clean, call, share):
    folder, _, expected, tiles = clean
    again(folder)
    lines = 1 + int(share * tiles)
    code, _, err = signalled(folder, signal.SIGKILL, lines)
    assert code == -signal.SIGKILL, err
    kept = done(folder)
    assert lines - 1 <= kept < tiles
    code, out, err = call("run", "p.yaml", folder=folder)
    assert code == 0, err
    found = re.search(r"kept (\d+) tiles?, (\d+) to make", out)
    assert [int(n) for n in found.groups()] == [kept, tiles - kept]
    assert f"{tiles - kept} not made before" in err
    assert digest(folder / "o.zarr") == expected
    assert litter(folder) == []


def test_killed_again_and_again(clean):
    folder, _, expected, tiles = clean
    again(folder)
    rounds = 0
    while done(folder) < 0.8 * tiles:
        signalled(folder, signal.SIGKILL, history_lines(folder) + tiles // 3)
        rounds += 1
    assert rounds > 1
    tileconv.run(folder / "p.yaml")
    assert digest(folder / "o.zarr") == expected
    assert max(attempts(folder).values()) == 1  # nothing that was in the journal was made twice
    assert litter(folder) == []


def history_lines(folder):
    journal = folder / "o.zarr.tileconv" / "journal"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_a_signal_lets_tiles_in_flight_finish(clean):
    folder, stages, expected, tiles = clean
    again(folder)
    number = signal.SIGINT if stages is ONE else signal.SIGTERM
    code, out, err = signalled(folder, number, 5)
    assert (code, out) == (130, ""), err
    assert err == f"interrupted: {done(folder)} of {tiles} tiles are done; the same command makes the others\n"
    stored = sum(p.name.isdigit() for p in folder.rglob("c/*/*"))
    assert stored == done(folder)  # what was written is in the journal
    assert not litter(folder / "o.zarr")
    tileconv.run(folder / "p.yaml")
    assert digest(folder / "o.zarr") == expected


def test_a_complete_run_makes_nothing(finished):
    made, tiles = finished(ONE), 110
    before = {p: p.stat().st_mtime_ns for p in (made / "o.zarr").rglob("*")}
    code, out, err = finish(made)
    assert (code, err) == (0, "")
    assert f"already complete: 0 of {tiles} tiles to make" in out
    report = tileconv.run(made / "p.yaml")
    assert (report.tiles, report.kept) == (0, tiles)
    assert {p: p.stat().st_mtime_ns for p in (made / "o.zarr").rglob("*")} == before


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_lost_chunk_is_made_again_and_nothing_else(finished, damage):
    made = finished(ONE)
    spec = made / "p.yaml"
    expected = digest(made / "o.zarr")
    chunk = made / "o.zarr" / "0" / "c" / "3" / "4"
    before = {p: p.stat().st_mtime_ns for p in chunk.parents[1].rglob("*") if p.is_file() and p != chunk}
    chunk.unlink()
    if damage == "empty":
        chunk.touch()
    assert tileconv.run(spec).why == "kept 109 tiles, 1 to make: 1 lost chunks"
    assert digest(made / "o.zarr") == expected
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_what_was_clipped_in_kept_tiles_is_counted_once(tmp_path):
    spec = write_spec(tmp_path, TWO, output={"dtype": "uint8"})
    counts = tileconv.run(spec).counts
    expected = digest(tmp_path / "o.zarr")
    assert counts.clipped > 0
    (tmp_path / "o.zarr" / "0" / "c" / "3" / "4").unlink()
    assert tileconv.run(spec).counts == counts
    told = {name: count for name, count in asdict(counts).items() if name not in ("like_nodata", "idle")}
    assert zarr.open_group(tmp_path / "o.zarr", mode="r").attrs["tileconv"]["counts"] == told
    assert digest(tmp_path / "o.zarr") == expected


def test_tiles_left_that_wrap_read_the_far_side(finished):
    made = finished(TWO)
    spec = made / "p.yaml"
    expected = digest(made / "o.zarr")
    (made / "o.zarr" / "0" / "c" / "0" / "0").unlink()
    report = tileconv.run(spec)
    assert (report.tiles, report.kept) == (10, 210)
    assert report.why == "kept 210 tiles, 10 to make: 1 lost chunks, 9 of an earlier pass needed again"
    assert digest(made / "o.zarr") == expected


def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    folder = tmp_path
    write_spec(folder, ONE)
    journal = folder / "o.zarr.tileconv" / "journal"
    with start(folder) as process:
        while process.poll() is None and not journal.exists():
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(SinkError, match=f"being written by another run, process {process.pid} on "):
                tileconv.run(folder / "p.yaml")
            with pytest.raises(SinkError, match="another run"):
                tileconv.run(folder / "p.yaml", overwrite=True)
            command = [sys.executable, "-m", "tileconv", "status", "o.zarr", "--json"]
            told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert (told.returncode, '"state": "running"' in told.stdout) == (3, True)
    assert litter(folder) == []
