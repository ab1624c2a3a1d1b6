"""The cast to the output's type: half to even against Python's fractions, every type, counts, infinities, edges."""

from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from tileconv.engines.cast import PART, cast, unify_nan
from tileconv.errors import TileError

REALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-300, 300).map(lambda n: n / 2),
    st.integers(-(2**65), 2**65).map(float),
    st.sampled_from([2.0**63, -(2.0**63), 2.0**64, 2.0**63 - 1024, 255.5, 254.5, -0.5, 0.5, 65535.5, -129.0]),
)


def expected(value, dtype):
    """Return what a number becomes, and whether it had to be clipped, in Python's own exact numbers."""
    limits = np.iinfo(dtype)
    rounded = round(Fraction(value))
    return min(max(rounded, int(limits.min)), int(limits.max)), not limits.min <= rounded <= limits.max


@given(st.lists(REALS, min_size=1, max_size=30), st.sampled_from(strategies.INTEGERS))
def test_floats_to_integers(values, dtype):
    made, clipped = cast(np.array(values), np.dtype(dtype))
    numbers, outside = zip(*(expected(v, dtype) for v in values), strict=True)
    assert made.dtype == dtype
    assert made.tolist() == list(numbers)
    assert clipped == sum(outside)


@pytest.mark.parametrize("width", [16, 32])
@given(st.data(), st.sampled_from(strategies.INTEGERS))
def test_short_floats_to_integers(width, data, dtype):
    floats = st.floats(allow_nan=False, allow_infinity=False, width=width)
    values = data.draw(st.lists(floats, min_size=1))
    made, clipped = cast(np.array(values, f"f{width // 8}").reshape(-1, 1), np.dtype(dtype))
    numbers, outside = zip(*(expected(v, dtype) for v in values), strict=True)
    assert made.ravel().tolist() == list(numbers)
    assert clipped == sum(outside)


def test_pixels_outside_the_range_are_counted_in_every_part_of_a_tile():
    values = np.arange(3 * PART + 5) % 256 + 0.25
    values[[0, PART - 1, PART, 3 * PART + 4]] = -9, 256, 1e30, -np.inf
    made, clipped = cast(values, np.dtype("uint8"))
    assert made.tolist() == np.clip(values, 0, 255).round().tolist()
    assert clipped == 4
    values[[7, 2 * PART]] = np.nan
    with pytest.raises(TileError, match="2 pixels are NaN"):
        cast(values, np.dtype("uint8"))


@given(strategies.images(st.sampled_from(strategies.INTEGERS), ndim=2), st.sampled_from(strategies.INTEGERS))
def test_integers_to_integers(image, dtype):
    made, clipped = cast(image, np.dtype(dtype))
    numbers = [expected(v, dtype) for v in image.ravel().tolist()]
    assert made.ravel().tolist() == [n for n, _ in numbers]
    assert clipped == sum(outside for _, outside in numbers)


@pytest.mark.parametrize("dtype", strategies.INTEGERS)
def test_infinities_become_the_ends_and_are_counted(dtype):
    made, clipped = cast(np.array([np.inf, -np.inf, 1.0]), np.dtype(dtype))
    assert made.tolist() == [np.iinfo(dtype).max, np.iinfo(dtype).min, 1]
    assert clipped == 2


@pytest.mark.parametrize("dtype", strategies.INTEGERS)
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_nan_is_refused_with_the_count(dtype, source):
    with pytest.raises(TileError, match=f"2 pixels are NaN, and {dtype} has no NaN"):
        cast(np.array([1.0, np.nan, np.nan], source), np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_last_number_below_two_to_the_63_and_64(dtype):
    limits = np.iinfo(dtype)
    below = np.nextafter(float(limits.max), 0)
    made, clipped = cast(np.array([below, float(limits.max)]), np.dtype(dtype))
    assert made.tolist() == [int(below), limits.max]
    assert clipped == 1


def test_float64_to_float32_clips_what_would_become_infinite():
    largest = float(np.finfo(np.float32).max)
    pixels = np.array([1e300, -1e300, np.inf, -np.inf, np.nan, largest, 0.1])
    made, clipped = cast(pixels, np.dtype("float32"))
    assert made.dtype == np.float32
    assert made.tolist()[:4] == [largest, -largest, np.inf, -np.inf]
    assert np.isnan(made[4])
    assert made[5:].tolist() == [largest, float(np.float32(0.1))]
    assert clipped == 2


@given(strategies.images(st.sampled_from(strategies.FLOATS), ndim=2), st.sampled_from(("float32", "float64")))
def test_floats_to_wider_or_equal_floats_are_unchanged(image, dtype):
    made, clipped = cast(image.astype(np.float32), np.dtype(dtype))
    assert made.tolist() == image.astype(np.float32).tolist()
    assert (made.dtype, clipped) == (np.dtype(dtype), 0)


@pytest.mark.parametrize(
    ("value", "source", "dtype"),
    [(256.0, "float64", "uint8"), (-1, "int64", "uint16"), (1e39, "float64", "float32"), (np.inf, "float32", "int8")],
)
def test_overflow_error_refuses(value, source, dtype):
    pixels = np.array([1, value], source)
    with pytest.raises(TileError, match=f"1 pixels do not fit {dtype}"):
        cast(pixels, np.dtype(dtype), overflow="error")
    made, _ = cast(pixels[:1], np.dtype(dtype), overflow="error")
    assert made.tolist() == [1]


def test_the_same_type_is_handed_through():
    pixels = np.array([1.5, np.nan])
    assert cast(pixels, pixels.dtype)[0] is pixels


def test_pixels_that_are_not_contiguous():
    pixels = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    made, _ = cast(pixels, np.dtype("uint8"))
    assert made.tolist() == pixels.tolist()


@pytest.mark.parametrize("dtype", strategies.FLOATS)
def test_every_nan_gets_the_bits_of_numpys(dtype):
    made = np.array([[[np.nan, -np.nan, 1.0], [-np.inf, np.inf, -0.0]]], dtype)
    made.view(f"u{made.itemsize}")[0, 0, 0] |= 5  # a payload
    part = np.repeat(made, 2, axis=2)[..., ::2]
    unify_nan(part)
    assert part.tobytes() == np.array([[np.nan, np.nan, 1.0], [-np.inf, np.inf, -0.0]], dtype).tobytes()
    for same in (np.zeros((1, 0, 3), dtype), np.array([[[np.inf, -np.inf, 0]]], dtype)):
        before = same.tobytes()
        unify_nan(same)
        assert same.tobytes() == before
