"""The chunk files of a Zarr array, or its shards: which are there, and whether they are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from heapq import heappush, heappushpop
from math import prod
from pathlib import Path

from tileconv.retry import retrying
from tileconv.sources.source import BLOCK_BYTES, BLOCKS, Fingerprint, Stamp, fingerprint_of, reading
from tileconv.sources.zarr_metadata import Keys
from tileconv.stores import steady


@dataclass(frozen=True)
class Listed:
    """What one listing tells: how many files, the last change in ns, a digest of names and sizes, and some of them.

    The sample is the ``BLOCKS`` files of the least digests, so that no list of all is kept.
    """

    count: int
    changed: int
    digest: str
    sample: list[str]


@dataclass(frozen=True)
class ChunkFiles:
    """The files in *folder* of a grid of *counts* chunks, or shards; *metadata* is the file that describes them."""

    folder: Path
    metadata: Path
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
        for key, stat in _below(self.folder):
            if self.keys.index(key, self.counts):
                count, changed = count + 1, max(changed, stat.st_mtime_ns)
                text = f"{key} {stat.st_size}".encode()
                number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
                digest ^= number  # in whatever order they come
                (heappush if len(least) < BLOCKS else heappushpop)(least, (-number, key))
        return Listed(count, changed, f"{digest:032x}", [key for _, key in sorted(least, reverse=True)])

    def fingerprint(self, listed: Listed, where: str) -> Fingerprint:
        """Return what tells the array from another: its metadata, and what was *listed*; *where* is named in errors."""
        metadata = fingerprint_of(self.metadata)
        return metadata | {"stored": listed.digest, "sample": self._sampled(listed.sample, where)}

    def _sampled(self, keys: list[str], where: str) -> str:
        """Return a digest of the first and last bytes of the files *keys*."""
        digest = hashlib.sha256()
        for key in keys:
            with reading(where, f"reading chunk {key}"), steady.opened(self.folder / key) as file:
                start = file.read(BLOCK_BYTES // 2)
                file.seek(max(len(start), file.seek(0, os.SEEK_END) - BLOCK_BYTES // 2))
                digest.update(start + file.read())
        return digest.hexdigest()[:32]

    def stamp(self, index: Sequence[int]) -> Stamp:
        """Return size and time of change of the file at *index*, so that no cache outlives it."""
        stat = steady.stat_of(self.folder / self.keys.key(index))
        return (0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns)

    @staticmethod
    def bytes_below(folder: Path) -> int:
        """Return the bytes of all files below *folder*."""
        return sum(stat.st_size for _, stat in _below(folder))


def _below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below *folder*, relative to it, with ``/``, and what the system knows of it."""
    waiting = [(str(folder), "")]
    while waiting:
        path, prefix = waiting.pop()
        with suppress(PermissionError):  # a folder that may not be read has no chunks
            for entry in steady.entries(path):
                if retrying(partial(entry.is_dir, follow_symlinks=False)):
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                elif (found := steady.stat_of(entry.path)) is not None:  # no link to nothing
                    yield f"{prefix}{entry.name}", found
