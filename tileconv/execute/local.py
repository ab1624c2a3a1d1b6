"""Tiles on the threads of this process: from a pool, or by Dask's scheduler where halos are exchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from threading import Event
from typing import Any

import numpy as np

from tileconv.boxes import Box
from tileconv.execute.outcome import Heard, Outcome, attempt, lack_of_memory
from tileconv.tiles.overlap import receipts_by_rows
from tileconv.tiles.windows import Job

AHEAD = 2
"""Tiles per worker that wait in the pool: no worker is ever idle, and a plan of a million tiles stays small."""


def run_threads(job: Job, tiles: Iterable[Box], workers: int, stop: Event, heard: Heard) -> None:
    """Make *tiles* on threads, as ``run_tiles`` says. Dask has nothing to schedule here."""
    run_tiles(partial(attempt, job), tiles, workers, stop, heard)


def run_tiles(
    make: Callable[[Box], Outcome | None], tiles: Iterable[Box], workers: int, stop: Event, heard: Heard
) -> None:
    """Call *make* with each of *tiles* in *workers* threads; tell *heard* of each outcome in this thread, at once.

    Once *stop* is set no new tile begins; those in flight are finished and heard of. An exception that is no outcome is
    raised once all tiles that were finished beside it are heard of. Where *make* returns None there is nothing to tell.
    """

    def unless_stopped(tile: Box) -> Outcome | None:
        return None if stop.is_set() else make(tile)

    waiting = iter(tiles)
    pending: set[Future[Outcome | None]] = set()
    with ThreadPoolExecutor(workers) as pool:  # leaving it waits for the tiles in flight
        try:
            while True:
                count = 0 if stop.is_set() else AHEAD * workers - len(pending)
                pending |= {pool.submit(unless_stopped, tile) for tile in islice(waiting, count)}
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                wrong = [error for future in done if (error := future.exception())]
                for outcome in (future.result() for future in done if not future.exception()):
                    if outcome is not None:
                        heard(outcome)
                if wrong:
                    raise wrong[0]
        finally:
            pool.shutdown(cancel_futures=True)


def run_rows(job: Job, workers: int, stop: Event, heard: Heard) -> None:
    """Make all tiles of *job* on threads with halos exchanged, as ``compute_rows`` says."""
    with ThreadPoolExecutor(workers) as pool:
        compute_rows(job, stop, heard, scheduler="threads", pool=pool)


def compute_rows(job: Job, stop: Event, heard: Heard, **where: Any) -> None:
    """Make all tiles of *job* by a local scheduler of Dask's, row by row; *stop* is looked at between rows."""
    from dask.callbacks import Callback  # a tenth of a second

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
            try:
                row.compute(**where)
            except MemoryError as error:
                raise lack_of_memory("a row of tiles") from error
