"""Which image of a file is read, and that a plan and a report tell of the others."""

from __future__ import annotations

import json
import shutil

import numpy as np
import PIL
import pytest
import tifffile
import zarr
from PIL import Image
from sources_help import assert_reads, noise

import tileconv
from tileconv.errors import SourceError
from tileconv.sources.open import open_source

SMALL, LARGE = noise((20, 30), "u1"), noise((40, 50), "u2", seed=2)


def notes_of(path, **choice):
    return " | ".join(open_source(path, **choice).info.notes)


def test_series_of_a_tiff_are_told_in_plan_and_report(tmp_path):
    for i in range(3):
        tifffile.imwrite(tmp_path / "a.tif", SMALL + i if i < 2 else LARGE, append=i > 0)
    said = (
        "series 1 of 0 to 2 is read (20 x 30 uint8); input.series takes another: 0 (20 x 30 uint8), 2 (40 x 50 uint16)"
    )
    spec = {"version": 1, "input": {"path": str(tmp_path / "a.tif"), "series": 1}, "stages": []}
    spec |= {"output": {"path": str(tmp_path / "o.zarr")}}
    assert said in tileconv.plan(spec).source.notes
    assert said in tileconv.plan(spec).as_json()["input"]["notes"]
    assert said in tileconv.run(spec).notes
    assert_reads(open_source(tmp_path / "a.tif", series=2), LARGE)
    with pytest.raises(SourceError, match=r"series of 0 to 2, found 3\. Its series: 0 \(20 x 30 uint8\), 1 .*40 x 50"):
        open_source(tmp_path / "a.tif", series=3)


def test_levels_of_a_tiff(tmp_path):
    with tifffile.TiffWriter(tmp_path / "marked.tif") as file:
        file.write(LARGE, subifds=1, metadata=None)
        file.write(LARGE[::2, ::2], subfiletype=1, metadata=None)
    for i, image in enumerate((LARGE, LARGE[::2, ::2])):
        tifffile.imwrite(tmp_path / "unmarked.tif", image, metadata=None, append=i > 0)
    for i, image in enumerate((LARGE, LARGE[::2, ::2])):
        tifffile.imwrite(tmp_path / "two.tif", image, append=i > 0)
    assert "level 0 of 0 to 1 is read (40 x 50); input.level takes another: 1 (20 x 25)" in notes_of(
        tmp_path / "marked.tif"
    )
    assert "level 1 of 0 to 1 is read (20 x 25, a level by its size alone); input.level takes another: 0 (40 x 50)" in (
        notes_of(tmp_path / "unmarked.tif", level=1)
    )
    assert "input.series takes another: 1 (20 x 25 uint16)" in notes_of(tmp_path / "two.tif")
    assert "level" not in notes_of(tmp_path / "two.tif")


XML = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{0}>{1}</OME>'
IMAGE = (
    '<Image ID="Image:{0}"><Pixels ID="P" DimensionOrder="XYCZT" Type="uint8" SizeX="30" SizeY="20" SizeC="1" '
    'SizeZ="{1}" SizeT="1" PhysicalSizeX="{0}.5" PhysicalSizeY="{0}.5">{2}</Pixels></Image>'
)
PLANE = '<TiffData IFD="{0}" FirstZ="{1}" PlaneCount="1"><UUID FileName="{2}">urn:uuid:{2}</UUID></TiffData>'


def ome(path, pages, root, *images):
    """Write *pages* with OME-XML of *images*: of each the planes as (page, name of the file)."""
    made = [
        IMAGE.format(i + 1, len(planes), "".join(PLANE.format(page, z, name) for z, (page, name) in enumerate(planes)))
        for i, planes in enumerate(images)
    ]
    xml = XML.format(root, "".join(made))
    tifffile.imwrite(path, pages, description=xml, metadata=None, photometric="minisblack")


