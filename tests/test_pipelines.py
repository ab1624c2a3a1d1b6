"""Every example of pipelines/ on a crop of a real photograph, beside what scipy.ndimage makes of it in float64."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from oracles import convolution, operators
from oracles.renormalized import renormalized
from scipy import ndimage

import tileconv
from tileconv.execute.images import each_image
from tileconv.samples.real import PHOTOGRAPHS, photograph
from tileconv.sources.open import open_source
from tileconv.spec import load_spec

FOLDER = Path(__file__).parents[1] / "pipelines"
FILES = sorted(FOLDER.glob("*.yaml"))
HALF_A_STEP = 0.5 + 1e-3
"""Rounding to whole numbers, and a float32 error on the other side of a half."""

SMEAR = np.loadtxt(FOLDER / "psf.csv", delimiter=",")
TELESCOPE = np.load(FOLDER / "telescope.npy").astype(np.float64)
RELIEF = [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]
GENTLE = {"sigma": 1.5, "amount": 1.2, "threshold": 3}

ANSWERS = {
    "deconvolve": ("camera", "reflect", [("richardson_lucy", {"psf": SMEAR, "iterations": 15})], 1e-1),
    "moving_average": ("moon", "nearest", [("box", {"size": 5})], 1e-4),
    "gaussian": ("moon", "reflect", [("gaussian", {"sigma": 2})], HALF_A_STEP),
    "edges": (
        "hubble",
        "reflect",
        [("gaussian", {"sigma": 2}), ("sobel", {}), ("unsharp", {"sigma": 1, "amount": 0.6})],
        1e-2,
    ),
    "vertical_edges": ("brick", "mirror", [("edge", {"component": "x"})], 1e-4),
    "sharpen": ("cat", "reflect", [("sharpen", {}), ("clip", {"range": [0, 255]})], 0),
    "unsharp_slide": (
        "immunohistochemistry",
        "reflect",
        [("unsharp", GENTLE), ("clip", {"range": [0, 255]})],
        HALF_A_STEP,
    ),
    "spots": (
        "hubble",
        "reflect",
        [("laplacian_of_gaussian", {"sigma": 2}), ("rescale", {"gain": -1}), ("clip", {"range": [0, 1e6]})],
        1e-3,
    ),
    "difference_of_gaussians": (
        "retina",
        "reflect",
        [("difference_of_gaussians", {"low_sigma": 2, "high_sigma": 10})],
        1e-3,
    ),
    "emboss": (
        "coins",
        "reflect",
        [("correlate", {"kernel": RELIEF, "offset": 128}), ("clip", {"range": [0, 255]})],
        0,
    ),
    "median": ("coins", "reflect", [("median", {"size": 5}), ("sobel", {})], 1e-3),
    "own_psf": ("camera", "reflect", [("convolve", {"kernel": SMEAR, "normalize": True})], 1e-3),
    "telescope": ("hubble", "reflect", [("convolve", {"kernel": TELESCOPE, "normalize": True})], 1e-3),
    "sky_background": ("hubble", "mirror", [("clip", {"range": [0, 40]}), ("disk", {"radius": 30})], 1e-4),
}
"""Per example: photograph, border, stages for the oracle, and the largest difference. The others have tests of their
own below."""
OTHERS = {
    "bank",
    "batch",
    "branches",
    "fluorescence",
    "masked",
    "missing",
    "network",
    "nodata",
    "planes",
    "projection",
    "satellite",
    "z_stack",
}


def crop(name, folder, size=(90, 110)):
    """Write a crop of the photograph *name*, off its middle, as a TIFF; return its path and its pixels."""
    pixels = photograph(name)
    top, left = (n // 3 for n in pixels.shape[-2:])
    part = pixels[..., top : top + size[0], left : left + size[1]]
    path = folder / f"{name}.tif"
    stored = np.moveaxis(part, 0, -1) if part.ndim == 3 else part
    tifffile.imwrite(path, stored, tile=(64, 64), photometric="rgb" if part.ndim == 3 else "minisblack")
    return path, part


def made(name, source, folder):
    """Run the example on *source*; return its report and its pixels."""
    spec = load_spec(FOLDER / f"{name}.yaml", input_path=str(source), output_path=str(folder / "out.ome.zarr"))
    report = tileconv.run(spec)
    return report, zarr.open_group(report.output, mode="r")["0"][...]


def answer(pixels, border, stages):
    planes = pixels if pixels.ndim == 3 else pixels[None]
    out = []
    for plane in planes.astype(np.float64):
        for name, parameters in stages:
            plane = operators.apply(name, plane, border, **parameters)
        out.append(plane)
    return np.reshape(out, pixels.shape)


def test_every_example_is_tested_and_there_are_enough():
    assert {path.stem for path in FILES} == set(ANSWERS) | OTHERS
    assert len(FILES) >= 8


@pytest.mark.parametrize("name", ANSWERS)
def test_result_is_that_of_another_library(name, tmp_path):
    sample, border, stages, tolerance = ANSWERS[name]
    source, pixels = crop(sample, tmp_path)
    _, result = made(name, source, tmp_path)
    expected = answer(pixels, border, stages)
    assert np.ptp(expected) > 10  # an empty crop would prove nothing
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


def test_clipped_pixels_are_counted(tmp_path):
    source, pixels = crop("coins", tmp_path)
    report, _ = made("emboss", source, tmp_path)
    exact = convolution.correlate_exact(pixels, np.array(RELIEF)) + 128
    assert report.counts.clipped == np.count_nonzero((exact < 0) | (exact > 255)) > 0


def test_the_slide_has_levels_that_are_means_of_four(tmp_path):
    source, _ = crop("immunohistochemistry", tmp_path)
    report, below = made("unsharp_slide", source, tmp_path)
    group = zarr.open_group(report.output, mode="r")
    for level in "123":
        shape = [below.shape[0], *(-(-n // 2) for n in below.shape[1:])]
        below, four = group[level][...], np.full((4, *shape), np.nan)
        for number, (y, x) in enumerate(np.ndindex(2, 2)):
            part = group[str(int(level) - 1)][:, y::2, x::2]
            four[(number, slice(None), *map(slice, part.shape[1:]))] = part
        np.testing.assert_array_equal(below, np.rint(np.nanmean(four, 0)))
    assert sorted(group.array_keys()) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_another_point_spread_function(suffix, tmp_path, monkeypatch):
    weights = np.array([[0.0, 1.0, 2.0, 0.5], [3.0, 5.0, 1.0, 0.0]])
    file = tmp_path / f"mine{suffix}"
    if suffix == ".npy":
        np.save(file, weights)
    else:
        np.savetxt(file, weights, delimiter=",")
    monkeypatch.setenv("PSF", str(file))
    source, pixels = crop("camera", tmp_path)
    _, result = made("own_psf", source, tmp_path)
    np.testing.assert_allclose(result, convolution.convolve(pixels, weights) / weights.sum(), rtol=0, atol=1e-3)


def test_a_small_network_measures_how_steep_the_image_is(tmp_path):
    source, pixels = crop("coins", tmp_path)
    _, result = made("network", source, tmp_path)
    steep = sum(abs(operators.apply("sobel", pixels.astype(np.float64), component=axis)) for axis in "xy")
    np.testing.assert_allclose(result[0], steep.reshape(45, 2, 55, 2).max(axis=(1, 3)), rtol=1e-6)


def test_holes_stay_and_narrow_ones_are_filled(tmp_path, monkeypatch):
    source, pixels = crop("coins", tmp_path)
    holes = np.zeros(pixels.shape, bool)
    holes[20:60, 30:70] = holes[0, 0] = holes[70, :] = True
    tifffile.imwrite(source, np.where(holes, -9999, pixels.astype(np.int16)))
    monkeypatch.delenv("NODATA", raising=False)
    report, result = made("missing", source, tmp_path)
    assert report.counts.missing == holes.sum()
    weights = operators.apply("gaussian", np.pad([[1.0]], 9), sigma=2)[1:-1, 1:-1]
    words = {"min_coverage": 0.2, "keep": False}
    expected, _ = renormalized(np.where(holes, np.nan, pixels.astype(float)), weights, "nearest", **words)
    assert 0 < np.isnan(expected).sum() < holes.sum()
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-3)


def test_holes_grow_by_the_halo_and_the_rest_is_untouched(tmp_path, monkeypatch):
    source, pixels = crop("coins", tmp_path)
    holes = np.zeros(pixels.shape, bool)
    holes[30:40, 50:53] = holes[0, 0] = True
    raster = np.where(holes, -9999, pixels.astype(np.int16))
    tifffile.imwrite(source, raster)
    monkeypatch.delenv("NODATA", raising=False)
    report, result = made("nodata", source, tmp_path)
    assert report.counts.missing == holes.sum()
    reached = np.zeros_like(holes)
    for y, x in zip(*holes.nonzero(), strict=True):
        reached[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6] = True
    assert np.array_equal(np.isnan(result), reached)
    stages = [("gaussian", {"sigma": 1}), ("sobel", {}), ("rescale", {"gain": 0.125})]
    np.testing.assert_allclose(result[~reached], answer(pixels, "nearest", stages)[~reached], rtol=0, atol=1e-3)


def test_a_projection_of_a_region(tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 610, 810), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    _, result = made("projection", tmp_path / "stack.tif", tmp_path)
    blurred = tileconv.gaussian(stack, 1, axes=(-2, -1)).max(axis=0, keepdims=True)
    assert np.array_equal(result, np.rint(blurred[:, 100:600, 200:800]))


def test_a_scene_keeps_its_place_its_bands_and_its_holes(tmp_path, monkeypatch):
    _, pixels = crop("retina", tmp_path)
    bands = np.maximum(pixels, 1).astype(np.uint16)
    bands[:, 40:50, 30:33] = 0
    geo = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
    ]
    words = {"planarconfig": "separate", "photometric": "minisblack", "tile": (64, 64), "extratags": geo}
    tifffile.imwrite(tmp_path / "scene.tif", bands, **words)
    monkeypatch.delenv("NODATA", raising=False)
    paths = {"input_path": str(tmp_path / "scene.tif"), "output_path": str(tmp_path / "edges.tif")}
    report = tileconv.run(load_spec(FOLDER / "satellite.yaml", **paths))
    result = open_source(report.output)
    place = (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)
    assert (result.info.georeference.crs, result.info.georeference.transform) == ("EPSG:32633", place)
    assert (result.info.nodata, result.info.shape) == (-9999, bands.shape)
    made = result.read(result.info.box)
    holes = np.zeros(bands.shape, bool)
    holes[:, 33:57, 23:40] = True  # grown by 6 pixels and 1
    assert np.array_equal(made == -9999, holes)
    expected = answer(bands, "nearest", [("gaussian", {"sigma": 1.5}), ("sobel", {})])
    np.testing.assert_allclose(made[~holes], expected[~holes], rtol=0, atol=1e-2)


def test_two_results_of_one_read_are_those_of_another_library(tmp_path):
    source, pixels = crop("hubble", tmp_path)
    places = [f"outputs.{name}.path={tmp_path / name}.ome.zarr" for name in ("smooth", "lines")]
    report = tileconv.run(load_spec(FOLDER / "branches.yaml", places, input_path=str(source)))
    assert [one.output.name for one in (report, *report.others)] == ["smooth.ome.zarr", "lines.ome.zarr"]
    smooth, lines = (zarr.open_group(one.output, mode="r")["0"][...] for one in (report, *report.others))
    blur = ("gaussian", {"sigma": 2})
    expected = answer(pixels, "reflect", [blur, ("unsharp", {"sigma": 4, "amount": 0.5})])
    np.testing.assert_allclose(smooth, np.clip(expected, 0, 255), rtol=0, atol=HALF_A_STEP)
    expected = answer(pixels, "reflect", [blur, ("sobel", {}), ("rescale", {"gain": 4})])
    np.testing.assert_allclose(lines, expected, rtol=0, atol=1e-2)


def test_texture_is_where_the_waves_of_a_bank_answer(tmp_path):
    source, pixels = crop("brick", tmp_path)
    _, result = made("bank", source, tmp_path)
    waves = tileconv.kernels.bank(gabor={"orientations": 8, "wavelengths": [6, 12]}).kernels
    each = [convolution.correlate(pixels.astype(np.float64), kernel.weights, "reflect") for kernel in waves]
    np.testing.assert_allclose(result, np.linalg.norm(each, axis=0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["z_stack", "planes"])
def test_a_stack_is_smoothed_across_its_planes(name, tmp_path):
    _, pixels = crop("hubble", tmp_path)
    source = tmp_path / "stack.tif"
    stack = np.concatenate([pixels, pixels[::-1]])  # six planes, all different from their neighbours but two
    if name == "planes":
        source = tmp_path / "z*.tif"
        for number, plane in enumerate(stack, 8):
            tifffile.imwrite(tmp_path / f"z{number}.tif", plane)
    else:
        tifffile.imwrite(source, stack, photometric="minisblack")
    _, result = made(name, source, tmp_path)
    expected = stack.astype(np.float64)
    across = "nearest" if name == "z_stack" else "reflect"
    for axis, sigma, border in ((0, 0.7, across), (1, 2, "reflect"), (2, 2, "reflect")):
        bell = np.exp(-0.5 * (np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1) / sigma) ** 2)
        shape = [1, 1, 1]
        shape[axis] = -1
        expected = convolution.correlate(expected, (bell / bell.sum()).reshape(shape), border)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-3)


def test_spots_of_a_size_in_micrometres_are_found_whatever_the_pixels(tmp_path):
    stack = np.random.default_rng(3).poisson(40, (9, 40, 50)).astype(np.uint16)
    stack[4, 18:22, 28:32] += 300
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (0.6, 0.2, 0.2), strict=True)}
    tifffile.imwrite(tmp_path / "stack.ome.tif", stack, metadata={"axes": "ZYX", **sizes})
    _, result = made("fluorescence", tmp_path / "stack.ome.tif", tmp_path)
    narrow, wide = (ndimage.gaussian_filter(stack.astype(float), (s, 3 * s, 3 * s)) for s in (0.5, 1))
    np.testing.assert_allclose(result, np.maximum(narrow - wide, 0), rtol=0, atol=1e-3)
    assert np.unravel_index(result.argmax(), result.shape)[0] == 4


def test_every_image_of_a_folder_has_its_result(tmp_path):
    crops = dict(crop(name, tmp_path) for name in ("moon", "camera"))
    out = str(tmp_path / "{stem}.ome.zarr")
    images = each_image(load_spec(FOLDER / "batch.yaml", input_path=f"{tmp_path}/*.tif", output_path=out))
    assert len(images) == 2
    for image in images:
        result = zarr.open_group(tileconv.run(image).output, mode="r")["0"][...]
        expected = answer(crops[image.input.path.local], "reflect", [("gaussian", {"sigma": 2})])
        assert image.output.path.name == f"{image.input.path.local.stem}.ome.zarr"
        np.testing.assert_allclose(result, expected, rtol=0, atol=HALF_A_STEP)


def test_a_masked_raster_comes_back_as_one(tmp_path, monkeypatch):
    source, pixels = crop("moon", tmp_path)
    valid = np.ones(pixels.shape, np.uint8)
    valid[20, 30], valid[40:60, 50:70] = 0, 0
    np.save(tmp_path / "clouds.npy", valid)
    monkeypatch.setenv("MASK", str(tmp_path / "clouds.npy"))
    report, result = made("masked", source, tmp_path)
    filled = np.where(valid, pixels, np.nan)
    filled[20, 30] = pixels[19, 30]  # of four that are alike near the one above
    far = np.zeros(pixels.shape, bool)
    far[42:58, 52:68] = True
    thick = np.argwhere((valid == 0) & ~far)
    for y, x in thick:
        near = [(dy * dy + dx * dx, dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)]
        near = [n for n in sorted(near) if n[0] <= 4 and valid[y + n[1], x + n[2]]]
        filled[y, x] = pixels[y + near[0][1], x + near[0][2]] if near else np.nan
    expected = operators.apply("gaussian", filled, "nearest", sigma=1)
    missing = np.isnan(expected)
    assert (result.dtype, report.counts.missing) == (pixels.dtype, 401)
    assert np.array_equal(result == 0, missing | (np.rint(expected) == 0))
    assert 256 < missing.sum() < 900
    np.testing.assert_allclose(result[~missing], expected[~missing], rtol=0, atol=HALF_A_STEP)
    assert open_source(report.output).info.nodata == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_says_how_to_run_it_and_what_to_look_at(path):
    comment = path.read_text("utf-8").split("\nversion:")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert f"tileconv run pipelines/{path.name} -i " in comment
    assert "# Look at: " in comment
    for sample in re.findall(r"tileconv sample (\w+) ", comment):
        assert sample in PHOTOGRAPHS


def test_the_command_in_a_comment_works(tmp_path):
    source, pixels = crop("moon", tmp_path)
    command = [sys.executable, "-m", "tileconv", "run", "pipelines/moving_average.yaml", "-i", str(source)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "average.ome.zarr")],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "average.ome.zarr") in done.stdout
    result = zarr.open_group(tmp_path / "average.ome.zarr", mode="r")["0"]
    assert result.shape == pixels.shape
