"""Bounded memory of open files and decoded chunks, one per process, shared by its threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tileconv.images import DECODED_CACHE_BYTES
from tileconv.sources.source import Pixels

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """The values used last, whose weights sum to at most *limit*; a heavier value is handed out and not kept.

    A value that is dropped while a thread still uses it lives until that thread lets go of it.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self.limit = limit
        self._weigh = weigh
        self._weight = 0
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value kept for *key*, or what *make* returns; *make* runs outside the lock."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            if key not in self._kept and self._weigh(value) <= self.limit:
                self._kept[key] = value
                self._weight += self._weigh(value)
                while self._weight > self.limit:
                    self._weight -= self._weigh(self._kept.popitem(last=False)[1])
        return value


OPEN_FILES = 16
"""Files that one kind of source keeps open in a process; far below the usual limit of 256 or 1024."""

CHUNKS: Cache[Pixels] = Cache(DECODED_CACHE_BYTES, lambda chunk: chunk.nbytes)
"""Decoded chunks of all compressed sources of this process. Read only."""
