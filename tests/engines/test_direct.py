"""The direct engine: sums by the definition, within its bound, the same bytes wherever an image is cut."""

from itertools import pairwise

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution

from tileconv.engines.direct import LOADABLE, direct, direct_where, fitting

KINDS = [(accumulate, name) for accumulate, names in LOADABLE.items() for name in sorted(names)]


@st.composite
def jobs(draw, kinds=tuple(KINDS), peak=None):
    """Draw a block (z, y, x) and weights that fit inside it, in the types of the loops."""
    accumulate, dtype = draw(st.sampled_from(kinds))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 9)))
    more = draw(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 40)))
    block = strategies.pixels(tuple(map(sum, zip(shape, more, strict=True))), dtype, draw(strategies.seeds), peak=peak)
    rng = np.random.default_rng(draw(strategies.seeds))
    whole = accumulate == np.int64 or draw(st.booleans())
    weights = rng.integers(-9, 10, shape) if whole else rng.standard_normal(shape)
    return block, weights.astype(accumulate)


def wide(array):
    return array.astype(np.longdouble)


def bound(block, weights):
    half_ulp = np.finfo(weights.dtype).eps / 2
    return (weights.size + 1) * half_ulp * np.abs(wide(weights)).sum() * np.abs(wide(block)).max()


@given(jobs(kinds=[kind for kind in KINDS if kind[0] != np.int64]))
def test_floats_are_within_the_bound(job):
    block, weights = job
    error = np.abs(direct(block, weights) - convolution.valid(wide(block), wide(weights)))
    assert error.max() <= bound(block, weights)


@given(jobs(kinds=[kind for kind in KINDS if not kind[1].startswith("float")], peak=1000))
def test_whole_numbers_are_exact(job):
    block, weights = job
    weights = np.rint(weights)
    expected = convolution.valid(block.astype(int), weights.astype(int))
    assert np.array_equal(direct(block, weights), expected)


@given(jobs(), st.data())
def test_cutting_changes_no_byte(job, data):
    block, weights = job
    whole = direct(block, weights)
    for axis in range(3):
        places = data.draw(strategies.cuts(whole.shape[axis]))
        before = (slice(None),) * axis
        parts = [direct(block[(*before, slice(a, b + weights.shape[axis] - 1))], weights) for a, b in pairwise(places)]
        assert np.concatenate(parts, axis).tobytes() == whole.tobytes()


@given(jobs(kinds=[(np.dtype("f4"), "float32"), (np.dtype("f8"), "float64")]), st.data())
def test_nan_and_infinity_stand_where_the_definition_puts_them(job, data):
    block, weights = job
    weights[weights == 0] = 1  # what lies under a weight of 0 is left to engines/nonfinite.py
    for value in data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=3)):
        block[tuple(data.draw(st.integers(0, n - 1)) for n in block.shape)] = value
    with np.errstate(invalid="ignore"):
        expected = convolution.valid(wide(block), wide(weights))
    made = direct(block, weights)
    assert np.array_equal(np.isnan(made), np.isnan(expected))
    assert np.array_equal(made[np.isinf(expected)], expected[np.isinf(expected)])


@given(jobs(kinds=[kind for kind in KINDS if kind[0] != np.int64]), strategies.seeds)
def test_direct_where_writes_what_is_marked_and_nothing_else(job, seed):
    block, weights = job
    shape = fitting(block.shape, weights.shape)
    where = np.random.default_rng(seed).random(shape) < 0.3
    out = np.full(shape, -7.5, weights.dtype)
    direct_where(block, weights, where, out)
    assert (out[~where] == -7.5).all()
    error = np.abs(out - convolution.valid(wide(block), wide(weights)))[where]
    assert error.size == 0 or error.max() <= bound(block, weights)


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int64", "float16", "float64"])
def test_other_types_and_layouts_are_loaded_first(dtype):
    image = np.arange(60).reshape(1, 6, 10).astype(dtype)
    weights = np.array([[[1, 2], [-3, 4]]], np.float32)
    expected = direct(image.astype(np.float32), weights)
    assert np.array_equal(direct(image, weights), expected)
    assert np.array_equal(direct(np.asfortranarray(image), weights), expected)
    assert np.array_equal(direct(np.repeat(image, 2, axis=2)[..., ::2], weights), expected)
