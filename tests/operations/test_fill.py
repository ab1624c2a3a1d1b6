"""Missing pixels replaced, against a search pixel by pixel and weighted means of the whole image; borders, types."""

import numpy as np
import pytest
import strategies
from properties.runs_help import pipeline, plan_of, tiled, windows
from scipy import ndimage

import tileconv
from tileconv.errors import KernelError, SpecError

IMAGE = np.random.default_rng(5).random((23, 31)) * 100
IMAGE[np.random.default_rng(6).random(IMAGE.shape) < 0.4] = np.nan
IMAGE[8:20, 10:25] = np.nan
PADS = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
CHAINS = {
    "constant": [{"op": "fill", "method": "constant", "value": 0.5}],
    "nearest": [{"op": "fill", "method": "nearest", "radius": {"y": 2, "x": 3.5}}],
    "blur": [{"op": "fill", "method": "blur", "sigma": {"y": 0.7, "x": 1.2}}],
    "rows": [{"op": "fill", "method": "nearest", "radius": 4, "over": "x"}],
    "then": [
        {"op": "fill", "method": "blur", "sigma": 1},
        {"op": "sobel"},
        {"op": "fill", "method": "constant", "value": -1},
    ],
}


def nearest(image, radii, border, value=7.0):
    """Return *image* with each NaN replaced by a search over all places, nearest first, then by rows and columns."""
    reach = [int(r) for r in radii]
    words = {"constant_values": value} if border == "constant" else {}
    around = np.pad(image, [(r, r) for r in reach], mode=PADS[border], **words)
    places = [(y, x) for y in range(-reach[0], reach[0] + 1) for x in range(-reach[1], reach[1] + 1)]
    distance = {p: (p[0] / radii[0]) ** 2 + (p[1] / radii[1]) ** 2 for p in places}
    ordered = sorted((p for p in places if distance[p] <= 1 + 1e-9), key=lambda p: (round(distance[p], 9), p))
    made = image.copy()
    for y, x in np.argwhere(np.isnan(image)):
        found = (around[y + reach[0] + dy, x + reach[1] + dx] for dy, dx in ordered)
        made[y, x] = next((pixel for pixel in found if not np.isnan(pixel)), np.nan)
    return made


@pytest.mark.parametrize("border", strategies.RULES)
@pytest.mark.parametrize("radii", [(1, 1), (3, 3), (5, 5), (2, 3.5)])
def test_nearest(border, radii):
    ruled = {"rule": "constant", "value": 7.0} if border == "constant" else border
    made = tileconv.fill(IMAGE, "nearest", radius={"y": radii[0], "x": radii[1]}, border=ruled)
    np.testing.assert_array_equal(made, nearest(IMAGE, radii, border))
    assert np.isnan(made).sum() < np.isnan(IMAGE).sum()


@pytest.mark.parametrize("border", ["reflect", "mirror", "nearest", "wrap"])
def test_blur_is_the_weighted_mean_of_valid_pixels(border):
    """As ``interpolate_replace_nans`` of astropy: valid pixels stay, the others become a renormalised sum."""
    valid = ~np.isnan(IMAGE)
    words = {"sigma": (1, 2), "mode": border, "truncate": 3}
    sums = ndimage.gaussian_filter(np.where(valid, IMAGE, 0), **words)
    weights = ndimage.gaussian_filter(valid.astype(float), **words)
    expected = np.divide(sums, weights, where=weights > 0, out=np.full(IMAGE.shape, np.nan))
    made = tileconv.fill(IMAGE, "blur", sigma={"y": 1, "x": 2}, truncate=3, border=border)
    inside = ndimage.binary_dilation(valid, np.ones((7, 13)))
    if border == "wrap":
        inside = ndimage.maximum_filter(valid, (7, 13), mode="wrap")
    np.testing.assert_array_equal(made[valid], IMAGE[valid])
    np.testing.assert_array_equal(np.isnan(made), ~inside)
    np.testing.assert_allclose(made[inside], np.where(valid, IMAGE, expected)[inside], rtol=1e-9)


@pytest.mark.parametrize("dtype", [*strategies.INTEGERS, "float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["constant", "nearest", "blur"])
def test_every_type(name, dtype):
    """Whole numbers have no missing pixels, and stay as they are."""
    image = np.where(np.isnan(IMAGE), 0, IMAGE).astype(dtype)
    made = tileconv.fill(image, **{k: v for k, v in CHAINS[name][0].items() if k != "op"}, dtype="input")
    assert np.array_equal(made, image)
    if np.dtype(dtype).kind == "f":
        holed = IMAGE.astype(dtype)
        made = tileconv.fill(holed, **{k: v for k, v in CHAINS[name][0].items() if k != "op"})
        valid = ~np.isnan(holed)
        assert made.dtype == (np.float64 if dtype == "float64" else np.float32)
        assert np.array_equal(made[valid], holed[valid])
        assert np.isnan(made).sum() < np.isnan(holed).sum()


@pytest.mark.parametrize("name", CHAINS)
def test_the_tile_changes_no_byte(name):
    image = IMAGE[:13, :17].astype(np.float32)
    whole, _ = windows(tiled(CHAINS[name], None), image)
    for tile in (1, 5):
        made, _ = windows(tiled(CHAINS[name], tile), image)
        assert made.tobytes() == whole.tobytes()


def test_after_a_constant_integers_hold_the_result():
    words = {"missing": {"rule": "propagate"}, "input_": {"nodata": 9}, "output": {"dtype": "uint8"}}
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    made, counts = windows(pipeline([{"op": "fill", "method": "constant", "value": 200}], **words), image)
    assert np.array_equal(made, np.where(image == 9, 200, image))
    assert counts.missing == 1


def test_rows_alone():
    made = tileconv.fill(IMAGE, "nearest", radius=2, axes=[1])
    np.testing.assert_array_equal(made, nearest(IMAGE, (0.5, 2), "reflect"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"method": "constant"}, "method constant needs value"),
        ({"method": "nearest", "radius": 2, "value": 1}, "method nearest takes radius, and no value"),
        ({"method": "blur", "sigma": 0}, "sigma"),
        ({"method": "near"}, "expected 'constant', 'nearest' or 'blur', found the text 'near'"),
    ],
)
def test_what_cannot_be_is_refused(words, message):
    with pytest.raises(SpecError, match=message):
        plan_of(pipeline([{"op": "fill", **words}]), IMAGE)


def test_another_method_is_refused_in_python():
    with pytest.raises(KernelError, match="method must be one of constant, nearest, blur, found 'mean'"):
        tileconv.fill(IMAGE, "mean")
