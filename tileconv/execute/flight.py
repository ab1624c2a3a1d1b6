"""Tiles in flight at the workers of a Dask cluster: a few at a time, until all are heard of."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any, Self
from uuid import uuid4

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import ClusterError
from tileconv.execute.connect import PoisonError, result_of
from tileconv.execute.crew import Crew
from tileconv.execute.outcome import Failure, Heard, Outcome, attempt
from tileconv.tiles.windows import Job, Receipt

WINDOW = 4
"""Tasks in flight per worker thread: enough to keep it busy, few enough to keep scheduler and client small."""
TASK_S, TILES = 0.2, 64
"""Seconds of work in one task, and the most tiles: a task costs scheduler, client and worker some 3 ms each."""
LOOK_S = 1
"""How often the scheduler is asked for its workers."""
LATE_S, LATE = 30, 10
"""A task is late once it is in flight for so long and for so many times as long as the median of those that are done.

Both count the wait for a free thread; what takes more work than others seldom takes that many times as much.
"""
QUIET_S, QUIET = 15, 3
"""A run that ends early waits for its tiles for as long as one is done within so long, and so many medians."""
TELL_S = 5
"""How long the workers may take to hear that no tile begins any more; one that hangs never does."""


@dataclass(eq=False)
class Batch:
    """Tiles that one task makes; ``key`` is that of its newest try, and whichever try is done first counts."""

    tiles: list[Box]
    key: Any = None
    tries: int = 0
    over: bool = False


class Flight:
    """Futures at the workers, each with what the caller wants to know of it: a batch of tiles, or a row's block."""

    def __init__(self, crew: Crew) -> None:
        self.crew, self.client, self.token, self.halted = crew, crew.client, uuid4().hex, False
        self.finished: SimpleQueue[Any] = SimpleQueue()
        self.flying: dict[Any, tuple[Any, float]] = {}
        self.times: deque[float] = deque(maxlen=101)
        self.quiet_since = time.monotonic()

    def add(self, future: Any, what: Any = None) -> None:
        """Take *future* into the book; it is handed back by ``landed`` once."""
        self.flying[future.key] = what, time.monotonic()
        future.add_done_callback(self.finished.put)

    def landed(self) -> tuple[Any, Any] | None:
        """Return a future that is done and what it is for; None when none is done within half a second.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or there have been no workers to trust for ``WORKERS_WITHIN_S``.
        """
        if not self.halted and time.monotonic() - self.crew.looked > LOOK_S:
            self.look()
        try:
            future = self.finished.get(timeout=0.5)
        except Empty:
            return None
        what, since = self.flying.pop(future.key)
        self.quiet_since = time.monotonic()
        self.times.append(self.quiet_since - since)
        return future, what

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

    def made(self, future: Any, what: Any = None) -> Any:
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
            self.add(future, what)
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


