"""Numbers of tiles in order, kept as runs of consecutive ones: of a million tiles of which few are made, a few runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class Numbers(Sequence[int]):
    """The numbers that *mask* marks, ascending.

    Examples
    --------
    >>> some = Numbers(np.array([False, True, True, False, True]))
    >>> [*some], len(some), some[2], [*some[1:]]
    ([1, 2, 4], 3, 4, [2, 4])
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        turns = np.flatnonzero(mask[1:] != mask[:-1]) + 1
        ends = np.concatenate([[0] if mask[:1].any() else [], turns, [mask.size] if mask[-1:].any() else []])
        self._starts, self._stops = ends.astype(np.int64).reshape(-1, 2).T
        self._before = np.concatenate([[0], np.cumsum(self._stops - self._starts)])
        """How many numbers there are before each run, and in all."""

    def __len__(self) -> int:
        return int(self._before[-1])

    def __iter__(self) -> Iterator[int]:
        runs = zip(self._starts, self._stops, strict=True)
        return chain.from_iterable(range(int(start), int(stop)) for start, stop in runs)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> list[int]: ...
    def __getitem__(self, at: Any) -> int | list[int]:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        run = int(np.searchsorted(self._before, at, "right")) - 1
        return int(self._starts[run] + at - self._before[run])
