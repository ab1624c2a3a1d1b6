"""A plate in, a plate out: the layout stays, and what says which fields there are tells of those that are whole."""

import json

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr
from properties.runs_help import stored

import tileconv
from tileconv.errors import SinkError
from tileconv.execute import batch
from tileconv.record.batch import FAILED

WELLS = {"A/2": ("0", "1"), "B/10": ("0",), "B/2": ("3",)}
IMAGE = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)


def plate(folder):
    """Write a plate as other programs do: four fields in three wells, of two acquisitions."""
    fields = {}
    for name, images in WELLS.items():
        told = [{"path": image, "acquisition": at} for at, image in enumerate(images)]
        group(folder / name, well={"images": told})
        for image in images:
            fields[name, image] = IMAGE + len(fields)
            place = folder / name / image
            tileconv_like(place, fields[name, image])
    told = {"rows": [{"name": n} for n in "ABC"], "columns": [{"name": n} for n in ("2", "10")]}
    told |= {"wells": [{"path": w, "rowIndex": "AB".index(w[0]), "columnIndex": int(w[2:] == "10")} for w in WELLS]}
    group(folder, plate=told | {"name": "screen", "acquisitions": [{"id": 0}, {"id": 1}], "field_count": 2})
    return fields


def group(path, **ome):
    zarr.open_group(path, mode="a").attrs["ome"] = {"version": "0.5", **ome}


def tileconv_like(path, pixels):
    image = zarr.open_group(path, mode="a")
    image.create_array("0", data=pixels, dimension_names=["y", "x"])
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    told = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    image.attrs["ome"] = {"version": "0.5", "multiscales": [told]}


def words(source, out, **output):
    path = f"{out}/{{row}}/{{column}}/{{field}}"
    return {
        "version": 1,
        "input": {"path": str(source), "series": "all"},
        "stages": [{"op": "rescale", "gain": 2}],
        "output": {"path": path, "dtype": "uint16", **output},
        "run": {"workers": 1},
    }


def told(folder, kind):
    node = folder / "zarr.json"
    said = (
        json.loads(node.read_text())["attributes"]["ome"]
        if node.exists()
        else json.loads((folder / ".zattrs").read_text())
    )
    return said[kind]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_every_field_of_a_plate_is_one_of_the_plate_out(tmp_path, version):
    fields = plate(tmp_path / "in.zarr")
    out = tmp_path / "out.ome.zarr"
    report = tileconv.run(words(tmp_path / "in.zarr", out, format=version))
    assert report.counts == {"made": 4}
    for (well, field), pixels in fields.items():
        assert np.array_equal(stored(out / well / field), 2 * pixels)
    before = told(tmp_path / "in.zarr", "plate")
    after = told(out, "plate")
    assert {key: after[key] for key in ("rows", "columns", "name", "acquisitions", "field_count")} == {
        key: before[key] for key in ("rows", "columns", "name", "acquisitions", "field_count")
    }
    assert sorted(w["path"] for w in after["wells"]) == sorted(WELLS)
    assert all(w in before["wells"] for w in after["wells"])
    assert told(out / "A/2", "well")["images"] == [{"path": "0", "acquisition": 0}, {"path": "1", "acquisition": 1}]
    found = open_ome_zarr(zarr.open_group(out, mode="r"))
    assert type(found).__name__ == "HCS"
    again = tileconv.run(words(out, tmp_path / "again.ome.zarr"))  # a plate that is read as one
    assert again.counts == {"made": 4}
    assert tileconv.run(words(tmp_path / "in.zarr", out, format=version)).counts == {"already there": 4}
    assert told(out, "plate") == after


def test_one_well_keeps_its_place_in_the_plate(tmp_path):
    plate(tmp_path / "in.zarr")
    tileconv.run(words(tmp_path / "in.zarr" / "B" / "10", tmp_path / "out.zarr"))
    (well,) = told(tmp_path / "out.zarr", "plate")["wells"]
    assert well == {"path": "B/10", "rowIndex": 1, "columnIndex": 1}
    assert told(tmp_path / "out.zarr" / "B" / "10", "well")["images"] == [{"path": "0", "acquisition": 0}]


def test_a_field_that_failed_is_told_of_once_it_is_made(tmp_path):
    plate(tmp_path / "in.zarr")
    chunk = tmp_path / "in.zarr" / "A" / "2" / "1" / "0" / "c" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(b"no chunk")
    spec = words(tmp_path / "in.zarr", tmp_path / "out.zarr")
    report = tileconv.run(spec)
    assert [one.state for one in report] == ["made", FAILED, "made", "made"]
    assert told(tmp_path / "out.zarr" / "A" / "2", "well")["images"] == [{"path": "0", "acquisition": 0}]
    assert len(told(tmp_path / "out.zarr", "plate")["wells"]) == 3
    chunk.write_bytes(whole)
    tileconv.run(spec, overwrite=True)
    assert [one["path"] for one in told(tmp_path / "out.zarr" / "A" / "2", "well")["images"]] == ["0", "1"]


def test_what_is_no_plate_of_ours_is_left_alone(tmp_path):
    plate(tmp_path / "in.zarr")
    zarr.open_group(tmp_path / "out.zarr", mode="w")
    with pytest.raises(SinkError, match="is no plate that tileconv made"):
        tileconv.run(words(tmp_path / "in.zarr", tmp_path / "out.zarr"))


def test_a_plate_that_is_interrupted_tells_of_what_is_whole(tmp_path, monkeypatch):
    plate(tmp_path / "in.zarr")
    real, ended = batch.Batch._ended, []

    def ending(self, name, state, **words):
        real(self, name, state, **words)
        ended.append(name)
        if len(ended) == 2:
            self.stop.signalled = 2
            self.stop.set()

    monkeypatch.setattr(batch.Batch, "_ended", ending)
    with pytest.raises(tileconv.errors.Interrupted):
        tileconv.run(words(tmp_path / "in.zarr", tmp_path / "out.zarr"))
    assert [well["path"] for well in told(tmp_path / "out.zarr", "plate")["wells"]] == ["A/2"]
