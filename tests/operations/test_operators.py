"""Every operator's weights and formula against scipy.ndimage and scikit-image, summed by the oracle, not an engine."""

import numpy as np
import pytest
from oracles import convolution, operators
from oracles.borders import extended

from tileconv import kernels
from tileconv.engines.kernel import Kernel
from tileconv.engines.values import Values
from tileconv.errors import KernelError
from tileconv.operations import registry
from tileconv.operations.absolute import Absolute
from tileconv.operations.clip import Clip
from tileconv.operations.linear import Linear, as_operation
from tileconv.operations.magnitude import Magnitude
from tileconv.operations.operation import Operation
from tileconv.operations.rescale import Rescale
from tileconv.operations.sharpen import Unsharp

RNG = np.random.default_rng(3)
IMAGE = RNG.standard_normal((9, 11)) * 50
VOLUME = RNG.standard_normal((5, 6, 7)) * 50
FLAT = {"convolve", "correlate"}
"""Operators whose case is a kernel of two axes."""


def sums(kernel, image, border, value):
    return convolution.correlate(image, kernel.weights, border, value, anchor=kernel.anchor) / kernel.divide_by


def around(operation, image, border, value):
    """Return what *operation* makes of the image extended by the oracle."""
    halo, axes = operation.halo, image.ndim
    block = extended(image, halo.before, halo.after, [border] * axes, [value] * axes)
    out = operation.outcome((Values.of(image.dtype),), (), "auto")
    return operation.combine((block.reshape((1, *block.shape)[-3:]),), [], (), out).reshape(image.shape)


def result(operation: Operation, image, border="reflect", value=0.0):
    """Return what *operation* says in words, by the oracle's sums and NumPy."""
    if operation.halo and not operation.kernels:
        return around(operation, image, border, value)
    parts = [sums(kernel, image, border, value) for kernel in operation.kernels]
    match operation:
        case Linear():
            return parts[0] + operation.offset
        case Magnitude():
            return np.linalg.norm(parts, axis=0)
        case Unsharp():
            difference = image - parts[0]
            return np.where(np.abs(difference) >= operation.threshold, image + operation.amount * difference, image)
        case Rescale():
            return operation.gain * image + operation.offset
        case Absolute():
            return np.abs(image)
        case Clip():
            return np.clip(image, operation.low, operation.high)


def test_every_operator_has_a_case_and_no_other():
    assert {name for name, _ in operators.CASES} | operators.APART == set(registry.OF_ONE)
    assert set(operators.NAMES) - operators.APART == {name for name, _ in operators.CASES}


def test_hints_name_no_operator_and_point_to_one():
    assert not set(registry.HINTS) & set(registry.OPERATORS)
    for hint in registry.HINTS.values():
        assert hint == "output.dtype" or hint.split()[0] in registry.OPERATORS


@pytest.mark.parametrize("border", ["reflect", "constant", "wrap"])
@pytest.mark.parametrize(("name", "parameters"), operators.CASES)
def test_in_two_axes(name, parameters, border):
    ours = result(as_operation(registry.OPERATORS[name](**parameters)), IMAGE, border, 7.0)
    theirs = operators.apply(name, IMAGE, border, 7.0, **parameters)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "parameters"), [case for case in operators.CASES if case[0] not in FLAT])
def test_in_three_axes(name, parameters):
    ours = result(as_operation(registry.OPERATORS[name](**parameters, axes="zyx")), VOLUME)
    theirs = operators.apply(name, VOLUME, **parameters)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["edge", "sobel", "scharr", "prewitt"])
def test_gradient_along_z(name):
    ours = result(as_operation(registry.OPERATORS[name]("z", axes="zyx")), VOLUME)
    np.testing.assert_allclose(ours, operators.apply(name, VOLUME, component="z"), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("operator", "height"), [(kernels.edge, -1), (kernels.sobel, 4), (kernels.scharr, 16), (kernels.prewitt, 3)]
)
@pytest.mark.parametrize("component", ["x", "y"])
def test_a_step_from_dark_to_bright(operator, height, component):
    step = np.zeros((6, 6))
    step[:, 3:] = 1
    step = step if component == "x" else step.T
    made = result(as_operation(operator(component)), step)
    assert made[3, 3] == made[2, 2] == height
    assert made[0, 0] == made[5, 5] == 0


def test_a_mapping_gives_each_named_axis_its_own_length():
    assert kernels.box({"x": 5, "y": 3}).shape == (3, 5)
    assert kernels.disk({"y": 1, "x": 3}).shape == (3, 7)
    bell = kernels.gaussian({"y": 1, "x": 2})
    assert bell.shape == (9, 17)
    np.testing.assert_allclose(bell.weights.sum(0), kernels.gaussian(2).weights.sum(0))
    dog = kernels.difference_of_gaussians({"y": 1, "x": 2})
    wide = kernels.gaussian({"x": 3.2, "y": 1.6}).weights
    narrow = np.zeros_like(wide)
    narrow[2:-2, 5:-5] = bell.weights
    np.testing.assert_allclose(dog.weights, narrow - wide, atol=1e-15)


