"""``tileconv.lazy``: the bytes that ``run`` stores, few tasks with names, labels, and refusals in words."""

import os

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest
import strategies
import xarray as xr
import zarr
from dask.utils import key_split
from oracles.counting import CountingCall

import tileconv
from tests.golden.corpus import CORPUS
from tests.golden.digests import written
from tileconv.errors import PlanError, SourceError, SpecError, TileconvError
from tileconv.sources.open import open_source
from tileconv.tiles import lazy as module

GAUSSIAN, SOBEL, UNSHARP = {"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "unsharp", "sigma": 1, "amount": 1}
IMAGE = strategies.pixels((40, 50), "uint16", 0)
QUICK = (
    *("gaussian", "pixel by pixel", "copy of NaN", "wrap", "smaller than the halo", "full, then valid"),
    *("three passes", "fft in the middle", "wrap of missing", "bigendian floats", "clipped", "overflow"),
    *(
        "nodata filled",
        "nodata refused",
        "missing, to integers",
        "rgb",
        "jpeg tiles",
        "volume wraps",
        "axes of an array",
    ),
    *("ome-tiff", "five axes"),
)
NAMES = CORPUS if os.environ.get("TILECONV_PROFILE") == "long" else QUICK


def pipeline(*stages, **words):
    """Return a pipeline without an input."""
    return {"version": 1, "stages": list(stages), "output": {"path": "o.ome.zarr"}, **words}


def outcome(make):
    """Return what *make* returns, as bytes with their type and shape, or the kind of its refusal."""
    try:
        made = np.asarray(make())
    except TileconvError as error:
        return type(error)
    return made.dtype, made.shape, made.tobytes()


def ran(words):
    tileconv.run(words)
    return zarr.open_array("out.ome.zarr/0", mode="r")[...]


def computed(*given):
    return tileconv.lazy(*given).compute(scheduler="synchronous")


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_of_a_run(name, tmp_path, monkeypatch):
    """From the file, from its pixels, and from these in chunks of 7, which are smaller than most halos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    words = written(name)
    expected = outcome(lambda: ran(words))
    asked = {key: value for key, value in words["input"].items() if key not in {"path", "nodata"}}
    source = open_source(words["input"]["path"], **asked)
    nodata = words["input"].get("nodata", source.info.nodata)
    given = words | {"input": {"axes": source.info.axes} | ({} if nodata is None else {"nodata": nodata})}
    pixels = source.read(source.info.box)
    assert outcome(lambda: computed(words)) == expected
    assert outcome(lambda: computed(given, pixels)) == expected
    assert outcome(lambda: computed(given, da.from_array(pixels, chunks=7))) == expected


ODD = {"op": "correlate", "kernel": [[1, 2, -1], [0, 3, 5], [1, 1, 1]]}
BRANCHES = {
    "two outputs of one read": (
        [GAUSSIAN | {"id": "soft"}, SOBEL | {"id": "edges"}],
        {"soft": {"from": "soft", "dtype": "uint8"}, "edges": {"from": "edges"}},
        {},
    ),
    "a difference": (
        [
            GAUSSIAN | {"id": "a"},
            GAUSSIAN | {"id": "b", "sigma": 4, "from": "input"},
            {"op": "subtract", "from": ["a", "b"]},
        ],
        {"low": {"from": "b"}, "between": {}},
        {"border": {"x": "wrap", "y": "mirror"}},
    ),
    "an array and the input": (
        [
            SOBEL | {"id": "a"},
            GAUSSIAN | {"id": "b", "border": "wrap"},
            {"op": "maximum", "from": ["b", "input"]},
        ],
        {"a": {"from": "a"}, "high": {}},
        {},
    ),
    "reads of other extents": (
        [
            ODD | {"id": "a", "extent": "valid"},
            ODD | {"id": "b", "border": "wrap", "extent": "full"},
            {"op": "maximum", "from": ["b", "input"]},
        ],
        {"a": {"from": "a"}, "high": {}},
        {},
    ),
    "outputs of other extents": (
        [
            ODD | {"id": "a", "extent": "valid"},
            ODD | {"id": "b", "border": "wrap"},
            ODD | {"id": "c", "from": "input", "extent": "valid"},
            {"op": "add", "from": ["b", "c"], "id": "d"},
            ODD | {"extent": "full", "id": "e"},
        ],
        {"sum": {"from": "d"}, "wide": {"from": "e"}, "first": {"from": "c"}},
        {},
    ),
}
"""Stages, outputs, and what else a pipeline says."""


def branching(name, **words):
    """Return the pipeline of that *name*."""
    stages, outputs, more = BRANCHES[name]
    outputs = {key: {"path": f"{key}.zarr", "chunks": 16, **asked} for key, asked in outputs.items()}
    return {"version": 1, "stages": stages, "outputs": outputs, "run": {"tile": 16}, **more, **words}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_and_several_outputs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", IMAGE)
    words = branching(name, input={"path": "a.npy"})
    tileconv.run(words)
    for given in ((), (IMAGE,), (da.from_array(IMAGE, chunks=(3, 11)),)):
        made = tileconv.lazy(words, *given)
        for key, array in zip(made, dask.compute(*made.values(), scheduler="synchronous"), strict=True):
            expected = zarr.open_array(f"{key}.zarr/0", mode="r")[...]
            assert (array.dtype, array.tobytes()) == (expected.dtype, expected.tobytes())


def test_outputs_of_one_pass_are_made_by_the_same_tasks():
    made = tileconv.lazy(branching("two outputs of one read"), da.zeros((512, 512), chunks=128, dtype="uint16"))
    assert list(made) == ["soft", "edges"]
    both = {key for array in dask.optimize(*made.values()) for key in dict(array.dask)}
    assert len(both) <= tasks(made["edges"])[1] + 2 * 16


def tasks(array):
    """Return the tasks of *array* as Dask counts them before it optimises, and after."""
    return len(array.dask), len(dict(dask.optimize(array)[0].dask))


def test_a_pipeline_takes_no_more_tasks_than_one_call():
    image = da.zeros((4096, 4096), chunks=1024, dtype="uint16")
    made = tasks(tileconv.lazy(pipeline(GAUSSIAN, SOBEL, UNSHARP), image))
    one = tasks(tileconv.gaussian(image, 2))
    assert made <= one
    assert made[1] <= one[1]
    assert one[1] < 11 * 16


def test_a_file_takes_one_task_per_tile(tmp_path):
    np.save(tmp_path / "a.npy", IMAGE)
    words = pipeline(GAUSSIAN, SOBEL, input={"path": str(tmp_path / "a.npy")}, run={"tile": 20})
    words["output"]["chunks"] = 20
    lazy = tileconv.lazy(words)
    assert lazy.chunks == ((20, 20), (20, 20, 10))
    assert tasks(lazy)[1] == 6


@pytest.mark.parametrize(
    ("stages", "prefix"),
    [
        ([GAUSSIAN, SOBEL], "gaussian-sobel"),
        ([GAUSSIAN | {"id": "soft"}, {"op": "laplacian_of_gaussian", "sigma": 1}], "soft-laplacian-of-gaussian"),
        ([], "copy"),
    ],
)
def test_keys_say_what_they_are(stages, prefix):
    assert key_split(tileconv.lazy(pipeline(*stages), IMAGE).name) == prefix


def test_every_pass_has_keys_of_its_own():
    lazy = tileconv.lazy(pipeline(SOBEL, GAUSSIAN | {"border": "wrap"}), da.from_array(IMAGE, chunks=20))
    assert {"sobel", "gaussian"} <= {key_split(name) for name in lazy.dask.layers}


def test_a_part_reads_and_computes_only_what_it_needs(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", IMAGE)
    counting = CountingCall(module.compute_tile)
    monkeypatch.setattr(module, "compute_tile", counting)
    words = pipeline(SOBEL, input={"path": str(tmp_path / "a.npy")}, run={"tile": 10})
    words["output"]["chunks"] = 10
    lazy = tileconv.lazy(words)
    assert not counting.calls
    part = lazy[22:28, 35].compute(scheduler="synchronous")
    assert len(counting.calls) == 1
    monkeypatch.undo()
    assert part.tobytes() == computed(words)[22:28, 35].tobytes()


def test_a_file_and_an_array_cross_to_other_processes(tmp_path):
    np.save(tmp_path / "a.npy", IMAGE)
    words = pipeline(GAUSSIAN, input={"path": str(tmp_path / "a.npy")})
    for lazy in (tileconv.lazy(words), tileconv.lazy(words, IMAGE)):
        again = cloudpickle.loads(cloudpickle.dumps(lazy))
        assert again.compute(scheduler="synchronous").tobytes() == computed(words).tobytes()


@pytest.mark.parametrize("words", [{}, {"input": {"path": "absent.tif"}}, {"input": {"axes": "yx"}}])
def test_an_image_takes_the_place_of_the_input(words, tmp_path):
    expected = tileconv.gaussian(IMAGE, 2)
    assert computed(pipeline(GAUSSIAN, **words), IMAGE).tobytes() == expected.tobytes()
    text = "version: 1\ninput: {path: absent.tif}\nstages: [{op: gaussian, sigma: 2}]\noutput: {path: o.zarr}\n"
    (tmp_path / "p.yaml").write_text(text)
    assert computed(tmp_path / "p.yaml", da.from_array(IMAGE, chunks=9)).tobytes() == expected.tobytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "p.yaml"]


def test_other_arrays_are_taken_as_numpy_does():
    expected = computed(pipeline(SOBEL), IMAGE).tobytes()
    turned = IMAGE.astype(">u2")
    for image in (turned, da.from_array(turned, chunks=9), IMAGE.T.copy().T, IMAGE[::-1].copy()[::-1]):
        assert computed(pipeline(SOBEL), image).tobytes() == expected
    assert computed(pipeline(), IMAGE.tolist()).tolist() == IMAGE.tolist()
    assert computed(pipeline(), IMAGE > 9).dtype == np.uint8


@pytest.mark.parametrize("chunks", [None, 7])
@pytest.mark.parametrize("dims", [("lat", "lon"), ("lon", "band", "lat"), ("lat", "lon", "station")])
def test_labels_stay(dims, chunks):
    sizes = {"lat": 40, "lon": 50, "band": 3, "station": 1}
    data = strategies.pixels([sizes[name] for name in dims], "uint16", 1)
    image = xr.DataArray(
        data if chunks is None else da.from_array(data, chunks=chunks),
        dims=dims,
        coords={"lon": np.arange(50) / 2, "lat": np.arange(40)},
        name="light",
        attrs={"units": "lx"},
    )
    words = pipeline({"op": "correlate", "kernel": [[1, 2]], "extent": "valid"}, border={"y": "wrap"})
    made = tileconv.lazy(words, image)
    assert isinstance(made.data, da.Array)
    assert (made.dims, made.name, made.attrs, set(made.coords)) == (dims, "light", {"units": "lx"}, {"lat"})
    plane = image.isel({name: 0 for name in dims if name in {"band", "station"}}).transpose("lat", "lon").values
    found = made.isel({name: 0 for name in dims if name in {"band", "station"}}).transpose("lat", "lon")
    assert np.array_equal(found.compute(scheduler="synchronous"), plane[:, :-1] + 2 * plane[:, 1:].astype(int))


@pytest.mark.parametrize(
    ("image", "words", "error", "message"),
    [
        ("a.tif", {}, PlanError, "found the text or path 'a.tif'"),
        (np.zeros(5), {}, PlanError, "expected 2 to 5 axes"),
        (np.zeros((2,) * 6), {}, PlanError, "expected 2 to 5 axes"),
        (np.zeros((9, 9, 3)), {}, SourceError, "may be colour"),
        (np.zeros((9, 9, 3)), {"input": {"axes": "yx"}}, SourceError, "axes must be 3 letters"),
        (np.zeros((9, 9), complex), {}, PlanError, "expected integers or floats"),
        (np.ma.masked_array(IMAGE, IMAGE > 9), {}, PlanError, "pixels are masked"),
        (xr.DataArray(IMAGE, dims=("a", "b")), {}, SourceError, "found axes a, b"),
        (IMAGE, {"input": {"nodata": 7}}, PlanError, "does not say what becomes of them"),
        (IMAGE, {"stages": [GAUSSIAN | {"over": "zyx"}]}, PlanError, "the image has axes y, x"),
        (IMAGE, {"stages": [{"op": "gausian"}]}, SpecError, "gausian"),
        (None, {}, SpecError, "input"),
    ],
    ids=str,
)
def test_what_is_no_image_and_no_pipeline_is_refused(image, words, error, message):
    with pytest.raises(error, match=message):
        tileconv.lazy(pipeline(GAUSSIAN, **words), image)


def test_masked_pixels_are_missing_ones():
    masked = np.ma.masked_array(IMAGE.astype("float32"), IMAGE > 60000)
    made = computed(pipeline({"op": "box", "size": 3}, missing={"rule": "propagate"}), masked)
    assert np.isnan(made[masked.mask]).all()
    assert not np.isnan(made).all()
