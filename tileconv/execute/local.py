"""Tiles on the threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice, takewhile
from threading import Event

from tileconv.boxes import Box
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.outcome import Outcome, attempt
from tileconv.execute.rows import compute_row, make_rows
from tileconv.tiles.windows import Job

AHEAD = 2
"""Tiles per worker that wait in the pool: no worker is ever idle, and a plan of a million tiles stays small."""


def threads(workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles on threads: see ``Executor``. Dask has nothing to schedule here."""
    make_tiles(attempt, workers, pairs, stop, heard)


def thread_rows(workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles by rows on threads: see ``Executor``."""
    with ThreadPoolExecutor(workers) as pool:
        make_rows(partial(compute_row, scheduler="threads", pool=pool), pairs, stop, heard)


def make_tiles(
    make: Callable[[Job, Box], Outcome | None], workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard
) -> None:
    """Call *make* with each of *pairs* in *workers* threads; tell *heard* of each outcome in this thread, at once.

    An exception that is no outcome is raised once all tiles that were finished beside it are heard of. Where *make*
    returns None there is nothing to tell.
    """

    def unless_stopped(job: Job, tile: Box) -> Outcome | None:
        return None if stop.is_set() else make(job, tile)

    waiting = iter(pairs)
    pending: dict[Future[Outcome | None], Job] = {}
    with ThreadPoolExecutor(workers) as pool:  # leaving it waits for the tiles in flight
        try:
            while True:
                count = 0 if stop.is_set() else AHEAD * workers - len(pending)
                now = takewhile(bool, islice(waiting, count))
                pending |= {pool.submit(unless_stopped, *pair): pair[0] for pair in now if pair}
                if not pending:
                    return
                wait(pending, return_when=FIRST_COMPLETED)
                done = [(future, pending.pop(future)) for future in [*pending] if future.done()]
                wrong = [error for future, _ in done if (error := future.exception())]
                for future, job in done:
                    if not future.exception() and (outcome := future.result()) is not None:
                        heard(job, outcome)
                if wrong:
                    raise wrong[0]
        finally:
            pool.shutdown(cancel_futures=True)
