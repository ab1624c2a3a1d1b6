"""What every source offers, and the rules that all of them share."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.quick import dataclass
from tileconv.retry import fix_for, retrying
from tileconv.stores import anywhere, steady
from tileconv.stores.anywhere import Place, Remote
from tileconv.stores.store import ChangedError, Facts

Pixels = NDArray[np.generic]
Window = tuple[slice, ...]
Fingerprint = dict[str, str | int]
Stamp = tuple[int, int] | Facts

CHUNK_LIMIT_BYTES = 2**30
"""The largest decoded chunk that is read: a header that declares more is refused before anything is allocated."""

MOST_PER_BYTE = 1032
"""Bytes of pixels that one byte of deflate holds at most, and more pixels than one of JPEG does."""

_UNREADABLE = {
    True: (
        "its metadata are incomplete or contradict each other",
        "If another program opens it, save it again from there; else it is damaged: copy it again.",
    ),
    False: ("its bytes cannot be decoded", "It is damaged: copy the file again."),
}
"""By whether a file is being opened: what a library's error means, and what to do."""

AXIS_LIMIT = 2**31 - 1
"""Pixels along one axis; what is longer is a lie, and would make lists of as many tiles."""

HEADER_BYTES = 65536
"""How much of the beginning of a file its digest covers."""
BLOCKS, BLOCK_BYTES = 64, 16384
"""Parts spread evenly over a file that its fingerprint covers too, from the first byte to the last: all of a file of up
to 1 MiB. Read in 2 ms from the system's cache, 1.1 MiB in all."""


@dataclass(frozen=True)
class Reads:
    """All the boxes that one pass reads of an image: every interval of one axis with every one of the others.

    Attributes
    ----------
    starts, stops
        Of the intervals along each axis of the image, in rising order.
    cache_bytes
        The most decoded bytes that may be kept in a process from one read to another.
    """

    starts: tuple[tuple[int, ...], ...]
    stops: tuple[tuple[int, ...], ...]
    cache_bytes: int

    def touching(self, window: Window) -> int:
        """Return how many of the boxes touch *window*, one slice per axis of the image.

        Examples
        --------
        >>> Reads(((0, 6), (0, 5, 9)), ((8, 10), (7, 11, 12)), 0).touching((slice(4, 8), slice(8, 12)))
        4
        """
        along = zip(window, self.starts, self.stops, strict=True)
        return prod(bisect_left(starts, s.stop) - bisect_right(stops, s.start) for s, starts, stops in along)


