"""Lengths with a unit: the pixels that they are, by sizes worked out by hand, in every format that tells a pixel's."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from properties.runs_help import MACHINE, pipeline

import tileconv
from tileconv import kernels
from tileconv.errors import PlanError, ResumeError
from tileconv.images import ImageInfo
from tileconv.planning.build import make_plan
from tileconv.planning.model import Plan
from tileconv.printing import rich_text
from tileconv.report.explain import explain
from tileconv.spec import parse_spec, spec_from_mapping

MICRO = ("micrometer",) * 3
STACK = ImageInfo((20, 60, 70), "zyx", np.dtype("u2"), (1, 60, 70), (2.0, 0.5, 0.25), MICRO)
ONE, TWO = {"z": 0.5, "y": 2, "x": 4}, {"z": 1, "y": 4, "x": 8}
"""Micrometres of a stack, in its pixels."""
PIXELS = np.random.default_rng(4).integers(0, 4000, (6, 40, 50), np.uint16)


def plan(stages, info=STACK, **words):
    return make_plan(spec_from_mapping(pipeline(stages, **words)), info, MACHINE)


def kernel(stage, info=STACK, **words):
    return plan([{"over": "zyx"} | stage], info, **words).spec.stages[0].operation.kernels[0]


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        *(("1.5 um", 3), ("1.5µm", 3), ("1500 nm", 3), ("0.0015 mm", 3), ("1.5e-4 cm", 3), ("1.5e-6 m", 3)),
        *(("15000 Å", 3), ("15000 angstrom", 3), ("0.01 inch", 508), ("0.01in", 508), ("3 px", 3), ("0.3 um", 0.6)),
    ],
)
def test_every_unit_is_what_it_is_by_definition(text, pixels):
    assert kernel({"op": "gaussian", "over": "y", "sigma": text}) == kernel(
        {"op": "gaussian", "over": "y", "sigma": pixels}
    )


def test_one_length_is_other_pixels_along_each_axis():
    made = kernel({"op": "gaussian", "sigma": "1 um"})
    assert made == kernels.gaussian(ONE, axes="zyx")
    mixed = kernel({"op": "gaussian", "sigma": {"z": 0, "y": "1 um", "x": 3}})
    assert mixed == kernels.gaussian({"z": 0, "y": 2, "x": 3}, axes="zyx")


@pytest.mark.parametrize(
    ("stage", "pixels"),
    [
        ({"op": "disk", "radius": "1 um"}, kernels.disk(ONE, axes="zyx")),
        ({"op": "laplacian_of_gaussian", "sigma": "2um"}, kernels.laplacian_of_gaussian(TWO, axes="zyx")),
        (
            {"op": "difference_of_gaussians", "low_sigma": "1 um", "high_sigma": "2 um"},
            kernels.difference_of_gaussians(ONE, TWO, axes="zyx"),
        ),
        ({"op": "box", "size": "2 um"}, kernels.box({"z": 1, "y": 5, "x": 9}, axes="zyx")),
    ],
    ids=lambda value: value["op"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_every_geometric_value_may_have_a_unit(stage, pixels):
    assert kernel(stage) == pixels


@pytest.mark.parametrize(
    ("length", "size"), [("0.1", 1), ("0.99", 1), ("1", 3), ("1.9", 3), ("2", 5), ("2.49", 5), ("3", 7)]
)
def test_sizes_are_the_nearest_odd_number_of_pixels(length, size):
    made = plan([{"op": "median", "size": f"{length} um"}]).spec.stages[0].operation
    assert made.footprint.sizes[0] == size  # pixels of 0.5 um along y


def test_waves_of_a_bank_need_square_pixels():
    bank = {"op": "bank", "gabor": {"orientations": 2, "wavelengths": ["4 um", 6]}}
    with pytest.raises(PlanError, match=r"wavelengths of 4 um is not as many pixels along each of y, x\. Give"):
        plan([bank])
    square = plan([bank], ImageInfo((60, 70), "yx", np.dtype("u1"), (60, 70), (0.5, 0.5), MICRO[:2]))
    assert square.spec.stages[0].operation == kernels.bank(gabor={"orientations": 2, "wavelengths": [8, 6]})


def test_a_length_after_a_stride_is_of_coarser_pixels():
    made = plan([{"op": "pool", "size": 2, "method": "mean"}, {"op": "gaussian", "sigma": "2 um"}])
    assert made.spec.stages[1].operation.kernels[0] == kernels.gaussian({"y": 2, "x": 4})


def test_without_a_pixel_size_it_is_refused_where_it_stands():
    text = "version: 1\ninput: {path: a.tif}\nstages:\n  - {op: gaussian, sigma: 1.5 um}\noutput: {path: b.ome.zarr}"
    unknown = ImageInfo((60, 70), "yx", np.dtype("u1"), (60, 70))
    with pytest.raises(PlanError) as caught:
        make_plan(parse_spec(text, "p.yaml", "/"), unknown, MACHINE)
    assert str(caught.value) == (
        "p.yaml:4:27: stages[0].sigma: 1.5 um is no number of pixels along y: the image does not say how long a pixel "
        "is. Say it with input.scale: {y: ... um, x: ... um}, or write pixels, as 3 px."
    )
    told = parse_spec(text, "p.yaml", "/", ["input.scale={y: 0.5 um, x: 250 nm}"])
    assert make_plan(told, unknown, MACHINE).spec.stages[0].operation.kernels[0] == kernels.gaussian({"y": 3, "x": 6})


def test_what_lengths_mean_is_checked_where_the_pixels_are_known():
    exchanged = {"op": "difference_of_gaussians", "low_sigma": 5, "high_sigma": "1 um"}
    with pytest.raises(PlanError, match=r"high_sigma must be above low_sigma, found .'y': 2.0, 'x': 4.0. and 5"):
        plan([exchanged])
    assert plan([exchanged | {"low_sigma": {"y": 1, "x": "0.5 um"}}])


def test_a_length_too_long_for_a_kernel_is_refused_where_it_stands():
    with pytest.raises(PlanError, match=r"stages\[0\].sigma: .*1,000,000"):
        plan([{"op": "gaussian", "sigma": "1 m"}])


def test_the_scale_of_the_pipeline_is_that_of_the_result():
    info = ImageInfo((20, 60, 70), "zyx", np.dtype("u2"), (1, 60, 70), (9.0, 0.5, 0.25), MICRO, origin=(9.0, 1.0, 0.0))
    made = plan([{"op": "gaussian", "sigma": "1 um", "over": "zyx"}], info, input_={"scale": {"z": "2000 nm"}})
    assert made.info.scale == (2000.0, 0.5, 0.25)
    assert made.info.units == ("nanometer", "micrometer", "micrometer")
    assert made.info.origin == (2000.0, 1.0, 0.0)  # still one pixel from where it was
    assert made.spec.stages[0].operation.kernels[0] == kernels.gaussian({"z": 0.5, "y": 2, "x": 4}, axes="zyx")
    with pytest.raises(PlanError, match=r"input\.scale: the image has no axis z\. Name some of y, x"):
        plan([], ImageInfo((60, 70), "yx", np.dtype("u1"), (60, 70)), input_={"scale": {"z": "1 um"}})


def test_the_same_pixels_are_the_same_result():
    inputs = [{"sigma": "1 um"}, {"sigma": {"y": 2, "x": 4}}, {"sigma": {"y": "2 px", "x": "1000 nm"}}]
    assert len({plan([{"op": "gaussian"} | words]).fingerprint() for words in inputs}) == 1
    coarser = plan([{"op": "gaussian", "sigma": "1 um"}], input_={"scale": {"x": "1 um"}})
    assert coarser.fingerprint() != plan([{"op": "gaussian", "sigma": "1 um"}]).fingerprint()


def test_a_plan_tells_the_pixels_and_reads_back():
    stages = [{"op": "gaussian", "sigma": "1 um", "id": "blur"}, {"op": "box", "size": {"y": "2 um", "x": 3}}]
    made = plan(stages)
    told = json.loads(json.dumps(made.as_json()))
    assert told["lengths_px"] == {"blur": {"sigma": {"y": 2.0, "x": 4.0}}, "1 box": {"size": {"y": 5, "x": 3}}}
    assert Plan.from_json(told) == made
    text = rich_text(explain(made))
    assert "lengths  blur: sigma 1 um is y 2, x 4 px" in text
    assert "lengths  1 box: size y 2 um, x 3 is y 5, x 3 px" in text
    assert "lengths_px" not in plan([{"op": "gaussian", "sigma": 3}]).as_json()


def ome_tiff(path):
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (2.0, 0.5, 0.25), strict=True)}
    tifffile.imwrite(path, PIXELS, ome=True, metadata={"axes": "ZYX", **sizes, "PhysicalSizeZUnit": "µm"})


def imagej(path):
    words = {"resolution": (4, 2), "metadata": {"axes": "ZYX", "spacing": 2.0, "unit": "um"}}
    tifffile.imwrite(path, PIXELS, imagej=True, **words)


def ome_zarr(path):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=PIXELS, chunks=(1, 32, 32))
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    scale = [{"type": "scale", "scale": [2000.0, 500.0, 250.0]}]
    images = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": images}


@pytest.mark.parametrize(("suffix", "write"), [(".ome.tif", ome_tiff), (".tif", imagej), (".ome.zarr", ome_zarr)])
def test_a_sigma_in_micrometres_is_that_in_pixels_byte_for_byte(suffix, write, tmp_path):
    write(tmp_path / f"a{suffix}")
    made = []
    for number, sigma in enumerate(["1.5 um", {"z": 0.75, "y": 3, "x": 6}]):
        stages = [{"op": "gaussian", "sigma": sigma, "over": "zyx"}]
        words = {"input_": {"path": f"{tmp_path}/a{suffix}"}, "output": {"path": f"{tmp_path}/{number}.ome.zarr"}}
        report = tileconv.run(pipeline(stages, **words))
        made.append({p.relative_to(report.output): p.read_bytes() for p in (report.output / "0").rglob("c/*/*/*")})
    assert made[0] == made[1]
    assert len(made[0]) >= 1
    (image,) = json.loads((tmp_path / "0.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]["multiscales"]
    factor = 1000 if write is ome_zarr else 1
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [2 * factor, 0.5 * factor, 0.25 * factor]


@pytest.mark.parametrize(("model", "unit"), [("projected", "meter"), ("geographic", "degree")])
def test_pixels_of_a_raster_are_metres_or_no_lengths(model, unit, tmp_path):
    keys = {
        "projected": (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 2154, 3076, 0, 1, 9001),
        "geographic": (1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326),
    }[model]
    tags = [
        (33550, "d", 3, (30.0, 30.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4.6e6, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0], extratags=tags, metadata=None)
    spec = pipeline([{"op": "gaussian", "sigma": "90 m"}], input_={"path": str(tmp_path / "a.tif")})
    if unit == "degree":
        with pytest.raises(PlanError, match=r"along y: .*, because it is measured in degrees, which are no lengths"):
            tileconv.plan(spec)
        spec["input"]["scale"] = {"y": "30 m", "x": "30 m"}
    made = tileconv.plan(spec)
    assert made.source.georeference.unit == unit
    assert made.spec.stages[0].operation.kernels[0] == kernels.gaussian(3)


def test_each_image_of_a_batch_has_its_own_pixels(tmp_path):
    for name, size in (("a", 0.5), ("b", 0.25)):
        words = {"PhysicalSizeY": size, "PhysicalSizeX": size}
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", PIXELS[0], metadata={"axes": "YX"} | words)
    spec = pipeline([{"op": "gaussian", "sigma": "1 um"}], output={"path": f"{tmp_path}/{{stem}}.zarr"})
    made = [one.spec.stages[0].operation.kernels[0] for _, one in tileconv.plans(spec, input=f"{tmp_path}/*.tif")]
    assert made == [kernels.gaussian(2), kernels.gaussian(4)]


def test_an_array_without_pixel_size_needs_the_scale_of_the_pipeline():
    spec = pipeline([{"op": "gaussian", "sigma": "1 um"}])
    with pytest.raises(PlanError, match=r"stages\[0\].sigma: 1 um is no number of pixels along y"):
        tileconv.lazy(spec, PIXELS[0])
    spec["input"]["scale"] = {"y": "0.5 um", "x": "0.5 um"}
    np.testing.assert_array_equal(tileconv.lazy(spec, PIXELS[0]), tileconv.gaussian(PIXELS[0], 2))


def test_a_run_with_another_scale_is_not_resumed(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS[0])
    text = (
        "version: 1\ninput: {path: a.npy, scale: {y: 0.5 um, x: 0.5 um}}\nstages: [{op: gaussian, sigma: 1 um}]\n"
        "output: {path: b.zarr, chunks: 16}\nrun: {tile: 16}"
    )
    (tmp_path / "p.yaml").write_text(text)
    report = tileconv.run(tmp_path / "p.yaml")
    next((report.output / "0" / "c").rglob("1")).rename(tmp_path / "away")
    (tmp_path / "p.yaml").write_text(text.replace("x: 0.5", "x: 0.25"))
    with pytest.raises(ResumeError, match=r"pixels of stage 0 gaussian, sigma, x was 2.0 .* is 4.0"):
        tileconv.run(tmp_path / "p.yaml")


LINES = {
    "same": (
        {"op": "gaussian", "sigma": 1},
        {},
        "z 2 micrometer, y 0.5 micrometer, x 0.25 micrometer; the first at z 0, y 0, x 0",
    ),
    "valid": ({"op": "box", "size": 5, "extent": "valid"}, {}, "the first at z 0, y 1, x 0.5"),
    "full": ({"op": "box", "size": {"y": 3, "x": 1}, "extent": "full"}, {}, "the first at z 0, y -0.5, x 0"),
    "region": ({"op": "box", "size": 5}, {"region": {"z": [3, 5], "x": [8, 9]}}, "the first at z 6, y 0, x 2"),
    "stride": (
        {"op": "pool", "size": 2, "method": "mean"},
        {},
        "z 2 micrometer, y 1 micrometer, x 0.5 micrometer; the first at z 0, y -0.25, x -0.125",
    ),
    "projection": (
        {"op": "project", "method": "max", "over": "z"},
        {},
        "z 40 micrometer, y 0.5 micrometer, x 0.25 micrometer; the first at z 19",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_plan_tells_how_large_pixels_are_and_where_the_first_lies(name):
    stage, asked, line = LINES[name]
    made = plan([stage], input_=asked)
    assert line in rich_text(explain(made)).replace("\n", " ")
    told = made.as_json()["output"]
    assert (told["scale"], told["origin"], told["units"]) == (made.info.scale, made.info.origin, MICRO)
    assert json.dumps(told)


def test_a_plan_tells_nothing_where_nobody_knows_a_size():
    unknown = ImageInfo((60, 70), "yx", np.dtype("u1"), (60, 70))
    assert "pixels of" not in rich_text(explain(plan([], unknown)))
    assert "pixels of x 1; the first at x 9" in rich_text(explain(plan([], unknown, input_={"region": {"x": [9, 20]}})))
