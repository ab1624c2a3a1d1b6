"""Files and folders as the system gives them: every call that fails in a way that may pass is tried again by itself.

All that a run reads and writes goes through here: input, pipeline, kernels, output, record. What does not exist is an
answer; a system that cannot tell is an error, never an answer.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from tileconv.retry import retrying

Piece = bytes | bytearray | memoryview
Pieces = Sequence[Piece]
PIECE = 2**20
"""Bytes by which a file is read whose size nobody stated."""
_UNCACHED, SMALL = 0x80, 2**16
"""``RWF_DONTCACHE`` of Linux 6.14, for which Python has no name, and the bytes from which on it pays."""
_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What the system says of a path at which nothing lies."""
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK"))
"""Without blocking: a pipe that lies in the place of a file is not waited for."""


def stat_of(path: Path | str, *, follow: bool = True) -> os.stat_result | None:
    """Return what the system knows of *path*, of a link itself where not *follow*; None if nothing lies there."""
    try:
        return retrying(partial(os.stat, path, follow_symlinks=follow))
    except ValueError:  # a name with a zero byte
        return None
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise


def exists(path: Path | str) -> bool:
    """Return whether anything lies at *path*, links followed."""
    return stat_of(path) is not None


def is_file(path: Path | str) -> bool:
    """Return whether *path* is a plain file, links followed."""
    return (found := stat_of(path)) is not None and stat.S_ISREG(found.st_mode)


def is_folder(path: Path | str) -> bool:
    """Return whether *path* is a folder, links followed."""
    return (found := stat_of(path)) is not None and stat.S_ISDIR(found.st_mode)


def is_link(path: Path | str) -> bool:
    """Return whether *path* itself is a link, to whatever."""
    return (found := stat_of(path, follow=False)) is not None and stat.S_ISLNK(found.st_mode)


def resolve(path: Path) -> Path:
    """Return *path* absolute and without links, and the rest of it as it is from where nothing exists.

    Raises
    ------
    OSError
        If links run in a circle, or the system cannot tell.
    """
    path = path.absolute()
    try:
        return Path(retrying(partial(os.path.realpath, path, strict=True)))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR) or path.parent == path:
            raise
    if is_link(path):
        return resolve(path.parent / retrying(partial(os.readlink, path)))
    return resolve(path.parent).parent if path.name == ".." else resolve(path.parent) / path.name


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return what lies in *folder*, in any order."""

    def listed() -> list[os.DirEntry[str]]:
        with os.scandir(folder) as found:
            return list(found)

    return retrying(listed)


def walk(folder: Path | str) -> Iterator[Path]:
    """Yield every file and every link below *folder*, no link followed; nothing where there is no folder."""
    if not is_folder(folder):
        return
    for entry in entries(folder):
        if retrying(partial(entry.is_dir, follow_symlinks=False)):
            yield from walk(entry.path)
        else:
            yield Path(entry.path)


class _Steady(io.FileIO):
    """A file that is read, each call of the system by itself."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # buffers come as views
        return retrying(partial(super().readinto, buffer)) or 0

    def read(self, size: int | None = -1) -> bytes:
        return self.readall() if size is None or size < 0 else retrying(partial(super().read, size)) or b""

    def readall(self) -> bytes:
        return b"".join(iter(partial(self.read, PIECE), b""))


def opened(path: Path | str) -> io.BufferedReader:
    """Return *path* opened for reading, as a file for any library: no call of it fails in a way that may pass."""
    return io.BufferedReader(_steady(path))


def _steady(path: Path | str) -> _Steady:
    return _Steady(str(path), opener=lambda name, _: open_descriptor(name, _READ))


def open_descriptor(path: Path | str, flags: int) -> int:
    """Return a descriptor of *path*; *flags* must be such that opening may be repeated."""
    return retrying(partial(os.open, path, flags, 0o666))


def open_to_read(path: Path | str) -> int:
    """Return a descriptor of *path* to read from."""
    return open_descriptor(path, _READ)


def read_bytes(path: Path | str) -> bytes:
    """Return all bytes of *path*."""
    with _steady(path) as file:
        first = file.read(retrying(partial(os.fstat, file.fileno())).st_size + 1)
        return first + file.readall()


def content(path: Path | str) -> bytes | None:
    """Return all bytes of *path*; None if no plain file lies there."""
    try:
        return read_bytes(path) if is_file(path) else None
    except FileNotFoundError:  # gone in between
        return None


