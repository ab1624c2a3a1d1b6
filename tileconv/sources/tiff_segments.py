"""Segments of an open TIFF file, by their offsets: rows of plain ones, others decoded whole, from any thread."""

from __future__ import annotations

import os
import weakref
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from tileconv.errors import SourceError
from tileconv.retry import retrying
from tileconv.sources.cache import alike
from tileconv.sources.colours import place
from tileconv.sources.source import Pixels, Window, reading
from tileconv.sources.tiff_guard import check_segment
from tileconv.sources.tiff_layout import Layout
from tileconv.stores import steady
from tileconv.stores.ahead import Ahead, Part
from tileconv.stores.anywhere import Remote

CALL_BYTES = 2**14
"""Bytes that are read in vain rather than make another call of the system."""
TRIED = 3
"""Segments, spread over the image, of which one must decode when the file is opened."""
BAND_BYTES = 2**20
"""Bytes of uncompressed rows that are read at once, so that a read needs little memory beside its result."""


class Segments:
    """A file descriptor, closed when the last reader lets go, and the layout of what lies behind it."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout, self.where = layout, str(path)
        self.token: object = object()
        self._packed, self._stored = layout.bits not in (8, 16, 32, 64), np.dtype(layout.byteorder + layout.dtype.char)
        self.descriptor = steady.open_to_read(path)
        weakref.finalize(self, os.close, self.descriptor)

    def read_rows(self, page: int, index: int, part: Window, out: Pixels) -> None:
        """Fill *out* with a part of a plain segment; only the bytes of its rows are read, and of its columns if few."""
        layout, (rows, columns, samples), row_bytes = self.layout, part, self.layout.row_bytes
        _, _, across, colours = layout.segment
        start, length, band = 0, row_bytes, BAND_BYTES // row_bytes or 1
        if row_bytes > CALL_BYTES and not self._packed:
            per_pixel, wide = layout.bits // 8 * colours, columns.stop - columns.start
            if row_bytes - wide * per_pixel >= CALL_BYTES:
                start, length, band, across = columns.start * per_pixel, wide * per_pixel, 1, wide
                columns = slice(0, wide)
        begin = int(layout.offsets[page, index]) + start
        for row in range(rows.start, rows.stop, band):
            count, done = min(band, rows.stop - row), row - rows.start
            data: Any = self._bytes(count * length, begin + row * row_bytes, page, index)
            if self._packed:
                data = imagecodecs.packints_decode(data, self._stored, layout.bits, runlen=across * colours)
            pixels: Pixels = np.ndarray((count, across, colours), self._stored, data)
            place(pixels, (slice(0, count), columns, samples), out[done : done + count])

    def decode(self, page: int, index: int) -> Pixels:
        """Return one segment, decoded; SourceError if it is damaged."""
        layout = self.layout
        count, offset = int(layout.counts[page, index]), int(layout.offsets[page, index])
        data = self._bytes(count, offset, page, index)
        if layout.ends not in data[-64:]:
            raise self.damaged(page, index, "its end is cut off")
        if not (layout.tiled and self.token):
            return self._decoded(data, page, index)
        size = prod(layout.segment) * layout.dtype.itemsize
        return alike(data, (self.token, page), size, lambda: self._decoded(data, page, index))

    def _decoded(self, data: bytes, page: int, index: int) -> Pixels:
        layout = self.layout
        tables = layout.tables[page]
        try:
            if layout.header is None:
                check_segment(data, layout.segment)
            segment = layout.decode(data, index, jpegtables=tables, jpegheader=layout.header)[0]
        except SourceError as error:
            raise self.damaged(page, index, error.problem) from error
        except Exception as error:
            raise self.damaged(page, index, "its bytes cannot be decoded") from error
        kind = getattr(segment, "dtype", None)
        bits = layout.dtype.kind == "b" and kind == np.uint8  # as decoders of fax hand them out
        if not isinstance(segment, np.ndarray) or segment.ndim != 4 or (kind != layout.dtype and not bits):
            raise self.damaged(page, index, f"expected {layout.dtype}, decoded to {kind}")
        segment.flags.writeable = False
        return segment

    def try_some(self) -> None:
        """Decode one segment, so that what no decoder here reads is refused before a run; others if it is damaged."""
        present = ~self.layout.missing
        spread = np.linspace(0, present.size - 1, TRIED).astype(int)
        errors = []
        for number in dict.fromkeys(int(n) for n in (*spread, present.argmax()) if present.flat[n]):
            try:
                self.decode(*divmod(number, present.shape[1]))
            except SourceError as error:
                errors.append(error.problem)
            else:
                return
        raise SourceError(
            f"{self.layout.codec} cannot be read: {errors[0]}",
            where=self.where,
            fix="The file is damaged, or of a variant that is not supported: write it again with another program.",
        )

    def _bytes(self, count: int, offset: int, page: int, index: int) -> bytes:
        """Return exactly *count* bytes; one call of the system may return fewer."""
        try:
            data = os.pread(self.descriptor, count, offset)
        except OSError:  # it may pass, and is tried again
            data = b""
        if len(data) == count:
            return data
        parts: list[bytes] = []
        while count:
            with reading(self.where, f"reading page {page}, segment {index},"):
                part = retrying(partial(os.pread, self.descriptor, min(count, 2**30), offset))
            if not part:
                raise self.damaged(page, index, f"the file ends {count} bytes too soon")
            parts.append(part)
            count, offset = count - len(part), offset + len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def damaged(self, page: int, index: int, fault: str) -> SourceError:
        """Return the error of a segment of which *fault* is wrong."""
        return SourceError(
            f"page {page}, segment {index} cannot be read: {fault}",
            where=self.where,
            fix="It is damaged: copy the file again.",
        )


class Fetched(Segments):
    """Segments of an object of a store, of the *version* that was opened; what is *ahead* comes from there."""

    def __init__(self, place: Remote, layout: Layout, version: str, ahead: Ahead | None = None) -> None:
        self.layout, self.where, self.token = layout, str(place), None
        self.place, self.version, self.ahead = place, version, ahead

    def after(self, ahead: Ahead) -> Fetched:
        """Return the same segments, those that are *ahead* from there."""
        return Fetched(self.place, self.layout, self.version, ahead)

    def part(self, page: int, index: int) -> Part:
        """Return where a segment lies."""
        start = int(self.layout.offsets[page, index])
        return Part(self.place, start, start + int(self.layout.counts[page, index]), self.version)

    def _bytes(self, count: int, offset: int, page: int, index: int) -> bytes:
        part = Part(self.place, offset, offset + count, self.version)
        with reading(self.where, f"reading page {page}, segment {index},"):
            data = self.ahead.read(part) if self.ahead else part.read()
        if len(data) < count:
            raise self.damaged(page, index, f"the file ends {count - len(data)} bytes too soon")
        if self.ahead:
            self.ahead.done(part)
        return data