def test_renamed_ome_tiff_is_read_when_all_planes_are_in_it(tmp_path):
    image = noise((3, 20, 30), "u1")
    ome(tmp_path / "new name.tif", image, "", [(2, "old.tif"), (0, "old.tif"), (1, "old.tif")])
    source = open_source(tmp_path / "new name.tif")
    assert_reads(source, image[[2, 0, 1]])
    assert source.info.scale == (1.0, 1.5, 1.5)
    assert "the OME-XML calls this file 'old.tif'" in source.info.notes
    ome(tmp_path / "b.tif", image[:2], "", [(0, "old.tif"), (1, "old.tif"), (2, "old.tif")])
    with pytest.raises(SourceError, match=r"another file, 'old\.tif'.*bfconvert"):
        open_source(tmp_path / "b.tif")


@pytest.mark.parametrize("root", ["", ' UUID="urn:uuid:b.tif"'])
def test_images_of_an_ome_set_that_lie_in_this_file(tmp_path, root):
    image = noise((2, 20, 30), "u1")
    ome(tmp_path / "b.tif", image, root, [(0, "a.tif")], [(0, "b.tif")], [(1, "b.tif")], [(1, "c.tif")])
    source = open_source(tmp_path / "b.tif", series=1)
    assert_reads(source, image[1])
    assert source.info.scale == (3.5, 3.5)
    said = " | ".join(source.info.notes)
    assert "2 of the 4 images of this OME set lie in other files, 'a.tif', 'c.tif'" in said
    assert "series 1 of 0 to 1 is read" in said
    ome(tmp_path / "b.tif", image, root, [(0, "b.tif"), (0, "c.tif")])
    with pytest.raises(SourceError, match=r"another file, 'c\.tif'"):
        open_source(tmp_path / "b.tif")


def test_pages_that_the_metadata_do_not_name_are_told(tmp_path):
    image = noise((5, 20, 30), "u1")
    ome(tmp_path / "a.tif", image, "", [(0, "a.tif"), (1, "a.tif")], [(4, "a.tif")])
    assert "2 of the 5 pages belong to no image of which the file tells" in notes_of(tmp_path / "a.tif")
    ome(tmp_path / "a.tif", image[:3], "", [(0, "a.tif"), (1, "a.tif")], [(2, "a.tif")])
    assert "belong" not in notes_of(tmp_path / "a.tif")


def test_one_file_of_an_ome_set_with_metadata_elsewhere(tmp_path):
    xml = XML.format("", '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/>')
    tifffile.imwrite(tmp_path / "a.tif", SMALL, description=xml, metadata=None)
    assert_reads(open_source(tmp_path / "a.tif"), SMALL)
    assert "one file of an OME set" in notes_of(tmp_path / "a.tif")


def image_group(path, *levels, **attributes):
    """Write an OME-Zarr image of *levels*, or several of one level each."""
    group = zarr.open_group(path, mode="w")
    for i, level in enumerate(levels):
        group.create_array(str(i), data=level)
    datasets = [{"path": str(i)} for i in range(len(levels))]
    group.attrs["ome"] = {"multiscales": [{"axes": ["y", "x"], "datasets": datasets}], **attributes}


def attributes(path, **ome):
    zarr.open_group(path, mode="a").attrs["ome"] = ome


def test_levels_series_and_labels_of_an_ome_zarr(tmp_path):
    image_group(tmp_path / "a", LARGE, LARGE[::2, ::2])
    assert notes_of(tmp_path / "a", level=1) == (
        "level 1 of 0 to 1 is read (20 x 25); input.level takes another: 0 (40 x 50)"
    )
    attributes(tmp_path / "a" / "labels", labels=["nuclei", "cells"])
    image_group(tmp_path / "a" / "labels" / "nuclei", SMALL)
    assert "labels, images of their own: labels/nuclei (20 x 30), labels/cells (no image)" in notes_of(tmp_path / "a")
    assert_reads(open_source(tmp_path / "a" / "labels" / "nuclei"), SMALL)
    with pytest.raises(SourceError, match=r"a group of labels.*such as .*labels/nuclei; there are nuclei \(20 x 30"):
        open_source(tmp_path / "a" / "labels")
    datasets = [{"axes": ["y", "x"], "datasets": [{"path": str(i)}]} for i in range(2)]
    attributes(tmp_path / "a", multiscales=datasets)
    assert "series 0 of 0 to 1 is read (40 x 50); input.series takes another: 1 (20 x 25)" in notes_of(tmp_path / "a")
    with pytest.raises(SourceError, match=r"series of 0 to 1, found 2\. Its series: 0 \(40 x 50\), 1 \(20 x 25\)\."):
        open_source(tmp_path / "a", series=2)
    attributes(tmp_path / "a", multiscales=[])
    with pytest.raises(SourceError, match="no series of an image is in it"):
        open_source(tmp_path / "a")
    attributes(tmp_path / "a", multiscales=[{"axes": ["y", "x"], "datasets": []}])
    with pytest.raises(SourceError, match="in it"):
        open_source(tmp_path / "a")


