"""What commands print: results to stdout, and why they end early."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import click

from tileconv.errors import Interrupted
from tileconv.streams import lost

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tileconv.progress import Progress


class Told(Protocol):
    """What a command makes: it has a JSON form, and perhaps an exit code."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""


Made = TypeVar("Made", bound=Told)
_WIDE = 10_000
"""Columns of what is no terminal: no path in a table is broken."""


def json_text(value: Any) -> str:
    """Return *value* as JSON."""
    return json.dumps(value, indent=2, default=str)


def rich_text(shown: RenderableType, *, wrap: bool = False, width: int | None = None) -> str:
    """Return what rich makes of *shown* for stdout; lines are as long as they need to be where there is no terminal.

    Tables are of *width* columns at most there, 80 by default.
    """
    from rich.console import Console

    console = Console() if wrap or sys.stdout.isatty() else Console(soft_wrap=True, width=width)
    with console.capture() as captured:
        console.print(shown, highlight=False)
    return captured.get().removesuffix("\n")


def print_(text: str, *, alone: bool = False) -> None:
    """Print a result; one that is this text *alone* must reach its reader, else the command fails."""
    sys.stdout.write(text + "\n")
    if not (why := lost()):
        return
    if alone:
        fail(f"error: the result cannot be printed: {why}")
    sys.stderr.write(f"note: the exit code is that of the result, whose report cannot be printed: {why}\n")


@contextmanager
def interruptible() -> Iterator[None]:
    """End the command with the text and the exit code of an interruption inside the block."""
    try:
        yield
    except Interrupted as end:
        sys.stderr.write(f"{end}\n")
        raise SystemExit(end.exit_code) from None


def watched_call(call: Callable[[Progress], Made], watch: Callable[[], AbstractContextManager[Progress]]) -> Made:
    """Return what *call* makes while *watch* hears of it; an interruption becomes its text and exit code."""
    from tileconv.engines import loops

    with interruptible(), watch() as progress:
        if kept := loops.note():
            progress.note(kept)
        made = call(progress)
        progress.finished(getattr(made, "exit_code", 0), {"report": made.as_json()})
    return made


def end_with(told: Any, text: Callable[[Any], RenderableType], *, as_json: bool) -> NoReturn:
    """Print what is *told*, and end the command with its exit code."""
    shown = json_text(told.as_json()) if as_json else text(told)
    print_(shown if isinstance(shown, str) else rich_text(shown, width=_WIDE))
    raise SystemExit(told.exit_code)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the process with *message* and exit code *code*."""
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code)


def refuse(message: str) -> NoReturn:
    """End the command as one that was used wrongly."""
    raise click.BadParameter(message)
