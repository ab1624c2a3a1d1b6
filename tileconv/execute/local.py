"""Tiles on the threads of this process, by Dask's threaded scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from dask.callbacks import Callback
from dask.threaded import get

from tileconv.boxes import Box
from tileconv.execute.progress import Progress
from tileconv.graph.overlap import receipts_by_rows
from tileconv.graph.windows import Job, Receipt

BATCH = 256
"""Tiles per worker in one graph: a plan of a million tiles needs no graph of a million tasks."""


def run_threads(job: Job, workers: int, progress: Progress) -> Iterator[Receipt]:
    """Yield the receipt of every tile of *job*; *progress* hears of each as soon as it is done."""
    with ThreadPoolExecutor(workers) as pool:  # leaving it waits for the tiles in flight: an error may remove the store
        if job.work.method == "overlap":
            yield from _rows(job, pool, progress)
            return
        tiles = iter(job.work.grid)
        while batch := list(islice(tiles, BATCH * workers)):
            yield from _batch(job, batch, pool, progress)


def _rows(job: Job, pool: ThreadPoolExecutor, progress: Progress) -> Iterator[Receipt]:
    for row in receipts_by_rows(job):
        for receipts in row.compute(scheduler="threads", pool=pool).ravel():
            for receipt in receipts:
                progress.tile(receipt.tile.size)
                yield receipt


def _batch(job: Job, batch: list[Box], pool: ThreadPoolExecutor, progress: Progress) -> list[Receipt]:
    graph = {("tile", number): (job.run, tile) for number, tile in enumerate(batch)}

    def done(_key: Any, value: Any, *_: Any) -> None:
        progress.tile(value.tile.size)

    with Callback(posttask=done):
        receipts: list[Receipt] = get(graph, list(graph), pool=pool)
    return receipts
