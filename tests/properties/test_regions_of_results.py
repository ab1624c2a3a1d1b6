"""A region is that of the whole result, byte for byte, whatever halo, border, engine and tile; its place is kept."""

import json

import numpy as np
import pytest
import strategies
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.runs_help import every_array, plan_of, run, stored, tiled, windows

import tileconv
from tileconv.errors import PlanError, SpecError, TileError
from tileconv.planning.model import Plan
from tileconv.report.explain import explain

LOPSIDED = {"op": "correlate", "kernel": [[1, 2.5, -1, 4], [0.5, 3, 0, 1]]}
STAGES = {
    "direct": [LOPSIDED | {"engine": "direct"}],
    "separable": [{"op": "gaussian", "sigma": 1.5, "engine": "separable"}],
    "fft": [{"op": "disk", "radius": 3.5, "engine": "fft"}],
    "whole numbers": [{"op": "box", "size": 5}, {"op": "sobel", "component": "x"}],
    "three stages": [{"op": "gaussian", "sigma": 0.8}, {"op": "median", "size": 3}, {"op": "unsharp", "sigma": 1}],
    "two passes": [{"op": "gaussian", "sigma": 1}, LOPSIDED | {"engine": "fft", "border": {"x": "wrap"}}],
    "wrap after mirror": [LOPSIDED | {"border": "mirror"}, {"op": "box", "size": 3, "border": "wrap"}],
    "none": [],
}


@st.composite
def regions(draw, shape):
    """Draw where a region starts and stops along each of the axes that it names, at least one."""
    named = draw(st.lists(st.sampled_from("yx"), min_size=1, unique=True))
    starts = {axis: draw(st.integers(0, n - 1)) for axis, n in zip("yx", shape, strict=True) if axis in named}
    return {axis: [a, draw(st.integers(a + 1, shape["yx".index(axis)]))] for axis, a in starts.items()}


def cropped(whole, region, axes="yx"):
    return whole[tuple(slice(*region[axis]) if axis in region else slice(None) for axis in axes)]


@settings(max_examples=max(16, settings.default.max_examples // 2))
@given(st.data(), st.sampled_from(sorted(STAGES)), strategies.images(ndim=2), st.sampled_from(strategies.RULES))
def test_a_region_is_that_of_the_whole_result(data, name, image, border):
    """Also of 1 x n images, and of those that are smaller than the halo."""
    region, tile = data.draw(regions(image.shape)), data.draw(st.sampled_from((1, 3, 5, 64)))
    words = {"border": border} | ({"missing": {"rule": "propagate"}} if image.dtype.kind == "f" else {})
    whole, _ = windows(tiled(STAGES[name], None, **words), image)
    mapping = tiled(STAGES[name], tile, input_={"region": region}, **words)
    made, _ = windows(mapping, image)
    assert (made.dtype, made.tobytes()) == (whole.dtype, cropped(whole, region).tobytes())
    plan = plan_of(mapping, image)
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


VOLUME = strategies.pixels((9, 20, 24), "uint16", 4)
DEEP = [{"op": "gaussian", "sigma": {"z": 1, "y": 2, "x": 1}, "over": "zyx"}, {"op": "laplacian", "over": "zyx"}]


@pytest.mark.parametrize("border", ["reflect", "wrap"])
@pytest.mark.parametrize("engine", ["direct", "fft"])
@pytest.mark.parametrize(
    "region", [{"z": [4, 5]}, {"z": [0, 3], "x": [7, 20]}, {"z": [6, 9], "y": [19, 20], "x": [0, 1]}]
)
def test_a_region_of_a_volume(region, engine, border):
    stages = [stage | {"engine": engine, "border": border} for stage in DEEP]
    whole, _ = windows(tiled(stages, None), VOLUME)
    for tile in ({"z": 1, "y": 8, "x": 8}, {"z": 2, "y": 3, "x": 24}):
        made, _ = windows(tiled(stages, tile, input_={"region": region}), VOLUME)
        assert made.tobytes() == cropped(whole, region, "zyx").tobytes()


def test_what_lies_between_passes_is_no_more_than_the_region_needs():
    image = strategies.pixels((300, 400), "uint16", 0)
    stages = [{"op": "gaussian", "sigma": 1}, {"op": "box", "size": 3, "border": {"x": "wrap"}}]
    plan = plan_of(tiled(stages, 64, input_={"region": {"y": [100, 140], "x": [0, 30]}}), image)
    before, after = plan.passes
    assert [str(before.image), str(after.image)] == ["y=99:141 x=0:400", "y=100:140 x=0:30"]
    inner = plan_of(tiled(stages, 64, input_={"region": {"y": [0, 40], "x": [200, 230]}}), image)
    assert str(inner.passes[0].image) == "y=0:41 x=199:231"


def test_several_outputs_of_a_region_and_what_one_reads_of_another():
    """An output that a later pass reads as well is made in two sizes."""
    image = strategies.pixels((40, 50), "uint8", 1)
    stages = [{"op": "gaussian", "sigma": 1, "id": "blur"}, {"op": "box", "size": 5, "border": "wrap", "id": "late"}]
    words = {"version": 1, "input": {"path": "a.npy"}, "stages": stages, "run": {"memory": "8GiB", "tile": 16}}
    words["outputs"] = {name: {"path": f"{name}.zarr", "from": name, "chunks": 16} for name in ("blur", "late")}
    region = {"y": [10, 21], "x": [20, 50]}
    made = {}
    for part in ({}, {"region": region}):
        plan = plan_of(words | {"input": words["input"] | part}, image)
        arrays, _ = every_array(plan, image)
        made[bool(part)] = [arrays[plan.between + n] for n in (0, 1)]
    for whole, part in zip(made[False], made[True], strict=True):
        assert part.tobytes() == cropped(whole, region).tobytes()


def test_missing_pixels_are_those_of_the_whole_image():
    image = strategies.pixels((30, 40), "uint16", 2)
    image[8:12, 5:30] = image[20, :] = 7
    region = {"y": [12, 24], "x": [10, 40]}
    for rule in ({"rule": "propagate"}, {"rule": "renormalize"}, {"rule": "fill", "value": 3}):
        stages, words = [{"op": "gaussian", "sigma": 2}], {"missing": rule}
        whole, _ = windows(tiled(stages, None, input_={"nodata": 7}, **words), image)
        made, counts = windows(tiled(stages, 8, input_={"nodata": 7, "region": region}, **words), image)
        assert made.tobytes() == cropped(whole, region).tobytes()
        assert counts.missing == (cropped(image, region) == 7).sum()


def test_a_missing_pixel_in_the_halo_is_refused_under_the_rule_error():
    image = np.full((30, 30), 5, np.uint8)
    image[9, 20] = 0
    words = {"missing": {"rule": "error"}, "input_": {"nodata": 0, "region": {"y": [10, 20]}}}
    with pytest.raises(TileError, match="missing pixels"):
        windows(tiled([{"op": "box", "size": 3}], 8, **words), image)
    windows(tiled([], 8, **words), image)


def test_a_region_is_run_resumed_verified_and_made_again_in_its_place(tmp_path):
    image = strategies.pixels((3, 2, 60, 80), "uint16", 3)
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        image,
        metadata={"axes": "TCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "TimeIncrement": 2.0},
        ome=True,
    )
    stages, region = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}], {"t": [1, 3], "y": [40, 60], "x": [10, 30]}
    whole, _ = run(tiled(stages, 16), tmp_path / "a.ome.tif", tmp_path, name="whole.zarr")
    mapping = tiled(stages, 16, input_={"region": region, "select": {"c": 1}})
    made, _ = run(mapping, tmp_path / "a.ome.tif", tmp_path)
    assert made.tobytes() == cropped(whole[:, 1:], region, "tcyx").tobytes()
    (multiscale,) = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]["multiscales"]
    scale, translation = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == [2.0, 1.0, 0.25, 0.5]
    assert translation["translation"] == [2.0, 0.0, 10.0, 5.0]
    whole_report = json.loads(json.dumps(zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["tileconv"]))
    assert whole_report["spec"]["input"]["region"] == region
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").exit_code == 0
    tileconv.rerun(tmp_path / "out.zarr", tmp_path / "again.zarr")
    assert stored(tmp_path / "again.zarr").tobytes() == made.tobytes()
    other = tiled(stages, 16, input_={"region": region | {"y": [39, 59]}, "select": {"c": 1}})
    with pytest.raises(tileconv.errors.ResumeError, match=r"input.region"):
        tileconv.run(other, input=tmp_path / "a.ome.tif", output=tmp_path / "out.zarr")


