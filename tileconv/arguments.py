"""What callers of the Python functions pass, checked before anything is made of it."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.values import Values, working_dtype
from tileconv.errors import PlanError, TileError
from tileconv.graph.cast import exactly
from tileconv.images import exact_number
from tileconv.planning.model import Missing


def as_array(image: Any, missing: Missing | None) -> NDArray[Any]:
    """Return *image* as an array; masked pixels are missing ones: filled under that rule, else NaN to act on.

    Raises
    ------
    PlanError
        If it is no rectangle of numbers, or has masked pixels and there is no rule for missing ones.
    """
    try:
        array: Any = np.asanyarray(image)
    except (TypeError, ValueError) as error:
        raise PlanError(
            "the rows of the image must have the same length", fix="Give a rectangle of numbers."
        ) from error
    if not isinstance(array, np.ma.MaskedArray) or array.dtype.kind not in "buif":
        return np.asarray(array)
    if not np.ma.is_masked(array):
        return np.asarray(array.data)
    if missing is None:
        fix = "Say missing='propagate', 'error' or {'rule': 'fill', 'value': 0}."
        raise PlanError(f"{int(array.mask.sum()):,} pixels are masked, and nothing says what becomes of them", fix=fix)
    value = math.nan if missing.value is None else missing.value
    if not Values.of(array.dtype).hold(value) and array.dtype.kind != "f":
        try:
            work = working_dtype(array.dtype, "auto")
            array = np.ma.masked_array(exactly(array.data, work, besides=np.ma.getmaskarray(array)), array.mask)
        except TileError as error:
            raise PlanError(error.problem, fix="Round them first, as with astype('float64').") from error
    filled: NDArray[Any] = np.ma.filled(array, value)
    return filled


def check_image(array: Any) -> None:
    """Refuse an array that is no image of numbers: PlanError."""
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        fix = "Convert it first, as with astype('float32')."
        raise PlanError(f"expected integers or floats of at most 64 bits, found {array.dtype}", fix=fix)
    if isinstance(getattr(array, "_meta", None), np.ma.MaskedArray):
        fix = "Fill them first, as with dask.array.ma.filled(image, numpy.nan)."
        raise PlanError("a Dask array of masked arrays would lose its masks", fix=fix)
    if array.ndim == 0 or not all(n > 0 for n in array.shape):  # Dask writes NaN for lengths that it does not know
        unknown = any(n != n for n in array.shape)
        fix = "Call compute_chunk_sizes() on it first." if unknown else "Give an array of 1 axis or more."
        raise PlanError(f"expected one axis or more with pixels along each, found shape {array.shape}", fix=fix)


def operator_axes(ndim: int, axes: Any, channel_axis: Any) -> int:
    """Return over how many axes an operator acts: as many as *axes* names, else two, or the only one; PlanError."""
    if axes is None:
        return max(1, min(2, ndim - (channel_axis is not None)))
    count = len(_numbers(axes, "axes"))
    if count > 3:
        raise PlanError(f"axes must name 1 to 3 axes, found {axes}", why="kernels have no more")
    return count


def kernel_axes(shape: tuple[int, ...], count: int, axes: Any, channel_axis: Any) -> list[int]:
    """Return the *count* axes that a kernel runs over, as numbers from 0.

    Raises
    ------
    PlanError
        If the axes do not suit the image and the kernel, or colour may be among them.
    """
    ndim = len(shape)
    channel = None if channel_axis is None else _axis(_number(channel_axis, "channel_axis"), ndim, "channel_axis")
    if axes is None:
        if channel is None and ndim > count and ndim >= 3 and shape[-1] in {3, 4}:
            raise PlanError(
                f"the last axis of {shape} is {shape[-1]} wide and may be colour",
                why="a kernel must not mix colours",
                fix="Say channel_axis=-1 if it is, or axes=(-2, -1) if it is not.",
            )
        chosen = [i for i in range(ndim) if i != channel][-count:]
    else:
        chosen = [_axis(a, ndim, "axes") for a in _numbers(axes, "axes")]
    if len(chosen) != count or len(set(chosen)) != count:
        fix = f"Name {count} of the image's {ndim} axes." if count <= ndim else "Give a kernel with fewer axes."
        raise PlanError(f"the kernel has {count} axes, and the image {ndim}; axes names {chosen}", fix=fix)
    if channel in chosen:
        raise PlanError(f"axis {channel} is channel_axis and among axes", why="a kernel must not mix colours")
    return chosen


def tile_sizes(tile: Any, count: int) -> tuple[int, ...]:
    """Return the tile's pixels along each of *count* axes, each at least 1; PlanError otherwise."""
    sizes = _numbers(tile, "tile")
    sizes = sizes * count if len(sizes) == 1 else sizes
    if len(sizes) != count or min(sizes) < 1:
        raise PlanError(f"tile must be one size, or {count}, of at least 1 pixel, found {tile}")
    return sizes


