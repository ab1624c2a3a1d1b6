"""A Dask cluster is started or found, and what it answers: results, and the errors of its scheduler in our words."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tileconv.errors import ClusterError, TileconvError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_WITHIN_S, WORKERS_WITHIN_S = 5, 60
ANSWER_WITHIN_S = 5
"""How long a receipt is waited for before the run looks whether there are workers at all."""
DEATHS = 2
"""Workers of this machine that a tile may end before it is given up, and once more when it is tried alone."""
LOST = "the connection to the scheduler was lost"


def threads_of(client: Client) -> int:
    """Return how many threads the workers have in all."""
    try:
        return sum(client.nthreads().values())
    except (OSError, TimeoutError) as error:
        raise ClusterError(LOST, why=str(error)) from error


class PoisonError(ClusterError):
    """A tile ended every worker that tried it."""


def result_of(future: Any) -> Any:
    """Return the result of a task that is done, or raise what became of it; TimeoutError if none comes."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        return future.result(timeout=ANSWER_WITHIN_S)
    except TileconvError:
        raise
    except KilledWorker as error:
        raise PoisonError(
            f"ended {error.allowed_failures + 1} workers",
            where=str(error.task),
            why="they died while they ran it, most often for want of memory",
            fix="Use smaller tiles (run.tile) or fewer threads per worker.",
        ) from error
    except (ModuleNotFoundError, RuntimeError) as error:
        lacking = error if isinstance(error, ModuleNotFoundError) else error.__cause__  # that of the scheduler
        if not isinstance(lacking, ModuleNotFoundError):
            raise
        fix = "Install the same tileconv there as here."
        raise ClusterError(f"the cluster lacks {lacking.name}", fix=fix) from error
    except CancelledError as error:
        problem = "a worker was lost" if getattr(error, "reason", "") == "lost dependencies" else LOST
        raise ClusterError(problem, why=str(error)) from error


def _started(make: Callable[..., Any], **options: Any) -> Any:
    """Return what *make* starts; its processes ignore Ctrl-C, which a terminal sends to them as well.

    A process inherits what its parent ignores, so this one ignores it too for the moment.
    """
    if threading.current_thread() is not threading.main_thread():
        return make(**options)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return make(**options)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def connected(executor: str, workers: int) -> Iterator[Client]:
    """Yield a client of the cluster; one that was started here is stopped, one that ran before goes on."""
    import dask
    from distributed import Client, LocalCluster

    if executor == "processes":
        options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": None, "silence_logs": 50}
        # one thread per process; memory is ours to bound, by the plan
        with (
            dask.config.set({"distributed.worker.daemon": True, "distributed.scheduler.allowed-failures": DEATHS - 1}),
            _started(LocalCluster, n_workers=workers, threads_per_worker=1, processes=True, **options) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(executor, timeout=CONNECT_WITHIN_S)
    except (OSError, ValueError, TimeoutError) as error:
        fix = "Start it with dask scheduler, or use run.executor: processes."
        raise ClusterError("cannot reach the Dask scheduler", where=executor, why=str(error), fix=fix) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_WITHIN_S)
        except TimeoutError as error:
            fix = f"Start one with dask worker {executor}."
            raise ClusterError("the scheduler has no workers", where=executor, fix=fix) from error
        yield client
