"""The bytes that stand for a chunk, back to those of its pixels: what this package wrote, and what others did.

Nothing is decoded beyond the size that a chunk has, whatever its own header says.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import google_crc32c
import imagecodecs
import numpy as np
from numpy.typing import NDArray

CHECKSUM_BYTES = 4
CODECS = ("blosc", "zstd", "gzip", "none")
"""What is decoded here."""
BLOSC_HEADER = 16
"""Bytes before the blocks of blosc."""
_MEMBER = b"\x1f\x8b\x08"
"""How a member of gzip begins."""


LARGE = 2**16
"""Bytes from which on other threads need not wait until they are summed."""


def checksum(data: Any) -> bytes:
    """Return the CRC-32C of *data* as Zarr stores it."""
    size, extend = len(data), _extend()
    if size < LARGE or extend is None:
        value: int = google_crc32c.value(data)
    else:
        value = extend(0, np.frombuffer(data, np.uint8).__array_interface__["data"][0], size)
    return value.to_bytes(CHECKSUM_BYTES, "little")


@cache
def _extend() -> Callable[[int, int, int], int] | None:
    """Return what google_crc32c calls while it holds the interpreter's lock: of a sum, an address and a size.

    None where it has no such library, or does not show it.
    """
    try:
        extend = ctypes.CDLL(google_crc32c._crc32c.__file__).crc32c_extend
    except (AttributeError, OSError):
        return None
    extend.argtypes, extend.restype = (ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t), ctypes.c_uint32
    known = b"123456789"
    return extend if extend(0, known, len(known)) == 0xE3069283 else None


def intact(stored: bytes) -> bool:
    """Return whether *stored* ends in the checksum of what stands before it."""
    before = np.frombuffer(stored, np.uint8)[:-CHECKSUM_BYTES]
    return before.size > 0 and checksum(before) == stored[-CHECKSUM_BYTES:]


def unpacked(stored: bytes, codec: str, size: int, *, checked: bool) -> NDArray[np.uint8] | None:
    """Return the *size* bytes that *stored* stands for, which may be itself and read-only; None if it is damaged.

    It is coded by *codec*, one of ``CODECS``, and ends in a checksum where it is *checked*. None as well of what other
    decoders may know how to take: a stream of several members, or one with something behind it.
    """
    packed: Any = stored
    if checked:
        if not intact(stored):
            return None
        packed = memoryview(stored)[:-CHECKSUM_BYTES]
    if codec == "none":
        return np.frombuffer(packed, np.uint8) if len(packed) == size else None
    if not _fits(packed, codec, size):
        return None
    room: Any = np.empty(size, np.uint8)
    decoder: Callable[..., Any] = getattr(imagecodecs, f"{codec}_decode")
    try:
        return room if len(decoder(packed, out=room)) == size else None
    except (RuntimeError, ValueError):
        return None


def _fits(packed: Any, codec: str, size: int) -> bool:
    """Return whether what *packed* says of itself is true, as far as its decoder takes its word for it."""
    if codec == "blosc":  # which is not told where *packed* ends
        said = [int.from_bytes(packed[at : at + 4], "little") for at in (4, 12)]
        return len(packed) >= BLOSC_HEADER and said == [size, len(packed)]
    if codec == "gzip":  # which reads the first of several members
        ends = bytes(packed[-4:]) == (size % 2**32).to_bytes(4, "little")
        return ends and (bytes(packed).find(_MEMBER, 1) < 0 or _one_member(packed))
    return True


def _one_member(packed: Any) -> bool:
    decoder = zlib.decompressobj(31)
    try:
        decoder.decompress(packed)
    except zlib.error:
        return False
    return decoder.eof and not decoder.unused_data