def missing_rule(missing: Any, nodata: float | None) -> Missing | None:
    """Return the rule for missing pixels: a name, or a mapping of ``rule`` and, for ``fill``, ``value``; PlanError."""
    if missing is None:
        if nodata is not None:
            raise PlanError(f"nodata={nodata} needs missing=", fix="Say missing='propagate', 'error' or a fill.")
        return None
    if nodata is not None and not _is_number(nodata):
        raise PlanError(f"nodata must be a number, found {nodata!r}")
    if not isinstance(missing, str | Mapping):
        raise PlanError(f"missing must be a rule or a mapping, found {missing!r}", fix="Say missing='propagate'.")
    words: dict[str, Any] = {"rule": missing} if isinstance(missing, str) else dict(missing)
    rule = choice("missing", words.pop("rule", None), ("propagate", "fill", "error"))
    value = words.pop("value", None)
    if words or (value is not None) != (rule == "fill") or (rule == "fill" and not _is_finite(value)):
        fix = "Say missing={'rule': 'fill', 'value': 0}."
        raise PlanError("missing takes a rule, and a value with the rule fill alone", fix=fix)
    nodata, value = (None if n is None else exact_number(n) for n in (nodata, value))
    return Missing(rule, nodata, value)


def choice(name: str, value: Any, allowed: Sequence[str], other: Mapping[str, str] | None = None) -> str:
    """Return *value*, which must be one of *allowed*; PlanError, with our name for what *other* libraries call it."""
    if not isinstance(value, str) or value not in allowed:
        if name == "border" and isinstance(value, Mapping | Sequence) and not isinstance(value, str):
            fix = "Give one rule for all axes; a pipeline takes one per axis."
            raise PlanError(f"border must be one of {', '.join(allowed)}, found {value!r}", fix=fix)
        hint = f"Its name here is {other[value]!r}." if other and isinstance(value, str) and value in other else ""
        raise PlanError(f"{name} must be one of {', '.join(allowed)}, found {value!r}", fix=hint)
    return value


def constant(cval: Any) -> float:
    """Return the value of a constant border; PlanError if it is no finite number."""
    if not _is_finite(cval):
        raise PlanError(f"cval must be a finite number, found {cval!r}")
    if exact_number(cval) != float(cval):
        raise PlanError(f"cval must be a number that float64 holds, found {cval}", fix=f"The nearest is {cval:.0f}.")
    return float(cval)


def type_name(dtype: Any, allowed: Sequence[str]) -> str:
    """Return the name of a result's type, given as a name or as NumPy's type; PlanError if there is no such result."""
    if isinstance(dtype, type | np.dtype):
        with suppress(TypeError):
            dtype = np.dtype(dtype).name
    return choice("dtype", dtype, allowed)


def _is_number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return isinstance(float(value), float)
    except OverflowError:  # a whole number of Python has no limit
        return False


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _axis(axis: int, ndim: int, name: str) -> int:
    if not -ndim <= axis < ndim:
        raise PlanError(f"{name} must lie between {-ndim} and {ndim - 1}, found {axis}")
    return axis % ndim


def _numbers(value: Any, name: str) -> tuple[int, ...]:
    """Return one whole number or several as a tuple."""
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    numbers = tuple(_number(v, name) for v in value) if several else (_number(value, name),)
    if not numbers:
        raise PlanError(f"{name} must be a whole number or several, found none")
    return numbers


def _number(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise PlanError(f"{name} must be a whole number or several, found {value!r}") from None
