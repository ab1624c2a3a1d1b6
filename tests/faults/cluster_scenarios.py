"""What may happen to a cluster: each scenario is played by ``cluster_rounds`` with a ``Round``."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import dask
from distributed import Client
from distributed.chaos import KillWorker
from distributed.security import Security
from execute.cluster_help import another, eventually, hanging, may_mount, seeing, wake
from execute.resume_help import done
from faults.preloads import SLOW, deadly, hungry, preload, stored

STOPPED_S, CUT_S = 60, 30
HUNG_S = 30
"""A worker that is to exit after 2 s on average and is there after so long hangs while it exits, as some do."""
NANNY = "--nanny"


def workers_killed(this):
    """All workers, one after the other, each replaced."""
    this.gather()
    with this.begun():
        for worker in [*this.cluster.workers]:
            worker.kill()
            this.cluster.add_worker()


def ended_by_exit(this):
    """Workers live for 2 s on average, and others come in their places."""
    _mortal(this, "sys.exit")


def ended_by_segfault(this):
    """Workers live for 2 s on average, and their nannies start them again."""
    _mortal(this, "segfault", NANNY)


def _mortal(this, mode, *options):
    # what tiles need is imported before that life begins
    this.gather(*options, *preload(this.room(), "None"), workers=0)  # imports what tiles need before that life
    with Client(this.cluster.address) as client:
        client.register_plugin(KillWorker("2 s", mode))
    since = {}
    while 0 not in this.codes and len(this.codes) < 5:
        with this.begun(0) as process:
            while process.poll() is None:
                for worker in this.cluster.workers:
                    if NANNY not in options and time.monotonic() - since.setdefault(worker, time.monotonic()) > HUNG_S:
                        worker.kill()
                        worker.wait()
                this.cluster.workers = [worker for worker in this.cluster.workers if worker.poll() is None]
                while len(this.cluster.workers) < this.workers:
                    this.cluster.add_worker()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
    lost = [line for line in this.log().splitlines() if "worker lost" in line]
    this.notes.append(f"workers were lost {sum(line.count('tcp://') for line in lost)} times")


def worker_stopped(this):
    """One of two, for good: the run ends without it."""
    this.gather()
    with this.begun():
        this.cluster.workers[0].send_signal(signal.SIGSTOP)


def worker_stopped_for_a_minute(this):
    """One of two, which wakes after ``STOPPED_S`` while half of the tiles are left."""
    this.gather(*preload(this.room(), SLOW))
    with this.begun(0.1) as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        _lives_on(process, STOPPED_S)
        _noted(this, this.cluster.workers[0].pid, "before it was stopped")
        this.cluster.workers[0].send_signal(signal.SIGCONT)
    _noted(this, this.cluster.workers[0].pid, "in all")


def _lives_on(process, seconds):
    """Return after so many *seconds*, in which *process* must not end."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError("the run was over before")


def _noted(this, number, when):
    tiles = stored(this.room())
    this.notes.append(f"{tiles.get(number, 0)} of {sum(tiles.values())} tiles by that worker {when}")


def interrupted_beside_a_stopped_worker(this):
    """Ctrl-C: the run ends, and the same command makes the others."""
    this.gather()
    with this.begun() as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
    this.cluster.workers[0].send_signal(signal.SIGCONT)
    this.again()


def scheduler_killed(this):
    """The command ends with an error; on another cluster the same command makes the others."""
    this.gather()
    with this.begun(0.5):
        this.cluster.scheduler.kill()
    this.gather()
    this.again()


def client_killed_and_another_run_begun(this):
    """A worker is stopped in the first run and wakes when the second, on threads, is done."""
    this.gather()
    with this.begun() as process:
        this.cluster.workers[0].send_signal(signal.SIGSTOP)
        process.kill()
    this.spec({"memory": "2GiB"})
    this.again("--overwrite")
    this.cluster.workers[0].send_signal(signal.SIGCONT)
    this.cluster.wait_for(2)


def client_killed_and_started_at_once(this):
    """The same command, while the workers of the first are at its tiles."""
    this.gather(*preload(this.room(), SLOW))
    with this.begun() as process:
        process.kill()
    this.again()


def certified(this):
    """Workers, scheduler and client speak TLS with certificates of their own, and none of them without."""
    security, folder = Security.temporary(), this.room()
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
        this.gather(protocol="tls")
        assert this.cluster.address.startswith("tls://")
        this.again()
    dask.config.refresh()


def another_version(this):
    """A third worker, whose tileconv makes other pixels, is there from the beginning."""
    this.gather()
    this.cluster.add_worker(env=another(this.folder, number="0.0.1"))
    this.cluster.wait_for(3)
    this.again()


def another_disk(this):
    """A third worker, which has a folder of its own in the place of the output, comes among the tiles."""
    theirs = this.folder / "theirs"
    theirs.mkdir()
    this.gather()
    with this.begun():
        this.cluster.add_worker(prefix=seeing(theirs, this.folder / "o.zarr"))
        this.cluster.wait_for(3)
    assert list(theirs.iterdir()) == []


