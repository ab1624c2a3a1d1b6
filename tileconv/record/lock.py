"""The lock file of a run: held by ``flock`` while the run lives, so that one that died holds nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tileconv.errors import SinkError
from tileconv.retry import retrying
from tileconv.stores import steady

LOOKS, LOOK_S = 10, 0.01
"""How often a run looks for the lock before it refuses, and the wait between: ``taken`` holds it for an instant."""
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What Lustre without ``-o flock``, NFS without its lock daemon, and file systems of object stores answer."""


def acquire(file: Path, *, hold: bool, idle: Callable[[], bool]) -> int | None:
    """Return a descriptor of *file* that holds the lock, or of what is only opened where not *hold*.

    Parameters
    ----------
    idle
        Whether the run will write nothing: *file* may then lie where nothing can be written, and is opened to read.

    Returns
    -------
    int or None
        None if another run holds the lock.

    Raises
    ------
    SinkError
        If the file system has no locks.
    OSError
        If *file* cannot be made.
    """
    looks = 0
    while looks < LOOKS:
        if looks:
            time.sleep(LOOK_S)
        descriptor = _opened(file, idle)
        kept = False
        try:
            looks += 1
            if not hold or _locked(descriptor, fcntl.LOCK_EX, file):
                there = steady.stat_of(file)
                kept = there is not None and os.path.samestat(retrying(partial(os.fstat, descriptor)), there)
                if kept:
                    return descriptor
                looks = 0  # the run that held it has removed it since
        finally:
            if not kept:
                os.close(descriptor)
    return None


def taken(file: Path) -> bool:
    """Return whether a run holds the lock now; False where the system cannot tell, as without locks."""
    try:
        descriptor = steady.open_to_read(file)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH, file)
    except SinkError:
        return False
    finally:
        os.close(descriptor)


def _opened(file: Path, idle: Callable[[], bool]) -> int:
    try:
        while True:
            steady.make_folder(file.parent)
            with suppress(FileNotFoundError):  # the run that held it has just removed the folder
                return steady.open_descriptor(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _READ_ONLY or not idle():
            raise
        return steady.open_to_read(file)


def _locked(descriptor: int, kind: int, file: Path) -> bool:
    """Return whether *descriptor* holds a lock of *kind* now; SinkError if there is no such thing here."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        raise SinkError(
            f"its file system has no locks (flock: {error.strerror})",
            where=str(file),
            why="nothing would keep two runs from writing one output at once",
            fix="See to that yourself and state run.lock: none, or choose another output path.",
        ) from error
    return True
