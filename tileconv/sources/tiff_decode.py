"""Decoders of segments: of such as hold more bytes than their pixels take, and of plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF

_STRICT = (8, 32946, 50013, 50000, 34926, 32773)
"""Deflate, Zstandard and PackBits, whose decoders fail where there is more than they were told."""


def whole(page: Any) -> Callable[..., Any]:
    """Return the decoder of *page*, which reads of a segment what its pixels take and ignores the rest.

    libtiff reads such segments, and tifffile's own decoders refuse them.

    The rest is at most what fills the last strip up to the rows of the others, and less than a row beside: a segment
    of more contradicts its tags.
    """
    if page.compression not in _STRICT or page.fillorder != 1 or not isinstance(page.bitspersample, int):
        return page.decode  # type: ignore[no-any-return]

    def decode(data: bytes, index: int, **more: Any) -> Any:
        try:
            return page.decode(data, index, **more)
        except Exception:
            (depth, rows, *across), (_, most, *_) = (page.decode(None, i)[2] for i in (index, 0))
            row = -(-prod(across) * page.bitspersample // 8)
            pixels = TIFF.DECOMPRESSORS[page.compression](data, out=depth * (most + 1) * row - 1)
            if len(pixels) <= depth * rows * row:
                raise
            return page.decode(TIFF.COMPRESSORS[page.compression](bytes(pixels[: depth * rows * row])), index, **more)

    return decode


def numbers(
    data: bytes, _index: int, *, dtype: np.dtype[Any], stored: str, row: tuple[int, int], **_: Any
) -> tuple[NDArray[Any]]:
    """Return *data*, rows of numbers in the byte order *stored*, as tifffile's decoders do: with planes and samples."""
    return (np.frombuffer(data, np.dtype(stored + dtype.char)).reshape(1, -1, *row).astype(dtype, copy=False),)
