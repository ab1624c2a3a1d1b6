"""Names of units as files write them, and as OME-Zarr knows them: https://ngff.openmicroscopy.org/0.5/#axes-md."""

from __future__ import annotations

from fractions import Fraction

_PREFIXES = {
    **{"yotta": "Y", "zetta": "Z", "exa": "E", "peta": "P", "tera": "T", "giga": "G", "mega": "M", "kilo": "k"},
    **{"hecto": "h", "": "", "deci": "d", "centi": "c", "milli": "m", "micro": "µ", "nano": "n", "pico": "p"},
    **{"femto": "f", "atto": "a", "zepto": "z", "yocto": "y"},
}
_SYMBOLS = {
    **{
        f"{letter}{symbol}": f"{prefix}{unit}"
        for prefix, letter in _PREFIXES.items()
        for symbol, unit in (("m", "meter"), ("s", "second"))
    },
    **{"Å": "angstrom", "in": "inch", '"': "inch", "ft": "foot", "yd": "yard", "mi": "mile", "pc": "parsec"},
    **{"min": "minute", "h": "hour", "hr": "hour", "d": "day"},
    **{"um": "micrometer", "us": "microsecond", "sec": "second", "msec": "millisecond"},
}
_NAMES = {
    *(f"{prefix}{unit}" for prefix in _PREFIXES for unit in ("meter", "second")),
    *("angstrom", "inch", "foot", "yard", "mile", "parsec", "minute", "hour", "day"),
}
_SPELLINGS = {"micron": "micrometer", "feet": "foot", "inches": "inch"}
_CONVERTED = {
    "dam": (Fraction(10), "meter"),
    "thou": (Fraction(1, 1000), "inch"),
    "li": (Fraction(1, 12), "inch"),
    "pt": (Fraction(1, 72), "inch"),
    "ua": (Fraction(149_597_870_700), "meter"),
    "ly": (Fraction(9_460_730_472_580_800), "meter"),
}
"""Units of OME-XML that OME-Zarr lacks, in units that it has: exact by definition."""


def unit_of(text: str) -> tuple[float, str] | None:
    """Return how many units of OME-Zarr one unit *text* is, and the name of that unit; None where there is none.

    A pixel is no unit, and neither is a reference frame.

    Examples
    --------
    >>> unit_of("µm"), unit_of("Microns"), unit_of("thou"), unit_of("pixel")
    ((1.0, 'micrometer'), (1.0, 'micrometer'), (0.001, 'inch'), None)
    """
    text = text.strip().replace("\\u00B5", "µ").replace("μ", "µ").replace("\u212b", "Å")
    if text in _CONVERTED:
        factor, unit = _CONVERTED[text]
        return float(factor), unit
    if text in _SYMBOLS:
        return 1.0, _SYMBOLS[text]
    name = text.lower()
    for spelling in (name, name.removesuffix("s"), name.removesuffix("s").replace("metre", "meter")):
        spelling = _SPELLINGS.get(spelling, spelling)
        if spelling in _NAMES:
            return 1.0, spelling
    return None
