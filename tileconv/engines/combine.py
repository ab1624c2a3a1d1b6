"""The formulas: what an operation makes of its input and of the sums under its kernels, and what becomes of types."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.choose import Choice
from tileconv.engines.loops import njit
from tileconv.engines.nonfinite import bands
from tileconv.engines.values import FLOAT32, FLOAT64, INT64, Precision, Values, held, in_float32, working_dtype
from tileconv.errors import TileError
from tileconv.kernels.operations import Absolute, Clip, Linear, Magnitude, Operation, Rescale, Unsharp

Array = NDArray[Any]

SQUARABLE = {FLOAT32: (1e-11, 1e18), FLOAT64: (1e-138, 1e150)}
"""Between them squares neither overflow nor lose, of the largest result, more than rounding does."""


def combine(
    operation: Operation, pixels: tuple[Array, ...], sums: list[Array], choices: tuple[Choice, ...], out: Values
) -> Array:
    """Return the stage's output, type ``out.dtype``, from *sums* and, where they matter, *pixels* of the same places.

    There is one array of *pixels* per input. The list of *sums* is emptied, so that each can be freed as soon as it is
    used.
    """
    if isinstance(operation, Linear):
        return _linear(operation, sums.pop(), choices[0], out)
    if isinstance(operation, Magnitude):
        parts = tuple(_divided(s, c, out) for s, c in zip(sums, choices, strict=True))
        sums.clear()
        return _length(parts, out)
    if isinstance(operation, Unsharp):
        return _sharpened(operation, pixels[0], _divided(sums.pop(), choices[0], out), out)
    if isinstance(operation, Rescale):
        return _rescaled(operation, pixels[0], out)
    (own,) = pixels
    if isinstance(operation, Clip) and own.dtype == np.uint64 and out.dtype == INT64:
        own = np.minimum(own, np.uint64(np.iinfo(INT64).max))  # the end of the range lies in int64
    return _pointwise(operation, own.astype(out.dtype), out)


def _linear(operation: Linear, sums: Array, choice: Choice, out: Values) -> Array:
    made = _divided(sums, choice, out)
    if operation.offset and choice.sums.exact:  # to others it was added before they were settled
        if made.dtype == INT64 and made.size:
            _refuse_beyond_int64(made, int(operation.offset))
        made += made.dtype.type(operation.offset)
    return made


def _refuse_beyond_int64(sums: Array, offset: int) -> None:
    limits = np.iinfo(INT64)
    if int(sums.min()) + offset < limits.min or int(sums.max()) + offset > limits.max:
        raise TileError(
            f"sums plus the offset {offset:,} leave int64", fix="Set precision: float64 to add it with rounding."
        )


def _divided(sums: Array, choice: Choice, out: Values) -> Array:
    """Return the sums in the output's type; exact sums are divided here, once, others have it in their weights."""
    made = sums.astype(out.dtype, copy=False)
    if choice.sums.exact and choice.kernel.divide_by != 1:
        made /= made.dtype.type(choice.kernel.divide_by)
    return made


def _length(parts: tuple[Array, ...], out: Values) -> Array:
    made: Array = np.empty(parts[0].shape, out.dtype)
    low, high = SQUARABLE[FLOAT32]
    narrow = out.dtype == FLOAT32 and out.finite_below(high) and out.high > low
    _magnitude(parts, np.empty(made.shape[-1], FLOAT32 if narrow else FLOAT64), made)
    low, high = SQUARABLE[FLOAT64]
    if out.dtype == FLOAT64 and not (out.finite_below(high) and out.high > low):
        _magnitude_again(parts, low, high, made)
    return made


def _sharpened(operation: Unsharp, pixels: Array, blurred: Array, out: Values) -> Array:
    made = np.empty(blurred.shape, out.dtype)
    amount, threshold = (out.dtype.type(number) for number in (operation.amount, operation.threshold))
    _unsharp(np.ascontiguousarray(pixels, out.dtype), blurred, amount, threshold, made)

    def eighth(pixel: Array, blur: Array) -> Array:
        step = pixel - blur
        return np.where(np.abs(step) < operation.threshold / 8, pixel, pixel + operation.amount * step)

    _beyond(made, (pixels, blurred), eighth, out)
    return made


