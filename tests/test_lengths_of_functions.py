"""Lengths with a unit in calls of functions: the bytes of the same in pixels, and of a pipeline that says so."""

import dask.array as da
import numpy as np
import pytest
import strategies
import xarray as xr
from properties.runs_help import pipeline

import tileconv
from tileconv.arrays import FUNCTIONS
from tileconv.errors import KernelError, PlanError
from tileconv.lengths import SCALE, parameters_of
from tileconv.operations.registry import OF_ONE
from tileconv.spec.lengths import measured

IMAGE = strategies.pixels((4, 30, 40), "uint16", 1)
SIZES = {"z": "2 um", "y": "0.5 um", "x": "250 nm"}
CALLS = [
    ("gaussian", {"sigma": "1.5 um"}, {"sigma": {"y": 3, "x": 6}}),
    ("gaussian", {"sigma": {"y": "1.5um", "x": 2}}, {"sigma": {"y": 3, "x": 2}}),
    ("gaussian", {"sigma": "1.5 um", "axes": (0, 1, 2)}, {"sigma": {"z": 0.75, "y": 3, "x": 6}, "axes": (0, 1, 2)}),
    ("box", {"size": "1 um"}, {"size": {"y": 3, "x": 5}}),
    ("box", {"size": "4 px"}, {"size": 4}),
    ("disk", {"radius": "0.001 mm"}, {"radius": {"y": 2, "x": 4}}),
    ("unsharp", {"sigma": "1 um", "amount": 2}, {"sigma": {"y": 2, "x": 4}, "amount": 2}),
    ("median", {"size": "1 um"}, {"size": {"y": 3, "x": 5}}),
    ("difference_of_gaussians", {"low_sigma": "1 um", "high_sigma": {"y": 9, "x": "3 um"}},
     {"low_sigma": {"y": 2, "x": 4}, "high_sigma": {"y": 9, "x": 12}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "long", "pixels"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_bytes_are_those_of_the_same_in_pixels(name, long, pixels):
    function = getattr(tileconv, name)
    expected = function(IMAGE, **pixels)
    assert function(IMAGE, **long, scale=SIZES).tobytes() == expected.tobytes()
    lazy = function(da.from_array(IMAGE, chunks=(2, 16, 40)), **long, scale=SIZES)
    assert lazy.compute(scheduler="synchronous").tobytes() == expected.tobytes()
    if "axes" not in long:
        stage = {"op": name, **long}
        spec = pipeline([stage], input_={"scale": SIZES})
        assert tileconv.lazy(spec, IMAGE).compute(scheduler="synchronous").tobytes() == expected.tobytes()


def test_functions_of_lengths_take_a_scale_and_no_others():
    for name, make in OF_ONE.items():
        assert (SCALE in parameters_of(make)) == bool(measured(name)), name
    assert "scale" in FUNCTIONS["disk"].__doc__
    assert "scale" not in FUNCTIONS["invert"].__doc__


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"sigma": "1 um"}, PlanError, r"1 um is no number of pixels along y without .*scale={'y': '... um', 'x': '"),
        ({"sigma": "1 um", "scale": {"y": "1 um"}}, PlanError, "along x without the size of a pixel"),
        ({"sigma": "1 um", "scale": {"y": "1 um", "x": 1}}, PlanError, "how long a pixel is along x, with its unit"),
        ({"sigma": "1 um", "scale": {"y": "3 px", "x": "1 um"}}, PlanError, "found '3 px'"),
        ({"sigma": "1 um", "scale": "1 um"}, PlanError, "scale must be a mapping of axes, found '1 um'"),
        ({"sigma": "2"}, KernelError, "sigma must be a number, found '2'"),
        ({"sigma": "2 seconds", "scale": SIZES}, KernelError, "sigma must be a number"),
        ({"sigma": "-2 um", "scale": SIZES}, KernelError, "must be above 0"),
    ],
)
def test_what_is_no_length_is_refused_with_a_way_out(words, error, message):
    with pytest.raises(error, match=message):
        tileconv.gaussian(IMAGE, **words)


def labelled(lazy=False, **units):
    """Return planes of a DataArray whose coordinates tell how far pixels lie apart."""
    coords = {
        "depth": ("depth", np.arange(4) * 2.0, {"units": units.get("depth", "um")}),
        "lat": ("lat", 7 - 0.1 * np.arange(30), {"units": "mm"}),
        "lon": ("lon", 100.0 * np.arange(40), {"units": "µm"}),
    }
    data = da.from_array(IMAGE, chunks=(2, 16, 40)) if lazy else IMAGE
    return xr.DataArray(data, dims=("depth", "lat", "lon"), coords=coords)


@pytest.mark.parametrize("lazy", [False, True])
def test_coordinates_tell_how_long_a_pixel_is(lazy):
    image = labelled(lazy)
    expected = tileconv.gaussian(IMAGE, {"y": 2, "x": 2})
    assert np.array_equal(tileconv.gaussian(image, "0.2 mm"), expected)
    other = tileconv.gaussian(image, "0.2 mm", scale={"lon": "50 um", "depth": "1 um"})
    assert np.array_equal(other, tileconv.gaussian(IMAGE, {"y": 2, "x": 4}))
    deep = tileconv.gaussian(image, {"depth": "3 um", "lat": 1, "lon": 0}, axes=("depth", "lat", "lon"))
    assert np.array_equal(deep, tileconv.gaussian(IMAGE, {"z": 1.5, "y": 1, "x": 0}, axes=(0, 1, 2)))
    with pytest.raises(PlanError, match="scale names the axis 'x', and the function acts on lon, lat"):
        tileconv.gaussian(image, 1, scale={"x": "1 um"})


def test_uneven_coordinates_and_degrees_tell_nothing():
    image = labelled()
    image.coords["lat"].attrs["units"] = "degrees_north"
    with pytest.raises(PlanError, match="along y without the size of a pixel"):
        tileconv.gaussian(image, "0.2 mm")
    uneven = labelled().assign_coords(lat=("lat", np.arange(30.0) ** 2, {"units": "mm"}))
    with pytest.raises(PlanError, match="along y without the size of a pixel"):
        tileconv.gaussian(uneven, "0.2 mm")


def test_a_pipeline_knows_the_sizes_of_a_labelled_array():
    image = labelled().rename(depth="z", lat="y", lon="x")
    made = tileconv.lazy(pipeline([{"op": "gaussian", "sigma": "0.2 mm"}]), image)
    assert np.array_equal(made, tileconv.gaussian(IMAGE, 2))
    told = tileconv.lazy(pipeline([{"op": "gaussian", "sigma": "0.2 mm"}], input_={"scale": {"x": "50 um"}}), image)
    assert np.array_equal(told, tileconv.gaussian(IMAGE, {"y": 2, "x": 4}))
