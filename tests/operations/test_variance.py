"""Variances against fractions: every type, sizes even and lopsided, large means, what is not finite."""

import math
from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles.borders import extended
from oracles.nan import touched
from properties.runs_help import pipeline, plan_of, windows

import tileconv

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 7))


def exact(image, sizes, rule):
    """Return the variance of every window as a fraction."""
    before, after = [n // 2 for n in sizes], [(n - 1) // 2 for n in sizes]
    wide = extended(image, before, after, [rule] * image.ndim, [0] * image.ndim)
    seen = np.lib.stride_tricks.sliding_window_view(wide, sizes).reshape(*image.shape, -1)
    made = np.empty(image.shape, object)
    for place in np.ndindex(*image.shape):
        pixels = [Fraction(p.item()) for p in seen[place]]
        mean = sum(pixels) / len(pixels)
        made[place] = sum((p - mean) ** 2 for p in pixels) / len(pixels)
    return made


@given(
    strategies.images(ndim=2), SIZES, st.sampled_from(("reflect", "wrap")), st.booleans(), st.sampled_from((0, 10**5))
)
def test_within_the_bound_of_the_plan(image, sizes, rule, root, offset):
    image = image[:6, :9]
    image = image + image.dtype.type(offset) if image.dtype in ("float32", "float64") else image
    size = dict(zip("yx", sizes, strict=True))
    spec = pipeline([{"op": "standard_deviation" if root else "variance", "size": size}], border=rule)
    made, _ = windows(spec, image)
    (stage,) = plan_of(spec, image).passes[0].stages
    peak = 1 if not stage.error_unit else float(np.abs(image).max()) ** (1 if root else 2)
    for place, truth in np.ndenumerate(exact(image, sizes, rule)):
        expected = Fraction(math.sqrt(truth)) if root else truth
        assert abs(Fraction(made[place].item()) - expected) <= Fraction(stage.error_bound) * Fraction(peak), place


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_whole_numbers_are_rounded_once_or_twice(dtype):
    image = strategies.pixels((12, 9), dtype, 2)
    image[:6] = image[0, 0] // 2 * 2  # and little differs
    image[2:5, 3] += 1
    made = tileconv.variance(image, {"y": 3, "x": 4}, precision="float64")
    for place, truth in np.ndenumerate(exact(image, (3, 4), "reflect")):
        assert abs(Fraction(made[place].item()) - truth) <= truth * Fraction(2.0**-52), place


@pytest.mark.parametrize("dtype", strategies.DTYPES)
def test_a_uniform_image_has_none(dtype):
    image = np.full((9, 11), 3, dtype) if dtype == "float16" else np.full((9, 11), 100_003.0).astype(dtype)
    assert not tileconv.variance(image, 7).any()


def test_a_large_mean_takes_little_away():
    image = 1e8 + np.arange(63, dtype=np.float64).reshape(7, 9) % 5
    np.testing.assert_allclose(tileconv.variance(image, 5), tileconv.variance(image - 1e8, 5), rtol=1e-7)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_what_is_not_finite_makes_nan(size):
    image = strategies.pixels((20, 21), "float32", 5)
    image[3, 4], image[9, 9], image[15, 2] = np.nan, np.inf, -np.inf
    made = tileconv.standard_deviation(image, size)
    shape, anchor = np.ones((size, size)), (size // 2, size // 2)
    assert np.array_equal(np.isnan(made), touched(~np.isfinite(image), shape, "reflect", anchor))
    assert np.isfinite(made[~np.isnan(made)]).all()


def test_beyond_the_range_it_is_infinite():
    image = np.array([[1e308, -1e308, 1e308, 0.0, 1.0]])
    assert np.isinf(tileconv.variance(image)[0, :4]).all()
    assert tileconv.variance(image)[0, 4] == tileconv.variance(image[:, 3:])[0, 1]


def test_in_three_axes_and_along_one():
    image = strategies.pixels((4, 6, 7), "uint8", 3)
    deep = pipeline([{"op": "variance", "size": {"z": 2, "y": 3, "x": 1}, "over": "zyx"}])
    np.testing.assert_allclose(windows(deep, image)[0], exact(image, (2, 3, 1), "reflect").astype(float), rtol=1e-6)
    flat = pipeline([{"op": "variance", "size": 3, "over": "z"}])
    np.testing.assert_allclose(windows(flat, image)[0], exact(image, (3, 1, 1), "reflect").astype(float), rtol=1e-6)
