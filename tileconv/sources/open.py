"""Which source reads a file, by what the file holds rather than by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tileconv.errors import SourceError
from tileconv.sources.folders import is_store
from tileconv.sources.kinds import (
    EXPECTED,
    FIRST_BYTES,
    HEAD_BYTES,
    no_store,
    not_read,
    nothing,
    reader_of,
    unusual_jpeg,
)
from tileconv.sources.masked import Masked
from tileconv.sources.source import CHUNK_LIMIT_BYTES, Source, reading
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place, Remote, place_of
from tileconv.stores.location import Location, here

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FITS_MAGIC = b"SIMPLE  ="
JPEG_MAGIC = b"\xff\xd8\xff"
PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", JPEG_MAGIC)


def open_source(
    path: str | Path | Location | Remote,
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
        A TIFF, PNG, JPEG or ``.npy`` file, or the folder of a Zarr array, an OME-Zarr image or a group with one image:
        of this machine, or of a store.
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
    given, path = path, _place(path)
    where, most = str(path), max_chunk or CHUNK_LIMIT_BYTES
    with reading(where, "opening"):
        head = _head(path, str(given))
    if head is None:
        from tileconv.sources.zarr import ZarrSource  # zarr and tifffile: a fifth and a tenth of a second

        return ZarrSource(path, series=series, level=level, axes=axes, missing_chunks=missing_chunks, max_chunk=most)
    if head.startswith(TIFF_MAGIC):
        from tileconv.sources.tiff import TiffSource

        source = TiffSource(path, series=series, level=level, axes=axes, missing_chunks=missing_chunks, max_chunk=most)
        mask = source.own_mask() if own_mask else None
        return source if mask is None else Masked(source, mask)
    if head.startswith(FITS_MAGIC):
        from tileconv.sources.fits import FitsSource

        return FitsSource(path, series=series, level=level, axes=axes, max_chunk=most)
    if reader := reader_of(head):
        from tileconv.sources.microscope import MicroscopeSource

        return MicroscopeSource(path, reader=reader, series=series, level=level, axes=axes, max_chunk=most)
    from tileconv.sources.npy import NpySource
    from tileconv.sources.raster import PictureSource

    picture = head.startswith(PICTURE_MAGIC) and not unusual_jpeg(head)
    if not picture and not head.startswith(b"\x93NUMPY"):
        raise not_read(path, head)
    if series or level:
        fix = "Remove input.series and input.level."
        raise SourceError(f"the file has one image only, found series {series}, level {level}", where=where, fix=fix)
    return PictureSource(path, axes=axes, max_chunk=most) if picture else NpySource(path, axes=axes)


def _place(path: str | Path | Location | Remote) -> Place:
    if isinstance(path, Remote):
        return path
    path = here(path) if isinstance(path, str) and "://" in path else path
    return place_of(path) if isinstance(path, Location) else Path(path).expanduser().absolute()


def _head(path: Place, given: str) -> bytes | None:
    """Return how the file at *path* begins, or None for a Zarr folder; SourceError for what is neither."""
    try:
        file = anywhere.is_file(path)
    except PermissionError:  # of a store that must not tell what it holds
        if is_store(path):
            return None
        raise
    if file:
        with anywhere.opened(path) as opened:
            head = opened.read(FIRST_BYTES)
            head += opened.read(HEAD_BYTES - FIRST_BYTES) if head.startswith(JPEG_MAGIC) else b""
        page = isinstance(path, Remote) and head.lstrip().startswith(b"<")  # by which a server lists a folder
        return None if page and is_store(path) else head
    if is_store(path):
        return None
    if anywhere.is_folder(path):
        raise no_store(path)
    if anywhere.exists(path):
        fix = "Write the image to a file."
        raise SourceError(f"expected {EXPECTED}, found a device or a pipe", where=str(path), fix=fix)
    raise nothing(path, given)
