"""Input and output that fails and comes back: the same operation again after a short wait, and for what errors."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")

TRIES, FIRST_WAIT_S = 8, 0.01
"""Tries of one operation, and the wait after the first of them; every further wait is twice as long."""

_TRANSIENT = ("EIO", "ETIMEDOUT", "EAGAIN", "EINTR", "ESTALE", "EBUSY", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED")
_NETWORK = ("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENOLINK", "EPIPE")
TRANSIENT = frozenset(getattr(errno, name) for name in (*_TRANSIENT, *_NETWORK) if hasattr(errno, name))
"""What may pass by itself. A full disk, a lack of rights or a missing file does not."""
HOPELESS = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS") if hasattr(errno, name))
"""What every further tile would meet too."""


def retrying(operation: Callable[[], Made]) -> Made:
    """Return what *operation* returns; it is called again after an error that may pass, up to ``TRIES`` times in all.

    An error counts by its own number or by that of an error that it was raised from, so that a SourceError made of an
    OSError is seen through. *operation* must be one that may be repeated.
    """
    wait = FIRST_WAIT_S
    for _ in range(TRIES - 1):
        try:
            return operation()
        except Exception as error:
            if system_error(error) not in TRANSIENT:
                raise
        time.sleep(wait)
        wait *= 2
    return operation()


def system_error(error: BaseException | None) -> int:
    """Return the number that the system gave *error*, or an error that it was raised from; 0 if none did."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__
    return 0
