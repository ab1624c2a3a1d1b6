"""Which source reads a file, by what the file holds rather than by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tileconv.errors import SourceError
from tileconv.sources.folders import is_store
from tileconv.sources.kinds import EXPECTED, HEAD_BYTES, no_store, not_read, nothing, unusual_jpeg
from tileconv.sources.masked import Masked
from tileconv.sources.source import CHUNK_LIMIT_BYTES, Source, reading
from tileconv.stores import steady

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def open_source(
    path: str | Path,
    *,
    series: int = 0,
    level: int = 0,
    axes: str | None = None,
    missing_chunks: Literal["report", "error"] = "report",
    max_chunk: int | None = None,
    own_mask: bool = False,
) -> Source:
    """Return the source that reads *path*.

    Parameters
    ----------
    path
        A TIFF, PNG, JPEG or ``.npy`` file, or the folder of a Zarr array, an OME-Zarr image or a group with one image.
    series, level
        Which image of the file, and which resolution of it; 0 is the first and the largest.
    axes
        The name of every axis in the file's own order, letters of ``tczyx``, instead of what the file says.
    missing_chunks
        What reading a chunk that is not stored does: ``report`` gives the fill value, ``error`` a SourceError.
    max_chunk
        The most bytes that a chunk, tile, strip or picture may decode to; 1 GiB by default.
    own_mask
        Whether a mask that the file has of its own is read with the pixels: the source is ``Masked`` then.

    Raises
    ------
    SourceError
        If the file is absent, damaged, of another kind or over a limit.
    """
    given, path = path, Path(path).expanduser().absolute()
    where, most = str(path), max_chunk or CHUNK_LIMIT_BYTES
    with reading(where, "opening"):
        found, folder, plain = steady.exists(path), steady.is_folder(path), steady.is_file(path)
    if not found:
        with reading(where, "opening"):
            raise nothing(path, str(given))
    if folder:
        with reading(where, "opening"):
            if not is_store(path):
                raise no_store(path)
        from tileconv.sources.zarr import ZarrSource  # zarr and tifffile: a fifth and a tenth of a second

        return ZarrSource(path, series=series, level=level, axes=axes, missing_chunks=missing_chunks, max_chunk=most)
    if not plain:
        fix = "Write the image to a file."
        raise SourceError(f"expected {EXPECTED}, found a device or a pipe", where=where, fix=fix)
    with reading(where, "opening"), steady.opened(path) as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(TIFF_MAGIC):
        from tileconv.sources.tiff import TiffSource

        source = TiffSource(path, series=series, level=level, axes=axes, missing_chunks=missing_chunks, max_chunk=most)
        mask = source.own_mask() if own_mask else None
        return source if mask is None else Masked(source, mask)
    from tileconv.sources.raster import NpySource, PictureSource

    picture = head.startswith(PICTURE_MAGIC) and not unusual_jpeg(head)
    if not picture and not head.startswith(b"\x93NUMPY"):
        raise not_read(path, head)
    if series or level:
        fix = "Remove input.series and input.level."
        raise SourceError(f"the file has one image only, found series {series}, level {level}", where=where, fix=fix)
    return PictureSource(path, axes=axes, max_chunk=most) if picture else NpySource(path, axes=axes)
