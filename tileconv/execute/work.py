"""What is left of a pass, as a stream of tiles: those of its job, then those of levels over what it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import product
from pathlib import Path
from typing import cast

from tileconv.boxes import number_of, tile_at
from tileconv.execute.begin import Begun
from tileconv.execute.executor import Pair
from tileconv.execute.ledger import Ledger
from tileconv.execute.outcome import Outcome
from tileconv.planning.parts import Pass, Write
from tileconv.quick import dataclass
from tileconv.record.journal import DONE, TileKey
from tileconv.record.levels import OneLevel, each_level
from tileconv.record.todo import touched
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.spec.model import INPUT
from tileconv.stores.location import Location
from tileconv.tiles.levels import LevelJob, Stored
from tileconv.tiles.windows import Job


@dataclass(frozen=True)
class Levels:
    """The levels over *write* of *pass_*, with the tiles *left* of each; *sink* is as workers write to it."""

    pass_: Pass
    write: Write
    sink: ZarrSink
    left: Sequence[Sequence[int]]

    def job(self, one: OneLevel) -> LevelJob:
        """Return the job of a level."""
        below, sink = Stored(self.sink.at(one.number - 1)), self.sink.at(one.number)
        sizes = self.pass_.process_bytes, self.pass_.tile_bytes
        return LevelJob(below, one.level.shrink, sink, one.tiles.grid, self.write.array, *sizes)


@dataclass
class Work:
    """Tiles *numbers* of *job*, if there is one, and *levels*; the *ledger* hears of all.

    ``flying`` are those that were handed out and of which nothing was heard, each by the ``id`` of its job.
    """

    ledger: Ledger
    job: Job | None
    numbers: Sequence[int]
    levels: Sequence[Levels]
    flying: set[tuple[int, int]] = field(default_factory=set)

    @property
    def by_rows(self) -> bool:
        """Whether the tiles exchange their halos."""
        return self.job is not None and self.job.pass_.method == "overlap"

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.numbers) + sum(len(tiles) for of in self.levels for tiles in of.left)

    def of_job(self) -> Iterator[Pair]:
        """Yield the tiles of the job with it."""
        if job := self.job:
            for number in self.numbers:
                self.flying.add((id(job), number))
                yield job, tile_at(job.pass_.grid, number)

    def of_levels(self) -> Iterator[Pair | None]:
        """Yield the tiles of one level after another, each with its job; None while a tile below is in flight.

        Those over tiles that failed are left out.
        """
        for levels in self.levels:
            output, array = self.ledger.plan.recorded(levels.write.array)
            history, makers = self.ledger.histories[output], [id(self.job)]
            for one in each_level(levels.sink.layout, levels.pass_.grid):
                job = levels.job(one)
                for number in levels.left[one.number - 1]:
                    tile = tile_at(job.grid, number)
                    under = [*touched(one.below, job.shrink.needed(tile, one.below.image.shape))]
                    while not self.flying.isdisjoint(product(makers, under)):
                        yield None
                    if any(history.last(TileKey(array, one.number - 1, n)) != DONE for n in under):
                        self.ledger.left_out.add(TileKey(self.ledger.number, one.number, number))
                        continue
                    self.flying.add((id(job), number))
                    yield cast("Job", job), tile
                makers = [id(job), *makers[-1:] * one.tiles.within]

    def hear(self, job: Job | LevelJob, *outcomes: Outcome) -> None:
        """Take what became of some tiles of *job*."""
        level = job if isinstance(job, LevelJob) else None
        grid = job.grid if isinstance(job, LevelJob) else job.pass_.grid
        self.flying -= {(id(job), number_of(grid, outcome.tile)) for outcome in outcomes}
        self.ledger.hear(*outcomes, level=level)


def job_of(begun: Begun, pass_: Pass, source: Source, sinks: Sequence[ZarrSink]) -> Job:
    """Return the job of a pass of a run on *source*, which writes to *sinks*."""
    places, axes = begun.places, pass_.image.axes
    sources = (source if read.array == INPUT else _between(places[read.array], axes) for read in pass_.reads)
    return Job(pass_, tuple(sources), tuple(sinks))


def target(begun: Begun, array: int, staging: Mapping[int, Path]) -> ZarrSink:
    """Return the sink of *array* as workers write to it, by way of the folder in *staging* of its output."""
    folder = staging.get(begun.plan.recorded(array)[0])
    return replace(begun.sinks[array], store=begun.places[array].store(folder))


def _between(place: Location, axes: str) -> Source:
    """Open what a pass wrote for a later one; a chunk that is not there must never read as zeros."""
    return open_source(place, axes=axes, missing_chunks="error")
