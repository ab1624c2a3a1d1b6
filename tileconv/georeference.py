"""Where the pixels of an image lie on the earth, in the words that rioxarray and GDAL know, or in the sky."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tileconv import sky
from tileconv.quick import dataclass

_URL = "http://www.opengis.net/def/crs/EPSG/0/"
_PROJ = {
    "name": "proj:",
    "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "spec_url": "https://github.com/zarr-conventions/geo-proj/blob/v1/README.md",
}
_SPATIAL = {
    "name": "spatial:",
    "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "spec_url": "https://github.com/zarr-conventions/spatial/blob/v1/README.md",
}
_UNITS = {r"4[0-8]\d\d": "degree", r"32[67]\d\d|258[23]\d|3857": "meter"}
"""Units of codes of EPSG's: geographic systems, and the most common ones in metres."""


@dataclass(frozen=True)
class Georeference:
    """A reference system and an affine transform; what is unknown is empty.

    Attributes
    ----------
    crs
        ``EPSG:32633``, or the text of a WKT.
    transform
        The numbers a, b, c, d, e, f: the outer corner of the pixel at (row, column) lies at x = a column + b row + c
        and y = d column + e row + f, in units of the reference system.
    unit
        That of the reference system by its name in OME-Zarr, or ``degree``.
    sky
        The cards of a FITS header that say where the pixels lie in the sky.
    """

    crs: str = ""
    transform: tuple[float, ...] = ()
    unit: str = ""
    sky: sky.Cards = ()

    def __post_init__(self) -> None:
        code = self.crs.removeprefix("EPSG:")
        known = (unit for form, unit in _UNITS.items() if re.fullmatch(form, code))
        object.__setattr__(self, "unit", self.unit or next(known, ""))

    @property
    def pixel(self) -> dict[str, float]:
        """How long a pixel is along y and x, in ``unit``; nothing where rows and columns lie askew."""
        a, b, _, d, e, _ = self.transform or (0.0,) * 6
        return {"y": abs(e), "x": abs(a)} if a and e and not (b or d) else {}

    def moved(self, rows: float, columns: float) -> Georeference:
        """Return the georeference of an image whose first pixel is the one at (*rows*, *columns*) of this one.

        Examples
        --------
        >>> Georeference("EPSG:32633", (10.0, 0.0, 500.0, 0.0, -10.0, 900.0)).moved(2, 3).transform
        (10.0, 0.0, 530.0, 0.0, -10.0, 880.0)
        """
        placed = replace(self, sky=sky.moved(self.sky, rows, columns))
        if not self.transform:
            return placed
        a, b, c, d, e, f = self.transform
        return replace(placed, transform=(a, b, c + a * columns + b * rows, d, e, f + d * columns + e * rows))

    def enlarged(self, rows: float, columns: float) -> Georeference:
        """Return the georeference of an image whose pixels are as large as *rows* by *columns* of this one's."""
        placed = replace(self, sky=sky.enlarged(self.sky, rows, columns))
        if not self.transform:
            return placed
        a, b, c, d, e, f = self.transform
        return replace(placed, transform=(a * columns, b * rows, c, d * columns, e * rows, f))

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of a Zarr array with axes y and x that say all this.

        The conventions ``proj:`` and ``spatial:`` of GeoZarr are read by GDAL 3.13, rioxarray and others; ``_CRS`` by
        GDAL before that; ``crs`` and ``transform`` by rioxarray before it knew the conventions. ``fits_wcs`` is what
        ``astropy.wcs.WCS(astropy.io.fits.Header(...))`` takes.
        """
        told: dict[str, Any] = {}
        if self.sky:
            told["fits_wcs"] = dict(self.sky)
        if self.crs:
            code = self.crs.removeprefix("EPSG:")
            known = code != self.crs
            told["proj:code" if known else "proj:wkt2"] = self.crs
            told |= {"_CRS": {"url": _URL + code} if known else {"wkt": self.crs}, "crs": self.crs}
        if self.transform:
            told |= {"spatial:dimensions": ["y", "x"], "spatial:transform": list(self.transform)}
            told["transform"] = list(self.transform)
        conventions = [_PROJ] * bool(self.crs) + [_SPATIAL] * bool(self.transform)
        return told | ({"zarr_conventions": conventions} if conventions else {})

    @property
    def grid_mapping(self) -> dict[str, Any]:
        """The attributes of the variable of CF that says all this, as rioxarray, rasterix and GDAL read it."""
        from tileconv.systems import described  # for few

        a, b, c, d, e, f = self.transform or (0.0,) * 6
        place = {"GeoTransform": " ".join(map(str, (c, a, b, f, d, e)))} if self.transform else {}
        return (described(self.crs) if self.crs else {}) | place


NOWHERE = Georeference()
