"""Parts of objects that are read soon: fetched side by side before they are asked for, neighbours by one request.

A request takes tens of milliseconds whatever it brings, so that what a tile needs is asked for at once. All that
threads of a process wait for is known to all: a part that two of them need is fetched once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

from tileconv.stores import anywhere
from tileconv.stores.anywhere import Remote
from tileconv.stores.store import Facts

REQUESTS = 32
"""Requests of a process at one time."""
HELD_BYTES = 2**25
"""Bytes of a process that may be fetched before they are needed; what is needed now comes in any case."""
RUN_BYTES = 2**22
"""The most bytes of several parts that one request brings."""
GAP_SHARE = 16
"""One byte in so many may be one between parts, which nobody needs."""


class Part(NamedTuple):
    """Bytes *start* to *stop* of the *version* of an object."""

    place: Remote
    start: int
    stop: int
    version: str = ""

    def read(self) -> bytes:
        """Return its bytes, as many as there are."""
        return self.place.store.read(self.place.key, self.start, self.stop, self.version)


class _Run:
    """Neighbouring parts of one object, fetched by one request; held for as long as ``waiting`` readers need some."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.whole = parts[0]._replace(stop=max(part.stop for part in parts))
        self.size = self.whole.stop - self.whole.start
        self.waiting = 0
        self.data: Future[bytes] | None = None

    def fetch(self) -> Future[bytes]:
        if self.data is None:
            self.data = _pool().submit(self.whole.read)
        return self.data

    def of(self, part: Part) -> bytes:
        first = part.start - self.whole.start
        return self.fetch().result()[first : first + part.stop - part.start]


_KNOWN: dict[Part, _Run] = {}
_LOCK = threading.RLock()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(REQUESTS, "fetch")


def facts_of(places: Iterable[Remote]) -> Iterator[Facts | None]:
    """Return what is known of each of *places*, asked for side by side."""
    return _pool().map(anywhere.facts_of, places)


class Ahead:
    """The parts *wanted*, in the order in which they are read, without those *had* already; to be left when done.

    Examples
    --------
    >>> from tileconv.stores.memory import MemoryStore
    >>> store = MemoryStore()
    >>> store.write("a", [[b"pixels"]])
    >>> part = Part(Remote(store, "a"), 2, 4)
    >>> with Ahead([part]) as ahead:
    ...     ahead.read(part)
    b'xe'
    """

    def __init__(self, wanted: Iterable[Part], had: Callable[[Part], bool] = lambda _: False) -> None:
        parts = [*dict.fromkeys(wanted)]
        with _LOCK:  # what is no more known here another thread has made something of, which is had now
            for run in runs_of([part for part in parts if part not in _KNOWN and not had(part)]):
                _KNOWN.update(dict.fromkeys(run.parts, run))
            self._runs = {part: _KNOWN[part] for part in parts if part in _KNOWN}
            for run in self._runs.values():
                run.waiting += 1
        self._fetch()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for part in [*self._runs]:
            self.done(part)

    def read(self, part: Part) -> bytes:
        """Return the bytes of *part*, one of those wanted or any other; whatever ``Store.read`` raises."""
        run = self._runs.get(part)
        return part.read() if run is None else run.of(part)

    def done(self, part: Part) -> None:
        """Forget *part*, which is not read again by this reader."""
        with _LOCK:
            run = self._runs.pop(part, None)
            if run is None:
                return
            run.waiting -= 1
            if not run.waiting:
                if run.data:
                    run.data.cancel()
                for known in run.parts:
                    _KNOWN.pop(known, None)
        self._fetch()

    def _fetch(self) -> None:
        """Have fetched what of the next parts there is room for."""
        with _LOCK:
            held = sum(run.size for run in {*_KNOWN.values()} if run.data is not None)
            for run in dict.fromkeys(self._runs.values()):
                if run.data is None and (held := held + run.size) > HELD_BYTES:
                    break
                run.fetch()


def runs_of(parts: Sequence[Part]) -> Iterator[_Run]:
    """Yield *parts* in runs that one request brings, in the order in which the first of each is read."""
    order = {part: number for number, part in enumerate(parts)}
    runs: list[list[Part]] = []
    gaps = stop = 0
    for part in sorted(parts, key=lambda part: (str(part.place), part.version, part.start)):
        before = runs[-1][0] if runs else None
        if before and (part.place, part.version) == (before.place, before.version):
            gap, size = max(0, part.start - stop), max(part.stop, stop) - before.start
            if size <= RUN_BYTES and GAP_SHARE * (gaps + gap) <= size:
                runs[-1].append(part)
                gaps, stop = gaps + gap, max(stop, part.stop)
                continue
        runs.append([part])
        gaps, stop = 0, part.stop
    return map(_Run, sorted(runs, key=lambda run: min(map(order.__getitem__, run))))
