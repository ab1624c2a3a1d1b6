"""Arguments of the Python functions: what is taken, and that every ordinary mistake is an error of ours with a fix."""

import dask.array as da
import numpy as np
import pytest
import strategies
from oracles import convolution

import tileconv
from tileconv.errors import PlanError, TileError

IMAGE = strategies.pixels((12, 15), "float32", 0)
BYTES = strategies.pixels((12, 15), "uint8", 1)
FILL = {"rule": "fill", "value": 7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 0}, "tile must be one size, or 2, of at least 1 pixel, found 0"),
        ({"tile": 7.5}, "tile must be a whole number or several, found 7.5"),
        ({"tile": (4, 5, 6)}, "tile must be one size, or 2"),
        ({"tile": ()}, "tile must be a whole number or several, found none"),
        ({"axes": "yx"}, "axes must be a whole number or several, found 'yx'"),
        ({"axes": (0.0, 1.0)}, "axes must be a whole number or several, found 0.0"),
        ({"axes": ()}, "axes must be a whole number or several, found none"),
        ({"axes": (0, 1, 2, 3)}, "axes must name 1 to 3 axes"),
        ({"axes": (0, 2)}, "axes must lie between -2 and 1, found 2"),
        ({"channel_axis": 2}, "channel_axis must lie between -2 and 1, found 2"),
        ({"channel_axis": -3}, "channel_axis must lie between -2 and 1, found -3"),
        ({"channel_axis": 1, "axes": (0, 1)}, "axis 1 is channel_axis and among axes"),
        ({"channel_axis": "c"}, "channel_axis must be a whole number"),
        ({"dtype": "bool"}, "dtype must be one of auto, input, uint8"),
        ({"dtype": np.complex64}, "dtype must be one of auto, input, uint8"),
        ({"dtype": "nope"}, "dtype must be one of"),
        ({"dtype": None}, "dtype must be one of"),
        ({"border": {"z": "wrap"}}, "border names the axis 'z', and the kernel runs over y, x. Name the last"),
        ({"border": {"y": "wrap", "": "nearest"}}, "border names the axis '', and"),
        ({"border": {"y": "periodic"}}, "Its name here is 'wrap'"),
        ({"border": {"rule": "wrap", "value": 1}}, "a value with the rule constant alone"),
        ({"border": {"rule": "constant", "values": 1}}, "a value with the rule constant alone"),
        (
            {"border": {"x": {"rule": "constant", "value": None}}},
            "the value of border must be a finite number",
        ),
        ({"border": ["wrap", "nearest"]}, "Name the axes, as in border={'y': 'nearest', 'x': 'wrap'}"),
        ({"border": "grid-wrap"}, "Its name here is 'wrap'"),
        ({"border": "grid-mirror"}, "Its name here is 'reflect'"),
        ({"border": "grid-constant"}, "Its name here is 'constant'"),
        ({"border": 3}, "border must be one of"),
        ({"border": "constant", "cval": float("nan")}, "cval must be a finite number, found nan"),
        ({"border": "constant", "cval": "x"}, "cval must be a finite number, found 'x'"),
        ({"missing": 3}, "missing must be a rule or a mapping, found 3"),
        ({"missing": {"rule": "fill", "value": "x"}}, "needs a finite value"),
        ({"missing": {"rule": "fill", "value": float("nan")}}, "needs a finite value"),
        ({"missing": "propagate", "nodata": "x"}, "nodata must be a number, found 'x'"),
    ],
    ids=str,
)
def test_mistakes_are_refused(options, message):
    with pytest.raises(PlanError) as caught:
        tileconv.gaussian(IMAGE, 1, **options)
    assert caught.match(message)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1, 2], [3]], "the rows of the image must have the same length"),
        (3.0, r"found shape \(\). Give an array"),
        ([], r"found shape \(0,\)"),
        ([[1, None]], r"found object. Convert it first, as with astype\('float32'\)"),
        (np.ones((3, 3), complex), "found complex128. Convert it first"),
        (da.ones((9, 9), chunks=3)[da.arange(9, chunks=3) > 4], "Call compute_chunk_sizes"),
        (da.ma.masked_greater(da.ones((9, 9), chunks=3), 5), "a Dask array of masked arrays would lose its masks"),
    ],
    ids=["ragged", "scalar", "empty", "object", "complex", "unknown chunks", "masked chunks"],
)
@pytest.mark.parametrize("name", ["gaussian", "absolute"])
def test_what_is_no_image_is_refused(image, message, name):
    words = {"gaussian": {"sigma": 1}}.get(name, {})
    with pytest.raises(PlanError) as caught:
        getattr(tileconv, name)(image, **words)
    assert caught.match(message)


@pytest.mark.parametrize("lazy", [False, True])
def test_borders_per_axis(lazy):
    image = da.from_array(IMAGE, chunks=5) if lazy else IMAGE
    border = {"y": "nearest", "x": {"rule": "constant", "value": 7}}
    made = tileconv.correlate(image, [[1, 2, -4], [5, 0.5, 3]], border=border, extent="same")
    padded = np.pad(np.pad(IMAGE, ((1, 1), (0, 0)), "edge"), ((0, 0), (1, 1)), constant_values=7)
    expected = convolution.correlate(padded, np.array([[1, 2, -4], [5, 0.5, 3]]))[1:-1, 1:-1]
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-3)
    one = tileconv.box(image, 3, border={"rule": "constant", "value": 7})
    assert np.asarray(one).tolist() == tileconv.box(IMAGE, 3, border="constant", cval=7).tolist()
    assert np.asarray(tileconv.box(image, 3, border={})).tolist() == tileconv.box(IMAGE, 3).tolist()


