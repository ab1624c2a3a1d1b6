"""Sums of blocks against dense products, exact to the last digit, and sums of sums that nothing rounds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from tileconv.errors import TileError
from tileconv.lessons.block import HEAD, Model, block_sums, entries, footprints, held_out, marked_sums
from tileconv.lessons.exact import ExactSums, merge_packed, packed

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
BLOCKS = st.tuples(st.integers(1, 4), st.integers(1, 13), st.integers(1, 13))


def dense(pixels, shape, weights, target):
    """Return what the sums are by their definition, in whole numbers; *target* holds the weights already."""
    patches = sliding_window_view(pixels, shape).reshape(-1, np.prod(shape))
    products = patches.T @ (patches * weights.reshape(-1, 1))
    return patches.T @ weights.ravel(), patches.T @ target.ravel(), products[np.triu_indices(len(products))]


@given(shape=SHAPES, block=BLOCKS, seed=st.integers(0, 999), some=st.booleans())
def test_sums_of_a_block_are_those_of_all_its_patches(shape, block, seed, some):
    random = np.random.default_rng(seed)
    pixels = random.integers(-(2**15), 2**16, [n + k - 1 for n, k in zip(block, shape, strict=True)])
    counts = random.random(block) < 0.6 if some else None
    weights = np.ones(block, np.int64) if counts is None else counts.astype(np.int64)
    target = random.integers(-(2**15), 2**16, block) * weights
    made = block_sums(pixels.astype(float), shape, target.astype(float), counts)
    expected = [[weights.sum()] * 2, [target.sum(), (target**2).sum(), 0], *dense(pixels, shape, weights, target)]
    assert (made == np.concatenate(expected)).all()
    assert made.size == entries(int(np.prod(shape)))


def test_a_block_of_the_largest_whole_numbers_is_exact():
    """Products of 16 bits in the largest block stay below 2**53."""
    pixels = np.full((1, 258, 258), 65535.0)
    made = block_sums(pixels, (1, 3, 3), pixels[:, :256, :256].copy(), None)
    assert (made[HEAD + 9 :] == 65535 * 65535 * 2**16).all()
    assert made[HEAD] == 65535 * 2**16


def test_a_step_for_marked_pixels():
    random = np.random.default_rng(3)
    pixels, shape = random.normal(size=(1, 8, 9)), (1, 3, 2)
    marks, counts = (random.random((1, 6, 8)) < 0.3).astype(float), random.random((1, 6, 8)) < 0.8
    model = Model(random.normal(size=shape), 0.4)
    patches = sliding_window_view(pixels, shape).reshape(-1, 6)[counts.ravel()]
    odds, y = patches @ model.kernel.ravel() + 0.4, marks[counts]
    likely = 1 / (1 + np.exp(-odds))
    weights = likely * (1 - likely)
    target = weights * odds + y - likely
    loss = -np.log(np.where(y, likely, 1 - likely)).sum()
    head = [len(y), weights.sum(), target.sum(), loss, y.sum()]
    products = (patches.T * weights) @ patches
    expected = [head, weights @ patches, target @ patches, products[np.triu_indices(6)]]
    made = marked_sums(pixels, shape, marks, counts, model)
    np.testing.assert_allclose(made, np.concatenate(expected), rtol=1e-12)


def test_odds_beyond_what_the_exponential_holds():
    """Weights vanish there, and the slope does not."""
    for sign, loss in ((1, 0), (-1, 2e4)):
        pixels, marks = sign * np.array([[[1e4, -1e4]]]), np.array([[[1.0, 0.0]]])
        made = marked_sums(pixels, (1, 1, 1), marks, None, Model(np.ones((1, 1, 1)), 0.0))
        assert np.isfinite(made).all()
        assert made[3] == loss
        assert made[HEAD + 1] == -loss


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1), st.randoms())
def test_sums_are_exact_in_any_order_and_in_any_parts(values, random):
    one, parts = ExactSums(2), [ExactSums(2), ExactSums(2)]
    for pair in values:
        one.add(np.array(pair))
    for pair in random.sample(values, len(values)):
        parts[random.randrange(2)].add(np.array(pair))
    whole = [ExactSums(2)]
    for part in parts:
        merge_packed(whole, packed([part]))
    for sums in (one, whole[0]):
        numbers, exponent = sums.whole()
        made = [Fraction(int(n)) * Fraction(2) ** exponent for n in numbers]
        assert made == [sum(map(Fraction, column)) for column in zip(*values, strict=True)]


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TileError, match="leave the range of float64"):
        ExactSums(1).add(np.array([value]))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_as_many_blocks_are_held_out_as_the_share_says(share):
    assert abs(sum(held_out(n, share) for n in range(1000)) - 1000 * share) <= 2


def test_footprints():
    good = np.ones((1, 5, 6), bool)
    good[0, 2, 3] = False
    expected = sliding_window_view(good, (1, 2, 3)).all((-1, -2, -3))
    assert (footprints(good, (1, 2, 3)) == expected).all()