@runtime_checkable
class Source(Protocol):
    """An image whose windows can be read from any thread, and which pickles as a recipe without open files."""

    @property
    def info(self) -> ImageInfo:
        """Shape, axes (letters of ``tczyx`` in that order), type and storage layout."""

    @property
    def where(self) -> str:
        """Absolute path of the file, for messages and reports."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What tells whether the file is still the same wherever it lies: its size, and digests of parts of it."""

    @property
    def changed(self) -> int:
        """When the file was changed last, in ns since 1970, or 0 where nobody knows; no part of the fingerprint."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions that take part in reading the pixels, beside those that every run needs."""

    @property
    def cache_bytes(self) -> int:
        """The decoded bytes that reads keep in one process whatever is planned, beside the arrays that they return."""

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*, which lies inside the image, as a new C-contiguous array in native byte order.

        Where all of them are alike, or a mask leaves none, it may be one pixel that is repeated, a view without strides
        that may not be written to.

        Parameters
        ----------
        reads
            All the boxes that will be read, of which *box* is one: decoded chunks are kept for as long as another of
            them touches them. By default the ones used last are kept, up to ``DECODED_CACHE_BYTES``.

        Raises
        ------
        SourceError
            If the pixels cannot be had: the file is damaged, changed or lacks a chunk that must be there.
        """

    def check_stored(self) -> None:
        """Look at what is stored where this runs, which may be another machine than the one that opened it.

        Raises
        ------
        SourceError
            If it cannot be read, or is not what was opened.
        """

    def missing_chunks_total(self) -> tuple[int, int]:
        """Return how many stored chunks are missing, and how many there should be."""

    def acquired(self) -> str:
        """Return how the image was acquired, as ``acquisition.acquisition`` does; empty where nobody says it."""


def fingerprint_of(path: Place) -> Fingerprint:
    """Return ``size``, ``digest`` of the first 64 KiB and ``blocks``, the digest of 64 parts spread over a file.

    Of an object ``size`` and ``version``, which is another whenever it was written anew.
    """
    if isinstance(path, Remote) and (facts := _facts(path)).version:
        return {"size": facts.size, "version": facts.version}
    with reading(str(path), "opening"), anywhere.opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        header = hashlib.sha256(file.read(HEADER_BYTES))
        blocks = hashlib.sha256()
        for start in sorted({max(0, size - BLOCK_BYTES) * i // (BLOCKS - 1) for i in range(BLOCKS)}):
            file.seek(start)
            blocks.update(file.read(BLOCK_BYTES))
    return {"size": size, "digest": header.hexdigest()[:32], "blocks": blocks.hexdigest()[:32]}


def _facts(path: Remote) -> Facts:
    with reading(str(path), "reading"):
        facts = anywhere.facts_of(path)
    if facts is None:
        raise SourceError("no such object", where=str(path), fix="Check the URL.")
    return facts


def stamp_of(path: Place) -> Stamp:
    """Return size and time of change of a file, which one run holds it by: a file that is written to is not read on."""
    if isinstance(path, Remote):
        return _facts(path)
    with reading(str(path), "reading"):
        stat = retrying(path.stat)
    return stat.st_size, stat.st_mtime_ns


def version_of(stamp: Stamp) -> str:
    """Return the version by which an object is read; empty for a file."""
    return stamp.version if isinstance(stamp, Facts) else ""


def check_unchanged(path: Place, stamp: Stamp) -> None:
    """Raise SourceError when size or time of change of *path* differ from *stamp*."""
    if stamp_of(path) != stamp:
        raise _changed(str(path))


def check_as_opened(path: Place, stamp: Stamp) -> None:
    """Do as ``check_unchanged``, before a part is read; parts of an object are asked for by its version anyway."""
    if not version_of(stamp):
        check_unchanged(path, stamp)


def _changed(where: str) -> SourceError:
    return SourceError("the file changed after it was opened", where=where, fix="Start the run again.")


def check_same(now: Fingerprint, fingerprint: Fingerprint, where: str) -> None:
    """Raise SourceError when the fingerprint *now* is not the *fingerprint* of what was opened."""
    if now != fingerprint:
        fix = "Give the file that the run began with."
        raise SourceError("is another file than the one that was opened", where=where, fix=fix)


@contextmanager
def reading(where: str, doing: str) -> Iterator[None]:
    """Turn whatever a library raises inside into a SourceError that names the file and what was being done."""
    try:
        yield
    except MemoryError:
        raise
    except SourceError as error:
        error.where, error.fix = error.where or where, error.fix or _UNREADABLE[doing.startswith("opening")][1]
        raise
    except Exception as error:
        if isinstance(error, ChangedError):
            raise _changed(where) from error
        if isinstance(error, FileNotFoundError) and not steady.exists(where):
            raise SourceError("no such file", where=where, fix="Check the path.") from error
        if isinstance(error, OSError) and error.errno:
            found, fix = f"the system says: {error.strerror}", fix_for(error, "input")
        else:  # words of a library speak of its code, not of the file
            found, fix = _UNREADABLE[doing.startswith("opening")]
        raise SourceError(f"{doing} failed: {found}", where=where, fix=fix) from error


def check_decoded(part: str, size: int, held: int, most: int, where: str) -> None:
    """Refuse *part* when it decodes to *size* bytes, more than *most*; the file holds *held* bytes in all.

    Raises
    ------
    SourceError
        With what to do: a higher limit helps only where so many bytes can come of those that the file holds.
    """
    if size <= most:
        return
    problem = f"{part} decodes to {size:,} bytes, the limit is {most:,}"
    fix = f"Raise run.max_chunk to {size}, or write the image again in smaller tiles or chunks."
    if size > MOST_PER_BYTE * held:
        problem += f", and the file holds {held:,} bytes in all"
        fix = (
            "It is damaged or cut off: copy the file again. If it is whole, write it again in tiles where it was made."
        )
    raise SourceError(problem, where=where, fix=fix)


def pixel_type(dtype: np.dtype[np.generic] | None, where: str) -> np.dtype[np.generic]:
    """Return the type that a source hands out: native byte order, and uint8 for booleans.

    Raises
    ------
    SourceError
        If the pixels are not integers or floats of at most 64 bits.
    """
    if dtype is None or dtype.kind not in "buif" or dtype.itemsize > 8:
        problem = f"expected pixels that are integers or floats of at most 64 bits, found {dtype}"
        raise SourceError(problem, where=where, fix="Convert them first, for example to uint16 or float32.")
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def cells(window: Window, chunk: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Window, Window]]:
    """Yield every chunk that *window* touches: its index, the part of it, and where that part lies in the window.

    Examples
    --------
    >>> list(cells((slice(3, 9),), (4,)))[1]
    ((1,), (slice(0, 4, None),), (slice(1, 5, None),))
    """
    along = [[_cell(s, i, n) for i in range(s.start // n, -(-s.stop // n))] for s, n in zip(window, chunk, strict=True)]
    for cell in product(*along):
        index, part, place = zip(*cell, strict=True)
        yield index, part, place


def _cell(along: slice, index: int, chunk: int) -> tuple[int, slice, slice]:
    """Return what ``cells`` says of one axis."""
    origin = index * chunk
    start, stop = max(along.start, origin), min(along.stop, origin + chunk)
    return index, slice(start - origin, stop - origin), slice(start - along.start, stop - along.start)
