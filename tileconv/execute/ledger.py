"""The client's book of a run: hears of every tile, writes the journal, and decides whether to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tileconv.boxes import number_of
from tileconv.errors import ClusterError, SinkError, TileconvError, UnfinishedError
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.stop import Stop
from tileconv.planning.model import Plan
from tileconv.progress import Progress
from tileconv.record.journal import BEGIN, DONE, FAILED, Event, History, Journal, TileKey
from tileconv.retry import HOPELESS, TRANSIENT, system_error


@dataclass
class Ledger:
    """Hears outcomes of pass ``number`` after pass; ``failures`` are those of this run by tile.

    ``left_out`` are tiles that need one that failed; ``pixels`` counts those of the output that this run made;
    ``notes`` are what a reader of the report should know of the run.
    """

    plan: Plan
    journal: Journal
    history: History
    progress: Progress
    stop: Stop
    keep_going: bool
    number: int = 0
    tiles_made: int = 0
    pixels: int = 0
    left_out: set[TileKey] = field(default_factory=set)
    failures: dict[TileKey, Failure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _heard: bytearray = field(default_factory=bytearray)
    """A byte for each tile of pass ``number``, 1 once it was heard of."""

    def begin(self) -> None:
        """Write that a run begins."""
        self._write(Event(BEGIN))

    def begin_pass(self, number: int) -> None:
        """Say that what is heard from now on are tiles of pass *number*."""
        self.number, self._heard = number, bytearray(len(self.plan.passes[number].grid))

    def unheard(self, tiles: Sequence[int]) -> list[int]:
        """Return those of *tiles* of which nothing was heard in this pass."""
        return [tile for tile in tiles if not self._heard[tile]]

    def hear(self, outcome: Outcome) -> None:
        """Take what became of a tile: first into the journal, then to whoever watches."""
        key = TileKey(self.number, 0, number_of(self.plan.passes[self.number].grid, outcome.tile))
        attempt = self.history.attempts(key) + 1
        if isinstance(outcome, Failure):
            self.failures[key] = outcome
            if not self.keep_going or outcome.system in HOPELESS:
                self.stop.set()
            self._write(Event(FAILED, key, attempt=attempt, error=str(outcome.error)))
            self._heard[key.tile] = 1
        else:
            self._write(Event(DONE, key, outcome.digest, attempt, outcome.seconds, outcome.counts))
            self._heard[key.tile] = 1
            self.tiles_made += 1
            if self.number == len(self.plan.passes) - 1:
                self.pixels += outcome.tile.size
            self.progress.tile(outcome.tile.size)

    def note(self, text: str) -> None:
        """Say *text*, once in a run of several passes."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)

    def _write(self, event: Event) -> None:
        self.journal.append(event)
        self.history.add(event)

    def how_far(self, error: TileconvError | None, *, overwrite: bool) -> str:
        """Return how many tiles are done, and when the same command makes the others after *error*, or a signal."""
        total = sum(len(pass_.grid) for pass_ in self.plan.passes)
        said = f"{self.history.total_done():,} of {total:,} tiles are done"
        command = "the same command without --overwrite" if overwrite else "the same command"
        of_tiles = [failure.system for failure in self.failures.values() if failure.error is error]
        passes = not TRANSIENT.isdisjoint([system_error(error), *of_tiles])
        if error is None or passes or (isinstance(error, ClusterError) and not of_tiles):
            return f"{said}; {command} makes the others"
        if isinstance(error, SinkError | ClusterError | UnfinishedError):
            return f"{said}; once that is mended, {command} makes the others"
        return said  # what tiles are made of must change, and with it perhaps all of them
