"""Colours beside alpha, and in linear light, beside what scipy.ndimage makes of them in float64 without the engine."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from properties.runs_help import MACHINE, pipeline
from scipy import ndimage

import tileconv
from tileconv.errors import PlanError
from tileconv.images import RGB, ImageInfo
from tileconv.planning.build import make_plan
from tileconv.planning.model import Plan
from tileconv.printing import rich_text
from tileconv.report.explain import explain
from tileconv.spec import spec_from_mapping

RNG = np.random.default_rng(8)
BLUR, SHARPEN = {"op": "gaussian", "sigma": 1.5}, {"op": "sharpen"}


def noise(dtype, shape=(4, 37, 45)):
    """Colours everywhere, also where alpha is 0, as it is in a large hole."""
    image = RNG.random(shape) * (1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max)
    image = image.astype(dtype)
    image[-1, 8:24, 10:31] = 0
    return image


def written(folder, image, extra="unassalpha"):
    if image.dtype == np.uint8 and extra == "png":
        Image.fromarray(np.moveaxis(image, 0, -1)).save(folder / "a.png")
        return folder / "a.png"
    words = {"photometric": "rgb" if len(image) > 2 else "minisblack", "extrasamples": extra, "tile": (16, 16)}
    tifffile.imwrite(folder / "a.tif", np.moveaxis(image, 0, -1), planarconfig="contig", **words)
    return folder / "a.tif"


def made(folder, image, stages, *, name="o", extra="unassalpha", output=None, run=None, **asked):
    path = written(folder, image, extra)
    words = {"input_": {"path": str(path), **asked}, "output": {"path": f"{folder}/{name}.ome.zarr", **(output or {})}}
    report = tileconv.run(pipeline(stages, run=run, **words))
    return zarr.open_group(report.output, mode="r")["0"][...]


def blurred(image, sigma=1.5, mode="reflect"):
    return np.stack([ndimage.gaussian_filter(one.astype(float), sigma, mode=mode) for one in image])


def weighted(image, **words):
    """The mean of colours weighted by alpha, and of alpha."""
    exact = image.astype(float)
    alpha = blurred(exact[-1:], **words)
    with np.errstate(invalid="ignore"):
        return np.concatenate([np.where(alpha > 0, blurred(exact[:-1] * exact[-1], **words) / alpha, 0), alpha])


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_a_mean_weighs_colours_by_alpha(channels, dtype, tmp_path):
    image = noise(dtype, (channels, 37, 45))
    result, expected = made(tmp_path, image, [BLUR]), weighted(image)
    assert result.dtype == ("f8" if dtype == "f8" else "f4")
    np.testing.assert_allclose(result, expected, rtol=3e-6 if dtype != "f8" else 1e-12, atol=1e-6 * image.max())
    assert (expected[-1] == 0).sum() > 20  # the blur does not reach all of the hole
    assert not result[:-1, expected[-1] == 0].any()


def test_a_png_comes_out_in_its_own_type(tmp_path):
    image = noise("u1")
    result = made(tmp_path, image, [BLUR], extra="png", output={"dtype": "input"})
    expected = weighted(image)
    stored = np.rint(expected[-1])
    assert np.abs(result[-1] - expected[-1]).max() <= 0.501
    assert np.abs(np.where(stored, result[:-1] - expected[:-1], 0)).max() <= 0.501
    assert not result[:-1, stored == 0].any()
    attributes = json.loads((tmp_path / "o.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]["omero"]
    assert [channel["label"] for channel in attributes["channels"]] == [*RGB]


def test_a_disk_on_nothing_composes_without_a_fringe(tmp_path):
    rows, columns = np.indices((64, 72))
    image = np.where((rows - 30) ** 2 + (columns - 36) ** 2 < 18**2, 255, 0).astype(np.uint8)[None].repeat(4, axis=0)
    result = made(tmp_path, image, [{"op": "gaussian", "sigma": 3}], extra="png", output={"dtype": "input"})
    assert set(np.unique(result[:3, result[3] > 0])) == {255}
    for ground in (0, 200, 255):  # white over it, blurred after or before, is one
        over = [(c * (a / 255) + ground * (1 - a / 255)) for *cs, a in (result.astype(float),) for c in cs]
        before = ndimage.gaussian_filter(np.where(image[3], 255.0, ground), 3)
        assert np.abs(over - before).max() < 1


@pytest.mark.parametrize(
    ("engine", "rule"), [("direct", "wrap"), ("separable", "nearest"), ("fft", {"rule": "constant", "value": 0})]
)
def test_bytes_do_not_depend_on_tiles(engine, rule, tmp_path):
    image, stages = noise("u1"), [BLUR | {"engine": engine}, {"op": "box", "size": 3}, SHARPEN]
    asked = [stage | {"border": rule} for stage in stages]
    results = []
    for tile in (16, 48):
        words = {"output": {"chunks": 16, "path": f"{tmp_path}/{tile}.zarr"}, "run": {"tile": tile}}
        results.append(made(tmp_path, image, asked, **words))
    np.testing.assert_array_equal(*results)
    spec = pipeline(asked, input_={"path": str(tmp_path / "a.tif")})
    np.testing.assert_array_equal(tileconv.lazy(spec).compute(scheduler="synchronous"), results[0])
    if engine == "direct":
        assert len(tileconv.plan(spec).passes) == 1  # also of stages that wrap


def test_of_other_stages_alpha_goes_past_the_colours(tmp_path):
    image = noise("u1")
    result = made(tmp_path, image, [SHARPEN])
    cross = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    expected = np.stack([ndimage.correlate(colour.astype(float), cross) for colour in image[:-1]])
    np.testing.assert_array_equal(result[:-1], np.where(image[-1], expected, 0))
    np.testing.assert_array_equal(result[-1], image[-1])


def test_a_mean_and_then_another_stage(tmp_path):
    image = noise("f4")
    result = made(tmp_path, image, [BLUR, {"op": "rescale", "gain": -2, "offset": 1}])
    expected = weighted(image)
    expected[:-1] = np.where(expected[-1] > 0, 1 - 2 * expected[:-1], 0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_kept_alpha_is_that_of_the_file(tmp_path):
    image = noise("u1")
    result = made(tmp_path, image, [BLUR], alpha="keep")
    np.testing.assert_allclose(result[:-1], blurred(image[:-1]), rtol=0, atol=1e-3)
    np.testing.assert_array_equal(result[-1], image[-1])


def test_filtered_alpha_is_a_colour(tmp_path):
    image = noise("u1")
    result = made(tmp_path, image, [BLUR, SHARPEN], alpha="filter")
    plain = [tileconv.sharpen(tileconv.gaussian(one, 1.5)) for one in image]
    np.testing.assert_allclose(result, plain, rtol=0, atol=1e-3)


def test_associated_colours_stay_multiplied(tmp_path):
    image = noise("u1")
    image[:-1] = np.rint(image[:-1].astype(float) * image[-1] / 255)
    result = made(tmp_path, image, [BLUR], extra="assocalpha")
    np.testing.assert_allclose(result, blurred(image), rtol=0, atol=1e-3)
    sharp = made(tmp_path, image, [SHARPEN], extra="assocalpha", name="s")
    with np.errstate(invalid="ignore", divide="ignore"):
        straight = np.where(image[-1], np.minimum(image[:-1] * 255.0 / image[-1], 255), 0)
    cross = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    expected = np.stack([ndimage.correlate(colour, cross) for colour in straight]) * image[-1] / 255
    np.testing.assert_allclose(sharp[:-1], expected, rtol=0, atol=2e-3)
    np.testing.assert_array_equal(sharp[-1], image[-1])


def light(numbers):
    """sRGB between 0 and 1 to light, one number after another."""
    return np.vectorize(lambda v: v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)(numbers)


def srgb(amounts):
    return np.vectorize(lambda v: 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)(amounts)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_light_is_filtered_and_stored_as_srgb(dtype, tmp_path):
    image = noise(dtype, (3, 20, 24))
    peak = 1 if dtype == "f4" else np.iinfo(dtype).max
    result = made(tmp_path, image, [BLUR], extra=None, linear=True)
    expected = peak * srgb(blurred(light(image / peak)))
    np.testing.assert_allclose(result, expected, rtol=0, atol=3e-6 * peak)
    assert np.abs(result - blurred(image)).max() > 0.05 * peak


def test_light_is_weighted_by_alpha(tmp_path):
    image = noise("u1")
    result = made(tmp_path, image, [BLUR], linear=True)
    expected = weighted(np.concatenate([light(image[:-1] / 255), image[-1:]]))
    np.testing.assert_allclose(result[:-1], 255 * srgb(expected[:-1]), rtol=0, atol=2e-3)
    np.testing.assert_allclose(result[-1], expected[-1], rtol=0, atol=1e-3)


def test_a_pixel_that_is_missing_in_one_channel_weighs_nothing(tmp_path):
    image = noise("f4")
    image[1, 20:23, 35] = np.nan
    missing = np.isnan(image[1])
    spec = pipeline(
        [BLUR], missing={"rule": "renormalize", "keep": False}, input_={"path": str(written(tmp_path, image))}
    )
    result = tileconv.lazy(spec).compute(scheduler="synchronous")
    valid = np.where(missing, 0, image)
    expected = weighted(valid)[:-1]
    np.testing.assert_allclose(result[:-1], expected, rtol=0, atol=1e-4)
    propagated = tileconv.lazy(spec | {"missing": {"rule": "propagate"}}).compute(scheduler="synchronous")
    assert (np.isnan(propagated) == np.isnan(propagated[0])).all()
    assert np.isnan(propagated[0]).sum() > 100


def rgba(**words):
    return ImageInfo((4, 60, 70), "cyx", np.dtype(words.pop("dtype", "u1")), (4, 60, 70), channels=RGB, **words)


def plan(stages, info, **words):
    return make_plan(spec_from_mapping(pipeline(stages, **words)), info, MACHINE)


@pytest.mark.parametrize(
    ("stage", "dtype", "problem"),
    [
        (BLUR | {"border": {"rule": "constant", "value": 9}}, "u1", "stage 0 gaussian: a constant border has no alpha"),
        (SHARPEN | {"extent": "valid"}, "u1", "sharpen: alpha goes past it, and it makes an image of another size"),
        (BLUR, "i2", "colours are unsigned numbers or floats, found int16"),
    ],
)  # fmt: skip
def test_what_alpha_cannot_do_is_refused(stage, dtype, problem):
    info = rgba(alpha="straight", dtype=dtype)
    with pytest.raises(PlanError, match=problem):
        plan([stage], info)
    assert plan([stage], info, input_={"alpha": "filter"})


def test_every_answer_is_another_result_and_a_plan_reads_back():
    info = rgba(alpha="straight")
    asked = [{}, {"alpha": "keep"}, {"alpha": "filter"}, {"linear": True}]
    plans = [plan([BLUR, SHARPEN], info, input_=words) for words in asked]
    assert len({one.fingerprint() for one in plans}) == 4
    assert plan([BLUR, SHARPEN], info, input_={"alpha": "premultiply"}).fingerprint() == plans[0].fingerprint()
    assert plans[2].fingerprint() == plan([BLUR, SHARPEN], rgba()).fingerprint()
    for one in plans:
        assert Plan.from_json(json.loads(json.dumps(one.as_json()))) == one
    text = rich_text(explain(plans[0]))
    assert "alpha    weighs the colours in 0 gaussian and goes past 1 sharpen" in text


def test_an_output_of_several_is_that_of_it_alone():
    stages = [BLUR | {"id": "blur"}, SHARPEN | {"id": "sharp"}, {"op": "box", "id": "mean", "from": "blur"}]
    several = {name: {"path": f"{name}.zarr", "from": name} for name in ("sharp", "mean", "blur")}
    spec = pipeline(stages) | {"outputs": several}
    del spec["output"]
    info = rgba(alpha="straight")
    whole = make_plan(spec_from_mapping(spec), info, MACHINE)
    for number, name in enumerate(several):
        alone = make_plan(whole.spec.only(number), info, MACHINE)
        assert alone.fingerprint() == whole.fingerprint(number), name


def test_channels_that_a_stage_makes_have_no_alpha():
    bank = {"op": "bank", "kernels": [[[1, -1]], [[1, 1]]]}
    made = plan([bank, BLUR], rgba(alpha="straight"))
    assert made.info.alpha == ""
    assert [stage.name for stage in made.graph] == ["0 bank", "1 gaussian"]
