"""Nothing is silently wrong: what is clipped is counted; what is missing, damaged or does not fit is told."""

import shutil

import numpy as np
import pytest
import strategies
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from oracles import operators
from oracles.nan import touched
from properties.runs_help import complete, pipeline, plan_of, run, stored, tiled, windows, write_tiff, write_zarr

import tileconv
from tileconv.boxes import Box
from tileconv.errors import PlanError, ResumeError, SinkError, SourceError, TileError
from tileconv.sources.open import open_source
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile

BOX = {"op": "box", "size": 3}
BAD = {"op": "correlate", "kernel": [[1, -3, 1]]}
RANGES = {d: (np.iinfo(d).min, np.iinfo(d).max) for d in strategies.INTEGERS}


@pytest.fixture
def image():
    return strategies.pixels((130, 150), "uint16", 0)


@given(
    strategies.images(st.sampled_from(("uint8", "int16", "uint16", "int32")), ndim=2, peak=2**24),
    st.sampled_from(("uint8", "int8", "uint16", "int16", "uint32", "int32")),
    st.integers(4, 24),
)
def test_clipped_pixels_are_those_that_do_not_fit(image, dtype, tile):
    """Sums of whole numbers, so that every pixel is known; each is clipped once, whatever the tiles."""
    exact = operators.apply("correlate", image, "reflect", kernel=[[1, -3, 1]])
    low, high = RANGES[dtype]
    made, counts = windows(tiled([BAD], tile, output={"dtype": dtype}), image)
    assert counts.clipped == ((exact < low) | (exact > high)).sum()
    assert made.tolist() == np.clip(exact, low, high).astype(dtype).tolist()


