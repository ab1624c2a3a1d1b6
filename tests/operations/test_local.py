"""Operators that are neither one sum nor a formula of it: bilateral, and those of several steps, against libraries."""

import numpy as np
import pytest
import strategies
from oracles import operators
from properties.runs_help import pipeline, plan_of, tiled, windows
from scipy import ndimage
from skimage import restoration
from skimage.restoration import _denoise

import tileconv
from tileconv.errors import PlanError, SpecError
from tileconv.planning.model import Plan

IMAGE = np.random.default_rng(2).random((23, 31)) * 100
PSF = np.random.default_rng(3).random((3, 5))
EVEN = np.random.default_rng(4).random((4, 2))
PADS = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
CHAINS = {
    "bilateral": [{"op": "bilateral", "sigma_color": 20, "sigma_spatial": 1}],
    "bilateral, lopsided": [{"op": "bilateral", "sigma_color": 20, "sigma_spatial": {"y": 0.5, "x": 2}, "size": 3}],
    "richardson_lucy": [{"op": "richardson_lucy", "psf": EVEN.tolist(), "iterations": 2}],
    "local_normalize": [{"op": "local_normalize", "sigma": 1, "deviation_sigma": 0.6, "epsilon": 0.5}],
    "steps between stages": [
        {"op": "gaussian", "sigma": 0.7},
        {"op": "local_normalize", "sigma": 0.8, "epsilon": 0.5, "border": "wrap", "id": "flat"},
        {"op": "abs", "id": "sized"},
        {"op": "subtract", "from": ["input", "flat"], "id": "rest"},
        {"op": "add", "from": ["sized", "rest"]},
    ],
}


def ruled(border):
    return {"rule": "constant", "value": 7.0} if border == "constant" else border


