"""Projections, gray and inverted images, against NumPy on the whole image."""

import json
import math
from fractions import Fraction

import dask.array as da
import numpy as np
import pytest
import strategies
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from oracles.counting import CountingSource
from properties.runs_help import by_plan, every_array, plan_of, printed_bound, run, tiled, windows, write_zarr

import tileconv
from tileconv.errors import PlanError, SpecError, TileError
from tileconv.planning import folds
from tileconv.planning.model import Plan
from tileconv.sources.memory import MemorySource
from tileconv.spec import parse_spec
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile, needed
from tileconv.tiles.lazy import pixels
from tileconv.tiles.windows import read

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
    lazy = tileconv.lazy(mapping, da.from_array(image, chunks=(1, 2, 16, 16)))
    assert lazy.compute(scheduler="synchronous").tobytes() == made.tobytes()


@pytest.mark.parametrize("over", "ztyx")
def test_the_memory_of_a_tile_does_not_grow_with_the_axis(over):
    image = np.broadcast_to(np.uint16(0), (20000 if over in "yx" else 3000, 128, 64))
    image = np.moveaxis(image, 0, -1 if over == "x" else -2) if over in "yx" else image
    tile = {"y": 64, "x": 64} | ({over: 1} if over in "yx" else {})
    plans = {
        m: plan_of(tiled([project(m, over)], tile), image, f"{'t' if over == 't' else 'z'}yx") for m in ("max", "std")
    }
    pixels = 64 * 64 if over in "zt" else 64
    for method, plan in plans.items():
        (only,) = plan.passes
        assert only.folds == over
        assert only.part < max(image.shape)
        of_part = max(2**19, pixels * only.part)
        assert only.tile_bytes < 30 * of_part + pixels * (300 if method == "std" else 60) + 2**23
        assert plan.as_json()["passes"][0]["parts"] == {over: only.part}


