"""A real Dask cluster on the loopback: a scheduler and two workers, each a process of its own."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

DASK = Path(sys.executable).with_name("dask")


class Cluster:
    """A scheduler at ``address`` and two workers; ``stop`` ends exactly these processes."""

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", "0", stderr=subprocess.PIPE)
        self.address = next(line.split()[-1] for line in self.scheduler.stderr if "Scheduler at:" in line)
        # read on what it says, lest it wait for a reader
        self.reader = threading.Thread(target=self.scheduler.stderr.read)
        self.reader.start()
        for _ in range(2):
            self.add_worker()

    def add_worker(self):
        options = ["--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
        self.workers.append(self.start("worker", self.address, *options, stderr=subprocess.DEVNULL))

    def start(self, role, *words, stderr):
        command = [DASK, role, *words, "--no-dashboard"]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=stderr, text=True)

    def wait_for(self, workers):
        """Return once the scheduler knows of that many workers, or fail after a minute."""
        deadline = time.monotonic() + 60
        with Client(self.address) as client:
            while len(client.nthreads()) != workers:
                assert time.monotonic() < deadline, f"not {workers} workers within a minute"
                time.sleep(0.05)  # leave the processor to the cluster

    def stop(self):
        for process in (*self.workers, self.scheduler):  # a worker without its scheduler would look for it
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.reader.join()
        self.scheduler.stderr.close()


@contextmanager
def running(folder):
    """Yield a cluster whose two workers are there."""
    made = Cluster(folder)
    try:
        made.wait_for(2)
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
