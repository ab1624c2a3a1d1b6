"""Stages over axes other than the last ones, and Gaussians that leave an axis alone, against scipy.ndimage."""

import numpy as np
import pytest
from runs_help import overlapped, pipeline, windows
from scipy import ndimage

import tileconv
from tileconv.errors import SpecError

VOLUME = np.random.default_rng(5).integers(0, 1000, (5, 7, 6)).astype(np.uint16)
LOPSIDED = [3.0, -1.0, 0.5, 2.0]
"""An even number of weights, so that a wrong turn or a wrong anchor shows."""
STAGES = {
    "gaussian": ({"sigma": 1.2}, lambda image, axis: ndimage.gaussian_filter1d(image, 1.2, axis, mode="mirror")),
    "correlate": ({"kernel": LOPSIDED}, lambda image, axis: ndimage.correlate1d(image, LOPSIDED, axis, mode="mirror")),
    "convolve": ({"kernel": LOPSIDED}, lambda image, axis: ndimage.convolve1d(image, LOPSIDED, axis, mode="mirror")),
    "sobel": ({}, lambda image, axis: np.abs(ndimage.correlate1d(image, [-1, 0, 1], axis, mode="mirror"))),
    "laplacian": ({}, lambda image, axis: ndimage.correlate1d(image, [1, -2, 1], axis, mode="mirror")),
    "unsharp": ({"sigma": 1}, lambda image, axis: 2 * image - ndimage.gaussian_filter1d(image, 1, axis, mode="mirror")),
}  # fmt: skip


@pytest.mark.parametrize("over", ["x", "y", "z"])
@pytest.mark.parametrize("op", STAGES)
def test_one_axis_alone(op, over):
    parameters, oracle = STAGES[op]
    tile = {"z": 2, "y": 64, "x": 3}
    stage = {"op": op, **parameters, "over": over, "border": "mirror"}
    mapping = pipeline([stage], output={"chunks": tile}, run={"tile": tile}, precision="float64")
    made, _ = windows(mapping, VOLUME, "zyx")
    expected = oracle(VOLUME.astype(np.float64), "zyx".index(over))
    np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-9)
    whole, _ = windows(pipeline([stage], precision="float64"), VOLUME, "zyx")
    assert made.tobytes() == whole.tobytes() == overlapped(mapping, VOLUME, (2, 3, 6), "zyx").tobytes()


@pytest.mark.parametrize("over", ["zy", "zx"])
def test_two_axes_that_are_not_the_last(over):
    kernel = np.random.default_rng(6).standard_normal((2, 3))
    stage = {"op": "correlate", "kernel": kernel.tolist(), "over": over, "border": {over[0]: "wrap"}}
    made, _ = windows(pipeline([stage], precision="float64"), VOLUME, "zyx")
    axes = ["zyx".index(axis) for axis in over]
    placed = np.expand_dims(kernel, ({0, 1, 2} - {*axes}).pop())
    modes = ["wrap" if axis == axes[0] else "reflect" for axis in range(3)]
    padded = VOLUME.astype(np.float64)
    for axis, mode in enumerate(modes):  # one axis at a time, because scipy.ndimage takes one mode for all
        width = [(4, 4) if n == axis else (0, 0) for n in range(3)]
        padded = np.pad(padded, width, mode={"wrap": "wrap", "reflect": "symmetric"}[mode])
    expected = ndimage.correlate(padded, placed, mode="constant")[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("sigma", [{"y": 0, "x": 2}, {"y": 1.5, "x": 0}])
def test_a_sigma_of_0_leaves_its_axis_alone(sigma):
    image = VOLUME[0].astype(np.float64)
    expected = ndimage.gaussian_filter(image, (sigma["y"], sigma["x"]))
    np.testing.assert_allclose(tileconv.gaussian(image, sigma), expected, rtol=1e-12)
    np.testing.assert_allclose(tileconv.unsharp(image, sigma), 2 * image - expected, rtol=1e-12, atol=1e-9)
    (axis,) = (axis for axis in sigma if sigma[axis])
    one, _ = windows(pipeline([{"op": "gaussian", "sigma": sigma[axis], "over": axis}]), VOLUME[0])
    both, _ = windows(pipeline([{"op": "gaussian", "sigma": sigma}]), VOLUME[0])
    assert one.tobytes() == both.tobytes()


@pytest.mark.parametrize("sigma", [0, {"y": 0, "x": 0}, {"y": -1, "x": 2}])
def test_no_sigma_above_0_is_refused(sigma):
    with pytest.raises(SpecError, match=r"0"):
        tileconv.plan(pipeline([{"op": "gaussian", "sigma": sigma}]))


def test_a_border_of_an_axis_that_the_stage_leaves_alone_is_refused():
    with pytest.raises(SpecError, match="x"):
        tileconv.plan(pipeline([{"op": "gaussian", "sigma": 1, "over": "y", "border": {"x": "wrap"}}]))
