"""Numbers in words, and values that have a short form and a table in notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Shown:
    """A value that a notebook shows as the table of its ``rows``."""

    def rows(self) -> Mapping[str, str]:
        """Return what is worth knowing, by name."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        import html

        cells = (f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self.rows().items() if v)
        return f"<table>{''.join(cells)}</table>"


def tiles_text(count: int) -> str:
    """Return a number of tiles in words.

    Examples
    --------
    >>> tiles_text(1), tiles_text(1200)
    ('1 tile', '1,200 tiles')
    """
    return f"{count:,} tile{'s' * (count != 1)}"


def rate_text(megapixels_per_second: float) -> str:
    """Return a rate to at least two significant digits, without an exponent.

    Examples
    --------
    >>> rate_text(1234.5), rate_text(2.34), rate_text(0.00456)
    ('1,234 Mpx/s', '2.3 Mpx/s', '0.0046 Mpx/s')
    """
    small = 0 < megapixels_per_second < 10
    digits = 1 - math.floor(math.log10(megapixels_per_second)) if small else 0
    return f"{megapixels_per_second:,.{digits}f} Mpx/s"


def size_text(count: float) -> str:
    """Return bytes with a binary unit.

    Examples
    --------
    >>> size_text(3 * 2**20)
    '3.0 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration_text(seconds: float) -> str:
    """Return how long an estimate is, to no more digits than an estimate has.

    Examples
    --------
    >>> [duration_text(s) for s in (0.4, 1.2, 17, 100, 1500, 9000)]
    ['1 s', '1 s', '17 s', '2 min', '25 min', '2.5 h']
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
