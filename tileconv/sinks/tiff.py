"""A tiled TIFF or BigTIFF, written from a stream of tiles in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from tileconv.boxes import TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.files import check_tile, refuse_existing, replacing

Compression = Literal["deflate", "lzw", "zstd"]

_CLASSIC_BYTES = 2**32 - 2**25  # offsets of classic TIFF have 32 bits; the rest is room for tags and tile tables


def write_tiff(
    path: Path,
    info: ImageInfo,
    tiles: Iterable[NDArray[np.generic]],
    *,
    compression: Compression | None = None,
    overwrite: bool = False,
) -> None:
    """Write *tiles* as the image *info* to *path*, which appears only when it is complete.

    Parameters
    ----------
    path
        The file; folders are made as needed.
    info
        Shape, dtype and tile size (``chunks``). The axes are ``yx``, or ``cyx`` with three channels: contiguous RGB.
    tiles
        One array per tile of ``TileGrid(info.box, info.chunks)``, in its order; short at the far edges. The next one
        is asked for when the one before has been written.
    compression
        None stores pixels as they are; otherwise a predictor for the dtype comes first.
    overwrite
        Whether an existing file is replaced.

    Raises
    ------
    GeometryError
        If there is a tile too few or too many, or one has another shape or dtype: a mistake of the caller.
    SinkError
        If *path* exists, the image does not suit, or the file system refuses.
    """
    colour = info.axes == "cyx" and info.shape[0] == info.chunks[0] == 3
    if not colour and info.axes != "yx":
        raise SinkError(
            f"a TIFF is written with the axes yx, or cyx with 3 channels in one tile, found {info}", where=str(path)
        )
    if any(side % 16 for side in info.chunks[-2:]):
        raise SinkError(f"the sides of TIFF tiles are multiples of 16 pixels, found {info.chunks}", where=str(path))
    refuse_existing(path, overwrite=overwrite)
    order = (1, 2, 0) if colour else (0, 1)
    grid = TileGrid(info.box, info.chunks)
    stored_bytes = len(grid) * math.prod(info.chunks) * info.dtype.itemsize
    big = stored_bytes > _CLASSIC_BYTES // (2 if compression else 1)  # a codec may make noise longer
    with replacing(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=big) as writer:
        checked = _checked(info, grid, tiles)
        writer.write(
            (np.ascontiguousarray(tile.transpose(order)) for tile in checked),
            shape=tuple(info.shape[axis] for axis in order),
            dtype=info.dtype,
            tile=info.chunks[-2:],
            photometric="rgb" if colour else "minisblack",
            planarconfig="contig" if colour else None,
            compression=compression,
            predictor=compression is not None,
            maxworkers=1,
        )
        next(checked, None)  # tifffile stops at the last tile; what makes the tiles must come to its end


def _checked(info: ImageInfo, grid: TileGrid, tiles: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.generic]]:
    """Yield *tiles*, of which each has its place; tifffile would fill a short one with zeros."""
    given = iter(tiles)
    for box in grid:
        tile = next(given, None)
        if tile is None:
            raise GeometryError(f"tile {box} is missing")
        check_tile(box, tile, info)
        yield tile
    if next(given, None) is not None:
        raise GeometryError(f"more than the {len(grid)} tiles of {info.box}")
