"""Pixels to the output's type: rounded half to even, clipped, and counted; never silently."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.loops import njit
from tileconv.engines.nonfinite import bands
from tileconv.errors import TileError
from tileconv.images import as_text, equal

Array = NDArray[Any]

PART = 4096
"""Pixels that are written before those outside the range are counted."""


def cast(
    pixels: Array, dtype: np.dtype[Any], *, overflow: str = "clip", nodata: float | None = None
) -> tuple[Array, int]:
    """Return *pixels* as *dtype* and how many were clipped to its range; NaN becomes *nodata*, which *dtype* holds.

    Raises
    ------
    TileError
        If a pixel is NaN, *dtype* has none and there is no *nodata*, or one leaves the range and *overflow* is
        ``error``.

    Examples
    --------
    >>> cast(np.array([-1.0, 0.5, 1.5, 300.0]), np.dtype("uint8"))
    (array([  0,   0,   2, 255], dtype=uint8), 2)
    """
    if dtype.kind == "f":
        narrowed, clipped = (pixels, 0) if pixels.dtype == dtype else _to_float(pixels, dtype)
        narrowed = narrowed if nodata is None else np.where(np.isnan(narrowed), dtype.type(nodata), narrowed)
    elif pixels.dtype == dtype:
        return pixels, 0
    elif pixels.dtype.kind == "f":
        narrowed = np.empty(pixels.shape, dtype)
        limits = np.iinfo(dtype)
        flat = np.ascontiguousarray(pixels, np.result_type(pixels.dtype, np.float32)).reshape(-1)  # no loop has float16
        low, past = flat.dtype.type(limits.min), flat.dtype.type(float(limits.max) + 1)  # powers of two, or 0: exact
        instead = dtype.type(limits.min if nodata is None else int(nodata))
        clipped, absent = _to_integer(flat, low, past, dtype.type(limits.max), instead, narrowed.reshape(-1))
        if absent and nodata is None:
            raise TileError(
                f"{absent:,} pixels are NaN, and {dtype} has no NaN",
                fix=f"Choose output.dtype: float32, output.nodata: {limits.max}, or missing: {{rule: fill, value: 0}}.",
            )
    else:
        limits = np.iinfo(dtype)
        low, high = max(limits.min, np.iinfo(pixels.dtype).min), min(limits.max, np.iinfo(pixels.dtype).max)
        clipped = int(((pixels < low) | (pixels > high)).sum())
        narrowed = np.clip(pixels, low, high).astype(dtype)
    if clipped and overflow == "error":
        raise TileError(
            f"{clipped:,} pixels do not fit {dtype} under overflow: error",
            fix="Choose a wider output.dtype, or a rescale stage, or overflow: clip, which counts them.",
        )
    return narrowed, clipped


def like_nodata(pixels: Array, made: Array, nodata: float, *, overflow: str = "clip") -> int:
    """Return how many of *pixels* are no NaN and yet have the value *nodata* once *made* what is stored.

    Raises
    ------
    TileError
        If any is and *overflow* is ``error``.

    Examples
    --------
    >>> pixels = np.array([0.25, 7.0, np.nan])
    >>> like_nodata(pixels, cast(pixels, np.dtype("uint8"), nodata=0)[0], 0)
    1
    """
    absent = np.isnan(pixels).sum() if pixels.dtype.kind == "f" else 0
    count = int(equal(made, nodata).sum() - absent)
    if count and overflow == "error":
        raise TileError(
            f"{count:,} valid pixels would be stored as {as_text(nodata)}, which means missing, under overflow: error",
            fix="Choose an output.nodata that no pixel has, or overflow: clip, which counts them.",
        )
    return count


def exactly(pixels: Array, dtype: np.dtype[Any], besides: Array | None = None) -> Array:
    """Return *pixels* held as *dtype*, on the way between stages; those that *besides* marks may become anything.

    Raises
    ------
    TileError
        If 64-bit whole numbers would be rounded, or leave int64.
    """
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 8 and pixels.dtype != dtype:
        counted = pixels if besides is None else pixels[~besides]
        low, high = (int(counted.min()), int(counted.max())) if counted.size else (0, 0)
        bits = 63 if dtype.kind == "i" else np.finfo(dtype).nmant + 1
        if max(high, -low - (dtype.kind == "i")) >= 2**bits + (dtype.kind == "f"):
            raise TileError(
                f"{dtype} cannot hold pixels from {low} to {high} without rounding",
                why=f"the plan holds these {pixels.dtype} pixels in {dtype}, for what stands beside them",
                fix="Set precision: float64 to round them.",
            )
    return pixels.astype(dtype, copy=False)


def unify_nan(pixels: Array) -> None:
    """Give every NaN of *pixels* (z, y, x), in place, the bits of ``numpy.nan``.

    Which NaN an operation makes of two is the processor's and the compiler's choice: it depends on where in a vector
    loop a pixel lies, and so on the tile.
    """
    for rows in bands(pixels):
        band = pixels[:, rows]
        if np.isnan(band.min(initial=np.inf)):  # one quick look, which most pass
            band[np.isnan(band)] = np.nan


def _to_float(pixels: Array, dtype: np.dtype[Any]) -> tuple[Array, int]:
    with np.errstate(over="ignore"):
        narrowed = pixels.astype(dtype)
    if pixels.dtype.kind != "f" or pixels.dtype.itemsize <= dtype.itemsize:
        return narrowed, 0
    too_large = np.isinf(narrowed) & np.isfinite(pixels)
    narrowed[too_large] = np.copysign(np.finfo(dtype).max, narrowed[too_large])
    return narrowed, int(too_large.sum())


@njit(nogil=True, cache=True)
def _to_integer(
    pixels: Array, low: Any, past: Any, highest: Any, instead: Any, out: Array
) -> tuple[int, int]:  # pragma: no cover
    """Write *pixels* to *out*, NaN as *instead*, and return how many were clipped and how many were NaN.

    The first loop has no branches; only parts with a pixel outside the range, which ends at *low* and before *past*,
    are looked at again.
    """
    clipped = absent = 0
    for start in range(0, pixels.size, PART):
        part, into = pixels[start : start + PART], out[start : start + PART]
        outside = False
        for i in range(part.size):
            value = np.rint(part[i])
            inside = (value >= low) & (value < past)
            outside |= not inside
            into[i] = value if inside else low
        if not outside:
            continue
        for i in range(part.size):
            value = np.rint(part[i])
            if value >= past:
                into[i] = highest
            elif np.isnan(value):
                into[i] = instead
            clipped += value < low or value >= past
            absent += np.isnan(value)
    return clipped, absent
