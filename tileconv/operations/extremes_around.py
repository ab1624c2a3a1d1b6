"""The largest of the pixels around each: windows that double until they are as long as they have to be.

Two windows of one length, some pixels apart, are together a longer one: a window of 15 pixels takes four maxima per
pixel, of 1000 ten. NumPy makes them in vectors, which is quicker than one pass that keeps a queue until far beyond
that; what is ordered are whole numbers, so that there is one largest.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.operations.footprint import Footprint, Run

Array = NDArray[Any]


def largest_around(keys: Array, footprint: Footprint) -> Array:
    """Return the largest of *footprint* wherever it fits inside *keys*, unsigned or bool, axes (z, y, x): a new array.

    Along the axes of a box one after the other; of a disk the rows of each length together.
    """
    if not footprint.radii:
        made = keys
        for axis, size in enumerate(footprint.box):
            made = _along(made, axis, size) if size > 1 else made
        return made.copy() if made is keys else made
    shape = tuple(n - k + 1 for n, k in zip(keys.shape, footprint.box, strict=True))
    made = np.zeros(shape, keys.dtype)
    for length, runs in groupby(sorted(footprint.runs, key=_length), _length):
        rows = _along(keys, 2, length)
        for z, y, first, _ in runs:
            part = rows[z : z + shape[0], y : y + shape[1], first : first + shape[2]]
            np.maximum(made, part, out=made)
    return made


def _length(run: Run) -> int:
    return run[3] - run[2] + 1


def _along(keys: Array, axis: int, size: int) -> Array:
    """Return the largest of every *size* pixels along *axis*."""
    made, length = np.moveaxis(keys, axis, 0), 1
    while length < size:
        step = min(length, size - length)
        made = np.maximum(made[:-step], made[step:])
        length += step
    return np.moveaxis(made, 0, axis)
