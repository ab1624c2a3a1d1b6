"""Runs on a real SLURM: ``python -m tests.slurm [NAME ...]`` prints a line for each scenario, or for those named.

A run of many small tiles is submitted by the cluster ``slurm`` of its pipeline file. Something happens once 30 % of the
tiles are done; then its exit code, the seconds from its end until ``squeue`` is empty, and ``same`` if the store has
the bytes of a run on threads. As root, with Debian's slurm-wlm and munge; nothing runs on afterwards.
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

import strategies  # noqa: E402
from execute.resume_help import digest, litter, reached, write_spec  # noqa: E402
from slurm.daemons import lacking, slurm  # noqa: E402

ROWS = 40
EMPTY_S, DEATH_S = 30, 90
"""Within how many seconds no job is left: after an end that the run sees, and after kill -9."""


class Round:
    """A folder with a pipeline of ``ROWS`` squared tiles, which runs on two jobs of *system*."""

    def __init__(self, folder, system, size=31, **words):
        self.folder, self.slurm = folder, system
        folder.mkdir()
        image = strategies.pixels((ROWS * 16, ROWS * 16), "uint16", 0)
        cluster = {"kind": "slurm", "cores": 1, "memory": "1GiB", "jobs": 2, "interface": "lo", **words}
        run = {"executor": "two", "memory": "2GiB"}
        write_spec(folder, [{"op": "median", "size": size}], image=image, clusters={"two": cluster}, run=run)

    def start(self, *words):
        """Start the command; what it says goes into files, because workers that outlive it hold no pipe then."""
        command = [sys.executable, "-m", "tileconv", "run", "p.yaml", *words]
        with (self.folder / "out").open("a") as out:
            return subprocess.Popen(command, stdout=out, stderr=out, cwd=self.folder, env=self.slurm.environ)

    def reached(self, process, part=0.3):
        """Return once that part of the tiles is done."""
        reached(self.folder, process, part * ROWS**2)

    def ended(self, process, within=EMPTY_S):
        """Return the exit code of *process*, and how long it took until no job was left."""
        code = process.wait()
        return code, self.slurm.wait(lambda: not self.slurm.queue(), within)

    def same(self):
        """Return whether the store has the bytes of a run on threads."""
        made = digest(self.folder / "o.zarr"), litter(self.folder)
        process = self.start("--overwrite", "--set", "run.executor=threads")
        return process.wait() == 0 and made == (digest(self.folder / "o.zarr"), [])


def whole(this):
    """Nothing happens."""
    return this.ended(this.start())


def interrupted(this):
    """Ctrl-C, and the same command again."""
    process = this.start()
    this.reached(process)
    process.send_signal(signal.SIGINT)
    code, empty_s = this.ended(process)
    return (code, *this.ended(this.start())[:1]), empty_s


def client_killed(this):
    """Kill -9 of the client: its jobs leave by themselves; the same command at once, while they are there."""
    process = this.start()
    this.reached(process)
    process.kill()
    code, empty_s = this.ended(process, DEATH_S)
    return (code, *this.ended(this.start())[:1]), empty_s


def client_killed_and_started_at_once(this):
    """Kill -9 of the client, and the same command while its jobs are there."""
    process = this.start()
    this.reached(process)
    process.kill()
    process.wait()
    return this.ended(this.start(), DEATH_S)


def node_lost(this):
    """One of two nodes loses its power, and comes back after a while."""
    process = this.start()
    this.reached(process)
    this.slurm.lose("node1")
    time.sleep(5)  # it starts again
    this.slurm.add("node1")
    return this.ended(process)


def requeued(this):
    """An administrator puts a job back into the queue."""
    process = this.start()
    this.reached(process)
    this.slurm.said("scontrol", "requeue", this.slurm.queue()[0].split()[0])
    return this.ended(process)


def walltime(this):
    """Jobs of a minute for a run that takes longer: workers leave, others take their place."""
    return this.ended(this.start())


WORDS = {walltime: {"size": 401, "walltime": "0:01:00"}}
SCENARIOS = (whole, interrupted, client_killed, client_killed_and_started_at_once, node_lost, requeued, walltime)


def main(*names):
    """Print the table; exit code 1 if anything differs."""
    if missing := lacking():
        sys.exit(f"needs {missing}: as root, apt-get install slurm-wlm munge")
    right = True
    with tempfile.TemporaryDirectory(prefix="slurm-") as place:
        folder = Path(place)
        folder.chmod(0o755)  # munge is another user's
        with slurm(folder / "slurm") as system:
            for scenario in SCENARIOS:
                name = scenario.__name__
                if names and name not in names:
                    continue
                this = Round(folder / name, system, **WORDS.get(scenario, {}))
                codes, empty_s = scenario(this)
                same = this.same()
                right &= same
                told = (this.folder / "out").read_text()
                lost = sum(line.startswith(("note: lost", "note: left")) for line in told.splitlines())
                outcome = "same" if same else f"DIFFERS\n{told}"
                sys.stdout.write(f"{name:36} exit {codes}, queue empty {empty_s:.1f} s later, {lost} lost  {outcome}\n")
                sys.stdout.flush()
    return not right


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
