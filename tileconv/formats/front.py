"""The front of a tiled TIFF: all its directories before any tile, with room in them for where the tiles lie.

So whoever opens a file reads one part of it, at its start, and knows where everything is: what cloud optimized GeoTIFF
asks for. TIFF 6.0, BigTIFF, and SubIFDs for what hangs below a directory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tileconv.quick import dataclass

_BYTES = {2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 13: 4, 16: 8, 18: 8}
ASCII, SHORT, LONG, RATIONAL, DOUBLE, IFD, LONG8, IFD8 = _BYTES
PLACES, LENGTHS, BELOW = 324, 325, 330
"""Tags of where the tiles of a directory lie, of their bytes, and of directories that hang below one."""
ALIGNED = 8


@dataclass(frozen=True)
class Value:
    """What a tag says: its type, how many values, and their bytes from the lowest up."""

    type: int
    count: int
    bytes: bytes


def shorts(*numbers: int) -> Value:
    """Return whole numbers of 16 bits."""
    return Value(SHORT, len(numbers), struct.pack(f"<{len(numbers)}H", *numbers))


def longs(*numbers: int) -> Value:
    """Return whole numbers of 32 bits."""
    return Value(LONG, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers))


def doubles(*numbers: float) -> Value:
    """Return floats."""
    return Value(DOUBLE, len(numbers), struct.pack(f"<{len(numbers)}d", *numbers))


def rational(above: int, below: int) -> Value:
    """Return a fraction."""
    return Value(RATIONAL, 1, struct.pack("<2I", above, below))


def ascii_text(text: str) -> Value:
    """Return a text, with the zero that ends it."""
    stored = text.encode(errors="backslashreplace") + b"\0"
    return Value(ASCII, len(stored), stored)


@dataclass(frozen=True)
class Directory:
    """One image of a file: its tags, how many tiles it has, and the directories that hang below it."""

    tags: Mapping[int, Value]
    tiles: int
    below: tuple[Directory, ...] = ()


class Tables(NamedTuple):
    """At which bytes of a file a directory says where its tiles lie, and how long they are."""

    places: int
    lengths: int


@dataclass(frozen=True)
class Form:
    """How numbers of the structure are written: as in TIFF, or as in BigTIFF."""

    big: bool

    @property
    def word(self) -> str:
        """Of places in the file."""
        return "Q" if self.big else "I"

    @property
    def header(self) -> bytes:
        """The first bytes of a file, but for where the first directory lies."""
        return b"II+\0\x08\0\0\0" if self.big else b"II*\0"

    @property
    def count(self) -> str:
        """Of the tags of a directory."""
        return "Q" if self.big else "H"


def flat(directories: Sequence[Directory]) -> Iterator[Directory]:
    """Yield the directories in the order of the file: each before those below it."""
    for directory in directories:
        yield directory
        yield from directory.below


def front(directories: Sequence[Directory], form: Form) -> tuple[bytes, list[Tables]]:
    r"""Return the bytes of a file up to its first tile, and where the tables of each directory of ``flat`` lie.

    Examples
    --------
    >>> stored, tables = front([Directory({256: shorts(5)}, tiles=2)], Form(big=False))
    >>> stored[:4], len(stored), tables
    (b'II*\x00', 72, [Tables(places=56, lengths=64)])
    """
    inner = [*flat(directories)]
    starts, at = [], _aligned(len(form.header) + struct.calcsize(form.word))
    for directory in inner:
        starts.append(at)
        at += _length(directory, form)
    stored = bytearray(at)
    stored[: len(form.header)] = form.header
    struct.pack_into(f"<{form.word}", stored, len(form.header), starts[0])
    tables, number = [], 0
    for directory in directories:
        below = range(number + 1, number + 1 + len(directory.below))
        after = starts[below.stop] if below.stop < len(starts) else 0
        tables.append(_write(stored, directory, form, starts[number], [starts[i] for i in below], after))
        tables += [_write(stored, inner[i], form, starts[i], [], 0) for i in below]
        number = below.stop
    return bytes(stored), tables


def _values(directory: Directory, form: Form, below: Sequence[int]) -> dict[int, Value]:
    """Return all tags of a directory in the order of their codes; tables of tiles are empty."""
    word = struct.calcsize(form.word)
    values = dict(directory.tags)
    values[PLACES] = Value(LONG8 if form.big else LONG, directory.tiles, bytes(word * directory.tiles))
    values[LENGTHS] = Value(LONG, directory.tiles, bytes(4 * directory.tiles))
    if directory.below:
        places = struct.pack(f"<{len(below)}{form.word}", *below)
        values[BELOW] = Value(IFD8 if form.big else IFD, len(below), places)
    return dict(sorted(values.items()))


def _length(directory: Directory, form: Form) -> int:
    """Return the bytes of a directory with all that it points to."""
    values = _values(directory, form, [0] * len(directory.below)).values()
    word = struct.calcsize(form.word)
    outside = sum(_aligned(len(value.bytes)) for value in values if len(value.bytes) > word)
    return _aligned(struct.calcsize(f"<{form.count}") + len(values) * (4 + 2 * word) + word) + outside


def _write(stored: bytearray, directory: Directory, form: Form, start: int, below: Sequence[int], after: int) -> Tables:
    """Write a directory to *stored* from *start* on; return where its tables lie."""
    values = _values(directory, form, below)
    word, entry = struct.calcsize(form.word), struct.calcsize(f"<{form.count}") + start
    outside = _aligned(entry + len(values) * (4 + 2 * word) + word)
    struct.pack_into(f"<{form.count}", stored, start, len(values))
    places = {}
    for code, value in values.items():
        struct.pack_into(f"<HH{form.word}", stored, entry, code, value.type, value.count)
        places[code] = at = entry + 4 + word
        if len(value.bytes) > word:
            struct.pack_into(f"<{form.word}", stored, at, outside)
            places[code] = at = outside
            outside += _aligned(len(value.bytes))
        stored[at : at + len(value.bytes)] = value.bytes
        entry += 4 + 2 * word
    struct.pack_into(f"<{form.word}", stored, entry, after)
    return Tables(places[PLACES], places[LENGTHS])


def _aligned(at: int) -> int:
    return -(-at // ALIGNED) * ALIGNED
