"""How an image was acquired, in the words of OME-XML: https://docs.openmicroscopy.org/ome-model/6.3.1/ome-xml/.

What of a file's OME-XML says of instrument, settings, date and people is carried into the result; sizes, type and scale
are those of the result. Annotations, regions of interest and plates refer to what is not carried.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from xml.etree import ElementTree

from tileconv.images import ImageInfo
from tileconv.storage import OME_TYPES
from tileconv.units import SYMBOLS

Element = ElementTree.Element

MOST_BYTES = 2**22
"""Of what is carried; planes, of which there may be many thousands, are the first to be left out."""
KEY = "OME/METADATA.ome.xml"
"""Where it lies in a result, as bioformats2raw and Bio-Formats have it."""
_LOST = {
    *("AnnotationRef", "ROIRef", "ExperimentRef", "MicrobeamManipulationRef", "ExperimenterGroupRef", "HashSHA1"),
    *("BinData", "TiffData", "MetadataOnly"),
}
"""What refers to parts that are not carried, or tells of pixels as they were."""
SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_BARE = f'<OME xmlns="{SCHEMA}"><Image ID="Image:0"><Pixels ID="Pixels:0"/></Image></OME>'


def acquisition(root: Element, index: int) -> str:
    """Return what the OME-XML *root* says of how its image number *index* came about, as OME-XML of that image alone.

    Empty where there is no such image, or too much is said.
    """
    space = root.tag.rpartition("}")[0].removeprefix("{")
    images = [child for child in root if _name(child) == "Image"]
    if index >= len(images):
        return ""
    image = copy.deepcopy(images[index])
    named = {child.get("ID") for child in image if _name(child) in ("InstrumentRef", "ExperimenterRef")}
    kinds = ("Experimenter", "Instrument")
    said = [copy.deepcopy(one) for one in root if _name(one) in kinds and one.get("ID") in named]
    made = ElementTree.Element("OME", {"xmlns": space, "Creator": "tileconv"})
    made.extend([*sorted(said, key=_name), image])
    for parent in [*made.iter()]:
        for child in [child for child in parent if not _kept(child, f"{{{space}}}")]:
            parent.remove(child)
    for element in made.iter():
        element.tag = _name(element)
        for key in [key for key in element.attrib if "}" in key]:
            del element.attrib[key]
    there = {one.get("ID") for one in made}
    for reference in [one for one in image if one.tag in ("InstrumentRef", "ExperimenterRef")]:
        if reference.get("ID") not in there:
            image.remove(reference)
    return _bounded(made)


def fitted(text: str, info: ImageInfo) -> bytes:
    """Return the *text* of ``acquisition`` for a result like *info*; empty where OME-XML has no such type of pixel."""
    if not text or info.dtype.name not in OME_TYPES:
        return b""
    root = carried(text, info)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'.encode()


def carried(text: str, info: ImageInfo) -> Element:
    """Return the OME-XML of a result like *info* with what *text*, of ``acquisition``, tells, which may be empty.

    What is told of channels and planes stays where these are still the same. Tags are without their namespace.
    """
    root = ElementTree.fromstring(text or _BARE)  # noqa: S314 made by ``acquisition``
    space = root.tag.removesuffix("OME")
    for element in root.iter():
        element.tag = _name(element)
    root.set("xmlns", space[1:-1])
    (image,) = (one for one in root if one.tag == "Image")
    (pixels,) = (one for one in image if one.tag == "Pixels")
    was = {axis: int(pixels.get(f"Size{axis.upper()}", 1)) for axis in "xyzct"}
    now = dict.fromkeys("xyzct", 1) | dict(zip(info.axes, info.shape, strict=True))
    channels = _channels(pixels, info, now["c"])
    planes = [one for one in pixels if one.tag == "Plane"]
    if not channels or any(was[axis] != now[axis] for axis in "zct"):
        planes = []
    if (was["y"], was["x"]) != (now["y"], now["x"]):  # another part of the sample than the stage was at
        _without_positions(image, planes)
    told = {"ID": pixels.get("ID", "Pixels:0"), "DimensionOrder": "XYZCT", "Type": OME_TYPES[info.dtype.name]}
    pixels.attrib.clear()
    pixels.attrib |= told | {f"Size{axis.upper()}": str(n) for axis, n in now.items()} | dict(_sizes(info))
    pixels[:] = [*channels, ElementTree.Element("MetadataOnly"), *planes]
    return root


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _kept(child: Element, space: str) -> bool:
    """Return whether *child* is of the OME-XML itself, its name made short or not, and refers to nothing."""
    own = isinstance(child.tag, str) and (child.tag.startswith(space) or "}" not in child.tag)
    return own and _name(child) not in _LOST


def _bounded(root: Element) -> str:
    text = ElementTree.tostring(root, encoding="unicode")
    if len(text) > MOST_BYTES:
        for pixels in root.iter("Pixels"):
            pixels[:] = [one for one in pixels if one.tag != "Plane"]
        text = ElementTree.tostring(root, encoding="unicode")
    return text if len(text) <= MOST_BYTES else ""


def _channels(pixels: Element, info: ImageInfo, count: int) -> list[Element]:
    """Return what is told of the *count* channels of a result, by their names where these have any; or nothing."""
    told = [one for one in pixels if one.tag == "Channel"]
    if any(one.get("SamplesPerPixel", "1") != "1" for one in told):  # colours, which are one channel
        return told if sum(int(one.get("SamplesPerPixel", "1")) for one in told) == count else []
    names = [one.get("Name", "") for one in told]
    if info.channels and len({*names}) == len(names) and {*info.channels} <= {*names}:
        told = [told[names.index(name)] for name in info.channels]
    elif info.channels and any(names):
        return []
    return told if len(told) == count else []


def _without_positions(image: Element, planes: list[Element]) -> None:
    for label in [one for one in image if one.tag == "StageLabel"]:
        image.remove(label)
    for plane in planes:
        for key in [key for key in plane.attrib if key.startswith(("PositionX", "PositionY"))]:
            del plane.attrib[key]


def _sizes(info: ImageInfo) -> Iterator[tuple[str, str]]:
    """Yield the attributes that tell the size of a pixel, and of a step in time."""
    for axis, size, unit in zip(info.axes, info.scale, info.units, strict=True):
        key = "TimeIncrement" if axis == "t" else f"PhysicalSize{axis.upper()}"
        if axis != "c" and unit in SYMBOLS and size > 0:
            yield from ((key, repr(float(size))), (f"{key}Unit", SYMBOLS[unit]))
