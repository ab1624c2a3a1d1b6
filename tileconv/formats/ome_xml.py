"""What an OME-TIFF says of its image: https://docs.openmicroscopy.org/ome-model/6.3.1/, schema 2016-06.

The schema has no place for how bright an image is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from xml.etree import ElementTree

import numpy as np

from tileconv.acquisition import SCHEMA, Element, carried
from tileconv.images import ImageInfo
from tileconv.units import SYMBOLS

_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_FOREIGN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    r"""Return *text* with characters that XML does not have written as Python writes them.

    Examples
    --------
    >>> xml_text("DAPI\x00 & more")
    'DAPI\\u0000 & more'
    """
    return _FOREIGN.sub(lambda one: f"\\u{ord(one[0]):04x}", text)


def ome_xml(info: ImageInfo, *, name: str, samples: int, creator: str, provenance: str, acquired: str = "") -> str:
    """Return the OME-XML of a file whose planes lie in the order of (t, c, z), each one directory.

    Parameters
    ----------
    samples
        Channels that one plane holds: 3 and 4 of a colour image, which is one channel of so many samples here.
    creator
        What wrote the file.
    provenance
        Where the pixels come from, as a JSON text; an annotation of the image.
    acquired
        How the image was acquired, as ``Source.acquired`` returns it; that of another schema is left out.

    Examples
    --------
    >>> info = ImageInfo((2, 4, 5), "cyx", np.dtype("u1"), (1, 4, 5), channels=("DAPI", "GFP"))
    >>> text = ome_xml(info, name="cells", samples=1, creator="", provenance="")
    >>> 'SizeC="2"' in text, text.count("<Channel")
    (True, 2)
    """
    root = carried(acquired if knows(acquired) else "", info)
    (image,) = root.iter("Image")
    (pixels,) = image.iter("Pixels")
    root.attrib |= {"xmlns:xsi": _INSTANCE, "xsi:schemaLocation": f"{SCHEMA} {SCHEMA}/ome.xsd", "Creator": creator}
    image.set("Name", xml_text(name))
    pixels.set("BigEndian", "false")
    sizes = dict.fromkeys("tcz", 1) | dict(zip(info.axes, info.shape, strict=True))
    channels = range(sizes["c"] // samples)
    told, planes = ([*pixels.iter(tag)] for tag in ("Channel", "Plane"))
    if [one.get("SamplesPerPixel", "1") for one in told] != [str(samples)] * len(channels):
        told, planes = [ElementTree.Element("Channel", ID=f"Channel:0:{number}") for number in channels], []
    numbers = [*product(range(sizes["t"]), channels, range(sizes["z"]))]
    all_ = ElementTree.Element("TiffData", IFD="0", PlaneCount=str(len(numbers)))
    pixels[:] = [*_named(told, info, samples), all_, *_placed(planes, info, numbers)]
    if provenance:
        ElementTree.SubElement(image, "AnnotationRef", ID="Annotation:0")
        annotations = ElementTree.SubElement(root, "StructuredAnnotations")
        comment = ElementTree.SubElement(annotations, "CommentAnnotation", ID="Annotation:0", Namespace="tileconv")
        ElementTree.SubElement(comment, "Value").text = provenance
    text = ElementTree.tostring(root, encoding="us-ascii").decode()  # what is no ASCII as references
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'


def knows(acquired: str) -> bool:
    """Return whether *acquired*, as ``Source.acquired`` returns it, is of the schema of the files that are written."""
    return acquired.startswith(f'<OME xmlns="{SCHEMA}"')


def _named(channels: Sequence[Element], info: ImageInfo, samples: int) -> Sequence[Element]:
    """Return *channels* with their names and colours, of a colour image with neither."""
    for number, channel in enumerate(channels):
        channel.set("SamplesPerPixel", str(samples))
        if samples == 1 and info.channels and info.channels[number]:
            channel.set("Name", xml_text(info.channels[number]))
        if samples == 1 and info.colours and info.colours[number]:
            channel.set("Color", str(int(np.uint32(int(info.colours[number], 16) << 8 | 255).view(np.int32))))
    return channels


def _placed(planes: Sequence[Element], info: ImageInfo, numbers: Sequence[tuple[int, ...]]) -> Sequence[Element]:
    """Return *planes*; where the first pixel lies elsewhere than at the origin, each of *numbers* with its place."""
    along = {
        axis: (at, step, SYMBOLS.get(unit, "pixel"))
        for axis, at, step, unit in zip(info.axes, info.origin, info.scale, info.units, strict=True)
        if axis in "zyx" and (unit in SYMBOLS or (not unit and step == 1))
    }
    if not any(at for at, _, _ in along.values()):
        return planes
    names = ("TheT", "TheC", "TheZ")
    there = {tuple(int(plane.get(name, 0)) for name in names): plane for plane in planes}
    made = []
    for number in numbers:
        plane = there.get(number, ElementTree.Element("Plane", dict(zip(names, map(str, number), strict=True))))
        for axis, (at, step, unit) in along.items():
            place = at + number[2] * step * (axis == "z")
            plane.attrib |= {f"Position{axis.upper()}": repr(float(place)), f"Position{axis.upper()}Unit": unit}
        made.append(plane)
    return made
