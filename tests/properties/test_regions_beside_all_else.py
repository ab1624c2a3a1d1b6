"""A region is the crop of the whole result whatever else a pipeline says, and whoever makes it, to the last byte."""

import numpy as np
import pytest
import strategies
import tifffile
import zarr
from execute.resume_help import digest
from properties.runs_help import run, stored, tiled, windows
from stores.objects_help import servers_in_memory

import tileconv
from tileconv.execute.batch_report import FAILED
from tileconv.operations.shrink import Shrink
from tileconv.sinks.writer import Writer
from tileconv.stores.location import here

IMAGE = strategies.pixels((60, 80), "uint16", 3)
REGION = {"y": [23, 50], "x": [10, 77]}
CROP = np.s_[..., 23:50, 10:77]
BLUR, WRAP = {"op": "gaussian", "sigma": 1.5}, {"op": "box", "size": 3, "border": "wrap"}


def both(folder, stages, source, **words):
    """Return the crop of the whole result of a pipeline, and the region as it makes that in smaller tiles."""
    input_ = words.pop("input_", {})
    whole, _ = run(tiled(stages, 32, input_=input_, **words), source, folder, name="whole.zarr")
    part, report = run(tiled(stages, 16, input_=input_ | {"region": REGION}, **words), source, folder)
    assert part.dtype == whole.dtype
    return np.ascontiguousarray(whole[CROP]), part, report


def levels(store):
    """Return the arrays of all levels."""
    group = zarr.open_group(store, mode="r")
    return [group[each["path"]][...] for each in group.attrs["ome"]["multiscales"][0]["datasets"]]


@pytest.fixture
def source(tmp_path):
    """The image as a file."""
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, tile=(32, 32), compression="zlib")
    return tmp_path / "a.tif"


@pytest.mark.parametrize("rule", [{"rule": "propagate"}, {"rule": "renormalize"}, {"rule": "fill", "value": 9}])
def test_a_mask_and_nodata(tmp_path, source, rule):
    mask = np.ones(IMAGE.shape, np.uint8)
    mask[20:30, 5:40] = 0
    np.save(tmp_path / "m.npy", mask)
    asked = {"mask": {"path": str(tmp_path / "m.npy")}, "nodata": int(IMAGE[40, 50])}
    words = {"missing": rule, "input_": asked, "output": {"dtype": "uint16", "nodata": 65535}}
    whole, part, report = both(tmp_path, [BLUR, WRAP], source, **words)
    assert part.tobytes() == whole.tobytes()
    lost = (mask == 0) | (IMAGE[40, 50] == IMAGE)
    assert report.counts.missing >= lost[CROP].sum()  # what lies between passes is a little larger
    assert tileconv.verify(tmp_path / "out.zarr", recompute="100%").exit_code == 0


