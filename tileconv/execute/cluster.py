"""Tiles on a Dask cluster: worker processes on this machine, or a scheduler that runs already."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tileconv.boxes import Box
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.outcome import Failure, Heard, Outcome, attempt
from tileconv.graph.overlap import receipts_by_rows
from tileconv.graph.windows import Job

if TYPE_CHECKING:
    from distributed import Client

WINDOW = 4
"""Tiles in flight per worker thread: enough to keep it busy, few enough to keep scheduler and client small."""
CONNECT_WITHIN_S, WORKERS_WITHIN_S = 5, 60
GRACE_S = 10
"""How long tiles in flight may take after an interruption; those that take longer are made again by the next run."""


def run_cluster(
    job: Job, tiles: Iterable[Box], executor: str, workers: int, stop: threading.Event, heard: Heard, *, rows: bool
) -> None:
    """Make *tiles* on *executor*, ``processes`` or a scheduler's address, and tell *heard* of each as it is done.

    Once *stop* is set no new tile begins; those in flight are finished and heard of, if they take ``GRACE_S`` at most.

    Parameters
    ----------
    rows
        Make all tiles of *job* with halos exchanged, row by row; *stop* is looked at between rows.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached, is lost, or has no workers.
    """
    with _client(executor, workers) as client:
        if rows:
            _overlap(client, job, stop, heard)
        else:
            _windows(client, job, iter(tiles), stop, heard)


def _windows(client: Client, job: Job, tiles: Iterator[Box], stop: threading.Event, heard: Heard) -> None:
    shared = client.scatter(job, broadcast=True, hash=False)
    finished: SimpleQueue[Any] = SimpleQueue()
    flying: dict[Any, Box] = {}

    def submit(count: int) -> None:
        for tile in islice(tiles, count):
            future = client.submit(attempt, shared, tile, pure=False, key=f"tile {tile} {uuid4().hex}")
            flying[future.key] = tile
            future.add_done_callback(finished.put)

    submit(WINDOW * sum(client.nthreads().values()))
    patience = math.inf
    while flying:
        if stop.is_set() and patience == math.inf:
            patience = time.monotonic() + GRACE_S
        try:
            future = finished.get(timeout=0.5)
        except Empty:
            if time.monotonic() > patience:
                return
            continue
        try:
            heard(_outcome(future, flying.pop(future.key)))
        except ClusterError:
            if stop.is_set():  # the signal reached the workers as well
                return
            raise
        if not stop.is_set():
            submit(1)


def _overlap(client: Client, job: Job, stop: threading.Event, heard: Heard) -> None:
    for row in receipts_by_rows(job):
        if stop.is_set():
            return
        for receipts in _result(client.compute(row)).ravel():
            for receipt in receipts:
                heard(receipt)


def _outcome(future: Any, tile: Box) -> Outcome:
    """Return what became of *tile*; that it ended its workers is a failure of this tile."""
    try:
        outcome: Outcome = _result(future)
    except PoisonError as error:
        return Failure(tile, error)
    return outcome


class PoisonError(ClusterError):
    """A tile ended every worker that tried it."""


def _result(future: Any) -> Any:
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except TileconvError:
        raise
    except KilledWorker as error:
        raise PoisonError(
            f"{error.task} ended {error.allowed_failures + 1} workers",
            why="they died while they ran it, most often for want of memory",
            fix="Use smaller tiles (run.tile) or fewer threads per worker.",
        ) from error
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker lacks {error.name}", fix="Install the same tileconv there as here.") from error
    except CancelledError as error:
        raise ClusterError("the connection to the scheduler was lost", why=str(error)) from error


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
def _client(executor: str, workers: int) -> Iterator[Client]:
    """Yield a client of the cluster; one that was started here is stopped, one that ran before goes on."""
    import dask
    from distributed import Client, LocalCluster

    if executor == "processes":
        options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": None, "silence_logs": 50}
        # one thread per process; memory is ours to bound, by the plan
        with (
            dask.config.set({"distributed.worker.daemon": True}),
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
