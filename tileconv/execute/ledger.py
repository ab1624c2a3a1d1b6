"""The client's book of a run: hears of every tile, writes the journal, and decides whether to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from itertools import chain

from tileconv.boxes import number_of, tile_at
from tileconv.errors import ClusterError, SinkError, TileconvError, TileError, UnfinishedError
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.stop import Stop
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.journal import BEGIN, DONE, FAILED, Event, History, Journal, TileKey
from tileconv.record.todo import reads, tiles_done
from tileconv.retry import HOPELESS, TRANSIENT, system_error
from tileconv.tiles.levels import LevelJob
from tileconv.tiles.windows import Receipt

NAMED = 5
"""How many failed tiles a message names."""


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
        for output, journal in self.journals.items():
            journal.append(begin := Event(BEGIN))
            self.histories[output].add(begin)

    def begin_pass(self, number: int, left: Sequence[int]) -> Sequence[int]:
        """Hear of pass *number* from now on; return what of *left* needs no tile that failed or was left out."""
        self.number, self._heard = number, bytearray(len(self.passes[number].grid))
        pass_, lost = self.passes[number], set[int]()
        for at, earlier in enumerate(self.passes[:number]):
            failed = {key.tile for key in (*self.failures, *self.left_out) if key[:2] == (at, 0)}
            arrays = [write.array for write in earlier.writes]
            for n in [n for n, read in enumerate(pass_.reads) if failed and read.array in arrays]:
                needed = ((tile, reads(pass_, tile_at(pass_.grid, tile), earlier.grid, n)) for tile in left)
                lost |= {tile for tile, read in needed if not failed.isdisjoint(read)}
        self.left_out |= {TileKey(number, 0, tile) for tile in lost}
        return [tile for tile in left if tile not in lost] if lost else left

    def check(self, possible: Sequence[int]) -> None:
        """Raise what ended the pass before its end: a failed tile, or that not all *possible* tiles were heard of."""
        if self.stop.is_set():
            failures = list(self.failures.values())
            hopeless = (failure for failure in failures if self.keep_going and failure.system in HOPELESS)
            raise next(hopeless, failures[0]).error  # the one that stopped it
        if unheard := [tile for tile in possible if not self._heard[tile]]:
            grid = self.passes[self.number].grid
            problem = f"nothing was heard of {len(unheard):,} tiles, the first is {tile_at(grid, unheard[0])}"
            fix = "This is a mistake in tileconv: please report it. The same command makes them."
            raise TileError(problem, where=str(self.plan.spec.output.path), fix=fix)

    def hear(self, *outcomes: Outcome, level: LevelJob | None = None) -> None:
        """Take what became of some tiles, of a *level* that is made of what is stored or of the pass.

        First into the journal of every output that they were for, then to who watches.
        """
        of = self._of if level is None else partial(self._of_level, level)
        told = [*chain.from_iterable(map(of, outcomes))]
        for output, journal in self.journals.items():
            if events := [event for at, event in told if at == output]:
                journal.append(*events)
                for event in events:
                    self.histories[output].add(event)
        for outcome in outcomes:
            if level is None:
                self._heard[number_of(self.passes[self.number].grid, outcome.tile)] = 1
            if isinstance(outcome, Receipt):
                self.tiles_made += 1
                self.progress.tile(outcome.tile.size)

    def _of(self, outcome: Outcome) -> Iterator[tuple[int, Event]]:
        """Yield what every output is told of a tile of the pass, with the number of the output."""
        pass_ = self.passes[self.number]
        tile = number_of(pass_.grid, outcome.tile)
        if isinstance(outcome, Failure):
            self._fail(TileKey(self.number, 0, tile), outcome)
        for at, write in enumerate(pass_.writes):
            output, number = self.plan.recorded(write.array)
            key = TileKey(number, 0, tile)
            attempt = self.histories[output].attempts(key) + 1
            if isinstance(outcome, Failure):
                yield output, Event(FAILED, key, attempt=attempt, error=str(outcome.error))
                continue
            yield output, Event(DONE, key, outcome.digests[at], attempt, outcome.seconds, outcome.counts[at])
            self.pixels += outcome.tile.size * (write.array >= self.plan.between)
            for level, digest in enumerate(outcome.levels[at], start=1):
                yield output, Event(DONE, TileKey(number, level, tile), digest)

    def _of_level(self, job: LevelJob, outcome: Outcome) -> Iterator[tuple[int, Event]]:
        """Yield what the output is told of a tile of the level of *job*."""
        tile = number_of(job.grid, outcome.tile)
        output, number = self.plan.recorded(job.array)
        key = TileKey(number, job.level, tile)
        attempt = self.histories[output].attempts(key) + 1
        if isinstance(outcome, Failure):
            self._fail(TileKey(self.number, job.level, tile), outcome)
            yield output, Event(FAILED, key, attempt=attempt, error=str(outcome.error))
        else:
            yield output, Event(DONE, key, outcome.digests[0], attempt, outcome.seconds)

    def _fail(self, key: TileKey, failure: Failure) -> None:
        self.failures[key] = failure
        self.progress.failed(str(failure.error))
        if not self.keep_going or failure.system in HOPELESS:
            self.stop.set()

    def note(self, text: str) -> None:
        """Say *text*, once in a run of several passes."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)

    def how_far(self, error: TileconvError | None, *, overwrite: bool) -> str:
        """Return how many tiles are done, and when the same command makes the others after *error*, or a signal."""
        total = self.plan.tiles_total
        said = f"{tiles_done(self.plan, self.histories):,} of {total:,} tiles are done"
        command = "the same command without --overwrite" if overwrite else "the same command"
        of_tiles = [failure.system for failure in self.failures.values() if failure.error is error]
        passes = not TRANSIENT.isdisjoint([system_error(error), *of_tiles])
        if error is None or passes or (isinstance(error, ClusterError) and not of_tiles):
            return f"{said}; {command} makes the others"
        if isinstance(error, SinkError | ClusterError | UnfinishedError):
            return f"{said}; once that is mended, {command} makes the others"
        return said  # what tiles are made of must change, and with it perhaps all of them

    def unfinished(self, *, overwrite: bool) -> UnfinishedError:
        """Return the error of a run of which tiles failed, while the others were made."""
        count = len(self.failures)
        named = "; ".join(str(failure.error).removesuffix(".") for failure in list(self.failures.values())[:NAMED])
        more = f"; and {count - NAMED:,} more, which tileconv status lists" * (count > NAMED)
        out = f", {len(self.left_out):,} need them" * bool(self.left_out)
        problem = f"{count:,} tile{'s' * (count != 1)} failed{out}: {named}{more}"
        error = UnfinishedError(problem, where=str(self.plan.spec.output.path))
        passes = all(failure.system in TRANSIENT for failure in self.failures.values())
        error.fix = f"{self.how_far(None if passes else error, overwrite=overwrite)}."
        return error
