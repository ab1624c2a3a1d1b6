"""Runs on a cluster to which something happens, until the output is done: what it took, and whether it is right.

``python -m tests.faults.cluster_rounds FOLDER [TILES [NAME ...]]`` prints a line for each scenario of ``SCENARIOS``, or
for those named: the exit codes of the commands, the seconds from what happened to the end of the command that it met,
and ``same`` if the store has the bytes of a run on threads.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from math import isqrt
from pathlib import Path
from unittest.mock import patch

import dask
from distributed.security import Security

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

import strategies  # noqa: E402
from execute.cluster_help import Cluster, another, may_mount, seeing  # noqa: E402
from execute.resume_help import ONE, digest, litter, reached, start, write_spec  # noqa: E402

import tileconv  # noqa: E402

STOPPED_S = 60


class Round:
    """A folder with a pipeline of many tiles, and a cluster of *workers*."""

    def __init__(self, folder, tiles, workers):
        self.folder, rows = folder, isqrt(tiles)
        self.image = strategies.pixels((rows * 16, -(-tiles // rows) * 16), "uint16", 0)
        self.tiles = rows * -(-tiles // rows)
        (folder / "cluster").mkdir(parents=True)
        self.cluster = Cluster(folder / "cluster", workers=workers)
        self.cluster.wait_for(workers)
        self.codes, self.ended_s = [], None

    def spec(self, **words):
        """Write the pipeline; it runs on the cluster."""
        run = {"executor": self.cluster.address, "memory": "2GiB"}
        return write_spec(self.folder, ONE, image=self.image, **{"run": run} | words)

    @contextmanager
    def begun(self, part=0.3):
        """Start the command, and yield its process once that part of the tiles is done; then wait for its end."""
        self.spec()
        with start(self.folder) as process:
            reached(self.folder, process, part * self.tiles)
            began = time.monotonic()
            yield process
            process.communicate()
            self.ended_s = time.monotonic() - began
        self.codes.append(process.returncode)

    def again(self, *words):
        """Give the command again, until its end."""
        with start(self.folder, *words) as process:
            process.communicate()
        self.codes.append(process.returncode)


def workers_killed(this):
    """All workers, one after the other, each replaced."""
    with this.begun():
        for worker in [*this.cluster.workers]:
            worker.kill()
            this.cluster.add_worker()


def worker_stopped(this):
    """One of two, for good: the run ends without it."""
    with this.begun():
        this.cluster.workers[0].send_signal(signal.SIGSTOP)


def worker_stopped_for_a_minute(this):
    """One of two, which wakes after ``STOPPED_S`` among the tiles or after the end."""
    with this.begun() as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        try:
            process.wait(STOPPED_S)
        except subprocess.TimeoutExpired:
            this.cluster.workers[0].send_signal(signal.SIGCONT)
    this.cluster.workers[0].send_signal(signal.SIGCONT)


def interrupted_beside_a_stopped_worker(this):
    """Ctrl-C: the run ends, and the same command makes the others."""
    with this.begun() as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
    this.cluster.workers[0].send_signal(signal.SIGCONT)
    this.again()


def scheduler_killed(this):
    """The command ends with an error; on another cluster the same command makes the others."""
    with this.begun():
        this.cluster.scheduler.kill()
    this.cluster.stop()
    this.cluster = Cluster(this.folder / "cluster")
    this.cluster.wait_for(2)
    this.spec()
    this.again()


def client_killed_and_another_run_begun(this):
    """A worker is stopped in the first run and wakes when the second, on threads, is done."""
    with this.begun() as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        process.kill()
    this.spec(run={"memory": "2GiB"})
    this.again("--overwrite")
    this.cluster.workers[0].send_signal(signal.SIGCONT)
    this.cluster.wait_for(2)


def client_killed_and_started_at_once(this):
    """The same command, while the workers of the first are at its tiles."""
    with this.begun() as process:
        process.kill()
    this.again()


def certified(this):
    """Workers, scheduler and client speak TLS with certificates of their own, and none of them without."""
    this.cluster.stop()
    security, folder = Security.temporary(), this.folder / "certificates"
    folder.mkdir()
    environ = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for role in ("client", "scheduler", "worker"):
        for name, text in security.get_tls_config_for_role(role).items():
            if text and "\n" in text:
                path = folder / f"{'' if name == 'ca_file' else role}{name}"
                path.write_text(text)
                part = "CA_FILE" if name == "ca_file" else f"{role.upper()}__{name.upper()}"
                environ[f"DASK_DISTRIBUTED__COMM__TLS__{part}"] = str(path)
    with patch.dict(os.environ, environ):
        dask.config.refresh()
        this.cluster = Cluster(this.folder / "cluster", protocol="tls")
        this.cluster.wait_for(2)
        assert this.cluster.address.startswith("tls://")
        with this.begun():
            pass
    dask.config.refresh()


def another_version(this):
    """A third worker, whose tileconv makes other pixels, is there from the beginning."""
    this.cluster.add_worker(env=another(this.folder, number="0.0.1"))
    this.cluster.wait_for(3)
    with this.begun():
        pass


def another_disk(this):
    """A third worker, which has a folder of its own in the place of the output, comes among the tiles."""
    theirs = this.folder / "theirs"
    theirs.mkdir()
    with this.begun():
        this.cluster.add_worker(prefix=seeing(theirs, this.folder / "o.zarr"))
        this.cluster.wait_for(3)
    assert list(theirs.iterdir()) == []


SCENARIOS = (
    workers_killed,
    worker_stopped,
    worker_stopped_for_a_minute,
    interrupted_beside_a_stopped_worker,
    scheduler_killed,
    client_killed_and_another_run_begun,
    client_killed_and_started_at_once,
    certified,
    another_version,
    *[another_disk] * may_mount(),
)


def play(scenario, folder, tiles, workers=2):
    """Play *scenario* in *folder*; return exit codes, seconds to the end, and whether the bytes are right."""
    this = Round(folder, tiles, workers)
    try:
        scenario(this)
    finally:
        this.cluster.stop()
    made = digest(folder / "o.zarr"), litter(folder)
    tileconv.run(this.spec(run={"memory": "2GiB"}), overwrite=True)
    return this.codes, this.ended_s, made == (digest(folder / "o.zarr"), [])


def main(folder, tiles="1000", *names):
    """Print the table; exit code 1 if any bytes differ."""
    right = True
    for scenario in SCENARIOS:
        if not names or scenario.__name__ in names:
            codes, ended_s, same = play(scenario, Path(folder) / scenario.__name__, int(tiles))
            right &= same
            told = f"{scenario.__name__:40} exit {codes} {ended_s:7.1f} s  {'same' if same else 'DIFFERS'}\n"
            sys.stdout.write(told)
            sys.stdout.flush()
    return not right


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
