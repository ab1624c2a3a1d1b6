"""Tiles in flight at the workers of a Dask cluster, some of one job in a task; those that ended a worker alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import ClusterError
from tileconv.execute.connect import PoisonError, result_of
from tileconv.execute.crew import Crew
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.flight import HALTED, Flight
from tileconv.execute.handfuls import Pace, handfuls
from tileconv.execute.outcome import Failure, Outcome, attempt
from tileconv.tiles.windows import Job, Receipt

WINDOW = 4
"""Tasks in flight per worker thread: enough to keep it busy, few enough to keep scheduler and client small."""
TASK_S, TILES = 0.2, 64
"""Seconds of work in one task, and the most tiles: a task costs scheduler, client and worker some 3 ms each."""
LATE_S, LATE = 30, 10
"""A task is late once it is in flight for so long and for so many times as long as the median of those that are done.

Both count the wait for a free thread; what takes more work than others seldom takes that many times as much.
"""


@dataclass(eq=False)
class Batch:
    """Tiles that one task makes; ``key`` is that of its newest try, and whichever try is done first counts."""

    job: Job
    tiles: list[Box]
    key: Any = None
    tries: int = 0
    over: bool = False


class Tiles(Flight):
    """Tiles of a stream, a few batches at a time; those at a worker when it ended are tried alone, one by one.

    A batch that is late, or whose worker is silent, is given to another worker as well.
    """

    def __init__(self, crew: Crew, pairs: Iterable[Pair | None]) -> None:
        super().__init__(crew)
        self.pace, self.numbers = Pace(TASK_S, TILES), count()
        self.waiting = handfuls(pairs, self.pace)
        self.suspects: list[Pair] = []
        self.alone = False
        self.batches: set[Batch] = set()
        self.late: dict[Any, set[str]] = {}
        self.shared: dict[int, Any] = {}
        """The jobs at the workers, as futures, by the ``id`` of each."""

    def _take(self, job: Job) -> None:
        """See to it that workers may have tiles of *job*, and forget those that no tile needs any more."""
        at_work = {id(batch.job): batch.job for batch in self.batches}
        self.crew.take(job, [*at_work.values()], self.look)
        self.shared = {number: future for number, future in self.shared.items() if number in at_work}

    def _share(self, job: Job) -> Any:
        """Return *job* as a future; as a task, and not data of a worker, it is made again when that is lost."""
        if id(job) not in self.shared:
            words = {"key": f"job-{uuid4().hex}", "workers": self.crew.among(), "pure": False}
            self.shared[id(job)] = self.client.submit(_itself, job, **words)
        return self.shared[id(job)]

    def open(self) -> bool:
        """Return whether there are tiles in flight of which nothing was heard."""
        return bool(self.batches)

    def more(self) -> None:
        """Let tiles begin: as many as there is room for, or a suspect as soon as nothing else is in flight."""
        if not (self.suspects or self.alone):
            self._begin(self.waiting)
        elif not self.batches:
            self.alone = bool(self.suspects)
            self.shared.clear()  # those of before may be lost for good
            self._begin(iter([[self.suspects.pop()]]) if self.alone else self.waiting)

    def _begin(self, handfuls: Iterator[list[Pair] | None]) -> None:
        room = WINDOW * self.crew.room()
        while len(self.batches) < room and (some := next(handfuls, None)):
            batch = Batch(some[0][0], [tile for _, tile in some])
            if not self.crew.trust.knows(batch.job):
                self._take(batch.job)
                room = WINDOW * self.crew.room()
            if self.crew.stop.is_set():
                return
            self.batches.add(batch)
            self._try(batch, self.crew.among())

    def _try(self, batch: Batch, among: list[str]) -> None:
        # one prefix in the scheduler for all runs, and a group for each pass
        batch.key, batch.tries = (f"tile-{self.token}", next(self.numbers)), batch.tries + 1
        words = {"key": batch.key, "workers": among, "pure": False}
        # one block of memory, because the scheduler's log of messages keeps the last 1,000 to every worker
        numbers = np.array([(tile.start, tile.stop) for tile in batch.tiles])
        self.add(
            self.client.submit(_each, self.token, self._share(batch.job), batch.tiles[0].axes, numbers, **words), batch
        )

    def look(self) -> None:
        """See who of the workers is there, and give the tiles that hang at one to another as well."""
        silent = self.crew.look((*(future.key for future in self.shared.values()), *self.flying), self.late)
        self.late = {key: at for key, at in self.late.items() if key in self.flying}
        lost = {number for number, future in self.shared.items() if self.crew.held_by(future.key, silent)}
        again = [batch for batch in self.batches if id(batch.job) in lost or self._hangs(batch, silent)]
        if not (again and self.crew.good()):
            return
        for number in {id(batch.job) for batch in again}:
            self.shared.pop(number, None)  # a worker that waits for that of before waits for one that hangs
        for batch in again:
            at = self.crew.at.get(batch.key, set()) if batch.key in self.crew.running else set()
            if others := self.crew.among(but=at):
                self.late |= {batch.key: at} if at else {}
                self._try(batch, others)

    def _hangs(self, batch: Batch, silent: set[str]) -> bool:
        """Return whether the newest try of *batch* lies at silent workers, or is late."""
        flown = self.flying.get(batch.key)
        asked = (self.crew.timeout_s or 0.0) * len(batch.tiles)
        limit = (asked or max(LATE_S, LATE * self.typical())) * 2 ** (batch.tries - 1)
        late = bool((asked or self.times) and flown and time.monotonic() - flown[1] > limit)
        return late or self.crew.held_by(batch.key, silent)

    def outcomes(self, future: Any, batch: Batch) -> list[tuple[Job, Outcome]]:
        """Return what became of the tiles of *batch*; a tile failed if it ended its workers alone."""
        if batch.over:  # another try was done first
            return []
        try:
            outcomes: list[Outcome] | None = self.result(future, batch)
        except PoisonError as error:
            self._close(batch)
            if not self.alone:
                self.suspects += [(batch.job, tile) for tile in batch.tiles]
                return []
            error.where = f"{batch.job.where}, tile {batch.tiles[0]}"
            if error.last in self.crew.starved:
                error.why = "they went over their memory while they ran it"
            return [(batch.job, Failure(batch.tiles[0], error))]
        except ClusterError:
            shared = self.shared.get(id(batch.job))
            if shared and shared.status == "error":
                result_of(shared)  # says why no tile can be made
            raise
        if outcomes is None:
            return []
        self._close(batch)
        seconds = [outcome.seconds for outcome in outcomes if isinstance(outcome, Receipt)]
        self.pace.took(sum(seconds), len(seconds))
        return [(batch.job, outcome) for outcome in outcomes]

    def _close(self, batch: Batch) -> None:
        batch.over = True
        self.batches.discard(batch)


def fly_tiles(crew: Crew, pairs: Iterable[Pair | None], heard: Heard) -> None:
    """Make the tiles of *pairs* and tell *heard* of each."""
    with Tiles(crew, pairs) as flight:
        while True:
            flight.halt() if crew.stop.is_set() else flight.more()
            if not flight.open() or flight.hopeless():
                return
            try:
                landed = flight.landed()
                outcomes = flight.outcomes(*landed) if landed else []
            except ClusterError:
                if crew.stop.is_set():  # the signal reached the workers as well
                    return
                raise
            for job, outcome in outcomes:
                heard(job, outcome)


def _itself(job: Job) -> Job:
    return job


def _each(token: str, job: Job, axes: str, numbers: np.ndarray) -> list[Outcome]:
    """On a worker: make the tiles with starts and stops *numbers*, or those that begin before the flight is halted."""
    tiles = (Box(tuple(start), tuple(stop), axes) for start, stop in numbers.tolist())
    return [attempt(job, tile) for tile in tiles if token not in HALTED]
