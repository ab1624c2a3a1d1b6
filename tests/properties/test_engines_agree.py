"""Engines agree: the same within the bounds, the same NaN pixels and infinities, the same whole numbers."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from oracles.nan import touched
from properties.runs_help import pipeline, plan_of, printed_bound, tiled, windows

import tileconv
from tileconv.errors import PlanError

ENGINES = ("direct", "separable", "fft")
RANK_ONE = (np.array([[1.0], [-2.5], [0.5], [3.0]]) * np.array([0.5, 2.0, -1.25])).tolist()
RANK_TWO = (np.array(RANK_ONE) + np.array([[2.0], [1.0], [0.0], [-1.5]]) * np.array([1.0, -1.0, 3.5])).tolist()


def stage(kernel, engine, **words):
    return {"op": "correlate", "kernel": kernel, "engine": engine} | words


@given(
    st.one_of(strategies.images("float32", ndim=2), strategies.images("float64", ndim=2), strategies.images(ndim=2)),
    st.sampled_from((RANK_ONE, RANK_TWO)),
    st.sampled_from(strategies.RULES),
)
def test_within_the_bounds(image, kernel, border):
    made, bounds = {}, {}
    for engine in ENGINES:
        spec = pipeline(
            [stage(kernel, engine, border=border if border != "constant" else {"rule": border, "value": 3})]
        )
        made[engine], _ = windows(spec, image)
        bounds[engine] = printed_bound(plan_of(spec, image).passes[0].stages[0], np.abs(image.astype(float)).max())
    for a, b in (("direct", "separable"), ("direct", "fft"), ("separable", "fft")):
        assert np.abs(made[a].astype(float) - made[b]).max() <= bounds[a] + bounds[b], (a, b)


@given(
    strategies.images(st.sampled_from(("uint8", "int16", "uint16", "int32")), ndim=2, peak=2**24),
    strategies.kernels(whole=True),
    st.sampled_from(strategies.RULES),
)
def test_the_same_whole_numbers(image, kernel, border):
    results = []
    for engine in ENGINES:
        try:
            results.append(tileconv.convolve(image, kernel, border=border, cval=4, engine=engine))
        except PlanError:
            assert engine != "direct"
    assert all(r.tobytes() == results[0].tobytes() and r.dtype == results[0].dtype for r in results)


def test_every_engine_is_in_the_comparison_of_whole_numbers():
    image = strategies.pixels((40, 50), "uint8", 0)
    results = [tileconv.convolve(image, np.outer([1, 2, 3], [1, -4]), engine=engine).tobytes() for engine in ENGINES]
    assert len(set(results)) == 1


PLACES = [(0, 0), (0, 31), (31, 31), (32, 32), (31, 32), (64, 0), (69, 89), (35, 47), (10, 89)]


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from((np.nan, np.inf, -np.inf))), min_size=1, max_size=3),
    st.sampled_from((RANK_ONE, RANK_TWO, [[1.0, 0, 0], [0, 0, 0.5]])),
    st.sampled_from(strategies.RULES),
    st.sampled_from(("float32", "float64")),
)
def test_nan_and_infinity_reach_the_same_pixels(values, kernel, border, dtype):
    """Also at the corners of tiles; a weight of 0 takes no part, so that nothing is under it."""
    image = strategies.pixels((70, 90), dtype, 1)
    for place, value in values:
        image[place] = value
    words = {} if border != "constant" else {"rule": border, "value": 0}
    expected = convolution.correlate(image, np.array(kernel), border)
    for engine in ENGINES:
        try:
            made, _ = windows(tiled([stage(kernel, engine, border=words or border)], 32), image)
        except PlanError:
            assert engine == "separable"
            continue
        assert np.array_equal(np.isnan(made), np.isnan(expected)), engine
        infinite = np.isinf(expected)
        assert np.array_equal(made[infinite], expected[infinite]), engine
        assert np.isfinite(made[np.isfinite(expected)]).all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", PLACES)
def test_one_nan_under_a_box_is_exactly_its_footprint(engine, place):
    image = strategies.pixels((70, 90), "float32", 2)
    image[place] = np.nan
    made, _ = windows(tiled([{"op": "box", "size": 5, "engine": engine, "border": "wrap"}], 32), image)
    assert np.isnan(made).sum() == 25
    assert np.array_equal(np.isnan(made), touched(np.isnan(image), np.ones((5, 5)), "wrap", (2, 2)))


def test_auto_takes_one_of_them_and_gives_its_bytes():
    image = strategies.pixels((70, 90), "float32", 3)
    job = plan_of(pipeline([stage(RANK_TWO, "auto")]), image).passes[0]
    engine = job.stages[0].choices[0].engine
    made = [windows(pipeline([stage(RANK_TWO, e)]), image)[0].tobytes() for e in ("auto", engine)]
    assert made[0] == made[1]
