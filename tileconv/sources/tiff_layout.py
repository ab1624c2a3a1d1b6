"""TIFF tags, parsed by tifffile and checked against the file, as a plain table of where the pixels lie."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.sources.source import check_decoded
from tileconv.sources.tiff_choices import own_images
from tileconv.sources.tiff_decode import numbers, whole
from tileconv.sources.tiff_guard import check_pages
from tileconv.sources.tiff_metadata import check_ome
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

SEGMENT_LIMIT = 2**26
"""Strips and tiles of one image; 2**26 tiles of 256 x 256 are 4 terapixels."""

STRIP_BYTES = 2**18
"""What one request brings, at least, of pixels that lie behind one another."""

_FLOAT_PREDICTORS = (3, 34894, 34895)
_FAX = (2, 3, 4)
_PARSING = threading.Lock()


@dataclass(frozen=True)
class Layout:
    """One level of one series: planes of rows and columns, cut into segments.

    Attributes
    ----------
    shape, axes
        The image in the file's own order; ``axes`` in tifffile's letters.
    planes
        Number of planes: the product of the axes before rows, columns and interleaved samples.
    page
        Separate samples, depth, rows, columns and interleaved samples of one page.
    segment
        Depth, rows, columns and interleaved samples of one segment.
    offsets, counts
        Position and length in bytes of every segment, one row per page.
    plain
        Whether rows can be cut out of a segment without decoding it.
    tiled
        Whether segments are tiles, whose last ones are padded, or strips.
    ends
        What stands at the end of every whole segment: JPEG's end of image, since its decoder invents what is cut off.
    """

    shape: tuple[int, ...]
    axes: str
    planes: int
    page: tuple[int, int, int, int, int]
    segment: tuple[int, int, int, int]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    plain: bool
    tiled: bool
    bits: int
    dtype: np.dtype[np.generic]
    byteorder: str
    decode: Callable[..., Any]
    codec: str
    ends: bytes
    tables: tuple[bytes | None, ...]
    header: bytes | None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """The segments that the file leaves out: offset and length are both 0."""
        missing: NDArray[np.bool_] = (self.offsets == 0) & (self.counts == 0)
        return missing

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row of a plain segment; rows start at whole bytes."""
        return -(-self.segment[2] * self.segment[3] * self.bits // 8)


@contextmanager
def open_tiff(path: Place, version: str = "") -> Iterator[tuple[Any, list[str], bool]]:
    """Yield the parsed file, its OME-XML that of the images in it alone, what there is to say, and if it has masks.

    An object is read of its *version* alone. tifffile is not thread-safe, and logs where it guesses: one file is parsed
    at a time, and the guesses become notes.
    """
    said: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == threading.get_ident():
                said.append(f"tifffile: {record.getMessage()}")

    with _PARSING:
        handler = Notes(logging.WARNING)
        logger = logging.getLogger("tifffile")
        logger.addHandler(handler)
        try:
            with anywhere.opened(path, version) as opened:
                file = tifffile.TiffFile(opened, name=anywhere.resolve(path).name)
                masked = check_pages(file, str(path))
                root = check_ome(file, str(path))
                xml, notes = (None, []) if root is None else own_images(file, root, str(path))
                said += notes
                if xml is not None:
                    opened.seek(0)
                    file = tifffile.TiffFile(opened, name=file.filename, omexml=xml)
                yield file, said, masked
        finally:
            logger.removeHandler(handler)


def lay_out(file: Any, chosen: Any, where: str, max_chunk: int, *, by_segment: bool = False) -> Layout:
    """Return where the pixels of *chosen*, a tifffile series, lie, in segments of at most *max_chunk* decoded bytes.

    With *by_segment* no rows are cut out of segments, and pixels that lie behind one another are segments of
    ``STRIP_BYTES``: each is fetched once, and kept for as long as tiles need it.

    Raises
    ------
    SourceError
        If the tags contradict each other or the file's size, or name an unsupported codec.
    """
    key = chosen.keyframe
    _check_tags(key, where)
    samples, depth, rows, columns, inner = map(int, key.shaped)
    page = (samples, depth, rows, columns, inner)
    shape, axes, planes = _shape(chosen, (rows, columns, inner), where)
    regular = key.bitspersample in (8, 16, 32, 64) and key.sampleformat != 5
    plain, tiled, decode = _plain(key, regular=regular), bool(key.is_tiled), whole(key)
    tables: tuple[bytes | None, ...]
    if chosen.dataoffset and plain and regular:
        plane_bytes = rows * columns * inner * key.bitspersample // 8
        _check_file_size(planes, plane_bytes, chosen.dataoffset, file.filehandle.size, where)
        high = max(1, min(rows, STRIP_BYTES * rows // plane_bytes)) if by_segment else rows
        page, segment, tiled = (1, 1, rows, columns, inner), (1, high, columns, inner), False
        starts = plane_bytes // rows * np.arange(0, rows, high)
        offsets = chosen.dataoffset + plane_bytes * np.arange(planes, dtype=np.int64)[:, None] + starts
        counts = np.broadcast_to(np.diff(starts, append=plane_bytes), offsets.shape)
        tables = (None,) * planes
        decode = partial(numbers, dtype=key.dtype, stored=key.parent.byteorder, row=(columns, inner))
    else:
        segment = _segment(key, rows, columns, inner, where)
        offsets, counts, tables = _segments(chosen, planes // (samples * depth), page, segment, where)
    layout = Layout(
        shape=shape,
        axes=axes,
        planes=planes,
        page=page,
        segment=segment,
        offsets=offsets,
        counts=counts,
        plain=plain and not by_segment,
        tiled=tiled,
        bits=key.bitspersample,
        dtype=key.dtype,
        byteorder=key.parent.byteorder,
        decode=decode,
        codec=_check_codec(key, where),
        ends=b"\xff\xd9" if key.compression == 7 and key.jpegheader is None else b"",
        tables=tables,
        header=key.jpegheader,
    )
    _check_segments(layout, file.filehandle.size, max_chunk, where)
    return layout


def _shape(chosen: Any, page: tuple[int, int, int], where: str) -> tuple[tuple[int, ...], str, int]:
    """Return shape and axes of a series of pages of rows, columns and samples, and how many planes it has."""
    kept = [i for i, n in enumerate(chosen.shape) if n != 1 or chosen.axes[i] in "YX" or chosen.kind == "shaped"]
    shape, axes = tuple(int(chosen.shape[i]) for i in kept), "".join(chosen.axes[i] for i in kept)
    tail = page if shape[-3:] == page and page[2] > 1 else page[:2]
    if shape[len(shape) - len(tail) :] != tail or prod(tail) != prod(page):
        problem = f"the image's shape {shape} does not end in that of its pages, {chosen.keyframe.shape}"
        raise SourceError(problem, where=where)
    return shape, axes, prod(shape[: len(shape) - len(tail)])


def _segment(key: Any, rows: int, columns: int, inner: int, where: str) -> tuple[int, int, int, int]:
    """Return depth, rows, columns and samples of a tile or a strip; SourceError if one of them is 0."""
    if key.is_tiled:
        segment = int(key.tiledepth), int(key.tilelength), int(key.tilewidth), inner
    else:
        segment = 1, int(min(key.rowsperstrip, rows)), columns, inner
    if min(segment) < 1:
        raise SourceError(f"a segment has the shape {segment}", where=where)
    return segment


def _plain(key: Any, *, regular: bool) -> bool:
    """Return whether rows can be cut out of segments as they are stored, of *regular* numbers or of packed bits."""
    packed = isinstance(key.bitspersample, int) and key.dtype is not None and key.dtype.kind in "bu"
    raw = key.compression == 1 and key.predictor == 1 and key.fillorder == 1 and not key.is_subsampled
    return raw and (regular or packed) and not (key.is_tiled and key.tiledepth > 1)


def _check_tags(key: Any, where: str) -> None:
    """Refuse tags that contradict each other where tifffile would choose one of them, and lists in the place of one."""
    for name in ("compression", "predictor", "photometric", "planarconfig", "sampleformat"):
        if isinstance(found := getattr(key, name), tuple):
            raise SourceError(f"expected one value of {name}, found {len(found)}", where=where)
    if 324 in key.tags and not key.is_tiled:
        raise SourceError("the file has TileOffsets, but no TileWidth or TileLength", where=where)
    if key.predictor in _FLOAT_PREDICTORS and (key.dtype is None or key.dtype.kind != "f"):
        raise SourceError(f"predictor {int(key.predictor)} is for floats, the pixels are {key.dtype}", where=where)
    if key.compression in _FAX and key.bitspersample != 1:  # the decoder makes zeros of such
        problem = f"compression {int(key.compression)} is for pixels of 1 bit, these have {key.bitspersample}"
        raise SourceError(problem, where=where)


def _check_file_size(planes: int, plane_bytes: int, offset: int, size: int, where: str) -> None:
    if offset + planes * plane_bytes > size:
        raise SourceError(
            f"the header declares {planes} planes of {plane_bytes} bytes from byte {offset}, the file has {size} bytes",
            where=where,
            fix="It is truncated or damaged: copy it again.",
        )


def _segments(
    chosen: Any, pages: int, page: tuple[int, ...], segment: tuple[int, ...], where: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[bytes | None, ...]]:
    """Return offsets, byte counts and JPEG tables of every page, once their numbers are known to be right."""
    samples, depth, rows, columns, _ = page
    expected = samples * -(-depth // segment[0]) * -(-rows // segment[1]) * -(-columns // segment[2])
    if pages * expected > SEGMENT_LIMIT:
        problem = f"expected at most {SEGMENT_LIMIT} segments in all, found {expected} in each of {pages} pages"
        raise SourceError(problem, where=where)
    if len(chosen) != pages:
        raise SourceError(f"the metadata speak of {pages} pages, found {len(chosen)} pages", where=where)
    offsets, counts, tables = [], [], []
    for number, one in enumerate(chosen):
        if one is None:
            raise SourceError(f"page {number} of {pages} is not in the file", where=where)
        if not len(one.dataoffsets) == len(one.databytecounts) == expected:
            raise SourceError(
                f"page {number}: expected {expected} segments, found {len(one.dataoffsets)} offsets and "
                f"{len(one.databytecounts)} byte counts",
                where=where,
            )
        offsets.append(one.dataoffsets)
        counts.append(one.databytecounts)
        tables.append(one.jpegtables)
    return np.array(offsets, np.int64), np.array(counts, np.int64), tuple(tables)


def _check_codec(key: Any, where: str) -> str:
    """Return the name of the compression, which tifffile must know."""
    codec = f"compression {getattr(key.compression, 'name', key.compression)}"
    try:
        key.decode(None, 0)
    except Exception as error:
        problem = f"{codec if key.compression > 1 else 'a pixel'} of {key.bitspersample} bits is not supported"
        fix = "Write the image again with 8, 16 or 32 bits per sample and deflate, LZW or zstd, as with tiffcp -c zip."
        raise SourceError(problem, where=where, fix=fix) from error
    return codec


def _check_segments(layout: Layout, size: int, max_chunk: int, where: str) -> None:
    decoded = prod(layout.segment) * layout.dtype.itemsize
    longest = size if layout.plain else 2 * decoded + 2**20
    if not layout.plain:
        what = f"a segment of {layout.segment[1]} x {layout.segment[2]} px"
        check_decoded(what, decoded, size, max_chunk, where)
    present = ~layout.missing
    if not present.any():
        raise SourceError("the file holds no pixels: every segment is left out", where=where)
    shortest = np.ones_like(layout.counts)
    if layout.plain:
        first = np.arange(layout.counts.shape[1]) % -(-layout.page[2] // layout.segment[1]) * layout.segment[1]
        rows = layout.segment[1] if layout.tiled else np.minimum(layout.segment[1], layout.page[2] - first)
        shortest[:] = rows * layout.row_bytes
    bad = (layout.offsets < 8) | (layout.counts < shortest) | (layout.counts > longest)
    bad |= layout.offsets > size - np.minimum(layout.counts, size)
    if (bad & present).any():
        page, index = np.argwhere(bad & present)[0]
        raise SourceError(
            f"page {page}, segment {index}: expected {shortest[page, index]} to {longest} bytes "
            f"inside the file's {size}, found {layout.counts[page, index]} at byte {layout.offsets[page, index]}",
            where=where,
            fix="The file is truncated or damaged: copy it again.",
        )
