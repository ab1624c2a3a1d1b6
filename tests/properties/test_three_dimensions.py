"""Stacks filtered in depth equal scipy.ndimage, by every engine, with every border, tiled or not; axes of one pixel."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import strategies
from properties.runs_help import plan_of, tiled, windows

import tileconv

RNG = np.random.default_rng(7)
KERNEL = RNG.standard_normal((5, 7, 3))
RULES = ("reflect", "mirror", "nearest", "wrap")
MAGNITUDE = "magnitude"


def sobel(image, mode):
    return np.sqrt(sum(ndi.sobel(image, axis, mode=mode) ** 2 for axis in range(3)))


CASES = {
    "gaussian": ({"op": "gaussian", "sigma": {"z": 0.8, "y": 1.5, "x": 1}},
                 lambda i, m: ndi.gaussian_filter(i, (0.8, 1.5, 1), mode=m)),
    "sobel": ({"op": "sobel"}, sobel),
    "laplacian": ({"op": "laplacian"}, lambda i, m: ndi.laplace(i, mode=m)),
    "random 5 x 7 x 3": ({"op": "correlate", "kernel": KERNEL.tolist()},
                         lambda i, m: ndi.correlate(i, KERNEL, mode=m)),
}  # fmt: skip


@pytest.mark.parametrize("border", RULES)
@pytest.mark.parametrize("name", CASES)
def test_a_stack_in_depth_is_that_of_scipy(name, border):
    stage, answer = CASES[name]
    image = strategies.pixels((9, 14, 17), "uint16", 3)
    words = {"border": border, "precision": "float64"}
    expected = answer(image.astype(np.float64), border)
    for engine in ("direct", "fft"):
        stages = [stage | {"over": "zyx", "engine": engine}]
        made = [windows(tiled(stages, t, **words), image)[0] for t in (None, {"z": 4, "y": 5, "x": 17})]
        assert made[0].tobytes() == made[1].tobytes()
        np.testing.assert_allclose(made[0], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(1, 14, 17), (9, 1, 17), (9, 14, 1), (1, 1, 17), (1, 1, 1)])
@pytest.mark.parametrize("name", CASES)
def test_axes_of_one_pixel(name, shape):
    stage, answer = CASES[name]
    image = strategies.pixels(shape, "float32", 4).astype(np.float64)
    words = {"border": "nearest", "missing": {"rule": "propagate"}}
    expected = answer(image, "nearest")
    made = [windows(tiled([stage | {"over": "zyx"}], t, **words), image)[0] for t in (None, 3)]
    assert made[0].tobytes() == made[1].tobytes()
    np.testing.assert_allclose(made[0], expected, rtol=1e-9, atol=1e-9 * np.abs(image).max() * 100)
    assert plan_of(tiled([stage | {"over": "zyx"}], 3, **words), image).info.shape == shape


def test_borders_per_axis_from_python():
    image = strategies.pixels((14, 17), "float64", 5)
    border = {"x": "wrap", "y": "nearest"}
    kernel = KERNEL[0]
    padded = np.pad(np.pad(image, ((3, 3), (0, 0)), "edge"), ((0, 0), (1, 1)), "wrap")
    expected = ndi.convolve(padded, kernel, mode="constant")[3:-3, 1:-1]
    for tile in (None, 5):
        np.testing.assert_allclose(tileconv.convolve(image, kernel, border=border, tile=tile), expected, rtol=1e-12)
    blurred = tileconv.gaussian(image, 1, border=border)
    one = ndi.gaussian_filter1d(ndi.gaussian_filter1d(image, 1, 0, mode="nearest"), 1, 1, mode="wrap")
    np.testing.assert_allclose(blurred, one, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_borders_per_axis_of_a_stack(name):
    """Each axis has a rule of its own: the oracle pads one axis after the other, further than any kernel reaches."""
    stage, answer = CASES[name]
    image = strategies.pixels((9, 14, 17), "uint16", 6)
    padded = image.astype(np.float64)
    for axis, mode in enumerate(("wrap", "edge", "reflect")):
        padded = np.pad(padded, [(8, 8) if n == axis else (0, 0) for n in range(3)], mode)
    expected = answer(padded, "nearest")[8:-8, 8:-8, 8:-8]
    words = {"border": {"z": "wrap", "y": "nearest", "x": "mirror"}, "precision": "float64"}
    for engine in ("direct", "fft"):
        stages = [stage | {"over": "zyx", "engine": engine}]
        made = [windows(tiled(stages, t, **words), image)[0] for t in (None, {"z": 4, "y": 5, "x": 17})]
        assert made[0].tobytes() == made[1].tobytes()
        np.testing.assert_allclose(made[0], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
