"""What NaN, infinity and partial sums beyond the range make of a sum: as the definition says, under every engine."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from oracles.borders import extended

import tileconv
from tileconv.engines.nonfinite import DOWN, NAN, UP, kinds, reach
from tileconv.errors import PlanError

ENGINES = ("direct", "separable", "fft")
STRANGE = (np.nan, -np.nan, np.inf, -np.inf)
CROSS = [[0, 1.5, 0], [1, -4, 1], [0, 1, 0]]


@st.composite
def holey(draw, axes, dtype):
    """Draw lopsided weights of up to two outer products, some factors 0, some badly scaled; perhaps all are 0."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * axes))
    rng = np.random.default_rng(draw(strategies.seeds))
    power = 20 if dtype == "float32" else 150
    total = np.zeros(shape)
    for _ in range(draw(st.integers(0, 2))):
        term, last = np.ones(()), 0
        for number, n in enumerate(shape):
            here = -last if number == axes - 1 else int(rng.integers(-power, power + 1)) - last
            term = np.multiply.outer(term, rng.standard_normal(n) * (rng.random(n) < 0.7) * 10.0**here)
            last += here
        total += term
    return total * (rng.random(shape) < 0.6) if draw(st.booleans()) else total


def scaled(shape, dtype, seed, size):
    """Return pixels up to *size*, of both signs."""
    image = np.random.default_rng(seed).uniform(-1, 1, shape)
    return (image / np.abs(image).max() * size).astype(dtype)


