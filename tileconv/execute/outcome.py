"""What becomes of a tile, and who is told: workers hand outcomes to the client one by one, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from tileconv.boxes import Box
from tileconv.errors import TileconvError, TileError
from tileconv.quick import dataclass
from tileconv.retry import system_error
from tileconv.tiles.windows import Job, Receipt


@dataclass(frozen=True)
class Failure:
    """A tile that could not be made, and why; ``system`` is the number of the system's error behind it, or 0.

    The number is told apart because an error that crosses from a worker loses what it was raised from.
    """

    tile: Box
    error: TileconvError
    system: int = 0


Outcome = Receipt | Failure


def attempts(job: Job, tiles: Iterable[Box]) -> Iterator[Outcome]:
    """Make *tiles*, those side by side together where the job says so, and yield what becomes of each."""
    for some in side_by_side(tiles, job.together):
        made: list[Receipt] = []
        if len(some) > 1:
            with suppress(TileconvError, MemoryError):  # which is told of the tile that it is of
                made = job.run_together(some)
        yield from made or (attempt(job, tile) for tile in some)


def side_by_side(tiles: Iterable[Box], most: int) -> Iterator[list[Box]]:
    """Yield *tiles* in their order, as many together, and *most* at the most, as lie side by side along the last axis.

    Examples
    --------
    >>> boxes = [Box((0, a), (2, a + 2)) for a in (0, 2, 6, 8)]
    >>> [len(some) for some in side_by_side(boxes, 9)], [len(some) for some in side_by_side(boxes, 1)]
    ([2, 2], [1, 1, 1, 1])
    """
    some: list[Box] = []
    for tile in tiles:
        if some:
            last = some[-1]
            beside = tile.start == (*last.start[:-1], last.stop[-1]) and tile.stop[:-1] == last.stop[:-1]
            if len(some) >= most or not beside:
                yield some
                some = []
        some.append(tile)
    if some:
        yield some


def attempt(job: Job, tile: Box) -> Outcome:
    """Make one tile; an error of ours, or a lack of memory, is an outcome as well."""
    return outcome_of(tile, lambda: job.run(tile))


def outcome_of(tile: Box, make: Callable[[], Receipt]) -> Outcome:
    """Return what *make* returns, or the failure of *tile*."""
    try:
        return make()
    except TileconvError as error:
        return Failure(tile, error, system_error(error))
    except MemoryError as error:
        lack = lack_of_memory(f"tile {tile}")
        lack.__cause__ = error
        return Failure(tile, lack)


def lack_of_memory(where: str) -> TileError:
    """Return the error of a tile for which the system gave too little memory."""
    return TileError("not enough memory", where=where, fix="Lower run.workers, or begin anew with a smaller run.tile.")