@given(st.data(), st.sampled_from(METHODS), st.sampled_from("zyx"), strategies.images(ndim=3))
def test_an_axis_read_part_by_part_is_that_held_whole(data, method, over, image):
    """``compute_tile`` holds all of it: the same bytes, also behind a stage with a halo along the axis."""
    words = {"missing": {"rule": "propagate"}} if image.dtype.kind == "f" else {}
    before = data.draw(st.sampled_from([[], [{"op": "correlate", "kernel": [1, 2.5, -1, 4], "over": over}]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "PART_PX", data.draw(st.sampled_from([1, 64])))
        patch.setattr(folds, "HALOS", 1)
        plan = plan_of(tiled([*before, project(method, over)], data.draw(st.sampled_from([2, 5])), **words), image)
        (only,) = plan.passes
        made = by_plan(plan, image)[0]
    whole = np.empty_like(made)
    for box in only.grid:
        blocks = [
            Block(read(MemorySource(image, "zyx"), of.domain, have), have)
            for of, have in zip(only.reads, needed(only, box), strict=True)
        ]
        whole[box.within(only.image)] = compute_tile(only, blocks, box)[0][0]
    assert made.tobytes() == whole.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_time_points_are_projected_as_planes_are(method, dtype):
    image = strategies.pixels((7, 2, 3, 11, 13), dtype, 2, peak=9999)
    words = {"missing": {"rule": "propagate"}} if dtype.startswith("f") else {}
    stages = [{"op": "correlate", "kernel": [[1, 2, -1]], "border": "wrap"}, project(method, "t")]
    mapping = tiled(stages, 4, **words)
    plan = plan_of(mapping, image, "tczyx")
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    made = windows(mapping, image, "tczyx")[0]
    assert made.shape == (1, 2, 3, 11, 13)
    assert windows(tiled(stages, None, **words), image, "tczyx")[0].tobytes() == made.tobytes()
    before = windows(tiled(stages[:1], None, **words), image, "tczyx")[0]
    for channel in range(2):
        planes = np.moveaxis(before[:, channel], 0, 1)  # (z, t, y, x)
        for z in range(3):
            as_planes = windows(tiled([project(method)], None, **words), np.ascontiguousarray(planes[z]))[0]
            assert made[0, channel, z].tobytes() == as_planes[0].astype(made.dtype).tobytes()


def test_a_projection_of_time_as_a_file(tmp_path):
    image = strategies.pixels((6, 2, 30, 40), "uint16", 3)
    tifffile.imwrite(tmp_path / "a.ome.tif", image, ome=True, metadata={"axes": "TCYX", "TimeIncrement": 2.0})
    stages = [{"op": "gaussian", "sigma": 1}, project("mean", "t"), {"op": "sobel", "border": "mirror"}]
    whole, _ = run(tiled(stages, 16), tmp_path / "a.ome.tif", tmp_path, name="whole.zarr")
    blurred = np.mean([tileconv.gaussian(one.astype(float), 1) for one in image], axis=0)
    np.testing.assert_allclose(whole[0], [tileconv.sobel(one, border="mirror") for one in blurred], rtol=1e-4, atol=1)
    (multiscale,) = zarr.open_group(tmp_path / "whole.zarr", mode="r").attrs["ome"]["multiscales"]
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    assert (scale["scale"][0], translation["translation"][0]) == (12.0, 5.0)
    assert tileconv.verify(tmp_path / "whole.zarr", recompute="100%").exit_code == 0
    mapping = tiled(stages, 16, input_={"path": str(tmp_path / "a.ome.tif")})
    assert tileconv.lazy(mapping).compute(scheduler="synchronous").tobytes() == whole.tobytes()
    mapping["input"] = {"axes": "tcyx"}
    for given_ in (image, da.from_array(image, chunks=(4, 1, 16, 40))):
        assert tileconv.lazy(mapping, given_).compute(scheduler="synchronous").tobytes() == whole.tobytes()
    region = {"y": [3, 20], "x": [39, 40]}
    part, _ = run(tiled(stages, 8, input_={"region": region}), tmp_path / "a.ome.tif", tmp_path)
    assert part.tobytes() == np.ascontiguousarray(whole[..., 3:20, 39:]).tobytes()
    some, _ = run(tiled(stages, 16, input_={"select": {"t": [1, 2]}}), tmp_path / "a.ome.tif", tmp_path)
    half = np.mean([tileconv.gaussian(one.astype(float), 1) for one in image[1:3]], axis=0)
    np.testing.assert_allclose(some[0], [tileconv.sobel(one, border="mirror") for one in half], rtol=1e-4, atol=1)
    with pytest.raises(PlanError, match="the time points of the image: stage 1 project makes one of all"):
        tileconv.plan(tiled(stages, 16, input_={"path": str(tmp_path / "a.ome.tif"), "region": {"t": [0, 2]}}))


def test_several_projections_share_a_read_and_each_pixel_is_read_once(tmp_path):
    image = strategies.pixels((9, 40, 50), "uint16", 4)
    stages = [{"op": "gaussian", "sigma": 1, "id": "blur"}]
    stages += [project(method) | {"id": method, "from": "blur"} for method in METHODS]
    words = {"version": 1, "input": {"path": "a.npy"}, "stages": stages, "run": {"memory": "8GiB", "tile": 16}}
    words["outputs"] = {name: {"path": f"{name}.zarr", "from": name, "chunks": 16} for name in METHODS}
    plan = plan_of(words, image)
    (only,) = plan.passes
    source = CountingSource(MemorySource(image, "zyx"))
    for number, method in enumerate(METHODS):
        alone = windows(tiled([stages[0], project(method)], 16), image)[0]
        assert every_array(plan, image)[0][number].tobytes() == alone.tobytes()
    pixels(only, [source], only.grid.box((0, 0, 0)))
    assert source.pixels == 9 * (16 + 4) ** 2


def test_what_follows_a_projection_is_a_pass_of_its_own():
    image = np.zeros((9, 40, 50), np.uint8)
    plan = plan_of(tiled([project("max"), {"op": "sobel"}], 16), image)
    assert [[stage.name for stage in p.stages] for p in plan.passes] == [["0 project"], ["1 sobel"]]
    assert plan.passes[1].why == "0 project reads z part by part, and its result is small"
    one = plan_of(tiled([project("max"), {"op": "sobel"}], 16), image[:1])
    assert len(one.passes) == 1  # of one plane there is nothing to put together


@pytest.mark.parametrize("over", "tz")
def test_missing_pixels_of_an_axis_in_parts(over, monkeypatch):
    monkeypatch.setattr(folds, "PART_PX", 1)
    image, axes = np.arange(240, dtype=np.uint8).reshape(6, 5, 8), f"{over}yx"
    for rule, expected in (
        ({"rule": "propagate"}, np.where((image == 77).any(0), np.nan, image.sum(0))),
        ({"rule": "fill", "value": 3}, np.where(image == 77, 3, image).sum(0)),
    ):
        words = {"input_": {"nodata": 77}, "missing": rule}
        made, counts = windows(tiled([project("sum", over)], 3, **words), image, axes)
        assert np.array_equal(made[0], expected, equal_nan=True)
        assert counts.missing == 1
        filled = {"missing": {"rule": "fill", "value": 3}} if rule["rule"] == "propagate" else {}
        own, _ = windows(tiled([project("sum", over) | filled], 3, **words), image, axes)
        assert np.array_equal(own[0], np.where(image == 77, 3, image).sum(0))
    with pytest.raises(TileError, match="1 missing pixels under missing"):
        windows(tiled([project("sum", over)], 3, input_={"nodata": 77}, missing={"rule": "error"}), image, axes)


def test_time_points_of_inputs_that_differ_are_refused():
    image = np.zeros((3, 8, 8), np.uint8)
    stages = [project("max", "t") | {"id": "p"}, {"op": "subtract", "from": ["input", "p"]}]
    with pytest.raises(PlanError, match="the input has time points 3, and p has 1"):
        plan_of(tiled(stages, 8), image, "tyx")
    with pytest.raises(PlanError, match="makes one time point of all, and passes other channels on as they are"):
        plan_of(tiled([project("max", "t") | {"channels": 0}], 8), np.zeros((3, 2, 8, 8), np.uint8), "tcyx")
    with pytest.raises(PlanError, match="the image has axes y, x, and the stages act on y, x, t"):
        plan_of(tiled([project("max", "t")], 8), image[0])


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
        ("{op: gaussian, sigma: 1, over: c}", "gaussian acts on axes of z, y and x, and takes channels one by one"),
        ("{op: gaussian, sigma: 1, over: t}", "gaussian acts on axes of z, y and x, and takes time points one by one"),
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
