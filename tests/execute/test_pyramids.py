"""Results with levels: equal to levels made of the whole image, whatever the tiles and whoever makes them; per level
resumed, verified and repaired."""

import json
import shutil
from functools import cache

import numpy as np
import pytest
import strategies
import zarr
from execute.resume_help import digest, history, write_spec
from properties.runs_help import write_tiff

import tileconv
from tileconv.audit.status import status
from tileconv.errors import PlanError, TileconvError
from tileconv.images import ImageInfo
from tileconv.operations.shrink import Shrink
from tileconv.planning.model import Plan
from tileconv.planning.pyramid import levels_of
from tileconv.record.journal import TileKey
from tileconv.spec.model import OutputSpec
from tileconv.storage import USUAL
from tileconv.stores.location import Location

STAGES = [{"op": "gaussian", "sigma": 1}]
PYRAMID = {"levels": 4}


def made(folder, *, stages=STAGES, image=None, pyramid=PYRAMID, tile=32, output=(), **words):
    """Run a pipeline of odd size and small chunks whose output has levels; return the spec's path."""
    image = strategies.pixels((75, 93), "uint16", 3) if image is None else image
    output = {"chunks": 16, "dtype": "input", "pyramid": pyramid} | dict(output)
    spec = write_spec(folder, stages, image=image, tile=tile, output=output, **words)
    tileconv.run(spec)
    return spec


def levels(store):
    """Return the arrays of all levels."""
    group = zarr.open_group(store, mode="r")
    told = group.attrs["ome"]["multiscales"] if "ome" in group.attrs else group.attrs["multiscales"]
    return [group[dataset["path"]][...] for dataset in told[0]["datasets"]]


def check_levels(store, method="mean", factor=(2, 2)):
    """Assert that each level is what is made of the whole level below."""
    below, *others = levels(store)
    for level in others:
        np.testing.assert_array_equal(level, Shrink(method, factor).of(below))
        below = level
    return len(others)


