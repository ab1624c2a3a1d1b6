"""What a uniform image becomes: itself under blurs, 0 under edges, exactly or within the bound (docs/operators.md)."""

import numpy as np
import pytest
import scipy.ndimage as nd
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import pipeline, plan_of, windows

import tileconv

COMPONENTS, NAMES = ("x", "y", "magnitude"), ("edge", "sobel", "scharr", "prewitt")
GRADIENTS = [(name, {"component": c}) for name in NAMES for c in COMPONENTS]
WHOLE = [*GRADIENTS, ("laplacian", {})]
ZERO = [*WHOLE, ("difference_of_gaussians", {"low_sigma": 1.0})]
OVER = st.sampled_from(("yx", "zyx"))
SIZES = {"yx": (7, 9), "zyx": (4, 7, 9)}


def largest(case, value, dtype, engine, over):
    """Return the largest absolute pixel that *case* makes of a uniform image, and the bound."""
    name, words = case
    image = np.full(SIZES[over], value, dtype)
    spec = pipeline([{"op": name, "over": over, "engine": engine, **words}], output={"dtype": "float64"})
    (stage,) = plan_of(spec, image).passes[0].stages
    bound = stage.error_bound * (1 if image.dtype.kind in "iu" else abs(float(image.flat[0])))
    return np.abs(windows(spec, image)[0]).max(), bound


@given(
    st.sampled_from(WHOLE), st.integers(0, 65535), st.sampled_from(("direct", "fft")), st.sampled_from(("yx", "zyx"))
)
def test_whole_pixels_become_exactly_0(case, value, engine, over):
    assert largest(case, value, np.uint16, engine, over)[0] == 0


VALUES = st.floats(1e-3, 1e6) | st.floats(-1e6, -1e-3)
TYPES = st.sampled_from((np.float32, np.float64))


@given(st.sampled_from(ZERO), VALUES, TYPES, st.sampled_from(("auto", "direct", "fft")), OVER)
def test_real_pixels_become_0_within_the_bound(case, value, dtype, engine, over):
    found, bound = largest(case, value, dtype, engine, over)
    assert found <= bound


@given(st.sampled_from(GRADIENTS), VALUES, TYPES, OVER)
def test_the_separable_engine_makes_real_pixels_exactly_0(case, value, dtype, over):
    assert largest(case, value, dtype, "separable", over)[0] == 0


@pytest.mark.parametrize(("sigma", "sum_"), [(0.5, -1.12), (1, -1.44e-4), (2, -1.73e-4), (5, -5.72e-5)])
def test_the_laplacian_of_gaussian_is_not_quite_0_nor_is_scipys(sigma, sum_):
    ours = tileconv.laplacian_of_gaussian(np.ones((60, 60)), sigma)
    theirs = nd.gaussian_laplace(np.ones((60, 60)), sigma)
    np.testing.assert_allclose([ours, theirs], sum_, rtol=0.01)
    assert tileconv.kernels.laplacian_of_gaussian(sigma).total == pytest.approx(sum_, rel=0.01)


@pytest.mark.parametrize("axes", ["yx", "zyx"])
def test_from_one_pixel_on_its_sum_is_as_small_as_told(axes):
    sigmas = np.linspace(1, 25 if axes == "yx" else 8, 25)
    sums = [(s, tileconv.kernels.laplacian_of_gaussian(s, axes=axes).total) for s in sigmas]
    assert max(abs(total) * s**2 for s, total in sums) < 0.001 * len(axes)


@given(st.sampled_from((("box", {"size": 5}), ("gaussian", {"sigma": 2}), ("disk", {"radius": 2.5}))), VALUES, TYPES)
def test_blurs_keep_it_within_the_bound(case, value, dtype):
    name, words = case
    image = np.full(SIZES["yx"], value, dtype)
    spec = pipeline([{"op": name, **words}], output={"dtype": "float64"})
    (stage,) = plan_of(spec, image).passes[0].stages
    made = windows(spec, image)[0]
    assert np.abs(made - image).max() <= stage.error_bound * abs(float(image.flat[0]))
