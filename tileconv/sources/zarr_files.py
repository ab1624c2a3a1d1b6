"""The chunk files of a Zarr array, or its shards: which are there, and whether they are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from heapq import heappush, heappushpop
from math import prod

import numpy as np

from tileconv.quick import dataclass
from tileconv.retry import retrying
from tileconv.sources.source import BLOCK_BYTES, BLOCKS, Fingerprint, Stamp, fingerprint_of, reading
from tileconv.sources.zarr_metadata import Keys
from tileconv.stores import anywhere, steady
from tileconv.stores.ahead import facts_of
from tileconv.stores.anywhere import Place, Remote
from tileconv.stores.store import Facts


@dataclass(frozen=True)
class Listed:
    """What one listing tells: how many files, the last change in ns, a digest of names and sizes, and some of them.

    The sample is the ``BLOCKS`` files of the least digests, so that no list of all is kept. It is not *complete* where
    there are more chunks than could be asked for.
    """

    count: int
    changed: int
    digest: str
    sample: list[str]
    complete: bool = True


ASKED = 2**12
"""Chunks that a store is asked for, one by one, that does not list what it holds."""


@dataclass(frozen=True)
class ChunkFiles:
    """The files in *folder* of a grid of *counts* chunks, or shards; *metadata* is the file that describes them."""

    folder: Place
    metadata: Place
    keys: Keys
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many files there are if none is absent."""
        return prod(self.counts)

    def listed(self) -> Listed:
        """Return what one listing tells of them."""
        count, digest, changed = 0, 0, 0
        least: list[tuple[int, str]] = []
        stored, complete = self._stored()
        for key, facts in stored:
            if self.keys.index(key, self.counts):
                count, changed = count + 1, max(changed, facts.changed)
                text = f"{key} {facts.size} {facts.version}".rstrip().encode()
                number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
                digest ^= number  # in whatever order they come
                (heappush if len(least) < BLOCKS else heappushpop)(least, (-number, key))
        return Listed(count, changed, f"{digest:032x}", [key for _, key in sorted(least, reverse=True)], complete)

    def fingerprint(self, listed: Listed, where: str) -> Fingerprint:
        """Return what tells the array from another: its metadata, and what was *listed*; *where* is named in errors."""
        metadata, stored = fingerprint_of(self.metadata), {"stored": listed.digest}
        if isinstance(self.folder, Remote):
            return metadata | stored  # of the versions of objects too
        return metadata | stored | {"sample": self._sampled(listed.sample, where)}

    def _stored(self) -> tuple[Iterator[tuple[str, Facts]], bool]:
        """Return what is stored, and whether that is all: a store that does not list is asked for ``ASKED`` chunks."""
        folder = self.folder
        if not isinstance(folder, Remote) or anywhere.lists(folder):
            return _below(folder), True
        count = min(ASKED, self.total)
        flat = np.unravel_index([number * self.total // count for number in range(count)], self.counts)
        keys = [self.keys.key(index) for index in zip(*(axis.tolist() for axis in flat), strict=True)]
        there = zip(keys, facts_of([folder / key for key in keys]), strict=True)
        return ((key, facts) for key, facts in there if facts), count == self.total

    def _sampled(self, keys: list[str], where: str) -> str:
        """Return a digest of the first and last bytes of the files *keys*."""
        digest = hashlib.sha256()
        for key in keys:
            with reading(where, f"reading chunk {key}"), anywhere.opened(self.folder / key) as file:
                start = file.read(BLOCK_BYTES // 2)
                file.seek(max(len(start), file.seek(0, os.SEEK_END) - BLOCK_BYTES // 2))
                digest.update(start + file.read())
        return digest.hexdigest()[:32]

    def stamp(self, index: Sequence[int]) -> Stamp:
        """Return size and time of change of the file at *index*, so that no cache outlives it; nothing of an object."""
        if isinstance(self.folder, Remote):
            return 0, 0
        stat = steady.stat_of(self.folder / self.keys.key(index))
        return (0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns)

    @staticmethod
    def bytes_below(folder: Place) -> int:
        """Return the bytes of all files below *folder*."""
        return sum(facts.size for _, facts in _below(folder))


def _below(folder: Place) -> Iterator[tuple[str, Facts]]:
    """Yield every file below *folder*, relative to it, with ``/``, and what is known of it."""
    if isinstance(folder, Remote):
        prefix = f"{folder.key}/" * bool(folder.key)
        yield from ((key.removeprefix(prefix), facts) for key, facts in folder.store.facts(prefix))
        return
    waiting = [(str(folder), "")]
    while waiting:
        path, prefix = waiting.pop()
        with suppress(PermissionError):  # a folder that may not be read has no chunks
            for entry in steady.entries(path):
                if retrying(partial(entry.is_dir, follow_symlinks=False)):
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                elif (found := steady.stat_of(entry.path)) is not None:  # no link to nothing
                    yield f"{prefix}{entry.name}", Facts(found.st_size, "", found.st_mtime_ns)
