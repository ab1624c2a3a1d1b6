"""Tiles on the workers of a Dask scheduler that runs already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from tileconv.boxes import Box
from tileconv.execute.connect import connected
from tileconv.execute.crew import Crew
from tileconv.execute.flight import fly_rows, fly_tiles
from tileconv.execute.outcome import Heard
from tileconv.execute.trust import trusting
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
            fly_rows(crew, job, stop, heard)
        else:
            fly_tiles(crew, job, iter(tiles), stop, heard)