@pytest.mark.parametrize("listed", [True, False])
def test_series_of_bioformats2raw(tmp_path, listed):
    names = ["first", "second"] if listed else ["0", "1"]
    attributes(tmp_path / "a", **{"bioformats2raw.layout": 3})
    if listed:
        attributes(tmp_path / "a" / "OME", series=names)
    for name, image in zip(names, (SMALL, LARGE), strict=True):
        image_group(tmp_path / "a" / name, image)
    assert_reads(open_source(tmp_path / "a", series=1), LARGE)
    assert "series 1 of 0 to 1 is read (40 x 50); input.series takes another: 0 (20 x 30)" in (
        notes_of(tmp_path / "a", series=1)
    )
    with pytest.raises(SourceError, match="series of 0 to 1, found 2"):
        open_source(tmp_path / "a", series=2)


def test_a_plate_and_a_well_name_their_images(tmp_path):
    wells = [f"A/{column}" for column in range(1, 13)]
    attributes(tmp_path / "p", plate={"wells": [{"path": name} for name in wells]}, **{"bioformats2raw.layout": 3})
    for name in wells[:2]:
        attributes(tmp_path / "p" / name, well={"images": [{"path": "0"}, {"path": "1"}]})
        image_group(tmp_path / "p" / name / "0", SMALL)
    with pytest.raises(SourceError, match=r"found a plate.*such as .*p/A/1/0; there are A/1/0 \(20 x 30\), A/1/1 \(no"):
        open_source(tmp_path / "p")
    with pytest.raises(SourceError, match=r"found a well of a plate.*such as .*A/2/0; there are 0 \(20 x 30\)"):
        open_source(tmp_path / "p" / "A/2")
    with pytest.raises(SourceError, match=r"images below: 1/0, 2/0\."):
        open_source(tmp_path / "p" / "A")
    attributes(tmp_path / "p", plate={"wells": [{"path": "../.."}]})
    with pytest.raises(SourceError, match="outside the folder"):
        open_source(tmp_path / "p")


def test_a_folder_above_the_image_names_what_is_below(tmp_path):
    image_group(tmp_path / "run" / "deep" / "a.zarr", SMALL)
    Image.fromarray(SMALL).save(tmp_path / "run" / "b.png")
    with pytest.raises(SourceError, match=r"folder without zarr.*images below: b\.png, deep/a\.zarr\.$"):
        open_source(tmp_path / "run")
    for i in range(12):
        (tmp_path / "slices").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "slices" / f"z{i:02}.tif", SMALL)
    with pytest.raises(SourceError, match=r"z00\.tif, .*z07\.tif and 4 more\. A pattern makes each of several files"):
        open_source(tmp_path / "slices")
    with pytest.raises(SourceError, match="looks like a pattern"):
        open_source(tmp_path / "slices" / "*.tif")
    with pytest.raises(SourceError, match=r"Its folder holds z00\.tif"):
        open_source(tmp_path / "slices" / "z00.tiff")
    with pytest.raises(SourceError, match=r"b\.png' is a file, and nothing lies below it"):
        open_source(tmp_path / "run" / "b.png" / "0")
    with pytest.raises(SourceError, match="There is no folder"):
        open_source(tmp_path / "rum" / "b.png")
    (tmp_path / "n5").mkdir()
    (tmp_path / "n5" / "attributes.json").write_text("{}")
    with pytest.raises(SourceError, match="an N5 store"):
        open_source(tmp_path / "n5")


