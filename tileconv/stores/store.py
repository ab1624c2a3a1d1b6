"""What every place of stored bytes can do: a disk, memory, an object store.

Whoever adds a place implements ``Store``, and no more; ``tests/stores/test_stores.py`` is what it must pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from tileconv.stores.steady import Pieces


class Facts(NamedTuple):
    """The bytes of an object, and what is another once other bytes were written: its time of change, or its ETag.

    ``changed`` is when that was, in ns since 1970; 0 where nobody knows.
    """

    size: int
    version: str
    changed: int = 0


class ChangedError(OSError):
    """An object is no more the version that was asked for."""


class Store(Protocol):
    """Objects under keys such as ``0/c/3/1``: each is written whole, in one step.

    Every method may be called from many threads at once, and is tried again by itself after an error that may pass.
    What goes wrong is an OSError with its number, FileNotFoundError where there is no such object. A store that is
    pickled takes its configuration along, never a credential.
    """

    def where(self, key: str = "") -> str:
        """Return *key* as messages name it, the store itself by default."""

    def read(self, key: str, start: int, stop: int, version: str = "") -> bytes:
        """Return the bytes of an object from *start* to *stop*, as many of them as there are.

        Raises
        ------
        ChangedError
            If *version* is given, as ``stat`` told it, and the object is another by now: parts of two never mix.
        """

    def read_all(self, key: str) -> bytes:
        """Return all bytes of an object."""

    def write(self, key: str, parts: Iterable[Pieces], *, kept: bool = True, checked: bool = False) -> None:
        """Put an object of *parts* in the place of what was there in one step, or change nothing.

        Parameters
        ----------
        parts
            Bytes in pieces, which need not be joined; the next is asked for when the one before has been taken.
        kept
            Whether the bytes are read again soon; else the system's memory is left to others.
        checked
            Whether ``check`` was just asked of an object directly beside it, which is not done again.

        Raises
        ------
        SinkError
            As ``check`` does.
        """

    def create(self, key: str, data: bytes) -> bool:
        """Put an object of *data* where there is none, whole; return whether there was none. Of many one succeeds.

        A request that was done before its answer was lost may count as one of another: who must know compares *data*.
        """

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the key of every object below *prefix*, which is empty or ends in ``/``, in any order."""

    def facts(self, prefix: str = "") -> Iterator[tuple[str, Facts]]:
        """Yield every key that ``list`` does, with what ``stat`` knows of it."""

    def names(self, prefix: str = "") -> Sequence[str]:
        """Return what lies directly below *prefix*, in any order: names without a ``/``, and such that end in one.

        Raises
        ------
        NotADirectoryError
            If an object lies where the store would be.
        """

    def delete(self, key: str) -> None:
        """Delete an object, or all that lies below a *key* that ends in ``/``; what is gone is no matter.

        The empty key is the place of the store, of which nothing is left then; OSError if anything lies in it.
        """

    def stat(self, key: str) -> Facts | None:
        """Return what is known of an object; None if there is none."""

    def check(self, key: str) -> None:
        """Refuse what ``write`` would not put under *key*, as it would come to lie somewhere else; SinkError."""


def content(store: Store, key: str) -> bytes | None:
    """Return all bytes of an object; None if there is none. Of a disk it must be a plain file, which is looked at."""
    try:
        return store.read_all(key) if "://" in store.where() or store.stat(key) else None
    except FileNotFoundError:  # gone in between
        return None