def test_the_georeference_of_a_region_is_moved(tmp_path):
    pixels = strategies.pixels((50, 60), "uint8", 3)
    tags = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0, 0, 0, 500.0, 900.0, 0), True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=tags)
    run(tiled([], 64, input_={"region": {"y": [2, 50], "x": [3, 60]}}), tmp_path / "a.tif", tmp_path)
    array = zarr.open_array(tmp_path / "out.zarr" / "0", mode="r")
    assert array.attrs["spatial:transform"] == [10.0, 0.0, 530.0, 0.0, -10.0, 880.0]


def test_lazy_gives_a_region_of_files_and_of_arrays(tmp_path):
    np.save(tmp_path / "a.npy", image := strategies.pixels((40, 50), "uint16", 5))
    for name in ("fft", "two passes"):
        whole, _ = windows(tiled(STAGES[name], None), image)
        region = {"y": [5, 30], "x": [45, 50]}
        mapping = tiled(STAGES[name], 16, input_={"path": str(tmp_path / "a.npy"), "region": region})
        for given_ in ((mapping,), (mapping, image)):
            made = tileconv.lazy(*given_).compute(scheduler="synchronous")
            assert made.tobytes() == cropped(whole, region).tobytes()


@pytest.mark.parametrize(
    ("stages", "region", "words"),
    [
        ([{"op": "pool", "size": 2}], {"y": [0, 2]}, "along y, which stage 0 pool changes"),
        ([{"op": "pool", "size": 3, "stride": 1, "padding": 0}], {"x": [0, 2]}, "along x, which stage 0 pool"),
        ([], {"x": [3, 21]}, r"\[3, 21\] ends beyond the image, which has 20 pixels along x"),
        ([], {"z": [0, 1]}, "the image has no axis z"),
    ],
)
def test_what_has_no_such_region_is_refused(stages, region, words, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((10, 20), np.uint8))
    with pytest.raises(PlanError, match=words):
        tileconv.plan(tiled(stages, 8, input_={"path": str(tmp_path / "a.npy"), "region": region}))


def test_another_extent_is_refused_where_it_is_written():
    stages = [{"op": "box", "size": 3, "extent": "valid"}]
    with pytest.raises(SpecError, match=r"stages\[0\].extent: expected 'same' beside input.region, found 'valid'"):
        plan_of(tiled(stages, 8, input_={"region": {"y": [0, 2]}}), np.zeros((9, 9)))


def test_the_plan_tells_the_region():
    plan = plan_of(tiled([], 8, input_={"region": {"y": [0, 2]}}), np.zeros((9, 9), np.uint8))
    told = [getattr(line, "plain", "") for line in explain(plan).renderables]
    assert "region   {y: [0, 2]} of the whole result" in told
    assert plan.as_json()["input"]["region"] == {"y": (0, 2)}