class Tiles(Flight):
    """Tiles of a job, a few batches at a time; those at a worker when it ended are tried alone, one by one.

    A batch that is late, or whose worker is silent, is given to another worker as well.
    """

    def __init__(self, crew: Crew, job: Job, tiles: Iterator[Box]) -> None:
        super().__init__(crew)
        self.job, self.tiles = job, tiles
        self.suspects: list[Box] = []
        self.alone = False
        self.batches: set[Batch] = set()
        self.late: dict[Any, set[str]] = {}
        self.tile_s, self.numbers = TASK_S, count()
        self.shared = self._shared()

    def _shared(self) -> Any:
        """Return the job as a future; as a task, and not data of a worker, it is made again when that is lost."""
        key = f"job-{uuid4().hex}"
        return self.client.submit(_itself, self.job, pure=False, key=key, workers=self.crew.among())

    def open(self) -> bool:
        """Return whether there are tiles in flight of which nothing was heard."""
        return bool(self.batches)

    def more(self) -> None:
        """Let tiles begin: as many as there is room for, or a suspect as soon as nothing else is in flight."""
        if not (self.suspects or self.alone):
            self._begin(self.tiles)
        elif not self.batches:
            self.alone = bool(self.suspects)
            self.shared = self._shared()  # that of before may be lost for good
            self._begin(iter([self.suspects.pop()]) if self.alone else self.tiles)

    def _begin(self, tiles: Iterator[Box]) -> None:
        room, size = WINDOW * self.crew.room(), min(TILES, max(1, int(TASK_S / self.tile_s)))
        while len(self.batches) < room and (some := list(islice(tiles, size))):
            batch = Batch(some)
            self.batches.add(batch)
            self._try(batch, self.crew.among())

    def _try(self, batch: Batch, among: list[str]) -> None:
        # one prefix in the scheduler for all runs, and a group for each pass
        batch.key, batch.tries = (f"tile-{self.token}", next(self.numbers)), batch.tries + 1
        words = {"key": batch.key, "workers": among, "pure": False}
        # one block of memory, because the scheduler's log of messages keeps the last 1,000 to every worker
        numbers = np.array([(tile.start, tile.stop) for tile in batch.tiles])
        self.add(self.client.submit(_each, self.token, self.shared, numbers, **words), batch)

    def look(self) -> None:
        """See who of the workers is there, and give the tiles that hang at one to another as well."""
        silent = self.crew.look((self.shared.key, *self.flying), self.late)
        self.late = {key: at for key, at in self.late.items() if key in self.flying}
        lost = self.crew.held_by(self.shared.key, silent)
        again = [batch for batch in self.batches if lost or self._hangs(batch, silent)]
        if not (again and self.crew.good()):
            return
        self.shared = self._shared()  # a worker that waits for that of before waits for one that hangs
        for batch in again:
            at = self.crew.at.get(batch.key, set()) if batch.key in self.crew.running else set()
            if others := self.crew.among(but=at):
                self.late |= {batch.key: at} if at else {}
                self._try(batch, others)

    def _hangs(self, batch: Batch, silent: set[str]) -> bool:
        """Return whether the newest try of *batch* lies at silent workers, or is late."""
        what = self.flying.get(batch.key)
        limit = max(LATE_S, LATE * self.typical()) * 2 ** (batch.tries - 1)
        late = bool(self.times and what and time.monotonic() - what[1] > limit)
        return late or self.crew.held_by(batch.key, silent)

    def outcomes(self, future: Any, batch: Batch) -> list[Outcome]:
        """Return what became of the tiles of *batch*; a tile failed if it ended its workers alone."""
        if batch.over:  # another try was done first
            return []
        try:
            made: list[Outcome] | None = self.made(future, batch)
        except PoisonError as error:
            self._close(batch)
            if not self.alone:
                self.suspects += batch.tiles
                return []
            error.where = f"{self.job.source.where}, tile {batch.tiles[0]}"
            return [Failure(batch.tiles[0], error)]
        except ClusterError:
            if self.shared.status == "error":
                result_of(self.shared)  # says why no tile can be made
            raise
        if made is None:
            return []
        self._close(batch)
        if seconds := [outcome.seconds for outcome in made if isinstance(outcome, Receipt)]:
            self.tile_s = (self.tile_s + sum(seconds) / len(seconds)) / 2
        return made

    def _close(self, batch: Batch) -> None:
        batch.over = True
        self.batches.discard(batch)


def fly_tiles(crew: Crew, job: Job, tiles: Iterator[Box], stop: threading.Event, heard: Heard) -> None:
    """Make *tiles* and tell *heard* of each; the errors are those of ``run_cluster``."""
    with Tiles(crew, job, tiles) as flight:
        while True:
            flight.halt() if stop.is_set() else flight.more()
            if not flight.open() or flight.hopeless():
                return
            try:
                landed = flight.landed()
                outcomes = flight.outcomes(*landed) if landed else []
            except ClusterError:
                if stop.is_set():  # the signal reached the workers as well
                    return
                raise
            for outcome in outcomes:
                heard(outcome)


_halted: set[str] = set()
"""On a worker: tokens of the flights of which no tile begins any more."""


def _itself(job: Job) -> Job:
    return job


def _halt(token: str) -> None:
    _halted.add(token)


def _each(token: str, job: Job, numbers: np.ndarray) -> list[Outcome]:
    """On a worker: make the tiles with starts and stops *numbers*, or those that begin before the flight is halted."""
    tiles = (Box(tuple(start), tuple(stop)) for start, stop in numbers.tolist())
    return [attempt(job, tile) for tile in tiles if token not in _halted]