def judged(made, image, weights, border):
    """Assert that *made* has NaN, infinities and finite pixels where exact sums do, these within many roundings."""
    limits, anchor = np.finfo(made.dtype), [n // 2 for n in weights.shape]
    rest = [n - 1 - a for n, a in zip(weights.shape, anchor, strict=True)]
    axes = weights.ndim
    wide = extended(image.astype(np.longdouble), anchor, rest, [border] * axes, [0.0] * axes)
    with np.errstate(all="ignore"):
        expected = convolution.valid(wide, weights.astype(np.longdouble))
        gain = np.abs(weights.astype(np.longdouble)).sum()
        bound = 100 * limits.eps * gain * np.abs(wide[np.isfinite(wide)]).max(initial=0) + 100 * limits.smallest_normal
        error = np.abs(made.astype(np.longdouble) - expected)
    finite = np.isfinite(expected) & (np.abs(expected) + bound < limits.max)
    assert np.array_equal(np.isnan(made), np.isnan(expected))
    assert np.array_equal(made[np.isinf(expected)], expected[np.isinf(expected)].astype(made.dtype))
    assert (error[finite] <= bound).all()
    beyond = np.isfinite(expected) & (np.abs(expected) - bound > limits.max)
    assert np.array_equal(made[beyond], np.copysign(np.inf, expected[beyond]).astype(made.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(st.data(), st.sampled_from((2, 2, 3)), st.sampled_from(("auto", *ENGINES)), st.sampled_from(strategies.RULES))
def test_any_kernel_on_any_pixels(dtype, data, axes, engine, border):
    """Zero weights, rows and kernels, one and several outer products, pixels up to the end of the range."""
    weights = data.draw(holey(axes, dtype))
    largest = float(np.finfo(dtype).max)
    size = data.draw(st.sampled_from((1.0, largest, largest / 8, 1e-20, 1e20)))
    image = scaled(data.draw(st.tuples(*[st.integers(1, 12)] * axes)), dtype, data.draw(strategies.seeds), size)
    for value in data.draw(st.lists(st.sampled_from(STRANGE), max_size=3)):
        image[tuple(data.draw(st.integers(0, n - 1)) for n in image.shape)] = value
    options = {"border": border, "axes": tuple(range(axes)), "engine": engine}
    try:
        made = tileconv.correlate(image, weights, **options)
    except PlanError:
        assert engine == "separable"
        return
    judged(made, image, weights, border)
    tile = tuple(data.draw(st.integers(4, 8)) for _ in range(axes))
    assert tileconv.correlate(image, weights, tile=tile, **options).tobytes() == made.tobytes()


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize(
    ("name", "words", "reached"),
    [
        ("disk", {"radius": 3}, 29),
        ("laplacian", {}, 5),
        ("sharpen", {}, 5),
        ("convolve", {"kernel": CROSS}, 5),
        ("correlate", {"kernel": np.multiply.outer([1.5, 0, 0, 2], [0, 1, 0, -0.5, 0]).tolist()}, 4),
        ("sobel", {"component": "x"}, 6),
        ("prewitt", {"component": "y"}, 6),
        ("sobel", {}, 8),
        ("unsharp", {"sigma": 0.5}, 25),
        ("difference_of_gaussians", {"low_sigma": 0.3}, 25),
    ],
)
def test_how_many_pixels_one_reaches(value, name, words, reached):
    image = strategies.pixels((40, 41), "float32", 0)
    image[20, 21] = value
    for engine in ("auto", *ENGINES):
        try:
            made = getattr(tileconv, name)(image, **words, engine=engine)
        except PlanError:
            assert engine == "separable"
            continue
        assert (~np.isfinite(made)).sum() == reached, engine


@pytest.mark.parametrize("engine", ENGINES)
def test_the_whole_numbers_of_an_image_with_holes(engine):
    """Whole numbers and NaN are no whole numbers any more; a zero kernel makes them all 0."""
    image = strategies.pixels((30, 31), "uint8", 0) | 1
    options = {"nodata": 2, "missing": "propagate", "border": "wrap"}
    image[7, 5] = 2
    if engine != "separable":
        assert not tileconv.correlate(image, np.zeros((3, 4)), engine=engine, **options).any()
    made = tileconv.correlate(image, np.multiply.outer([1, 0, 2], [0, 3]), engine=engine, **options)
    assert np.argwhere(np.isnan(made)).tolist() == [[6, 5], [8, 5]]


def test_weights_that_underflow_in_float32_still_hear_of_nan():
    """A bell cut at 15 sigmas has weights of 1e-49; where its products underflow in float64 too they are 0."""
    image = np.zeros((1, 101), np.float32)
    image[0, 50] = np.nan
    made = tileconv.gaussian(image, 1, truncate=15)
    assert np.isnan(made).sum() == 31
    square = np.zeros((101, 101), np.float32)
    square[50, 50] = np.nan
    weights = tileconv.kernels.gaussian(1, truncate=30).weights
    assert np.isnan(tileconv.gaussian(square, 1, truncate=30)).sum() == (weights != 0).sum() < weights.size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "words"), [("gaussian", {"sigma": 1}), ("box", {"size": 3}), ("disk", {"radius": 2}), ("sharpen", {})]
)
def test_the_largest_number_stays_where_a_kernel_sums_to_one(name, words, dtype):
    largest = np.finfo(dtype).max
    image = np.full((14, 8), largest)
    image[7:] = -largest
    made = getattr(tileconv, name)(image, **words)
    assert made[[0, -1]] == pytest.approx(image[[0, -1]], rel=20 * float(np.finfo(dtype).eps))


def test_an_offset_brings_a_sum_back():
    operation = tileconv.kernels.correlate([[3.0, 1.5]], offset=-3e38)
    assert tileconv.apply(np.full((2, 3), 1.1e38, np.float32), operation) == pytest.approx(1.95e38, rel=1e-6)
    operation = tileconv.kernels.correlate([[3.0, 1.5]], offset=-1.5e308)
    assert tileconv.apply(np.full((2, 3), 6e307), operation) == pytest.approx(1.2e308, rel=1e-14)


@given(strategies.seeds)
def test_reach_is_what_a_walk_over_all_weights_finds(seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-1, 2, rng.integers(1, 6, 3)).astype(float)
    shape = rng.integers(1, 9, 3)
    pixels = rng.standard_normal(shape + weights.shape - 1)
    for value in STRANGE:
        pixels[rng.random(pixels.shape) < 0.02] = value
    near = rng.random(shape) < 0.8
    with np.errstate(invalid="ignore"):
        sums = np.where(near, convolution.valid(pixels, weights), 0)
    expected = np.select([np.isnan(sums), sums == np.inf, sums == -np.inf], [NAN, UP, DOWN], 0)
    assert np.array_equal(reach(kinds(pixels), weights, near), expected)
