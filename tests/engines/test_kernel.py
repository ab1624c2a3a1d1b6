"""Kernel: anchors, terms, sums, digests and refusals."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution

from tileconv.engines import kernel as module
from tileconv.engines.kernel import MAX_TERMS, Kernel
from tileconv.errors import KernelError


def outer(term):
    total = np.ones(())
    for factor in term:
        total = np.multiply.outer(total, factor)
    return total


@given(strategies.kernels(2))
def test_flip_and_anchor_are_the_definition_of_convolution(weights):
    image = np.random.default_rng(0).integers(-9, 9, (4, 5))
    for flip, oracle in ((False, convolution.correlate), (True, convolution.convolve)):
        kernel = Kernel.of(weights, flip=flip)
        ours = convolution.correlate(image, kernel.weights, "constant", anchor=kernel.anchor)
        np.testing.assert_array_equal(ours, oracle(image, weights, "constant"))


@pytest.mark.parametrize(
    ("size", "flip", "anchor"), [(1, False, 0), (2, False, 1), (2, True, 0), (3, True, 1), (4, False, 2), (4, True, 1)]
)
def test_the_centre_of_even_kernels(size, flip, anchor):
    kernel = Kernel.of(np.arange(size), flip=flip)
    assert kernel.anchor == (anchor,)
    assert (kernel.halo.before, kernel.halo.after) == ((anchor,), (size - 1 - anchor,))


@given(st.integers(1, 3).flatmap(lambda n: strategies.kernels(n, whole=True)))
def test_terms_of_whole_numbers_are_whole_and_exact(weights):
    kernel = Kernel.of(weights)
    for term in kernel.terms:
        assert all(factor.dtype == np.int64 for factor in term)
    if kernel.terms:
        assert np.array_equal(sum(outer(term) for term in kernel.terms), weights)


@given(st.integers(1, 3).flatmap(lambda n: strategies.kernels(n, whole=False)))
def test_terms_of_floats_leave_only_rounding(weights):
    kernel = Kernel.of(weights)
    if kernel.terms:
        left = np.abs(sum(outer(term) for term in kernel.terms) - weights).sum()
        assert left <= 2 * module.REMAINDER * kernel.absolute_sum


@given(st.integers(1, MAX_TERMS + 2), strategies.seeds)
def test_terms_count_the_rank(rank, seed):
    rng = np.random.default_rng(seed)
    weights = sum(np.multiply.outer(rng.standard_normal(13), rng.standard_normal(11)) for _ in range(rank))
    assert len(Kernel.of(weights).terms) == (rank if rank <= MAX_TERMS else 0)


@given(st.integers(1, 3), strategies.seeds)
def test_rank_one_is_found_whatever_the_numbers(ndim, seed):
    rng = np.random.default_rng(seed)
    weights = outer([rng.integers(1, 100, rng.integers(1, 7)) * rng.choice([-1, 1]) for _ in range(ndim)])
    assert len(Kernel.of(weights).terms) == 1


def test_factors_too_large_for_int64_are_not_multiplied():
    assert Kernel.of([[2**32, 1], [1, 0]]).terms == ()
    assert len(Kernel.of([[2**52, 2**51], [2**51, 2**50]]).terms) == 1


def test_nothing_but_zeros():
    kernel = Kernel.of(np.zeros((3, 4)))
    assert (kernel.terms, kernel.total, kernel.absolute_sum, kernel.norm) == ((), 0, 0, 0)
    assert kernel.integral


def test_large_kernels_are_factored_in_no_time():
    """Full pivoting takes 2 to 5 ms here; an SVD of the second takes 100."""
    rng = np.random.default_rng(0)
    assert Kernel.of(rng.random((255, 255))).terms == ()
    assert len(Kernel.of(np.outer(rng.random(401), rng.random(401))).terms) == 1


@given(strategies.kernels(2))
def test_sums_are_the_exact_ones_rounded_once(weights):
    kernel = Kernel.of(weights, divide_by=3)
    exact = [Fraction(v) for v in weights.ravel().tolist()]
    assert kernel.total == float(sum(exact)) / 3
    assert kernel.absolute_sum == pytest.approx(float(sum(map(abs, exact))), rel=1e-14)
    assert kernel.norm == pytest.approx(math.sqrt(sum(v * v for v in exact)))


def test_weights_are_frozen_and_the_callers_array_is_not():
    mine = np.ones((2, 2))
    kernel = Kernel.of(mine)
    mine[0, 0] = 5
    assert kernel.weights.sum() == 4
    with pytest.raises(ValueError, match="read-only"):
        kernel.weights[0, 0] = 1


def test_whole_numbers_become_int64_until_floats_are_no_longer_exact():
    assert Kernel.of([[1.0, 2.0]]).integral
    assert Kernel.of(np.array([True, False])).integral
    assert Kernel.of([2.0**53 - 1]).integral
    assert not Kernel.of([2.0**53]).integral
    assert not Kernel.of([0.5]).integral


def test_digests_tell_apart_what_acts_differently():
    alike = [Kernel.of([[1, 2]]), Kernel.of([[1.0, 2.0]], divide_by=1), Kernel.of(np.array([[1, 2]], np.uint8))]
    assert len({k.digest for k in alike}) == 1
    assert Kernel.of([0.5, -0.0]).digest == Kernel.of([0.5, 0.0]).digest
    others = [
        Kernel.of([[2, 1]]),
        Kernel.of([[2, 1]], flip=True),
        Kernel.of([[1], [2]]),
        Kernel.of([[1, 2]], divide_by=2),
        Kernel.of([[1.5, 2]]),
        Kernel.separable([[1], [2, 4]]),
    ]
    assert len({k.digest for k in (*others, alike[0])}) == 1 + len(others)
    assert pickle.loads(pickle.dumps(alike[0])).digest == alike[0].digest  # noqa: S301 our own bytes


def test_given_terms_are_kept():
    kernel = Kernel.separable([[1, 2, 1], [-1, 0, 1]], [[0, 1, 0], [0, 1, 0]])
    assert len(kernel.terms) == 2
    assert kernel.weights.tolist() == [[-1, 0, 1], [-2, 1, 2], [-1, 0, 1]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([], r"1 to 3 axes and at least one weight, found shape \(0,\)"),
        (3.0, r"1 to 3 axes and at least one weight, found shape \(\)"),
        (np.ones((1, 1, 1, 1)), r"found shape \(1, 1, 1, 1\)"),
        ([[1, 2], [3]], "the rows of a kernel must have the same length"),
        ([[1, None]], "real numbers, found type object"),
        ([["a"]], "real numbers"),
        ([[1j]], "real numbers, found type complex128"),
        ([[1, float("nan")]], "every weight must be finite"),
        ([[1, float("-inf")]], "every weight must be finite"),
        (np.array([np.finfo(np.longdouble).max]), "every weight must be finite"),
        (np.broadcast_to(np.int8(1), (4097, 4096)), "at most 16,777,216 weights, found 4,097 x 4,096"),
    ],
)
def test_bad_weights_are_kernel_errors(weights, message):
    with pytest.raises(KernelError, match=message):
        Kernel.of(weights)


@pytest.mark.parametrize("divide_by", [0, float("nan"), float("inf")])
def test_bad_divisors_are_kernel_errors(divide_by):
    with pytest.raises(KernelError, match="divide_by must be a finite number other than 0"):
        Kernel.of([1], divide_by=divide_by)
