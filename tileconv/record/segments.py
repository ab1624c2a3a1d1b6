"""The journal where nothing can be appended to: objects with numbers, each created once and never replaced.

Whoever creates the next number owns the journal: a run that was thought dead meets an object of the run that took over,
and ends.
"""

from __future__ import annotations

import time

from tileconv.errors import SinkError
from tileconv.record.folder import JOURNAL, segments
from tileconv.record.journal import ANEW, Event, Journal
from tileconv.sinks.files import sink_errors
from tileconv.stores.location import Location
from tileconv.stores.store import Store, content

EVENTS, WITHIN_S = 1000, 2.0
"""Events of one segment at most, and the seconds after which the next event goes out with those before it."""


class Segments(Journal):
    """Appends events to the journal in *place*, many by one request; a context manager, after which all are there."""

    def __init__(self, place: Location) -> None:
        self.store = place.store()
        with sink_errors(place):
            self._number = _next(self.store)
        self._lines: list[bytes] = []
        self._since = time.monotonic()

    def __enter__(self) -> Segments:
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self._put()
        except SinkError:
            if raised[0] is None:
                raise

    def append(self, *events: Event) -> None:
        """Take *events*; SinkError if those that were taken cannot be written, or another run has taken over."""
        self._lines += [event.line() for event in events]
        if len(self._lines) >= EVENTS or time.monotonic() - self._since >= WITHIN_S:
            self._put()

    def _put(self) -> None:
        if self._lines:
            with sink_errors(self.store.where(_key(self._number))):
                put(self.store, self._number, b"".join(self._lines))
            self._number += 1
            self._lines.clear()
        self._since = time.monotonic()


def journal(place: Location) -> Journal:
    """Return what appends events to the journal in the run folder *place*."""
    return Segments(place) if place.scheme else Journal(place)


def put(store: Store, number: int, data: bytes) -> None:
    """Put segment *number*; SinkError if another run has."""
    key = _key(number)
    if not store.create(key, data) and content(store, key) != data:
        why = "another run has taken over its lease"
        raise SinkError("is not written by this run any more", where=store.where(key), why=why)


def seal(store: Store) -> None:
    """End the journal of a run before: what it would put next is there already, and says nothing."""
    number = _next(store)
    while not store.create(_key(number), b"\n"):
        number += 1


def anew(store: Store) -> None:
    """Begin the journal anew, behind all segments that a run before may still put; these go, if there are any."""
    if number := _next(store):
        put(store, number, Event(ANEW).line())
        for segment in segments(store):
            if segment != _key(number):
                store.delete(segment)


def _next(store: Store) -> int:
    last = segments(store)[-1:]
    return int(last[0].partition(".")[2] or 0) + 1 if last else 0


def _key(number: int) -> str:
    return f"{JOURNAL}.{number}" if number else JOURNAL
