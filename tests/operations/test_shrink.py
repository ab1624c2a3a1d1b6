"""One level of a pyramid from the level below, against cells that are taken out one by one."""

from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from tileconv.boxes import Box, TileGrid
from tileconv.operations.shrink import METHODS, Shrink

WEIGHTS = {1: [1], 2: [1, 3, 3, 1], 3: [1, 3, 6, 7, 6, 3, 1]}
"""Of ``gaussian`` by factor, worked out by hand."""


def half_even(value):
    return round(value)  # of a Fraction Python does


def one(method, cell, weights, nodata):
    """Return what a cell becomes, a list of pixels with their weights; None of one in which all are missing."""
    valid = [(v, w) for v, w in zip(cell, weights, strict=True) if v == v and v != nodata]
    if not valid:
        return None
    values = [v for v, _ in valid]
    if method == "mode":
        return Counter(values).most_common(1)[0][0]  # of those that are as many the first
    if method == "median":
        ordered = sorted(values)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        return Fraction(low) / 2 + Fraction(high) / 2
    return sum(Fraction(v) * w for v, w in valid) / sum(w for _, w in valid)


def oracle(pixels, method, factor, nodata=None):
    """Return the level over *pixels*, of any axes, cell by cell."""
    shape = [-(-n // f) for n, f in zip(pixels.shape, factor, strict=True)]
    made = np.empty(shape, pixels.dtype)
    for at in np.ndindex(*shape):
        along = []
        for n, f, size in zip(at, factor, pixels.shape, strict=True):
            reach = f - 1 if method == "gaussian" else 0
            weights = WEIGHTS[f] if method == "gaussian" else [1] * f
            places = range(n * f - reach, (n + 1) * f + reach)
            along.append([(p, w) for p, w in zip(places, weights, strict=True) if 0 <= p < size])
        if method == "nearest":
            middle = [min(n * f + (f - 1) // 2, s - 1) for n, f, s in zip(at, factor, pixels.shape, strict=True)]
            made[at] = pixels[tuple(middle)]
            continue
        picked = [*product(*along)]
        cell = [pixels[tuple(p for p, _ in place)].item() for place in picked]
        weights = [int(np.prod([w for _, w in place])) for place in picked]
        value = one(method, cell, weights, nodata)
        if value is None:
            made[at] = np.nan if nodata is None else nodata
        else:
            made[at] = half_even(value) if pixels.dtype.kind in "iu" else float(value)
    return made


def image(shape, dtype, seed):
    """Return pixels over the whole range of whole numbers, or floats of which sums are exact and a third is NaN."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(random.random(shape) < 0.3, np.nan, random.integers(-99, 99, shape)).astype(dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_equals_cell_by_cell(method, dtype):
    pixels = image((2, 3, 7, 9), dtype, 1)
    pixels[0, 0, :4] = pixels[0, 0, 0, 0]
    for factor in ((1, 1, 2, 2), (1, 2, 3, 1), (1, 2, 2, 3)):
        np.testing.assert_array_equal(Shrink(method, factor).of(pixels), oracle(pixels, method, factor), f"{factor}")


def test_halves_are_rounded_to_even():
    pixels = np.array([[0, 1, 1, 2, 2, 3]], np.int16)
    for method in ("mean", "median"):
        assert Shrink(method, (1, 2)).of(pixels).tolist() == [[0, 2, 2]]
        assert Shrink(method, (1, 2)).of(-pixels).tolist() == [[0, -2, -2]]
    assert Shrink("mean", (1, 2)).of(pixels.astype("u8") + 2**63).tolist() == [[2**63, 2**63 + 2, 2**63 + 2]]


@pytest.mark.parametrize("method", ["mean", "gaussian", "median", "mode"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_missing_pixels_are_skipped(method, dtype):
    pixels = np.random.default_rng(3).integers(0, 3, (9, 11)).astype(dtype)
    pixels[:2, :2] = pixels[-1:, -1:] = 0
    np.testing.assert_array_equal(Shrink(method, (2, 2)).of(pixels, 0), oracle(pixels, method, (2, 2), 0))


def test_infinity_passes_and_nan_is_that_of_numpy():
    pixels = np.array([[np.inf, -np.inf, np.inf, 1], [np.nan, 0, 2, 3]], np.float32)
    made = Shrink("mean", (2, 2)).of(pixels)
    assert made.view("u4").tolist() == np.array([[np.nan, np.inf]], np.float32).view("u4").tolist()


@given(
    st.sampled_from(METHODS), strategies.shapes(2), st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(0, 99),
)  # fmt: skip
def test_parts_make_the_whole(method, shape, factor, tile, seed):
    """Whatever boxes it is made in, the bytes are the same."""
    pixels = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    pixels[pixels > 1.3] = np.nan
    shrink = Shrink(method, factor)
    whole = shrink.of(pixels)
    parts = np.empty_like(whole)
    for box in TileGrid(Box.of_shape(whole.shape), tile):
        needed = shrink.needed(box, shape)
        parts[box.within(Box.of_shape(whole.shape))] = shrink.make(pixels[needed.within(Box.of_shape(shape))], box)
    assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("method", "dtype"), [*product(METHODS, ["uint8", "int64", "float32"]), ("mean", "float64"), ("nearest", "float64")]
)
def test_pixels_that_are_repeated_are_made_once(method, dtype):
    """The same bytes, at ends of fewer pixels too; sums of float64 are rounded, and differ there."""
    shape, factor = (2, 3, 7, 11), (1, 2, 2, 3)
    for value in (0, 7, *[-0.0, 0.1, np.inf, np.nan] * (dtype[0] == "f")):
        of_two = np.array([value, 5], dtype).reshape(2, 1, 1, 1)
        for nodata in (None, 7):
            pixels, shrink = np.broadcast_to(of_two, shape), Shrink(method, factor)
            made, whole = shrink.of(pixels, nodata), shrink.of(pixels.copy(), nodata)
            assert made.tobytes() == whole.tobytes(), value
            assert (made.strides[1:] == (0, 0, 0)) == (dtype != "float64" or method not in ("mean", "gaussian"))
