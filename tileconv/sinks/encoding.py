"""How an output array lies on disk: its Zarr v3 metadata, and the bytes of a chunk.

Written by hand, because Zarr's own write path copies a chunk several times and takes longer than the codec, and because
importing it takes a fifth of a second (both measured in docs/performance.md). Whoever reads a result uses Zarr; the
tests hold the two together.

Chunks are blosc (lz4 on shuffled bits) with a CRC-32C behind it: faster and smaller on float pixels than zstd with its
own checksum (docs/decisions/006-blosc-with-crc32c.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import google_crc32c
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.images import ImageInfo

LEVEL = 1
HEADER_BYTES = 16
"""What blosc needs beyond pixels that it cannot make any shorter."""
CHECKSUM_BYTES = 4


def array_metadata(info: ImageInfo, attributes: Mapping[str, object]) -> dict[str, Any]:
    """Return the ``zarr.json`` of the array that *info* describes: https://zarr-specs.readthedocs.io/en/latest/v3/.

    Examples
    --------
    >>> array_metadata(ImageInfo((4, 5), "yx", np.dtype("u1"), (4, 5)), {})["dimension_names"]
    ['y', 'x']
    """
    item_bytes = info.dtype.itemsize
    blosc = {"cname": "lz4", "clevel": LEVEL, "shuffle": "bitshuffle", "typesize": item_bytes, "blocksize": 0}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(info.shape),
        "data_type": info.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(info.chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if info.dtype.kind == "f" else 0,
        "codecs": [
            {"name": "bytes"} | ({"configuration": {"endian": "little"}} if item_bytes > 1 else {}),
            {"name": "blosc", "configuration": blosc},
            {"name": "crc32c"},
        ],
        "dimension_names": list(info.axes),
        "attributes": dict(attributes),
    }


def group_metadata(attributes: Mapping[str, object]) -> dict[str, Any]:
    """Return the ``zarr.json`` of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def encode(chunk: NDArray[Any]) -> tuple[memoryview, bytes]:
    """Return the bytes that stand for the pixels of a whole chunk, and the checksum that follows them in its file.

    Two pieces, because joining them would take as long again as encoding.
    """
    pixels: Any = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<"))
    room: Any = np.empty(pixels.nbytes + HEADER_BYTES, np.uint8)  # else the codec copies its result, and threads wait
    packed: Any = imagecodecs.blosc_encode(
        pixels, level=LEVEL, compressor="lz4", shuffle="bitshuffle", typesize=pixels.itemsize, numthreads=1, out=room
    )
    return packed.data, _checksum(packed)


def intact(encoded: bytes) -> bool:
    """Return whether the bytes of a chunk carry their own checksum."""
    return len(encoded) > CHECKSUM_BYTES and _checksum(encoded[:-CHECKSUM_BYTES]) == encoded[-CHECKSUM_BYTES:]


def _checksum(packed: Any) -> bytes:
    value: int = google_crc32c.value(packed)
    return value.to_bytes(CHECKSUM_BYTES, "little")
