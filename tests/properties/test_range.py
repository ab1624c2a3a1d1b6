"""Range: what is finite and representable is neither infinity nor NaN nor 0, whatever a part of the formula was."""

import math
from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import gains, pipeline, plan_of, windows

import tileconv
from tileconv.engines.choose import ENGINES
from tileconv.engines.kernel import Kernel
from tileconv.errors import KernelError, PlanError
from tileconv.operations.magnitude import Magnitude

MOST32, MOST64 = float(np.finfo(np.float32).max), float(np.finfo(np.float64).max)


def near(made, expected, roundings=8):
    """Return whether *made* is *expected*, a Fraction, within some roundings of its type."""
    limits = np.finfo(np.asarray(made).dtype)
    slack = roundings * Fraction(float(limits.eps)) * abs(expected) + Fraction(float(limits.smallest_subnormal))
    return bool(np.isfinite(made)) and abs(Fraction(float(made)) - expected) <= slack


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("weight", "divide_by", "pixel", "dtype"),
    [
        (1e39, 1.0, 1e-5, "float32"),
        (1e-46, 1.0, 1e20, "float32"),
        (1e30, 1e-12, 1e-10, "float32"),
        (1e-30, 1e12, 1e30, "float32"),
        (1.5, 1e39, 3e38, "float32"),
        (1e39, 1.0, 7, "uint16"),
        (1, 1e-39, 7, "uint16"),
        (3, 1e40, 65535, "uint16"),
        (1e300, 1.0, 1e-290, "float64"),
        (1e-300, 1.0, 1e300, "float64"),
        (1e200, 1e-50, 1e-245, "float64"),
    ],
)
def test_weights_outside_float32_are_summed_in_float64(engine, weight, divide_by, pixel, dtype):
    image = np.full((5, 6), pixel, dtype)
    operation = tileconv.kernels.correlate([[weight, -2 * weight], [0.5 * weight, -weight]], divide_by=divide_by)
    made = tileconv.apply(image, operation, engine=engine)
    expected = Fraction(float(image[0, 0])) * Fraction(-1.5) * Fraction(weight) / Fraction(divide_by)
    assert made.dtype == np.float64
    assert near(made[2, 2], expected, 200)


@pytest.mark.parametrize(
    "step",
    [
        {"op": "rescale", "gain": 1e39},
        {"op": "rescale", "gain": 1e-46},
        {"op": "rescale", "gain": 1.0, "offset": 1e39},
        {"op": "clip", "range": [-1e39, 1e39]},
        {"op": "correlate", "kernel": [[1.0, 2]], "offset": 1e39},
        {"op": "unsharp", "sigma": 1, "amount": 1e39},
        {"op": "laplacian", "border": {"rule": "constant", "value": 1e39}},
    ],
)
def test_constants_outside_float32_are_computed_in_float64(step):
    image = strategies.pixels((9, 8), "float32", 0)
    made, _ = windows(pipeline([step]), image)
    expected, _ = windows(pipeline([step]), image.astype(np.float64))
    assert made.tobytes() == expected.tobytes()
    assert np.isfinite(made).all()


def test_a_chain_of_small_gains_does_not_end_at_0():
    image = np.full((3, 4), 7, np.uint8)
    made, _ = windows(pipeline([{"op": "rescale", "gain": 1e-20}] * 3), image)
    assert made[0, 0] == pytest.approx(7e-60, rel=1e-6, abs=0)


@pytest.mark.parametrize("missing", [1e39, 1e-46])
def test_a_fill_value_outside_float32_is_held_in_float64(missing):
    image = np.array([[1.0, np.nan]], np.float32)
    assert tileconv.rescale(image, missing={"rule": "fill", "value": missing})[0, 1] == missing


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_sums_that_outgrow_float32_see_a_constant_as_it_is(dtype):
    """Not as float32 rounds it: their bound is that of float64."""
    image = np.zeros((3, 4), dtype)
    bordered = tileconv.correlate(image, [[0, 0, 1e39]], border="constant", cval=0.1)
    filled = windows(
        pipeline(
            [{"op": "clip", "range": [-9, 9]}, {"op": "rescale", "gain": 1e39}],
            input_={"nodata": 0},
            missing={"rule": "fill", "value": 0.1},
        ),
        image,
    )[0]
    for made in (bordered[0, -1], filled[0, 0]):
        assert made.dtype == np.float64
        assert near(made, Fraction(0.1) * Fraction(1e39))


def test_weights_that_leave_float64_are_refused():
    for weights, divide_by in (([[1e308] * 9], 1.0), ([[1e300]], 1e-10), ([[1e-300]], 1e100)):
        with pytest.raises(KernelError, match="leave float64"):
            tileconv.kernels.correlate(weights, divide_by=divide_by)


EDGES = st.one_of(
    st.floats(-MOST64, MOST64),
    st.sampled_from([MOST64, -MOST64, MOST64 / 2, 1e308, -1e308, 1e160, -1e-165, 5e-324, 0.0]),
)
EDGES32 = st.one_of(
    st.floats(-MOST32, MOST32, width=32),
    st.sampled_from([MOST32, -MOST32, MOST32 / 2, float(np.float32(1e25)), 2.0**-149, 0.0]),
)
KINDS = pytest.mark.parametrize(("dtype", "numbers"), [("float32", EDGES32), ("float64", EDGES)])


def held(expected, dtype):
    """Return whether a Fraction lies inside a type's range, by more than a few roundings."""
    return abs(expected) <= Fraction(float(np.finfo(dtype).max)) * (1 - Fraction(2, 10**6))