def test_the_report_and_the_store_hold_the_counts(tmp_path, image):
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    _, report = run(tiled([BAD], 64, output={"dtype": "uint8"}), source, tmp_path)
    exact = operators.apply("correlate", image, "reflect", kernel=[[1, -3, 1]])
    assert report.counts.clipped == ((exact < 0) | (exact > 255)).sum() > 0
    notes = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["tileconv"]
    assert notes["counts"] == {"clipped": report.counts.clipped, "missing": 0, "fallbacks": 0}


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_overflow_error_refuses_and_leaves_no_image(tmp_path, image, method):
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    spec = tiled([BAD], 64, output={"dtype": "int16", "overflow": "error"}, run={"halo_method": method})
    with pytest.raises(TileError, match=r"tile y=\d+:\d+ x=\d+:\d+: .* pixels do not fit int16"):
        run(spec, source, tmp_path)
    assert not complete(tmp_path / "out.zarr")
    assert run(spec, write_tiff(tmp_path / "b.tif", image // 16, tile=64), tmp_path)[1].counts.clipped == 0
    assert complete(tmp_path / "out.zarr")


def test_nan_cannot_become_an_integer(tmp_path):
    image = strategies.pixels((70, 80), "float32", 1)
    image[64, 64] = np.nan
    source = write_tiff(tmp_path / "a.tif", image, tile=32)
    with pytest.raises(TileError, match="9 pixels are NaN, and uint8 has no NaN"):
        run(tiled([BOX], None, output={"dtype": "uint8"}), source, tmp_path)
    assert not complete(tmp_path / "out.zarr")


@given(
    st.sampled_from(("uint8", "float32", "int16")),
    st.lists(st.tuples(st.integers(0, 32), st.integers(0, 37)), max_size=4),
    st.sampled_from(strategies.RULES),
    st.integers(5, 40),
    st.sampled_from(("direct", "separable", "fft")),
)
def test_propagate_marks_exactly_the_footprint(dtype, places, border, tile, engine):
    image = np.where(strategies.pixels((33, 38), dtype, 1) == 7, 8, strategies.pixels((33, 38), dtype, 1)).astype(dtype)
    missing = np.zeros(image.shape, bool)
    for place in places:
        image[place], missing[place] = 7, True
    stage = {"op": "correlate", "kernel": [[0.5, 0, 1.5, 2, 0], [0, 0, 0, 0, 0]], "engine": engine} | {"border": border}
    if engine == "separable":
        stage["kernel"] = [[0.5, 0, 1.5, 2, 0.0], [1, 0, 3, 4, 0]]
    if border == "constant":
        stage["border"] = {"rule": "constant", "value": 1}
    spec = tiled([stage], tile, missing={"rule": "propagate"}, input_={"nodata": 7})
    made, counts = windows(spec, image)
    assert counts.missing == missing.sum()
    assert np.array_equal(np.isnan(made), touched(missing, stage["kernel"], border, (1, 2)))


@given(st.sampled_from(("uint8", "float32", "int16")), st.integers(5, 40), st.sampled_from((0, 3.5, -400)))
def test_fill_is_as_if_the_value_stood_there(dtype, tile, value):
    image = strategies.pixels((33, 38), dtype, 2)
    image[::7, 3::5] = 7
    absent = image == 7
    if dtype == "float32":
        image[5, 6] = np.nan
        absent[5, 6] = True
    made, counts = windows(
        tiled([BOX, BOX], tile, missing={"rule": "fill", "value": value}, input_={"nodata": 7}), image
    )
    filled = np.where(absent, value, image.astype(float))
    expected = operators.apply("box", operators.apply("box", filled, size=3), size=3)
    assert counts.missing == absent.sum()
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5 * np.abs(filled).max())


@pytest.mark.parametrize("value", [np.nan, -9999])
def test_the_rule_error_names_the_tile(tmp_path, value):
    image = strategies.pixels((70, 80), "float32", 3)
    image[40, 70] = value
    source = write_tiff(tmp_path / "a.tif", image, tile=32)
    spec = tiled([BOX], 64, missing={"rule": "error"}, input_={"nodata": -9999})
    with pytest.raises(TileError, match=r"tile y=0:64 x=64:80: 1 missing pixels") as caught:
        run(spec, source, tmp_path)
    assert "propagate" in caught.value.fix
    assert not complete(tmp_path / "out.zarr")


def test_nodata_without_a_rule_is_refused(tmp_path):
    image = strategies.pixels((20, 30), "int16", 0)
    tag = [(42113, "s", 0, "-32768", True)]  # GDAL_NODATA
    source = write_tiff(tmp_path / "a.tif", image, rows=20, extratags=tag)
    with pytest.raises(PlanError, match="pixels of value -32768 are missing ones") as caught:
        run(tiled([BOX], None), source, tmp_path)
    assert "missing: {rule: propagate}" in caught.value.fix
    assert not (tmp_path / "out.zarr").exists()
    with pytest.raises(PlanError, match="pixels of value 3 are missing"):
        run(tiled([BOX], None, input_={"nodata": 3}), write_tiff(tmp_path / "b.tif", image, rows=20), tmp_path)


def test_nodata_none_takes_every_pixel(tmp_path):
    image = strategies.pixels((20, 30), "int16", 0)
    source = write_tiff(tmp_path / "a.tif", image, rows=20, extratags=[(42113, "s", 0, "-32768", True)])
    run(tiled([BOX], None, input_={"nodata": "none"}), source, tmp_path)


@pytest.mark.parametrize("nodata", [32768, -32769, 0.5])
def test_nodata_that_no_pixel_can_have_is_refused(tmp_path, nodata):
    source = write_tiff(tmp_path / "a.tif", strategies.pixels((20, 30), "int16", 0), rows=20)
    words = {"missing": {"rule": "propagate"}, "input_": {"nodata": nodata}}
    with pytest.raises(PlanError, match=f"no pixel of int16 can have the value {nodata}"):
        run(tiled([BOX], None, **words), source, tmp_path)


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_a_damaged_tile_of_the_input_names_the_file(tmp_path, image, method):
    """The file ends in the middle of its last tiles, after it was opened without complaint."""
    path = tmp_path / "cut.tif"
    write_tiff(path, image, tile=64, compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        last, size = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    data = bytearray(path.read_bytes())
    data[last + 2 : last + size] = bytes(size - 2)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"cut\.tif"):
        run(tiled([BOX], 64, run={"halo_method": method}), path, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_a_truncated_file_names_the_file(tmp_path, image):
    path = tmp_path / "cut.tif"
    write_tiff(path, image, tile=64)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(SourceError, match=r"cut\.tif"):
        run(tiled([BOX], 64), path, tmp_path)
    assert not complete(tmp_path / "out.zarr")


def test_missing_chunks_are_reported_or_refused(tmp_path, image):
    path = tmp_path / "a.zarr"
    write_zarr(path, image, (32, 50))
    (path / "c" / "1" / "2").unlink()
    (path / "c" / "4" / "0").unlink()
    made, report = run(tiled([], None), path, tmp_path)
    assert report.missing_chunks == 2
    image[32:64, 100:150] = image[128:, :50] = 0
    assert np.array_equal(made, image)
    with pytest.raises(SourceError, match=r"a\.zarr"):
        run(tiled([], None, input_={"missing_chunks": "error"}), path, tmp_path, name="other.zarr")
    assert not complete(tmp_path / "other.zarr")


def test_an_array_without_any_chunk_is_refused(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(64, 64), dtype="uint8", chunks=(32, 32))
    with pytest.raises(SourceError, match="no stored chunk at all"):
        run(tiled([BOX], None), path, tmp_path)


def test_the_output_cannot_be_the_input(tmp_path, image):
    run(tiled([], None), write_tiff(tmp_path / "a.tif", image, tile=64), tmp_path, name="in.zarr")
    before = stored(tmp_path / "in.zarr")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "in.zarr")
    for name in ("in.zarr", "link.zarr", "in.zarr/more.zarr"):
        with pytest.raises(SinkError, match="the input"):
            run(tiled([BOX], None), tmp_path / "in.zarr", tmp_path, name=name)
    assert np.array_equal(stored(tmp_path / "in.zarr"), before)


def test_an_output_is_replaced_only_on_request(tmp_path, image):
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    spec = pipeline([BOX], input_={"path": source}, output={"path": str(tmp_path / "o.zarr")})
    tileconv.run(spec)
    with pytest.raises(ResumeError, match="precision was auto"):
        tileconv.run(spec | {"precision": "float64"})
    shutil.rmtree(tmp_path / "o.zarr.tileconv")
    with pytest.raises(SinkError, match="already exists"):
        tileconv.run(spec)
    foreign = tmp_path / "f.zarr"
    write_zarr(foreign, image, (50, 50))
    with pytest.raises(SinkError, match="not made by tileconv"):
        tileconv.run(spec | {"output": {"path": str(foreign)}}, overwrite=True)
    assert np.array_equal(zarr.open_array(foreign, mode="r")[...], image)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, image):
    source = open_source(write_tiff(tmp_path / "a.tif", image, tile=64))
    write_tiff(tmp_path / "a.tif", image[:-10], tile=64)
    with pytest.raises(SourceError, match="changed after it was opened"):
        source.read(source.info.box)


