"""Who makes the tiles: an executor takes a stream of tiles, each with its job, and tells what becomes of every one.

Threads and processes of this machine, or the workers of a scheduler; tile by tile, or by rows of tiles that exchange
their halos. Another one is a function and a line of ``EXECUTORS``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from threading import Event
from typing import Any, Protocol

from tileconv.boxes import Box
from tileconv.execute.outcome import Outcome
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.tiles.windows import Job

Pair = tuple[Job, Box]


class Heard(Protocol):
    """Takes outcomes of a job on the client, in the thread that called the executor; what it raises ends the stream."""

    def __call__(self, job: Job, /, *outcomes: Outcome) -> None:
        """Take what became of some tiles of *job*, which one task made."""


class Executor(Protocol):
    """Makes the tiles of a stream, whose jobs may be several, and returns once all are heard of."""

    def __call__(self, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
        """Make the tiles of *pairs*, which begin in its order, and tell *heard* of each as soon as it is done.

        None among them says that what comes next needs tiles of which nothing was heard yet: *pairs* is asked again
        after one was.

        So many are in flight as keep all workers busy, and *pairs* is read no further ahead. Once *stop* is set no tile
        begins any more; those in flight are finished and heard of. A tile that fails is an outcome. What is the
        fault of no tile alone is raised, and of what was in flight then not all is heard.

        By rows a job's first tile stands for all of them, which are made row by row; *stop* is looked at between rows.
        The tiles of a job then come one after another, without those of other jobs among them.
        """


@dataclass(frozen=True)
class Setting:
    """What a run wants of its executor.

    Attributes
    ----------
    name
        ``run.executor`` of the spec: a word, the address of a scheduler, or the name of a cluster.
    workers
        How many tiles are made at once, where this machine makes them.
    rows
        Whether tiles are made by rows.
    libraries
        Returns the distributions that workers of a scheduler need in the versions that are here.
    progress
        Is told what the first tile waits for.
    note
        Is told of every worker that gets no tiles, and why.
    cluster
        The cluster that *name* names, if it names one.
    timeout_s
        How long a tile may take, where the run says so; by tiles alone.
    kept
        Keeps that cluster for what is made after; without it, it ends with the stream.
    """

    name: str
    workers: int
    rows: bool
    libraries: Callable[[], Collection[str]]
    progress: Progress
    note: Callable[[str], None]
    cluster: Mapping[str, Any] | None = None
    kept: Kept | None = None
    timeout_s: float | None = None


class Kept(ExitStack):
    """What streams of tiles share, each started by the first that asks for it; all ends with the block."""

    def __init__(self) -> None:
        super().__init__()
        self._there: dict[str, Any] = {}

    def once(self, name: str, start: Callable[[], AbstractContextManager[Any]]) -> Any:
        """Return what *start* yielded when *name* was asked for first."""
        if name not in self._there:
            self._there[name] = self.enter_context(start())
        return self._there[name]


def executor_of(setting: Setting) -> Executor:
    """Return the executor that *setting* names; what it needs is imported here, so that no other run waits for it."""
    return EXECUTORS.get(setting.name, _scheduler)(setting)


def _threads(setting: Setting) -> Executor:
    from tileconv.execute.local import thread_rows, threads

    return partial(thread_rows if setting.rows else threads, setting.workers)


def _processes(setting: Setting) -> Executor:
    from tileconv.execute.processes import process_rows, processes

    setting.progress.waiting("processes are started")
    if setting.rows:
        return partial(process_rows, setting.workers)
    return partial(processes, setting.workers, timeout_s=setting.timeout_s)


def _scheduler(setting: Setting) -> Executor:
    from tileconv.execute.cluster import scheduler, scheduler_rows

    return partial(scheduler_rows if setting.rows else scheduler, setting)


EXECUTORS = {"threads": _threads, "processes": _processes}
"""By ``run.executor``; any other name is a cluster of Dask's, which ``execute.cluster`` finds or starts."""
