"""What notebooks use: arguments of ``convolve`` and the operators, their refusals, and whole pipelines."""

import sys

import dask.array as da
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution, operators
from properties.runs_help import pipeline, stored, write_tiff

import tileconv
from tileconv.errors import KernelError, PlanError, SourceError, SpecError, TileError
from tileconv.spec.operators import operator_summary

KERNEL = np.array([[1.0, 2, -3], [0.5, 4, 0.25]])
IMAGE = strategies.pixels((12, 15), "float32", 0)


@given(
    strategies.images(ndim=2, peak=2**20),
    strategies.kernels(longest=6),
    st.sampled_from(strategies.RULES),
    st.booleans(),
)
def test_convolve_and_correlate(image, kernel, border, flip):
    made = tileconv.convolve(image, kernel, flip=flip, border=border, cval=3)
    slide = convolution.convolve if flip else convolution.correlate
    expected = slide(image, kernel, border, 3)
    scale = np.abs(kernel).sum() * max(3.0, np.abs(image.astype(float)).max())
    assert np.abs(made - expected).max() <= 1e-5 * scale
    if flip is False:
        assert made.tobytes() == tileconv.correlate(image, kernel, border=border, cval=3).tobytes()


@pytest.mark.parametrize("extent", ["same", "full", "valid"])
def test_the_border_of_full_and_valid_is_constant_unless_said(extent):
    made = tileconv.convolve(IMAGE, KERNEL, extent=extent)
    border = "reflect" if extent == "same" else "constant"
    np.testing.assert_allclose(made, convolution.convolve(IMAGE, KERNEL, border, extent=extent), rtol=1e-4, atol=1e-3)