def stored(store):
    """Return digests of all levels."""
    return [digest(store / name) for name in "0123"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What is stored where one tile makes all of it, by method."""

    @cache
    def of(method):
        folder = tmp_path_factory.mktemp(method)
        made(folder, tile=192, pyramid=PYRAMID | {"method": method})
        return stored(folder / "o.zarr")

    return of


@pytest.mark.parametrize(
    ("method", "tile"), [("mean", 16), ("mean", 32), ("mean", 112), ("gaussian", 32), ("mode", 64)]
)
def test_levels_are_those_of_the_whole_image(tmp_path, whole, method, tile):
    """Tiles of 1, 2, 4 and 7 chunks, and of all."""
    made(tmp_path, tile=tile, pyramid=PYRAMID | {"method": method})
    assert check_levels(tmp_path / "o.zarr", method) == 3
    assert not tileconv.verify(tmp_path / "o.zarr").damages
    assert stored(tmp_path / "o.zarr") == whole(method)


@pytest.mark.parametrize("executor", ["processes", "threads"])
def test_who_makes_them_changes_nothing(tmp_path, executor):
    image = strategies.pixels((2, 70, 51), "float32", 1)
    image[image > 0.9] = np.nan
    words = {"image": image, "output": {"shards": 32, "chunks": 16}, "tile": 32}
    made(tmp_path, run={"executor": executor, "workers": 2, "halo_method": "overlap"}, **words)
    check_levels(tmp_path / "o.zarr", factor=(1, 2, 2))
    (expected := tmp_path / "whole").mkdir()
    made(expected, run={"workers": 1}, **words)
    assert stored(tmp_path / "o.zarr") == stored(expected / "o.zarr")


def test_where_levels_lie(tmp_path):
    """Sizes round up, scales are exact factors, and the middle of the first pixel lies in the middle of those below."""
    image = np.zeros((150, 173), np.uint16)
    made(tmp_path, image=image, pyramid={"levels": 3, "factor": {"y": 3}})
    told = zarr.open_group(tmp_path / "o.zarr", mode="r").attrs["ome"]["multiscales"][0]
    assert [level.shape for level in levels(tmp_path / "o.zarr")] == [(150, 173), (50, 87), (17, 44)]
    assert [of["coordinateTransformations"] for of in told["datasets"]] == [
        [{"type": "scale", "scale": [1, 1]}],
        [{"type": "scale", "scale": [3, 2]}, {"type": "translation", "translation": [1, 0.5]}],
        [{"type": "scale", "scale": [9, 4]}, {"type": "translation", "translation": [4, 1.5]}],
    ]
    assert told["type"] == "mean"


def test_format_0_4(tmp_path):
    made(tmp_path, output={"format": "0.4"})
    assert check_levels(tmp_path / "o.zarr") == 3
    assert not tileconv.verify(tmp_path / "o.zarr").damages


def test_what_is_missing_is_skipped(tmp_path):
    image = strategies.pixels((90, 81), "float32", 2)
    image[30:60, 20:40] = np.nan
    words = {"dtype": "uint8", "nodata": 255, "overflow": "clip"}
    made(tmp_path, image=image * 200, stages=[], output=words, missing={"rule": "propagate"})
    below, *others = levels(tmp_path / "o.zarr")
    for level in others:
        np.testing.assert_array_equal(level, Shrink("mean", (2, 2)).of(below, 255))
        assert (level == 255).any()
        below = level


def test_a_run_that_was_begun_without_levels_stays_without(tmp_path):
    spec = made(tmp_path, pyramid="none")
    before = digest(tmp_path / "o.zarr")
    text = spec.read_text().replace("pyramid: none", "pyramid: {levels: 3}")
    spec.write_text(text)
    report = tileconv.run(spec)
    assert (report.tiles, digest(tmp_path / "o.zarr")) == (0, before)
    assert any("tileconv pyramid" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "damage"),
    [("0/c/1/2", "flip"), ("1/c/2/0", "flip"), ("2/c/0/1", "gone"), ("3/c/0/0", "flip")],
)
def test_a_damaged_chunk_of_a_level_is_named_and_made_again(tmp_path, name, damage):
    spec = made(tmp_path)
    before, chunk = digest(tmp_path / "o.zarr"), tmp_path / "o.zarr" / name
    if damage == "gone":
        chunk.unlink()
    else:
        data = bytearray(chunk.read_bytes())
        data[9] ^= 4
        chunk.write_bytes(data)
    (found,) = tileconv.verify(tmp_path / "o.zarr").damages
    assert found.files == (name,)
    assert found.level == int(name[0])
    assert str(found).startswith(f"level {name[0]}, tile") == (name[0] != "0")
    assert len(tileconv.run(spec, repair=True).damages) == 1
    assert digest(tmp_path / "o.zarr") == before


def test_stages_do_not_run_again_for_a_level(tmp_path):
    spec = made(tmp_path)
    shutil.rmtree(tmp_path / "o.zarr" / "2" / "c" / "1")
    before = [history(tmp_path).attempts(TileKey(0, 0, tile)) for tile in range(9)]
    assert status(tmp_path / "o.zarr").state == "complete"
    report = tileconv.run(spec)
    assert 0 < report.tiles < 9
    assert [history(tmp_path).attempts(TileKey(0, 0, tile)) for tile in range(9)] == before
    assert check_levels(tmp_path / "o.zarr") == 3


def test_a_tile_that_fails_leaves_out_what_lies_above(tmp_path, monkeypatch):
    real = Shrink.make

    def fails(self, pixels, box, nodata=None):
        if box.start == (16, 32) and pixels.shape == (32, 29):
            raise TileconvError("fell over", where="here")
        return real(self, pixels, box, nodata)

    with monkeypatch.context() as patched:
        patched.setattr(Shrink, "make", fails)
        with pytest.raises(TileconvError, match="need them"):
            tileconv.run(
                write_spec(
                    tmp_path,
                    STAGES,
                    image=strategies.pixels((75, 93), "uint16", 3),
                    tile=16,
                    output={"chunks": 16, "dtype": "input", "pyramid": PYRAMID},
                ),
                keep_going=True,
            )
    told = status(tmp_path / "o.zarr")
    assert told.failures == ({"pass": 0, "level": 1, "tile": 5, "error": "here: fell over"},)
    assert history(tmp_path).last(TileKey(0, 2, 1)) is None
    tileconv.run(tmp_path / "p.yaml")
    assert check_levels(tmp_path / "o.zarr") == 3


def test_plan_tells_levels(tmp_path):
    spec = made(tmp_path)
    plan = tileconv.plan(spec)
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    told = plan.as_json()["output"]["levels"]
    assert [(of["shape"], of["made_with_full_size"]) for of in told] == [
        ([38, 47], True), ([19, 24], False), ([10, 12], False)
    ]  # fmt: skip


def test_images_of_a_batch(tmp_path):
    image = strategies.pixels((75, 81), "uint8", 3)
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", image, tile=32)
    spec = write_spec(tmp_path, STAGES, tile=32, output={"chunks": 16, "pyramid": PYRAMID})
    report = tileconv.run(
        spec, input=[str(tmp_path / "a.tif"), str(tmp_path / "b.tif")], output=str(tmp_path / "{stem}.ome.zarr")
    )
    assert not report.failed
    for name in "ab":
        assert check_levels(tmp_path / f"{name}.ome.zarr") == 3
    assert stored(tmp_path / "a.ome.zarr") == stored(tmp_path / "b.ome.zarr")


def test_voxels_stay_roughly_cubic():
    """Along z a level is half as large where the file says that voxels are nearer to cubes then."""
    sizes = {"shape": (40, 5000, 3000), "axes": "zyx", "chunks": (1, 500, 500), "dtype": np.dtype("u2")}
    units = ("micrometer",) * 3
    for scale, known, expected in (
        ((0.5, 0.5, 0.5), units, [20, 10, 5]),
        ((0.7, 0.5, 0.5), units, [20, 10, 5]),
        ((0.71, 0.5, 0.5), units, [40, 20, 10]),
        ((2, 0.5, 0.5), units, [40, 40, 20]),
        ((1, 1, 1), (), [40, 40, 40]),
    ):
        info = ImageInfo(**sizes, scale=scale, units=known)
        made = levels_of(info, USUAL, OutputSpec(Location("o.zarr"), pyramid="auto"))
        assert [level.info.shape for level in made] == [
            (z, *yx) for z, yx in zip(expected, [(2500, 1500), (1250, 750), (625, 375)], strict=True)
        ]


def test_more_levels_than_there_can_be_are_refused(tmp_path):
    with pytest.raises(PlanError, match="has nothing to shrink") as refused:
        made(tmp_path, image=np.zeros((5, 3), np.uint8), pyramid={"levels": 5})
    assert refused.value.where == "output.pyramid.levels"
