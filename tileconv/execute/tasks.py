"""Tiles in flight at the workers of a Dask cluster, some of one job in a task; those that ended a worker alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from math import inf
from typing import Any
from uuid import uuid4

import numpy as np

from tileconv.boxes import Box
from tileconv.engines.loops import telling
from tileconv.errors import ClusterError, TileError
from tileconv.execute.connect import PoisonError, result_of
from tileconv.execute.crew import Crew
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.flight import HALTED, TELL_S, Flight
from tileconv.execute.handfuls import Pace, handfuls
from tileconv.execute.outcome import Failure, Outcome, attempt
from tileconv.quick import dataclass
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
class Task:
    """Tiles that one task makes; ``key`` is that of its newest try, and whichever try is done first counts."""

    job: Job
    tiles: list[Box]
    key: Any = None
    tries: int = 0
    over: bool = False


class Tiles(Flight):
    """Tiles of a stream, a few tasks at a time; those at a worker when it ended are tried alone, one by one.

    A task that is late, or whose worker is silent, is given to another worker as well. Where the run says how long a
    tile may take, one that takes longer is tried alone, and has failed if that takes too long as well.
    """

    def __init__(self, crew: Crew, pairs: Iterable[Pair | None]) -> None:
        super().__init__(crew)
        self.pace, self.numbers = Pace(TASK_S, TILES), count()
        self.waiting = handfuls(pairs, self.pace)
        self.suspects: list[Pair] = []
        self.alone = False
        self.tasks: set[Task] = set()
        self.late: dict[Any, set[str]] = {}
        self.failed: list[tuple[Job, Failure]] = []
        self.shared: dict[int, Any] = {}
        """The jobs at the workers, as futures, by the ``id`` of each."""

    def _take(self, job: Job) -> None:
        """See to it that workers may have tiles of *job*, and forget those that no tile needs any more."""
        at_work = {id(task.job): task.job for task in self.tasks}
        self.crew.take(job, [*at_work.values()], self.look)
        self.shared = {number: future for number, future in self.shared.items() if number in at_work}

    def _share(self, job: Job) -> Any:
        """Return *job* as a future; as a task, and not data of a worker, it is made again when that is lost."""
        if id(job) not in self.shared:
            words = {"key": f"job-{uuid4().hex}", "workers": self.crew.among(), "pure": False}
            self.shared[id(job)] = self.client.submit(_itself, job, **words)
        return self.shared[id(job)]

    def open(self) -> bool:
        """Return whether there are tiles of which nothing was heard, in flight or to be tried alone."""
        return bool(self.tasks or (self.suspects and not self.halted))

    def more(self) -> None:
        """Let tiles begin: as many as there is room for, or a suspect as soon as nothing else is in flight."""
        if not (self.suspects or self.alone):
            self._begin(self.waiting)
        elif not self.tasks and self.crew.good():
            self.alone = bool(self.suspects)
            self.shared.clear()  # those of before may be lost for good
            self.crew.starved.clear()
            self._begin(iter([[self.suspects.pop()]]) if self.alone else self.waiting)

    def _begin(self, handfuls: Iterator[list[Pair] | None]) -> None:
        room = WINDOW * self.crew.room()
        while len(self.tasks) < room and (some := next(handfuls, None)):
            task = Task(some[0][0], [tile for _, tile in some])
            if not self.crew.trust.knows(task.job):
                self._take(task.job)
                room = WINDOW * self.crew.room()
            if self.crew.stop.is_set():
                return
            self.tasks.add(task)
            self._try(task, self.crew.among())

    def _try(self, task: Task, among: list[str]) -> None:
        # one prefix in the scheduler for all runs, and a group for each pass
        number, job, axes = next(self.numbers), self._share(task.job), task.tiles[0].axes
        task.key, task.tries = (f"tile-{self.token}", number), task.tries + 1
        words = {"key": task.key, "workers": among, "pure": False}
        # one block of memory, because the scheduler's log of messages keeps the last 1,000 to every worker
        boxes = np.array([(tile.start, tile.stop) for tile in task.tiles])
        self.add(self.client.submit(_each, self.token, number, job, axes, boxes, **words), task)

    def look(self) -> None:
        """See who of the workers is there, and give the tiles that hang at one to another as well."""
        silent = self.crew.look((*(future.key for future in self.shared.values()), *self.flying), self.late)
        self.late = {key: at for key, at in self.late.items() if key in self.flying}
        self._time_out()
        lost = {number for number, future in self.shared.items() if self.crew.held_by(future.key, silent)}
        again = [task for task in self.tasks if id(task.job) in lost or self._hangs(task, silent)]
        if not (again and self.crew.good()):
            return
        for number in {id(task.job) for task in again}:
            self.shared.pop(number, None)  # a worker that waits for that of before waits for one that hangs
        for task in again:
            at = self.crew.at.get(task.key, set()) if task.key in self.crew.running else set()
            if others := self.crew.among(but=at):
                self.late |= {task.key: at} if at else {}
                for address in at - silent:
                    self.crew.trust.note(f"a tile takes long at worker {address}: another gets it as well")
                self._try(task, others)

    def _hangs(self, task: Task, silent: set[str]) -> bool:
        """Return whether the newest try of *task* is late, lies at silent workers, or waits behind what hangs."""
        flown = self.flying.get(task.key)
        limit = max(LATE_S, LATE * self.typical()) * 2 ** (task.tries - 1)
        late = bool(self.times and not self.crew.timeout_s and flown and time.monotonic() - flown[1] > limit)
        waits = task.key not in self.crew.running
        return late or self.crew.held_by(task.key, self.crew.aside if waits else silent)

    def _time_out(self) -> None:
        """Take from their workers the tiles that take longer than the run allows."""
        limit_s = self.crew.timeout_s or inf
        for task in [task for task in self.tasks if self.crew.running.get(task.key, 0.0) > limit_s]:
            at = self.crew.at[task.key]
            number, seconds = self._ask(task.key, at)
            if seconds <= limit_s:
                continue
            self._close(task)
            self.late[task.key] = at
            tile = task.tiles[number]
            slow = TileError("takes longer than run.timeout_per_tile", where=f"{task.job.where}, tile {tile}")
            if self.alone:
                slow.why = "another worker took too long as well, with no other tile in flight"
                slow.fix = "Raise run.timeout_per_tile, or see what makes the tile slow."
                self.failed.append((task.job, Failure(tile, slow)))
                continue
            self.crew.trust.note(f"{slow} at worker {', '.join(at)}: it is tried alone")
            self.suspects += [(task.job, tile) for tile in task.tiles]

    def _ask(self, key: Any, at: set[str]) -> tuple[int, float]:
        """Return at which of its tiles a task is at the worker in *at*, and for how long; 0 s if it does not answer."""

        async def ask() -> Any:
            return await self.client.run(_since, self.token, key[1], workers=[*at], on_error="ignore")

        with suppress(OSError, TimeoutError, RuntimeError, ValueError):  # then it is silent, or gone
            return next(iter(self.client.sync(ask, callback_timeout=TELL_S).values()), (0, 0.0))
        return 0, 0.0

    def outcomes(self, future: Any, task: Task) -> list[Outcome]:
        """Return what became of the tiles of *task*; a tile failed if it ended its workers alone."""
        if task.over:  # another try was done first
            return []
        try:
            outcomes: list[Outcome] | None = self.result(future, task)
        except PoisonError as error:
            self._close(task)
            if not self.alone:
                self.suspects += [(task.job, tile) for tile in task.tiles]
                return []
            error.where = f"{task.job.where}, tile {task.tiles[0]}"
            if self.crew.starved:
                error.why = "they went over their memory while they ran it"
            return [Failure(task.tiles[0], error)]
        except ClusterError:
            shared = self.shared.get(id(task.job))
            if shared and shared.status == "error":
                result_of(shared)  # says why no tile can be made
            raise
        if outcomes is None:
            return []
        self._close(task)
        seconds = [outcome.seconds for outcome in outcomes if isinstance(outcome, Receipt)]
        self.pace.took(sum(seconds), len(seconds))
        return outcomes

    def _close(self, task: Task) -> None:
        task.over = True
        self.tasks.discard(task)


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
            while flight.failed:
                heard(*flight.failed.pop(0))
            if landed and outcomes:
                heard(landed[1].job, *outcomes)


def _itself(job: Job) -> Job:
    return job


AT: dict[tuple[str, int], tuple[int, float]] = {}
"""On a worker: at which of its tiles each task of a flight is, and since when."""


def _each(token: str, number: int, job: Job, axes: str, boxes: np.ndarray) -> list[Outcome]:
    """On a worker: make the tiles with starts and stops *boxes*, or those that begin before the flight is halted."""
    outcomes: list[Outcome] = []

    def begin() -> None:
        AT[token, number] = len(outcomes), time.monotonic()

    try:
        with telling(begin):  # what is compiled does not count
            for start, stop in boxes.tolist():
                if token not in HALTED:
                    begin()
                    outcomes.append(attempt(job, Box(tuple(start), tuple(stop), axes)))
    finally:
        AT.pop((token, number), None)
    return outcomes


def _since(token: str, number: int) -> tuple[int, float]:
    """On a worker: return at which of its tiles a task of the flight *token* is, and for how many seconds."""
    at, began = AT.get((token, number), (0, inf))
    return at, time.monotonic() - began
