"""Files and folders to read, of this machine or of a store: a ``Path`` names the former, a ``Remote`` the latter.

Of a Path each function asks the system, through ``steady``; of a Remote its store.
"""

from __future__ import annotations

import errno
import io
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import BinaryIO

from tileconv.quick import dataclass
from tileconv.stores import steady
from tileconv.stores.location import Location
from tileconv.stores.store import Facts, Store

BLOCK_BYTES = 2**14
"""Bytes by which an object is read as a file: what is read of it is tags and headers here and there."""
BLOCKS = 1024
"""Blocks of an object that are kept while it is read as a file."""
WHOLE_BYTES = 2**30
"""The largest object that is read whole: a picture, or metadata."""


@dataclass(frozen=True)
class Remote:
    """An object under *key* of *store*, or what lies below that key; what names one is named as of a Path."""

    store: Store
    key: str = ""

    def __str__(self) -> str:
        return self.store.where(self.key)

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.store, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """Its last name."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """That of its name, of ``.ome.tif`` the last part."""
        return PurePosixPath(self.key).suffix

    @property
    def suffixes(self) -> list[str]:
        """All parts of its suffix."""
        return PurePosixPath(self.key).suffixes

    @property
    def parent(self) -> Remote:
        """What it lies in, up to the store itself."""
        return Remote(self.store, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> Remote:
        """Return what lies beside it under another *name*."""
        return self.parent / name

    def relative_to(self, folder: Remote) -> PurePosixPath:
        """Return its key from *folder* on."""
        return PurePosixPath(self.key).relative_to(folder.key)


Place = Path | Remote


def place_of(location: Location) -> Place:
    """Return what names the place *location* here: its path, or its key in the store of what it lies in."""
    return Remote(location.parent.store(), location.name) if location.scheme else location.local


def facts_of(place: Place) -> Facts | None:
    """Return size, version and time of change of an object or a file; None where there is none."""
    if isinstance(place, Remote):
        return place.store.stat(place.key)
    found = steady.stat_of(place)
    return None if found is None else Facts(found.st_size, str(found.st_ino), found.st_mtime_ns)


def is_file(place: Place) -> bool:
    """Return whether *place* is a plain file, or an object."""
    return place.store.stat(place.key) is not None if isinstance(place, Remote) else steady.is_file(place)


def is_there(place: Place) -> bool:
    """Return whether *place* is a file, or an object that may be read.

    A store that must not tell what it holds refuses what is not there, as what must not be read.
    """
    try:
        return is_file(place)
    except PermissionError:
        if isinstance(place, Remote):
            return False
        raise


def is_folder(place: Place) -> bool:
    """Return whether *place* is a folder; of a store, whether it tells of anything below the key."""
    return bool(_first(place)) if isinstance(place, Remote) else steady.is_folder(place)


def _first(place: Remote) -> str | None:
    """Return a key that lies below *place*, empty if none does; None of a store that does not list what it holds."""
    try:
        return next(iter(place.store.list(f"{place.key}/" * bool(place.key))), "")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    return None


def is_link(place: Place) -> bool:
    """Return whether *place* itself is a link, which stores do not have."""
    return not isinstance(place, Remote) and steady.is_link(place)


def exists(place: Place) -> bool:
    """Return whether anything lies at *place*."""
    return is_file(place) or is_folder(place) if isinstance(place, Remote) else steady.exists(place)


def lists(place: Remote) -> bool:
    """Return whether its store tells what lies below *place*; a server of single files does not."""
    return _first(place) is not None


def names(place: Place) -> Sequence[str]:
    """Return what lies directly in a folder, in any order."""
    if isinstance(place, Remote):
        return [name.rstrip("/") for name in place.store.names(f"{place.key}/" * bool(place.key))]
    return [entry.name for entry in steady.entries(place)]


def resolve(place: Place) -> Place:
    """Return *place* by its one name: links are followed, and ``..`` is taken out."""
    return Remote(place.store, normpath(place.key)) if isinstance(place, Remote) else steady.resolve(place)


def within(place: Place, folder: Place) -> bool:
    """Return whether *place* lies in *folder*, links followed and ``..`` taken out."""
    one, other = resolve(place), resolve(folder)
    if isinstance(one, Path) and isinstance(other, Path):
        return one.is_relative_to(other)
    return f"{one}/".startswith(f"{other}/")


def read_bytes(place: Place, version: str = "") -> bytes:
    """Return all bytes of a file or an object, of its *version* where one is given; OSError as of ``Store.read``."""
    if isinstance(place, Remote):
        data = place.store.read(place.key, 0, WHOLE_BYTES + 1, version)
        if len(data) > WHOLE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return data
    return steady.read_bytes(place)


def content(place: Place) -> bytes | None:
    """Return all bytes; None if no file or object lies there, or none that ``is_there`` knows."""
    if not isinstance(place, Remote):
        return steady.content(place)
    try:
        return read_bytes(place)
    except (FileNotFoundError, PermissionError):
        return None


def opened(place: Place, version: str = "") -> BinaryIO:
    """Return a file or an object opened for reading, as a file for any library; the latter of its *version* alone."""
    return (
        io.BufferedReader(_Blocks(place, version), BLOCK_BYTES) if isinstance(place, Remote) else steady.opened(place)
    )


class _Blocks(io.RawIOBase):
    """An object as a file: read by blocks, those that are lacking in one request, and the last of them kept."""

    def __init__(self, place: Remote, version: str) -> None:
        facts = place.store.stat(place.key)
        if facts is None:
            raise FileNotFoundError(str(place))
        self._place, self._size, self._version, self._at = place, facts.size, version or facts.version, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError("a place before the first byte")
        self._at = at
        return at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # buffers come as views
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        first, last = self._at // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        last = min(last, first + BLOCKS - 1)
        stop = min(stop, (last + 1) * BLOCK_BYTES)
        self._fetch(first, last)
        data = b"".join(self._blocks[n] for n in range(first, last + 1))
        part = data[self._at - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _fetch(self, first: int, last: int) -> None:
        """Have the blocks from *first* to *last*, in one request what lies between the lacking ones."""
        lacking = [n for n in range(first, last + 1) if n not in self._blocks]
        if lacking:
            start, stop = lacking[0] * BLOCK_BYTES, min((lacking[-1] + 1) * BLOCK_BYTES, self._size)
            data = self._place.store.read(self._place.key, start, stop, self._version)
            if len(data) != stop - start:
                raise OSError(f"{len(data)} bytes came of {stop - start}")
            for n in range(lacking[0], lacking[-1] + 1):
                self._blocks[n] = data[n * BLOCK_BYTES - start :][:BLOCK_BYTES]
        for n in range(first, last + 1):
            self._blocks.move_to_end(n)
        while len(self._blocks) > max(BLOCKS, last + 1 - first):
            self._blocks.popitem(last=False)
