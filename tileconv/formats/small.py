"""Files without tiles, for small results: PNG, which is encoded whole, and NumPy's own, written row by row."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import cast

import imagecodecs
import numpy as np

from tileconv.boxes import Box, TileGrid
from tileconv.formats.stream import in_order
from tileconv.planning.files import rows_of, samples_of
from tileconv.progress import Progress
from tileconv.sources.source import Pixels, Source
from tileconv.stores import steady

_HEADER_BYTES = 33
"""Of a PNG: its signature and the chunk that comes first."""


def _parts(source: Source, workers: int, stop: Event, progress: Progress) -> Iterator[tuple[Box, Pixels]]:
    boxes = TileGrid(source.info.box, rows_of(source.info))
    progress.begin(len(boxes), source.info.box.size)
    for box, pixels in zip(boxes, in_order(source.read, boxes, workers, stop), strict=True):
        yield box, pixels
        progress.tile(box.size)


def write_npy(path: Path, source: Source, workers: int, stop: Event, progress: Progress) -> int:
    """Write the pixels of *source* to *path*, and return its bytes."""
    info, header = source.info, io.BytesIO()
    dtype = info.dtype.newbyteorder("<")
    np.lib.format.write_array_header_1_0(
        header, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": info.shape}
    )
    descriptor = steady.open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        at = steady.write_at(descriptor, header.getvalue(), 0)
        for _, pixels in _parts(source, workers, stop, progress):
            at = steady.write_at(descriptor, pixels.astype(dtype, copy=False).tobytes(), at)
        return at
    finally:
        os.close(descriptor)


def write_png(path: Path, source: Source, workers: int, stop: Event, progress: Progress, provenance: str) -> int:
    """Write *source* as a PNG with its *provenance*, a JSON text, to *path*, and return its bytes."""
    info = source.info
    pixels = np.empty(info.shape, info.dtype)
    for box, part in _parts(source, workers, stop, progress):
        pixels[box.within(info.box)] = part
    planes = pixels.reshape(-1, *info.shape[-2:])
    image = np.ascontiguousarray(np.moveaxis(planes, 0, -1)) if samples_of(info) > 1 else planes[0]
    encoded = cast("bytes", imagecodecs.png_encode(image))
    told = b"tEXt" + b"tileconv\0" + provenance.encode("ascii")
    chunk = struct.pack(">I", len(told) - 4) + told + struct.pack(">I", zlib.crc32(told)) if provenance else b""
    whole = encoded[:_HEADER_BYTES] + chunk + encoded[_HEADER_BYTES:]
    steady.replace(path, [[whole]])
    return len(whole)
