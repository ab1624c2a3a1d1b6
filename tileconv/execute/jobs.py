"""A cluster that a run starts for itself: jobs of a batch system, or whatever a class of the user's makes.

It ends with the block that started it. Where the process ends without leaving that block, the workers end by
themselves, because their scheduler is in it: those that had begun at once, and those that begin later after
``DEATH_TIMEOUT_S``.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tileconv import signals
from tileconv.errors import ClusterError
from tileconv.execute.connect import CONNECT_WITHIN_S, one_line, quiet, translated
from tileconv.own import own_file
from tileconv.spec.clusters import Jobs

if TYPE_CHECKING:
    from distributed import Client

DEATH_TIMEOUT_S = 60
"""How long a worker that begins looks for its scheduler."""
MARGIN_S = 300
"""A worker leaves this long before its walltime ends, or a fifth of that where it is shorter."""
OCCUPIED = "200ms"
"""Work in flight per thread for which Dask takes another job, where their number is adaptive: less than there is while
tiles are left (``tasks.TASK_S``, ``tasks.WINDOW``), so that there are as many as may be until the last ones."""
MOST_TOLD = 300
"""Characters of what a batch system says that an error repeats."""


class System(NamedTuple):
    """A batch system: the class of dask-jobqueue, its command that submits, and how it calls who pays."""

    cluster: str
    submits: str
    account: str


SYSTEMS = {
    "slurm": System("SLURMCluster", "sbatch", "account"),
    "pbs": System("PBSCluster", "qsub", "account"),
    "sge": System("SGECluster", "qsub", "project"),
    "lsf": System("LSFCluster", "bsub", "project"),
}


@contextmanager
def started(name: str, words: Mapping[str, Any]) -> Iterator[tuple[Client, Callable[[], str]]]:
    """Start the cluster *name* that *words* describe; yield a client of it, and who says what of it is still to come.

    Raises
    ------
    ClusterError
        If it cannot be started, or is lost inside the block.
    """
    from distributed import Client

    where = f"cluster {name}"
    with quiet():
        cluster = (_of_class if "class" in words else _of_jobs)(words, where)
        try:
            _scale(cluster, words, where)
            with (
                translated(),
                Client(cluster, timeout=CONNECT_WITHIN_S, set_as_default=False) as client,
            ):
                yield client, lambda: pending(cluster)
        finally:
            with suppress(OSError, TimeoutError, RuntimeError):  # then its workers end by themselves
                cluster.close()


def _of_class(words: Mapping[str, Any], where: str) -> Any:
    module, _, name = words["class"].rpartition(".")
    keywords = {key: value for key, value in words.items() if key not in ("class", "jobs", "adaptive")}
    try:
        return getattr(import_module(module), name)(**keywords)
    except ImportError as error:
        fix = f"Install what has it, as in pip install {module.partition('.')[0].replace('_', '-')}."
        raise ClusterError(f"cannot import {module}", where=where, why=one_line(error), fix=fix) from error
    except Exception as error:
        fix = "See what the class takes."
        raise ClusterError(f"{words['class']} cannot be started", where=where, why=one_line(error), fix=fix) from error


def _of_jobs(words: Mapping[str, Any], where: str) -> Any:
    system = SYSTEMS[words["kind"]]
    try:
        from distributed.security import Security

        with _same_handlers():
            import dask_jobqueue

        security = (
            Security.temporary()
        )  # its scheduler listens to the whole network, and whoever speaks to it is obeyed
    except ImportError as error:
        fix = "Install both: pip install 'tileconv[hpc]'."
        problem = "needs dask-jobqueue and cryptography"
        raise ClusterError(problem, where=where, why=one_line(error), fix=fix) from error
    if not shutil.which(system.submits):
        fix = "Run tileconv where jobs are submitted, or inside one: docs/clusters.md."
        raise ClusterError(f"there is no command {system.submits} here", where=where, fix=fix)
    folder = own_file("clusters", variable="XDG_CACHE_HOME", usual="~/.cache") or Path.cwd()
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        options = {"security": security, "shared_temp_directory": str(folder), "log_directory": str(folder)}
        return getattr(dask_jobqueue, system.cluster)(**_keywords(words, system), **options)
    except (OSError, ValueError, RuntimeError) as error:
        fix = "Look at the words of the cluster, and at jobqueue.yaml of Dask's configuration."
        raise ClusterError("cannot be started", where=where, why=one_line(error), fix=fix) from error


@contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep what SIGINT and SIGTERM do: importing dask-jobqueue 0.9 makes them end the process at once, as a success."""
    before = {number: signal.getsignal(number) for number in signals.NUMBERS}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _keywords(words: Mapping[str, Any], system: System) -> dict[str, Any]:
    """Return what dask-jobqueue is told: jobs of one process, which leaves before the walltime ends."""
    walltime = words.get("walltime", Jobs.walltime)
    hours, minutes, seconds = map(int, walltime.split(":"))
    lasts = 3600 * hours + 60 * minutes + seconds
    margin = min(MARGIN_S, lasts // 5)
    leaves = ["--lifetime", f"{lasts - margin}s", "--lifetime-stagger", f"{margin // 3}s"]
    local = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]  # an HTTP server is there in any case
    keywords = {
        "cores": words["cores"],
        "processes": 1,
        "memory": f"{words['memory']}B",
        "walltime": walltime if words["kind"] != "lsf" else f"{-(-lasts // 60) // 60:02}:{-(-lasts // 60) % 60:02}",
        "queue": words.get("queue"),
        system.account: words.get("account"),
        "interface": words.get("interface"),
        "death_timeout": DEATH_TIMEOUT_S,
        "worker_extra_args": [*leaves, *local],
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }
    lines = {"job_script_prologue": "prologue", "job_extra_directives": "directives"}
    keywords |= {ours: words[name].splitlines() for ours, name in lines.items() if name in words}
    return {name: value for name, value in keywords.items() if value is not None}


def _scale(cluster: Any, words: Mapping[str, Any], where: str) -> None:
    """Ask for the workers of *cluster*; ClusterError if that is refused."""
    bounds = words.get("adaptive")
    count = bounds["minimum"] if bounds else words.get("jobs", None if "class" in words else Jobs.jobs)
    if count is None:  # the class has its own say
        return
    bounds = bounds or {"minimum": count, "maximum": count}
    if "class" in words:
        cluster.adapt(**bounds) if "adaptive" in words else cluster.scale(count)
        return

    async def submit() -> None:  # by itself, Dask tells the log alone that it failed
        while len(cluster.worker_spec) < count:
            cluster.worker_spec.update(cluster.new_worker_spec())
        await cluster

    try:
        cluster.sync(submit)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).partition("stderr:")[2].split()) or one_line(error)
        fix = "Change the words of the cluster: see docs/clusters.md."
        raise ClusterError("the batch system refuses the job", where=where, why=said[:MOST_TOLD], fix=fix) from error
    # also where their number is fixed, because it replaces those that end
    cluster.adapt(minimum_jobs=bounds["minimum"], maximum_jobs=bounds["maximum"], target_duration=OCCUPIED)


def pending(cluster: Any) -> str:
    """Return how many jobs, or workers, of *cluster* were asked for and are not there; empty where all are."""
    asked = {str(name) for name in getattr(cluster, "worker_spec", ())}
    there = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
    missing = len(asked - there)
    return f"{missing:,} of {len(asked):,} jobs are pending" if missing else ""
