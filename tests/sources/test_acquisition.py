"""How an image was acquired goes into the result as OME-XML, without what is no longer true of it."""

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr

import tileconv
from tileconv.acquisition import KEY, MOST_BYTES, acquisition, fitted
from tileconv.images import ImageInfo
from tileconv.sources.open import open_source

SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
IMAGE = np.random.default_rng(0).integers(0, 999, (2, 3, 40, 50)).astype(np.uint16)
PLANES = "".join(
    f'<Plane TheZ="{z}" TheC="{c}" TheT="0" DeltaT="{z}.5" ExposureTime="0.1" PositionX="7" PositionXUnit="mm"/>'
    for c in range(2)
    for z in range(3)
)
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="{SPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" Creator="a microscope"
 UUID="urn:uuid:00000000-0000-0000-0000-000000000000"
 xsi:schemaLocation="{SPACE} {SPACE}/ome.xsd">
 <Experimenter ID="Experimenter:0" LastName="Curie"/><Experimenter ID="Experimenter:1" LastName="Other"/>
 <Instrument ID="Instrument:0"><Microscope Manufacturer="Zeiss" Model="LSM 980"/>
  <Objective ID="Objective:0" NominalMagnification="63" LensNA="1.4"><AnnotationRef ID="Annotation:0"/></Objective>
 </Instrument>
 <Instrument ID="Instrument:1"/>
 <Image ID="Image:0" Name="cells">
  <AcquisitionDate>2026-01-02T03:04:05</AcquisitionDate><ExperimenterRef ID="Experimenter:0"/>
  <Description>mitosis &amp; more</Description><InstrumentRef ID="Instrument:0"/>
  <ObjectiveSettings ID="Objective:0" RefractiveIndex="1.518"/>
  <StageLabel Name="here" X="1" Y="2"/>
  <Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeZ="3" SizeC="2" SizeT="1"
   PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0.5" SignificantBits="12" BigEndian="false">
   <Channel ID="Channel:0:0" Name="DAPI" EmissionWavelength="461" SamplesPerPixel="1"/>
   <Channel ID="Channel:0:1" Name="GFP" EmissionWavelength="509" Color="16711935" SamplesPerPixel="1">
    <AnnotationRef ID="Annotation:0"/></Channel>
   <TiffData IFD="0" PlaneCount="6"/>{PLANES}
  </Pixels><ROIRef ID="ROI:0"/>
 </Image>
 <StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><x xmlns="y"/></Value>
 </XMLAnnotation></StructuredAnnotations>
 <ROI ID="ROI:0"><Union/></ROI>
