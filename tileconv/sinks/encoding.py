"""Pixels of a whole chunk to the bytes that stand for them in a file, and back; and the index of a shard.

Chunks are blosc (lz4 on shuffled bits) with a CRC-32C behind it unless asked otherwise: faster and smaller on float
pixels than zstd with its own checksum (docs/decisions/006-blosc-with-crc32c.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import google_crc32c
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.storage import Storage

CHECKSUM_BYTES = 4
ALIKE = 16
"""Encoded chunks of one value that a process keeps, some KiB each."""
ABSENT = 2**64 - 1
"""Place and length in the index of a shard, of a chunk that lies beyond the image."""


def encode(chunk: NDArray[Any], storage: Storage) -> tuple[memoryview, bytes]:
    """Return the bytes that stand for the pixels of a whole chunk, and the checksum that follows them in its file.

    Two pieces, because joining them would take as long again as encoding; the second is empty where there is none.
    """
    pixels: Any = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
    codec = storage.codec
    if codec.name == "none":
        packed: Any = pixels.reshape(-1).view(np.uint8)
    else:  # room for what no codec makes shorter; without it the codec copies its result, and threads wait
        out: Any = np.empty(pixels.nbytes + pixels.nbytes // 128 + 1024, np.uint8)
        if codec.name == "blosc":
            words = {"compressor": codec.cname, "shuffle": codec.shuffle, "typesize": pixels.itemsize}
            packed = imagecodecs.blosc_encode(pixels, level=codec.level, numthreads=1, out=out, **words)
        else:
            encoder: Callable[..., Any] = getattr(imagecodecs, f"{codec.name}_encode")
            packed = encoder(pixels, level=codec.level, out=out)
    return memoryview(packed), checksum(packed) if storage.checksum == "crc32c" else b""


@lru_cache(maxsize=ALIKE)
def encode_alike(pixel: bytes, dtype: np.dtype[Any], shape: Sequence[int], storage: Storage) -> tuple[bytes, bytes]:
    """Return what ``encode`` does of a chunk whose pixels are all *pixel*; of glass there are thousands."""
    packed, tail = encode(np.full(shape, np.frombuffer(pixel, dtype)[0]), storage)
    return bytes(packed), tail


def decode(stored: bytes, storage: Storage, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any] | None:
    """Return the pixels of a chunk of *shape* that *stored* stands for; None where these are not what was written."""
    if not intact(stored, storage):
        return None
    packed = stored[: len(stored) - CHECKSUM_BYTES * (storage.checksum == "crc32c")]
    room: Any = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    if storage.codec.name == "none":
        room = np.frombuffer(packed, np.uint8)
    else:
        decoder: Callable[..., Any] = getattr(imagecodecs, f"{storage.codec.name}_decode")
        try:
            if len(decoder(packed, out=room)) != room.size:
                return None
        except (RuntimeError, ValueError):
            return None
    if room.size != math.prod(shape) * dtype.itemsize:
        return None
    pixels: NDArray[Any] = room.view(dtype.newbyteorder("<")).reshape(shape)
    return pixels


def intact(encoded: bytes, storage: Storage) -> bool:
    """Return whether the bytes of a chunk carry their own checksum; true of any where chunks have none."""
    if storage.checksum == "none":
        return True
    return len(encoded) > CHECKSUM_BYTES and checksum(encoded[:-CHECKSUM_BYTES]) == encoded[-CHECKSUM_BYTES:]


def index_bytes(counts: Sequence[int]) -> int:
    """Return the length of the index of a shard of so many chunks along each axis."""
    return 16 * math.prod(counts) + CHECKSUM_BYTES


def pack_index(index: NDArray[np.uint64]) -> bytes:
    """Return the end of a shard: place and length of every chunk, and a checksum of its own."""
    table = index.astype("<u8").tobytes()
    return table + checksum(table)


def unpack_index(end: bytes, counts: Sequence[int]) -> NDArray[np.uint64] | None:
    """Return place and length of every chunk of a shard; None where *end* is not what was written."""
    if len(end) != index_bytes(counts) or checksum(end[:-CHECKSUM_BYTES]) != end[-CHECKSUM_BYTES:]:
        return None
    return np.frombuffer(end[:-CHECKSUM_BYTES], "<u8").reshape(*counts, 2)


def checksum(data: Any) -> bytes:
    """Return the CRC-32C of *data* as Zarr stores it."""
    value: int = google_crc32c.value(data)
    return value.to_bytes(CHECKSUM_BYTES, "little")
