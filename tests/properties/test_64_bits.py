"""64-bit whole numbers are exact, or refused with what to do: operators, types, values near 2**53, 2**63 and 2**64."""

import dask.array as da
import numpy as np
import pytest
import zarr
from oracles import fractions_of
from properties.runs_help import pipeline, plan_of, run, stored, windows, write_tiff, write_zarr

import tileconv
from tileconv.errors import KernelError, PlanError, SpecError, TileError
from tileconv.images import equal
from tileconv.spec import load_spec, spec_from_mapping

NEAR = [2**53 - 1, 2**53, 2**53 + 1, 2**62 + 1, 2**63 - 513, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
SIGNED = [value for value in NEAR if value < 2**63]
IMAGES = {
    "int64": np.array([SIGNED, [-v for v in SIGNED[:-1]] + [-(2**63)]], np.int64),
    "uint64": np.array([NEAR, range(9)], np.uint64),
    "int64 below 2**62": np.array([[2**53 + 1, 2**62 - 1, -(2**62) + 1]], np.int64),
    "uint64 below 2**62": np.array([[2**53 + 1, 2**62 - 1, 3]], np.uint64),
}
EXACT = {
    "abs": [("abs", {})],
    "rescale": [("rescale", {"gain": 1.0, "offset": 0.0})],
    "clip to int64": [("clip", {"range": [0, 2**60]})],
    "clip wide": [("clip", {"range": [5, 2.0**70]})],
    "clip above": [("clip", {"range": [-(2.0**80), 7]})],
    "one": [("correlate", {"kernel": [[1]]})],
    "difference": [("correlate", {"kernel": [[1, -1]]})],
    "abs, clip": [("abs", {}), ("clip", {"range": [1, 2**62]})],
    "rescale, one": [("rescale", {"gain": 1.0, "offset": 0.0}), ("correlate", {"kernel": [[1]]})],
}
BORDERS = {"reflect": 0.0, "constant 7": 7.0, "constant -1": -1.0, "constant 2**63": 2.0**63}


def expected_of(image, steps, rule, value):
    exact = fractions_of.exact_image(image)
    for name, words in steps:
        exact = fractions_of.apply(name, exact, [rule] * 2, [value] * 2, **words)
    return exact


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("steps", EXACT)
@pytest.mark.parametrize("image", IMAGES)
def test_exact_or_refused(image, steps, border):
    pixels, value = IMAGES[image], BORDERS[border]
    rule = border.split()[0]
    expected = expected_of(pixels, EXACT[steps], rule, value)
    outside = {"border": {"rule": rule, "value": value} if rule == "constant" else rule}
    stages = [{"op": name} | words | (outside if name == "correlate" else {}) for name, words in EXACT[steps]]
    plan = plan_of(pipeline(stages), pixels)
    try:
        made, _ = windows(pipeline(stages), pixels)
    except TileError:
        assert max([*expected.flat, *pixels.tolist()[0]]) >= 2**62  # the result or a pixel may leave int64
        return
    if (border, pixels.dtype) == ("constant 2**63", np.int64) and plan.passes[-1].stages[-1].error_bound > 0:
        return  # no type of 64 bits holds both: the plan says how far it rounds
    assert made.tolist() == expected.tolist()


@pytest.mark.parametrize("nodata", [*NEAR, -(2**63), -(2**53) - 1, 5.5, 2.0**70, float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_nodata_is_compared_exactly(dtype, nodata):
    pixels = IMAGES[dtype]
    for value in (nodata, np.longdouble(nodata)) if dtype == "float" else (nodata,):
        expected = np.vectorize(lambda v, n=value: v == n, otypes=[bool])(pixels.astype(object))
        assert equal(pixels, value).tolist() == expected.tolist()
        filled = tileconv.rescale(pixels, nodata=value, missing={"rule": "fill", "value": 1})
        assert filled.tolist() == np.where(expected, pixels.dtype.type(1), pixels).tolist()


def test_nodata_of_floats_is_the_nearest_number_of_their_type():
    assert equal(np.array([0.1, 0.2], np.float32), 0.1).tolist() == [True, False]
    assert equal(np.array([2.0**63, 1]), 2**63 - 1).tolist() == [True, False]
    assert equal(np.array([True, False]), 1).tolist() == [True, False]


@pytest.mark.parametrize("nodata", [2**63 - 1, 2**53 + 1, -(2**63)])
@pytest.mark.parametrize("kind", ["yaml", "set", "tiff", "zarr"])
def test_nodata_of_files_is_exact(tmp_path, kind, nodata):
    """As the pipeline says it, ``--set``, GDAL's tag, or xarray's ``_FillValue``."""
    pixels = IMAGES["int64"]
    source, asked = tmp_path / "image.tif", {}
    if kind == "zarr":
        source = tmp_path / "image.zarr"
        write_zarr(source, pixels, (1, 2), "yx")
        zarr.open_array(source, mode="r+").attrs["_FillValue"] = nodata
    else:
        tags = [(42113, "s", 0, str(nodata), True)] if kind == "tiff" else []
        write_tiff(source, pixels, rows=1, extratags=tags)
        asked = {} if kind == "tiff" else {"nodata": nodata}
    mapping = pipeline([], input_=asked, output={"dtype": "input"}, missing={"rule": "fill", "value": 3})
    if kind == "set":
        (tmp_path / "p.yaml").write_text(
            f"version: 1\ninput: {{path: {source}}}\nstages: []\nmissing: {{rule: fill, value: 3}}\n"
            f"output: {{path: {tmp_path / 'set.zarr'}, dtype: input}}\n"
        )
        tileconv.run(load_spec(tmp_path / "p.yaml", overrides=[f"input.nodata={nodata}"]))
        made = stored(tmp_path / "set.zarr")
    else:
        made, _ = run(mapping, source, tmp_path)
    assert made.tolist() == np.where(pixels == nodata, 3, pixels).tolist()


def test_a_fill_value_is_exact():
    missing = {"rule": "fill", "value": 2**63 - 1}
    assert tileconv.absolute(np.array([[1, 5]]), nodata=5, missing=missing).tolist() == [[1, 2**63 - 1]]


@pytest.mark.parametrize("missing", ["propagate", {"rule": "fill", "value": 0.5}])
def test_what_float64_would_round_beside_nan_or_a_fraction_is_refused(missing):
    small, large = np.array([[2**53, -5, 7]]), np.array([[2**53 + 1, -5, 7]])
    assert tileconv.absolute(small, nodata=7, missing=missing)[0, :2].tolist() == [2.0**53, 5]
    with pytest.raises(TileError, match="without rounding") as caught:
        tileconv.absolute(large, nodata=7, missing=missing)
    assert "precision: float64" in caught.value.fix
    assert tileconv.absolute(large, nodata=7, missing=missing, precision="float64")[0, 0] == 2.0**53
    assert tileconv.gaussian(large, sigma=1, nodata=7, missing=missing).dtype == np.float64
    masked = np.ma.masked_array(large, [[False, False, True]])
    with pytest.raises(PlanError, match="without rounding"):
        tileconv.absolute(masked, missing=missing)


def test_uint64_beside_a_negative_fill_value_is_exact_or_refused():
    missing = {"rule": "fill", "value": -1}
    made = tileconv.rescale(np.array([[2**53 + 1, 7]], np.uint64), nodata=7, missing=missing)
    assert made.tolist() == [[2**53 + 1, -1]]
    with pytest.raises(TileError, match="without rounding"):
        tileconv.rescale(np.array([[2**63, 7]], np.uint64), nodata=7, missing=missing)


def test_lazy_arrays_keep_uint64():
    image = da.from_array(IMAGES["uint64"], chunks=3)
    assert tileconv.absolute(image).dtype == np.uint64
    assert tileconv.rescale(image).compute(scheduler="synchronous").tolist() == IMAGES["uint64"].tolist()


@pytest.mark.parametrize(
    "stage", [{"op": "clip", "range": [0, 2**53 + 1]}, {"op": "rescale", "offset": 2**53 + 1}], ids=str
)
def test_a_parameter_that_float64_cannot_hold_is_refused(stage):
    with pytest.raises(SpecError, match=f"nearest is {2**53}"):
        spec_from_mapping(pipeline([stage]))
    with pytest.raises(SpecError, match="nearest is"):
        spec_from_mapping(pipeline([{"op": "box", "border": {"rule": "constant", "value": 2**63 - 1}}]))


def test_a_python_parameter_that_float64_cannot_hold_is_refused():
    with pytest.raises(KernelError, match="float64 holds"):
        tileconv.clip(IMAGES["int64"], [0, 2**53 + 1])
    with pytest.raises(PlanError, match="float64 holds"):
        tileconv.box(IMAGES["int64"], border="constant", cval=2**53 + 1)
    for words in ({"nodata": 10**400}, {"missing": {"rule": "fill", "value": 10**400}}, {"cval": 10**400}):
        with pytest.raises(PlanError):
            tileconv.box(IMAGES["int64"], **{"missing": "propagate"} | words)
    with pytest.raises(KernelError):
        tileconv.rescale(IMAGES["int64"], gain=10**400)


@pytest.mark.parametrize(("source", "target"), [("uint64", "int64"), ("int64", "uint64"), ("uint64", "uint8")])
def test_output_casts_clip_to_the_type_exactly(source, target):
    pixels = IMAGES[source]
    limits = np.iinfo(target)
    made, counts = windows(pipeline([], output={"dtype": target}), pixels)
    expected = [[min(max(v, limits.min), limits.max) for v in row] for row in pixels.tolist()]
    assert made.tolist() == expected
    assert counts.clipped == sum(
        a != b for a, b in zip(pixels.ravel().tolist(), np.ravel(expected).tolist(), strict=True)
    )


@pytest.mark.parametrize("target", ["int64", "uint64"])
def test_floats_round_and_clip_at_the_ends_of_64_bits(target):
    ends = [2.0**53 + 2, 2.0**63, np.nextafter(2.0**63, 0), 2.0**64, np.nextafter(2.0**64, 0), -(2.0**63), -1e30, 0.5]
    limits = np.iinfo(target)
    made, _ = windows(pipeline([], output={"dtype": target}), np.array([ends]))
    assert made.tolist() == [[min(max(round(v), limits.min), limits.max) for v in ends]]


def test_a_whole_offset_is_added_in_int64_and_refused_beyond_it():
    image = np.array([[2**62 + 1, 2**53 + 1, -(2**62)]], np.int64)
    stage = {"op": "correlate", "kernel": [[1]]}
    made, _ = windows(pipeline([stage | {"offset": 3}]), image)
    assert made.tolist() == [[2**62 + 4, 2**53 + 4, -(2**62) + 3]]
    with pytest.raises(TileError, match=r"plus the offset .* leave int64"):
        windows(pipeline([stage | {"offset": 2.0**62}]), image)
