"""Bounded memory of open files and decoded chunks, one per process, shared by its threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from tileconv.alike import one_of, repeated
from tileconv.images import DECODED_CACHE_BYTES
from tileconv.quick import dataclass
from tileconv.sources.source import Pixels, Reads, Window

Value = TypeVar("Value")


@dataclass
class _Kept(Generic[Value]):
    value: Value
    weight: int
    left: int | None
    """How often it will still be asked for, or None where nobody knows."""


class _Making(Generic[Value]):
    """A value that one thread makes, and others wait for; less than a ``Future``, of which each segment needs one."""

    def __init__(self) -> None:
        self.value: tuple[Value] | None = None
        self._made = threading.Lock()
        self._made.acquire()

    def wait(self) -> tuple[Value] | None:
        """Return the value, or None where making it failed."""
        with self._made:
            return self.value

    def done(self, value: tuple[Value] | None) -> None:
        """Let those go on who wait."""
        self.value = value
        self._made.release()


class Cache(Generic[Value]):
    """The values used last, whose weights sum to at most *limit*; a heavier value is handed out and not kept.

    A value that is dropped while a thread still uses it lives until that thread lets go of it.
    """

    def __init__(self, limit: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self.limit = limit
        self._weigh = weigh
        self._weight = 0
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._making: dict[Hashable, _Making[Value]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value], uses: int | None = None, limit: int | None = None) -> Value:
        """Return the value kept for *key*, or what *make* returns; a thread that comes while it is made waits for it.

        Parameters
        ----------
        make
            Runs outside the lock and must not ask for *key* itself. What it raises is raised in its own thread; one
            that waits then makes the value itself.
        uses
            How often *key* is asked for in all: the value is dropped after the last time, and never kept for 1.
        limit
            What the weights of all kept values may sum to from here on, instead of the limit of the cache.
        """
        with self._lock:
            if key in self._kept:
                return self._use(key)
            other = self._making.get(key)
            if other is None:
                mine = self._making[key] = _Making()
        if other is not None:
            result = other.wait()
            if result is None:
                return self.get(key, make, uses, limit)
            with self._lock:
                return self._use(key) if key in self._kept else result[0]
        value: tuple[Value] | None = None
        try:
            value = (make(),)
            return value[0]
        finally:
            with self._lock:
                del self._making[key]
                self._keep(key, value, uses, self.limit if limit is None else limit)
            mine.done(value)

    def has(self, key: Hashable) -> bool:
        """Return whether the value of *key* is kept, or being made."""
        with self._lock:
            return key in self._kept or key in self._making

    def _use(self, key: Hashable) -> Value:
        kept = self._kept[key]
        self._kept.move_to_end(key)
        if kept.left is not None:
            kept.left -= 1
            if kept.left < 1:
                self._drop(key)
        return kept.value

    def _keep(self, key: Hashable, value: tuple[Value] | None, uses: int | None, limit: int) -> None:
        if value and (uses is None or uses > 1) and (weight := self._weigh(value[0])) <= limit:
            self._kept[key] = _Kept(value[0], weight, uses and uses - 1)
            self._weight += weight
        while self._weight > limit:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        self._weight -= self._kept.pop(key).weight


SPARE_BYTES = 2**25
"""Decoded bytes of what comes from a store that are kept beyond what was planned: to fetch anew costs more than to
decode anew, where one worker is tiles behind another."""


def sparing(reads: Reads | None) -> Reads | None:
    """Return *reads*, of which more is kept."""
    return reads and replace(reads, cache_bytes=reads.cache_bytes + SPARE_BYTES)


OPEN_FILES = 16
"""Files that one kind of source keeps open in a process; far below the usual limit of 256 or 1024."""

CHUNKS: Cache[Pixels] = Cache(DECODED_CACHE_BYTES, lambda chunk: chunk.nbytes if any(chunk.strides) else 1)
"""Decoded chunks of all compressed sources of this process. Read only."""

FEW, ALIKE = 32, 256
"""How many times longer than its bytes in a file a chunk is that may be one value; how many such a process keeps."""
_ALIKE: Cache[Any] = Cache(ALIKE, lambda chunk: 1 if chunk is not None and one_of(chunk) is not None else 2 * ALIKE)


def decoded(key: Hashable, decode: Callable[[], Pixels], window: Window, reads: Reads | None) -> Pixels:
    """Return the chunk that holds *window* of its image (canonical order): kept for as long as *reads* ask for it."""
    if reads is None:
        return CHUNKS.get(key, decode)
    return CHUNKS.get(key, decode, reads.touching(window), reads.cache_bytes)


def alike(stored: bytes, how: Hashable, size: int, decode: Callable[[], Value]) -> Value:
    """Return what *decode* makes of the bytes *stored*, *size* bytes; of few that stand for one value it is kept.

    Of glass and background there are thousands of chunks of the same bytes, which then are read and not decoded.

    Parameters
    ----------
    how
        All that decides what becomes of the same bytes.
    """
    if len(stored) * FEW > size:
        return decode()

    def make() -> Any:
        chunk: Any = decode()
        return chunk if chunk is None else repeated(chunk)

    made: Value = _ALIKE.get((how, stored), make)
    return made
