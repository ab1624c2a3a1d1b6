"""What is checked of a Zarr folder before a library acts on it: plain files, and chunks that decode to their size."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tileconv.errors import SourceError

CHUNK_FILES_LIMIT = 2**26
"""Chunks of one array, or its shards: as many as the segments of a TIFF."""
SLACK = 2**20
"""Bytes that a stored chunk, and what its header declares, may be larger than twice its pixels."""
UNSTATED = 2**27
"""How much further a zstd frame that does not state its size may decode, counting every block as full."""
ZSTD_BLOCK = 2**17
"""The most bytes that one block of a zstd frame decodes to (RFC 8878, 3.1.1.2.4)."""

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def check_plain(folder: Path, where: str) -> None:
    """Refuse metadata, of a folder or of those in it, that is a pipe or a device: opening it might never return."""
    for path in (folder, *(child for child in folder.iterdir() if child.is_dir())):
        for name in _METADATA:
            file = path / name
            if file.exists() and not file.is_file():
                raise SourceError(f"{name} is no plain file", where=where)


def check_chunk(path: Path, key: str, size: int, codec: str) -> None:
    """Refuse a stored chunk of *size* decoded bytes that is no plain file, or would decode to far more.

    *codec* is the name of the last codec; the headers of ``zstd``, ``blosc`` and ``lz4`` state a size.

    Raises
    ------
    SourceError
        Before a decoder allocates what the header asks for.
    """
    try:
        found = (path / key).stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(found.st_mode):
        return
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"chunk {key} is no plain file")
    most = 2 * size + SLACK
    declared = found.st_size
    if declared <= most and codec in _SIZES:
        with (path / key).open("rb") as file:
            declared = max(declared, _SIZES[codec](file))
    if declared > most:
        raise SourceError(f"chunk {key} holds {declared} bytes or more, its pixels take {size}")


def _zstd(file: BinaryIO) -> int:
    """Return the size that a frame states, or what its blocks decode to at most, less ``UNSTATED``."""
    head = file.read(18)
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return 0
    single, size = head[4] >> 5 & 1, head[4] >> 6
    at = 5 + (not single) + (0, 1, 2, 4)[head[4] & 3]
    if size or single:
        width = (1, 2, 4, 8)[size]
        return int.from_bytes(head[at : at + width], "little") + 256 * (size == 1)
    file.seek(0)
    data, total, last = file.read(), 0, False
    while not last and at + 3 <= len(data):
        block = int.from_bytes(data[at : at + 3], "little")
        last, kind, stored = bool(block & 1), block >> 1 & 3, block >> 3
        total += stored if kind < 2 else ZSTD_BLOCK
        at += 3 + (1 if kind == 1 else stored)
    return total - UNSTATED


def _blosc(file: BinaryIO) -> int:
    return int.from_bytes(file.read(8)[4:], "little")


def _lz4(file: BinaryIO) -> int:
    return int.from_bytes(file.read(4), "little")


_SIZES: dict[str, Callable[[BinaryIO], int]] = {"zstd": _zstd, "blosc": _blosc, "lz4": _lz4}
