"""What is in flight at the workers of a Dask cluster: until it landed, or nothing can be learned of it any more."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.connect import result_of
from tileconv.execute.crew import Crew
from tileconv.execute.rows import Tell

if TYPE_CHECKING:
    import dask.array as da

LOOK_S, NEWS_S = 1, 0.1
"""How often the scheduler is asked for its workers, and how often where one of them waits for tiles."""
QUIET_S, QUIET = 15, 3
"""A run that ends early waits for its tiles for as long as one is done within so long, and so many medians."""
TELL_S = 5
"""How long the workers may take to hear that no tile begins any more; one that hangs never does."""


class Flight:
    """Futures at the workers, each with what the caller wants to know of it: some tiles, or a row's block."""

    def __init__(self, crew: Crew) -> None:
        self.crew, self.client, self.token, self.halted = crew, crew.client, uuid4().hex, False
        self.finished: SimpleQueue[Any] = SimpleQueue()
        self.flying: dict[Any, tuple[Any, float]] = {}
        self.times: deque[float] = deque(maxlen=101)
        self.quiet_since = time.monotonic()

    def add(self, future: Any, purpose: Any = None) -> None:
        """Take *future* into the book; it is handed back by ``landed`` once."""
        self.flying[future.key] = purpose, time.monotonic()
        future.add_done_callback(self.finished.put)

    def landed(self) -> tuple[Any, Any] | None:
        """Return a future that is done and what it is for; None when none is done within half a second.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or there have been no workers to trust for ``WORKERS_WITHIN_S``.
        """
        if not self.halted and time.monotonic() - self.crew.looked > (NEWS_S if self.crew.news() else LOOK_S):
            self.look()
        try:
            future = self.finished.get(timeout=0.5)
        except Empty:
            return None
        purpose, since = self.flying.pop(future.key)
        self.quiet_since = time.monotonic()
        self.times.append(self.quiet_since - since)
        return future, purpose

    def look(self) -> None:
        """See who of the workers is there."""
        self.crew.look((), {})

    def halt(self) -> None:
        """See to it that no worker begins a tile of this flight; those that run go on."""
        if self.halted:
            return
        self.halted, self.quiet_since = True, time.monotonic()

        async def tell() -> None:
            await self.client.run(_halt, self.token, workers=self.crew.good() or None, on_error="ignore")

        with suppress(OSError, TimeoutError, RuntimeError, ValueError):  # then all in flight are made
            self.client.sync(tell, callback_timeout=TELL_S)

    def open(self) -> bool:
        """Return whether anything in flight is waited for."""
        return bool(self.flying)

    def hopeless(self) -> bool:
        """Return whether the flight was halted, and nothing has been done for so long that nothing will be."""
        return self.halted and time.monotonic() - self.quiet_since > max(QUIET_S, QUIET * self.typical())

    def typical(self) -> float:
        """Return the median of the seconds that what is done was in flight; 0 where nothing is."""
        return median(self.times) if self.times else 0.0

    def result(self, future: Any, purpose: Any = None) -> Any:
        """Return what *future* made; None if its worker was lost with it, and *future* is then in flight again.

        Raises
        ------
        ClusterError
            If it was lost.
        TileconvError
            What became of the tile.
        """
        try:
            return result_of(future)
        except TimeoutError:
            if future.status == "error":
                raise
            self.add(future, purpose)
            return None

    def wait(self) -> None:
        """Return when no worker is at a tile that is waited for, or nothing can be learned of the workers any more."""
        with suppress(ClusterError):
            while self.open() and self.crew.threads and self.client.status == "running" and not self.hopeless():
                self.halt()
                self.landed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()


HALTED: set[str] = set()
"""On a worker: tokens of the flights of which no tile begins any more."""


def _halt(token: str) -> None:
    HALTED.add(token)


def fly_row(crew: Crew, row: da.Array, tell: Tell) -> None:
    """Make the tiles of *row*, which is over when all its blocks are; those that were made are heard of first."""
    errors: list[TileconvError] = []
    crew.bound = frozenset(crew.threads) or crew.bound
    with Flight(crew) as flight:
        for future in crew.client.compute(list(row.to_delayed().ravel()), workers=[*crew.bound]):
            flight.add(future)
        while flight.open() and not flight.hopeless():
            if crew.stop.is_set():
                flight.halt()
            landed = flight.landed()
            if landed is None:
                continue
            try:
                made = flight.result(*landed)
            except TileconvError as error:
                errors.append(error)
                continue
            for outcomes in () if made is None else made.ravel():
                for outcome in outcomes:
                    tell(outcome)
    if errors:
        raise errors[0]
