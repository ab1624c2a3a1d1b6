"""Results with levels: equal to levels made of the whole image, whatever the tiles and whoever makes them; per level
resumed, verified and repaired."""

import json
import shutil
from contextlib import nullcontext
from functools import cache
from itertools import chain

import numpy as np
import pytest
import strategies
import zarr
from execute.resume_help import digest, history, write_spec
from properties.runs_help import write_tiff

import tileconv
from tileconv.audit.batch import asked_of_spec, batch_status, batch_verification
from tileconv.audit.status import status
from tileconv.errors import PlanError, ResumeError, TileconvError
from tileconv.execute.prepare import planned
from tileconv.execute.run import Wanted, opened
from tileconv.execute.stop import Stop
from tileconv.images import ImageInfo
from tileconv.operations.shrink import Shrink
from tileconv.planning.model import Plan
from tileconv.planning.pyramid import levels_of
from tileconv.progress import Progress
from tileconv.record.journal import TileKey
from tileconv.spec import load_spec
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
        made(folder, tile=96, pyramid=PYRAMID | {"method": method}, output={"chunks": 8})
        return stored(folder / "o.zarr")

    return of


@pytest.mark.parametrize(
    ("method", "tile"), [("mean", 8), ("mean", 16), ("mean", 56), ("gaussian", 16), ("gaussian", 56), ("mode", 32)]
)
def test_levels_are_those_of_the_whole_image(tmp_path, whole, method, tile):
    """Tiles of 1, 2, 4 and 7 chunks of 8 pixels, and one of all of them: no seam shows where tiles meet."""
    made(tmp_path, tile=tile, pyramid=PYRAMID | {"method": method}, output={"chunks": 8})
    assert check_levels(tmp_path / "o.zarr", method) == 3
    assert not tileconv.verify(tmp_path / "o.zarr").damages
    assert stored(tmp_path / "o.zarr") == whole(method)


def test_a_level_goes_on_above_what_is_whole_of_the_level_below(tmp_path):
    """While the last tile below is made, tiles are handed out that do not need it, and no others."""
    plan, source = planned(load_spec(made(tmp_path, tile=16)))
    shutil.rmtree(tmp_path / "o.zarr")
    with opened(plan, source, Wanted(), Progress(), nullcontext(Stop())) as run:
        work = next(passes := run.passes())
        order, late = [], []
        for pair in chain(work.of_job(), work.of_levels()):
            if pair is None:
                assert late
                order.append(None)
                work.hear(late[0][0], late[0][0].run(late.pop()[1]))
                continue
            job, tile = pair
            order.append((getattr(job, "level", 0), tile.start))
            if tile.stop == (75, 93):  # the last of the full size
                late.append(pair)
            else:
                work.hear(job, job.run(tile))
        assert next(passes, None) is None
        run.finish()
    at = order.index(None)
    assert [level for level, _ in order[at - 5 : at]] == [1] * 5
    assert order[at + 1] == (1, (32, 32))
    assert order.count(None) == 1
    assert check_levels(tmp_path / "o.zarr") == 3


def test_levels_of_what_was_damaged_are_made_again_with_it(tmp_path):
    """Without checksums nobody notices before a level is made of it."""
    spec = made(tmp_path, output={"checksum": "none", "codec": {"name": "none"}})
    before = digest(tmp_path / "o.zarr")
    shutil.rmtree(tmp_path / "o.zarr" / "2" / "c")
    chunk = tmp_path / "o.zarr" / "1" / "c" / "0" / "0"
    chunk.write_bytes(bytes([255]) * chunk.stat().st_size)
    assert tileconv.run(spec).tiles
    assert len(tileconv.run(spec, repair=True).damages) == 1
    assert digest(tmp_path / "o.zarr") == before


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


@pytest.mark.parametrize(
    ("begun", "asked", "said"), [("none", 3, "1 of 3"), (3, 4, "3 of 4"), (4, 2, ""), (3, "none", "")]
)
def test_a_result_keeps_the_levels_that_it_was_begun_with(tmp_path, begun, asked, said):
    words = [count if count == "none" else {"levels": count} for count in (begun, asked)]
    spec = made(tmp_path, pyramid=words[0])
    before = digest(tmp_path / "o.zarr")
    write_spec(tmp_path, STAGES, tile=32, output={"chunks": 16, "dtype": "input", "pyramid": words[1]})
    report = tileconv.run(spec)
    assert (report.tiles, digest(tmp_path / "o.zarr")) == (0, before)
    assert [f"begun with {said} levels: tileconv pyramid" in note for note in report.notes] == [True] * bool(said)


def test_levels_of_another_method_are_refused(tmp_path):
    made(tmp_path)
    with pytest.raises(ResumeError, match=r"output\.levels.* was .*mean.* and is .*median"):
        made(tmp_path, pyramid=PYRAMID | {"method": "median"})


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


def test_images_of_a_batch(tmp_path, call):
    image = strategies.pixels((75, 81), "uint8", 3)
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", image, tile=32)
    words = {"chunks": 16, "pyramid": PYRAMID, "path": str(tmp_path / "{stem}.ome.zarr")}
    spec = write_spec(tmp_path, STAGES, tile=32, output=words)
    spec.write_text(spec.read_text().replace("path: a.tif", f"path: {tmp_path}/?.tif"))
    assert not tileconv.run(spec).failed
    for name in "ab":
        assert check_levels(tmp_path / f"{name}.ome.zarr") == 3
    assert stored(tmp_path / "a.ome.zarr") == stored(tmp_path / "b.ome.zarr")
    (tmp_path / "b.ome.zarr" / "2" / "c" / "0" / "0").unlink()
    asked = asked_of_spec(load_spec(spec))
    assert batch_status(asked).counted == "2 outputs: 2 complete"
    found = batch_verification(asked)
    assert [one.state for one in found.images] == ["whole", "different"]
    assert found.images[1].verification.damages[0].level == 2
    assert not tileconv.run(spec, repair=True).failed
    assert stored(tmp_path / "a.ome.zarr") == stored(tmp_path / "b.ome.zarr")
    for name in "ab":
        assert call("picture", str(tmp_path / f"{name}.ome.zarr"), "-o", str(tmp_path / f"{name}.png"))[0] == 0
        tileconv.export(tmp_path / f"{name}.ome.zarr", tmp_path / f"{name}.out.tif")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


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
