"""A folder of this machine as a store: a file for each object, written whole and renamed into its place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from stat import S_ISREG

from tileconv.errors import SinkError
from tileconv.quick import dataclass
from tileconv.retry import retrying
from tileconv.stores import steady
from tileconv.stores.steady import Pieces
from tileconv.stores.store import ChangedError, Facts


def _facts(found: os.stat_result) -> Facts:
    return Facts(found.st_size, f"{found.st_mtime_ns}-{found.st_ino}", found.st_mtime_ns)


@dataclass(frozen=True)
class LocalStore:
    """The files below the folder *root*, made as needed; what a Store can do stands there.

    Attributes
    ----------
    root
        The folder, which is none itself that a link leads to: nothing is written through links.
    staging
        A folder on the same disk in which files are written before they stand in their places; None for beside these.
        Once it is gone this store writes nothing more.

    Examples
    --------
    >>> store = LocalStore(getfixture("tmp_path") / "new")
    >>> store.write("0/c/1", [[b"pix", b"els"]])
    >>> store.read("0/c/1", 3, 6), list(store.list()), store.names()
    (b'els', ['0/c/1'], ['0/'])
    """

    root: Path
    staging: Path | None = None

    def where(self, key: str = "") -> str:
        return f"{self.root}/{key}" if key else str(self.root)

    def read(self, key: str, start: int, stop: int, version: str = "") -> bytes:
        with steady.opened(self.root / key) as file:
            there = retrying(partial(os.fstat, file.fileno()))
            if version and version != _facts(there).version:
                raise ChangedError(self.where(key))
            file.seek(start)
            return file.read(max(0, min(stop, there.st_size) - start))  # room for more takes longer than to read

    def read_all(self, key: str) -> bytes:
        return steady.read_bytes(self.root / key)

    def write(self, key: str, parts: Iterable[Pieces], *, kept: bool = True, checked: bool = False) -> None:
        if not checked:
            self.check(key)
        file = f"{self.root}/{key}"
        try:
            steady.replace(file, parts, staging=self.staging, uncached=not kept)
        except FileNotFoundError as error:
            if self.staging is None or steady.is_folder(self.staging):
                raise
            why = "the run ended without this worker, or another run has begun to write there"
            raise SinkError("is not written by this run any more", where=file, why=why) from error

    def create(self, key: str, data: bytes) -> bool:
        self.check(key)
        return steady.create(self.root / key, data)

    def list(self, prefix: str = "") -> Iterator[str]:
        skipped = len(str(self.root)) + 1
        return (str(file)[skipped:] for file in steady.walk(self.root / prefix))

    def facts(self, prefix: str = "") -> Iterator[tuple[str, Facts]]:
        return ((key, found) for key in self.list(prefix) if (found := self.stat(key)))

    def names(self, prefix: str = "") -> Sequence[str]:
        folder = self.root / prefix
        if not steady.exists(folder):
            return ()
        return [
            entry.name + "/" * retrying(partial(entry.is_dir, follow_symlinks=False))
            for entry in steady.entries(folder)
        ]

    def delete(self, key: str) -> None:
        if not key:
            if steady.exists(self.root):
                with suppress(FileNotFoundError):  # done before it failed
                    retrying(self.root.rmdir)
        elif key.endswith("/"):
            steady.remove(self.root / key)
        else:
            steady.unlink(self.root / key)

    def stat(self, key: str) -> Facts | None:
        found = steady.stat_of(f"{self.root}/{key}")
        return _facts(found) if found is not None and S_ISREG(found.st_mode) else None

    def check(self, key: str) -> None:
        folder = str(self.root)
        for part in ("", *key.split("/")[:-1]):
            folder += f"/{part}" * bool(part)
            if steady.is_link(folder):
                leads, fix = os.readlink(folder), "Remove the link; an output itself may be one."  # noqa: PTH115
                raise SinkError(f"is a link to {leads}; nothing is written through it", where=folder, fix=fix)
