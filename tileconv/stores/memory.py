"""A store in the memory of this process, for tests and notebooks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NoReturn

from tileconv.stores.steady import Pieces
from tileconv.stores.store import ChangedError, Facts


class MemoryStore:
    """Objects that end with this process, and do not cross to another; what a Store can do stands there.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store.write("0/c/1", [[b"pix", b"els"]])
    >>> store.read("0/c/1", 3, 6), list(store.list()), store.names()
    (b'els', ['0/c/1'], ['0/'])
    """

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._versions = count()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a MemoryStore does not leave its process: use threads")

    def where(self, key: str = "") -> str:
        return f"memory:{key}"

    def read(self, key: str, start: int, stop: int, version: str = "") -> bytes:
        whole = self.read_all(key)
        if version and (found := self.stat(key)) and found.version != version:
            raise ChangedError(self.where(key))
        return whole[start:stop]

    def read_all(self, key: str) -> bytes:
        try:
            return self._objects[key][0]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None

    def write(self, key: str, parts: Iterable[Pieces], *, kept: bool = True, checked: bool = False) -> None:
        self._objects[key] = b"".join(piece for pieces in parts for piece in pieces), next(self._versions)

    def create(self, key: str, data: bytes) -> bool:
        made = data, next(self._versions)
        return self._objects.setdefault(key, made) is made

    def list(self, prefix: str = "") -> Iterator[str]:
        return (key for key in [*self._objects] if key.startswith(prefix))

    def facts(self, prefix: str = "") -> Iterator[tuple[str, Facts]]:
        return ((key, found) for key in self.list(prefix) if (found := self.stat(key)))

    def names(self, prefix: str = "") -> Sequence[str]:
        below = (key.removeprefix(prefix).partition("/") for key in self.list(prefix))
        return sorted({first + slash for first, slash, _ in below})

    def delete(self, key: str) -> None:
        if not key and self._objects:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        for gone in self.list(key) if key.endswith("/") else [key]:
            self._objects.pop(gone, None)

    def stat(self, key: str) -> Facts | None:
        found = self._objects.get(key)
        return None if found is None else Facts(len(found[0]), str(found[1]))

    def check(self, key: str) -> None:
        pass