def input_not_seen(this):
    """A third worker, which has an empty folder in the place of the input's, is there from the beginning."""
    theirs = this.folder.with_name("theirs")
    theirs.mkdir(exist_ok=True)
    this.gather()
    this.cluster.add_worker(prefix=seeing(theirs, this.folder))
    this.cluster.wait_for(3)
    this.again()
    assert list(theirs.iterdir()) == []
    (said,) = (line for line in this.log().splitlines() if "Z note: no tiles go to" in line)
    this.notes.append(said)


def no_workers(this):
    """The run waits for one, and says so."""
    this.gather(workers=0)
    with this.begun(0):
        eventually(lambda: "the scheduler has no worker yet; waiting for one" in this.log())
        this.cluster.add_worker()


def poison_tile(this):
    """A tile ends every worker by a segmentation fault: all others are made, and it is named."""
    at = (this.rows // 2 * 16, 32)
    this.gather(NANNY, *preload(this.room(), deadly(at)))
    _all_but(this, [at])


def _all_but(this, tiles):
    """Give the command, which makes all but these *tiles*; then again where they do no harm."""
    this.again("--keep-going")
    lost = [line for line in this.log().splitlines() if "worker lost" in line]
    this.notes.append(f"{len(lost)} times workers were lost, {sum('want of memory' in one for one in lost)} for memory")
    assert this.codes == [3]
    assert done(this.folder) == this.tiles - len(tiles)
    for y, x in tiles:
        named = f"tile y={y}:{y + 16} x={x}:{x + 16}: ended"
        (said,) = (line for line in this.log().splitlines() if "Z failed: " in line and named in line)
        this.notes.append(said)
    this.gather()
    this.again()


def tiles_too_large_beside_others(this):
    """Eight tiles take so much memory that a nanny ends the worker that makes two of them at once."""
    row = [(16, x) for x in range(0, 128, 16)]
    this.gather(NANNY, "--nthreads", "2", "--memory-limit", "900MiB", *preload(this.room(), hungry(row, 400)))
    this.again()
    this.notes.append(f"{this.log().count('lost for want of memory: worker')} times workers were lost for it")


def tile_too_large(this):
    """One tile takes so much memory that nannies end every worker."""
    at = (this.rows // 2 * 16, 32)
    this.gather(NANNY, "--memory-limit", "900MiB", *preload(this.room(), hungry([at], 900)))
    _all_but(this, [at])


def tile_too_large_for_a_control_group(this):
    """One tile takes so much memory that the system ends every worker; their nannies go on."""
    group = Path(f"/sys/fs/cgroup/memory/tileconv-{os.getpid()}")
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(1100 << 20))
    inside = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', group / "cgroup.procs"]
    at = (this.rows // 2 * 16, 32)
    this.gather(NANNY, *preload(this.room(), hungry([at], 1000)), workers=0)
    this.cluster.add_worker(prefix=inside)
    _all_but(this, [at])
    eventually(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def tile_that_hangs(this):
    """One tile hangs for longer than ``run.timeout_per_tile`` at the first worker that has it."""
    this.gather(*hanging(this.room()), run={"timeout_per_tile": "5 s"})
    this.again()
    assert not (this.room() / "awake").exists()
    wake(this.room())


def link_cut(this):
    """Two hosts, of one worker each: nothing passes between them for ``CUT_S`` while half of the tiles are left."""
    with _another_host() as (here, there, prefix, link):
        this.gather(*preload(this.room(), SLOW), workers=1, host=here)
        this.cluster.add_worker("--host", there, prefix=prefix)
        this.cluster.wait_for(2)
        with this.begun(0.1) as process:
            link("down")
            _lives_on(process, CUT_S)
            _noted(this, this.cluster.workers[1].pid, "before")
            link("up")
        _noted(this, this.cluster.workers[1].pid, "in all")


@contextmanager
def _another_host():
    """Yield addresses here and there, the command prefix of who is to be there, and what sets the link up or down."""
    name, here, there = f"tc{os.getpid()}", "10.213.0.1", "10.213.0.2"
    inside = ["ip", "netns", "exec", name]

    def call(*words):
        subprocess.run(words, check=True)

    call("ip", "netns", "add", name)
    try:
        call("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        call("ip", "addr", "add", f"{here}/30", "dev", f"{name}a")
        call("ip", "link", "set", f"{name}a", "up")
        for words in (["addr", "add", f"{there}/30", "dev", f"{name}b"], ["link", "set", f"{name}b", "up"]):
            call(*inside, "ip", *words)
        call(*inside, "ip", "link", "set", "lo", "up")
        yield here, there, inside, lambda state: call(*inside, "ip", "link", "set", f"{name}b", state)
    finally:
        call("ip", "netns", "del", name)  # the link goes with it


SCENARIOS = (
    workers_killed,
    ended_by_exit,
    ended_by_segfault,
    worker_stopped,
    worker_stopped_for_a_minute,
    interrupted_beside_a_stopped_worker,
    scheduler_killed,
    client_killed_and_another_run_begun,
    client_killed_and_started_at_once,
    certified,
    another_version,
    *[another_disk, input_not_seen] * may_mount(),
    no_workers,
    poison_tile,
    tiles_too_large_beside_others,
    tile_too_large,
    *[tile_too_large_for_a_control_group] * os.access("/sys/fs/cgroup/memory", os.W_OK),
    tile_that_hangs,
    *[link_cut] * (os.geteuid() == 0 and bool(shutil.which("ip"))),
)