</OME>"""


@pytest.fixture
def image(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", IMAGE, description=XML.encode(), metadata=None, photometric="minisblack")
    return tmp_path / "a.ome.tif"


def made(image, stages=(), **words):
    spec = {"version": 1, "input": {"path": str(image)}, "stages": list(stages)}
    spec["output"] = {"path": str(image.parent / "out.ome.zarr"), **words}
    return tileconv.run(spec, overwrite=True).output


def parsed(text):
    return ElementTree.fromstring(text)  # noqa: S314 ours


def parts(folder):
    root = parsed((folder / KEY).read_bytes())
    (pixels,) = root.iter(f"{{{SPACE}}}Pixels")
    return root, pixels, [*pixels.iter(f"{{{SPACE}}}Channel")], [*pixels.iter(f"{{{SPACE}}}Plane")]


def tags(root):
    return {element.tag.rpartition("}")[2] for element in root.iter()}


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_what_is_told_of_instrument_settings_and_planes_is_carried(image, version):
    folder = made(image, [{"op": "gaussian", "sigma": 1}], format=version)
    root, pixels, channels, planes = parts(folder)
    text = (folder / KEY).read_text("utf-8")
    for told in ("LSM 980", "Curie", "LensNA", "mitosis &amp; more", "2026-01-02T03:04:05", "1.518", "here"):
        assert told in text
    assert tags(root).isdisjoint({"AnnotationRef", "StructuredAnnotations", "ROI", "ROIRef", "TiffData", "x"})
    assert "Other" not in text
    assert 'ID="Instrument:1"' not in text
    assert {key: pixels.get(key) for key in ("Type", "SizeX", "SizeC", "PhysicalSizeZ", "PhysicalSizeZUnit")} == {
        "Type": "float", "SizeX": "50", "SizeC": "2", "PhysicalSizeZ": "0.5", "PhysicalSizeZUnit": "µm",
    }  # fmt: skip
    assert pixels.get("SignificantBits") is None
    assert [channel.get("EmissionWavelength") for channel in channels] == ["461", "509"]
    assert len(planes) == 6
    assert planes[0].get("PositionX") == "7"
    assert [name for name, _ in zarr.open_group(folder, mode="r").groups()] == ["OME"]


def test_an_ome_tiff_carries_it(image, tmp_path):
    run = {"version": 1, "input": {"path": str(image)}, "stages": [], "output": {"path": str(tmp_path / "b.ome.tif")}}
    tileconv.run(run)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        root = parsed(file.ome_metadata)
        (pixels,) = root.iter(f"{{{SPACE}}}Pixels")
        np.testing.assert_array_equal(file.asarray(), IMAGE)
    inner = [child.tag.rpartition("}")[2] for child in pixels]
    assert inner == ["Channel"] * 2 + ["TiffData"] + ["Plane"] * 6
    assert {"Experimenter", "Microscope", "AcquisitionDate", "StageLabel", "CommentAnnotation"} <= tags(root)
    assert [one.get("EmissionWavelength") for one in pixels if one.get("Name")] == ["461", "509"]
    assert {one.get("PositionX") for one in pixels if one.get("TheZ")} == {"7"}
    assert acquisition(root, 0) == acquisition(parsed(open_source(tmp_path / "b.ome.tif").acquired()), 0)
    image.write_bytes(image.read_bytes().replace(b"2016-06", b"2012-06"))
    assert tileconv.export(image, tmp_path / "c.ome.tif").notes == (
        "how the image was acquired is told in an older schema of OME-XML, and is not carried",
    )
    with tifffile.TiffFile(tmp_path / "c.ome.tif") as file:
        assert tags(parsed(file.ome_metadata)).isdisjoint({"Experimenter", "Instrument", "Plane"})


def test_results_carry_it_on(image, tmp_path):
    folder = made(image)
    folder.rename(tmp_path / "first.ome.zarr")
    again = made(tmp_path / "first.ome.zarr")
    assert (again / KEY).read_bytes() == (tmp_path / "first.ome.zarr" / KEY).read_bytes()


def test_what_is_no_longer_true_is_not_carried(image):
    smaller = [{"op": "box", "size": 3, "extent": "valid"}]
    _, pixels, channels, planes = parts(made(image, smaller))
    assert (pixels.get("SizeX"), pixels.get("SizeY")) == ("48", "38")
    assert (len(channels), len(planes)) == (2, 6)
    assert planes[0].get("PositionX") is None
    assert planes[0].get("DeltaT") == "0.5"
    root, _, channels, planes = parts(made(image, [{"op": "box", "size": 3, "over": "zyx", "extent": "valid"}]))
    assert (len(channels), len(planes)) == (2, 0)
    assert "StageLabel" not in tags(root)
    bank = [{"op": "bank", "kernels": [[[1, 2]], [[2, 1]]]}]
    _, pixels, channels, planes = parts(made(image, bank))
    assert pixels.get("SizeC") == "4"
    assert (channels, planes) == ([], [])


def test_channels_are_known_by_their_names():
    told = acquisition(parsed(XML), 0)
    for names, kept in (
        (("GFP", "DAPI"), ["509", "461"]),
        (("GFP",), ["509"]),
        (("DAPI", "RFP"), []),
        ((), ["461", "509"]),
    ):
        info = ImageInfo((len(names) or 2, 3, 40, 50), "czyx", np.dtype("u2"), (1, 1, 40, 50), channels=names)
        root = parsed(fitted(told, info))
        assert [one.get("EmissionWavelength") for one in root.iter(f"{{{SPACE}}}Channel")] == kept


def test_pixels_that_ome_xml_does_not_know_have_none(image):
    assert not (made(image, dtype="int64") / "OME").exists()


def test_it_stays_small():
    plane = '<Plane TheZ="0" TheC="0" TheT="0" DeltaT="1"/>'
    many = XML.replace(PLANES, plane * (MOST_BYTES // len(plane) + 1))
    told = acquisition(parsed(many), 0)
    assert "<Plane" not in told
    assert "LSM 980" in told
    long = XML.replace("mitosis", "m" * MOST_BYTES)
    assert acquisition(parsed(long), 0) == ""
    assert acquisition(parsed(XML), 1) == ""


def test_what_lies_in_a_store_and_is_no_ome_xml_tells_nothing(image, tmp_path):
    folder = made(image)
    for text in (b"<OME", b"\xff", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a/>"):
        (folder / KEY).write_bytes(text)
        assert open_source(folder).acquired() == ""
    (tmp_path / "f").mkdir()
    assert not (
        made(tmp_path / "b.npy" if np.save(tmp_path / "b.npy", IMAGE[0, 0]) is None else image) / "OME"
    ).exists()
