"""Tiles on the workers of a Dask scheduler: one that runs already, or one that is started for the run.

However a function here is left, no worker is at a tile any more, unless the scheduler or all workers were lost. It
raises ClusterError if the scheduler cannot be reached or is lost, or has no workers that may have tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from tileconv.execute.connect import connected, open_client
from tileconv.execute.crew import Crew
from tileconv.execute.executor import Heard, Pair, Setting
from tileconv.execute.flight import fly_row
from tileconv.execute.rows import Tell, make_rows
from tileconv.execute.tasks import fly_tiles
from tileconv.execute.trust import trusting
from tileconv.spec.words import REACHED
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    import dask.array as da
    from distributed import Client


def scheduler(setting: Setting, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles on the workers of a scheduler: see ``Executor``."""
    with _crew(setting, stop) as crew:
        fly_tiles(crew, pairs, heard)


def scheduler_rows(setting: Setting, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles by rows on the workers of a scheduler: see ``Executor``."""
    with _crew(setting, stop) as crew:

        def make(job: Job, row: da.Array, tell: Tell) -> None:
            if not crew.trust.knows(job):
                crew.take(job, [])
            if not stop.is_set():
                fly_row(crew, row, tell)

        make_rows(make, pairs, stop, heard)


@contextmanager
def _crew(setting: Setting, stop: Event) -> Iterator[Crew]:
    with (
        _reached(setting) as (client, pending),
        trusting(client, setting.libraries(), setting.note) as trust,
    ):
        yield Crew(client, trust, stop, partial(_say, setting), pending, timeout_s=setting.timeout_s)


def _say(setting: Setting, text: str, waits: bool) -> None:
    if not waits:
        setting.progress.lost(text)
        return
    setting.progress.note(text)
    setting.progress.waiting(text)


@contextmanager
def _reached(setting: Setting) -> Iterator[tuple[Client, Callable[[], str]]]:
    """Yield a client of the cluster of *setting*, and who says what of it is still to come."""
    if setting.cluster is None:
        with open_client() if setting.name == REACHED else connected(setting.name) as client:
            yield client, str
        return
    start = partial(_started, setting)
    with ExitStack() as stack:
        yield setting.kept.once(setting.name, start) if setting.kept else stack.enter_context(start())


def _started(setting: Setting) -> AbstractContextManager[tuple[Client, Callable[[], str]]]:
    from tileconv.execute.jobs import started

    setting.progress.waiting(f"cluster {setting.name} is started")
    return started(setting.name, setting.cluster or {})
