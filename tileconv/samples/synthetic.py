"""A synthetic image of any size that looks natural to a filter: strong large structures, ever weaker fine ones.

Method: multi-resolution noise on the dyadic lattice. Level ``k`` has one pixel per ``2**k``; it is level ``k + 1``
refined by the quadratic B-spline (weights 1/4 and 3/4, Chaikin 1974) plus fresh uniform noise of the same amplitude.
Equal amplitude per octave makes the amplitude spectrum fall as 1/f, as in photographs (Field, J. Opt. Soc. Am. A 4,
1987). The noise is a hash of the lattice point, so a pixel depends on its place and the seed alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tileconv.boxes import Box
from tileconv.engines.loops import njit
from tileconv.errors import PlanError

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")

_TOP = 13  # the coarsest structures are 2**13 pixels wide; what is larger looks even
_GRAIN = 0.5  # amplitude of the finest level's noise, which no refinement smooths, beside 1 for the others
_GAIN = 0.12  # maps about four standard deviations (measured: 1.17 for all levels together) to the whole range
_ODD = 0x9E3779B97F4A7C15  # the constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): its step,
_MIX_1 = 0xBF58476D1CE4E5B9  # and the two multipliers of its mixing function
_MIX_2 = 0x94D049BB133111EB


def synthetic(box: Box, seed: int, dtype: DTypeLike) -> NDArray[np.generic]:
    """Return the pixels of *box*, shape ``box.shape``; the same for every cut of the plane into boxes.

    Integer types are filled from their lowest to their highest value, floats from 0 to 1; about one pixel in ten
    thousand reaches an end. Coordinates run from 0 to below 2**31.

    Raises
    ------
    PlanError
        If the box is not two-dimensional, or the dtype is not one of ``DTYPES``.

    Examples
    --------
    >>> left, whole = synthetic(Box((0, 0), (4, 3)), 1, "uint8"), synthetic(Box((0, 0), (4, 6)), 1, "uint8")
    >>> bool((left == whole[:, :3]).all())
    True
    """
    kind = synthetic_dtype(dtype)
    if len(box.shape) != 2:
        raise PlanError(f"a synthetic image has the two axes y and x, found {len(box.shape)} axes")
    field = _level(0, box.start, box.shape, seed % 2**64)
    if kind.kind == "f":
        return field.astype(kind, copy=False)
    limits = np.iinfo(kind.name)
    field *= float(limits.max) - float(limits.min)
    field += float(limits.min)
    return np.rint(field, out=field).astype(kind)


def synthetic_dtype(dtype: DTypeLike) -> np.dtype[np.generic]:
    """Return *dtype* in native byte order.

    Raises
    ------
    PlanError
        If it is not one of ``DTYPES``.
    """
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind is None or kind.name not in DTYPES:
        raise PlanError(f"a synthetic image has one of the types {', '.join(DTYPES)}, found {dtype}")
    return kind.newbyteorder("=")


def _level(level: int, start: tuple[int, ...], shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    key = np.uint64(_mix(np.uint64((seed + (level + 1) * _ODD) % 2**64)))
    first = tuple((a >> 1) - 1 for a in start)
    sides = tuple((a + n >> 1) + 2 - f for a, n, f in zip(start, shape, first, strict=True))
    coarse = np.zeros(sides) if level == _TOP else _level(level + 1, first, sides, seed)
    out = np.empty(shape)
    y, x = start
    _refine(coarse, y, x, key, _GRAIN if level == 0 else 1.0, level == 0, out)
    return out


@njit(nogil=True, cache=True)
def _mix(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return z ^ (z >> np.uint64(31))


@njit(nogil=True, cache=True)
def _refine(coarse, y0, x0, key, amplitude, last, out):  # type: ignore[no-untyped-def]
    """Fill *out*, whose first pixel is (y0, x0), from *coarse*, whose first pixel is (y0 // 2 - 1, x0 // 2 - 1)."""
    unit = 2.0**-52
    line = np.empty(coarse.shape[1])
    for r in range(out.shape[0]):
        y = y0 + r
        near = (y >> 1) - (y0 >> 1) + 1
        far = near + 2 * (y & 1) - 1
        for c in range(line.size):
            line[c] = 0.75 * coarse[near, c] + 0.25 * coarse[far, c]
        row = _mix(key + np.uint64(y) * np.uint64(_ODD))
        for c in range(out.shape[1]):
            x = x0 + c
            near = (x >> 1) - (x0 >> 1) + 1
            noise = np.float64(np.int64(_mix(row + np.uint64(x) * np.uint64(_ODD)) >> np.uint64(11))) * unit - 1.0
            value = 0.75 * line[near] + 0.25 * line[near + 2 * (x & 1) - 1] + amplitude * noise
            out[r, c] = min(1.0, max(0.0, 0.5 + _GAIN * value)) if last else value