def _rescaled(operation: Rescale, pixels: Array, out: Values) -> Array:
    made = pixels.astype(out.dtype)
    made *= out.dtype.type(operation.gain)
    made += out.dtype.type(operation.offset)
    _beyond(made, (pixels,), lambda eighth: operation.gain * eighth + operation.offset / 8, out)
    return made


def _beyond(made: Array, inputs: tuple[Array, ...], eighth: Callable[..., Array], out: Values) -> None:
    """Make those of *made* again that are not finite though *inputs* are: a part of the formula left the range.

    *eighth* is the formula on an eighth of the inputs, in float64.
    """
    if out.finite_below(float(np.finfo(out.dtype).max) / 4 if out.dtype.kind == "f" else math.inf):
        return
    for rows in bands(made):
        again = ~np.isfinite(made[:, rows])
        if again.any():
            for pixels in inputs:
                again &= np.isfinite(pixels[:, rows])
            made[:, rows][again] = 8 * eighth(*(pixels[:, rows][again].astype(np.float64) / 8 for pixels in inputs))


def _pointwise(operation: Absolute | Clip, made: Array, out: Values) -> Array:
    if isinstance(operation, Clip):
        return np.clip(made, _held(out.low, out.dtype), _held(out.high, out.dtype), out=made)
    if made.dtype == INT64 and made.size and made.min() == np.iinfo(INT64).min:
        raise TileError(
            f"the absolute value of {made.min()} does not fit int64",
            fix=f"If it marks missing pixels set input.nodata: {made.min()} and missing; else clip them first.",
        )
    return np.abs(made, out=made)


