"""SIGINT and SIGTERM at any moment of a command's life: one clear end, and nothing that looks whole and is not."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from execute.resume_help import ONE, digest, done, finish, litter, write_spec
from execute.signal_moments import after, signalled_when

import tileconv
from tileconv import signals
from tileconv.execute.stop import on_signals

LONG = os.environ.get("TILECONV_PROFILE") == "long"
MOMENTS = 60 if LONG else 3
"""Moments of a command's life that the signal comes at."""
MEASURED = {f"{engine}, {width}" for engine in ("direct", "separable", "fft") for width in ("narrow", "wide")}
"""What calibrate says that it measures."""


def ended(code, folder):
    """Run Python code; return its exit code and what it said on stderr."""
    made = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    return made.returncode, made.stderr


def one_end(found):
    """Return whether a command ended well, or after a signal with one sentence."""
    said = [line for line in found.err.splitlines() if line not in MEASURED]
    return found.code == 0 or (found.code == 130 and len(said) == 1 and "Traceback" not in found.err)


def test_the_first_instant_of_a_command(tmp_path):
    """The signal comes as soon as there is a handler, while all libraries are still to be imported."""
    for number in signals.NUMBERS:
        found = signalled_when(tmp_path, ["ops"], lambda _: True, number)
        assert (found.code, found.out, found.err) == (130, "", f"{signals.AGAIN}\n")


def test_once_the_result_stands_no_signal_takes_it_back(tmp_path):
    write_spec(tmp_path, ONE)
    marker = tmp_path / "o.zarr.tileconv" / "done"
    found = signalled_when(tmp_path, ["run", "p.yaml"], lambda _: marker.exists())
    assert (found.code, found.err) == (0, "")
    assert "tiles" in found.out or not found.reached


@pytest.mark.parametrize("executor", ["threads", *["processes"] * LONG])
def test_moments_of_a_run(tmp_path, executor):
    """From the start to the end and beyond: it ends at once, after its tiles, or with its result; it goes on always."""
    write_spec(tmp_path, ONE, run={"executor": executor, "workers": 2})
    began = time.monotonic()
    assert finish(tmp_path)[0] == 0
    life_s, expected = time.monotonic() - began, digest(tmp_path / "o.zarr")
    for moment in range(MOMENTS):
        for name in ("o.zarr", "o.zarr.tileconv"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        number = signals.NUMBERS[moment % 2]
        found = signalled_when(tmp_path, ["run", "p.yaml"], after(life_s * (moment + 0.5) / MOMENTS), number)
        assert one_end(found), found
        kept = done(tmp_path) if (tmp_path / "o.zarr.tileconv" / "journal").exists() else 0
        if LONG or kept:
            tileconv.run(tmp_path / "p.yaml")
            assert digest(tmp_path / "o.zarr") == expected
    assert litter(tmp_path) == []


@pytest.mark.skipif(not LONG, reason="minutes: TILECONV_PROFILE=long")
@pytest.mark.parametrize("words", ["verify o.zarr", "verify o.zarr --recompute 9", "status o.zarr", "plan p.yaml",
                                   "check p.yaml", "picture o.zarr -o p.png", "rerun o.zarr --overwrite", "--help",
                                   "sample --size 3000x2000 s.tif --overwrite", "calibrate -o costs.json"])  # fmt: skip
def test_moments_of_other_commands(tmp_path, words):
    write_spec(tmp_path, ONE)
    assert finish(tmp_path)[0] == 0
    began = time.monotonic()
    assert signalled_when(tmp_path, words.split(), lambda _: False).code == 0
    life_s = time.monotonic() - began
    for moment in range(MOMENTS // 3):
        assert one_end(found := signalled_when(tmp_path, words.split(), after(3 * life_s * moment / MOMENTS))), found
        assert litter(tmp_path) == []


def test_a_file_that_is_half_written_goes(tmp_path):
    code = """
import os
from pathlib import Path
import tileconv
from tileconv import signals
from tileconv.sinks.files import replacing
signals.take()
with signals.cleaning(), replacing(Path("image.tif")) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), 15)
"""
    assert ended(code, tmp_path) == (130, f"{signals.AGAIN}\n")
    assert list(tmp_path.iterdir()) == []


def test_the_second_signal_says_that_it_ended_at_once(tmp_path):
    code = """
import os
from tileconv.execute.stop import on_signals
with on_signals() as stop:
    os.kill(os.getpid(), 2)
    assert stop.signalled and stop.is_set()
    os.kill(os.getpid(), 2)
"""
    number, said = ended(code, tmp_path)
    assert (number, said.count("\n")) == (130, 1)
    assert said.startswith("ended at once")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_first_signal_is_answered_at_once_at_a_terminal(monkeypatch, capfd, terminal):
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    with on_signals() as stop:
        stop.words = "stopping after 2 tiles"
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
    assert capfd.readouterr().err == "\r\x1b[Kstopping after 2 tiles\n" * terminal


def test_a_run_that_failed_is_no_result(tmp_path):
    """After a run that stands signals change nothing; the next one that fails takes that back."""
    code = """
import os
import tileconv
from tileconv import signals
from tileconv.execute.stop import on_signals
signals.take()
with on_signals():
    pass
os.kill(os.getpid(), 2)
print("stands", flush=True)
try:
    with on_signals():
        raise ValueError
except ValueError:
    os.kill(os.getpid(), 2)
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout, made.stderr) == (130, "stands\n", f"{signals.AGAIN}\n")


def test_a_program_that_calls_us_keeps_its_own_handlers(tmp_path):
    handlers = {number: signal.getsignal(number) for number in signals.NUMBERS}
    with signals.cleaning():
        assert {number: signal.getsignal(number) for number in signals.NUMBERS} == handlers
