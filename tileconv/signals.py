"""What SIGINT and SIGTERM do in a process of the command line, from its first line to its last.

    imports, checks, plans            end at once, exit code 130
    a sample or a picture is written  what is half made is removed first (``cleaning``)
    tiles are made                    no further one begins (``execute/stop.py``); the second signal ends at once
    the result stands                 nothing: the exit code is that of the result

No KeyboardInterrupt is raised where it could be lost or turned into another error, as imports and compilers do.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = 130
"""Exit code after a signal, as shells have it for SIGINT."""
NUMBERS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "interrupted; give the same command again"
_CLEAR_LINE, _SHOW_CURSOR = "\r\x1b[K", "\x1b[?25h"
"""A progress bar that is cut off leaves half a line and a hidden cursor."""

_standing = [False]
"""Whether the result of a run stands, which no signal takes back."""


def take() -> None:
    """Let SIGINT and SIGTERM end this process at once, until a run says otherwise."""
    for number in NUMBERS:
        signal.signal(number, _on_signal)


def ignore() -> None:
    """Let no signal change how this process ends; also not while the interpreter shuts down."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def stands(whether: bool) -> None:
    """Say whether the result stands already: a signal then changes nothing."""
    _standing[0] = whether


def say(text: str) -> None:
    """Say *text* to whoever sits at the terminal, in the place of a progress bar, which is drawn again below."""
    if os.isatty(2):
        with suppress(OSError):
            os.write(2, f"{_CLEAR_LINE}{text}\n".encode())


def end(text: str) -> NoReturn:
    """Say *text* on stderr and end the process at once."""
    prefix = _CLEAR_LINE + _SHOW_CURSOR if os.isatty(2) else ""
    with suppress(OSError):
        os.write(2, f"{prefix}{text}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def cleaning() -> Iterator[None]:
    """Let a signal leave the block as an exception, so that what is half written is removed, before the process ends.

    The second signal does not wait for that. Only where ``take`` was called before.
    """
    if signal.getsignal(signal.SIGINT) is not _on_signal:
        yield
        return

    def leave(_number: int, _frame: object) -> None:
        take()
        raise KeyboardInterrupt

    for number in NUMBERS:
        signal.signal(number, leave)
    try:
        yield
    except KeyboardInterrupt:
        end(AGAIN)
    finally:
        take()


def _on_signal(_number: int, _frame: object) -> None:
    if not _standing[0]:
        end(AGAIN)