@njit(nogil=True, cache=True)
def _magnitude(parts: tuple[Array, ...], row: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Sum squares in *row*, whose type is wide enough for them, and write the root."""
    real = row.dtype.type
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            row[:] = 0
            for part in parts:
                pixels = part[z, y]
                for x in range(row.shape[0]):
                    value = real(pixels[x])
                    row[x] += value * value
            for x in range(row.shape[0]):
                out[z, y, x] = real(math.sqrt(row[x]))


@njit(nogil=True, cache=True)
def _magnitude_again(parts: tuple[Array, ...], low: Any, high: Any, out: Array) -> None:  # pragma: no cover - compiled
    """Make what does not lie between *low* and *high* again from parts that are divided by the largest first."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            odd = False
            for x in range(out.shape[2]):  # without branches: it vectorises, and most rows end here
                odd |= (out[z, y, x] <= low) | (out[z, y, x] >= high)
            if not odd:
                continue
            for x in range(out.shape[2]):
                if low < out[z, y, x] < high or math.isnan(out[z, y, x]):
                    continue
                largest = 0.0
                for part in parts:
                    largest = max(largest, abs(part[z, y, x]))
                if 0 < largest < math.inf:
                    total = 0.0
                    for part in parts:
                        share = part[z, y, x] / largest
                        total += share * share
                    out[z, y, x] = largest * math.sqrt(total)


@njit(nogil=True, cache=True)
def _unsharp(pixels: Array, blurred: Array, amount: Any, threshold: Any, out: Array) -> None:  # pragma: no cover
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                pixel = pixels[z, y, x]
                difference = pixel - blurred[z, y, x]
                # written so that a NaN in the blur passes
                out[z, y, x] = pixel if abs(difference) < threshold else pixel + amount * difference


def outcome(
    operation: Operation, values: tuple[Values, ...], choices: tuple[Choice, ...], precision: Precision
) -> Values:
    """Return what the stage's output pixels are like, from what those of each input (*values*) are like."""
    made = _outcome(operation, values[0], choices, precision)
    # where an infinity may come about, the next stage may subtract it from another
    return replace(made, nan=any(v.nan for v in values) or math.isinf(made.peak))


def outgrows_float32(
    operation: Operation, values: tuple[Values, ...], choices: tuple[Choice, ...], made: Values
) -> bool:
    """Return whether float32 cannot hold the constants of a stage, its sums or what it gives, *made*, by plan.

    Where nothing bounds the pixels, the constants and the weights decide.
    """
    if made.dtype != FLOAT32 or made.whole:
        return False
    gains = [c.kernel.absolute_sum / abs(c.kernel.divide_by) for c in choices]
    constants = [abs(v) for v in vars(operation).values() if isinstance(v, float) and math.isfinite(v)]
    peak = max(v.peak for v in values)
    known = [peak * g for g in gains] + [made.peak] if math.isfinite(peak) else []
    if not all(map(in_float32, (*gains, *constants, *known))):
        return True
    return any(not c.kernel.has_grid and not c.pattern.full for c in choices)  # float32 makes some of its weights 0


def _outcome(operation: Operation, values: Values, choices: tuple[Choice, ...], precision: Precision) -> Values:
    low, high, whole = values.low, values.high, values.whole
    working = working_dtype(values.dtype, precision)
    if isinstance(operation, Linear):
        choice = choices[0]
        low, high = _range(choice, values)
        if choice.sums.guarded and keeps_whole(operation) and abs(operation.offset) < 2.0**63:
            return Values.of(INT64)
        whole = choice.sums.exact and keeps_whole(operation)
        return held(low + min(operation.offset, 0), high + max(operation.offset, 0), whole=whole, working=working)
    if isinstance(operation, Magnitude):
        ends = [max(map(abs, _range(c, values))) for c in choices]
        return Values(working, whole=False, low=0.0, high=math.hypot(*ends))
    if isinstance(operation, Unsharp):
        swing = abs(operation.amount) * (high - low if math.isfinite(high - low) else math.inf)
        return Values(working, whole=False, low=low - swing, high=high + swing)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and keeps_whole(operation):
        stays = _in_64_bits(operation, values)
        if stays is not None:
            return stays
    if isinstance(operation, Absolute):
        peak, least = values.peak, (0.0 if low <= 0 <= high else min(abs(low), abs(high)))
        return held(least, peak, whole=whole, working=working)
    if isinstance(operation, Clip):
        whole = whole and operation.low.is_integer() and operation.high.is_integer()
        return held(_limited(low, operation), _limited(high, operation), whole=whole, working=working)
    ends = [low, high, *(operation.gain * v if operation.gain else 0.0 for v in (low, high))]
    ends += [v + operation.offset for v in ends[2:]]
    whole = whole and keeps_whole(operation)
    if not whole:  # whole numbers are held in the type of the result before the formula, too
        ends = ends[2:]
    return held(min(ends), max(ends), whole=whole, working=working)


def keeps_whole(operation: Operation) -> bool:
    """Return whether *operation* makes whole numbers of whole numbers."""
    if isinstance(operation, Linear):
        kernel = operation.kernel
        return kernel.integral and kernel.divide_by == 1 and operation.offset.is_integer()
    if isinstance(operation, Rescale):
        return operation.gain.is_integer() and operation.offset.is_integer()
    if isinstance(operation, Clip):
        return all(end.is_integer() or math.isinf(end) for end in (operation.low, operation.high))
    return isinstance(operation, Absolute)


def _in_64_bits(operation: Operation, values: Values) -> Values | None:
    """Return what whole *operation* makes of 64-bit whole numbers of any size, in their own type; or None."""
    low, high, limits = values.low, values.high, np.iinfo(values.dtype)
    if isinstance(operation, Absolute):
        low, high = (0.0 if low <= 0 <= high else min(abs(low), abs(high))), values.peak
    elif isinstance(operation, Clip):
        low, high = _limited(low, operation), _limited(high, operation)
        if operation.low > limits.max or operation.high < limits.min or (limits.min == 0 and high < 2.0**63):
            return None  # a narrower type holds them
    elif operation != Rescale(1.0, 0.0):
        return None
    return Values(values.dtype, whole=True, low=low, high=high)


def _held(value: float, dtype: np.dtype[Any]) -> Any:
    """Return *value* in *dtype*, of an integer type at most its highest: 2**63 stands for int64's."""
    if dtype.kind == "f":
        return dtype.type(value)
    limits = np.iinfo(dtype)
    return dtype.type(min(max(int(value), limits.min), limits.max))


def _limited(value: float, operation: Clip) -> float:
    return min(max(value, operation.low), operation.high)


def _range(choice: Choice, values: Values) -> tuple[float, float]:
    """Return bounds of the divided sums: positive weights take one end of the values, negative ones the other."""
    if math.isinf(values.peak):
        return -math.inf, math.inf
    kernel = choice.kernel
    positive, negative = kernel.signed_sums
    ends = (
        (positive * values.low + negative * values.high) / kernel.divide_by,
        (positive * values.high + negative * values.low) / kernel.divide_by,
    )
    return min(ends), max(ends)


def error_bound(operation: Operation, choices: tuple[Choice, ...], inputs: tuple[Values, ...], out: Values) -> float:
    """Return the most by which the stage's output differs from exact arithmetic, for pixels like *inputs*, one each.

    Where nothing bounds these the largest absolute pixel counts as 1. Bounds of the sums come from ``choose``; the
    formula adds the roundings of its result. A stage that only moves numbers has bound 0. What earlier stages did wrong
    is not part of it.
    """
    (values,) = inputs
    peak = values.peak if math.isfinite(values.peak) else 1.0
    own = [c.chosen.bound_per_peak * peak for c in choices]
    unit = 0.0 if out.whole else float(np.finfo(out.dtype).eps) / 2
    gains = [c.kernel.absolute_sum / abs(c.kernel.divide_by) * peak for c in choices]
    if isinstance(operation, Linear):
        moved = unit * (gains[0] + 2 * abs(operation.offset)) if operation.offset else 0.0
        return own[0] + unit * rounded_by_division(choices[0], out.dtype) * gains[0] + moved
    if isinstance(operation, Magnitude):
        return math.hypot(*own) + 4 * unit * math.hypot(*gains)
    if isinstance(operation, Unsharp):
        return abs(operation.amount) * own[0] + 4 * unit * (1 + abs(operation.amount)) * (peak + gains[0])
    if isinstance(operation, Rescale):
        return 4 * unit * (abs(operation.gain) * peak + abs(operation.offset))
    return unit * max(peak * rounded_by_type(values, out.dtype), rounded_end(operation, out.dtype))


def rounded_end(operation: Operation, dtype: np.dtype[Any]) -> float:
    """Return the largest end of a clip that *dtype* rounds, or 0."""
    ends = (operation.low, operation.high) if isinstance(operation, Clip) and dtype.kind == "f" else ()
    return max((abs(end) for end in ends if math.isfinite(end) and float(dtype.type(end)) != end), default=0.0)


def rounded_by_type(values: Values, dtype: np.dtype[Any]) -> bool:
    """Return whether holding pixels like *values* in *dtype* may round them, or a fill value among them has done so."""
    return dtype.kind == "f" and not (values.whole and values.peak <= 2.0 ** (np.finfo(dtype).nmant + 1))


def rounded_by_division(choice: Choice, dtype: np.dtype[Any]) -> int:
    """Return how often exact sums are rounded on their way to *dtype*: into it, by the divisor, by the division."""
    if not choice.sums.exact:
        return 0
    divisor = choice.kernel.divide_by
    narrowed = dtype.kind == "f" and choice.sums.accumulate not in {FLOAT32, dtype}
    return int(narrowed) + (0 if divisor == 1 else 1 + (float(dtype.type(divisor)) != divisor))
