"""Small plain files, of which there are very many, read by the fewest calls of the system."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

from tileconv.retry import retrying
from tileconv.stores import steady


def read_plain(path: Path | str, most: int, start: int = 0, size: int | None = None) -> bytes | None:
    """Return the bytes of a plain file, or *size* from *start* on; None if these are more than *most*, or not there."""
    descriptor = steady.open_to_read(path)
    try:
        found = retrying(partial(os.fstat, descriptor))
        size = found.st_size - start if size is None else size
        if not stat.S_ISREG(found.st_mode) or not 0 <= size <= most or start + size > found.st_size:
            return None
        data = b""
        while len(data) < size:
            piece = retrying(partial(os.pread, descriptor, size - len(data), start + len(data)))
            data += piece  # of nothing and a piece it makes no copy
            if not piece:
                return None
        return data
    finally:
        os.close(descriptor)
