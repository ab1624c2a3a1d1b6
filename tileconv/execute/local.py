"""Tiles on the threads of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice, takewhile
from threading import Event

from tileconv.boxes import Box
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.handfuls import Pace, handfuls
from tileconv.execute.outcome import Outcome, attempts
from tileconv.execute.rows import compute_row, make_rows
from tileconv.tiles.windows import Job

AHEAD = 2
"""Tasks per worker that wait in the pool: no worker is ever idle, and a plan of a million tiles stays small."""
TASK_S, TILES = 0.02, 64
"""Seconds of work in one task, and the most tiles: handing a task to a thread costs as much as a tiny tile.

A run that is killed makes those in flight again, so they are few.
"""
Made = tuple[list[Outcome], BaseException | None]
"""What a task made of its tiles, and the exception that ended it early."""


def threads(workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles on threads: see ``Executor``. Dask has nothing to schedule here."""
    make_tiles(attempts, workers, pairs, stop, heard)


def thread_rows(workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles by rows on threads: see ``Executor``."""
    with ThreadPoolExecutor(workers) as pool:
        make_rows(partial(compute_row, scheduler="threads", pool=pool), pairs, stop, heard)


def make_tiles(
    make: Callable[[Job, Iterable[Box]], Iterable[Outcome]], workers: int, pairs: Iterable[Pair | None], stop: Event,
    heard: Heard,
) -> None:  # fmt: skip
    """Have *make* make *pairs* in *workers* threads, tiles of one job at a time; tell *heard* of each in this thread.

    Small tiles are made several at a time, and heard of together. An exception that is no outcome is raised once all
    tiles that were finished beside it are heard of.
    """

    def several(job: Job, tiles: Sequence[Box]) -> Made:
        made: list[Outcome] = []
        began = time.perf_counter()
        try:
            made.extend(make(job, takewhile(lambda _: not stop.is_set(), tiles)))
        except BaseException as error:
            return made, error
        pace.took(time.perf_counter() - began, len(made))
        return made, None

    pace = Pace(TASK_S, TILES)
    waiting = handfuls(pairs, pace)
    pending: dict[Future[Made], Job] = {}
    with ThreadPoolExecutor(workers) as pool:  # leaving it waits for the tiles in flight
        try:
            while True:
                count = 0 if stop.is_set() else AHEAD * workers - len(pending)
                now = [some for some in takewhile(bool, islice(waiting, count)) if some]
                for some in now:
                    job = some[0][0]
                    pending[pool.submit(several, job, [tile for _, tile in some])] = job
                if not pending:
                    return
                wait(pending, return_when=FIRST_COMPLETED)
                done = [(pending.pop(future), *future.result()) for future in [*pending] if future.done()]
                for job, made, _ in done:
                    if made:
                        heard(job, *made)
                wrong = [error for *_, error in done if error]
                if wrong:
                    raise wrong[0]
        finally:
            pool.shutdown(cancel_futures=True)
