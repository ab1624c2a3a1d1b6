"""``tileconv verify``: what it compares, what it says, and a sample made again from the input on a shifted grid."""

import json
import shutil

import numpy as np
import pytest
import strategies
from execute.resume_help import ONE, TWO, poisoned, write_spec
from properties.runs_help import write_tiff

import tileconv
from tileconv.audit import recompute
from tileconv.boxes import Box
from tileconv.errors import PlanError, ResumeError, SinkError, SourceError
from tileconv.record.folder import RunFolder
from tileconv.record.journal import DONE, Event, Journal, TileKey
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore
from tileconv.stores.location import here

DEEP = [{"op": "gaussian", "sigma": 1.5, "extent": "full"}, {"op": "sobel"}, {"op": "box", "size": 4, "border": "wrap"}]


def chunk(folder, *index):
    return (folder / "o.zarr" / "0" / "c").joinpath(*map(str, index))


def test_what_the_command_says(finished, call):
    made = finished(ONE)
    assert call("verify", "o.zarr", "--recompute", "3", folder=made) == (
        0,
        f"{made / 'o.zarr'}: whole, 110 tiles compared, 3 boxes made again\n",
        "",
    )
    chunk(made, 2, 1).unlink()
    code, out, _ = call("verify", "o.zarr", folder=made)
    assert (code, out.splitlines()[0]) == (4, "tile 23, y=32:48 x=16:32: 0/c/2/1 is missing")
    code, out, _ = call("verify", "o.zarr", "--json", folder=made)
    told = json.loads(out)
    assert (code, told["whole"], told["tiles"]) == (4, False, 110)
    assert told["damages"] == [
        {"problem": "0/c/2/1 is missing", "files": ["0/c/2/1"], "tile": 23, "box": "y=32:48 x=16:32", "level": 0}
    ]


def test_nothing_to_compare_with(finished, call):
    made = finished(ONE)
    shutil.rmtree(made / "o.zarr.tileconv")
    code, out, err = call("verify", "o.zarr", folder=made)
    assert (code, out) == (1, "")
    assert "expected the run folder of" in err
    assert "found nothing" in err
    assert "tileconv rerun" in err


def test_several_chunks_in_a_tile(tmp_path):
    """The chunk is named and not only its tile; chunks that were exchanged carry their own checksums."""
    spec = write_spec(tmp_path, ONE, output={"chunks": 16}, tile=32)
    tileconv.run(spec)
    chunk(tmp_path, 3, 3).write_bytes(chunk(tmp_path, 3, 3).read_bytes()[:-1])
    first, second = chunk(tmp_path, 0, 0).read_bytes(), chunk(tmp_path, 0, 1).read_bytes()
    chunk(tmp_path, 0, 0).write_bytes(second)
    chunk(tmp_path, 0, 1).write_bytes(first)
    exchanged, cut = tileconv.verify(tmp_path / "o.zarr").damages
    assert (cut.box, cut.files) == ("y=32:64 x=32:64", ("0/c/3/3",))
    assert exchanged.files == ("0/c/0/0", "0/c/0/1", "0/c/1/0", "0/c/1/1")
    assert "other chunks than were written" in str(exchanged)


def test_files_that_no_tile_has(finished):
    made = finished(ONE)
    shutil.copy(chunk(made, 0, 0), chunk(made, 0, 11))
    (made / "o.zarr" / "0" / "c" / "99").mkdir()
    shutil.copy(chunk(made, 0, 0), chunk(made, 99, 0))
    shutil.copy(chunk(made, 0, 0), chunk(made, 0, "01"))
    found = tileconv.verify(made / "o.zarr").damages
    assert [one.files for one in found] == [("0/c/0/01",), ("0/c/0/11",), ("0/c/99/0",)]


def test_an_unfinished_run(tmp_path):
    spec = write_spec(tmp_path, ONE, image=poisoned(), missing={"rule": "error"})
    with pytest.raises(tileconv.errors.UnfinishedError):
        tileconv.run(spec, keep_going=True)
    (found,) = tileconv.verify(tmp_path / "o.zarr", recompute="1%").damages
    assert "109 of 110 tiles are done" in str(found)
    with RunFolder(here(tmp_path / "o.zarr")).locked(), pytest.raises(SinkError, match="being written now"):
        tileconv.verify(tmp_path / "o.zarr")


