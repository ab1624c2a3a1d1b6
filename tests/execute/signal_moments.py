"""Commands of the shell that are sent a signal at a chosen moment of their lives, and how they end."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a process ended, and whether the signal reached it while it lived."""

    code: int
    out: str
    err: str
    reached: bool


def signalled_when(folder, words, due, number=signal.SIGINT):
    """Run ``tileconv`` with *words* in a process group of its own; send *number* once ``due(process)`` is true."""
    command = [sys.executable, "-m", "tileconv", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, start_new_session=True
    ) as process:
        while process.poll() is None and not (answers(process) and due(process)):
            time.sleep(0.002)  # leave the processor to the command
        reached = process.poll() is None
        process.send_signal(number)
        out, err = process.communicate()
    return Ended(process.returncode, out, err, reached)


def answers(process):
    """Return whether *process* has a handler for SIGTERM; Python itself has none."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    return any(int(x.split()[1], 16) >> (signal.SIGTERM - 1) & 1 for x in status.splitlines() if x.startswith("SigCgt"))


def after(seconds):
    """Return a moment: so long after it was first asked for."""
    began = []

    def due(_process):
        began[:] = began or [time.monotonic()]
        return time.monotonic() - began[0] >= seconds

    return due
