"""TIFF files as bytes that can be changed entry by entry; what a change may do to the pixels is told with it."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by TIFF's number of its type."""
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 65536)
NUMBERS += (2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
SEGMENT_COUNTS = (279, 325)
IDLE = (269, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 33432, 65000)
"""Tags that cannot concern pixels: names, dates, resolution, and one that nobody knows."""
KNOWN = (254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 297, 317, 320, 322, 323, 324, 325,
         330, 338, 339, 347, 512, 530, 32997, 32998, 33550, 33628, 34735, 42112, 42113, 50838, 50839, 51123,
         *IDLE)  # fmt: skip
CODECS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 32773, 32809, 32895, 32946, 33003, 34661, 34712, 34887, 34892, 34925, 34927, 50000,
          50001, 50002, 52546, 65535)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One entry of an IFD: where it stands in the file, and where its values do."""

    at: int
    code: int
    kind: int
    count: int
    values: int
    length: int


@dataclass(frozen=True)
class Page:
    """One IFD; ``pointer`` is where the offset of the next one stands."""

    at: int
    entries: tuple[Entry, ...]
    pointer: int


class Tiff:
    """The bytes of a TIFF file, with its IFDs as far as they can be followed."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = ">" if data[:2] == b"MM" else "<"
        self.big = data[2:4] in (b"+\0", b"\0+")
        self.word = 8 if self.big else 4
        self.row = 20 if self.big else 12
        self.head = "Q" if self.big else "H"
        self.pages = self._pages()

    def _pages(self) -> list[Page]:
        pages: list[Page] = []
        pointer = 8 if self.big else 4
        while len(pages) < 8 and (at := self.get(pointer, self.word)) and at not in [page.at for page in pages]:
            size = struct.calcsize("=" + self.head)
            count = self.get(at, size) or 0
            entries = [self._entry(at + size + self.row * i) for i in range(min(count, 64))]
            pointer = at + size + self.row * count
            if pointer + self.word > len(self.data):
                break
            pages.append(Page(at, tuple(e for e in entries if e), pointer))
        return [page for page in pages if page.entries]

    def _entry(self, at: int) -> Entry | None:
        if at + self.row > len(self.data):
            return None
        code, kind, count = self.get(at, 2), self.get(at + 2, 2), self.get(at + 4, self.word)
        length = SIZES.get(kind or 0, 1) * (count or 0)
        inside = at + 4 + self.word
        values = inside if length <= self.word else self.get(inside, self.word)
        return Entry(at, code or 0, kind or 0, count or 0, values or 0, length)

    def get(self, at: int, size: int) -> int | None:
        """Return the number of *size* bytes at *at*; None beyond the end."""
        part = self.data[at : at + size]
        return int.from_bytes(part, "little" if self.order == "<" else "big") if len(part) == size else None

    def put(self, at: int, number: int, size: int) -> None:
        """Write a number, as much of it as *size* bytes hold, where the file has them."""
        if at + size <= len(self.data):
            low = number % (1 << 8 * size)
            self.data[at : at + size] = low.to_bytes(size, "little" if self.order == "<" else "big")

    def entries(self) -> list[Entry]:
        """Return the entries of all pages."""
        return [entry for page in self.pages for entry in page.entries]

    def segments(self) -> list[tuple[int, int]]:
        """Return start and length of every strip and tile."""
        found: list[tuple[int, int]] = []
        for page in self.pages:
            tags = {e.code: e for e in page.entries}
            for offsets, counts in ((273, 279), (324, 325)):
                if offsets in tags and counts in tags:
                    found += zip(self.numbers(tags[offsets]), self.numbers(tags[counts]), strict=False)
        return [(a, n) for a, n in found if n]

    def whole(self) -> bool:
        """Return whether the file is as long as its tags say."""
        ends = [start + length for start, length in self.segments()]
        ends += [e.values + e.length for e in self.entries()] + [page.pointer + self.word for page in self.pages]
        return max(ends) <= len(self.data)

    def apart(self, at: int) -> bool:
        """Return whether the byte at *at* is of no IFD, no strip or tile, and no tag that may concern pixels."""
        taken = [(0, 16 if self.big else 8)]
        taken += [(page.at, page.pointer + self.word) for page in self.pages]
        taken += [(start, start + length) for start, length in self.segments()]
        taken += [(e.values, e.values + e.length) for e in self.entries() if e.code not in IDLE]
        return not any(start <= at < stop for start, stop in taken)

    def numbers(self, entry: Entry) -> list[int]:
        """Return the values of an entry, as whole numbers."""
        size = SIZES.get(entry.kind, 1)
        return [self.get(entry.values + size * i, size) or 0 for i in range(min(entry.count, 4096))]