def test_the_lessons_grids():
    assert kernels.gaussian(size=1).weights.tolist() == [[1]]
    assert kernels.gaussian(size=5).weights[2, 2] == pytest.approx(0.1621, abs=1e-4)
    assert kernels.sharpen(axes="zyx").weights[1, 1].tolist() == [-1, 7, -1]


@pytest.mark.parametrize("radius", range(1, 40))
def test_disks_hold_their_rim(radius):
    import skimage.morphology

    assert np.array_equal(kernels.disk(radius).weights, skimage.morphology.disk(radius))


def test_disks_of_fractional_radius():
    assert kernels.disk(0.5).weights.tolist() == [[1]]
    assert kernels.disk(1.5).weights.tolist() == [[1] * 3] * 3
    assert kernels.disk(2.3).weights.tolist()[0] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.box(0), "size must be above 0 and finite, found 0"),
        (lambda: kernels.box(2.5), "size must be a whole number of pixels, found 2.5"),
        (lambda: kernels.box(10**9), "at most 1,000,000 weights along an axis, found 1,000,000,000 x 1,000,000,000"),
        (lambda: kernels.box({"x": 3}), "size must name the axes y, x, found x"),
        (lambda: kernels.gaussian(), "expected sigma or size, found neither"),
        (lambda: kernels.gaussian(-1), "sigma must be above 0 and finite, found -1"),
        (lambda: kernels.gaussian(float("nan")), "sigma must be above 0 and finite, found nan"),
        (lambda: kernels.gaussian(float("inf")), "sigma must be above 0 and finite, found inf"),
        (lambda: kernels.gaussian(2e5), "at most 1,000,000 weights along an axis, found 1,600,001 x 1,600,001"),
        (lambda: kernels.gaussian(1e300, truncate=1e300), "at most 1,000,000 weights along an axis, found inf x inf"),
        (lambda: kernels.gaussian(1, truncate=float("nan")), "truncate must be above 0 and finite, found nan"),
        (lambda: kernels.gaussian(1, truncate=-1), "truncate must be above 0 and finite, found -1"),
        (lambda: kernels.gaussian(size=4), "the size of a Gaussian must be odd, found 4"),
        (lambda: kernels.gaussian(size=4.5), "size must be a whole number of pixels, found 4.5"),
        (lambda: kernels.gaussian(size=10**9 + 1), "at most 1,000,000 weights"),
        (lambda: kernels.disk(0), "radius must be above 0 and finite, found 0"),
        (lambda: kernels.disk(1e9), "at most 16,777,216 weights"),
        (lambda: kernels.sobel("z"), "component must be one of y, x or magnitude, found z"),
        (lambda: kernels.laplacian_of_gaussian(1e4), "at most 16,777,216 weights"),
        (lambda: kernels.laplacian_of_gaussian(1e-200), "every weight must be finite"),
        (lambda: kernels.difference_of_gaussians(2, 2), "high_sigma must be above low_sigma, found 2 and 2"),
        (lambda: kernels.difference_of_gaussians(1e4), "at most 16,777,216 weights"),
        (lambda: kernels.unsharp(1, amount=float("nan")), "amount must be finite"),
        (lambda: kernels.unsharp(1, threshold=-1), "threshold >= 0"),
        (lambda: registry.OPERATORS["rescale"](gain=float("inf")), "gain and offset must be finite"),
        (lambda: registry.OPERATORS["clip"]([2, 1]), r"range must be \[low, high\] with low <= high, found \[2, 1\]"),
        (lambda: registry.OPERATORS["clip"]([float("nan"), 1]), "low <= high"),
        (lambda: registry.OPERATORS["clip"]([1, 2, 3]), "low <= high"),
        (lambda: kernels.median(3, radius=2), "expected size or radius, found both"),
        (lambda: kernels.local_minimum(0), "size must be above 0 and finite, found 0"),
        (lambda: kernels.rank(3), "expected rank or percentile, found neither"),
        (lambda: kernels.rank(3, rank=1, percentile=2), "expected rank or percentile, found both"),
        (lambda: kernels.rank(3, rank=9), "rank must be a whole number from -9 to 8, found 9"),
        (lambda: kernels.rank(3, rank=-10), "rank must be a whole number from -9 to 8, found -10"),
        (lambda: kernels.rank(3, rank=0.5), "rank must be a whole number from -9 to 8, found 0.5"),
        (lambda: kernels.rank(3, percentile=100.5), "percentile must be from 0 to 100, found 100.5"),
        (lambda: as_operation("sobel"), "an operator makes a Kernel or an operation, found str"),
    ],
)
def test_bad_parameters_are_kernel_errors(call, message):
    with pytest.raises(KernelError, match=message):
        call()


def test_wide_and_tiny_bells():
    assert kernels.gaussian(200).shape == (1601, 1601)
    assert kernels.gaussian(1e-300).weights.tolist() == [[1]]
    assert kernels.gaussian(1e-300, size=3).weights.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_a_bare_kernel_becomes_a_linear_operation():
    kernel = Kernel.of([[1.0]])
    assert as_operation(kernel) == Linear(kernel)
    assert as_operation(Absolute()) == Absolute()
