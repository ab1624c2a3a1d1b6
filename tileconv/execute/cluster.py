"""Tiles on the workers of a Dask scheduler that runs already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from tileconv.boxes import Box
from tileconv.errors import TileconvError
from tileconv.execute.connect import connected
from tileconv.execute.crew import Crew
from tileconv.execute.flight import Flight, fly_tiles
from tileconv.execute.outcome import Heard
from tileconv.execute.trust import trusting
from tileconv.tiles.overlap import receipts_by_rows
from tileconv.tiles.windows import Job


def run_cluster(
    job: Job,
    tiles: Iterable[Box],
    address: str,
    stop: threading.Event,
    heard: Heard,
    *,
    rows: bool,
    libraries: Iterable[str],
    note: Callable[[str], None],
    waiting: Callable[[str], None],
) -> None:
    """Make *tiles* on the workers of the scheduler at *address* and tell *heard* of each as it is done.

    Once *stop* is set no new tile begins; those that run are finished and heard of. However this is left, no worker is
    at a tile any more, unless the scheduler or all workers were lost.

    Parameters
    ----------
    rows
        Make all tiles of *job* with halos exchanged, row by row; *stop* is looked at between rows.
    libraries
        The distributions that workers need in the versions that are here.
    note
        Is told of every worker that gets no tiles, and why.
    waiting
        Is told that there are no workers yet.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached or is lost, or has no workers that may have tiles.
    """
    with connected(address) as client, trusting(client, job, libraries, note) as trust:
        crew = Crew(client, trust)
        crew.gather(stop, waiting)
        if stop.is_set():
            return
        if rows:
            _fly_rows(crew, job, stop, heard)
        else:
            fly_tiles(crew, job, iter(tiles), stop, heard)


def _fly_rows(crew: Crew, job: Job, stop: threading.Event, heard: Heard) -> None:
    """Make all tiles row by row; a row is over when all its blocks are, and those that were made are heard of first."""
    for row in receipts_by_rows(job):
        if stop.is_set():
            return
        _fly_row(crew, row, stop, heard)


def _fly_row(crew: Crew, row: Any, stop: threading.Event, heard: Heard) -> None:
    errors: list[TileconvError] = []
    crew.bound = frozenset(crew.threads) or crew.bound
    with Flight(crew) as flight:
        for future in crew.client.compute(list(row.to_delayed().ravel()), workers=[*crew.bound]):
            flight.add(future)
        while flight.open() and not flight.hopeless():
            if stop.is_set():
                flight.halt()
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
