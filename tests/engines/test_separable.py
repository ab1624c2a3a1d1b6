"""The separable engine: outer products one axis after the other, judged by the whole kernel."""

from itertools import pairwise

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution

from tileconv.engines.direct import LOADABLE
from tileconv.engines.separable import separable, touched

KINDS = [(accumulate, name) for accumulate, names in LOADABLE.items() for name in sorted(names)]
FLOATS = [kind for kind in KINDS if kind[0] != np.int64]


@st.composite
def jobs(draw, kinds=tuple(KINDS), peak=None):
    """Draw a block (z, y, x) and one to three terms that fit inside it, in the types of the loops."""
    accumulate, dtype = draw(st.sampled_from(kinds))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)))
    more = draw(st.tuples(st.integers(0, 3), st.integers(0, 15), st.integers(0, 40)))
    block = strategies.pixels(tuple(map(sum, zip(shape, more, strict=True))), dtype, draw(strategies.seeds), peak=peak)
    rng = np.random.default_rng(draw(strategies.seeds))
    whole = accumulate == np.int64 or draw(st.booleans())
    terms = tuple(
        tuple((rng.integers(-9, 10, n) if whole else rng.standard_normal(n)).astype(accumulate) for n in shape)
        for _ in range(draw(st.integers(1, 3)))
    )
    return block, terms


def kernel(terms, dtype):
    return sum(np.einsum("i,j,k->ijk", *(factor.astype(dtype) for factor in term)) for term in terms)


@given(jobs(kinds=FLOATS))
def test_floats_are_within_the_bound(job):
    block, terms = job
    wide = block.astype(np.longdouble)
    error = np.abs(separable(block, terms) - convolution.valid(wide, kernel(terms, np.longdouble))).max()
    gain = sum(np.prod([np.abs(factor.astype(float)).sum() for factor in term]) for term in terms)
    roundings = sum(factor.size for factor in terms[0]) + len(terms)
    assert error <= roundings * np.finfo(terms[0][0].dtype).eps / 2 * gain * np.abs(wide).max()


@given(jobs(kinds=[kind for kind in KINDS if not kind[1].startswith("float")], peak=10))
def test_whole_numbers_are_exact(job):
    block, terms = job
    terms = tuple(tuple(np.rint(factor) for factor in term) for term in terms)
    assert np.array_equal(separable(block, terms), convolution.valid(block.astype(int), kernel(terms, int)))


@given(jobs(), st.data())
def test_cutting_changes_no_byte(job, data):
    block, terms = job
    whole = separable(block, terms)
    for axis in range(3):
        places = data.draw(strategies.cuts(whole.shape[axis]))
        before = (slice(None),) * axis
        parts = [separable(block[(*before, slice(a, b + terms[0][axis].size - 1))], terms) for a, b in pairwise(places)]
        assert np.concatenate(parts, axis).tobytes() == whole.tobytes()


@given(jobs(kinds=[(np.dtype("f4"), "float32"), (np.dtype("f8"), "float64")]), st.data())
def test_nan_reaches_the_kernels_rectangle(job, data):
    block, terms = job
    block[tuple(data.draw(st.integers(0, n - 1)) for n in block.shape)] = np.nan
    expected = convolution.valid(block, np.ones([factor.size for factor in terms[0]]))
    assert np.array_equal(np.isnan(separable(block, terms)), np.isnan(expected))


@given(jobs(), strategies.seeds)
def test_touched_is_the_footprint_of_what_is_marked(job, seed):
    block, terms = job
    shape = tuple(factor.size for factor in terms[0])
    strange = (np.random.default_rng(seed).random(block.shape) < 0.02).astype(np.uint8)
    assert np.array_equal(touched(strange, shape), convolution.valid(strange.astype(int), np.ones(shape, int)) > 0)


def in_order(block, terms):
    """Return the sums as the docstrings order them: along x, y and z, weights ascending, each product rounded once."""
    shape, accumulate = [factor.size for factor in terms[0]], terms[0][0].dtype
    block = block.astype(accumulate)
    out = np.zeros([n - k + 1 for n, k in zip(block.shape, shape, strict=True)], accumulate)
    for along_z, column, line in terms:
        rows = np.zeros((*block.shape[:2], out.shape[2]), accumulate)
        for k, weight in enumerate(line):
            rows += weight * block[:, :, k : k + out.shape[2]]
        if shape[0] == 1:
            along_z, column = None, along_z[0] * column
        planes = out if along_z is None else np.zeros((block.shape[0], *out.shape[1:]), accumulate)
        for k, weight in enumerate(column):
            planes += weight * rows[:, k : k + out.shape[1]]
        for k, weight in enumerate([] if along_z is None else along_z):
            out += weight * planes[k : k + out.shape[0]]
    return out


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 1, 1), (1, 1, 1)),
        ((1, 1, 17), (2, 3, 530)),
        ((1, 3, 2), (1, 6, 1100)),
        ((1, 3, 3), (2, 6, 1100)),
        ((1, 3, 3), (1, 3, 3)),
        ((3, 3, 3), (5, 7, 300)),
        ((1, 6, 200), (1, 13, 700)),
        ((1, 161, 7), (1, 165, 1300)),
        ((1, 200, 1), (2, 201, 5)),
        ((5, 2, 4), (7, 9, 200)),
    ],
)
@pytest.mark.parametrize(("accumulate", "dtype"), KINDS)
def test_the_order_of_operations_is_the_kernels_alone(shape, size, accumulate, dtype):
    rng = np.random.default_rng(0)
    block = (1000 * rng.random(size)).astype(dtype)
    factors = [[rng.standard_normal(n) for n in shape] for _ in range(2)]
    whole = accumulate == np.int64
    terms = tuple(tuple((np.rint(9 * f) if whole else f).astype(accumulate) for f in term) for term in factors)
    assert separable(block, terms).tobytes() == in_order(block, terms).tobytes()