def test_whole_numbers_of_any_type_are_taken():
    expected = tileconv.gaussian(IMAGE, 1)
    assert np.array_equal(tileconv.gaussian(IMAGE, 1, tile=np.int64(4)), expected)
    assert np.array_equal(tileconv.gaussian(IMAGE, 1, axes=np.array([0, 1])), expected)
    assert np.array_equal(tileconv.gaussian(IMAGE, 1, axes=range(2), tile=[4, 5]), expected)
    assert tileconv.gaussian(BYTES, 1, dtype=np.uint8).tolist() == tileconv.gaussian(BYTES, 1, dtype="uint8").tolist()


def test_one_axis_may_be_one_number():
    weights = [1, -2, 5]
    along = tileconv.correlate(BYTES, weights, axes=0)
    for column in range(15):
        assert along[:, column].tolist() == convolution.correlate_exact(BYTES[:, column], np.array(weights)).tolist()
    assert np.array_equal(tileconv.sobel(BYTES, axes=-1), tileconv.sobel(BYTES, axes=(1,)))
    assert np.array_equal(tileconv.absolute(IMAGE, axes=0), np.abs(IMAGE))


def test_operators_on_one_axis():
    """A row alone, and rows with a channel each, have one axis to act on."""
    row = [2, 3, 9, 0]
    assert tileconv.edge(row).tolist() == [-1, -7, 3, 9]
    assert tileconv.sobel(row).tolist() == [1, 7, 3, 9]
    assert tileconv.absolute(np.array(row) - 5).tolist() == [3, 2, 4, 5]
    assert tileconv.edge(np.array([row, row[::-1]]), channel_axis=0).tolist() == [[-1, -7, 3, 9], [-9, -3, 7, 1]]
    assert tileconv.edge(da.from_array(np.array(row), chunks=2)).compute(scheduler="threads").tolist() == [-1, -7, 3, 9]


@pytest.fixture
def masked():
    """Bytes of which two are masked; what lies under the mask is no value to use."""
    image = np.ma.masked_array(np.full((9, 9), 7, np.uint8), False)
    image[4, 4] = image[0, 0] = np.ma.masked
    image.data[4, 4] = 200
    return image


def test_masked_pixels_are_missing_ones(masked):
    with pytest.raises(PlanError, match="2 pixels are masked, and nothing says") as caught:
        tileconv.box(masked, 3)
    assert "missing='propagate'" in caught.value.fix
    spread = tileconv.box(masked, 3, missing="propagate")
    assert np.isnan(spread).sum() == 9 + 4
    np.testing.assert_allclose(spread[~np.isnan(spread)], 7, rtol=1e-6)
    filled = tileconv.box(masked, 3, missing=FILL)
    assert filled.tobytes() == tileconv.box(np.full((9, 9), 7, np.uint8), 3).tobytes()
    assert tileconv.box(masked, 3, missing=FILL, dtype="input").dtype == np.uint8
    assert tileconv.laplacian(masked, missing=FILL).dtype == np.int32
    half = tileconv.box(masked, 1, missing={"rule": "fill", "value": 0.5})
    assert half[4, 4] == half[0, 0] == 0.5
    with pytest.raises(TileError, match="2 missing pixels"):
        tileconv.box(masked, 3, missing="error")


def test_masks_that_hide_nothing():
    assert tileconv.box(np.ma.masked_array(BYTES), 3).tolist() == tileconv.box(BYTES, 3).tolist()


def test_masked_whole_numbers_of_64_bits_stay_exact():
    image = np.ma.masked_array([[2**60 + 1, 5]], [[False, True]])
    assert tileconv.absolute(image, missing=FILL).tolist() == [[2**60 + 1, 7]]


@pytest.mark.parametrize("lazy", [False, True])
def test_pointwise_operators_keep_int64(lazy):
    ends = np.iinfo(np.int64)
    array = np.array([[ends.min, -(2**60) - 1, 5, ends.max]])
    image = da.from_array(array, chunks=2) if lazy else array
    assert np.asarray(tileconv.rescale(image)).tolist() == array.tolist()
    with pytest.raises(TileError, match="the absolute value of -9223372036854775808 does not fit int64"):
        np.asarray(tileconv.absolute(image))
    assert np.asarray(tileconv.absolute(image[:, 1:])).tolist() == [[2**60 + 1, 5, ends.max]]
    assert np.asarray(tileconv.clip(image, [0, np.inf])).tolist() == [[0, 0, 5, ends.max]]
    assert np.asarray(tileconv.clip(image, [-np.inf, 7])).tolist() == [[ends.min, -(2**60) - 1, 5, 7]]
    assert tileconv.clip(array, [0.5, 9]).tolist() == [[0.5, 0.5, 5, 9]]