def change(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    """Return *data* with one change, and whether that cannot concern the pixels: they are as before, or refused."""
    tiff = Tiff(data)
    if not tiff.pages:
        return _flipped(data, rng), False
    name = rng.choice(list(CHANGES))
    idle = CHANGES[name](tiff, rng)
    return bytes(tiff.data), bool(idle)


def _flipped(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data or b"\0")
    made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _number(tiff: Tiff, rng: random.Random) -> int:
    near = (len(tiff.data), len(tiff.data) - 1, tiff.pages[0].at, tiff.pages[-1].pointer, 8, 16)
    return rng.choice((rng.choice(NUMBERS), rng.choice(near), rng.randrange(len(tiff.data)), rng.randrange(1, 100)))


def _kind(tiff: Tiff, rng: random.Random) -> bool:
    entry = rng.choice(tiff.entries())
    tiff.put(entry.at + 2, rng.choice((*SIZES, 0, 14, 15, 99, 65535)), 2)
    return entry.code in IDLE


def _count(tiff: Tiff, rng: random.Random) -> bool:
    entry = rng.choice(tiff.entries())
    near = (entry.count + 1, max(0, entry.count - 1), entry.count * 2)
    tiff.put(entry.at + 4, rng.choice((_number(tiff, rng), *near)), tiff.word)
    return entry.code in IDLE


def _value(tiff: Tiff, rng: random.Random) -> bool:
    """Change one value; a byte count cannot concern the pixels, as long as it is told from none at all."""
    entry = rng.choice(tiff.entries())
    size = SIZES.get(entry.kind, 1)
    if not entry.count:
        return False
    at = entry.values + size * rng.randrange(min(entry.count, 4096))
    number = rng.choice(CODECS) if entry.code == 259 and rng.random() < 0.8 else _number(tiff, rng)
    old = tiff.get(at, size) or 0
    if rng.random() < 0.3:
        number = max(0, old + rng.choice((-1, 1, -16, 16)))
    idle = entry.code in IDLE and tiff.apart(at) and tiff.apart(at + size - 1)
    tiff.put(at, number, size)
    return idle or (entry.code in SEGMENT_COUNTS and old > 0)


def _code(tiff: Tiff, rng: random.Random) -> bool:
    entry = rng.choice(tiff.entries())
    tiff.put(entry.at, rng.choice((rng.choice(KNOWN), rng.randrange(65536))), 2)
    return False


def _offset(tiff: Tiff, rng: random.Random) -> bool:
    entry = rng.choice(tiff.entries())
    tiff.put(entry.at + 4 + tiff.word, _number(tiff, rng), tiff.word)
    return entry.code in IDLE


def _swap_entries(tiff: Tiff, rng: random.Random) -> bool:
    """Exchange two entries: what they say stays, the order that TIFF asks for is broken."""
    page = rng.choice(tiff.pages)
    if len(page.entries) < 2:
        return False
    one, other = rng.sample(page.entries, 2)
    first, second = (bytes(tiff.data[e.at : e.at + tiff.row]) for e in (one, other))
    tiff.data[one.at : one.at + tiff.row], tiff.data[other.at : other.at + tiff.row] = second, first
    return len({entry.code for entry in page.entries}) == len(page.entries)


def _swap_offsets(tiff: Tiff, rng: random.Random) -> bool:
    entry = rng.choice(tiff.entries())
    size = SIZES.get(entry.kind, 1)
    if entry.count > 1:
        one, other = (entry.values + size * rng.randrange(min(entry.count, 4096)) for _ in range(2))
        first, second = tiff.get(one, size) or 0, tiff.get(other, size) or 0
        idle = entry.code in IDLE and all(tiff.apart(at) for at in (one, one + size - 1, other, other + size - 1))
        tiff.put(one, second, size)
        tiff.put(other, first, size)
        return idle
    return True


def _duplicate(tiff: Tiff, rng: random.Random) -> bool:
    """Put an entry over another one, so that the one is there twice and the other is gone."""
    page = rng.choice(tiff.pages)
    one, other = rng.choice(page.entries), rng.choice(page.entries)
    tiff.data[other.at : other.at + tiff.row] = tiff.data[one.at : one.at + tiff.row]
    return other.code in IDLE


def _remove(tiff: Tiff, rng: random.Random) -> bool:
    """Turn an entry into one that nobody knows."""
    entry = rng.choice(tiff.entries())
    tiff.put(entry.at, 65001, 2)
    return entry.code in IDLE


def _number_of_entries(tiff: Tiff, rng: random.Random) -> bool:
    page = rng.choice(tiff.pages)
    near = (len(page.entries) - 1, len(page.entries) + 1, 0)
    tiff.put(page.at, rng.choice((*near, _number(tiff, rng))), struct.calcsize("=" + tiff.head))
    return False


def _next(tiff: Tiff, rng: random.Random) -> bool:
    """Change where a page says that the next one is: itself, an earlier one, anywhere."""
    page = rng.choice(tiff.pages)
    to = rng.choice((page.at, tiff.pages[0].at, tiff.pages[-1].at, 0, _number(tiff, rng)))
    tiff.put(rng.choice((page.pointer, 8 if tiff.big else 4)), to, tiff.word)
    return False


def _cut(tiff: Tiff, rng: random.Random) -> bool:
    """Cut the end off: what can still be read was there before."""
    del tiff.data[rng.randrange(len(tiff.data)) :]
    return True


def _append(tiff: Tiff, rng: random.Random) -> bool:
    whole = tiff.whole()  # what was cut off must not be made up for
    tiff.data += rng.randbytes(rng.choice((1, 7, 64, 4096)))
    return whole


def _text(tiff: Tiff, rng: random.Random) -> bool:
    """Change some bytes of a text: OME-XML, ImageJ's and GDAL's notes, or a name."""
    texts = [e for e in tiff.entries() if e.kind in (1, 2, 7) and e.length > 2]
    if not texts:
        return False
    entry, idle = rng.choice(texts), True
    for _ in range(rng.choice((1, 1, 3, 8))):
        at = entry.values + rng.randrange(entry.length)
        if at < len(tiff.data):
            idle = idle and tiff.apart(at)
            tiff.data[at] = rng.choice((rng.randrange(256), *b"09<>&\"'=/-\0\n ;"))
    return idle


def _digits(tiff: Tiff, rng: random.Random) -> bool:
    """Replace a number in a text by another of as many digits."""
    texts = [e for e in tiff.entries() if e.kind == 2 and e.length > 8]
    if not texts:
        return False
    entry = rng.choice(texts)
    part = tiff.data[entry.values : entry.values + entry.length]
    digits = [i for i, c in enumerate(part) if 48 <= c < 58]
    idle = all(tiff.apart(entry.values + i) for i in digits)
    for i in rng.sample(digits, min(len(digits), rng.choice((1, 1, 2, 4)))):
        tiff.data[entry.values + i] = rng.choice(b"0123456789-")
    return idle


def _segment(tiff: Tiff, rng: random.Random) -> bool:
    """Flip bits of a strip or tile."""
    found = [(start, length) for start, length in tiff.segments() if start + length <= len(tiff.data)]
    if found:
        start, length = rng.choice(found)
        for _ in range(rng.choice((1, 1, 4))):
            tiff.data[start + rng.randrange(length)] ^= 1 << rng.randrange(8)
    return False


def _anywhere(tiff: Tiff, rng: random.Random) -> bool:
    tiff.data[:] = _flipped(bytes(tiff.data), rng)
    return False


CHANGES = {
    "kind": _kind,
    "count": _count,
    "value": _value,
    "another value": _value,
    "code": _code,
    "offset": _offset,
    "swap entries": _swap_entries,
    "swap offsets": _swap_offsets,
    "duplicate": _duplicate,
    "remove": _remove,
    "number of entries": _number_of_entries,
    "next": _next,
    "cut": _cut,
    "append": _append,
    "text": _text,
    "digits": _digits,
    "segment": _segment,
    "anywhere": _anywhere,
}
