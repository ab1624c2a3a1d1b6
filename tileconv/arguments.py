"""What callers of the Python functions pass, checked before anything is made of it."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.borders import ALIASES, RULES, Border, Rule
from tileconv.engines.cast import exactly
from tileconv.engines.values import Values, working_dtype
from tileconv.errors import PlanError, TileError
from tileconv.images import exact_number
from tileconv.planning.parts import Missing
from tileconv.spec.check import FOREIGN
from tileconv.spec.missing import BELONGS
from tileconv.spec.model import MissingSpec
from tileconv.spec.reader import did_you_mean


def other_words(words: Mapping[str, Any], known: Collection[str]) -> str:
    """Return what to write for those of the keywords *words* that are none of *known*, as other libraries have them.

    Examples
    --------
    >>> other_words({"mode": "same"}, ["extent", "border"]), other_words({"sigam": 2}, ["sigma"])
    ("; write extent for 'mode'", "; did you mean 'sigma'?")
    """
    hints = []
    for word in sorted(set(words) - set(known)):
        ours = FOREIGN["stage"].get(f"{word}: {words[word]}", FOREIGN["stage"].get(word, "")).partition(":")[0]
        hints.append(f"write {ours} for {word!r}" if ours in known else did_you_mean(word, known))
    return "".join(f"; {hint}" for hint in hints if hint)


def is_lazy(image: object) -> bool:
    """Return whether *image* is a Dask array, without importing Dask for those that are not."""
    arrays = sys.modules.get("dask.array")
    return arrays is not None and isinstance(image, arrays.Array)


def as_pixels(image: Any, missing: Missing | None) -> Any:
    """Return *image* as an array of numbers, 0 and 1 for booleans: a Dask array as it is, others as ``as_array`` does.

    Raises
    ------
    PlanError
        If it is no image.
    """
    array = image if is_lazy(image) else as_array(image, missing)
    check_image(array)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def as_array(image: Any, missing: Missing | None) -> NDArray[Any]:
    """Return *image* as an array; masked pixels are missing ones: filled under that rule, else NaN to act on.

    Raises
    ------
    PlanError
        If it is no rectangle of numbers, or has masked pixels and there is no rule for missing ones.
    """
    if isinstance(image, str | Path):
        fix = "Read it into an array first, or run a pipeline over the file with tileconv.run."
        raise PlanError(f"expected an array, found the text or path {str(image)!r}", fix=fix)
    try:
        array: Any = np.asanyarray(image)
    except (TypeError, ValueError) as error:
        if isinstance(image, Sequence):
            problem, fix = "the rows of the image must have the same length", "Give a rectangle of numbers."
            raise PlanError(problem, fix=fix) from error
        raise elsewhere(type(image), "Copy it into main memory first, as image.get() does for CuPy.") from error
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
            working = working_dtype(array.dtype, "auto")
            array = np.ma.masked_array(exactly(array.data, working, besides=np.ma.getmaskarray(array)), array.mask)
        except TileError as error:
            raise PlanError(error.problem, fix="Round them first, as with astype('float64').") from error
    filled: NDArray[Any] = np.ma.filled(array, value)
    return filled


def elsewhere(kind: type, fix: str) -> PlanError:
    """Return the error of pixels that lie where NumPy does not reach them, as on a graphics card."""
    return PlanError(
        f"expected an array that NumPy can read, found {kind.__module__}.{kind.__qualname__}",
        why="tileconv computes on this computer's processors",
        fix=fix,
    )


def check_image(array: Any) -> None:
    """Refuse an array that is no image of numbers: PlanError."""
    if not isinstance(meta := getattr(array, "_meta", array), np.ndarray):
        raise elsewhere(type(meta), "Copy its chunks into main memory first, as image.map_blocks(cupy.asnumpy) does.")
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        fix = "Convert it first, as with astype('float32')."
        raise PlanError(f"expected integers or floats of at most 64 bits, found {array.dtype}", fix=fix)
    if isinstance(meta, np.ma.MaskedArray):
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


def missing_rule(missing: Any, nodata: float | None) -> tuple[MissingSpec | None, Missing | None]:
    """Return the rule for missing pixels, as a file has it, and which are missing: a name or a mapping; PlanError."""
    if missing is None:
        if nodata is not None:
            raise PlanError(f"nodata={nodata} needs missing=", fix="Say missing='propagate', 'error' or a fill.")
        return None, None
    if not isinstance(missing, str | Mapping):
        raise PlanError(f"missing must be a rule or a mapping, found {missing!r}", fix="Say missing='propagate'.")
    spec = _missing_spec({"rule": missing} if isinstance(missing, str) else dict(missing))
    return spec, Missing.of(spec, None if nodata is None else number("nodata", nodata))


def number(name: str, value: Any) -> float:
    """Return the argument *value* as a number, exactly; PlanError if it is none."""
    if not _is_number(value):
        raise PlanError(f"{name} must be a number, found {value!r}")
    return exact_number(value)


def _missing_spec(words: dict[str, Any]) -> MissingSpec:
    rule = choice("missing", words.pop("rule", None), ("propagate", "renormalize", "fill", "error"))
    if other := sorted(words.keys() - {name for name, of in BELONGS.items() if of == rule}):
        known = ", ".join(f"{name} with the rule {of}" for name, of in BELONGS.items())
        raise PlanError(f"missing takes {known}; found {other[0]!r} with {rule}")
    value, share, keep = words.get("value"), words.get("min_coverage", 0.5), words.get("keep", True)
    if rule == "fill" and not _is_finite(value):
        raise PlanError("the rule fill needs a finite value", fix="Say missing={'rule': 'fill', 'value': 0}.")
    if not _is_finite(share) or not 0 <= share <= 1:
        raise PlanError(f"min_coverage must be a share from 0 to 1, found {share!r}")
    if not isinstance(keep, bool):
        raise PlanError(f"keep must be True or False, found {keep!r}")
    return MissingSpec.of(rule, None if value is None else exact_number(value), float(share), keep)


def choice(name: str, value: Any, allowed: Sequence[str], other: Mapping[str, str] | None = None) -> str:
    """Return *value*, which must be one of *allowed*; PlanError, with our name for what *other* libraries call it."""
    if not isinstance(value, str) or value not in allowed:
        hint = f"Its name here is {other[value]!r}." if other and isinstance(value, str) and value in other else ""
        raise PlanError(f"{name} must be one of {', '.join(allowed)}, found {value!r}", fix=hint)
    return value


def borders(border: Any, cval: Any, space: str, axes: str, default: Rule) -> dict[str, Border]:
    """Return the border of every axis of *space*, for a kernel over *axes*, from what a caller gave; else PlanError.

    That is a rule, a mapping with ``rule`` and ``value``, or a mapping of axes to either; *default* counts for axes
    that it does not name. *cval* is the value of ``constant`` where none is given.
    """
    if not isinstance(border, Mapping) or "rule" in border:
        return dict.fromkeys(space, _border(default if border is None else border, cval))
    if unknown := [name for name in border if name not in tuple(axes)]:
        problem = f"border names the axis {unknown[0]!r}, and the kernel runs over {', '.join(axes)}"
        raise PlanError(problem, fix="Name the last of the axes x, the one before it y, and the one before that z.")
    return {axis: _border(border.get(axis, default), cval) for axis in space}


def _border(border: Any, cval: Any) -> Border:
    if not isinstance(border, Mapping):
        if isinstance(border, Sequence) and not isinstance(border, str):
            fix = "Name the axes, as in border={'y': 'nearest', 'x': 'wrap'}."
            raise PlanError(f"border must not be a list, which names no axes, found {border!r}", fix=fix)
        return Border(_rule(border), _constant(cval, "cval"))
    rule = _rule(border.get("rule"))
    if not {"rule", "value"} >= set(border) or ("value" in border and rule != "constant"):
        raise PlanError(f"border takes a rule, and a value with the rule constant alone, found {dict(border)}")
    return Border(rule, _constant(border.get("value", cval), "the value of border"))


def _rule(value: Any) -> Rule:
    return cast("Rule", choice("border", value, RULES, ALIASES))


def _constant(value: Any, name: str) -> float:
    """Return the value of a constant border; PlanError if it is no finite number."""
    if not _is_finite(value):
        raise PlanError(f"{name} must be a finite number, found {value!r}")
    if exact_number(value) != float(value):
        raise PlanError(
            f"{name} must be a number that float64 holds, found {value}", fix=f"The nearest is {value:.0f}."
        )
    return float(value)


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
