"""Kernels given as one outer product: their sums come from the factors, and no grid is made unless asked for."""

import math
import tracemalloc

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import pipeline, plan_of

import tileconv
from tileconv import kernels
from tileconv.engines.kernel import MAX_LENGTH, Kernel
from tileconv.engines.values import Values
from tileconv.errors import KernelError, PlanError

MIB = 2**20


def grid(factors):
    total = np.ones(())
    for factor in factors:
        total = np.multiply.outer(total, factor)
    return total


@given(st.integers(1, 3), st.booleans(), strategies.seeds)
def test_sums_of_the_factors_are_those_of_the_grid(ndim, whole, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, ndim)
    factors = [rng.integers(-9, 10, n) if whole else rng.standard_normal(n) for n in sizes]
    kernel, weights = Kernel.separable(factors, divide_by=3), grid(factors)
    tolerance = 1e-13 * np.abs(weights).sum()
    assert kernel.shape == weights.shape
    assert kernel.anchor == tuple(n // 2 for n in weights.shape)
    assert kernel.integral == whole
    assert kernel.total == pytest.approx(weights.sum() / 3, abs=tolerance)
    assert kernel.absolute_sum == pytest.approx(np.abs(weights).sum(), abs=tolerance)
    assert kernel.norm == pytest.approx(math.sqrt(np.square(weights).sum()), abs=tolerance)
    positive, negative = weights[weights > 0].sum(), weights[weights < 0].sum()
    assert kernel.signed_sums == pytest.approx((positive, negative), abs=tolerance)
    assert "weights" not in vars(kernel)
    np.testing.assert_allclose(kernel.weights, weights, rtol=1e-15)


@given(strategies.kernels(2))
def test_signed_sums_of_any_grid(weights):
    expected = weights[weights > 0].sum(), weights[weights < 0].sum()
    assert Kernel.of(weights).signed_sums == pytest.approx(expected)


@pytest.mark.parametrize(
    "make",
    [lambda: kernels.gaussian(500), lambda: kernels.box(4001), lambda: kernels.gaussian(32, axes="zyx")],
    ids=["gaussian 500", "box 4001", "zyx 32"],
)
def test_a_plan_makes_no_grid(make):
    """The grids would take 122 MiB and more; before, all were made to know their sums."""
    tracemalloc.start()
    kernel = make()
    assert 0.99 <= kernel.total <= 1.01
    assert kernel.digest
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_the_memory_of_a_plan_counts_grids_where_an_engine_wants_them():
    bytes_of = {}
    for engine in ("separable", "fft"):
        stages = [{"op": "box", "size": 401, "engine": engine}]
        bytes_of[engine] = plan_of(pipeline(stages), np.zeros((64, 64), np.float32)).passes[0].process_bytes
    assert bytes_of["fft"] - bytes_of["separable"] >= 3 * 8 * 401**2


def test_a_wide_bell_in_three_axes_is_separable_alone():
    image = np.zeros((5, 6, 7), np.float32)
    image[2, 3, 3] = 1
    made = tileconv.gaussian(image, 32, axes=(0, 1, 2), border="constant", precision="float64")
    bell = np.exp(-0.5 * (np.arange(-128, 129) / 32) ** 2)
    bell /= bell.sum()
    np.testing.assert_allclose(made, grid([bell[126:131], bell[125:131], bell[125:132]]), rtol=1e-6)
    for engine in ("direct", "fft"):
        with pytest.raises(PlanError, match="257x257x257 weights as a grid") as caught:
            tileconv.gaussian(image, 32, axes=(0, 1, 2), engine=engine)
        assert caught.value.fix == "Use separable, or engine: auto."
    with pytest.raises(KernelError, match="at most 16,777,216 weights, found 257 x 257 x 257"):
        _ = kernels.gaussian(32, axes="zyx").weights


def test_lengths_are_limited():
    assert kernels.box({"y": 1, "x": MAX_LENGTH}).shape == (1, MAX_LENGTH)
    with pytest.raises(KernelError, match="at most 1,000,000 weights along an axis, found 1 x 1,000,001"):
        kernels.box({"y": 1, "x": MAX_LENGTH + 1})
    with pytest.raises(KernelError, match="at most 16,777,216 weights, found 16,001 x 16,001"):
        kernels.laplacian_of_gaussian(2000)
    with pytest.raises(KernelError, match="at most 16,777,216 weights, found 8,001 x 8,001"):
        kernels.disk(4000.5)
    with pytest.raises(PlanError, match=r"kernel of 300,001 x 300,001 take .* MiB, more than is free"):
        tileconv.box(np.ones((4, 4)), 300_001)


def test_the_range_of_values_is_known_without_a_grid():
    """Between stages bounds decide types: those of a difference of boxes are -9 to 9 times the peak."""
    kernel = Kernel.separable([[1, 1, 1], [-3, 0, 3]])
    assert kernel.signed_sums == (9, -9)
    stage = plan_of(pipeline([{"op": "prewitt", "component": "x"}]), np.zeros((9, 9), np.uint8)).passes[0].stages[0]
    assert (stage.values_out.low, stage.values_out.high) == (-765, 765)
    assert stage.values_in == (Values.of(np.dtype(np.uint8)),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.gaussian((1, 2)), r"sigma must be a number, found \(1, 2\).*sigma=\{'y': 1, 'x': 2\}"),
        (lambda: kernels.gaussian("2"), "sigma must be a number, found '2'"),
        (lambda: kernels.gaussian("1um"), "found '1um'. Lengths are numbers of pixels"),
        (lambda: kernels.gaussian({"y": "1", "x": 2}), "sigma must be a number, found '1'"),
        (lambda: kernels.gaussian({"y": 1, 2: 2}), "sigma must name the axes y, x, found y, 2"),
        (lambda: kernels.gaussian(1, truncate="4"), "truncate must be a number"),
        (lambda: kernels.box(True), "size must be a number, found True"),
        (lambda: kernels.sobel(""), "component must be one of y, x or magnitude"),
        (lambda: kernels.sobel("yx"), "component must be one of y, x or magnitude"),
        (lambda: kernels.sobel(3), "component must be one of y, x or magnitude"),
        (lambda: kernels.unsharp(1, amount="x"), "amount must be a number"),
        (lambda: kernels.rescale("x"), "gain must be a number"),
        (lambda: kernels.clip(5), r"range must be \[low, high\], found 5"),
        (lambda: kernels.clip("ab"), r"range must be \[low, high\], found 'ab'"),
        (lambda: kernels.clip(["a", "b"]), "an end of range must be a number"),
        (lambda: kernels.convolve([[1]], divide_by="x"), "divide_by must be a number"),
        (lambda: kernels.convolve([[1]], offset=None), "offset must be a number, found None"),
    ],
)
def test_parameters_that_are_no_numbers_are_kernel_errors(call, message):
    with pytest.raises(KernelError) as caught:
        call()
    assert caught.match(message)


def test_numpys_numbers_are_numbers():
    assert kernels.gaussian(np.int8(100)).shape == (801, 801)
    assert kernels.box(np.int64(3)).digest == kernels.box(3).digest
