"""Output paths: what may be replaced, room on the disk, and errors of the file system in words of ours."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.retry import retrying

_FIXES = {
    errno.ENOSPC: "Free some disk space, or choose an output path on another disk.",
    errno.EDQUOT: "Your quota on this disk is used up: free some of it, or choose another output path.",
    errno.EACCES: "Check the permissions of the folder, or choose another output path.",
    errno.EPERM: "Check the permissions of the folder, or choose another output path.",
    errno.EROFS: "The file system is read-only: choose another output path.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or lower run.workers.",
}


_UNCACHED = 0x80
"""``RWF_DONTCACHE`` of Linux 6.14, for which Python has no name."""


@contextmanager
def sink_errors(path: Path) -> Iterator[None]:
    """Turn every error of the file system inside the block into a SinkError that names *path* and what to do."""
    try:
        yield
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "Check the output path and the disk.")
        raise SinkError(f"cannot write: {error.strerror or error}", where=str(path), fix=fix) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside *path*; afterwards it stands at *path*, or nothing is left if the block failed.

    Raises
    ------
    SinkError
        If the file system refuses.
    """
    with sink_errors(path):
        if not path.parent.is_dir():
            retrying(partial(path.parent.mkdir, parents=True, exist_ok=True))
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:
            remove(temporary)
            raise


def write_uncached(file: BinaryIO, pieces: Sequence[bytes | memoryview]) -> None:
    """Write *pieces* to a new *file*; the system need not keep them in memory once they are on the disk.

    A result larger than memory then drives nothing else out of it, neither the input nor what other programs read.
    Where the system knows no such writing, or it ends early, all pieces are written in the ordinary way.
    """
    with suppress(NotImplementedError, OSError):
        if os.pwritev(file.fileno(), pieces, 0, _UNCACHED) == sum(map(len, pieces)):
            return
    file.writelines(pieces)


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with all that is in it; what is gone already is no matter.

    Each step is tried again by itself after an error that may pass.
    """
    if path.is_dir() and not path.is_symlink():
        for entry in [*path.iterdir()]:
            remove(entry)
        with suppress(FileNotFoundError):
            retrying(path.rmdir)
    else:
        retrying(partial(path.unlink, missing_ok=True))


def check_tile(box: Box, array: NDArray[np.generic], info: ImageInfo) -> None:
    """Refuse an array that does not hold exactly the pixels of *box* in the type of *info*.

    Raises
    ------
    GeometryError
        If the shape or dtype differs.
    """
    if array.shape != box.shape or array.dtype != info.dtype:
        raise GeometryError(
            f"tile {box} needs {info.dtype} of shape {box.shape}, found {array.dtype} of shape {array.shape}"
        )


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse a single file as output when *path* exists, unless it is a plain file and *overwrite* is set.

    Raises
    ------
    SinkError
        If *path* must not be replaced.
    """
    if path.exists() and not path.is_file():
        raise SinkError("exists and is not a plain file", where=str(path), fix="Choose another output path.")
    if path.exists() and not overwrite:
        raise SinkError("already exists", where=str(path), fix="Choose another path, or allow it with --overwrite.")


def refuse_same(output: Path | str, input: Path | str) -> None:
    """Refuse an output that is the input, lies in it, or holds it; links of every kind are seen through.

    Raises
    ------
    SinkError
        If writing *output* would destroy *input*.
    """
    with sink_errors(Path(output)):
        try:
            written, read = Path(output).resolve(), Path(input).resolve()
        except RuntimeError as error:  # what Python before 3.13 raises for links in a circle
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        written.exists()  # raises for a name that is too long
    if any(_same(written, part) for part in (read, *read.parents)):
        problem = "is the input" if _same(written, read) else f"holds the input {read}"
    elif any(_same(read, part) for part in written.parents):
        problem = f"lies inside the input {read}"
    else:
        return
    why = "the input would be destroyed while it is read"
    raise SinkError(f"the output {problem}", where=str(output), why=why, fix="Choose another output path.")


def free_bytes(path: Path | str) -> int:
    """Return the bytes that an unprivileged user may still write on the disk where *path* is or would be."""
    place = Path(path).resolve()
    while not place.exists():
        place = place.parent
    with sink_errors(place):
        return shutil.disk_usage(place).free


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False
