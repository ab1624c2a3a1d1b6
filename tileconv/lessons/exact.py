"""Sums of float64 without any rounding, so that it does not matter in which order or in what parts they are made.

A number is held as whole numbers of 32 bits at the powers of 2**32 (a superaccumulator: Neal, arXiv:1505.05571). Each
is an int64 with room for 2**31 of them, more than any image has blocks.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import TileError

LIMB = 32
_LOW = np.int64(2**LIMB - 1)
LIMBS = 12
"""Limbs of a sum of products of pixels of 16 bits, or of floats that differ as those of images do, at most."""


class ExactSums:
    """*count* sums that begin at 0.

    Examples
    --------
    >>> sums = ExactSums(1)
    >>> for value in (1e16, 0.125, -1e16):
    ...     sums.add(np.array([value]))
    >>> whole, exponent = sums.whole()
    >>> int(whole[0]) * 2.0**exponent
    0.125
    """

    def __init__(self, count: int) -> None:
        self.lowest = 0
        self.limbs = np.zeros((1, count), np.int64)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add one number to each sum; TileError if one is too large for float64 or not a number."""
        if not np.isfinite(values).all():
            fix = "Scale the images first, as with a stage rescale."
            raise TileError("sums of products of pixels leave the range of float64", fix=fix)
        fraction, exponent = np.frexp(values)
        mantissa = np.ldexp(fraction, 53).astype(np.int64)
        at, shift = np.divmod(exponent.astype(np.int64) - 53, LIMB)
        rest = mantissa >> (LIMB - shift)
        parts = ((mantissa << shift) & _LOW, rest & _LOW, rest >> LIMB)
        for limb in np.unique(at[mantissa != 0]):
            here = at == limb
            self._reach(int(limb), int(limb) + len(parts))
            for number, part in enumerate(parts):
                self.limbs[int(limb) + number - self.lowest] += np.where(here, part, 0)

    def merge(self, limbs: NDArray[np.int64], lowest: int) -> None:
        """Add sums that are held as *limbs*, of which the first stands for 2**(32 * lowest)."""
        self._reach(lowest, lowest + len(limbs))
        self.limbs[lowest - self.lowest : lowest - self.lowest + len(limbs)] += limbs

    def whole(self) -> tuple[NDArray[np.object_], int]:
        """Return the sums as whole numbers of Python, and the exponent of the power of 2 that each is to be times."""
        total = np.zeros(self.limbs.shape[1], object)
        for limb in self.limbs[::-1]:
            total = total * 2**LIMB + limb.astype(object)
        return total, LIMB * self.lowest

    def _reach(self, lowest: int, end: int) -> None:
        below, above = max(0, self.lowest - lowest), max(0, end - self.lowest - len(self.limbs))
        if below or above:
            self.limbs = np.pad(self.limbs, ((below, above), (0, 0)))
            self.lowest -= below


def packed(sums: list[ExactSums]) -> bytes:
    """Return *sums* as the bytes of files of NumPy, one after another."""
    file = BytesIO()
    for one in sums:
        np.save(file, np.array(one.lowest), allow_pickle=False)
        np.save(file, one.limbs, allow_pickle=False)
    return file.getvalue()


def merge_packed(sums: list[ExactSums], data: bytes) -> None:
    """Add to *sums* what ``packed`` made *data* of."""
    file = BytesIO(data)
    for one in sums:
        lowest = int(np.load(file, allow_pickle=False))
        one.merge(np.load(file, allow_pickle=False), lowest)