def bilateral(image, colour, sigmas, sizes, border):
    """Return the filter of a float64 plane, one pixel at a time."""
    radii = [n // 2 for n in sizes]
    words = {"constant_values": 7.0} if border == "constant" else {}
    around = np.pad(image.astype(np.float64), [(r, r) for r in radii], mode=PADS[border], **words)
    offsets = np.meshgrid(*(np.arange(-r, r + 1) for r in radii), indexing="ij")
    near = np.exp(-sum((o / s) ** 2 for o, s in zip(offsets, sigmas, strict=True)) / 2)
    made = np.empty(image.shape)
    for place in np.ndindex(image.shape):
        window = around[tuple(slice(p, p + n) for p, n in zip(place, sizes, strict=True))]
        weights = near * np.exp(-(((window - float(image[place])) / colour) ** 2) / 2)
        made[place] = (weights * window).sum() / weights.sum()
    return made


@pytest.mark.parametrize("border", strategies.RULES)
def test_bilateral(border):
    for number, dtype in enumerate(strategies.DTYPES):
        for shape in ((1, 1), (3, 2), (1, 9), (13, 11)):
            image = strategies.pixels(shape, dtype, number, peak=200)
            stage = {"op": "bilateral", "sigma_color": 30, "sigma_spatial": {"y": 1, "x": 0.6}, "border": ruled(border)}
            mapping = pipeline([stage], output={"dtype": "float64"})
            made, _ = windows(mapping, image)
            (planned,) = plan_of(mapping, image).passes[0].stages
            peak = 1 if planned.error_unit == "" else max(np.abs(image.astype(np.float64)).max(), 7)
            expected = bilateral(image, 30, (1, 0.6), (7, 5), border)
            np.testing.assert_allclose(
                made, expected, rtol=0, atol=planned.error_bound * peak, err_msg=f"{dtype} {shape}"
            )


def test_bilateral_is_that_of_scikit_image_but_for_its_table(monkeypatch):
    """The weights of distance in scikit-image 0.26 are read from a table one longer than the window: set right here."""

    def by_distance(size, sigma, *, dtype=float):
        squares = np.arange(-(size // 2), size // 2 + 1) ** 2
        return np.exp(-np.add.outer(squares, squares) / (2 * sigma**2)).astype(dtype).ravel()

    monkeypatch.setattr(_denoise, "_compute_spatial_lut", by_distance)
    theirs = restoration.denoise_bilateral(IMAGE, sigma_color=10, sigma_spatial=1.5, mode="symmetric", bins=10**6)
    np.testing.assert_allclose(tileconv.bilateral(IMAGE, 10, 1.5), theirs, atol=1e-4)
    # a step of the default table is 0.01 of a pixel here, and a weight changes by at most 0.61 / 10 per pixel
    coarse = restoration.denoise_bilateral(IMAGE, sigma_color=10, sigma_spatial=1.5, mode="symmetric")
    assert 1e-4 < np.abs(tileconv.bilateral(IMAGE, 10, 1.5) - coarse).max() < 0.01


def test_a_missing_pixel_spoils_its_window_and_no_other_pixel():
    image = IMAGE.copy()
    image[9, 12] = np.nan
    made = tileconv.bilateral(image, 10, size={"y": 3, "x": 7})
    expected = np.zeros(image.shape, bool)
    expected[8:11, 9:16] = True
    np.testing.assert_array_equal(np.isnan(made), expected)


@pytest.mark.parametrize("iterations", [1, 4])
def test_richardson_lucy_is_that_of_scikit_image(iterations):
    border = {"rule": "constant", "value": 0}
    made = tileconv.richardson_lucy(IMAGE, PSF, iterations, border=border)
    theirs = restoration.richardson_lucy(IMAGE, PSF / PSF.sum(), iterations, clip=False)
    np.testing.assert_allclose(made, theirs, rtol=1e-12)


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap"])
@pytest.mark.parametrize("psf", [PSF, EVEN], ids=["odd", "even"])
def test_richardson_lucy_under_every_border(psf, border):
    expected = operators.apply("richardson_lucy", IMAGE, border, psf=psf, iterations=3)
    np.testing.assert_allclose(tileconv.richardson_lucy(IMAGE, psf, 3, border=border), expected, rtol=1e-11)


def test_deconvolution_brings_back_what_was_blurred():
    spots = np.zeros((40, 40))
    spots[[10, 25, 30], [12, 30, 8]] = 100
    bell = tileconv.kernels.gaussian(1.5).weights
    blurred = ndimage.convolve(spots, bell)
    made = tileconv.richardson_lucy(blurred, bell, 40)
    assert np.abs(made - spots).sum() < 0.6 * np.abs(blurred - spots).sum()


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap"])
def test_local_normalize(border):
    difference = IMAGE - ndimage.gaussian_filter(IMAGE, (2, 1), mode=border)
    variance = ndimage.gaussian_filter(difference**2, 3, mode=border)
    made = tileconv.local_normalize(IMAGE, {"y": 2, "x": 1}, 0.25, deviation_sigma=3, border=border)
    np.testing.assert_allclose(made, difference / np.sqrt(variance + 0.25), rtol=1e-10, atol=1e-12)
    assert np.abs(tileconv.local_normalize(np.full((9, 9), 1e6), 1, 1e-3)).max() < 1e-6


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_tile_changes_no_byte(name, dtype):
    image = strategies.pixels((13, 11), dtype, 1, peak=300)
    whole, _ = windows(tiled(CHAINS[name], None), np.abs(image))
    for tile in (1, 3):
        made, _ = windows(tiled(CHAINS[name], tile), np.abs(image))
        assert made.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", CHAINS)
def test_plans_of_steps_read_back(name):
    plan = plan_of(pipeline(CHAINS[name]), IMAGE)
    assert Plan.from_json(plan.as_json()) == plan
    assert len(plan.as_json()["graph"]["nodes"]) == len(CHAINS[name]) + 2  # steps are no stages of the spec


def test_an_output_of_a_stage_before_steps_is_the_same_alone():
    stages = [{"op": "local_normalize", "sigma": 1, "epsilon": 1.0, "id": "flat"}, {"op": "abs"}]
    both = {"a": {"path": "a.zarr", "from": "flat"}, "b": {"path": "b.zarr"}}
    mapping = {key: value for key, value in pipeline(stages).items() if key != "output"} | {"outputs": both}
    plan = plan_of(mapping, IMAGE)
    assert plan.fingerprint(0) == plan_of(pipeline(stages[:1]), IMAGE).fingerprint()
    assert plan.fingerprint(1) == plan_of(pipeline(stages), IMAGE).fingerprint()


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"op": "bilateral", "sigma_color": 0}, "sigma_color"),
        ({"op": "bilateral", "sigma_color": 1, "size": 4}, "size must be odd"),
        ({"op": "richardson_lucy", "psf": [[1, -1]]}, "at least 0"),
        ({"op": "richardson_lucy", "psf": [[0, 0]]}, "one of them above"),
        ({"op": "richardson_lucy", "psf": [[1]], "iterations": 0}, "iterations"),
        ({"op": "local_normalize", "sigma": 1}, "epsilon"),
        ({"op": "local_normalize", "sigma": 1, "epsilon": 0}, "epsilon"),
        ({"op": "local_normalize", "sigma": 1, "epsilon": 1, "extent": "valid"}, "extent: expected 'same'"),
    ],
)
def test_what_cannot_be_is_refused(stage, message):
    with pytest.raises(SpecError, match=message):
        plan_of(pipeline([stage]), IMAGE)


def test_steps_have_one_extent_in_python_too():
    with pytest.raises(PlanError, match="same alone"):
        tileconv.richardson_lucy(IMAGE, PSF, extent="full")
