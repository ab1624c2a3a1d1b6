"""Small tiles by the handful: what one task makes, so that handing it out costs little beside what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tileconv.execute.executor import Pair
from tileconv.quick import dataclass


@dataclass
class Pace:
    """How many tiles a task takes: as many as were last made in ``task_s`` seconds, ``most`` at most, one at first."""

    task_s: float
    most: int
    tile_s: float = 0.0

    def __call__(self) -> int:
        """Return how many tiles the next task takes."""
        return min(self.most, max(1, int(self.task_s / (self.tile_s or self.task_s))))

    def took(self, seconds: float, tiles: int) -> None:
        """Take the *seconds* that a task of so many *tiles* took."""
        if tiles:
            self.tile_s = ((self.tile_s or self.task_s) + seconds / tiles) / 2


def handfuls(pairs: Iterable[Pair | None], size: Callable[[], int]) -> Iterator[list[Pair] | None]:
    """Yield *pairs* by as many as *size* says at the time, each handful of one job; None where None is among them."""
    some: list[Pair] = []
    for pair in pairs:
        if some and (pair is None or pair[0] is not some[0][0]):
            yield some
            some = []
        elif pair is None:
            yield None
        if pair is None:  # after a handful *pairs* is asked again: all may have been heard of meanwhile
            continue
        some.append(pair)
        if len(some) >= size():
            yield some
            some = []
    if some:
        yield some