def make_folder(path: Path | str) -> None:
    """Make *path*, and the folders that it lies in; one that is there is no matter."""
    try:
        _make_one(path)
    except FileNotFoundError:
        above = os.path.dirname(path)  # noqa: PTH120  paths of chunks are texts
        if above == str(path):
            raise
        make_folder(above)
        _make_one(path)


def _make_one(path: Path | str) -> None:
    try:
        retrying(partial(os.mkdir, path))
    except FileNotFoundError:
        raise
    except OSError:
        if not is_folder(path):
            raise


def rename(path: Path | str, target: Path | str) -> None:
    """Move *path* to *target*, over what lies there; one that was done before it failed is done."""
    failed = False

    def once() -> None:
        nonlocal failed
        try:
            os.replace(path, target)  # noqa: PTH105  paths of chunks are texts
        except FileNotFoundError:
            if not failed:
                raise
        except OSError:
            failed = True
            raise

    retrying(once)


def unlink(path: Path | str) -> None:
    """Delete a file or a link; one that is gone is no matter."""
    with suppress(FileNotFoundError):
        retrying(partial(os.unlink, path))


def remove(path: Path | str) -> None:
    """Delete a file, a link, or a folder with all that is in it; what is gone already is no matter."""
    if is_link(path) or not is_folder(path):
        unlink(path)
        return
    for entry in entries(path):
        remove(entry.path)
    with suppress(FileNotFoundError):
        retrying(partial(os.rmdir, path))


TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
"""Names of files that are written before they stand in their place."""
_PROCESS, _NUMBERS = os.urandom(6).hex(), count()


def temporary_name(path: Path) -> Path:
    """Return a name beside *path* that no other file has."""
    return path.with_name(_temporary(path.name))


def _temporary(name: str) -> str:
    """Return a name like *name* that no other file has: of this process, of no fork of it, of this call."""
    return f".{name}.{_PROCESS}{os.getpid():08x}{next(_NUMBERS):012x}.partial"


def replace(path: Path | str, parts: Iterable[Pieces], *, staging: Path | None = None, uncached: bool = False) -> None:
    """Put a file of *parts* in the place of *path* in one step, or leave nothing; folders are made as needed.

    Parameters
    ----------
    parts
        Bytes in pieces; each part is written as soon as it comes, at once. The first is not asked for before there is
        a file.
    staging
        A folder on the same disk in which the file is written, else beside *path*; FileNotFoundError once it is gone.
    uncached
        The system need not keep parts of ``SMALL`` bytes and more once they are on the disk, so that a result larger
        than memory drives nothing else out of it.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(staging or folder, _temporary(name))  # noqa: PTH118  paths of chunks are texts
    try:
        try:
            _write_new(temporary, parts, uncached=uncached)
        except FileNotFoundError:
            if staging is not None:
                raise
            make_folder(folder)
            _write_new(temporary, parts, uncached=uncached)
        try:
            rename(temporary, path)
        except FileNotFoundError:
            if not exists(temporary):
                raise
            make_folder(folder)
            rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            unlink(temporary)
        raise


def create(path: Path, data: Piece) -> bool:
    """Put a file of *data* where nothing lies, whole at once; return whether nothing lay there."""
    temporary = temporary_name(path)
    make_folder(path.parent)
    try:
        _write_new(temporary, [[data]], uncached=False)
        with suppress(FileExistsError):  # perhaps of this same file: a call that was done before it failed
            retrying(partial(os.link, temporary, path))
        ours, there = stat_of(temporary), stat_of(path, follow=False)
        return ours is not None and there is not None and os.path.samestat(ours, there)
    finally:
        unlink(temporary)


def _write_new(path: Path | str, parts: Iterable[Pieces], *, uncached: bool) -> None:
    """Write a file from its start; by place, so that a write that ended in its middle may be repeated."""
    # made anew and not exclusively: an opening that was done before it failed must be repeatable
    descriptor = open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        at = 0
        for pieces in parts:
            size = sum(map(len, pieces))
            with suppress(AttributeError, NotImplementedError, OSError):  # no such call, or flag; or what may pass
                if os.pwritev(descriptor, pieces, at, _UNCACHED * (uncached and size >= SMALL)) == size:
                    at += size
                    continue
            for piece in pieces:
                at = write_at(descriptor, piece, at)
    finally:
        os.close(descriptor)


def write_at(descriptor: int, piece: Piece, at: int) -> int:
    """Write all of *piece* from byte *at* on, and return where it ends."""
    rest = memoryview(piece)
    while rest:
        count = retrying(partial(os.pwrite, descriptor, rest, at))
        rest, at = rest[count:], at + count
    return at
