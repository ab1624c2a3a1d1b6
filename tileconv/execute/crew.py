"""The workers of a Dask cluster as its scheduler sees them: who answers, who is at which tile, who is to get none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from itertools import chain
from math import inf
from threading import Event
from typing import TYPE_CHECKING, Any

from tileconv.errors import ClusterError
from tileconv.execute.connect import WORKERS_WITHIN_S, lost
from tileconv.execute.trust import Trust, host_of
from tileconv.quick import dataclass
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    from distributed import Client

SILENT_S = 20
"""A worker of which the scheduler heard nothing for so long hangs: three heartbeats on a cluster of 1,000 workers."""
ANSWER_S = 30
"""How long the scheduler may take to answer; on a busy machine that is seconds, and a stopped one never does."""
TOLD_AFTER_S = 1
"""A run without workers says so after this long: most have theirs at once."""
TELL_S = 10
"""How often it is said at most that fewer workers, or more, are waited for."""
AMONG = 16
"""Workers of which the scheduler chooses one for a task: enough to keep all busy, few names for it to hold."""
NAMED = 3
"""How many workers that were lost are named."""
FULL = 0.8
"""A worker that was lost, and took so much of its memory when it was last heard of, was ended for want of it."""

LEFT, STARVED, LOST = "left", "starved", "lost"
GONE = {LEFT: "left, as at the end of its walltime", STARVED: "lost for want of memory", LOST: "lost"}
"""How a worker went, and how that is told; the nanny of one that ``STARVED`` ended it."""

_Seen = tuple[dict[str, tuple[int, float, float]], dict[Any, set[str]], dict[Any, float], dict[str, str]]
"""Threads, seconds of silence and share of memory taken by worker; workers by task; seconds by task that a thread runs;
how those that went did so."""


@dataclass
class Crew:
    """The workers that *trust* admits, and which of them get no tile: those that are silent, or whose threads all hang.

    *say* is told which were lost, and what is waited for where there are none, with whether that is so; *stop* ends
    that wait. *pending* returns what is to come of workers that were asked for: these are waited for without end.

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
        For how many seconds a thread has been at a task, by its key, when its worker was last heard of; others wait.
    starved
        The workers that were lost for want of memory, since a tile is tried alone.
    timeout_s
        How long a tile may take, where the run says so: then it is tried alone.
    """

    client: Client
    trust: Trust
    stop: Event
    say: Callable[[str, bool], None]
    pending: Callable[[], str] = str
    threads: dict[str, int] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    at: dict[Any, set[str]] = field(default_factory=dict)
    running: dict[Any, float] = field(default_factory=dict)
    looked: float = 0.0
    bound: frozenset[str] = frozenset()
    timeout_s: float | None = None
    starved: set[str] = field(default_factory=set)
    _alone_since: float | None = None
    _named: list[str] = field(default_factory=list)
    _turn: int = 0
    _empty: bool = False
    _fresh: bool = False
    _silent: set[str] = field(default_factory=set)
    _full: set[str] = field(default_factory=set)
    _unclear: set[str] = field(default_factory=set)
    _coming_until: float = 0.0
    _told: str = ""
    _told_at: float = 0.0

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
        since = self.looked
        while not self.stop.is_set() and not (self.threads and self._answered(before, since)):
            if self.trust.hopeless() and not self.pending():
                raise self.trust.none()
            self.stop.wait(0.5 if self._told else 0.05)
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
        workers, self.at, self.running, gone = self._ask(list(keys))
        self.looked, self._empty = time.monotonic(), not workers
        self._lose(gone, len(workers))
        self._full = {address for address, (_, _, taken) in workers.items() if taken > FULL}
        self.trust.look(workers.keys())
        self._understand(len(workers))
        before = self.threads.keys()
        self.threads = {address: workers[address][0] for address in workers if address in self.trust.trusted}
        self._fresh = not self.threads.keys() <= before
        silent = {address for address in workers if workers[address][1] > SILENT_S}
        silent, self._silent = silent & self._silent, silent  # twice, because a machine that slept saw nobody
        for address in silent & self.threads.keys():
            self.trust.note(f"worker {address} has not been heard of for {SILENT_S} s: others get its tiles as well")
        hanging = Counter(chain.from_iterable(late.values()))
        self.aside = silent | {address for address, n in self.threads.items() if hanging[address] >= n}
        self._named = self.good() or [*self.threads] or self._named
        self._need_workers()
        return silent

    def news(self) -> bool:
        """Return whether tiles may wait for a worker that has come, or has answered, since the last look."""
        return self._fresh or not self.threads or self.trust.answered()

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
            return await self.client.run_on_scheduler(_seen, keys, self.good(), [*self.threads])

        try:
            seen: _Seen = self.client.sync(ask, callback_timeout=ANSWER_S)
        except (OSError, TimeoutError) as error:
            self.threads = {}  # nothing can be learned of them
            raise lost() from error
        return seen

    def _lose(self, gone: Mapping[str, str], still: int) -> None:
        """Say which workers are *gone*, each with how, and how many are *still* there."""
        hungry = {address for address, how in gone.items() if how == STARVED or (how == LOST and address in self._full)}
        for how in GONE:
            self._tell_of(how, {a for a in gone if how == (STARVED if a in hungry else gone[a])}, still)
        self._unclear |= {address for address, how in gone.items() if how == LOST} - hungry

    def _understand(self, still: int) -> None:
        """Say which of the workers that were lost the system ended for want of memory, as another there has seen."""
        hungry = {address for address in self._unclear if host_of(address) in self.trust.starving}
        self._tell_of(STARVED, hungry, still)
        self._unclear -= hungry
        self.trust.starving.clear()

    def _tell_of(self, how: str, who: set[str], still: int) -> None:
        if how == STARVED:
            self.starved |= who
        if who:
            named = ", ".join(sorted(who)[:NAMED]) + f" and {len(who) - NAMED:,} more" * (len(who) > NAMED)
            self.say(f"{GONE[how]}: worker {named}; {still:,} still there", False)

    def _need_workers(self) -> None:
        able = self.threads.keys() & (self.bound or self.threads)
        if able - (self.aside if self.timeout_s else set()):
            self._alone_since, self._told = None, ""
            return
        self._alone_since = self._alone_since or self.looked
        alone_s, coming = self.looked - self._alone_since, self.pending()
        self._coming_until = self.looked if coming else self._coming_until
        if self.looked - max(self._alone_since, self._coming_until) > WORKERS_WITHIN_S:
            raise _all_hang() if able else self.trust.none()
        if alone_s > TOLD_AFTER_S and (coming or self._empty):
            self._tell(f"waiting for workers: {coming}" if coming else self.trust.wait())
        elif alone_s > TOLD_AFTER_S and able:
            self._tell(f"all workers hang; waiting for one, {WORKERS_WITHIN_S} s at most")

    def _tell(self, text: str) -> None:
        """Say what is waited for, unless that was said, or something was a moment ago."""
        if text != self._told and not (self._told and self.looked - self._told_at < TELL_S):
            self._told, self._told_at = text, self.looked
            self.say(text, True)


def _all_hang() -> ClusterError:
    fix = "Raise that, or start the workers again and give the same command."
    return ClusterError("all workers hang", why="each is at tiles for longer than run.timeout_per_tile", fix=fix)


def _seen(keys: list[Any], good: list[str], known: list[str], dask_scheduler: Any) -> _Seen:
    """On the scheduler: what it knows of every worker, which workers have each task, and how those *known* went.

    Tasks that wait for workers that are gone go to *good* ones.
    """
    now, at = time.time(), {}
    running = {}
    for key in keys:
        if task := dask_scheduler.tasks.get(key):
            if good and task.state == "no-worker":
                dask_scheduler.set_restrictions({key: good})
                dask_scheduler.transitions({key: "processing"}, f"tileconv-{now}")
            at[key] = {
                worker.address for worker in ([task.processing_on] if task.processing_on else task.who_has or ())
            }
            if task.processing_on and task in task.processing_on.executing:
                running[key] = task.processing_on.executing[task]
    workers = {
        address: (worker.nthreads, now - worker.last_seen, worker.memory.process / (worker.memory_limit or inf))
        for address, worker in dask_scheduler.workers.items()
    }
    gone = {address: _how(address, dask_scheduler) for address in known if address not in workers}
    return workers, at, running, gone


def _how(address: str, dask_scheduler: Any) -> str:
    if any(event["worker"] == address for _, event in dask_scheduler.get_events("worker-restart-memory")):
        return STARVED
    ends = [e for _, e in dask_scheduler.get_events(address) if e.get("action") == "remove-worker"]
    return LEFT if ends and ends[-1].get("expected") else LOST
