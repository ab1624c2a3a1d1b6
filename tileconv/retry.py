"""Errors of the system: which may pass, so that the same operation is tried again, and what to do about the others."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

Made = TypeVar("Made")

TRIES, FIRST_WAIT_S = 8, 0.01
"""Tries of one operation, and the wait after the first of them; every further wait is twice as long."""

_TRIED = f"tried {TRIES} times"
"""The note on an error that ended the last try."""
_TRANSIENT = ("EIO", "ETIMEDOUT", "EAGAIN", "EINTR", "ESTALE", "EBUSY", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED")
_NETWORK = ("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENOLINK", "EPIPE")
TRANSIENT = frozenset(getattr(errno, name) for name in (*_TRANSIENT, *_NETWORK) if hasattr(errno, name))
"""What may pass by itself. A full disk, a lack of rights or a missing file does not."""
HOPELESS = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS") if hasattr(errno, name))
"""What every further tile would meet too."""

_MAY_NOT = "Change the permissions of the file or of the folders above it"
_ADVICE = {
    errno.ENOENT: "See which part of the path is not there",
    errno.EACCES: _MAY_NOT,
    errno.EPERM: _MAY_NOT,
    errno.ENOTDIR: "Correct the path, a part of which is a file",
    errno.EISDIR: "Move away the folder that lies there",
    errno.ELOOP: "Remove a link of the circle",
    errno.ENAMETOOLONG: "Shorten the path",
    errno.EROFS: "Mount the file system for writing",
    errno.ENOSPC: "Free some disk space",
    errno.EDQUOT: "Free some of your quota on this disk",
}
_LIMITS = {
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or lower run.workers.",
    errno.ENOMEM: "Raise the limits (ulimit -a), or lower run.workers.",
}


def advice(number: int, place: str) -> str:
    """Return what to do after the system's error *number*; *place* is what may be chosen anew, as ``output path``.

    Examples
    --------
    >>> advice(errno.EACCES, "input")
    'Change the permissions of the file or of the folders above it, or choose another input.'
    """
    if number in TRANSIENT:
        return "It may pass: give the same command again when the disk or the network answers."
    return _LIMITS.get(number) or f"{_ADVICE.get(number, 'See what lies there')}, or choose another {place}."


def fix_for(error: OSError, place: str) -> str:
    """Return what to do about *error*: its own advice where it has one, as errors of object stores do."""
    fix: str = getattr(error, "fix", "")
    return fix or advice(error.errno or 0, place)


def retrying(operation: Callable[[], Made]) -> Made:
    """Return what *operation* returns; it is called again after an error that may pass, up to ``TRIES`` times in all.

    An error counts by its own number or by that of an error that it was raised from, so that a SourceError made of an
    OSError is seen through. *operation* must be one that may be repeated. What it tried ``TRIES`` times by this same
    function, a single call of the system, is not tried again.
    """
    tried = 0
    while True:
        try:
            return operation()
        except Exception as error:
            tried += 1
            if not _may_pass(error, last=tried == TRIES):
                raise
        time.sleep(FIRST_WAIT_S * 2 ** (tried - 1))


def _may_pass(error: Exception, *, last: bool) -> bool:
    """Return whether to try again after *error*; the one of the *last* try says so from then on."""
    cause = _of_system(error)  # a function of its own: the frame that raises it would keep it, and it the frame
    if cause is None or cause.errno not in TRANSIENT or _TRIED in getattr(cause, "__notes__", ()):
        return False
    if last:
        spent(cause)
    return not last


def spent(error: OSError) -> None:
    """Note that what failed with *error* was tried often enough."""
    error.add_note(_TRIED)


def system_error(error: BaseException | None) -> int:
    """Return the number that the system gave *error*, or an error that it was raised from; 0 if none did."""
    return getattr(_of_system(error), "errno", 0)


def of_lack(error: BaseException) -> bool:
    """Return whether *error* says that the system gives no more memory or threads."""
    innermost: Any = error.__traceback__
    while innermost.tb_next:
        innermost = innermost.tb_next
    thread = isinstance(error, RuntimeError) and innermost.tb_frame.f_code is Thread.start.__code__
    return thread or isinstance(error, MemoryError) or getattr(error, "errno", 0) in {errno.ENOMEM, errno.EAGAIN}


def _of_system(error: BaseException | None) -> OSError | None:
    """Return the error of the system that *error* is, or was raised from."""
    while error is not None and not (isinstance(error, OSError) and error.errno):
        error = error.__cause__
    return error
