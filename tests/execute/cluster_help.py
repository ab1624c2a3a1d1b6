"""A real Dask cluster on the loopback: a scheduler and two workers, each a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client

import tileconv
from tileconv.execute import flight

LONG = os.environ.get("TILECONV_PROFILE") == "long"
seldom = pytest.mark.skipif(not LONG, reason="tens of seconds on a cluster: TILECONV_PROFILE=long")
PACKAGE = Path(tileconv.__file__).parent
DASK = Path(sys.executable).with_name("dask")


class Cluster:
    """A scheduler at ``address`` and *workers* with *options*; ``stop`` ends exactly these processes."""

    def __init__(self, folder, *options, workers=2, protocol="tcp", host="127.0.0.1"):
        self.folder, self.workers, self.options = folder, [], ("--host", host, *options)
        self.scheduler = self.start(
            "scheduler", "--host", f"{protocol}://{host}", "--port", "0", stderr=subprocess.PIPE
        )
        self.address = next(line.split()[-1] for line in self.scheduler.stderr if "Scheduler at:" in line)
        # read on what it says, lest it wait for a reader
        self.reader = threading.Thread(target=self.scheduler.stderr.read)
        self.reader.start()
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, *more, env=None, prefix=()):
        """Start a worker with *more* options, in an environment with *env*, by the command *prefix* if there is one."""
        options = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
        words = ("worker", self.address, *options, *self.options, *more)
        environment = {**os.environ, **(env or {})}
        self.workers.append(self.start(*words, stderr=subprocess.DEVNULL, env=environment, prefix=prefix))

    def start(self, role, *words, prefix=(), **options):
        command = [*prefix, DASK, role, *words, "--no-dashboard"]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, text=True, **options)

    def wait_for(self, workers):
        """Return once the scheduler knows of that many workers."""
        with Client(self.address) as client:
            eventually(lambda: len(client.nthreads()) == workers)

    def stop(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self.reader.join()
        self.scheduler.stderr.close()


HANGING = """
import os
from pathlib import Path
def dask_setup(worker):
    import tileconv.tiles.windows as windows
    store = windows.Job.store
    def hangs(self, tile, *made):
        try:
            Path("hang").rename("hung")
        except FileNotFoundError:
            return store(self, tile, *made)
        with open("until") as pipe:
            pipe.read()
        try:
            return store(self, tile, *made)
        finally:
            Path("awake").touch()
    windows.Job.store = hangs
"""
"""Preloaded by a worker: where its folder has a file ``hang``, one tile waits before it is stored until ``until``, a
pipe, was opened and closed by a writer, and says when it was let go and is over."""


def hanging(folder):
    """Write what lets one tile hang, and return the options of workers."""
    (folder / "preload.py").write_text(HANGING)
    (folder / "hang").touch()
    os.mkfifo(folder / "until")
    return "--preload", str(folder / "preload.py")


def wake(folder):
    """Let the tile that hangs go on, and return once it was stored or refused."""
    (folder / "until").open("w").close()
    eventually((folder / "awake").exists)


def eventually(holds):
    """Return once *holds* returns true, or fail after three minutes."""
    deadline = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < deadline, "not within three minutes"
        time.sleep(0.02)  # leave the processor to the cluster


def after(monkeypatch, landings, act):
    """Call *act* once that many tasks have landed."""
    landed, seen = flight.Flight.landed, []

    def then(self):
        if found := landed(self):
            seen.append(found)
            if len(seen) == landings:
                act()
        return found

    monkeypatch.setattr(flight.Flight, "landed", then)


def another(folder, *, number=None):
    """Return the environment of a worker whose tileconv makes pixels that are 1 too large, under version *number*."""
    (folder / "another").mkdir()
    shutil.copytree(PACKAGE, folder / "another" / "tileconv", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "another" / "tileconv" / "tiles" / "windows.py"
    right = "return self.store(tile, made, counts, began)"
    assert file.read_text().count(right) == 1
    file.write_text(file.read_text().replace(right, right.replace("made", "made + np.asarray(1, made.dtype)")))
    if number:
        (folder / "another" / f"tileconv-{number}.dist-info").mkdir()
        metadata = f"Metadata-Version: 2.1\nName: tileconv\nVersion: {number}\n"
        (folder / "another" / f"tileconv-{number}.dist-info" / "METADATA").write_text(metadata)
    return {"PYTHONPATH": str(folder / "another")}


def may_mount():
    """Return whether a process of ours may have mounts of its own."""
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


def seeing(theirs, place):
    """Return the command before that of a worker which sees the folder *theirs* at *place*; see ``may_mount``."""
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', theirs, place.resolve()]


@contextmanager
def running(folder, *options, workers=2):
    """Yield a cluster whose *workers* are there."""
    made = Cluster(folder, *options, workers=workers)
    try:
        made.wait_for(workers)
        yield made
    finally:
        made.stop()


class Wrapped:
    """A source that does something of its own before it reads; it travels to the workers as any other does."""

    def __init__(self, source, *words):
        self.source, self.words = source, words

    def __reduce__(self):
        return type(self), (self.source, *self.words)

    def __getattr__(self, name):
        return getattr(self.source, name)


class Deadly(Wrapped):
    """Ends its process where a pixel is read, and notes that in a file."""

    def read(self, box):
        at, deaths = self.words
        if all(a <= x < b for a, x, b in zip(box.start, at, box.stop, strict=True)):
            with deaths.open("a", encoding="ascii") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.source.read(box)
