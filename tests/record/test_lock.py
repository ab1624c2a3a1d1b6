"""The lock of a run folder: taken over from a process that died, looked for again, refused while another lives."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tileconv.errors import SinkError
from tileconv.record import lock as module
from tileconv.record.folder import RunFolder
from tileconv.record.lock import LOOKS
from tileconv.stores.location import here

HOLD = """
import sys
from tileconv.record.folder import RunFolder
from tileconv.stores.location import here
folder = RunFolder(here(sys.argv[1]))
with folder.locked():
    folder.write_plan({})
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return RunFolder(here(tmp_path / "o.zarr"))


@pytest.fixture
def other(folder):
    """A process that holds the lock until its input is closed."""
    command = [sys.executable, "-c", HOLD, str(folder.output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def take(folder):
    """Hold the lock for a moment, and return what it says meanwhile."""
    with folder.locked():
        assert folder.live()
        return folder.holder()


ME = {"pid": os.getpid(), "host": socket.gethostname()}


def test_refused_while_another_process_lives(folder, other):
    for _ in range(2):  # a refusal takes nothing away
        with pytest.raises(SinkError, match=rf"being written by another run, process {other.pid} on {ME['host']}"):
            take(folder)
    assert folder.live()
    other.stdin.close()
    assert other.wait(timeout=60) == 0
    assert not folder.live()
    assert take(folder) == ME


def test_taken_over_from_a_process_that_was_killed(folder, other):
    other.send_signal(signal.SIGKILL)
    assert other.wait(timeout=60) == -signal.SIGKILL
    assert folder.holder()["pid"] == other.pid
    assert not folder.live()
    assert take(folder) == ME


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"pid": 1, "host": socket.gethostname()})])
def test_what_a_lock_file_says_locks_nothing(folder, text):
    """The number of a dead process may be that of another today."""
    folder.path.mkdir()
    folder.lock.write_text(text)
    assert not folder.live()
    assert take(folder) == ME


@pytest.mark.parametrize("released", [1, LOOKS - 1, LOOKS])
def test_looked_for_again_before_it_is_refused(folder, monkeypatch, released):
    """``status`` holds the lock for an instant, which must not end a run that begins."""
    folder.path.mkdir()
    folder.write_plan({})
    waits = []
    with folder.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == released:
                fcntl.flock(file, fcntl.LOCK_UN)

        monkeypatch.setattr(module.time, "sleep", wait)
        if released < LOOKS:
            assert take(folder) == ME
            assert len(waits) == released
        else:
            with pytest.raises(SinkError, match=r"another run, process unknown on an unknown host"):
                take(folder)
            assert len(waits) == LOOKS - 1
