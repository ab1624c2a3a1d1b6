"""An output that is one file: by what it is known again, quickly, and part by part."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tileconv.record.folder import RunFolder
from tileconv.sinks.writer import Digest
from tileconv.sources.source import fingerprint_of
from tileconv.stores import steady

PART_BYTES = 2**26
"""Bytes of a part that has a checksum of its own."""


def exported(folder: RunFolder) -> bool:
    """Return whether the output of *folder* is a file, and done."""
    return bool(folder.kind) and folder.done() and steady.exists(folder.output.local)


def looks(path: Path) -> str:
    """Return what tells a file quickly from others: its size, and digests of parts of it; empty where there is none."""
    return "-".join(map(str, fingerprint_of(path).values())) if steady.is_file(path) else ""


def checksums(path: Path, workers: int) -> Iterator[str]:
    """Yield the checksum of every part of a file, read by *workers* threads."""
    found = steady.stat_of(path)
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(partial(_checksum, path), range(0, found.st_size if found else 0, PART_BYTES))


def _checksum(path: Path, start: int) -> str:
    with steady.opened(path) as file:
        file.seek(start)
        left, digest = PART_BYTES, Digest()
        while left and (piece := file.read(min(left, steady.PIECE))):
            digest.add(piece)
            left -= len(piece)
    return str(digest)
