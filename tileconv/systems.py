"""Reference systems in the words of CF, for those whose words follow from their EPSG code without a database.

These are geographic systems that most rasters have, UTM zones on them, and the map projection of the web. The texts are
those that GDAL writes (WKT 1), so that readers of any age know them; CF: https://cfconventions.org, appendix F.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class _Datum(NamedTuple):
    """A geographic system, with the codes of its UTM zones: of the first zone north and south of the equator."""

    code: int
    name: str
    datum: str
    datum_code: int
    spheroid: str
    spheroid_code: int
    flattening: float
    north: range
    south: range


_NONE, _AXIS = range(0), 6378137.0
_WGS84 = _Datum(
    4326, "WGS 84", "WGS_1984", 6326, "WGS 84", 7030, 298.257223563, range(32601, 32661), range(32701, 32761)
)
_DATUMS = (
    _WGS84,
    _Datum(
        *(4258, "ETRS89", "European_Terrestrial_Reference_System_1989", 6258, "GRS 1980", 7019, 298.257222101),
        *(range(25828, 25838), _NONE),
    ),
    _Datum(
        *(4269, "NAD83", "North_American_Datum_1983", 6269, "GRS 1980", 7019, 298.257222101),
        *(range(26901, 26924), _NONE),
    ),
)
_EARTH, _METRE = "Greenwich", 'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH]'
_WEB = (
    'EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m '
    '+nadgrids=@null +wktext +no_defs"]'
)


def described(crs: str) -> dict[str, Any]:
    """Return what a grid mapping of CF says of *crs*, ``EPSG:`` with a code or a WKT.

    Of a code that is not known here it is the code, in the attribute that GDAL and rioxarray read.

    Examples
    --------
    >>> described("EPSG:32633")["grid_mapping_name"], described("EPSG:32633")["longitude_of_central_meridian"]
    ('transverse_mercator', 15.0)
    >>> described("EPSG:31287")
    {'spatial_ref': 'EPSG:31287'}
    """
    code = crs.removeprefix("EPSG:")
    text, words = (crs, {}) if code == crs else _known(int(code))
    return {**words, "crs_wkt": text, "spatial_ref": text} if text else {"spatial_ref": crs}


def _known(code: int) -> tuple[str, dict[str, Any]]:
    """Return the WKT of an EPSG *code*, and the parameters that CF has for it; empty where they are not known."""
    for datum in _DATUMS:
        if code == datum.code:
            return _geographic(datum, 'AXIS["Latitude",NORTH],AXIS["Longitude",EAST],'), _cf(
                "latitude_longitude", datum
            )
        for zones, half, northing in ((datum.north, "N", 0), (datum.south, "S", 10_000_000)):
            if code in zones:
                return _utm(datum, code, code % 100, half, northing)
    if code == 3857:
        central = _parameters(central_meridian=0, scale_factor=1, false_easting=0, false_northing=0)
        return _projected("WGS 84 / Pseudo-Mercator", _WGS84, "Mercator_1SP", central, code, f"{_WEB},"), {}
    return "", {}


def _utm(datum: _Datum, code: int, zone: int, half: str, northing: int) -> tuple[str, dict[str, Any]]:
    central = 6 * zone - 183
    told = {"central_meridian": central, "scale_factor": 0.9996, "false_easting": 500_000, "false_northing": northing}
    words = _cf("transverse_mercator", datum) | {
        "latitude_of_projection_origin": 0.0,
        "longitude_of_central_meridian": float(central),
        "scale_factor_at_central_meridian": 0.9996,
        "false_easting": 500_000.0,
        "false_northing": float(northing),
    }
    name = f"{datum.name} / UTM zone {zone}{half}"
    return _projected(name, datum, "Transverse_Mercator", _parameters(latitude_of_origin=0, **told), code), words


def _cf(mapping: str, datum: _Datum) -> dict[str, Any]:
    return {
        "grid_mapping_name": mapping,
        "semi_major_axis": _AXIS,
        "inverse_flattening": datum.flattening,
        "longitude_of_prime_meridian": 0.0,
    }


def _geographic(of: _Datum, axes: str = "") -> str:
    spheroid = f'SPHEROID["{of.spheroid}",{_AXIS:.0f},{of.flattening},{_authority(of.spheroid_code)}]'
    datum = f'DATUM["{of.datum}",{spheroid},{_authority(of.datum_code)}]'
    unit = f'PRIMEM["{_EARTH}",0,{_authority(8901)}],UNIT["degree",0.0174532925199433,{_authority(9122)}]'
    return f'GEOGCS["{of.name}",{datum},{unit},{axes}{_authority(of.code)}]'


def _projected(name: str, datum: _Datum, projection: str, parameters: str, code: int, more: str = "") -> str:
    told = f'{_geographic(datum)},PROJECTION["{projection}"],{parameters},{_METRE}'
    return f'PROJCS["{name}",{told},{more}{_authority(code)}]'


def _parameters(**values: float) -> str:
    return ",".join(f'PARAMETER["{name}",{value}]' for name, value in values.items())


def _authority(code: int) -> str:
    return f'AUTHORITY["EPSG","{code}"]'
