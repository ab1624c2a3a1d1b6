"""Projections, gray and inverted images, against NumPy on the whole image."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import strategies
import zarr
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import plan_of, printed_bound, run, tiled, windows, write_zarr

import tileconv
from tileconv.errors import PlanError, SpecError
from tileconv.planning.model import Plan
from tileconv.spec import parse_spec

METHODS = ("max", "mean", "sum", "min", "std")
IN_NUMPY = {"max": np.max, "mean": np.mean, "sum": np.sum, "min": np.min, "std": np.std}


def project(method, over="z"):
    return {"op": "project", "method": method, "over": over}


@given(st.sampled_from(METHODS), st.sampled_from("zyx"), strategies.images(ndim=3))
def test_one_pixel_stands_for_all_along_an_axis(method, over, image):
    words = {"missing": {"rule": "propagate"}} if image.dtype.kind == "f" else {}
    mapping = tiled([project(method, over)], None, **words)
    plan, made = plan_of(mapping, image), windows(mapping, image)[0]
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    small = windows(tiled([project(method, over)], 2, **words), image)[0]
    assert (small.dtype, small.tobytes()) == (made.dtype, made.tobytes())
    exact = IN_NUMPY[method](image.astype(np.longdouble), axis="zyx".index(over), keepdims=True)
    (stage,) = plan.graph
    if method in {"max", "min"}:
        assert made.dtype == image.dtype
    if stage.error_bound == 0:
        assert np.array_equal(made, exact)
    bound = printed_bound(stage, float(np.abs(image.astype(float)).max()))
    assert np.abs(made - exact).max() <= bound * (1 + 1e-9) + 1e-300


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("method", METHODS)
def test_channels_are_projected_to_one(method, dtype):
    image = strategies.pixels((3, 30, 40), dtype, 1)
    words = {"missing": {"rule": "propagate"}} if dtype == "float32" else {}
    made = [windows(tiled([project(method, "c")], tile, **words), image, "cyx")[0] for tile in (None, 7)]
    assert made[0].tobytes() == made[1].tobytes()
    expected = IN_NUMPY[method](image.astype(np.float64), axis=0, keepdims=True)
    np.testing.assert_allclose(made[0], expected, rtol=2e-7)


def test_stages_before_and_after_a_projection():
    image = strategies.pixels((6, 40, 50), "uint16", 2)
    stages = [{"op": "gaussian", "sigma": 1, "over": "zyx"}, project("max"), {"op": "sobel", "border": "mirror"}]
    whole, _ = windows(tiled(stages, None), image)
    for tile in (8, {"z": 1, "y": 33, "x": 16}):
        assert windows(tiled(stages, tile), image)[0].tobytes() == whole.tobytes()
    blurred, _ = windows(tiled(stages[:1], None), image)
    expected, _ = windows(tiled(stages[2:], None), blurred.max(axis=0, keepdims=True))
    np.testing.assert_allclose(whole, expected, rtol=1e-5)
    region = {"y": [3, 20], "x": [49, 50]}
    part, _ = windows(tiled(stages, 8, input_={"region": region}), image)
    assert part.tobytes() == whole[:, 3:20, 49:].tobytes()
    with pytest.raises(PlanError, match="along z, which stage 1 project changes"):
        plan_of(tiled(stages, 8, input_={"region": {"z": [0, 2]}}), image)


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_pixel_makes_the_projection_missing(method):
    image = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    made, counts = windows(tiled([project(method)], 1, input_={"nodata": 7}, missing={"rule": "propagate"}), image)
    assert np.argwhere(np.isnan(made)).tolist() == [[0, 0, 1]]
    assert counts.missing == 1


def test_the_sum_is_exact_and_large_means_do_not_overflow():
    image = np.full((5, 1, 2), 2**40 + 1, np.int64)
    assert windows(tiled([project("sum")], 4), image)[0].ravel().tolist() == [5 * (2**40 + 1)] * 2
    large = np.full((3, 1, 1), 1.7e308)
    words = {"missing": {"rule": "propagate"}}
    assert windows(tiled([project("mean")], 4, **words), large)[0].item() == pytest.approx(1.7e308, rel=1e-15)
    exact = sum(map(Fraction, (0.1, 1e17, -1e17, 0.3)))
    made = windows(tiled([project("sum")], 4, **words), np.array([0.1, 1e17, -1e17, 0.3])[:, None, None])[0].item()
    assert abs(made - float(exact)) <= 6 * 2**-53 * 2e17


def test_a_projection_of_a_file_keeps_its_axis_as_thick_as_the_stack(tmp_path):
    image = strategies.pixels((2, 5, 30, 40), "uint16", 3)
    source = write_zarr(tmp_path / "a.zarr", image, (1, 1, 16, 16), "czyx")
    made, _ = run(tiled([project("max")], 16), source, tmp_path)
    assert np.array_equal(made, image.max(axis=1, keepdims=True))
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").exit_code == 0
    (multiscale,) = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]["multiscales"]
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    assert (scale["scale"][1], translation["translation"][1]) == (5.0, 2.0)
    mapping = tiled([project("max")], 16, input_={"path": source})
    lazy = tileconv.lazy(mapping).compute(scheduler="synchronous")
    assert lazy.tobytes() == made.tobytes()
    mapping["input"] = {"axes": "czyx"}
    import dask.array as da

    lazy = tileconv.lazy(mapping, da.from_array(image, chunks=(1, 2, 16, 16)))
    assert lazy.compute(scheduler="synchronous").tobytes() == made.tobytes()


def test_the_memory_of_a_tile_grows_with_the_stack():
    plans = [plan_of(tiled([project("std")], 64), np.zeros((depth, 64, 64), np.uint16)) for depth in (10, 400)]
    few, many = (plan.passes[0].tile_bytes for plan in plans)
    assert 390 * 64 * 64 * 2 <= many - few <= 2 * 390 * 64 * 64 * 2


def test_gray_is_that_of_scikit_image():
    color = pytest.importorskip("skimage.color")
    image = strategies.pixels((30, 40, 3), "uint8", 4)
    made = tileconv.rgb_to_gray(image, channel_axis=-1)
    assert (made.shape, made.dtype) == ((30, 40, 1), np.float32)
    np.testing.assert_allclose(made[..., 0] / 255, color.rgb2gray(image), atol=1e-7)
    stages = [{"op": "rgb_to_gray"}, {"op": "gaussian", "sigma": 1}]
    for tile in (7, None):
        made, _ = windows(tiled(stages, tile), image.transpose(2, 0, 1), "cyx")
        assert made.shape == (1, 30, 40)
    plan = plan_of(tiled(stages, 8), image.transpose(2, 0, 1), "cyx")
    assert plan.info.channels == ("gray",)


def test_gray_needs_three_channels():
    with pytest.raises(PlanError, match="gets 4 channels"):
        plan_of(tiled([{"op": "rgb_to_gray"}], 8), np.zeros((4, 9, 9), np.uint8), "cyx")


@pytest.mark.parametrize("dtype", strategies.INTEGERS)
def test_inverted_is_that_of_scikit_image(dtype):
    util = pytest.importorskip("skimage.util")
    image = strategies.pixels((9, 11), dtype, 5)
    made = tileconv.invert(image)
    assert made.dtype == image.dtype
    assert np.array_equal(made, util.invert(image))
    assert np.array_equal(tileconv.invert(made), image)


def test_floats_are_inverted_by_a_largest_value_that_is_said():
    image = np.array([[0.25, 1.0]])
    with pytest.raises(PlanError, match="no largest value"):
        tileconv.invert(image)
    assert tileconv.invert(image, maximum=1).tolist() == [[0.75, 0.0]]
    assert tileconv.invert(np.array([[0, 255]], np.uint8), maximum=100).tolist() == [[100, -155]]


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("{op: project, method: max}", "a projection goes along one axis, found yx"),
        ("{op: project, method: max, over: c, border: wrap}", "a projection has all pixels along its axis"),
        ("{op: gaussian, sigma: 1, over: c}", "gaussian acts on axes of z, y and x"),
        ("{op: project, method: median, over: z}", "expected 'max', 'mean', 'sum', 'min' or 'std'"),
    ],
)
def test_what_a_projection_is_not_is_refused(stage, words):
    text = f"version: 1\ninput: {{path: a.tif}}\nstages: [{stage}]\noutput: {{path: b.zarr}}"
    with pytest.raises(SpecError, match=words) as caught:
        parse_spec(text, "p.yaml", "/data")
    assert len(caught.value.problems) == 1


def test_an_image_without_channels_has_none_to_project():
    with pytest.raises(PlanError, match="has no channels"):
        plan_of(tiled([project("max", "c")], 8), np.zeros((9, 9), np.uint8))


def test_functions_project_along_any_axis():
    image = strategies.pixels((4, 9, 11), "int16", 6)
    for axis, method in ((0, "max"), (1, "mean"), (2, "std")):
        made = tileconv.project(image, method, axes=axis)
        np.testing.assert_allclose(made, IN_NUMPY[method](image.astype(float), axis=axis, keepdims=True), rtol=1e-6)
    assert math.prod(made.shape) == 36
