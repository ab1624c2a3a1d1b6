"""Tiles on the threads of this process, by Dask's threaded scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import dask
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
    if job.work.method == "overlap":
        with dask.config.set(scheduler="threads", num_workers=workers):
            for row in receipts_by_rows(job):
                for receipt in row.compute().ravel():
                    progress.tile(receipt.pixels)
                    yield receipt
        return
    tiles = enumerate(job.work.grid)
    while batch := list(islice(tiles, BATCH * workers)):
        yield from _batch(job, batch, workers, progress)


def _batch(job: Job, batch: list[tuple[int, Box]], workers: int, progress: Progress) -> list[Receipt]:
    graph = {("tile", number): (job.run, number, box) for number, box in batch}

    def done(_key: Any, value: Any, *_: Any) -> None:
        progress.tile(value.pixels)

    with Callback(posttask=done):
        receipts: list[Receipt] = get(graph, list(graph), num_workers=workers)
    return receipts
