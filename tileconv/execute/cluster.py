"""Tiles on the workers of a Dask scheduler that runs already.

However a function here is left, no worker is at a tile any more, unless the scheduler or all workers were lost. It
raises ClusterError if the scheduler cannot be reached or is lost, or has no workers that may have tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from tileconv.execute.batches import fly_tiles
from tileconv.execute.connect import connected
from tileconv.execute.crew import Crew
from tileconv.execute.executor import Heard, Pair, Setting
from tileconv.execute.flight import fly_row
from tileconv.execute.rows import Tell, make_rows
from tileconv.execute.trust import trusting
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    import dask.array as da


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
        connected(setting.name) as client,
        trusting(client, setting.libraries(), setting.note) as trust,
    ):
        yield Crew(client, trust, stop, setting.progress.note)
