"""The workers of a Dask cluster as its scheduler sees them: who answers, who is at which tile, who is to get none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from tileconv.errors import ClusterError
from tileconv.execute.connect import WORKERS_WITHIN_S, lost

if TYPE_CHECKING:
    from distributed import Client

SILENT_S = 20
"""A worker of which the scheduler heard nothing for so long hangs: three heartbeats on a cluster of 1,000 workers."""
ANSWER_S = 30
"""How long the scheduler may take to answer; on a busy machine that is seconds, and a stopped one never does."""

_Seen = tuple[dict[str, tuple[int, float]], dict[Any, set[str]], set[Any]]
"""Threads and seconds of silence by worker, workers by task, tasks that a thread runs."""


@dataclass
class Crew:
    """The workers of *client*, and which of them get no tile: those that are silent, or whose threads all hang.

    Attributes
    ----------
    threads
        The threads of every worker, by its address.
    aside
        The workers that get no tile for now.
    at
        The workers that have a task or its result, by the task's key.
    running
        The keys of tasks that a thread was at when its worker was last heard of; others wait.
    """

    client: Client
    threads: dict[str, int] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    at: dict[Any, set[str]] = field(default_factory=dict)
    running: set[Any] = field(default_factory=set)
    alone_since: float | None = None
    _silent: set[str] = field(default_factory=set)

    def look(self, keys: Iterable[Any], late: Mapping[Any, set[str]]) -> set[str]:
        """Ask the scheduler anew, where *keys* are too, and return the workers that are silent.

        *late* holds the workers of every task that takes too long.

        Raises
        ------
        ClusterError
            If the scheduler does not answer, or there have been no workers for ``WORKERS_WITHIN_S``.
        """
        workers, self.at, self.running = self._ask(list(keys))
        self.threads = {address: threads for address, (threads, _) in workers.items()}
        silent = {address for address, (_, age_s) in workers.items() if age_s > SILENT_S}
        silent, self._silent = silent & self._silent, silent  # twice, because a machine that slept saw nobody
        hanging = Counter(chain.from_iterable(late.values()))
        self.aside = silent | {address for address, n in self.threads.items() if hanging[address] >= n}
        self._need_workers()
        return silent

    def good(self) -> list[str]:
        """Return the workers that may get tiles."""
        return [address for address in self.threads if address not in self.aside]

    def only(self) -> list[str] | None:
        """Return to whom a task is restricted: None, so to nobody, where no worker is set aside or all are."""
        return (self.good() or None) if self.aside else None

    def room(self) -> int:
        """Return how many threads may get tiles; 1 where there is none, because one may come."""
        return max(1, sum(self.threads[address] for address in self.good() or self.threads))

    def held_by(self, key: Any, workers: set[str]) -> bool:
        """Return whether the task *key* lies with none but *workers*."""
        at = self.at.get(key, set())
        return bool(at) and at <= workers

    def _ask(self, keys: list[Any]) -> _Seen:
        async def ask() -> Any:
            return await self.client.run_on_scheduler(_seen, keys)

        try:
            seen: _Seen = self.client.sync(ask, callback_timeout=ANSWER_S)
        except (OSError, TimeoutError) as error:
            raise lost(error) from error
        return seen

    def _need_workers(self) -> None:
        if self.threads:
            self.alone_since = None
            return
        now = time.monotonic()
        self.alone_since = self.alone_since or now
        if now - self.alone_since > WORKERS_WITHIN_S:
            fix = "See why they ended, start others and give the same command."
            raise ClusterError("all workers were lost", fix=fix)


def _seen(keys: list[Any], dask_scheduler: Any) -> _Seen:
    """On the scheduler: threads and seconds of silence of every worker, and which workers have each task."""
    now, at = time.time(), {}
    running: set[Any] = set()
    for key in keys:
        if task := dask_scheduler.tasks.get(key):
            at[key] = {
                worker.address for worker in ([task.processing_on] if task.processing_on else task.who_has or ())
            }
    workers = dask_scheduler.workers.items()
    return {address: (worker.nthreads, now - worker.last_seen) for address, worker in workers}, at, running
