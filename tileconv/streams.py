"""What the command line prints to: streams that may be closed, full or of few characters, and never end a run."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

PLAIN: dict[int, str] = str.maketrans(
    {"µ": "u", "μ": "u", "σ": "sigma", "×": "x", "²": "^2", "…": "...", "–": "-", "—": "-"}
)
"""What becomes of characters of our texts where a stream lacks them; others become their numbers."""


class Lasting(io.FileIO):
    """A descriptor whose errors are kept and not raised: what cannot be written is dropped."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write *data*, or drop it."""
        try:
            count = super().write(data)
        except OSError as error:
            self.error = self.error or error
            return len(data)
        if count is not None:
            return count
        select.select([], [self], [])  # the descriptor does not wait, and its reader is slow
        return self.write(data)


def use_plain_characters() -> None:
    """Register the way ``tileconv`` to encode what a stream has no character for."""
    codecs.register_error("tileconv", _plain)


def open_all() -> None:
    """Make stdout and stderr streams that never raise, and that have a character for everything.

    A descriptor that is closed is opened on nothing, so that no file of a run gets its number and with it our messages.
    """
    use_plain_characters()
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO | None = getattr(sys, name)
        encoding = stream.encoding if stream else "utf-8"
        raw = Lasting(number, "w", closefd=False)
        if number in closed:
            raw.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        lines = number == 2 or raw.isatty()
        setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), encoding, "tileconv", line_buffering=lines))


def lost() -> str:
    """Return why something that was printed to stdout is lost, once; empty if nothing is."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    sys.stdout.flush()
    if not isinstance(raw, Lasting) or raw.error is None:
        return ""
    why = raw.error.strerror or str(raw.error)
    raw.error = None
    return why


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for characters that a stream cannot hold; bytes of a file's name that are none stay."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return character.encode("ascii", "surrogateescape"), error.start + 1
    return PLAIN.get(ord(character)) or character.encode("ascii", "backslashreplace").decode(), error.start + 1