@pytest.mark.parametrize("border", ["nearest", "wrap", {"rule": "constant", "value": 0.5}])
@pytest.mark.parametrize("size", [3, 9])
@pytest.mark.parametrize("tile", [1, 2, 3, 5])
def test_missing_pixels_where_a_tile_lies_wholly_beyond_the_image(tile, size, border):
    """``full`` makes pixels farther out than a tile is long; none of them is a pixel of the input."""
    image = strategies.pixels((4, 5), "float32", 0)
    image[0, 0] = np.nan
    stages = [{"op": "box", "size": size, "extent": "full", "border": border}]
    made, counts = windows(tiled(stages, tile, missing={"rule": "fill", "value": 2}), image)
    expected, once = windows(pipeline(stages, missing={"rule": "fill", "value": 2}), image)
    assert made.tolist() == expected.tolist()
    assert counts.missing == once.missing == 1


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("tile", [1, 3, None])
def test_the_rule_error_sees_what_lies_in_a_halo_alone(tile, dtype):
    """The tile that has the pixel refuses it, and one that reads it as halo goes on; ``valid`` makes no tile of it."""
    image = strategies.pixels((9, 8), dtype, 0)
    image[image == 7], image[0, 1] = 8, 7
    for extent in ("same", "valid", "full"):
        stages = [{"op": "box", "size": 5, "extent": extent}]
        rule = {"missing": {"rule": "error"}, "input_": {"nodata": 7}}
        with pytest.raises(TileError, match="1 missing pixels"):
            windows(tiled(stages, tile, **rule), image)
        job = plan_of(tiled(stages, 3, **rule), image).passes[0]
        last = list(job.grid)[-1]
        assert compute_tile(job, [Block(image, Box.of_shape(image.shape))], last)[1][0].missing == 0
        _, counts = windows(tiled(stages, tile, missing={"rule": "fill", "value": 1}, input_={"nodata": 7}), image)
        assert counts.missing == 1
