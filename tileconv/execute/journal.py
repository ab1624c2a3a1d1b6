"""The journal of a run: one checksummed line per event, only ever appended to, by the client alone.

A line is the CRC-32 of its text in hexadecimal, a space, the text as JSON. A line that a crash tore, or that something
damaged, is passed over and counted: its tile is made again.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tileconv.graph.work import Counts
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors

BEGIN, DONE, FAILED, DAMAGED = "begin", "done", "failed", "damaged"
"""A run began; a tile is stored, could not be made, or was found damaged later, which takes its DONE back."""

TileKey = tuple[int, int]
"""Number of a pass and number of a tile in its grid, last axis fastest; both count from 0."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal; ``time`` is seconds since 1970 and never reaches the output."""

    what: str
    key: TileKey = (0, 0)
    digest: str = ""
    attempt: int = 1
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    error: str = ""
    time: float = field(default_factory=time.time)

    def line(self) -> bytes:
        """Return the event as a line with its checksum."""
        fields: dict[str, Any] = {"event": self.what, "time": round(self.time, 3)}
        if self.what != BEGIN:
            fields |= {"pass": self.key[0], "tile": self.key[1], "attempt": self.attempt}
        if self.what == DONE:
            fields |= {"digest": self.digest, "seconds": round(self.seconds, 4), **asdict(self.counts)}
        if self.error:
            fields["error"] = self.error
        text = json.dumps(fields, separators=(",", ":")).encode()
        return b"%08x %s\n" % (zlib.crc32(text), text)

    @classmethod
    def of_line(cls, line: bytes) -> Event | None:
        """Return the event of a line, or None when the line is torn or damaged."""
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return None
        try:
            found = json.loads(text)
            counts = Counts(*(int(found.get(name, 0)) for name in ("clipped", "missing", "fallbacks")))
            key = int(found.get("pass", 0)), int(found.get("tile", 0))
            words = {"digest": found.get("digest", ""), "error": found.get("error", "")}
            numbers = {"attempt": found.get("attempt", 1), "seconds": found.get("seconds", 0.0)}
            return cls(found["event"], key, counts=counts, time=float(found["time"]), **words, **numbers)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass
class History:
    """What a journal says: the last event of every tile, when runs began, and how many lines could not be read."""

    last: dict[TileKey, Event] = field(default_factory=dict)
    attempts: dict[TileKey, int] = field(default_factory=dict)
    begun: list[float] = field(default_factory=list)
    ended: float = 0.0
    """Time of the last event."""
    since_begin: int = 0
    """Tiles done since the last begin."""
    unreadable: int = 0

    @classmethod
    def of(cls, path: Path) -> History:
        """Read the journal at *path*; none is an empty one. SinkError if the file system refuses."""
        history = cls()
        for line in _lines(path):
            event = Event.of_line(line) if line.endswith(b"\n") else None
            if event:
                history.add(event)
            elif line.strip():
                history.unreadable += 1
        return history

    def add(self, event: Event) -> None:
        """Take the next event."""
        self.ended = event.time
        if event.what == BEGIN:
            self.begun.append(event.time)
            self.since_begin = 0
            return
        if event.what in (DONE, FAILED):
            self.attempts[event.key] = self.attempts.get(event.key, 0) + 1
        self.since_begin += event.what == DONE
        self.last[event.key] = event

    def done(self, number: int) -> dict[int, Event]:
        """Return the tiles of pass *number* that are stored, with their events."""
        return {k[1]: e for k, e in self.last.items() if k[0] == number and e.what == DONE}

    def failed(self) -> list[Event]:
        """Return the tiles that could not be made, and were not made since."""
        return [e for e in self.last.values() if e.what == FAILED]

    def counts(self) -> Counts:
        """Return what was noticed in all tiles that are stored, each counted once."""
        return sum((e.counts for e in self.last.values() if e.what == DONE), Counts())


def _lines(path: Path) -> Iterator[bytes]:
    with sink_errors(path):
        if path.exists():
            with path.open("rb") as file:
                yield from file


class Journal:
    """Appends events to the file at *path*, each by one write of the system; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with sink_errors(path):
            self._descriptor = retrying(lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666))
            size = os.fstat(self._descriptor).st_size
            self._torn = size > 0 and retrying(lambda: os.pread(self._descriptor, 1, size - 1)) != b"\n"

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def append(self, event: Event) -> None:
        """Write one line; SinkError if the file system refuses, and the line then counts as torn."""
        with sink_errors(self.path):
            retrying(lambda: self._write(event.line()))

    def _write(self, line: bytes) -> None:
        line = b"\n" * self._torn + line  # what a torn line left must not swallow this one
        self._torn = True
        if os.write(self._descriptor, line) != len(line):
            self._write(line.lstrip(b"\n"))
        self._torn = False