@KINDS
@given(st.data())
def test_rescale(dtype, numbers, data):
    pixel, gain, offset = data.draw(numbers), data.draw(st.sampled_from([2.0, -1.75, 0.5, 9.0])), data.draw(numbers)
    made = tileconv.rescale(np.full((1, 1), pixel, dtype), gain, offset)
    parts = Fraction(gain) * Fraction(pixel), Fraction(offset)
    slack = Fraction(4 * float(np.finfo(made.dtype).eps)) * sum(map(abs, parts))
    if held(sum(parts), dtype):
        assert np.isfinite(made[0, 0])
        assert abs(Fraction(float(made[0, 0])) - sum(parts)) <= slack + Fraction(2.0**-148)


@KINDS
@given(st.data())
def test_unsharp(dtype, numbers, data):
    """Of two pixels that each lie under half of the blur."""
    image = np.array([[data.draw(numbers), data.draw(numbers)]], dtype)
    amount = data.draw(st.sampled_from([1.0, 0.01, -2.5]))
    operation = tileconv.kernels.unsharp({"x": 0.7}, amount=amount, truncate=1.5, axes="x")
    centre, side = (Fraction(float(w)) for w in operation.blur.weights[1:])
    made = tileconv.apply(image, operation, axes=1)
    a, b = (Fraction(float(p)) for p in image[0])
    blurred = (centre + side) * a + side * b
    expected = a + Fraction(amount) * (a - blurred)
    slack = Fraction(40 * float(np.finfo(dtype).eps)) * (abs(a) + abs(b)) + Fraction(2.0**-140)
    if held(expected, dtype):
        assert np.isfinite(made[0, 0])
        assert abs(Fraction(float(made[0, 0])) - expected) <= slack


@KINDS
@given(st.data())
def test_magnitude(dtype, numbers, data):
    image = np.array([[data.draw(numbers), data.draw(numbers)], [data.draw(numbers), 0.0]], dtype)
    kernels = [[[0.5, 0], [0, 0]], [[0, 0], [0.5, 0]], [[0, 0.25], [0, 0]]]
    made = tileconv.apply(image, Magnitude(tuple(map(Kernel.of, kernels))), border="constant")[1, 1]
    x, y, z = (float(p) for p in (image[0, 0], image[1, 0], image[0, 1]))
    expected = math.hypot(x / 2, y / 2, z / 4)
    assert near(made, Fraction(expected), 6)


@pytest.mark.parametrize(
    ("size", "dtype"), [(1e160, "float64"), (1e-165, "float64"), (1e25, "float32"), (1e-25, "float32")]
)
@pytest.mark.parametrize("name", ["sobel", "prewitt", "scharr", "edge"])
def test_magnitudes_scale_with_the_image(name, size, dtype):
    image = strategies.pixels((12, 13), dtype, 0)
    words = {"component": "magnitude"}
    made, one = (getattr(tileconv, name)(pixels, **words) for pixels in (image * np.array(size, dtype), image))
    tolerance = 100 * np.finfo(dtype).eps
    assert np.allclose(made / size, one, rtol=tolerance, atol=tolerance * one.max())


def test_a_magnitude_of_numbers_that_are_known_to_be_tiny():
    image = strategies.pixels((12, 13), "uint8", 0)
    made, _ = windows(pipeline([{"op": "rescale", "gain": 1e-25}, {"op": "sobel"}]), image)
    assert made == pytest.approx(1e-25 * tileconv.sobel(image.astype(float)), rel=1e-5, abs=1e-29)


def test_what_really_leaves_the_range_is_infinite():
    image = np.full((4, 5), MOST32, np.float32)
    image[:2] = -MOST32
    made = tileconv.sharpen(image)
    assert made[1:3].tolist() == [[-math.inf] * 5, [math.inf] * 5]
    assert np.isfinite(made[[0, 3]]).all()
    assert np.isinf(tileconv.rescale(np.full((1, 1), MOST64), 2.0)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_pixels_that_float32_does_not_hold_are_summed_again(engine):
    """``precision: float32`` reads float64 pixels as float32."""
    kernel = np.multiply.outer([1.0, 2.5, -1], [0.01, 0.005, 0.02]).tolist()
    step = {"op": "correlate", "kernel": kernel, "engine": engine}
    made, _ = windows(pipeline([step], precision="float32"), np.full((5, 5), 1e39))
    assert made.dtype == np.float32
    assert made == pytest.approx(1e39 * np.sum(kernel), rel=1e-5)


def test_bound_and_expected_error_of_weights_whose_squares_leave_float64():
    for weight, peak in ((1e300, 1.0), (1e-300, 1.0), (1.0, 1e39)):
        steps = [{"op": "rescale", "gain": peak}, {"op": "correlate", "kernel": [[weight, -2 * weight]]}]
        stage = plan_of(pipeline(steps), np.zeros((5, 5), np.uint16)).passes[0].stages[1]
        assert 0 < stage.expected_error <= stage.error_bound < 1e-10 * 65535 * peak * weight


def test_the_bound_holds_for_weights_outside_float32():
    image = strategies.pixels((20, 21), "float32", 0)
    for engine in ENGINES:
        step = {"op": "correlate", "kernel": [[1e39, 2.5e39, 0.0], [-1e39, 3e38, 1e38]], "engine": engine}
        try:
            stage = plan_of(pipeline([step]), image).passes[0].stages[0]
        except PlanError:
            assert engine == "separable"
            continue
        assert 0 < stage.error_bound < 1e-12 * gains(stage.operation)
