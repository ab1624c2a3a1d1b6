"""Names of units as files write them, and as OME-Zarr knows them: https://ngff.openmicroscopy.org/0.5/#axes-md."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_POWERS = (24, 21, 18, 15, 12, 9, 6, 3, 2, 0, -1, -2, -3, -6, -9, -12, -15, -18, -21, -24)
_METRES = {
    **{f"{prefix}meter": f"1e{power}" for prefix, power in zip(_PREFIXES, _POWERS, strict=True)},
    **{"angstrom": "1e-10", "inch": "0.0254", "foot": "0.3048", "yard": "0.9144", "mile": "1609.344"},
}
"""Exact, as ``Fraction`` reads them."""
_SPELLINGS = {"micron": "micrometer", "feet": "foot", "inches": "inch"}
SYMBOLS = {name: symbol for symbol, name in reversed(_SYMBOLS.items())}
"""What OME-XML calls the units, the first of several symbols, by their names here."""
_CONVERTED = {
    "dam": ("10", "meter"),
    "thou": ("1/1000", "inch"),
    "li": ("1/12", "inch"),
    "pt": ("1/72", "inch"),
    "ua": ("149597870700", "meter"),
    "ly": ("9460730472580800", "meter"),
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
    known = _known(text)
    return known and (float(known[0]), known[1])


def metres(text: str) -> Fraction | None:
    """Return how many metres one unit *text* is, exactly; None where that is no length.

    Examples
    --------
    >>> metres("nm"), metres("inch"), metres("px"), metres("s")
    (Fraction(1, 1000000000), Fraction(127, 5000), None, None)
    """
    known = _known(text)
    unit = known and _METRES.get(known[1])
    return known[0] * type(known[0])(unit) if known and unit else None


def _known(text: str) -> tuple[Fraction, str] | None:
    named = _named(text)
    if named is None:
        return None
    from fractions import Fraction

    return Fraction(named[0]), named[1]


def _named(text: str) -> tuple[str, str] | None:
    text = text.strip().replace("\\u00B5", "µ").replace("μ", "µ").replace("\u212b", "Å")
    if text in _CONVERTED:
        return _CONVERTED[text]
    if text in _SYMBOLS:
        return "1", _SYMBOLS[text]
    name = text.lower()
    for spelling in (name, name.removesuffix("s"), name.removesuffix("s").replace("metre", "meter")):
        spelling = _SPELLINGS.get(spelling, spelling)
        if spelling in _NAMES:
            return "1", spelling
    return None
