"""Where the pixels of an image lie in the sky, in the words of FITS.

World Coordinate System, paper I: Greisen and Calabretta, A&A 395, 1061 (2002); SIP: Shupe et al., ADASS XIV (2005).
"""

from __future__ import annotations

import re

Value = str | float | bool
Cards = tuple[tuple[str, Value], ...]
"""Keywords and values as astropy writes them: CRPIX, PC, CDELT, CTYPE and the like, of axis 1 (x) and 2 (y)."""

_DEFAULTS = {"CRPIX1": 0.0, "CRPIX2": 0.0, "PC1_1": 1.0, "PC2_2": 1.0}
"""What cards that are left out say, of those that change when an image is moved or enlarged."""
_SIP = re.compile(r"(AP?|BP?)_(\d)_(\d)")


def cards_of(said: object) -> Cards:
    """Return the cards that attributes of a Zarr array state; none where they are no cards.

    Examples
    --------
    >>> cards_of({"CRPIX1": 4.5, "CTYPE1": "RA---TAN"}), cards_of([1])
    ((('CRPIX1', 4.5), ('CTYPE1', 'RA---TAN')), ())
    """
    items = tuple(said.items()) if isinstance(said, dict) else ()
    return items if all(re.fullmatch("[A-Z0-9_-]{1,8}", str(k)) and _is_value(k, v) for k, v in items) else ()


def _is_value(key: str, value: object) -> bool:
    number = key.startswith(("CRPIX", "PC")) or _SIP.fullmatch(key)
    return isinstance(value, int | float) if number else isinstance(value, str | int | float)


def moved(cards: Cards, rows: float, columns: float) -> Cards:
    """Return the coordinates of an image whose first pixel is the one at (*rows*, *columns*).

    Examples
    --------
    >>> moved((("CRPIX1", 9.0), ("CRPIX2", 4.5), ("CTYPE1", "RA---TAN")), 2, 3)
    (('CRPIX1', 6.0), ('CRPIX2', 2.5), ('CTYPE1', 'RA---TAN'), ('PC1_1', 1.0), ('PC2_2', 1.0))
    """
    by = {"CRPIX1": columns, "CRPIX2": rows}
    return tuple((key, float(value) - by[key] if key in by else value) for key, value in _with_defaults(cards).items())


def enlarged(cards: Cards, rows: float, columns: float) -> Cards:
    """Return the coordinates of an image whose pixels are as large as *rows* by *columns* of this one's.

    The outer corner of its first pixel stays, at 0.5 in both images.

    Examples
    --------
    >>> enlarged((("CRPIX1", 9.0), ("CRPIX2", 4.5)), 1, 2)
    (('CRPIX1', 4.75), ('CRPIX2', 4.5), ('PC1_1', 2.0), ('PC2_2', 1.0))
    """
    by = {"1": columns, "2": rows}
    return tuple((key, _enlarged(key, value, by)) for key, value in _with_defaults(cards).items())


def _with_defaults(cards: Cards) -> dict[str, Value]:
    said: dict[str, Value] = dict(cards)
    for key, value in _DEFAULTS.items():
        if cards and key not in said:
            said[key] = value
    return said


def _enlarged(key: str, value: Value, by: dict[str, float]) -> Value:
    if key[:-1] == "CRPIX":
        return (float(value) - 0.5) / by[key[-1]] + 0.5
    if re.fullmatch("PC[12]_[12]", key):
        return float(value) * by[key[-1]]
    if term := _SIP.fullmatch(key):  # pixels in, pixels out: along x for A, along y for B
        series, along_x, along_y = term.groups()
        own = by["1" if series.startswith("A") else "2"]
        return float(value) * by["1"] ** int(along_x) * by["2"] ** int(along_y) / own
    return value
