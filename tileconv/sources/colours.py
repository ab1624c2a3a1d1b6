"""Colours that lie side by side in a file, parted into planes.

NumPy copies them byte by byte; a compiled loop takes a sixth of that. It saves time and is not needed: where no other
loop runs, as in a copy, none is compiled for it, whose memory no plan counts.
"""

from __future__ import annotations

import numpy as np

from tileconv.engines.loops import RUNNING, njit
from tileconv.sources.source import Pixels, Window

LEAST = 2**14
"""Samples from which on a call of a loop pays."""


def place(segment: Pixels, part: Window, out: Pixels) -> None:
    """Copy a *part* of *segment* into *out*, both rows by columns by samples."""
    rows, columns, _ = part
    high, _, colours = segment.shape
    suits = colours in (3, 4) and out.size >= LEAST and segment.dtype == out.dtype == np.uint8
    if suits and out.shape[2] == colours and len(out) > 1 and segment.flags.c_contiguous and RUNNING.is_set():
        _part(segment.reshape(high, -1), rows.start, columns.start, out)
    else:
        out[...] = segment[part]


@njit(cache=True)
def _part(stored: Pixels, y0: int, x0: int, out: Pixels) -> None:  # pragma: no cover - compiled
    """Write rows of three or four samples side by side, those of pixels from (*y0*, *x0*) on, to planes of *out*.

    It holds the interpreter's lock, which it would wait for longer than it runs.
    """
    for y in range(out.shape[0]):
        one, two, three = out[y, :, 0], out[y, :, 1], out[y, :, 2]
        if out.shape[2] == 3:
            row = stored[y0 + y, 3 * x0 :]
            for x in range(out.shape[1]):
                one[x], two[x], three[x] = row[3 * x], row[3 * x + 1], row[3 * x + 2]
        else:
            row, four = stored[y0 + y, 4 * x0 :], out[y, :, 3]
            for x in range(out.shape[1]):
                one[x], two[x], three[x], four[x] = row[4 * x], row[4 * x + 1], row[4 * x + 2], row[4 * x + 3]
