"""xarray's arrays: axes by their own names, labels stay, lazy ones stay lazy; and arrays that NumPy cannot read."""

import dask.array as da
import numpy as np
import pytest
import strategies
import xarray as xr

import tileconv
from tileconv.errors import PlanError

IMAGE = strategies.pixels((12, 15), "float32", 0)


def cube(dims, *, lazy=False):
    """Return an array of 12 y, 15 x and 3 bands, in the order *dims*, with labels of every kind."""
    data = np.stack([IMAGE, 2 * IMAGE, -IMAGE], axis=-1)
    made = xr.DataArray(
        da.from_array(data, chunks=(5, 7, 1)) if lazy else data,
        dims=("y", "x", "band"),
        coords={"x": np.arange(15) * 0.5, "band": list("rgb"), "spatial_ref": 0, "height": ("y", np.arange(12))},
        name="light",
        attrs={"units": "lx"},
    )
    made.encoding["scale_factor"] = 0.01
    return made.transpose(*dims)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "y", "x"), ("x", "band", "y")])
def test_labels_stay_and_the_axes_are_those_named_y_and_x(dims, lazy):
    image = cube(dims, lazy=lazy)
    made = tileconv.gaussian(image, {"y": 1, "x": 2}, border={"x": "wrap"})
    assert isinstance(made.data, da.Array if lazy else np.ndarray)
    expected = tileconv.gaussian(IMAGE, {"y": 1, "x": 2}, border={"x": "wrap"})
    assert made.dims == dims
    for band, gain in zip("rgb", (1, 2, -1), strict=True):
        plane = made.sel(band=band).transpose("y", "x").compute(scheduler="threads")
        np.testing.assert_allclose(plane, gain * expected, rtol=1e-5, atol=1e-4)
    assert (made.name, made.attrs, made.encoding) == ("light", {"units": "lx"}, {})
    assert all(made.coords[name].identical(image.coords[name]) for name in image.coords)


def test_names_of_its_own():
    image = xr.DataArray(np.stack([IMAGE] * 2), dims=("time", "lat", "lon"))
    rules = {"lat": "nearest", "lon": "wrap"}
    made = tileconv.sobel(image, "lon", border=rules)
    assert np.array_equal(made[1], tileconv.sobel(IMAGE, "x", border={"y": "nearest", "x": "wrap"}))
    turned = tileconv.sobel(image, "lat", axes=("lon", "lat"), border=rules)
    along_y = tileconv.sobel(IMAGE, "y", border={"y": "nearest", "x": "wrap"})
    np.testing.assert_allclose(turned[0], along_y, rtol=1e-5, atol=1e-3)
    along = tileconv.correlate(image, [1, 2], axes="time", border="wrap")
    assert np.allclose(along, 3 * image)
    by_number = tileconv.box(image, {"time": 2, "lat": 1}, axes=(0, 1))
    assert np.allclose(by_number, image)
    kernel = np.arange(8.0).reshape(2, 2, 2)
    assert np.array_equal(tileconv.convolve(image, kernel), tileconv.convolve(image.values, kernel))


def test_a_channel_axis_by_name():
    image = cube(("band", "y", "x")).rename(x="lon", y="lat").transpose("lat", "lon", "band")
    with pytest.raises(PlanError, match="may be colour"):
        tileconv.box(image, 3)
    made = tileconv.box(image, {"lat": 3, "lon": 1}, channel_axis="band")
    expected = tileconv.box(IMAGE, {"y": 3, "x": 1})
    assert np.allclose(made.sel(band="g"), 2 * expected, atol=1e-4)
    assert made.dims == image.dims


def test_coordinates_along_an_axis_of_another_length_are_left_out():
    image = cube(("y", "x", "band"))
    made = tileconv.correlate(image, [[1, 1]], extent="valid")
    assert dict(made.sizes) == {"y": 12, "x": 14, "band": 3}
    assert set(made.coords) == {"band", "spatial_ref", "height"}


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("gaussian", {"sigma": {"lat": 1, "lon": 2}}, "sigma names the axis 'lat', and the function acts on x, y"),
        ("gaussian", {"sigma": 1, "border": {"band": "wrap"}, "axes": ("y", "x")}, "border names the axis 'band'"),
        ("gaussian", {"sigma": 1, "axes": ("y", "lon")}, "axes names the axis 'lon', and the array has y, x, band"),
        ("gaussian", {"sigma": 1, "channel_axis": "c"}, "channel_axis names the axis 'c'"),
        ("sobel", {"component": "z"}, "component names the axis 'z'"),
        ("sobel", {"axes": (0, 7)}, "axes must lie between"),
    ],
)
def test_other_names_are_refused(name, words, message):
    image = cube(("y", "x", "band")).isel(band=slice(2)) if name == "sobel" else cube(("y", "x", "band"))
    with pytest.raises(PlanError, match=message):
        getattr(tileconv, name)(image.isel(band=0) if "z" in words.values() else image, **words)


def test_a_misspelt_word_is_refused_as_for_other_arrays():
    for image in (IMAGE, xr.DataArray(IMAGE, dims=("y", "x"))):
        with pytest.raises(TypeError, match="unexpected keyword argument 'sigam'; did you mean 'sigma'"):
            tileconv.gaussian(image, sigam=2)
        with pytest.raises(TypeError, match="'mode'; write border for 'mode'"):
            tileconv.gaussian(image, 2, mode="reflect")
        with pytest.raises(TypeError, match="write extent for 'mode'"):
            tileconv.convolve(image, [[1, 2]], mode="same")
        with pytest.raises(TypeError, match=r"disk\(\) missing a required argument: 'radius'"):
            tileconv.disk(image)


class OnACard:
    """As CuPy's arrays are: NumPy cannot read them."""

    __cuda_array_interface__ = shape = dtype = ndim = None

    def __array__(self, *_args, **_words):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")


def test_arrays_that_numpy_cannot_read_are_refused_with_a_way_out():
    for image in (OnACard(), xr.Dataset({"a": ("x", [1, 2])})):
        with pytest.raises(PlanError, match="expected an array that NumPy can read, found") as caught:
            tileconv.gaussian(image, 1)
        assert type(image).__name__ in str(caught.value)
    lazy = da.ones((4, 4), chunks=2)
    lazy._meta = OnACard()
    with pytest.raises(PlanError, match=r"map_blocks\(cupy.asnumpy\)"):
        tileconv.gaussian(lazy, 1)
