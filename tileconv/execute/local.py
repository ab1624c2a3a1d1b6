"""Tiles on the threads of this process, by Dask's threaded scheduler."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Event
from typing import Any

import numpy as np
from dask.callbacks import Callback
from dask.threaded import get

from tileconv.boxes import Box
from tileconv.execute.outcome import Heard, Outcome, attempt
from tileconv.graph.overlap import receipts_by_rows
from tileconv.graph.windows import Job

BATCH = 256
"""Tiles per worker in one graph: a plan of a million tiles needs no graph of a million tasks."""


def run_threads(job: Job, tiles: Iterable[Box], workers: int, stop: Event, heard: Heard) -> None:
    """Make *tiles* and tell *heard* of each, in this thread, as soon as it is done.

    Once *stop* is set no new tile begins; those in flight are finished and heard of.
    """

    def unless_stopped(tile: Box) -> Outcome | None:
        return None if stop.is_set() else attempt(job, tile)

    def done(_key: Any, outcome: Any, *_: Any) -> None:
        if outcome is not None:
            heard(outcome)

    waiting = iter(tiles)
    with ThreadPoolExecutor(workers) as pool:  # leaving it waits for the tiles in flight
        while not stop.is_set() and (batch := list(islice(waiting, BATCH * workers))):
            graph = {("tile", number): (unless_stopped, tile) for number, tile in enumerate(batch)}
            with Callback(posttask=done):
                get(graph, list(graph), pool=pool)


def run_rows(job: Job, workers: int, stop: Event, heard: Heard) -> None:
    """Make all tiles of *job* with halos exchanged, row by row; *stop* is looked at between rows."""
    with ThreadPoolExecutor(workers) as pool:
        for row in receipts_by_rows(job):
            if stop.is_set():
                return
            told: set[Box] = set()

            def done(_key: Any, made: Any, *_: Any, told: set[Box] = told) -> None:
                """Hear of receipts as they come; a task's result may pass through another task."""
                if not (isinstance(made, np.ndarray) and made.dtype.kind == "O"):
                    return
                for receipt in (r for part in made.ravel() if isinstance(part, list) for r in part):
                    if receipt.tile not in told:
                        told.add(receipt.tile)
                        heard(receipt)

            with Callback(posttask=done):
                row.compute(scheduler="threads", pool=pool)
