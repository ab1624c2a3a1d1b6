"""The journal of a run: one checksummed line per event, only ever appended to, by the client alone.

A line is the CRC-32 of its text in hexadecimal, a space, the text as JSON. A line that a crash tore, or that something
damaged, is passed over and counted: its tile is made again. The lines lie in one segment or in several, which are read
in the order of their numbers: a disk appends to the last; where nothing can be appended to, each is an object.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.record.folder import JOURNAL, segments
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors
from tileconv.stores import steady
from tileconv.stores.location import Location
from tileconv.stores.store import Store
from tileconv.tiles.compute import Counts

BEGIN, DONE, FAILED, DAMAGED, ANEW = "begin", "done", "failed", "damaged", "anew"
"""A run began; a tile is stored, could not be made, or was found damaged later, which takes its DONE back; all that was
said before counts no more, as another run began the output anew."""

VERSION = 2
"""Of the lines, told by every ``begin``; in those before it a tile had the key ``pass`` and ``tile``."""
PIECE = 2**20
"""Bytes of a segment that are read at once."""


class TileKey(NamedTuple):
    """A tile: which of the arrays of ``grids`` it lies in, the array's level, and its number, last axis fastest."""

    array: int
    level: int
    tile: int


_FIRST = TileKey(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal; ``time`` is seconds since 1970 and never reaches the output."""

    kind: str
    key: TileKey = _FIRST
    digest: str = ""
    attempt: int = 1
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    error: str = ""
    time: float = field(default_factory=time.time)

    def line(self) -> bytes:
        """Return the event as a line with its checksum."""
        array, level, tile = self.key
        if self.kind == BEGIN:
            more = f'"version":{VERSION}'
        else:
            more = f'"array":{array},"level":{level},"tile":{tile},"attempt":{self.attempt}'
        if self.kind == DONE:
            counts = "".join(f',"{name}":{count}' for name, count in self.counts.as_json().items())
            more += f',"digest":"{self.digest}","seconds":{round(self.seconds, 4)}{counts}'
        if self.error:
            more += f',"error":{json.dumps(self.error)}'
        text = f'{{"event":"{self.kind}","time":{round(self.time, 3)},{more}}}'.encode()
        return b"%08x %s\n" % (zlib.crc32(text), text)

    @classmethod
    def of_line(cls, line: bytes) -> Event | None:
        """Return the event of a line, or None when the line is torn or damaged.

        Raises
        ------
        SourceError
            If a later version of tileconv wrote it.
        """
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return None
        try:
            told = json.loads(text)
            counts = Counts(*(int(told.get(name, 0)) for name in Counts.__dataclass_fields__))
            array = int(told.get("array", told.get("pass", 0)))
            key = TileKey(array, int(told.get("level", 0)), int(told.get("tile", 0)))
            if min(key) < 0:
                return None
            if "version" in told and told["version"] > VERSION:
                raise _later(told["version"])
            words = {"digest": told.get("digest", ""), "error": told.get("error", "")}
            numbers = {"attempt": told.get("attempt", 1), "seconds": told.get("seconds", 0.0)}
            return cls(told["event"], key, counts=counts, time=float(told["time"]), **words, **numbers)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _later(version: int) -> SourceError:
    problem = f"expected a journal of version {VERSION} or before, found {version}"
    return SourceError(problem, fix="Use the version of tileconv that began this output.")


class History:
    """What a journal says: the last event of every tile, when runs began, and how many lines could not be read.

    It holds 57 bytes per tile at most, where *stored* is off, as a run needs no digests and seconds, a byte or two.
    *tiles* is how many each array has, or each (array, level); a line about any other cannot be read.
    """

    def __init__(self, tiles: Sequence[int] | Mapping[tuple[int, int], int], *, stored: bool = True) -> None:
        self._stored = stored
        self.begun: list[float] = []
        self.ended = 0.0
        """Time of the last event."""
        self.since_begin = 0
        """Tiles done since the last begin."""
        self.unreadable = 0
        counts = tiles if isinstance(tiles, Mapping) else {(array, 0): count for array, count in enumerate(tiles)}
        self._arrays = {at: _Tiles(count) for at, count in counts.items()}
        self._errors: dict[TileKey, str] = {}

    @classmethod
    def of(cls, store: Store, tiles: Sequence[int] | Mapping[tuple[int, int], int], *, stored: bool = True) -> History:
        """Read the journal in *store*; none is an empty one.

        Raises
        ------
        SinkError
            If the file system refuses.
        SourceError
            If a later version of tileconv wrote it.
        """
        history = cls(tiles, stored=stored)
        for line in _lines(store):
            event = Event.of_line(line) if line.endswith(b"\n") else None
            try:
                if event:
                    history.add(event)
            except (LookupError, ValueError, TypeError, OverflowError):
                event = None
            history.unreadable += event is None and not line.isspace()
        return history

    def add(self, event: Event) -> None:
        """Take the next event, of a tile that there is."""
        self.ended = event.time
        if event.kind == ANEW:
            self.__init__({at: len(tiles.events) for at, tiles in self._arrays.items()})  # type: ignore[misc]
            return
        if event.kind == BEGIN:
            self.begun.append(event.time)
            self.since_begin = 0
            return
        done, tile, tiles = event.kind == DONE, event.key.tile, self._tiles(event.key)
        if done:
            checksum, _, size = event.digest.partition("-")
            digest = int(checksum, 16), int(size, 16)
            if self._stored:
                tiles.checksum[tile], tiles.bytes[tile] = digest
                tiles.seconds[tile] = event.seconds
            for column, count in zip(tiles.counted, vars(event.counts).values(), strict=True):
                if column[tile] != count:
                    column[tile] = count
            self.since_begin += 1
        tried = tiles.attempts(tile) + (event.kind != DAMAGED)
        tiles.events[tile] = _CODES[event.kind]
        if tried != tiles.attempts(tile):
            tiles.more[tile] += tried - tiles.attempts(tile)
        if event.kind == FAILED:
            self._errors[event.key] = event.error
        else:
            self._errors.pop(event.key, None)

    def _tiles(self, key: TileKey) -> _Tiles:
        return self._arrays[key[:2]]

    def last(self, key: TileKey) -> str | None:
        """Return the last event of a tile: ``DONE``, ``FAILED`` or ``DAMAGED``; None if there is none."""
        return _EVENTS[self._tiles(key).events[key.tile]]

    def attempts(self, key: TileKey) -> int:
        """Return how often a tile was made, or failed."""
        return self._tiles(key).attempts(key.tile)

    def digest(self, key: TileKey) -> str:
        """Return the digest of a tile that is stored; empty of any other."""
        tiles, tile = self._tiles(key), key.tile
        made = tiles.events[tile] == _CODES[DONE]
        return f"{tiles.checksum[tile]:08x}-{tiles.bytes[tile]:x}" if made else ""

    def done(self, array: int, level: int = 0) -> NDArray[np.intp]:
        """Return the tiles of an array that are stored, in order."""
        return np.flatnonzero(self.is_last(DONE, array, level))

    def is_last(self, event: str | None, array: int, level: int = 0) -> NDArray[np.bool_]:
        """Return a mask of the tiles of an array whose last event is *event*; None for those of which none is."""
        return self._arrays[array, level].is_(event)

    def failed(self) -> dict[TileKey, str]:
        """Return the tiles that could not be made, and were not made since, with their errors."""
        return dict(self._errors)

    def total_done(self) -> int:
        """Return how many tiles of all arrays, and of their levels, are stored."""
        return sum(int(tiles.is_(DONE).sum()) for tiles in self._arrays.values())

    def counts(self) -> Counts:
        """Return what was noticed in all tiles that are stored, each counted once.

        Every pass that reads the input counts all its missing pixels.
        """
        made = [tiles.counts() for tiles in self._arrays.values()]
        return replace(sum(made, Counts()), missing=max((counts.missing for counts in made), default=0))

    def seconds(self) -> float:
        """Return how long all tiles took that are stored, each counted once."""
        return float(sum(t.seconds.sum(dtype="f8", where=t.is_(DONE)) for t in self._arrays.values()))


_EVENTS = (None, DONE, FAILED, DAMAGED)
_CODES = {event: number for number, event in enumerate(_EVENTS)}


class _Tiles:
    """The last event of every tile of an array, a column per field, and how often each was made or failed."""

    def __init__(self, count: int) -> None:
        self.events = bytearray(count)
        self.checksum, self.more, fallbacks = (np.zeros(count, "u4").data for _ in range(3))
        self.bytes, clipped, missing, like_nodata, idle = (np.zeros(count, "u8").data for _ in range(5))
        self.seconds = np.zeros(count, "f4")
        self.counted = clipped, missing, fallbacks, like_nodata, idle
        """A column for each of ``Counts``."""

    def attempts(self, tile: int) -> int:
        """Return how often a tile was made, or failed: ``more`` often than its last event says."""
        return self.more[tile] + (self.events[tile] in (_CODES[DONE], _CODES[FAILED]))

    def is_(self, event: str | None) -> NDArray[np.bool_]:
        """Return a mask of the tiles whose last event is *event*."""
        mask: NDArray[np.bool_] = np.frombuffer(self.events, "u1") == _CODES[event]
        return mask

    def counts(self) -> Counts:
        """Return what was noticed in the tiles that are stored."""
        return Counts(*(int(np.asarray(column).sum(dtype="u8", where=self.is_(DONE))) for column in self.counted))


def _lines(store: Store) -> Iterator[bytes]:
    """Yield the lines of all segments; the last of each lacks its end where it was torn."""
    with sink_errors(store.where(JOURNAL), "read"):
        for segment in segments(store):
            rest, at, length = b"", 0, PIECE
            while length == PIECE:
                piece = store.read(segment, at, at + PIECE)
                at += (length := len(piece))
                *lines, rest = (rest + piece).split(b"\n")
                yield from (line + b"\n" for line in lines)
            if rest:
                yield rest


class Journal:
    """Appends events to the last segment in *place*, a handful by one write of the system; a context manager."""

    def __init__(self, place: Location) -> None:
        with sink_errors(place):
            self.path = place.local / [JOURNAL, *segments(place.store())][-1]
        with sink_errors(self.path):
            self._descriptor = steady.open_descriptor(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW)
            size = retrying(lambda: os.fstat(self._descriptor).st_size)
            self._torn = size > 0 and retrying(lambda: os.pread(self._descriptor, 1, size - 1)) != b"\n"

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def append(self, *events: Event) -> None:
        """Write lines, all at once; SinkError if the file system refuses, and the last of them then counts as torn."""
        with sink_errors(self.path):
            retrying(lambda: self._write(b"".join(map(Event.line, events))))

    def _write(self, lines: bytes) -> None:
        lines = b"\n" * self._torn + lines  # what a torn line left must not swallow this one
        self._torn = True
        while (count := os.write(self._descriptor, lines)) != len(lines):
            lines = b"\n" + lines[lines.rfind(b"\n", 0, count) + 1 :]
        self._torn = False
