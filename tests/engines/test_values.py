"""Number types: exact where they say so, and the narrowest that is."""

import math

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution

import tileconv
from tileconv.engines.direct import direct
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import EXACT, FLOAT32, FLOAT64, INT64, Values, held, sums, working_dtype


@pytest.mark.parametrize("dtype", strategies.INTEGERS)
def test_what_an_integer_type_says(dtype):
    values = Values.of(np.dtype(dtype))
    limits = np.iinfo(dtype)
    assert values.whole
    assert (values.low, values.high) == (float(limits.min), float(limits.max))
    assert values.peak == max(abs(values.low), values.high)


def test_what_floats_and_truth_values_say():
    assert Values.of(np.dtype(np.float32)) == Values(FLOAT32, whole=False, nan=True)
    assert Values.of(np.dtype(np.float32)).peak == math.inf
    truth = Values.of(np.dtype(bool))
    assert (truth.whole, truth.low, truth.high) == (True, 0, 1)


def test_a_constant_border_counts_among_the_pixels():
    values = Values.of(np.dtype(np.uint8))
    assert values.including(-3).low == -3
    assert values.including(300).high == 300
    assert values.including(3).whole
    assert not values.including(0.5).whole
    assert not values.including(math.nan).whole


@pytest.mark.parametrize(
    ("dtype", "precision", "expected"),
    [
        ("uint8", "auto", FLOAT32),
        ("int16", "auto", FLOAT32),
        ("float16", "auto", FLOAT32),
        ("float32", "auto", FLOAT32),
        ("int32", "auto", FLOAT64),
        ("uint64", "auto", FLOAT64),
        ("float64", "auto", FLOAT64),
        ("float64", "float32", FLOAT32),
        ("uint8", "float64", FLOAT64),
    ],
)
def test_working_types(dtype, precision, expected):
    assert working_dtype(np.dtype(dtype), precision) == expected


@pytest.mark.parametrize(
    ("weights", "dtype", "accumulate"),
    [
        ([[1, 2, 1]], "uint16", FLOAT32),
        ([[1] * 257], "uint16", FLOAT64),  # 257 * 65535 is above 2**24 by 256 * 257
        ([[1] * 256], "uint16", FLOAT32),
        ([[1, 1]], "int32", FLOAT64),
        ([[2**20, 2**20]], "uint32", FLOAT64),
        ([[2**21]], "uint32", FLOAT64),  # below 2**53 by 2**21
        ([[2**22]], "uint32", INT64),
        ([[0.5, 1]], "uint8", None),
        ([[1, 2]], "float32", None),
    ],
)
def test_the_narrowest_exact_type(weights, dtype, accumulate):
    how = sums(Kernel.of(weights), Values.of(np.dtype(dtype)), "auto")
    assert how.exact == (accumulate is not None)
    assert how.accumulate == (accumulate or working_dtype(np.dtype(dtype), "auto"))


def test_64_bit_pixels_are_summed_in_int64_under_guard_unless_floats_are_asked_for():
    kernel, values = Kernel.of([[1]]), Values.of(np.dtype("int64"))
    guarded, asked = sums(kernel, values, "auto"), sums(kernel, values, "float64")
    assert (guarded.accumulate, guarded.exact, guarded.guarded) == (INT64, True, True)
    assert (asked.accumulate, asked.exact, asked.guarded) == (FLOAT64, False, False)
    assert not sums(Kernel.of([[1, 2]]), Values.of(np.dtype("uint32")), "auto").guarded


@given(strategies.kernels(2, whole=True), st.sampled_from(strategies.INTEGERS), strategies.seeds)
def test_exact_means_exact_at_the_extremes(weights, dtype, seed):
    """All pixels at either end of the type, where sums are largest."""
    how = sums(Kernel.of(weights), Values.of(np.dtype(dtype)), "auto")
    limits = np.iinfo(dtype)
    block = np.random.default_rng(seed).choice(np.array([limits.min, limits.max], dtype), (12, 12))
    made = direct(block[None], weights[None].astype(how.accumulate))[0]
    if how.exact and not how.guarded:
        expected = convolution.valid(block.astype(object), weights.astype(object))
        assert [int(v) for v in made.ravel()] == expected.ravel().tolist()


@given(st.integers(-(2**64), 2**64), st.integers(0, 2**64))
def test_whole_numbers_are_held_in_the_narrowest_exact_type(low, more):
    values = held(float(low), float(low + more), whole=True, working=FLOAT64)
    fits = [dtype for dtype, bits in EXACT if values.peak < 2.0**bits]
    assert values.dtype == (fits[0] if fits else FLOAT64)
    assert values.whole == bool(fits)
    assert held(0, 1, whole=False, working=FLOAT32) == Values(FLOAT32, whole=False, low=0, high=1)


@pytest.mark.parametrize(("value", "held"), [(12.75, True), (-65504, True), (0.1, False), (1e6, False), (1e-9, False)])
def test_half_floats_hold_what_they_do_not_round(value, held):
    """A constant border or a fill of another value makes the block float32."""
    assert Values.of(np.dtype("float16")).hold(value) == held
    image = np.zeros((3, 3), np.float16)
    made = tileconv.box(image, 3, border="constant", cval=value)
    assert made[0, 0] == pytest.approx(5 / 9 * value, rel=1e-6)
