"""The workers of a Dask cluster as its scheduler sees them: who answers, who is at which tile, who is to get none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from threading import Event
from typing import TYPE_CHECKING, Any

from tileconv.execute.connect import WORKERS_WITHIN_S, lost
from tileconv.execute.trust import Trust
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    from distributed import Client

SILENT_S = 20
"""A worker of which the scheduler heard nothing for so long hangs: three heartbeats on a cluster of 1,000 workers."""
ANSWER_S = 30
"""How long the scheduler may take to answer; on a busy machine that is seconds, and a stopped one never does."""
TOLD_AFTER_S = 1
"""A run without workers says so after this long: most have theirs at once."""
AMONG = 16
"""Workers of which the scheduler chooses one for a task: enough to keep all busy, few names for it to hold."""

_Seen = tuple[dict[str, tuple[int, float]], dict[Any, set[str]], set[Any]]
"""Threads and seconds of silence by worker, workers by task, tasks that a thread runs."""


@dataclass
class Crew:
    """The workers that *trust* admits, and which of them get no tile: those that are silent, or whose threads all hang.

    *waiting* is told that there are no workers yet; *stop* ends that wait.

    Attributes
    ----------
    threads
        The threads of every worker that is trusted, by its address.
    looked
        When the scheduler was asked last.
    bound
        Workers of which one must stay, because what is in flight can go nowhere else; any will do where it is empty.
    aside
        The workers that get no tile for now.
    at
        The workers that have a task or its result, by the task's key.
    running
        The keys of tasks that a thread was at when its worker was last heard of; others wait.
    """

    client: Client
    trust: Trust
    stop: Event
    waiting: Callable[[str], None]
    threads: dict[str, int] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    at: dict[Any, set[str]] = field(default_factory=dict)
    running: set[Any] = field(default_factory=set)
    looked: float = 0.0
    bound: frozenset[str] = frozenset()
    _alone_since: float | None = None
    _named: list[str] = field(default_factory=list)
    _turn: int = 0
    _empty: bool = False
    _silent: set[str] = field(default_factory=set)

    def take(self, job: Job, at_work: Collection[Job], look: Callable[[], object] | None = None) -> None:
        """Return when a worker may have tiles of *job*, or ``stop`` is set, while workers are at those of *at_work*.

        Workers that had tiles are waited for a little: until they answer, they get no others. *look* is called in the
        place of ``look``.

        Raises
        ------
        ClusterError
            If all are refused, or as ``look`` says.
        """
        look = look or (lambda: self.look((), {}))
        before, self.bound = set(self.threads), frozenset()
        self.trust.take(job, at_work)
        look()
        since, told = self.looked, False
        while not self.stop.is_set() and not (self.threads and self._answered(before, since)):
            if self.trust.hopeless():
                raise self.trust.none()
            if self._empty and not told and time.monotonic() - (self._alone_since or self.looked) > TOLD_AFTER_S:
                self.waiting(f"the scheduler has no worker yet; waiting for one, {WORKERS_WITHIN_S} s at most")
                told = True
            self.stop.wait(0.05)
            look()

    def _answered(self, before: Collection[str], since: float) -> bool:
        return self.trust.asked.keys().isdisjoint(before) or time.monotonic() - since > TOLD_AFTER_S

    def look(self, keys: Iterable[Any], late: Mapping[Any, set[str]]) -> set[str]:
        """Ask the scheduler anew, where *keys* are too, and return the workers that are silent.

        Those of *keys* whose workers are all gone may go to others from then on; they know how many workers they ended.
        *late* holds the workers of every task that takes too long.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or there have been no workers to trust for ``WORKERS_WITHIN_S``.
        """
        workers, self.at, self.running = self._ask(list(keys))
        self.looked, self._empty = time.monotonic(), not workers
        self.trust.look(workers.keys())
        self.threads = {address: workers[address][0] for address in workers if address in self.trust.trusted}
        silent = {address for address in workers if workers[address][1] > SILENT_S}
        silent, self._silent = silent & self._silent, silent  # twice, because a machine that slept saw nobody
        hanging = Counter(chain.from_iterable(late.values()))
        self.aside = silent | {address for address, n in self.threads.items() if hanging[address] >= n}
        self._named = self.good() or [*self.threads] or self._named
        self._need_workers()
        return silent

    def good(self) -> list[str]:
        """Return the workers that may get tiles."""
        return [address for address in self.threads if address not in self.aside]

    def among(self, but: Collection[str] = ()) -> list[str]:
        """Return the workers that the next task may go to, none of *but*; those of before where all went."""
        named = [address for address in self._named if address not in but]
        if len(named) <= AMONG:
            return named
        self._turn = (self._turn + AMONG) % len(named)
        return [*named, *named][self._turn : self._turn + AMONG]

    def room(self) -> int:
        """Return how many threads may get tiles; 1 where there is none, because one may come."""
        return max(1, sum(self.threads[address] for address in self.good() or self.threads))

    def held_by(self, key: Any, workers: set[str]) -> bool:
        """Return whether the task *key* lies with none but *workers*."""
        at = self.at.get(key, set())
        return bool(at) and at <= workers

    def _ask(self, keys: list[Any]) -> _Seen:
        async def ask() -> Any:
            return await self.client.run_on_scheduler(_seen, keys, self.good())

        try:
            seen: _Seen = self.client.sync(ask, callback_timeout=ANSWER_S)
        except (OSError, TimeoutError) as error:
            self.threads = {}  # nothing can be learned of them
            raise lost() from error
        return seen

    def _need_workers(self) -> None:
        if self.threads.keys() & (self.bound or self.threads):
            self._alone_since = None
            return
        self._alone_since = self._alone_since or self.looked
        if self.looked - self._alone_since > WORKERS_WITHIN_S:
            raise self.trust.none()


def _seen(keys: list[Any], good: list[str], dask_scheduler: Any) -> _Seen:
    """On the scheduler: threads and seconds of silence of every worker, and which workers have each task.

    Tasks that wait for workers that are gone go to *good* ones.
    """
    now, at = time.time(), {}
    running = set()
    for key in keys:
        if task := dask_scheduler.tasks.get(key):
            if good and task.state == "no-worker":
                dask_scheduler.set_restrictions({key: good})
                dask_scheduler.transitions({key: "processing"}, f"tileconv-{now}")
            at[key] = {
                worker.address for worker in ([task.processing_on] if task.processing_on else task.who_has or ())
            }
            if task.processing_on and task in task.processing_on.executing:
                running.add(key)
    workers = dask_scheduler.workers.items()
    return {address: (worker.nthreads, now - worker.last_seen) for address, worker in workers}, at, running
