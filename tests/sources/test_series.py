"""input.series: all makes every image of a file: series, images of groups, fields of plates; labels are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from sources_help import noise
from test_choices import attributes, image_group

import tileconv
from tileconv.errors import PlanError, SourceError, SpecError, TileconvError
from tileconv.execute.images import each_image
from tileconv.sources.open import open_source
from tileconv.spec import as_mapping, spec_from_mapping

SMALL, LARGE = noise((20, 30), "u1"), noise((40, 50), "u2", seed=2)


def images_of(path, out):
    spec = spec_from_mapping(
        {
            "version": 1,
            "input": {"path": str(path), "series": "all"},
            "stages": [],
            "output": {"path": str(path.parent / "out" / out)},
        }
    )
    assert spec_from_mapping(as_mapping(spec)) == spec
    return each_image(spec)


def made(images):
    """Run each image, and return the names of the outputs with their pixels."""
    reports = [tileconv.run(image) for image in images]
    return {
        report.output.name: np.asarray(zarr.open_group(report.output, mode="r")["0"][:]).squeeze() for report in reports
    }


def check(images, expected):
    results = made(images)
    assert list(results) == list(expected)
    assert all((results[name] == expected[name]).all() for name in expected)


def test_series_of_a_tiff(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / "a.tif", SMALL + number if number < 2 else LARGE, append=number > 0)
    images = images_of(tmp_path / "a.tif", "{stem}_{series}.zarr")
    assert [name for name, _ in images.named()] == [f"{tmp_path}/a.tif, series {number}" for number in range(3)]
    check(images, {"a_0.zarr": SMALL, "a_1.zarr": SMALL + 1, "a_2.zarr": LARGE})


def test_wells_and_fields_of_a_plate(tmp_path):
    attributes(tmp_path / "p.zarr", plate={"wells": [{"path": "A/1"}, {"path": "B/12"}]})
    expected = {}
    for well, fields in (("A/1", "01"), ("B/12", "0")):
        attributes(tmp_path / "p.zarr" / well, well={"images": [{"path": field} for field in fields]})
        for field in fields:
            image = SMALL + len(expected)
            image_group(tmp_path / "p.zarr" / well / field, image)
            image_group(tmp_path / "p.zarr" / well / field / "labels" / "cells", SMALL)
            expected[f"p_{well.replace('/', '')}_{field}.zarr"] = image
    check(images_of(tmp_path / "p.zarr", "{stem}_{well}_{field}.zarr"), expected)
    one_well = images_of(tmp_path / "p.zarr" / "A" / "1", "{well}-{field}-{series}")
    assert [image.output.path.name for image in one_well] == ["A1-0-0", "A1-1-1"]
    with pytest.raises(PlanError, match="would both be written"):
        images_of(tmp_path / "p.zarr", "{stem}_{field}.zarr")


def test_a_plate_does_not_lead_out_of_its_folder(tmp_path):
    attributes(tmp_path / "p.zarr", plate={"wells": [{"path": "../q"}]})
    (error,) = images_of(tmp_path / "p.zarr", "{well}{field}")
    assert "outside the folder" in str(error)


@pytest.mark.parametrize("layout", ["bioformats2raw", "multiscales", "group"])
def test_images_of_a_group(tmp_path, layout):
    store = tmp_path / "g.zarr"
    attributes(store, **({"bioformats2raw.layout": 3} if layout == "bioformats2raw" else {}))
    for number, image in enumerate((SMALL, LARGE)):
        image_group(store / str(number), image)
    image_group(store / "labels", SMALL)
    if layout == "multiscales":
        axes = [{"name": axis, "type": "space"} for axis in "yx"]
        image = {"axes": axes, "version": "0.4", "coordinateTransformations": []}
        scale = [{"type": "scale", "scale": [1, 1]}]
        datasets = [[{"path": f"{number}/0", "coordinateTransformations": scale}] for number in range(2)]
        attributes(store, multiscales=[image | {"datasets": one} for one in datasets])
    check(images_of(store, "{stem}_{series}.zarr"), {"g_0.zarr": SMALL, "g_1.zarr": LARGE})


def test_files_of_one_image_are_a_series_too_and_broken_ones_have_their_error(tmp_path):
    np.save(tmp_path / "a.npy", SMALL)
    tifffile.imwrite(tmp_path / "b.tif", LARGE)
    (tmp_path / "c.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:6] + b"\xff\xff")
    images = images_of(tmp_path / "*.*", "{name}_{series}.zarr")
    first, second, third = images
    assert [image.output.path.name for image in (first, second)] == ["a.npy_0.zarr", "b.tif_0.zarr"]
    assert (open_source(second.input.path.local).read(open_source(second.input.path.local).info.box) == LARGE).all()
    assert isinstance(third, SourceError)
    assert third.where == str(tmp_path / "c.tif")


def test_templates_must_tell_series_apart(tmp_path):
    np.save(tmp_path / "a.npy", SMALL)
    with pytest.raises(SpecError, match=r"write \{stem\}_\{series\} in it"):
        images_of(tmp_path / "a.npy", "{stem}.zarr")
    (error,) = images_of(tmp_path / "a.npy", "{well}_{series}.zarr")
    assert isinstance(error, TileconvError)
    assert "{well} is of plates, and this is none" in str(error)
