"""Tiles by rows: those of a row exchange their halos in a graph of Dask's, whoever computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from tileconv.boxes import Box
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.outcome import Outcome, lack_of_memory, outcome_of
from tileconv.tiles.overlap import outcomes_by_rows
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    import dask.array as da

Tell = Callable[[Outcome], None]
MakeRow = Callable[[Job, "da.Array", Tell], None]


def make_rows(make: MakeRow, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Call *make* with every row of each job in *pairs*, as ``Executor`` says, and with who hears of its tiles."""
    for _, tiles in groupby(filter(None, pairs), key=lambda pair: id(pair[0])):
        job, _ = next(tiles)
        for row in outcomes_by_rows(job, outcome_of):
            if stop.is_set():
                return
            make(job, row, partial(heard, job))


def compute_row(_job: Job, row: da.Array, tell: Tell, **where: Any) -> None:
    """Make the tiles of *row* by a local scheduler of Dask's, *where* says which."""
    from dask.callbacks import Callback  # a tenth of a second

    told: set[Box] = set()

    def done(_key: Any, result: Any, *_: Any) -> None:
        """Hear of outcomes as they come; a task's result may pass through another task."""
        if not (isinstance(result, np.ndarray) and result.dtype.kind == "O"):
            return
        for outcome in (o for part in result.ravel() if isinstance(part, list) for o in part):
            if outcome.tile not in told:
                told.add(outcome.tile)
                tell(outcome)

    with Callback(posttask=done):
        try:
            row.compute(**where)
        except MemoryError as error:
            raise lack_of_memory("a row of tiles") from error
