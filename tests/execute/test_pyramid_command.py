"""``tileconv pyramid``: levels beside results and images of other programs, what is there kept, and after a kill."""

import json
import shutil

import numpy as np
import pytest
import strategies
import zarr
from execute.resume_help import digest
from execute.test_pyramids import check_levels, levels, made, stored
from properties.runs_help import write_tiff

import tileconv
from tileconv.audit.status import status
from tileconv.errors import SinkError
from tileconv.execute.pyramid import add_levels
from tileconv.operations.shrink import Shrink
from tileconv.sources.open import open_source
from tileconv.spec.pyramid import PyramidSpec
from tileconv.stores.local import LocalStore

ASKED = PyramidSpec(levels=4)


def test_levels_of_a_result_are_those_that_its_run_would_have_made(tmp_path):
    spec = made(tmp_path, pyramid="none")
    spec.write_text(spec.read_text().replace("  pyramid: none\n", ""))
    added = add_levels(tmp_path / "o.zarr", ASKED, workers=2)
    assert (added.added, [*added.shapes]) == (3, [(75, 93), (38, 47), (19, 24), (10, 12)])
    (other := tmp_path / "other").mkdir()
    made(other)
    assert stored(tmp_path / "o.zarr") == stored(other / "o.zarr")
    told = [json.loads((folder / "o.zarr" / "zarr.json").read_text())["attributes"] for folder in (tmp_path, other)]
    assert told[0]["ome"] == told[1]["ome"]
    assert not tileconv.verify(tmp_path / "o.zarr").damages
    assert status(tmp_path / "o.zarr").state == "complete"
    assert tileconv.run(spec).tiles == 0  # what the pipeline does not say is as it is
    assert add_levels(tmp_path / "o.zarr", ASKED).added == 0
    (tmp_path / "o.zarr" / "2" / "c" / "0" / "1").unlink()
    assert len(tileconv.run(spec, repair=True).damages) == 1
    assert stored(tmp_path / "o.zarr") == stored(other / "o.zarr")
    report = tileconv.rerun(tmp_path / "o.zarr", tmp_path / "again.ome.zarr")
    assert stored(report.output) == stored(other / "o.zarr")


@pytest.mark.parametrize("at", [0, 3, 4, 9, 17])
def test_stopped_anywhere_the_same_command_goes_on(tmp_path, monkeypatch, at):
    """Also what was begun so is gone on with by the command of the run; the image can be read all the while."""
    spec = made(tmp_path, pyramid="none")
    spec.write_text(spec.read_text().replace("  pyramid: none\n", ""))
    real, writes = LocalStore.write, []

    def stops(self, *args, **words):
        writes.append(args)
        if len(writes) > at:
            raise KeyboardInterrupt
        return real(self, *args, **words)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "write", stops)
        with pytest.raises(KeyboardInterrupt):
            add_levels(tmp_path / "o.zarr", ASKED, workers=1)
    assert levels(tmp_path / "o.zarr")[0].shape == (75, 93)
    if at % 2:
        tileconv.run(spec)
    add_levels(tmp_path / "o.zarr", ASKED, workers=1)
    assert check_levels(tmp_path / "o.zarr") == 3
    assert not tileconv.verify(tmp_path / "o.zarr").damages


def foreign(path, *, zarr_format, count=2, **words):
    """Write an image as another program does, with *count* levels that are not ours; return the pixels of the last."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    image = strategies.pixels((2, 90, 77), "uint16", 1)
    datasets = []
    for number in range(count):
        name = f"s{number}"
        words |= {"dimension_names": ["c", "y", "x"]} if zarr_format == 3 else {}
        group.create_array(name, data=image, chunks=(1, 32, 32), **words)
        scale = [1.0, 0.5 * 2**number, 0.25 * 2**number]
        datasets.append({"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
        last, image = image, image[:, ::2, ::2] + 1
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    told = {"version": "0.4", "axes": axes, "datasets": datasets}
    group.attrs.update(
        {"multiscales": [told]} if zarr_format == 2 else {"ome": {"version": "0.5", "multiscales": [told]}}
    )
    return last


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_image_of_another_program_keeps_what_it_has(tmp_path, zarr_format):
    last = foreign(tmp_path / "a.zarr", zarr_format=zarr_format)
    before = [digest(tmp_path / "a.zarr" / name) for name in ("s0", "s1")]
    added = add_levels(tmp_path / "a.zarr", ASKED)
    assert (added.added, added.shapes[2:]) == (2, ((2, 23, 20), (2, 12, 10)))
    assert [digest(tmp_path / "a.zarr" / name) for name in ("s0", "s1")] == before
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    (told,) = (group.attrs.get("ome") or group.attrs)["multiscales"]
    assert [of["path"] for of in told["datasets"]] == ["s0", "s1", "2", "3"]
    assert told["datasets"][2]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1, 2, 1]}, {"type": "translation", "translation": [0, 0.5, 0.25]}
    ]  # fmt: skip
    shrink = Shrink("mean", (1, 2, 2))
    np.testing.assert_array_equal(group["2"][...], shrink.of(last))
    np.testing.assert_array_equal(group["3"][...], shrink.of(shrink.of(last)))
    assert open_source(tmp_path / "a.zarr", level=3).info.shape == (2, 12, 10)


def test_labels_are_made_by_mode(tmp_path):
    foreign(tmp_path / "a.zarr", zarr_format=3, count=1)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    group.attrs["ome"] = group.attrs["ome"] | {"image-label": {}}
    add_levels(tmp_path / "a.zarr", ASKED)
    np.testing.assert_array_equal(group["1"][...], Shrink("mode", (1, 2, 2)).of(group["s0"][...]))


def test_what_was_not_listed_is_made_anew_and_others_are_refused(tmp_path, monkeypatch):
    foreign(tmp_path / "a.zarr", zarr_format=3)
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    before = digest(tmp_path / "a.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(Shrink, "make", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            add_levels(tmp_path / "a.zarr", ASKED)
    assert levels(tmp_path / "a.zarr")[0].shape == (2, 90, 77)
    add_levels(tmp_path / "a.zarr", ASKED)
    add_levels(tmp_path / "b.zarr", ASKED)
    assert digest(tmp_path / "a.zarr") == digest(tmp_path / "b.zarr") != before
    foreign(tmp_path / "c.zarr", zarr_format=3)
    zarr.open_group(tmp_path / "c.zarr", mode="r+").create_array("2", shape=(3,), dtype="u1")
    with pytest.raises(SinkError, match="which is none of its levels"):
        add_levels(tmp_path / "c.zarr", ASKED)


def test_what_has_no_place_for_levels_is_copied(tmp_path, call):
    write_tiff(tmp_path / "a.tif", strategies.pixels((70, 90), "uint16", 0), tile=32)
    zarr.create_array(tmp_path / "a.zarr", data=strategies.pixels((70, 90), "uint16", 0), chunks=(16, 16))
    with pytest.raises(SinkError, match="is no OME-Zarr image"):
        add_levels(tmp_path / "a.zarr")
    for image in ("a.tif", "a.zarr"):
        out = tmp_path / f"{image}.ome.zarr"
        code, _, err = call("pyramid", str(tmp_path / image), "-o", str(out), "--levels", "3")
        assert (code, err) == (0, "")
        assert check_levels(out) == 2
    code, said, _ = call("pyramid", str(out), "--in-place", "--levels", "4")
    assert (code, said.splitlines()[1]) == (0, "levels     4, 1 of them added: 70 x 90, 35 x 45, 18 x 23, 9 x 12")
    assert call("pyramid", str(out))[0] == 2
