"""Which channels, time points and planes are read, and stages that act on some channels and pass the others on."""

import json

import numpy as np
import pytest
import strategies
import tifffile
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.runs_help import plan_of, run, tiled, windows

import tileconv
from tileconv.boxes import Box
from tileconv.errors import PlanError, SpecError, TileError
from tileconv.images import ImageInfo
from tileconv.planning.model import Plan
from tileconv.report.explain import explain
from tileconv.sources.memory import MemorySource
from tileconv.sources.part import Part
from tileconv.sources.source import Reads
from tileconv.spec import as_mapping, parse_spec, spec_from_mapping

GAUSSIAN = {"op": "gaussian", "sigma": 1.5}


def spec_of(text):
    return parse_spec(f"version: 1\n{text}\noutput: {{path: b.zarr}}", "p.yaml", "/data")


@given(st.data())
def test_a_part_reads_what_indexing_takes(data):
    image = np.arange(4 * 5 * 3 * 2 * 2).reshape(4, 5, 3, 2, 2)
    picks = {
        axis: tuple(data.draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True).map(order)))
        for axis, size, order in (("t", 4, sorted), ("c", 5, list), ("z", 3, sorted))
        if data.draw(st.booleans())
    }
    expected = image
    for at, axis in enumerate("tcz"):
        expected = expected.take(picks.get(axis, range(image.shape[at])), at)
    part = Part(MemorySource(image, "tczyx"), picks)
    assert part.info.shape == expected.shape
    start = [data.draw(st.integers(0, n - 1)) for n in expected.shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, expected.shape, strict=True)]
    box = Box(tuple(start), tuple(stop), "tczyx")
    reads = Reads(tuple((a,) for a in start), tuple((b,) for b in stop), 0)
    assert np.array_equal(part.read(box, reads), expected[tuple(map(slice, start, stop))])


@pytest.fixture
def stack(tmp_path):
    """A file of time points, named channels and planes, with sizes."""
    image = strategies.pixels((4, 3, 2, 30, 40), "uint16", 1)
    metadata = {"axes": "TCZYX", "Channel": {"Name": ["DAPI", "GFP", "405"]}, "TimeIncrement": 2.0}
    tifffile.imwrite(tmp_path / "a.ome.tif", image, metadata=metadata, ome=True, tile=(16, 16), compression="zlib")
    return tmp_path / "a.ome.tif", image


