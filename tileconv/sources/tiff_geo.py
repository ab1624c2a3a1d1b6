"""Where a GeoTIFF lies on the earth: https://docs.ogc.org/is/19-008r4/19-008r4.html, chapter 7."""

from __future__ import annotations

from typing import Any

from tileconv.georeference import Georeference

_SCALE, _TIE_POINTS, _MATRIX, _KEYS = 33550, 33922, 34264, 34735
_RASTER_TYPE, _GEODETIC, _PROJECTED, _LENGTHS = 1025, 2048, 3072, 3076
_UNITS = {9001: "meter", 9002: "foot"}
_POINT = 2
"""The raster type whose coordinates are those of the middle of a pixel."""
_LAST_CODE = 32766
"""Of the codes that are EPSG's; 32767 is a system that further keys define."""


def georeference_of(page: Any) -> tuple[Georeference, list[str]]:
    """Return where the image of *page* lies, and notes on what of it is not carried."""
    if not any(code in page.tags for code in (_SCALE, _TIE_POINTS, _MATRIX, _KEYS)):
        return Georeference(), []
    keys = _keys(page.tags.valueof(_KEYS) or ())
    crs = next((f"EPSG:{keys[key]}" for key in (_PROJECTED, _GEODETIC) if 0 < keys.get(key, 0) <= _LAST_CODE), "")
    if keys.get(_PROJECTED, 0) > _LAST_CODE:
        crs = ""  # a projection of its own of the geodetic system
    transform, notes = _transform(page), []
    if not crs:
        notes.append("the reference system has no EPSG code and is not carried")
    if not transform:
        notes.append("the georeference is no affine transform, and is not carried")
    unit = _UNITS.get(keys.get(_LENGTHS, 0), "") if _PROJECTED in keys else "degree" * (_GEODETIC in keys)
    found = Georeference(crs, transform, unit)
    return found.moved(-0.5, -0.5) if keys.get(_RASTER_TYPE) == _POINT else found, notes


def _keys(directory: Any) -> dict[int, int]:
    """Return the keys whose values stand in the directory itself: four numbers each, behind a header of four."""
    entries = zip(*(directory[4 + i :: 4] for i in range(4)), strict=False)
    return {int(key): int(value) for key, place, _, value in entries if place == 0}


def _transform(page: Any) -> tuple[float, ...]:
    matrix = page.tags.valueof(_MATRIX)
    if matrix is not None and len(matrix) == 16:
        return tuple(float(matrix[i]) for i in (0, 1, 3, 4, 5, 7))
    size, tie = page.tags.valueof(_SCALE), page.tags.valueof(_TIE_POINTS)
    if size is None or tie is None or len(size) < 2 or len(tie) != 6 or not (size[0] and size[1]):
        return ()
    column, row, _, x, y, _ = map(float, tie)
    found = Georeference(transform=(float(size[0]), 0.0, x, 0.0, -float(size[1]), y))
    return found.moved(-row, -column).transform
