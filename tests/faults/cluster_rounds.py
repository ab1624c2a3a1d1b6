"""Runs on a cluster to which something happens, until the output is done: what it took, and whether it is right.

``python -m tests.faults.cluster_rounds FOLDER [TILES [NAME ...]]`` prints a line for each scenario of ``SCENARIOS``, or
for those named: the exit code of each command and its seconds, of one to which something happened from that moment on,
``same`` if the store has the bytes of a run on threads, and what else was noted.
"""

import sys
import time
from contextlib import contextmanager
from math import isqrt
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

import strategies  # noqa: E402
from execute.cluster_help import Cluster  # noqa: E402
from execute.resume_help import ONE, digest, litter, reached, start, write_spec  # noqa: E402
from faults.cluster_scenarios import SCENARIOS  # noqa: E402

import tileconv  # noqa: E402


class Round:
    """A folder with a pipeline of many tiles, and the cluster that it runs on, which is of *workers* if nobody says."""

    def __init__(self, folder, tiles, workers=2):
        self.folder, self.rows, self.workers = folder, isqrt(tiles), workers
        self.image = strategies.pixels((self.rows * 16, -(-tiles // self.rows) * 16), "uint16", 0)
        self.tiles = self.rows * -(-tiles // self.rows)
        self.cluster, self.codes, self.seconds, self.notes = None, [], [], []

    def room(self):
        """Return the folder of the cluster's processes."""
        (self.folder / "cluster").mkdir(parents=True, exist_ok=True)
        return self.folder / "cluster"

    def gather(self, *options, workers=None, run=None, **words):
        """Gather a new cluster in the place of the one before, and write the pipeline so that it runs there."""
        self.dismiss()
        self.cluster = Cluster(self.room(), *options, workers=self.workers if workers is None else workers, **words)
        self.cluster.wait_for(len(self.cluster.workers))
        self.spec({"executor": self.cluster.address, "memory": "2GiB"} | (run or {}))

    def dismiss(self):
        """End the cluster, if there is one."""
        if self.cluster:
            self.cluster.stop()
        self.cluster = None

    def spec(self, run):
        """Write the pipeline."""
        return write_spec(self.folder, ONE, image=self.image, run=run)

    def log(self):
        """Return what the commands have said so far."""
        file = self.folder / "log"
        return file.read_text("utf-8") if file.exists() else ""

    @contextmanager
    def begun(self, part=0.3, *words):
        """Start the command, and yield its process once that part of the tiles is done; then wait for its end."""
        with start(self.folder, "--log", "log", *words) as process:
            reached(self.folder, process, part * self.tiles)
            began = time.monotonic()
            yield process
            process.communicate()
        self.seconds.append(time.monotonic() - began)
        self.codes.append(process.returncode)

    def again(self, *words):
        """Give the command, until its end."""
        with self.begun(0, *words):
            pass


def play(scenario, folder, tiles, workers=2):
    """Play *scenario* in *folder*; return its round, and whether the bytes are right."""
    folder.mkdir(parents=True, exist_ok=True)
    this = Round(folder, tiles, workers)
    try:
        scenario(this)
    finally:
        this.dismiss()
    made = digest(folder / "o.zarr"), litter(folder)
    tileconv.run(this.spec({"memory": "2GiB"}), overwrite=True)
    return this, made == (digest(folder / "o.zarr"), [])


def main(folder, tiles="1000", *names):
    """Print the table; exit code 1 if any bytes differ, or a last command failed."""
    right = True
    for scenario in SCENARIOS:
        if not names or scenario.__name__ in names:
            this, same = play(scenario, Path(folder) / scenario.__name__, int(tiles))
            right &= same and this.codes[-1] == 0
            ends = ", ".join(f"{code} ({took:.1f} s)" for code, took in zip(this.codes, this.seconds, strict=True))
            notes = "".join(f"\n    {note}" for note in this.notes)
            sys.stdout.write(f"{scenario.__name__:36} {'same' if same else 'DIFFERS':8} exit {ends}{notes}\n")
            sys.stdout.flush()
    return not right


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
