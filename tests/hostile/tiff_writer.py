"""A writer of TIFF files that may be wrong anywhere: every tag, count, offset and pointer is the test's to choose."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import product

import numpy as np

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SLONG, DOUBLE, IFD, LONG8 = 1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16
LETTERS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", SBYTE: "b", SLONG: "i", DOUBLE: "d", IFD: "I", LONG8: "Q"}
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS, SUB_IFDS, EXTRA, FORMAT = 322, 323, 324, 325, 330, 338, 339
TABLES, SUBSAMPLING, NODATA = 347, 530, 42113


@dataclass
class Tag:
    """Values of one tag, whose type and count may lie; *offset* replaces the place where the values are said to be."""

    kind: int
    values: tuple | bytes
    count: int | None = None
    offset: int | None = None

    def packed(self, order):
        if isinstance(self.values, bytes):
            return self.values
        return struct.pack(f"{order}{len(self.values)}{LETTERS[self.kind]}", *self.values)

    def size(self):
        each = 1 if isinstance(self.values, bytes) else struct.calcsize(f"={LETTERS[self.kind]}")
        return each * len(self.values)

    def counted(self):
        return len(self.values) // (2 if self.kind == RATIONAL else 1) if self.count is None else self.count


def tag(kind, *values, count=None, offset=None):
    return Tag(kind, values, count, offset)


def text(words, count=None):
    return Tag(ASCII, words.encode() + b"\0", count)


@dataclass
class File:
    """Segments behind the header, then one IFD after another; ``pointers`` replace what an IFD says of the next.

    ``tail`` holds the IFDs that only SubIFD tags reach. Pointers are ``("ifd", number)`` or plain offsets.
    """

    big: bool = False
    order: str = "<"
    pages: list = field(default_factory=list)
    pointers: dict = field(default_factory=dict)
    first: object = ("ifd", 0)
    magic: int | None = None
    entries: dict = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)

    def add(self, segment):
        """Append bytes behind the header; return their offset."""
        at = 16 + len(self.data)
        self.data += segment + b"\0" * (len(segment) % 2)
        return at

    def starts(self):
        """Return where every IFD begins, and where the last one ends."""
        at, found = 16 + len(self.data), []
        for page in self.pages:
            found.append(at)
            at += self.head + self.row * len(page) + self.word
            at += sum(-(-one.size() // 8) * 8 for _, one in page)
        return [*found, at]

    word = property(lambda self: 8 if self.big else 4)
    head = property(lambda self: 8 if self.big else 2)
    row = property(lambda self: 20 if self.big else 12)

    def __bytes__(self):
        letter, order = "Q" if self.big else "I", self.order
        starts = self.starts()

        def resolve(pointer):
            return starts[pointer[1]] if isinstance(pointer, tuple) else pointer

        magic = self.magic if self.magic is not None else 43 if self.big else 42
        made = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "H", magic))
        made += struct.pack(order + "HHQ", 8, 0, resolve(self.first)) if self.big else b""
        made += b"" if self.big else struct.pack(order + "IQ", resolve(self.first), 0)
        made += self.data
        for number, page in enumerate(self.pages):
            made += struct.pack(order + ("Q" if self.big else "H"), self.entries.get(number, len(page)))
            beyond = len(made) + self.row * len(page) + self.word
            values = b""
            for code, one in page:
                wanted = tuple(map(resolve, one.values)) if not isinstance(one.values, bytes) else one.values
                body = Tag(one.kind, wanted).packed(order)
                made += struct.pack(f"{order}HH{letter}", code, one.kind, one.counted())
                if one.offset is not None:
                    made += struct.pack(order + letter, one.offset)
                elif len(body) <= self.word:
                    made += body.ljust(self.word, b"\0")
                else:
                    made += struct.pack(order + letter, beyond + len(values))
                values += body.ljust(-(-len(body) // 8) * 8, b"\0")
            following = ("ifd", number + 1) if number + 1 < len(self.pages) else 0
            made += struct.pack(order + letter, resolve(self.pointers.get(number, following))) + values
        return bytes(made)


def noise(shape, dtype, seed=0):
    """Return pixels of which none is 0, so that an invented zero is seen."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(max(1, limits.min), limits.max, shape, dtype)


def page(file, image, *, tile=(16, 16), rows=None, encode=bytes, compression=1, **more):
    """Add the segments of *image*, rows by columns (by samples), to *file*; return the tags of its page as a dict."""
    stored = np.ascontiguousarray(image, image.dtype.newbyteorder(file.order))
    height, width, samples = (*image.shape, 1)[:3]
    place = LONG8 if file.big else LONG
    tall, wide = (rows or height, width) if tile is None else tile
    offsets, counts = [], []
    for top, left in product(range(0, height, tall), range(0, width, wide)):
        part = stored[top : top + tall, left : left + wide]
        if tile is not None:
            room = [(0, n - m) for n, m in zip(tile, part.shape, strict=False)] + [(0, 0)] * (part.ndim - 2)
            part = np.pad(part, room)
        segment = encode(np.ascontiguousarray(part).tobytes())
        offsets.append(file.add(segment))
        counts.append(len(segment))
    layout = {
        STRIP_OFFSETS if tile is None else TILE_OFFSETS: tag(place, *offsets),
        STRIP_COUNTS if tile is None else TILE_COUNTS: tag(place, *counts),
    }
    layout |= {ROWS: tag(LONG, tall)} if tile is None else {TILE_WIDTH: tag(SHORT, wide), TILE_LENGTH: tag(SHORT, tall)}
    return {
        WIDTH: tag(LONG, width),
        LENGTH: tag(LONG, height),
        BITS: tag(SHORT, *[8 * image.dtype.itemsize] * samples),
        COMPRESSION: tag(SHORT, compression),
        PHOTOMETRIC: tag(SHORT, 2 if samples == 3 else 1),
        SAMPLES: tag(SHORT, samples),
        FORMAT: tag(SHORT, *[{"u": 1, "i": 2, "f": 3}[image.dtype.kind]] * samples),
        **layout,
        **more,
    }


def listed(tags):
    """Return the tags of a page in the order that TIFF asks for; those that are None are left out."""
    return sorted(((code, one) for code, one in tags.items() if one is not None), key=lambda item: item[0])
