"""Images of FITS files, read by astropy window by window, tile-compressed ones too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.georeference import Georeference
from tileconv.images import ImageInfo
from tileconv.sky import Cards
from tileconv.sources.axes import map_axes
from tileconv.sources.choices import chosen, size
from tileconv.sources.foreign import absent, quiet
from tileconv.sources.one_file import OneFile
from tileconv.sources.source import (
    Pixels,
    Reads,
    check_as_opened,
    check_decoded,
    pixel_type,
    reading,
)
from tileconv.stores.anywhere import Place, Remote

MOST_UNITS = 1000
"""Header and data units of a file that are looked at."""
_KINDS = {
    "z": ("FREQ", "WAVE", "AWAV", "ENER", "WAVN", "VRAD", "VOPT", "VELO", "ZOPT", "BETA", "FELO"),
    "c": ("STOKES",),
    "t": ("TIME", "UTC", "TT", "TAI", "MJD", "JD"),
}
"""What CTYPE says of an axis beyond the second, by how it begins (FITS 4.0, tables 22, 25 and 28)."""
_NOTES = {
    "BUNIT": "the unit of pixels {} is not carried",
    "BLANK": "pixels of {} are missing: they are read as NaN",
}
_PLACED = "rows are taken as stored: the first is the lowest of the sky"
_NOWHERE = "where the pixels lie is not carried: its coordinates are no sky's, or distorted by tables"


class FitsSource(OneFile):
    """An image of a FITS file, its rows as stored, its numbers as BSCALE and BZERO make them.

    The world coordinates of its last two axes are carried; NaN and BLANK are missing pixels.
    """

    libraries = ("astropy",)
    cache_bytes = 0

    def __init__(self, path: Place, *, series: int, level: int, axes: str | None, max_chunk: int) -> None:
        if isinstance(path, Remote):
            raise SourceError("a FITS file is read from a disk", where=str(path), fix="Copy the file here first.")
        super().__init__(path)
        if level:
            problem = f"an image of a FITS file has one level, found level {level}"
            raise SourceError(problem, where=self.where, fix="Remove input.level.")
        with reading(self.where, "opening as FITS"), opened(path) as units, quiet():
            images = images_of(units)
            told = chosen("series", series, [size(shape) for _, shape in images], self.where)
            self._unit, shape = images[series]
            unit = units[self._unit]
            chunk = self._check_whole(unit, shape, max_chunk)
            header, dtype = unit.header, unit.section[(slice(0, 1),) * len(shape)].dtype
            cards = _celestial(header)
        told += [note.format(header[key]) for key, note in _NOTES.items() if key in header]
        told += [_PLACED if cards else _NOWHERE] * ("CTYPE1" in header)
        self._map, guessed = map_axes(_axes(header, len(shape)), shape, axes, self.where)
        self.info = ImageInfo(
            self._map.of_file(shape),
            self._map.axes,
            pixel_type(dtype, self.where),
            self._map.of_file(chunk),
            compressed=hasattr(unit, "tile_shape"),
            notes=(*told, *guessed),
            georeference=Georeference(sky=cards),
        )

    def _check_whole(self, unit: Any, shape: Sequence[int], max_chunk: int) -> tuple[int, ...]:
        """Return the pixels that are decoded at once; SourceError where they are too many or the file is cut off."""
        held, pixel = int(self.fingerprint["size"]), abs(int(unit.header["BITPIX"])) // 8
        tile = getattr(unit, "tile_shape", None)
        if tile:
            check_decoded(f"a tile of {size(tile)} px", int(prod(tile)) * pixel, held, max_chunk, self.where)
            return tuple(min(int(a), b) for a, b in zip(tile, shape, strict=True))
        if (ends := unit.fileinfo()["datLoc"] + prod(shape) * pixel) > held:
            problem = f"its pixels of shape {tuple(shape)} end at byte {ends:,} of {held:,}"
            raise SourceError(problem, fix="It is cut off: copy the file again.")
        return (*(1,) * (len(shape) - 1), shape[-1])

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*; see ``Source.read``."""
        check_as_opened(self._path, self._stamp)
        with reading(self.where, "reading"), opened(self._path) as units:
            with quiet():
                pixels = units[self._unit].section
            part = pixels[self._map.window(box)]
        return np.ascontiguousarray(self._map.canonical(np.asarray(part)), self.info.dtype)


@contextmanager
def opened(path: Place) -> Iterator[Any]:
    """Open the file for one thread, since it keeps its place in it; SourceError without astropy."""
    try:
        from astropy.io import fits
    except ImportError as error:
        raise absent("astropy", "a FITS file", "fits", str(path)) from error
    with quiet():
        units = fits.open(path, memmap=False)
    with units:
        yield units


def images_of(units: Any) -> list[tuple[int, tuple[int, ...]]]:
    """Return place and shape of each image of rows and columns among the first of the *units* of a file."""
    first = enumerate(islice(units, MOST_UNITS))
    return [(i, tuple(u.shape)) for i, u in first if u.is_image and 2 <= len(u.shape) <= 5 and min(u.shape) > 0]


def _axes(header: Any, count: int) -> list[str]:
    """Return a letter per axis in the order of the pixels, the reverse of FITS'; ``""`` where nothing is said."""
    letters = ["x", "y"]
    for number in range(3, count + 1):
        kind = str(header.get(f"CTYPE{number}", "")).upper()
        letters.append(next((letter for letter, starts in _KINDS.items() if kind.startswith(starts)), ""))
    return letters[::-1]


def _celestial(header: Any) -> Cards:
    """Return the cards of the world coordinates of the first two axes of FITS; none where they are no sky's."""
    from astropy.wcs import WCS

    try:
        whole = WCS(header)
        tables = (whole.cpdis1, whole.cpdis2, whole.det2im1, whole.det2im2)
        sky = {whole.wcs.lng, whole.wcs.lat} == {0, 1} and not any(tables)
        cards = whole.celestial.to_header(relax=True).cards if sky else ()
    except Exception:  # a header that no library understands does not hide the pixels
        return ()
    return tuple((str(card.keyword), card.value) for card in cards)
