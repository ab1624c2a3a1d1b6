"""Tiles on a Dask cluster: worker processes on this machine, or a scheduler that runs already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tileconv.boxes import Box
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.progress import Progress
from tileconv.graph.overlap import receipts_by_rows
from tileconv.graph.windows import Job, Receipt

if TYPE_CHECKING:
    from distributed import Client

WINDOW = 4
"""Tiles in flight per worker thread: enough to keep it busy, few enough to keep scheduler and client small."""
CONNECT_WITHIN_S, WORKERS_WITHIN_S = 5, 60


def run_cluster(job: Job, executor: str, workers: int, progress: Progress) -> Iterator[Receipt]:
    """Yield the receipt of every tile of *job* as it is done, on *executor*: ``processes`` or a scheduler's address.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached, has no workers, or a tile killed those that tried it.
    TileconvError
        What a tile raised, unchanged.
    """
    with _client(executor, workers) as client:
        receipts = _overlap(client, job) if job.work.method == "overlap" else _windows(client, job)
        for receipt in receipts:
            progress.tile(receipt.tile.size)
            yield receipt


def _windows(client: Client, job: Job) -> Iterator[Receipt]:
    from distributed import as_completed

    shared = client.scatter(job, broadcast=True, hash=False)
    tiles = iter(job.work.grid)

    def submit(count: int) -> list[Any]:
        return [
            client.submit(_run, shared, tile, pure=False, key=f"tile {tile} {uuid4().hex}")
            for tile in islice(tiles, count)
        ]

    pending = as_completed(submit(WINDOW * sum(client.nthreads().values())))
    for future in pending:
        yield _result(future)
        for more in submit(1):
            pending.add(more)


def _overlap(client: Client, job: Job) -> Iterator[Receipt]:
    for row in receipts_by_rows(job):
        for receipts in _result(client.compute(row)).ravel():
            yield from receipts


def _run(job: Job, tile: Box) -> Receipt:
    return job.run(tile)


def _result(future: Any) -> Any:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except TileconvError:
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"{error.task} ended {error.allowed_failures + 1} workers",
            why="they died while they ran it, most often for want of memory",
            fix="Use smaller tiles (run.tile) or fewer threads per worker.",
        ) from error
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker lacks {error.name}", fix="Install the same tileconv there as here.") from error


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
            LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **options) as cluster,
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