@pytest.mark.parametrize(
    ("stages", "words"),
    [(ONE, {"output": {"dtype": "uint8"}}), (TWO, {}), (DEEP, {}), (TWO, {"run": {"halo_method": "overlap"}})],
    ids=["one pass", "two passes", "three stages", "overlap"],
)
def test_every_box_made_again(tmp_path, stages, words):
    tileconv.run(write_spec(tmp_path, stages, image=strategies.pixels((80, 112), "uint16", 0), **words))
    found = tileconv.verify(tmp_path / "o.zarr", recompute="100%")
    assert (found.damages, found.notes) == ((), ())
    assert found.recomputed >= 35


def test_nan_of_both_signs_made_again(tmp_path):
    """The sign of what an operation makes of two of them depends on the tile."""
    image = strategies.pixels((160, 176), "float32", 0)
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        image[np.random.default_rng(int(np.isnan(value))).random(image.shape) < 0.004] = value
    tileconv.run(write_spec(tmp_path, TWO, image=image))
    assert tileconv.verify(tmp_path / "o.zarr", recompute="100%").damages == ()


def test_boxes_straddle_tiles(tmp_path):
    plan = tileconv.plan(write_spec(tmp_path, ONE))
    last = plan.passes[-1]
    boxes = recompute.sample(last, "100%", 0)
    assert sum(box.size for box in boxes) == last.image.size
    assert not set(boxes) & set(last.grid)
    assert Box((8, 8), (24, 24), "yx") in boxes
    assert recompute.sample(last, "5", 1) != recompute.sample(last, "5", 2)
    assert recompute.sample(last, "5", 1) == recompute.sample(last, "5", 1)


def test_pixels_that_are_wrong_though_whole(finished):
    """A result that was computed wrongly, and written and recorded as such, is what only --recompute finds."""
    made = finished(TWO)
    spec = made / "p.yaml"
    sink = ZarrSink(LocalStore(made / "o.zarr"), Layout(tileconv.plan(spec).info))
    wrong = np.zeros((16, 16), np.float32)
    digest = sink.writer.write(Box((32, 48), (48, 64), "yx"), wrong)
    folder = RunFolder(here(made / "o.zarr"))
    with Journal(folder.place) as journal:
        journal.append(Event(DONE, TileKey(1, 0, 25), digest))
    assert tileconv.verify(made / "o.zarr").damages == ()
    found = tileconv.verify(made / "o.zarr", recompute="100%").damages
    assert [one.box for one in found] == [f"y={y}:{y + 16} x={x}:{x + 16}" for y in (24, 40) for x in (40, 56)]
    assert "64 of 256 pixels differ from those made again, the first at y=32 x=48" in str(found[0])


def test_an_input_that_is_gone_or_changed(finished):
    made = finished(ONE)
    (made / "a.tif").rename(made / "b.tif")
    with pytest.raises(SourceError, match=r"a\.tif: expected a TIFF.*found nothing"):
        tileconv.verify(made / "o.zarr", recompute="1")
    write_tiff(made / "a.tif", np.zeros((160, 176), "uint16"), tile=32)
    with pytest.raises(ResumeError, match=r"input (size|digest|blocks) was"):
        tileconv.verify(made / "o.zarr", recompute="1")
    assert tileconv.verify(made / "o.zarr").damages == ()


def test_a_box_that_does_not_fit_in_memory(finished, monkeypatch):
    made = finished(ONE)
    monkeypatch.setattr(recompute, "available_bytes", lambda: 280 * 2**20)
    with pytest.raises(PlanError, match="a box and all that it is made from take"):
        tileconv.verify(made / "o.zarr", recompute="1")


@pytest.mark.parametrize("asked", ["0", "-1", "101%", "0%", "x", "1.5", "nan%"])
def test_shares_that_are_none(tmp_path, asked):
    with pytest.raises(PlanError, match="expected a share such as 1% or a number of boxes"):
        tileconv.verify(tmp_path / "o.zarr", recompute=asked)