def test_full_and_valid_have_the_shapes_of_scipy_signal():
    shapes = [tileconv.convolve(IMAGE, KERNEL, extent=e).shape for e in ("same", "full", "valid")]
    assert shapes == [(12, 15), (13, 17), (11, 13)]


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (0, 2), (-1, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("lazy", [False, True])
def test_axes_in_any_order(axes, lazy):
    """The kernel's first axis runs over the first that is named."""
    image = strategies.pixels((5, 6, 7), "uint8", 1)
    kernel = np.array([[1, 2, 3], [0, 5, -7]])
    made = tileconv.correlate(da.from_array(image, chunks=3) if lazy else image, kernel, axes=axes, tile=None)
    moved = np.moveaxis(image, axes, (1, 2))
    planes = np.stack([convolution.correlate_exact(plane, kernel) for plane in moved])
    assert np.asarray(made).tolist() == np.moveaxis(planes, (1, 2), axes).tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_kernels_of_one_to_three_axes_run_over_the_last(ndim):
    image = strategies.pixels((3, 4, 5, 6), "uint8", 2)
    kernel = np.arange(1, 1 + 2**ndim).reshape((2,) * ndim)
    made = tileconv.convolve(image, kernel)
    for place in np.ndindex(image.shape[: 4 - ndim]):
        assert made[place].tolist() == convolution.convolve_exact(image[place], kernel).tolist()


@pytest.mark.parametrize("channels", [3, 4])
def test_what_may_be_colour_must_be_said(channels):
    image = strategies.pixels((8, 9, channels), "uint8", 3)
    with pytest.raises(PlanError, match="may be colour") as caught:
        tileconv.convolve(image, KERNEL)
    assert "channel_axis=-1" in caught.value.fix
    by_channel = tileconv.gaussian(image, 1, channel_axis=-1)
    for c in range(channels):
        assert np.array_equal(by_channel[..., c], tileconv.gaussian(image[..., c], 1))
    planes = tileconv.gaussian(image, 1, axes=(-2, -1))
    assert np.array_equal(planes[0], tileconv.gaussian(image[0], 1))
    assert tileconv.gaussian(strategies.pixels((9, channels), "uint8", 0), 1).shape == (9, channels)


def test_channels_first():
    image = strategies.pixels((3, 8, 9), "uint8", 3)
    assert np.array_equal(tileconv.sobel(image, channel_axis=0)[2], tileconv.sobel(image[2]))


@pytest.mark.parametrize("number", range(len(operators.CASES)))
def test_every_operator_as_a_function(number):
    name, words = operators.CASES[number]
    function = getattr(tileconv, {"abs": "absolute"}.get(name, name))
    words = dict(words)
    if name in {"convolve", "correlate"}:
        return
    made = function(IMAGE, **words)
    np.testing.assert_allclose(made, operators.apply(name, IMAGE, **words), rtol=1e-3, atol=1e-3)
    assert function.__doc__.partition("\n")[0] == operator_summary(name)


def test_lists_views_and_other_byte_orders():
    image = strategies.pixels((9, 11), "int16", 4)
    expected = tileconv.convolve(image, KERNEL)
    assert np.array_equal(tileconv.convolve(image.tolist(), KERNEL), expected)
    assert np.array_equal(tileconv.convolve(image.astype(">i2"), KERNEL), expected)
    assert np.array_equal(tileconv.convolve(image[::-1].copy()[::-1], KERNEL), expected)
    assert np.array_equal(tileconv.convolve(np.asfortranarray(image), KERNEL), expected)
    before = image.copy()
    before.flags.writeable = False
    assert np.array_equal(tileconv.convolve(before, KERNEL), expected)
    assert np.array_equal(tileconv.convolve(image > 0, KERNEL), tileconv.convolve((image > 0).astype("uint8"), KERNEL))


@pytest.mark.parametrize(
    ("dtype", "kernel", "options", "expected"),
    [
        ("uint8", [[1, 2]], {}, "int32"),
        ("uint8", [[0.5, 2]], {}, "float32"),
        ("uint8", [[0.5, 2]], {"dtype": "input"}, "uint8"),
        ("float64", [[1, 2]], {}, "float64"),
        ("float16", [[1, 2]], {}, "float32"),
        ("int64", [[1, 2]], {}, "int64"),
        ("uint16", [[0.5]], {"precision": "float64"}, "float64"),
        ("uint8", [[1, 2]], {"dtype": "int16"}, "int16"),
    ],
)
def test_types(dtype, kernel, options, expected):
    image = np.ones((4, 5), dtype)
    assert tileconv.convolve(image, kernel, **options).dtype == expected
    assert tileconv.convolve(da.from_array(image, chunks=2), kernel, **options).dtype == expected


def test_missing_pixels():
    image = np.ones((9, 9), "uint8")
    image[4, 4] = 0
    made = tileconv.box(image, 3, nodata=0, missing="propagate")
    assert np.isnan(made).sum() == 9
    filled = tileconv.box(image, 3, nodata=0, missing={"rule": "fill", "value": 1})
    assert (filled == 1).all()
    with pytest.raises(TileError, match="1 missing pixels"):
        tileconv.box(image, 3, nodata=0, missing="error")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"border": "periodic"}, "border must be one of .* Its name here is 'wrap'"),
        ({"border": "none"}, "border must be one of"),
        ({"extent": "all"}, "extent must be one of"),
        ({"engine": "magic"}, "engine must be one of"),
        ({"precision": "half"}, "precision must be one of"),
        ({"axes": (0,)}, "the kernel has 2 axes"),
        ({"axes": (0, 0)}, "the kernel has 2 axes"),
        ({"axes": (0, 5)}, "axes must lie between -2 and 1, found 5"),
        ({"nodata": 3}, "needs missing="),
        ({"missing": "renormalise"}, "missing must be one of"),
        ({"missing": {"rule": "fill"}}, "needs a finite value"),
        ({"missing": {"rule": "fill", "value": 0, "other": 1}}, "found 'other' with fill"),
        ({"engine": "separable"}, "engine separable cannot be used|not a sum of few"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    kernel = np.eye(8) + np.eye(8)[::-1] * 0.5 if "separable" in options.values() else KERNEL
    with pytest.raises(PlanError, match=message):
        tileconv.convolve(IMAGE, kernel, **options)


@pytest.mark.parametrize("image", [np.zeros((0, 5)), np.zeros((4, 4), complex), np.array([["a"]])], ids=str)
def test_images_that_are_none_are_refused(image):
    with pytest.raises(PlanError):
        tileconv.convolve(image, [[1.0]])


@pytest.mark.parametrize("kernel", [[], [[np.nan]], "abc", np.ones((1, 1, 1, 1)), [[1, 2], [3]]], ids=str)
def test_kernels_that_are_none_are_refused(kernel):
    with pytest.raises(KernelError):
        tileconv.convolve(IMAGE, kernel)


def test_a_kernel_and_an_operation_can_be_handed_over():
    kernel = tileconv.kernels.gaussian(1)
    assert np.array_equal(tileconv.apply(IMAGE, kernel), tileconv.gaussian(IMAGE, 1))
    assert np.array_equal(tileconv.apply(IMAGE, tileconv.kernels.unsharp(1)), tileconv.unsharp(IMAGE, 1))


def test_public_names_are_there():
    for name in tileconv.__all__:
        assert getattr(tileconv, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'blur'"):
        _ = tileconv.blur


def test_windows_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImportError, match="on Windows it runs in WSL"):
        dir(tileconv)


def test_whole_pipelines(tmp_path):
    image = strategies.pixels((40, 50), "uint8", 5)
    source = write_tiff(tmp_path / "a.tif", image, tile=16)
    spec = pipeline([{"op": "gaussian", "sigma": 1}, {"op": "sobel"}], input_={"path": source})
    spec["output"]["path"] = str(tmp_path / "o.zarr")
    report = tileconv.run(spec)
    assert report.fingerprint == tileconv.plan(spec).fingerprint()
    # not the same bytes: stage by stage, the second knows nothing of its pixels' range
    expected = tileconv.sobel(tileconv.gaussian(image, 1))
    np.testing.assert_allclose(stored(tmp_path / "o.zarr"), expected, rtol=1e-5, atol=1e-3)
    (tmp_path / "p.yaml").write_text(
        "version: 1\ninput: {path: a.tif}\nstages: [{op: gaussian, sigma: 1}, {op: sobel}]\noutput: {path: p.zarr}\n"
    )
    assert tileconv.run(str(tmp_path / "p.yaml")).output == tmp_path / "p.zarr"
    assert stored(tmp_path / "p.zarr").tobytes() == stored(tmp_path / "o.zarr").tobytes()


def test_whole_pipelines_refused(tmp_path):
    with pytest.raises(SpecError, match="gausian"):
        tileconv.plan(pipeline([{"op": "gausian", "sigma": 1}]))
    with pytest.raises(SourceError, match="found nothing"):
        tileconv.run(pipeline([], input_={"path": str(tmp_path / "absent.tif")}))
    with pytest.raises(SpecError, match="cannot read the file"):
        tileconv.run(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (IMAGE, {"tile": 0}, "tile must be one size"),
        (IMAGE, {"tile": 7.5}, "tile must be a whole number"),
        (IMAGE, {"axes": "yx"}, "axes must be a whole number"),
        (IMAGE, {"axes": (0.0, 1.0)}, "axes must be a whole number"),
        (IMAGE, {"axes": ()}, "found none"),
        (IMAGE, {"axes": -1}, "the kernel has 2 axes, and the image 2"),
        (IMAGE, {"dtype": "bool"}, "dtype must be one of"),
        (IMAGE, {"missing": 3}, "missing must be a rule or a mapping"),
        (np.ones((6, 7, 8)), {"channel_axis": 7}, "channel_axis must lie between"),
        (np.ones((6, 7, 8)), {"channel_axis": -1, "axes": (1, 2)}, "is channel_axis and among axes"),
        ([[1, 2], [3]], {}, "must have the same length"),
        (np.array([["a"]]), {}, "expected integers or floats"),
        (np.ones(9), {}, "the kernel has 2 axes, and the image 1"),
        (5.0, {}, "expected one axis or more"),
        (np.ones((0, 4)), {}, "expected one axis or more"),
        (da.ones((9, 9), chunks=3)[da.ones(9, chunks=3) > 0], {}, "compute_chunk_sizes"),
        (np.ma.masked_array(IMAGE, IMAGE > 0), {}, "pixels are masked"),
    ],
    ids=str,
)
def test_arguments_of_a_wrong_kind_are_refused(image, options, message):
    with pytest.raises(PlanError, match=message):
        tileconv.convolve(image, KERNEL, **options)


@pytest.mark.parametrize("sigma", [(1, 2), "2", None])
def test_parameters_of_a_wrong_kind_are_refused(sigma):
    with pytest.raises(KernelError, match="sigma"):
        tileconv.gaussian(IMAGE, sigma)


def test_operators_act_on_the_only_axis_of_a_line():
    line = np.arange(20.0) ** 2
    np.testing.assert_allclose(tileconv.gaussian(line, 1), tileconv.gaussian(line, 1, axes=0), rtol=0)
    assert tileconv.box(line, size=3)[5] == pytest.approx(line[4:7].mean())


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_masked_pixels_are_missing_ones(dtype):
    data = np.full((9, 9), 7, dtype)
    data[4, 4] = 200
    mask = data == 200
    spread = tileconv.box(np.ma.masked_array(data, mask), size=3, missing="propagate")
    assert np.isnan(spread).sum() == 9
    filled = tileconv.box(np.ma.masked_array(data, mask), size=3, missing={"rule": "fill", "value": 7})
    assert (np.abs(filled - 7) < 1e-5).all()
    with pytest.raises(TileError, match="1 missing pixels"):
        tileconv.box(np.ma.masked_array(data, mask), size=3, missing="error")
