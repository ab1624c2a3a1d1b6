"""Where an image lies on the earth, as the keys of a GeoTIFF: https://docs.ogc.org/is/19-008r4/19-008r4.html.

A system that no EPSG code names is carried as the text of its WKT, as ArcGIS writes and GDAL reads it.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from tileconv.formats.front import Value, ascii_text, doubles, shorts
from tileconv.formats.geographic import is_geographic_code
from tileconv.formats.ome_xml import xml_text
from tileconv.georeference import Georeference
from tileconv.images import as_text

_SCALE, _TIE_POINTS, _MATRIX, _KEYS, _TEXTS, _METADATA, _NODATA = 33550, 33922, 34264, 34735, 34737, 42112, 42113
_MODEL, _RASTER, _PROJECTED, _PROJECTED_NAME, _GEODETIC = 1024, 1025, 3072, 3073, 2048
_OWN = 32767
"""What stands for a system that no code names."""


def placed(georeference: Georeference) -> dict[int, Value]:
    """Return the tags of where the first pixel of a directory lies, how large pixels are, and in which system."""
    tags = {}
    if georeference.transform:
        a, b, c, d, e, f = georeference.transform
        if b == d == 0 and a > 0 > e:
            tags = {_SCALE: doubles(a, -e, 0), _TIE_POINTS: doubles(0, 0, 0, c, f, 0)}
        else:
            tags[_MATRIX] = doubles(a, b, 0, c, d, e, 0, f, 0, 0, 0, 0, 0, 0, 0, 1)
    crs = georeference.crs
    if crs:
        code = crs.removeprefix("EPSG:")
        text = "" if code != crs else f"ESRI PE String = {crs}|"
        degrees = not text and is_geographic_code(int(code))
        keys = [(_MODEL, 0, 1, _OWN if text else 2 if degrees else 1), (_RASTER, 0, 1, 1)]
        own = (_PROJECTED_NAME, _TEXTS, len(text), 0)
        keys += [own] if text else [(_GEODETIC if degrees else _PROJECTED, 0, 1, int(code))]
        tags[_KEYS] = shorts(1, 1, 0, len(keys), *(number for entry in sorted(keys) for number in entry))
        tags |= {_TEXTS: ascii_text(text)} if text else {}
    return tags


def described(channels: tuple[str, ...], provenance: str) -> dict[int, Value]:
    """Return the tag of what GDAL shows of an image: names of bands, and *provenance*, a JSON text."""
    items = [
        f'<Item name="DESCRIPTION" sample="{number}" role="description">{escape(xml_text(name))}</Item>'
        for number, name in enumerate(channels)
        if name
    ]
    items += [f"<Item name={quoteattr('tileconv')}>{escape(provenance)}</Item>"] * bool(provenance)
    return {_METADATA: ascii_text(f"<GDALMetadata>{''.join(items)}</GDALMetadata>")} if items else {}


def missing(nodata: float | None) -> dict[int, Value]:
    """Return the tag of which value means missing."""
    return {} if nodata is None else {_NODATA: ascii_text(as_text(nodata))}
