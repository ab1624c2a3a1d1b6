"""The client's book of a run: hears of every tile, writes the journal, and decides whether to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tileconv.boxes import number_of
from tileconv.errors import ClusterError, SinkError, TileconvError, UnfinishedError
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.stop import Stop
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass
from tileconv.progress import Progress
from tileconv.record.journal import BEGIN, DONE, FAILED, Event, History, Journal, TileKey
from tileconv.record.todo import tiles_done
from tileconv.retry import HOPELESS, TRANSIENT, system_error


@dataclass
class Ledger:
    """Hears outcomes of pass ``number`` after pass; ``failures`` are those of this run by (pass, tile).

    ``passes`` are those of *plan* of which something is left; ``journals`` are those that hear of their tiles, and
    ``histories`` those of all outputs, by output. ``left_out`` are tiles that need one that failed; ``pixels`` counts
    those of the outputs that this run made; ``notes`` are what a reader of the report should know of the run.
    """

    plan: Plan
    passes: Sequence[Pass]
    journals: Mapping[int, Journal]
    histories: Sequence[History]
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
        for output in self.journals:
            self._write(output, Event(BEGIN))

    def begin_pass(self, number: int) -> None:
        """Say that what is heard from now on are tiles of pass *number*."""
        self.number, self._heard = number, bytearray(len(self.passes[number].grid))

    def unheard(self, tiles: Sequence[int]) -> list[int]:
        """Return those of *tiles* of which nothing was heard in this pass."""
        return [tile for tile in tiles if not self._heard[tile]]

    def hear(self, outcome: Outcome) -> None:
        """Take what became of a tile: first into the journal of every output that it was for, then to who watches."""
        pass_ = self.passes[self.number]
        tile = number_of(pass_.grid, outcome.tile)
        if isinstance(outcome, Failure):
            self.failures[TileKey(self.number, 0, tile)] = outcome
            if not self.keep_going or outcome.system in HOPELESS:
                self.stop.set()
        for at, write in enumerate(pass_.writes):
            output, number = self.plan.recorded(write.array)
            key = TileKey(number, 0, tile)
            attempt = self.histories[output].attempts(key) + 1
            if isinstance(outcome, Failure):
                event = Event(FAILED, key, attempt=attempt, error=str(outcome.error))
            else:
                event = Event(DONE, key, outcome.digests[at], attempt, outcome.seconds, outcome.counts[at])
                self.pixels += outcome.tile.size * (write.array >= self.plan.between)
            self._write(output, event)
        self._heard[tile] = 1
        if not isinstance(outcome, Failure):
            self.tiles_made += 1
            self.progress.tile(outcome.tile.size)

    def note(self, text: str) -> None:
        """Say *text*, once in a run of several passes."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)

    def _write(self, output: int, event: Event) -> None:
        self.journals[output].append(event)
        self.histories[output].add(event)

    def how_far(self, error: TileconvError | None, *, overwrite: bool) -> str:
        """Return how many tiles are done, and when the same command makes the others after *error*, or a signal."""
        total = sum(len(pass_.grid) for pass_ in self.plan.passes)
        said = f"{tiles_done(self.plan, self.histories):,} of {total:,} tiles are done"
        command = "the same command without --overwrite" if overwrite else "the same command"
        of_tiles = [failure.system for failure in self.failures.values() if failure.error is error]
        passes = not TRANSIENT.isdisjoint([system_error(error), *of_tiles])
        if error is None or passes or (isinstance(error, ClusterError) and not of_tiles):
            return f"{said}; {command} makes the others"
        if isinstance(error, SinkError | ClusterError | UnfinishedError):
            return f"{said}; once that is mended, {command} makes the others"
        return said  # what tiles are made of must change, and with it perhaps all of them