@pytest.mark.parametrize("stages", [[BLUR], [BLUR, WRAP]], ids=["one pass", "two passes"])
def test_levels_are_made_of_the_region(tmp_path, source, stages):
    words = {"output": {"pyramid": {"levels": 3}}}
    whole, part, _ = both(tmp_path, stages, source, **words)
    assert part.tobytes() == whole.tobytes()
    below, *others = levels(tmp_path / "out.zarr")
    for level in others:
        assert np.array_equal(level, Shrink("mean", (2, 2)).of(below))
        below = level
    assert len(others) == 2
    (multiscale,) = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]["multiscales"]
    places = [each["coordinateTransformations"][1]["translation"] for each in multiscale["datasets"]]
    assert places[:2] == [[23.0, 10.0], [23.5, 10.5]]  # the middle of two pixels
    even = {"y": [24, 48], "x": [16, 64]}
    aligned, _ = run(tiled(stages, 16, input_={"region": even}, **words), source, tmp_path, name="even.zarr")
    assert aligned.shape == (24, 48)
    for level, of_whole in zip(levels(tmp_path / "even.zarr"), levels(tmp_path / "whole.zarr"), strict=True):
        step = 24 // len(level)
        assert np.array_equal(level, of_whole[24 // step : 48 // step, 16 // step : 64 // step])


@pytest.mark.parametrize("executor", ["processes", "scheduler"])
def test_who_makes_it_changes_nothing(tmp_path, source, request, executor):
    where = request.getfixturevalue("cluster") if executor == "scheduler" else executor
    expected = windows(tiled([BLUR, WRAP], None), IMAGE)[0][CROP]
    made, _ = run(tiled([BLUR, WRAP], 16, input_={"region": REGION}, run={"executor": where}), source, tmp_path)
    assert np.array_equal(made, expected)


def test_a_region_of_each_image_of_a_batch(tmp_path, source):
    """An image that has no such region fails alone."""
    tifffile.imwrite(tmp_path / "b.tif", IMAGE[::-1], tile=(32, 32))
    tifffile.imwrite(tmp_path / "c.tif", IMAGE[:40], tile=(32, 32))
    mapping = tiled([BLUR, WRAP], 16, input_={"path": f"{tmp_path}/?.tif", "region": REGION})
    report = tileconv.run(mapping, output=f"{tmp_path}/{{stem}}.ome.zarr")
    assert [one.state == FAILED for one in report] == [False, False, True]
    assert "[23, 50] ends beyond the image, which has 40 pixels along y" in str(report[2].error)
    for name, image in (("a", IMAGE), ("b", IMAGE[::-1])):
        expected = windows(tiled([BLUR, WRAP], None), image)[0][CROP]
        assert np.array_equal(stored(tmp_path / f"{name}.ome.zarr"), expected)


def test_a_region_from_and_into_an_object_store(tmp_path, source):
    whole, part, _ = both(tmp_path, [BLUR, WRAP], source)
    assert part.tobytes() == whole.tobytes()
    with servers_in_memory():
        tileconv.run(tiled([], 16), input=source, output="s3://bucket/copy.zarr")
        mapping = tiled([BLUR, WRAP], 16, input_={"region": REGION})
        tileconv.run(mapping, input="s3://bucket/copy.zarr", output="s3://bucket/out.zarr")
        store = here("s3://bucket/out.zarr").store()
        objects = {key: store.read_all(key) for key in store.list() if "/c/" in key}
    files = {
        str(path.relative_to(tmp_path / "out.zarr")): path.read_bytes()
        for path in (tmp_path / "out.zarr" / "0" / "c").rglob("*")
        if path.is_file()
    }
    assert objects == files


ALPHA = [{"alpha": alpha, "linear": linear} for alpha in ("premultiply", "keep", "filter") for linear in (False, True)]
COLOURS = {
    "a mean and another": [BLUR, {"op": "sharpen"}],
    "gray": [{"op": "rgb_to_gray"}, BLUR],
    "one channel": [BLUR | {"channels": [1]}, {"op": "sharpen"}],
}


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Colours beside an alpha with a hole."""
    colours = strategies.pixels((60, 80, 4), "uint8", 5)
    colours[15:40, 20:60, 3] = 0
    path = tmp_path_factory.mktemp("slide") / "a.tif"
    tifffile.imwrite(path, colours, photometric="rgb", extrasamples="unassalpha", tile=(32, 32))
    return path


@pytest.mark.parametrize("asked", ALPHA, ids=lambda words: " ".join(map(str, words.values())))
@pytest.mark.parametrize("name", COLOURS)
def test_colours_beside_alpha_and_in_light(slide, tmp_path, name, asked):
    stages, select = COLOURS[name], {"select": {"c": [0, 1, 2]}} if name == "gray" else {}
    whole, part, _ = both(tmp_path, stages, slide, input_=asked | select)
    assert part.tobytes() == whole.tobytes()
    spec = tiled(stages, 16, input_=asked | select | {"path": str(slide), "region": REGION})
    assert tileconv.lazy(spec).compute(scheduler="synchronous").tobytes() == part.tobytes()


@pytest.mark.parametrize(
    ("select", "alpha"),
    [([0, 1, 2], ""), ([0, 3], "straight"), ([3, 0], ""), ([3], ""), (["red", "alpha"], "straight")],
)
def test_alpha_is_alpha_where_it_comes_last(slide, tmp_path, select, alpha):
    mapping = tiled([BLUR], 16, input_={"select": {"c": select}, "path": str(slide)})
    plan = tileconv.plan(mapping)
    assert plan.source.alpha == alpha
    made, _ = run(mapping, slide, tmp_path)
    picked = [plan.source.channel_names.index(name) for name in plan.source.channel_names]
    colours = np.moveaxis(tifffile.imread(slide), -1, 0)[[{"red": 0, "alpha": 3}.get(c, c) for c in select]]
    weights = colours[-1].astype(float) if alpha else np.ones(colours.shape[1:])
    for n in picked[: len(picked) - bool(alpha)]:
        exact = tileconv.gaussian(colours[n] * weights, 1.5)
        over = tileconv.gaussian(weights, 1.5)
        expected = np.divide(exact, over, out=np.zeros_like(over), where=over > 0)
        np.testing.assert_allclose(made[n], expected, rtol=0, atol=2e-3)


def test_a_region_that_was_killed_is_resumed_verified_and_repaired(tmp_path, source, monkeypatch):
    mapping = tiled([BLUR, WRAP], 16, input_={"region": REGION, "path": str(source)})
    mapping["output"]["path"] = str(tmp_path / "o.zarr")
    expected = windows(tiled([BLUR, WRAP], None), IMAGE)[0][CROP]
    write, written = Writer.write_each, []

    def failing(self, tiles):
        if len(written) > 9:
            raise KeyboardInterrupt
        written.extend(tiles)
        return write(self, tiles)

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "write_each", failing)
        with pytest.raises((KeyboardInterrupt, tileconv.errors.TileconvError)):
            tileconv.run(mapping | {"run": mapping["run"] | {"workers": 1}})
    report = tileconv.run(mapping)
    assert report.kept > 0
    assert np.array_equal(stored(tmp_path / "o.zarr"), expected)
    whole = digest(tmp_path / "o.zarr")
    chunk = tmp_path / "o.zarr" / "0" / "c" / "1" / "2"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    damages = tileconv.verify(tmp_path / "o.zarr").damages
    assert [damage.box for damage in damages] == ["y=16:27 x=32:48"]
    repaired = tileconv.run(mapping, repair=True)
    assert digest(tmp_path / "o.zarr") == whole
    assert repaired.tiles < report.tiles + report.kept
    tileconv.rerun(tmp_path / "o.zarr", tmp_path / "again.zarr")
    assert stored(tmp_path / "again.zarr").tobytes() == expected.tobytes()


OTHERS = {
    "bank": [{"op": "bank", "kernels": [[[1, 2.5, -1]], [[0, 1], [3, 1]]]}],
    "steps": [{"op": "local_normalize", "sigma": 2, "epsilon": 1}],
    "bilateral": [{"op": "bilateral", "sigma_spatial": 1, "sigma_color": 900}],
    "a fork": [BLUR | {"id": "a"}, WRAP | {"from": "input", "id": "b"}, {"op": "subtract", "from": ["a", "b"]}],
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("region", [REGION, {"y": [0, 1]}, {"y": [59, 60], "x": [79, 80]}])
def test_stages_of_every_kind(name, region):
    whole = windows(tiled(OTHERS[name], None), IMAGE)[0]
    part = windows(tiled(OTHERS[name], 16, input_={"region": region}), IMAGE)[0]
    index = tuple(slice(*region[axis]) if axis in region else slice(None) for axis in "yx")
    assert part.tobytes() == np.ascontiguousarray(whole[(..., *index)]).tobytes()


@pytest.mark.parametrize("shape", [(1, 5, 4), (5, 1, 4), (5, 4, 1), (1, 1, 4), (1, 1, 1)])
@pytest.mark.parametrize("border", ["reflect", "wrap"])
def test_axes_of_one_pixel(shape, border):
    image = strategies.pixels(shape, "int16", 2)
    stages = [{"op": "gaussian", "sigma": 1, "over": "zyx", "border": border}, {"op": "correlate", "kernel": [[1, 2]]}]
    whole = windows(tiled(stages, None), image)[0]
    region = {axis: [size // 2, size] for axis, size in zip("zyx", shape, strict=True)}
    crop = whole[tuple(slice(*ends) for ends in region.values())]
    for tile in (1, 2, None):
        part = windows(tiled(stages, tile, input_={"region": region}), image)[0]
        assert part.tobytes() == np.ascontiguousarray(crop).tobytes()


def test_a_region_as_one_file_lies_in_its_place(tmp_path):
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(tmp_path / "a.ome.tif", IMAGE, metadata={"axes": "YX"} | sizes, ome=True)
    words = {"input_": {"region": REGION, "path": str(tmp_path / "a.ome.tif")}}
    words["output"] = {"path": str(tmp_path / "o.ome.tif"), "dtype": "uint16"}
    tileconv.run(tiled([BLUR], 16, **words))
    with tifffile.TiffFile(tmp_path / "o.ome.tif") as made:
        whole = windows(tiled([BLUR], None, output={"dtype": "uint16"}), IMAGE)[0]
        assert np.array_equal(made.asarray(), whole[CROP])
    again = tileconv.plan(tiled([], 16, input_={"path": str(tmp_path / "o.ome.tif")}))
    assert again.source.scale == (0.25, 0.5)
