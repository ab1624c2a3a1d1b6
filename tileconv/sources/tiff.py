"""TIFF: tifffile parses the tags and decodes; the bytes of segments are read here, by offset, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.georeference import Georeference
from tileconv.images import ImageInfo, as_text
from tileconv.shown import size_text
from tileconv.sources.axes import AxisMap, map_axes
from tileconv.sources.cache import OPEN_FILES, Cache, decoded
from tileconv.sources.source import (
    CHUNK_LIMIT_BYTES,
    Pixels,
    Reads,
    Window,
    cells,
    check_same,
    check_unchanged,
    fingerprint_of,
    pixel_type,
    reading,
    stamp_of,
)
from tileconv.sources.tiff_axes import Stated, stated
from tileconv.sources.tiff_choices import choose
from tileconv.sources.tiff_geo import georeference_of
from tileconv.sources.tiff_layout import Layout, lay_out, open_tiff
from tileconv.sources.tiff_masks import mask_beside, mask_of
from tileconv.sources.tiff_metadata import nodata_of
from tileconv.sources.tiff_pixels import Declared, declared
from tileconv.sources.tiff_segments import Segments

LARGE_BYTES = 2**26
"""A compressed segment of more decoded bytes is worth a note, and too large to be tried."""
SMALL_BYTES = 2**19
"""A whole image in one compressed segment is worth a note if it takes more."""

_OPENED: Cache[Segments] = Cache(OPEN_FILES)
_OPENING = threading.Lock()


@dataclass(frozen=True)
class _Recipe:
    path: Path
    series: int
    level: int
    max_chunk: int
    mask: bool

    def chosen(self, file: Any) -> tuple[Any, Any, list[str]]:
        """Return the image, its level that is read, and notes, as ``choose`` does; of a mask that of the level."""
        base, chosen, notes = choose(file, self.series, self.level, str(self.path))
        return (base, mask_of(file, chosen), []) if self.mask else (base, chosen, notes)


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
        )


class TiffSource:
    """One level of one series of a TIFF file; see ``open_source`` for the parameters.

    Uncompressed segments are read by parts of rows, others whole. Segments that the file leaves out (offset
    and length 0, as GDAL writes sparse files) read as nodata, or 0 where the file states none, unless *missing_chunks*
    is ``"error"``. With *mask* the image is not that of the level but its mask in the same file.
    """

    cache_bytes = 0
    libraries = ("tifffile",)

    def __init__(
        self,
        path: Path,
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
        self.changed = self._stamp[1]
        self.fingerprint = fingerprint_of(path)
        self._recipe = _Recipe(path, series, level, max_chunk, mask)
        self._key = (self._recipe, *self._stamp, *self.fingerprint.values())
        self._missing = missing_chunks
        with reading(self.where, "opening as TIFF"), open_tiff(path) as (file, said, masked):
            base, chosen, others = self._recipe.chosen(file)
            layout = lay_out(file, chosen, self.where, max_chunk)
            told = _Told.of(file, base, chosen, self._recipe, masked=masked)
            self._masked = masked and not mask and mask_of(file, chosen) is not None
        self._map, guessed = map_axes(layout.axes, layout.shape, axes, self.where)
        self._dtype, self._palette = pixel_type(layout.dtype, self.where), told.pixels.palette
        self._absent, self._filled = (int(layout.missing.sum()), layout.missing.size), told.nodata or 0
        info = self._info(layout, told, (*others, *said), guessed)
        self.info = self._palette.applied(info, self.where) if self._palette else info
        with reading(self.where, "opening as TIFF"), _OPENING:
            opened = _OPENED.get(self._key, lambda: Segments(path, layout))
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
            _chunks(layout, self._map),
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
        )

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        return self._palette.read(box, reads, self._stored) if self._palette else self._stored(box, reads)

    def _stored(self, box: Box, reads: Reads | None) -> Pixels:
        check_unchanged(self._recipe.path, self._stamp)
        with _OPENING:
            opened = _OPENED.get(self._key, self._open)
        layout = opened.layout
        window = self._map.window(box)
        trailing = 3 if layout.page[4] > 1 else 2
        area = (*window[-trailing:], slice(0, 1))[:3]
        planes = np.arange(layout.planes).reshape(layout.shape[:-trailing])[window[:-trailing]]
        block = np.empty(box.shape, self._dtype)
        view = self._map.as_in_file(block)
        view = view if trailing == 3 else view[..., np.newaxis]
        if not planes.ndim:
            planes, view = planes.reshape(1), view[np.newaxis]
        deep = window[-trailing - 1] if len(window) > trailing else slice(0, 1)
        for lead in np.ndindex(planes.shape[:-1]):
            at = tuple(slice(s.start + i, s.start + i + 1) for s, i in zip(window, lead, strict=False))
            for (slab,), part, place in cells((deep,), layout.segment[:1]):
                whole = (*at, slice(slab * layout.segment[0], (slab + 1) * layout.segment[0]))[: len(window) - trailing]
                first = int(planes[lead][place][0])
                self._read_slab(opened, first, (*part, *area), view[lead][place], whole, reads)
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

    def _open(self) -> Segments:
        one = self._recipe
        with reading(self.where, "opening as TIFF"), open_tiff(one.path) as (file, _, _):
            chosen = one.chosen(file)[1]
            return Segments(one.path, lay_out(file, chosen, self.where, one.max_chunk))

    def _read_slab(
        self, opened: Segments, plane: int, area: Window, out: Pixels, at: Window, reads: Reads | None
    ) -> None:
        """Fill *out*, planes by rows by columns by samples, with the window *area* of the planes of one segment.

        *plane* is the first of them; *area* counts planes from where the segment begins, and *at* is the segment along
        the axes of the file before its rows.
        """
        layout = opened.layout
        samples, depth, rows, columns, _ = layout.page
        page, inner = divmod(plane, samples * depth)
        sample, slab = divmod(inner, depth)
        _, high, wide, _ = layout.segment
        tall, broad = -(-rows // high), -(-columns // wide)
        first = (sample * -(-depth // layout.segment[0]) + slab // layout.segment[0]) * tall * broad
        for (_, down, across, _), part, place in cells(area, layout.segment):
            index = first + down * broad + across
            if layout.offsets[page, index] == 0:
                out[place] = self._fill(page, index)
            elif layout.plain:
                opened.read_rows(page, index, part[1:], out[place][0])
            else:
                inside = slice(down * high, (down + 1) * high), slice(across * wide, (across + 1) * wide)
                whole = self._map.of_file((*at, *inside, slice(0, layout.segment[3]))[: len(layout.shape)])
                segment = self._segment(opened, page, index, whole, reads)
                if any(s.stop > n for s, n in zip(part, segment.shape, strict=True)):
                    raise opened.damaged(page, index, f"expected {layout.segment}, decoded to {segment.shape}")
                out[place] = segment[part]

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


def _chunks(layout: Layout, axes: AxisMap) -> tuple[int, ...]:
    """Return the chunk that one read decodes at least, in canonical order: a segment, or a row of a plain strip."""
    trailing = 3 if layout.page[4] > 1 else 2
    rows = 1 if layout.plain and not layout.tiled else layout.segment[1]
    inside = (rows, layout.segment[2], layout.segment[3])[:trailing]
    lead = [1] * (len(layout.shape) - trailing)
    if lead and layout.segment[0] > 1:
        lead[-1] = layout.segment[0]
    return tuple(min(c, n) for c, n in zip(axes.of_file((*lead, *inside)), axes.of_file(layout.shape), strict=True))


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