def test_an_unreadable_neighbour_hides_no_image(tmp_path):
    image_group(tmp_path / "a", LARGE, SMALL)
    (tmp_path / "a" / "1" / "zarr.json").write_text("{")
    assert "1 (no image)" in notes_of(tmp_path / "a")


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("npy", (20, 30, 3)), ("npy", (2, 2, 20, 30, 4)), ("zarr", (20, 30, 4)), ("zarr2", (2, 20, 30, 3))],
)
def test_what_may_be_colour_must_be_named(tmp_path, kind, shape):
    image, path = noise(shape, "u1"), tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, image)
    else:
        zarr.create_array(path, data=image, zarr_format=2 if kind == "zarr2" else 3)
    colour, depth = "tzyx"[1 - len(shape) :] + "c", {3: "zyx", 4: "czyx", 5: "tczyx"}[len(shape)]
    with pytest.raises(
        SourceError, match=rf"may be colour.*input\.axes: {colour} if it is, or input\.axes: {depth} if"
    ):
        open_source(path)
    assert_reads(open_source(path, axes=depth), image)
    order = ["tczyx".index(letter) for letter in colour]
    assert_reads(open_source(path, axes=colour), image.transpose(np.argsort(order)))


def test_axes_of_the_user_instead_of_the_files_own_are_told(tmp_path):
    image_group(tmp_path / "a", LARGE)
    assert "input.axes xy is taken instead of the file's own y, x" in notes_of(tmp_path / "a", axes="xy")
    assert notes_of(tmp_path / "a", axes="yx") == ""
    zarr.create_array(tmp_path / "b", data=LARGE)
    assert notes_of(tmp_path / "b", axes="xy") == ""


def test_an_ome_image_without_axes_may_be_colour(tmp_path):
    image = noise((20, 30, 3), "u1")
    image_group(tmp_path / "a", image)
    attributes(tmp_path / "a", multiscales=[{"datasets": [{"path": "0"}]}])
    with pytest.raises(SourceError, match=r"Set input\.axes: yxc if it is"):
        open_source(tmp_path / "a")
    assert_reads(open_source(tmp_path / "a", axes="zyx"), image)


def test_pages_three_pixels_wide_may_be_colour(tmp_path):
    image = noise((20, 30, 3), "u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", metadata=None)
    with pytest.raises(SourceError, match=r"Set input\.axes: yxc if it is, or input\.axes: zyx if it is not"):
        open_source(tmp_path / "a.tif")
    assert_reads(open_source(tmp_path / "a.tif", axes="zyx"), image)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_several_pictures_in_one_file(tmp_path, name):
    pictures = [Image.fromarray(SMALL + i) for i in range(3)]
    form = {"a.png": "PNG", "a.jpg": "MPO"}[name]
    pictures[0].save(tmp_path / name, form, save_all=True, append_images=pictures[1:])
    if form == "MPO" and PIL.__version__.startswith("10."):
        pytest.skip("Pillow 10 writes an MPO that no Pillow reads as one")
    assert "the first of 3 pictures in the file is read" in open_source(tmp_path / name).info.notes


def test_a_choice_between_many_images_is_told_in_a_few_words(tmp_path):
    attributes(tmp_path / "a", **{"bioformats2raw.layout": 3})
    image_group(tmp_path / "a" / "0", SMALL)
    for i in range(1, 30):
        shutil.copytree(tmp_path / "a" / "0", tmp_path / "a" / str(i))
    said = notes_of(tmp_path / "a", series=20)
    assert said.startswith("series 20 of 0 to 29 is read (20 x 30); input.series takes another: 0 (20 x 30), ")
    assert said.endswith("7 (20 x 30) and 21 more")


def test_the_zarr_metadata_themselves_name_their_folder(tmp_path):
    image_group(tmp_path / "a", SMALL)
    with pytest.raises(SourceError, match=rf"a file of a Zarr store\. Give its folder, '{tmp_path / 'a'}'"):
        open_source(tmp_path / "a" / "zarr.json")
    assert json.loads((tmp_path / "a" / "zarr.json").read_text())["node_type"] == "group"
