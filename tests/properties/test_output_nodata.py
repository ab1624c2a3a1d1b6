"""What NaN is stored as: every type, what metadata say and is read back, valid pixels of that value, runs, arrays."""

import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image
from properties.runs_help import pipeline, plan_of, run, windows

import tileconv
from tileconv.errors import PlanError, ResumeError, TileError
from tileconv.planning.model import Plan
from tileconv.report.picture import write_picture
from tileconv.sources.open import open_source

BLUR = {"op": "box", "size": 3}
HOLED = np.add.outer(np.arange(40), 3 * np.arange(50)).astype(np.uint16) + 10
HOLED[5, 7] = HOLED[31:34, 32] = 0
VALUES = {
    **{f"{sign}int{bits}": np.iinfo(f"{sign}int{bits}").max for sign in ("u", "") for bits in (8, 16, 32, 64)},
    **{"float32": -9999.25, "float64": -1e300},
}


def words(dtype, nodata, **output):
    return {
        "input_": {"nodata": 0},
        "missing": {"rule": "propagate"},
        "output": {"dtype": dtype, "chunks": 32, **output} | ({} if nodata is None else {"nodata": nodata}),
        "run": {"tile": 32},
    }


@pytest.mark.parametrize("dtype", VALUES)
def test_nan_is_stored_as_the_value_in_every_type(dtype):
    nodata = VALUES[dtype]
    plain, _ = windows(pipeline([BLUR], **words("float64", None)), HOLED)
    made, counts = windows(pipeline([BLUR], **words(dtype, nodata)), HOLED)
    missing = np.isnan(plain)
    limits = np.iinfo(dtype) if made.dtype.kind in "iu" else np.finfo(dtype)
    expected = np.clip(np.where(missing, 0, plain), float(limits.min), float(limits.max))
    expected = expected.round() if made.dtype.kind in "iu" else expected
    assert missing.sum() == 9 + 15
    assert made.dtype == dtype
    assert (made[missing] == np.dtype(dtype).type(nodata)).all()
    np.testing.assert_allclose(made[~missing].astype(float), expected[~missing], rtol=1e-6)
    assert counts.missing == 4
    assert counts.like_nodata == (made == np.dtype(dtype).type(nodata)).sum() - 24


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("uint16", 65535), ("float32", -9999.1)])
def test_the_result_says_so_and_is_read_back(tmp_path, version, dtype, nodata):
    np.save(tmp_path / "image.npy", HOLED)
    made, report = run(
        pipeline([BLUR], **words(dtype, nodata, format=version)), tmp_path / "image.npy", tmp_path, name="a.ome.zarr"
    )
    again = open_source(tmp_path / "a.ome.zarr").info
    assert (again.nodata, again.masks) == (np.dtype(dtype).type(nodata).item(), ())
    assert not any("fill value" in note for note in again.notes)
    missing = np.isnan(windows(pipeline([BLUR], **words("float32", None)), HOLED)[0])
    opened = xr.open_zarr(tmp_path / "a.ome.zarr", consolidated=False)["0"]
    assert np.array_equal(np.isnan(opened.values), missing)
    (shown,) = [c["window"] for c in _omero(tmp_path / "a.ome.zarr")]
    assert shown["start"] >= made[~missing].min()
    assert report.counts.like_nodata == 0
    write_picture(open_source(tmp_path / "a.ome.zarr"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture)[missing], np.zeros(missing.sum()))
        assert np.asarray(picture)[4, 40] > 100


def _omero(path):
    attributes = zarr.open_group(path, mode="r").attrs
    return attributes.get("ome", attributes)["omero"]["channels"]


def test_valid_pixels_of_that_value_are_counted_and_refused(tmp_path):
    np.save(tmp_path / "image.npy", HOLED)
    same = int((HOLED == 30).sum())
    asked = pipeline([], **words("uint16", 30))
    made, report = run(asked, tmp_path / "image.npy", tmp_path)
    assert report.counts.like_nodata == same > 4
    assert f"{same} valid pixels" in str(report.rows()["nodata"])
    assert zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["tileconv"]["counts"]["like_nodata"] == same
    assert (made == 30).sum() == same + 4
    with pytest.raises(TileError, match=r"valid pixels would be stored as 30, which means missing, under overflow"):
        windows(pipeline([], **words("uint16", 30, overflow="error")), HOLED)
    windows(pipeline([], **words("uint16", 0, overflow="error")), HOLED)  # all of these are missing


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 256), ("uint8", -1), ("int16", 0.5), ("float32", 1e39), ("auto", 2**63)]
)
def test_a_value_that_the_type_lacks_is_refused(dtype, nodata):
    image = HOLED.astype(np.int16) if dtype == "auto" else HOLED
    asked = pipeline([] if dtype == "auto" else [BLUR], **words(dtype, nodata) | {"input_": {}, "missing": None})
    del asked["missing"]
    with pytest.raises(PlanError, match=r"output\.nodata: no pixel of \w+ can have the value"):
        plan_of(asked, image)


def test_another_value_is_another_result(tmp_path):
    np.save(tmp_path / "image.npy", HOLED)
    first = pipeline([BLUR], **words("uint16", 0))
    plans = [plan_of(pipeline([BLUR], **words("uint16", value)), HOLED) for value in (0, 1)]
    assert plans[0].fingerprint() != plans[1].fingerprint()
    assert Plan.from_json(plans[0].as_json()) == plans[0]
    run(first, tmp_path / "image.npy", tmp_path)
    changed = first | {
        "input": first["input"] | {"path": str(tmp_path / "image.npy")},
        "output": first["output"] | {"path": str(tmp_path / "out.zarr"), "nodata": 1},
    }
    with pytest.raises(ResumeError, match=r"output\.nodata was 0\.0 when this output was begun, and is 1\.0"):
        tileconv.run(changed)
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").damages == ()
    again = tileconv.rerun(tmp_path / "out.zarr", tmp_path / "again.zarr")
    assert again.counts == tileconv.run(first | {k: changed[k] for k in ("input",)} | {
        "output": first["output"] | {"path": str(tmp_path / "out.zarr")}}).counts  # fmt: skip


def test_arrays_carry_it(tmp_path):
    image = xr.DataArray(HOLED, dims=("y", "x"), coords={"x": np.arange(50.0)}, attrs={"units": "m"})
    lazy = tileconv.lazy(pipeline([BLUR], **words("uint16", 9)), image)
    plain, _ = windows(pipeline([BLUR], **words("uint16", 9)), HOLED)
    assert np.array_equal(lazy.compute(scheduler="synchronous"), plain)
    assert lazy.attrs == {"units": "m", "_FillValue": 9}
    assert lazy.attrs["_FillValue"].dtype == np.uint16
    made = tileconv.box(image, 3, nodata=0, missing="propagate", dtype="uint16", output_nodata=9)
    assert np.array_equal(made, plain)
    assert made.attrs["_FillValue"] == 9
    with pytest.raises(PlanError, match="output_nodata must be a number, found 'x'"):
        tileconv.box(HOLED, 3, output_nodata="x")
