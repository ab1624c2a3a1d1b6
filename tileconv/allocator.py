"""Memory that a tile frees, kept for the next one."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import lru_cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, MAPPED_BYTES = 128 * 2**20, 32 * 2**20


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Tell glibc's allocator not to hand freed arrays back to the system; return whether it listened.

    Left to itself it gives every array of some megabytes back and gets it again page by page: up to three times the
    computing time of a tile (measured: docs/performance.md). Other allocators are left as they are. Nothing takes this
    back, so it is for runs and the command line alone: the Python functions leave their caller's process as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))


def give_back() -> None:
    """Hand back what is kept: the next pass needs memory of other sizes, and would take it on top."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
