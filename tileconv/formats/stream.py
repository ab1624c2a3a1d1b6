"""Work in threads whose results come in order, a bounded number of them ahead, so that memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from tileconv.errors import Interrupted

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_order(make: Callable[[Item], Made], items: Iterable[Item], workers: int, stop: Event) -> Iterator[Made]:
    """Yield what *make* makes of each of *items*, in their order; twice as many as *workers* are made or wait.

    Raises
    ------
    Interrupted
        If *stop* is set before the end.
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) == 2 * workers:
                    yield _result(waiting, stop)
            while waiting:
                yield _result(waiting, stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _result(waiting: deque[Future[Made]], stop: Event) -> Made:
    if stop.is_set():
        raise Interrupted("interrupted: nothing was left behind; the same command begins again")
    return waiting.popleft().result()
