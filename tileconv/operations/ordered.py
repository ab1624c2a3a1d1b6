"""Pixels as whole numbers of the same order, in which zeros of either sign differ: what picks one picks the same bits.

Of pixels in a float type the bits are those of a whole number with a sign, and of negative ones turned round. A NaN is
larger than all others, or smaller where its sign bit is set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def as_keys(pixels: Array) -> Array:
    """Return *pixels* as unsigned whole numbers of their size, in one piece; the same array where they are these."""
    whole = np.ascontiguousarray(pixels)
    bits: Array = whole.view(f"u{whole.itemsize}")
    if whole.dtype.kind in "ub":
        return bits
    highest = bits.dtype.type(1 << (8 * whole.itemsize - 1))
    keys: Array = np.zeros_like(bits) if whole.dtype.kind == "i" else _signs(bits)
    keys |= highest
    keys ^= bits
    return keys


def from_keys(keys: Array, dtype: np.dtype[Any]) -> Array:
    """Return the pixels of type *dtype* whose *keys* these are, in their place."""
    highest = keys.dtype.type(1 << (8 * keys.itemsize - 1))
    if dtype.kind == "i":
        keys ^= highest
    if dtype.kind == "f":
        signs = _signs(keys)
        np.invert(signs, out=signs)
        signs |= highest
        keys ^= signs
    return keys.view(dtype)


def _signs(bits: Array) -> Array:
    """Return all ones where the highest bit is set, else zeros."""
    signed = bits.view(f"i{bits.itemsize}")
    return (signed >> (8 * bits.itemsize - 1)).view(bits.dtype)
