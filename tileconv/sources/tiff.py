"""TIFF: tifffile parses the tags and decodes; the bytes of segments are read here, by offset, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np

from tileconv.acquisition import acquisition
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.georeference import Georeference
from tileconv.images import ImageInfo, as_text
from tileconv.quick import dataclass
from tileconv.shown import size_text
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import CHUNKS, OPEN_FILES, SPARE_BYTES, Cache, decoded, sparing
from tileconv.sources.colours import place
from tileconv.sources.source import (
    CHUNK_LIMIT_BYTES,
    Pixels,
    Reads,
    Window,
    check_as_opened,
    check_same,
    check_unchanged,
    fingerprint_of,
    pixel_type,
    reading,
    stamp_of,
    version_of,
)
from tileconv.sources.tiff_axes import Stated, stated
from tileconv.sources.tiff_choices import choose
from tileconv.sources.tiff_geo import georeference_of
from tileconv.sources.tiff_layout import Layout, lay_out, open_tiff
from tileconv.sources.tiff_masks import mask_beside, mask_of
from tileconv.sources.tiff_metadata import check_ome, nodata_of
from tileconv.sources.tiff_pieces import Piece, chunks_of, pieces_of
from tileconv.sources.tiff_pixels import Declared, declared
from tileconv.sources.tiff_segments import Fetched, Segments
from tileconv.stores.ahead import HELD_BYTES, Ahead
from tileconv.stores.anywhere import Place, Remote

LARGE_BYTES = 2**26
"""A compressed segment of more decoded bytes is worth a note, and too large to be tried."""
SMALL_BYTES = 2**19
"""A whole image in one compressed segment is worth a note if it takes more."""

_OPENED: Cache[Segments] = Cache(OPEN_FILES)
_OPENING = threading.Lock()


@dataclass(frozen=True)
class _Recipe:
    path: Place
    series: int
    level: int
    max_chunk: int
    mask: bool

    def chosen(self, file: Any) -> tuple[Any, Any, list[str]]:
        """Return the image, its level that is read, and notes, as ``choose`` does; of a mask that of the level."""
        base, chosen, notes = choose(file, self.series, self.level, str(self.path))
        return (base, mask_of(file, chosen), []) if self.mask else (base, chosen, notes)

    def laid_out(self, file: Any, chosen: Any) -> Layout:
        """Return where the pixels of the level *chosen* lie."""
        return lay_out(file, chosen, str(self.path), self.max_chunk, by_segment=isinstance(self.path, Remote))

    def segments(self, layout: Layout, version: str) -> Segments:
        """Return what lies there, of the *version* of an object."""
        path = self.path
        return Fetched(path, layout, version) if isinstance(path, Remote) else Segments(path, layout)


@dataclass(frozen=True)
class _Told:
    """What a file tells of the level that is read, beside its layout; ``notes`` on nodata, ``lost`` on its place."""

    pixels: Declared
    axes: Stated
    nodata: float | None
    notes: Sequence[str]
    georeference: Georeference
    lost: Sequence[str]
    shrunk: dict[str, float]
    inverted: bool
    samples: int

    @classmethod
    def of(cls, file: Any, base: Any, chosen: Any, one: _Recipe, *, masked: bool) -> _Told:
        """Return what is told of the level *chosen* of an image whose full size is *base*."""
        path = one.path
        return cls(
            Declared() if one.mask else declared(chosen.keyframe, chosen.kind, masked=masked, path=path),
            stated(file, base, one.series, str(path)),
            *nodata_of(chosen.keyframe),
            *georeference_of(base.keyframe),  # overviews do not repeat it
            shrunk=_shrunk(base, chosen),
            inverted=int(chosen.keyframe.photometric) == 0,
            samples=int(chosen.keyframe.samplesperpixel),
        )


class TiffSource:
    """One level of one series of a TIFF file; see ``open_source`` for the parameters.

    Uncompressed segments are read by parts of rows, others whole. Segments that the file leaves out (offset
    and length 0, as GDAL writes sparse files) read as nodata, or 0 where the file states none, unless *missing_chunks*
    is ``"error"``. With *mask* the image is not that of the level but its mask in the same file.
    """

    libraries = ("tifffile",)

    def __init__(
        self,
        path: Place,
        *,
        series: int = 0,
        level: int = 0,
        axes: str | None = None,
        missing_chunks: Literal["report", "error"] = "report",
        max_chunk: int = CHUNK_LIMIT_BYTES,
        mask: bool = False,
    ) -> None:
        self.where = str(path)
        self._stamp = stamp_of(path)
        self.changed = self._stamp[-1]
        self.fingerprint = fingerprint_of(path)
        self.cache_bytes = (HELD_BYTES + SPARE_BYTES) * isinstance(path, Remote)
        self._recipe = _Recipe(path, series, level, max_chunk, mask)
        self._key = repr((self._recipe, *self._stamp, *self.fingerprint.values()))  # texts keep their hash
        self._missing = missing_chunks
        with reading(self.where, "opening as TIFF"), self._parsed() as (file, said, masked):
            base, chosen, others = self._recipe.chosen(file)
            layout = self._recipe.laid_out(file, chosen)
            told = _Told.of(file, base, chosen, self._recipe, masked=masked)
            self._masked = masked and not mask and mask_of(file, chosen) is not None
        self._map, guessed = map_axes(layout.axes, layout.shape, axes, self.where)
        self._dtype, self._palette = pixel_type(layout.dtype, self.where), told.pixels.palette
        self._absent, self._filled = (int(layout.missing.sum()), layout.missing.size), told.nodata or 0
        info = self._info(layout, told, (*others, *said), guessed)
        self.info = self._palette.applied(info, self.where) if self._palette else info
        with reading(self.where, "opening as TIFF"), _OPENING:
            opened = _OPENED.get(self._key, lambda: self._recipe.segments(layout, version_of(self._stamp)))
        if not layout.plain and prod(layout.segment) * layout.dtype.itemsize <= LARGE_BYTES:
            opened.try_some()

    def _info(self, layout: Layout, told: _Told, notes: Sequence[str], guessed: Sequence[str]) -> ImageInfo:
        nodata, pixels, axis, shrunk = told.nodata, told.pixels, told.axes, told.shrunk
        absent, segments = self._absent
        sparse = f"{absent} of {segments} segments are not stored and read as {as_text(nodata or 0)}"
        if self._palette and nodata is not None:
            pixels.masks.append(f"the nodata value {as_text(nodata)} of a palette")
            nodata = None
        names, shape = self._map.axes, self._map.of_file(layout.shape)
        count = shape[names.index("c")] if "c" in names else 1
        channels = axis.channels or pixels.bands
        own = (*pixels.notes, *(f"{mask} is not used" for mask in pixels.masks), *axis.notes, *told.lost)
        return ImageInfo(
            shape,
            names,
            self._dtype,
            chunks_of(layout, self._map),
            tuple(axis.scale.get(a, 1.0) * shrunk.get(a, 1.0) for a in names) if axis.scale else (),
            tuple(axis.units.get(a, "") for a in names),
            nodata,
            channels if len(channels) == count else (),
            not layout.plain,
            (*notes, *own, *_large(layout), *told.notes, *[sparse] * bool(absent), *guessed),
            colours=axis.colours if len(axis.colours) == count else (),
            georeference=told.georeference.enlarged(shrunk.get("y", 1.0), shrunk.get("x", 1.0)),
            masks=tuple(pixels.masks),
            inverted=told.inverted,
            alpha=pixels.alpha if count == told.samples else "",
        )

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        return self._palette.read(box, reads, self._stored) if self._palette else self._stored(box, reads)

    def _parsed(self) -> AbstractContextManager[tuple[Any, list[str], bool]]:
        return open_tiff(self._recipe.path, version_of(self._stamp))

    def _stored(self, box: Box, reads: Reads | None) -> Pixels:
        check_as_opened(self._recipe.path, self._stamp)
        with _OPENING:
            opened = _OPENED.get(self._key, self._open)
        block = np.empty(box.shape, self._dtype)
        if not isinstance(opened, Fetched):
            for piece in pieces_of(opened.layout, self._map, box, block):
                self._read_piece(opened, piece, reads)
            return block
        reads, pieces = sparing(reads), [*pieces_of(opened.layout, self._map, box, block)]
        keys = {
            opened.part(*one.segment): (self._key, *one.segment) for one in pieces if opened.layout.offsets[one.segment]
        }
        with Ahead(keys, lambda part: CHUNKS.has(keys[part])) as ahead:
            for piece in pieces:
                self._read_piece(opened.after(ahead), piece, reads)
        return block

    def own_mask(self) -> TiffSource | None:
        """Return the one mask that the file tells of, in it or beside it, or None where there is none that is read."""
        one, beside = self._recipe, mask_beside(self._recipe.path)
        opened = partial(TiffSource, level=one.level, missing_chunks=self._missing, max_chunk=one.max_chunk)
        if len(self.info.masks) != 1 or not (beside or self._masked):
            return None
        return opened(beside) if beside else opened(one.path, series=one.series, mask=True)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        check_unchanged(self._recipe.path, self._stamp)
        check_same(fingerprint_of(self._recipe.path), self.fingerprint, self.where)

    def missing_chunks_total(self) -> tuple[int, int]:
        """Return how many segments the file leaves out, and how many the image has."""
        return self._absent

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        with reading(self.where, "opening as TIFF"), self._parsed() as (file, _, _):
            root = check_ome(file, self.where)
            return "" if root is None else acquisition(root, self._recipe.series)

    def _open(self) -> Segments:
        one = self._recipe
        with reading(self.where, "opening as TIFF"), self._parsed() as (file, _, _):
            return one.segments(one.laid_out(file, one.chosen(file)[1]), version_of(self._stamp))

    def _read_piece(self, opened: Segments, piece: Piece, reads: Reads | None) -> None:
        layout, (page, index), part = opened.layout, piece.segment, piece.part
        if layout.offsets[page, index] == 0:
            piece.out[...] = self._fill(page, index)
        elif layout.plain:
            opened.read_rows(page, index, part[1:], piece.out[0])
        else:
            whole = self._map.of_file((*piece.at, slice(0, layout.segment[3]))[: len(layout.shape)])
            segment = self._segment(opened, page, index, whole, reads)
            if any(s.stop > n for s, n in zip(part, segment.shape, strict=True)):
                raise opened.damaged(page, index, f"expected {layout.segment}, decoded to {segment.shape}")
            for plane, out in zip(segment[part[0]], piece.out, strict=True):
                place(plane, part[1:], out)

    def _fill(self, page: int, index: int) -> float:
        if self._missing == "error":
            raise SourceError(
                f"page {page}, segment {index} is not stored",
                where=self.where,
                fix="Set input.missing_chunks to report to read it as nodata.",
            )
        return self._filled

    def _segment(self, opened: Segments, page: int, index: int, whole: Window, reads: Reads | None) -> Pixels:
        return decoded((self._key, page, index), lambda: self._decode(opened, page, index), whole, reads)

    def _decode(self, opened: Segments, page: int, index: int) -> Pixels:
        return opened.decode(page, index)


def _shrunk(base: Any, chosen: Any) -> dict[str, float]:
    """Return how many pixels of the full size one pixel of the level *chosen* stands for, by axis."""
    if len(base.shape) != len(chosen.shape):
        return {}
    sizes = zip(base.axes, base.shape, chosen.shape, strict=True)
    return {axis.lower(): full / here for axis, full, here in sizes if axis in "ZYX"}


def _large(layout: Layout) -> list[str]:
    """Return a note where compressed segments are so large that reading them whole costs much."""
    whole, size = layout.offsets.shape[1] == 1 and layout.page[2] > 1, prod(layout.segment) * layout.dtype.itemsize
    if layout.plain or size <= (SMALL_BYTES if whole else LARGE_BYTES):
        return []
    what = "the image is one compressed segment and" if whole else "each compressed segment"
    fix = "written again in tiles (tiffcp -t), the file is read in parts"
    return [f"{what} is decoded whole, {size_text(size)}; {fix}"]
