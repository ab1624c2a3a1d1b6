"""Pixels that are all one value, as glass and background are: told by a few looks, and held as one, repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BAND_PX = 2**16
"""Pixels that are compared together: what comes of each stays in the first caches."""


def repeated(pixels: Array) -> Array:
    """Return *pixels*, where all have the same bits as one that is repeated: a view without strides.

    Nearly all others are told by three of them, and few are looked at twice.

    Examples
    --------
    >>> repeated(np.full((2, 3), 7)).strides, repeated(np.array([[0.0, -0.0]])).strides
    ((0, 0), (16, 8))
    """
    if not pixels.size or pixels.dtype.names or not any(pixels.strides):
        return pixels
    bits = pixels.view(f"u{pixels.itemsize}")
    first = bits[(0,) * bits.ndim]
    if first != bits[(-1,) * bits.ndim] or first != bits[tuple(n // 2 for n in bits.shape)] or not _all(bits, first):
        return pixels
    return np.broadcast_to(pixels[(0,) * pixels.ndim], pixels.shape)


def one_of(pixels: Array) -> Array | None:
    """Return the pixel that is repeated in what ``repeated`` returned, with as many axes; None where there are more.

    Examples
    --------
    >>> one_of(repeated(np.full((2, 3), 7)))
    array([[7]])
    """
    return pixels[(slice(1),) * pixels.ndim] if pixels.size and not any(pixels.strides) else None


def gathered(
    parts: Iterable[tuple[Array, Any]], shape: Sequence[int], dtype: np.dtype[Any], view: Callable[[Array], Array]
) -> Array:
    """Return an array of *parts*, each at its place in a *view* of it: one pixel, repeated, where all of them are that.

    Each part is let go of before the next is asked for.
    """
    first, before, made = None, [], None
    for pixels, place in parts:
        one = one_of(pixels)
        if made is None and one is not None and (first is None or first.tobytes() == one.tobytes()):
            first = one
            before.append(place)
            continue
        if made is None:
            made = np.empty(shape, dtype)
            into = view(made)
            for at in before:
                into[at] = first
        into[place] = pixels
    if made is None and first is not None:
        return np.broadcast_to(first.astype(dtype).reshape(()), shape)
    return np.empty(shape, dtype) if made is None else made


def whole(pixels: Array) -> Array:
    """Return *pixels* with a place for each, for code that reads memory as it lies."""
    return pixels if one_of(pixels) is None else pixels.copy()


def _all(bits: Array, value: Any) -> bool:
    """Return whether all *bits* are *value*."""
    if bits.ndim > 2:
        return all(_all(part, value) for part in bits)
    rows = np.atleast_2d(bits)
    step = max(1, BAND_PX // rows.shape[1])
    return all(bool((rows[y : y + step] == value).all()) for y in range(0, len(rows), step))