@pytest.mark.parametrize(
    ("select", "index", "names"),
    [
        ({"c": "GFP"}, np.s_[:, [1]], ["GFP"]),
        ({"c": ["405", 0]}, np.s_[:, [2, 0]], ["405", "DAPI"]),
        ({"t": 2}, np.s_[[2]], ["DAPI", "GFP", "405"]),
        ({"t": [1, 3], "c": [0, "GFP"], "z": 1}, np.s_[1::2, :2, 1:], ["DAPI", "GFP"]),
    ],
)
def test_what_is_selected_is_made_with_its_names(stack, tmp_path, select, index, names):
    path, _ = stack
    made, report = run(tiled([GAUSSIAN], 16, input_={"select": select}), path, tmp_path)
    whole, _ = run(tiled([GAUSSIAN], 16), path, tmp_path, name="whole.zarr")
    assert made.tobytes() == np.ascontiguousarray(whole[index]).tobytes()
    ome = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == names
    if "t" in select:
        scale, translation = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        t = [2] if select["t"] == 2 else select["t"]
        assert (scale["scale"][0], translation["translation"][0]) == ({1: 2.0, 2: 4.0}[len(t)], 2.0 * t[0])
    assert any(" are taken" in note for note in report.notes)
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").exit_code == 0


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ({"c": "RFP"}, "no channel is called 'RFP'.*0 DAPI, 1 GFP, 2 405"),
        ({"c": 405}, "expected a number from 0 to 2, found 405.*in quotes"),
        ({"c": [0, "DAPI"]}, "names 0 DAPI twice"),
        ({"t": 4}, "from 0 to 3, found 4"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(stack, select, words):
    with pytest.raises(PlanError, match=f"(?s){words}"):
        tileconv.plan(tiled([], 16, input_={"path": str(stack[0]), "select": select}))


def test_a_selection_is_part_of_what_is_resumed(stack, tmp_path):
    for select in ({"c": 0}, {"c": 1}):
        mapping = tiled(
            [], 16, input_={"path": str(stack[0]), "select": select}, output={"path": str(tmp_path / "o.zarr")}
        )
        if select["c"]:
            with pytest.raises(tileconv.errors.ResumeError, match=r"input.select"):
                tileconv.run(mapping)
        else:
            tileconv.run(mapping)


def test_a_data_array_names_its_channels():
    image = xr.DataArray(
        strategies.pixels((3, 20, 24), "uint8", 2),
        dims=("c", "y", "x"),
        coords={"c": ["DAPI", "GFP", "RFP"], "x": np.arange(24) * 0.5},
    )
    stages = [GAUSSIAN | {"channels": ["RFP"]}]
    mapping = tiled(stages, 16, input_={"select": {"c": ["GFP", "RFP"]}, "region": {"x": [4, 10]}})
    made = tileconv.lazy(mapping, image)
    assert (made.dims, made.shape) == (("c", "y", "x"), (2, 20, 6))
    assert made.coords["c"].values.tolist() == ["GFP", "RFP"]
    assert made.coords["x"].values.tolist() == [2.0, 2.5, 3.0, 3.5, 4.0, 4.5]
    expected = tileconv.gaussian(image.values[2], 1.5)[:, 4:10]
    assert np.array_equal(made.values[1], expected)
    assert np.array_equal(made.values[0], image.values[1, :, 4:10].astype(np.float32))


def test_words_are_read_back():
    spec = spec_of("input: {path: a.tif, region: {y: [0, 9]}, select: {c: [0, '1', DAPI], t: 3}}\nstages: []")
    assert spec.input.select == {"c": (0, "1", "DAPI"), "t": (3,)}
    assert spec_from_mapping(as_mapping(spec)) == spec
    spec = spec_of("input: {path: a.tif}\nstages: [{op: box, size: 3, channels: DAPI}]")
    assert spec.stages[0].channels == ("DAPI",)
    assert spec_from_mapping(as_mapping(spec)) == spec


TYPES = ("uint8", "int16", "uint16", "uint32", "int32", "float32", "float64")


@settings(max_examples=max(12, settings.default.max_examples // 3))
@given(st.data(), st.sampled_from(TYPES))
def test_a_stage_acts_on_some_channels_and_passes_the_others_on(data, dtype):
    image = strategies.pixels((3, 11, 12), dtype, 3)
    acting = data.draw(st.lists(st.integers(0, 2), min_size=1, unique=True))
    stage = data.draw(
        st.sampled_from(
            (
                GAUSSIAN,
                {"op": "sobel", "component": "x", "border": "wrap"},
                {"op": "median", "size": 3},
                {"op": "rescale", "gain": 0.5},
                {"op": "local_normalize", "sigma": 1, "epsilon": 1},
                {"op": "disk", "radius": 3, "engine": "fft"},
            )
        )
    )
    words = {"missing": {"rule": "propagate"}} if dtype.startswith("f") else {}
    stages = [GAUSSIAN | {"sigma": 0.6}, stage][data.draw(st.integers(0, 1)) :]
    all_of, _ = windows(tiled(stages, None, **words), image, "cyx")
    none, _ = windows(tiled(stages[:-1], None, **words), image, "cyx")
    some = [*stages[:-1], stage | {"channels": acting}]
    made = [windows(tiled(some, tile, **words), image, "cyx")[0] for tile in (None, 5, {"c": 3, "y": 4, "x": 12})]
    assert len({one.tobytes() for one in made}) == 1
    for channel in range(3):
        expected = all_of if channel in acting else none
        assert np.array_equal(made[0][channel], expected[channel]), channel


@pytest.mark.parametrize(
    ("dtype", "stage", "holds"),
    [
        ("uint32", GAUSSIAN | {"precision": None}, "float64"),
        ("uint16", GAUSSIAN, "float32"),
        ("uint8", {"op": "box", "size": 3, "normalize": False}, "int32"),
        ("uint8", {"op": "median", "size": 3}, "uint8"),
    ],
)
def test_the_type_holds_both(dtype, stage, holds):
    words = {"precision": "float32"} if stage.pop("precision", 0) is None else {}
    stage = {key: value for key, value in stage.items() if key != "normalize"} | {"channels": 0}
    if holds == "int32":
        stage = {"op": "correlate", "kernel": [[1, 2, 1]], "channels": 0}
    image = strategies.pixels((2, 9, 11), dtype, 4)
    made, _ = windows(tiled([stage], 8, **words), image, "cyx")
    assert made.dtype == holds
    assert np.array_equal(made[1], image[1])


def test_what_no_type_holds_is_refused_when_it_is_met():
    image = np.full((2, 5, 5), 2**60 + 1, np.int64)
    with pytest.raises(TileError, match="float64 cannot hold"):
        windows(tiled([GAUSSIAN | {"channels": 0}], 8), image, "cyx")
    small = image % 1000
    assert np.array_equal(windows(tiled([GAUSSIAN | {"channels": 0}], 8), small, "cyx")[0][1], small[1])


def test_all_channels_are_as_if_nothing_was_said():
    image = strategies.pixels((2, 9, 11), "uint8", 4)
    plain, named = (plan_of(tiled([stage], 8), image, "cyx") for stage in (GAUSSIAN, GAUSSIAN | {"channels": [1, 0]}))
    assert plain.fingerprint() == named.fingerprint()
    some = plan_of(tiled([GAUSSIAN | {"channels": [1]}], 8), image, "cyx")
    assert some.fingerprint() != plain.fingerprint()
    assert some.passes[0].ns_per_pixel < plain.passes[0].ns_per_pixel
    assert Plan.from_json(json.loads(json.dumps(some.as_json()))) == some
    told = [getattr(line, "plain", "") for line in explain(some).renderables]
    assert "channels 0 gaussian: acts on 1 of 2, and passes the others on unchanged" in told


def test_parameters_per_channel_are_two_stages(stack, tmp_path):
    path, image = stack
    stages = [GAUSSIAN | {"channels": "DAPI"}, {"op": "median", "size": 3, "channels": ["GFP", 2]}]
    made, _ = run(tiled(stages, 16), path, tmp_path)
    assert np.array_equal(made[1, 0, 1], tileconv.gaussian(image[1, 0, 1], 1.5))
    assert np.array_equal(made[2, 2, 0], tileconv.median(image[2, 2, 0], 3).astype(np.float32))
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").exit_code == 0


def test_an_image_without_channels_is_one():
    image = strategies.pixels((9, 11), "uint8", 4)
    made, _ = windows(tiled([GAUSSIAN | {"channels": 0}], 8), image)
    assert np.array_equal(made, tileconv.gaussian(image, 1.5))
    with pytest.raises(PlanError, match="expected a number from 0 to 0, found 1"):
        windows(tiled([GAUSSIAN | {"channels": 1}], 8), image)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "input: {path: a.tif, region: {y: [5, 5]}}\nstages: []",
            r"input.region.y: expected where it starts and stops",
        ),
        ("input: {path: a.tif, region: {y: '0:5'}}\nstages: []", "write a list, as in"),
        ("input: {path: a.tif, region: {q: [0, 5]}}\nstages: []", "expected an axis of t, c, z, y, x"),
        ("input: {path: a.tif, region: {}}\nstages: []", "names no axis"),
        ("input: {path: a.tif, select: {y: 3}}\nstages: []", "expected an axis of t, c, z, found 'y'"),
        ("input: {path: a.tif, select: {t: [3, 1]}}\nstages: []", "rising order"),
        ("input: {path: a.tif, select: {t: first}}\nstages: []", "only channels have names"),
        ("input: {path: a.tif, select: {c: [1, 1]}}\nstages: []", "names 1 twice"),
        ("input: {path: a.tif, select: {c: []}}\nstages: []", "found an empty list"),
        ("input: {path: a.tif, select: {t: 1}, region: {t: [0, 2]}}\nstages: []", "t is selected already"),
        ("input: {path: a.tif}\nstages: [{op: box, size: 3, channels: 0, extent: full}]", "others pass unchanged"),
        ("input: {path: a.tif}\nstages: [{op: project, method: max, over: c, channels: 0}]", "makes other channels"),
        ("input: {path: a.tif}\nstages: [{op: add, from: [input, input], channels: 0}]", "reads several images"),
    ],
)
def test_mistakes_are_told_where_they_stand(text, words):
    with pytest.raises(SpecError, match=words) as caught:
        spec_of(text)
    assert len(caught.value.problems) == 1


def test_places_of_a_part():
    info = ImageInfo(
        (6, 2, 2), "tyx", np.dtype("u1"), (1, 2, 2), (2.0, 1.0, 1.0), ("second", "", ""), origin=(5.0, 0, 0)
    )

    class Source:
        pass

    source = Source()
    source.info = info
    told = [
        (p.scale[0], p.origin[0], p.units[0])
        for p in (Part(source, {"t": t}).info for t in ((3,), (1, 3, 5), (0, 1, 5)))
    ]
    assert told == [(2.0, 11.0, "second"), (4.0, 7.0, "second"), (1.0, 0.0, "")]
