"""What is checked of a Zarr folder before a library acts on it: plain files, and chunks that decode to their size."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import stat
import zlib
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import BinaryIO

from tileconv.errors import SourceError
from tileconv.sources.zarr_metadata import ABSENT, ShardIndex
from tileconv.stores import anywhere, steady
from tileconv.stores.anywhere import Place, Remote

CHUNK_FILES_LIMIT = 2**26
"""Chunks of one array, or its shards: as many as the segments of a TIFF."""
SLACK = 2**20
"""Bytes that a stored chunk, and what its header declares, may be larger than twice its pixels."""
UNSTATED = 2**27
"""How much further a zstd frame that does not state its size may decode, counting every block as full."""
ZSTD_BLOCK = 2**17
"""The most bytes that one block of a zstd frame decodes to (RFC 8878, 3.1.1.2.4)."""

LZMA_MEMORY = 2**27
"""What a decoder of LZMA may take; the highest preset takes half of it."""
PIECE = 2**16
"""Bytes by which a stream is decoded whose header states no size."""

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def check_plain(folder: Place, where: str) -> None:
    """Refuse metadata, of a folder or of those in it, that is a pipe or a device: opening it might never return."""
    if isinstance(folder, Remote):
        return
    children = (folder / name for name in anywhere.names(folder))
    for path in (folder, *(child for child in children if anywhere.is_folder(child))):
        for name in _METADATA:
            file = path / name
            if steady.exists(file) and not steady.is_file(file):
                raise SourceError(f"{name} is no plain file", where=where)


def check_grid(metadata: Place) -> None:
    """Refuse chunks of no pixel, which newer Zarr reads as chunks of one."""
    found = json.loads(anywhere.read_bytes(metadata))
    if 0 in (found.get("chunks") or found.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape", ())):
        raise SourceError("expected chunks of at least one pixel, found 0")


def most_of(size: int) -> int:
    """Return how many bytes a chunk of *size* decoded bytes may take as it is stored."""
    return 2 * size + SLACK


def check_bytes(name: str, data: bytes, size: int, codec: str) -> None:
    """Refuse a chunk that is stored as *data*, as ``check_chunk`` does."""
    _check(name, BytesIO(data), len(data), size, codec)


def _check(name: str, file: BinaryIO, length: int, size: int, codec: str) -> None:
    declared, most = length, most_of(size)
    if codec == "blosc":
        ends = int.from_bytes(file.read(16)[12:], "little")
        if ends > length:  # its decoder is not told where a chunk ends, and would read on
            raise SourceError(f"{name} is cut off: it has {length} of {ends} bytes")
        file.seek(0)
    if declared <= most and codec in _SIZES:
        declared = max(declared, _SIZES[codec](file, most))
    if declared > most:
        raise SourceError(f"{name} holds {declared} bytes or more, its pixels take {size}")


def check_chunk(path: Place, key: str, size: int, codec: str) -> None:
    """Refuse a stored chunk of *size* decoded bytes that is no plain file, is cut off, or would decode to far more.

    *codec* is the name of the last codec. The headers of ``zstd``, ``blosc`` and ``lz4`` state a size; streams of
    ``gzip``, ``zlib``, ``bz2`` and ``lzma`` are decoded once for it, piece by piece, and no further than to the limit.

    Raises
    ------
    SourceError
        Before a decoder allocates what the header asks for.
    """
    if isinstance(path, Remote):
        check_bytes(f"chunk {key}", anywhere.content(path / key) or b"", size, codec)
        return
    facts = steady.stat_of(path / key)
    if facts is None or stat.S_ISDIR(facts.st_mode):
        return
    if not stat.S_ISREG(facts.st_mode):
        raise SourceError(f"chunk {key} is no plain file")
    with anywhere.opened(path / key) as file:
        _check(f"chunk {key}", file, facts.st_size, size, codec)


def check_shard(
    path: Place, key: str, index: ShardIndex, inner: Iterable[tuple[int, ...]], size: int, codec: str
) -> None:
    """Refuse a shard of which one of the chunks *inner*, of *size* decoded bytes, would decode to far more.

    Raises
    ------
    SourceError
        As ``check_chunk`` does. What else is wrong with the shard is left to the decoder to say.
    """
    most = most_of(size)
    try:
        table = index.table(path / key)
        with anywhere.opened(path / key) as file:
            for at in inner:
                offset, stored = map(int, table[at])
                if offset == ABSENT:
                    continue
                file.seek(offset)
                check_bytes(f"chunk {at} of shard {key}", file.read(min(stored, most + 1)), size, codec)
    except (OSError, ValueError, OverflowError):
        return


def _zstd(file: BinaryIO, _most: int) -> int:
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


def _blosc(file: BinaryIO, _most: int) -> int:
    return int.from_bytes(file.read(8)[4:], "little")


def _lz4(file: BinaryIO, _most: int) -> int:
    return int.from_bytes(file.read(4), "little")


def _gzip(file: BinaryIO, most: int) -> int:
    return _count(gzip.GzipFile(fileobj=file), most)


def _bz2(file: BinaryIO, most: int) -> int:
    return _count(bz2.BZ2File(file), most)


def _count(stream: gzip.GzipFile | bz2.BZ2File, most: int) -> int:
    """Return how much a stream decodes to, or a number above *most*; up to a fault, which the decoder tells."""
    total = 0
    try:
        while total <= most and (piece := stream.read(PIECE)):
            total += len(piece)
    except (OSError, EOFError, ValueError, zlib.error):
        pass
    return total


def _zlib(file: BinaryIO, most: int) -> int:
    decoder, data, total = zlib.decompressobj(), file.read(), 0
    try:
        while data and total <= most:
            total += len(decoder.decompress(data, PIECE))
            data = decoder.unconsumed_tail
    except zlib.error:
        pass
    return total


def _lzma(file: BinaryIO, most: int) -> int:
    """Count what streams with a header decode to; one without is left to the decoder, which is told its filters."""
    data, total = file.read(), 0
    try:
        while data and total <= most:
            decoder = lzma.LZMADecompressor(memlimit=LZMA_MEMORY)
            piece = decoder.decompress(data, PIECE)
            while piece and total <= most:
                total += len(piece)
                piece = b"" if decoder.eof else decoder.decompress(b"", PIECE)
            data = decoder.unused_data if decoder.eof else b""
    except lzma.LZMAError as error:
        return most + 1 if "limit" in str(error) else total
    return total


_SIZES: dict[str, Callable[[BinaryIO, int], int]] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "lz4": _lz4,
    "gzip": _gzip,
    "zlib": _zlib,
    "bz2": _bz2,
    "lzma": _lzma,
}
