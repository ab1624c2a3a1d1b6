"""Tiles in flight at the workers of a Dask cluster: a few at a time, until all are heard of."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from tileconv.boxes import Box
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.connect import WORKERS_WITHIN_S, PoisonError, result_of, threads_of
from tileconv.execute.outcome import Failure, Heard, Outcome, attempt
from tileconv.graph.overlap import receipts_by_rows
from tileconv.graph.windows import Job

if TYPE_CHECKING:
    from distributed import Client

WINDOW = 4
"""Tiles in flight per worker thread: enough to keep it busy, few enough to keep scheduler and client small."""


class Flight:
    """Futures at the workers, each with what the caller wants to know of it: a tile, or a row's block."""

    def __init__(self, client: Client) -> None:
        self.client, self.token, self.halted = client, uuid4().hex, False
        self.finished: SimpleQueue[Any] = SimpleQueue()
        self.flying: dict[Any, Any] = {}
        self.alone_since = math.inf

    def add(self, future: Any, what: Any = None) -> None:
        """Take *future* into the book; it is handed back by ``landed`` once."""
        self.flying[future.key] = what
        future.add_done_callback(self.finished.put)

    def landed(self) -> tuple[Any, Any] | None:
        """Return a future that is done and what it is for; None when none is done within half a second.

        Raises
        ------
        ClusterError
            If there have been no workers for ``WORKERS_WITHIN_S``.
        """
        try:
            future = self.finished.get(timeout=0.5)
        except Empty:
            self._need_workers()
            return None
        return future, self.flying.pop(future.key)

    def halt(self) -> None:
        """See to it that no worker begins a tile of this flight; those that run go on."""
        if not self.halted:
            self.halted = True
            with suppress(OSError, TimeoutError, RuntimeError, ValueError):  # then all in flight are made
                self.client.run(_halt, self.token, on_error="ignore")

    def made(self, future: Any, what: Any = None) -> Any:
        """Return what *future* made; None if its worker was lost with it, and *future* is then in flight again.

        Raises
        ------
        ClusterError
            If it was lost, or there have been no workers for ``WORKERS_WITHIN_S``.
        TileconvError
            What became of the tile.
        """
        try:
            return result_of(future)
        except TimeoutError:
            if future.status == "error":
                raise
            self._need_workers()
            self.add(future, what)
            return None

    def wait(self) -> None:
        """Return when no worker is at a tile of this flight, or nothing can be learned of the workers any more."""
        if self.flying:
            self.halt()
        with suppress(ClusterError):
            while self.flying:
                self.landed()

    def _need_workers(self) -> None:
        if threads_of(self.client):
            self.alone_since = math.inf
            return
        self.alone_since = min(self.alone_since, time.monotonic())
        if time.monotonic() - self.alone_since > WORKERS_WITHIN_S:
            fix = "See why they ended, start others and give the same command."
            raise ClusterError("all workers were lost", fix=fix)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()  # no worker writes after the run


class Tiles(Flight):
    """Tiles of a job, a few at a time; those that were at a worker when it ended are tried alone, one by one."""

    def __init__(self, client: Client, job: Job, tiles: Iterator[Box]) -> None:
        super().__init__(client)
        self.job, self.tiles, self.room = job, tiles, WINDOW * threads_of(client)
        if not self.room:
            raise ClusterError("the scheduler has no workers", fix="Start one with dask worker.")
        self.suspects: list[Box] = []
        self.alone = False
        self.shared = self._shared()

    def _shared(self) -> Any:
        """Return the job as a future; as a task, and not data of a worker, it is made again when that is lost."""
        return self.client.submit(_itself, self.job, pure=False, key=f"job {uuid4().hex}")

    def more(self) -> None:
        """Let tiles begin: as many as there is room for, or a suspect as soon as nothing else is in flight."""
        if not (self.suspects or self.alone):
            self._begin(islice(self.tiles, self.room - len(self.flying)))
        elif not self.flying:
            self.alone = bool(self.suspects)
            self.shared = self._shared()  # that of before may be lost for good
            self._begin([self.suspects.pop()] if self.alone else islice(self.tiles, self.room))

    def _begin(self, tiles: Iterable[Box]) -> None:
        for tile in tiles:
            key = f"tile {tile} {uuid4().hex}"
            future = self.client.submit(_unless_halted, self.token, self.shared, tile, pure=False, key=key)
            self.add(future, tile)

    def outcome(self, future: Any, tile: Box) -> Outcome | None:
        """Return what became of *tile*: a failure if it ended its workers alone; None if there is nothing to tell."""
        try:
            outcome: Outcome | None = self.made(future, tile)
        except PoisonError as error:
            if not self.alone:
                self.suspects.append(tile)
                return None
            error.where = f"{self.job.source.where}, tile {tile}"
            return Failure(tile, error)
        except ClusterError:
            if self.shared.status == "error":
                result_of(self.shared)  # says why no tile can be made
            raise
        return outcome


def fly_tiles(client: Client, job: Job, tiles: Iterator[Box], stop: threading.Event, heard: Heard) -> None:
    """Make *tiles* and tell *heard* of each; the errors are those of ``run_cluster``."""
    with Tiles(client, job, tiles) as flight:
        while True:
            flight.halt() if stop.is_set() else flight.more()
            if not flight.flying:
                return
            landed = flight.landed()
            try:
                outcome = flight.outcome(*landed) if landed else None
            except ClusterError:
                if stop.is_set():  # the signal reached the workers as well
                    return
                raise
            if outcome is not None:
                heard(outcome)


_halted: set[str] = set()
"""On a worker: tokens of the flights of which no tile begins any more."""


def _itself(job: Job) -> Job:
    return job


def _halt(token: str) -> None:
    _halted.add(token)


def _unless_halted(token: str, job: Job, tile: Box) -> Outcome | None:
    return None if token in _halted else attempt(job, tile)


def fly_rows(client: Client, job: Job, stop: threading.Event, heard: Heard) -> None:
    """Make all tiles row by row; a row is over when all its blocks are, and those that were made are heard of first."""
    for row in receipts_by_rows(job):
        if stop.is_set():
            return
        errors: list[TileconvError] = []
        with Flight(client) as flight:
            for future in client.compute(list(row.to_delayed().ravel())):
                flight.add(future)
            while flight.flying:
                landed = flight.landed()
                if landed is None:
                    continue
                try:
                    made = flight.made(*landed)
                except TileconvError as error:
                    errors.append(error)
                    continue
                for receipts in () if made is None else made.ravel():
                    for receipt in receipts:
                        heard(receipt)
        if errors:
            raise errors[0]
