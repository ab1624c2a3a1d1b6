"""What is shared by sources that leave the reading to a library of their own field."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tileconv.errors import SourceError

_OPENING = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's advice on headers to itself; one thread at a time, since all share one list of filters."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def absent(library: str, kind: str, extra: str, where: str) -> SourceError:
    """Return the error for a file of a *kind* that only *library* reads, which is not installed."""
    problem = f"{kind} needs {library}, which is not installed"
    return SourceError(problem, where=where, fix=f"pip install 'tileconv[{extra}]'")
