"""Pixels of a whole chunk to the bytes that stand for them in a file, and back; and the index of a shard.

Chunks are blosc (lz4 on shuffled bits) with a CRC-32C behind it unless asked otherwise: faster and smaller on float
pixels than zstd with its own checksum (docs/decisions/006-blosc-with-crc32c.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.storage import Storage
from tileconv.stores import packed as packing
from tileconv.stores.packed import CHECKSUM_BYTES, checksum

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
    size, checked = math.prod(shape) * dtype.itemsize, storage.checksum == "crc32c"
    room = packing.unpacked(stored, storage.codec.name, size, checked=checked)
    return None if room is None else room.view(dtype.newbyteorder("<")).reshape(shape)


def intact(encoded: bytes, storage: Storage) -> bool:
    """Return whether the bytes of a chunk carry their own checksum; true of any where chunks have none."""
    return storage.checksum == "none" or packing.intact(encoded)


def index_bytes(counts: Sequence[int]) -> int:
    """Return the length of the index of a shard of so many chunks along each axis."""
    return 16 * math.prod(counts) + CHECKSUM_BYTES


def pack_index(index: NDArray[np.uint64]) -> bytes:
    """Return the end of a shard: place and length of every chunk, and a checksum of its own."""
    table = index.astype("<u8").tobytes()
    return table + checksum(table)


def unpack_index(end: bytes, counts: Sequence[int]) -> NDArray[np.uint64] | None:
    """Return place and length of every chunk of a shard; None where *end* is not what was written."""
    if len(end) != index_bytes(counts) or not packing.intact(end):
        return None
    return np.frombuffer(end[:-CHECKSUM_BYTES], "<u8").reshape(*counts, 2)
