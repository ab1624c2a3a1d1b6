"""What an OME-TIFF says of its image: https://docs.openmicroscopy.org/ome-model/6.3.1/, schema 2016-06."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from tileconv.images import ImageInfo
from tileconv.planning.files import OME_TYPES

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_SIZES = {"x": "PhysicalSizeX", "y": "PhysicalSizeY", "z": "PhysicalSizeZ", "t": "TimeIncrement"}


def ome_xml(info: ImageInfo, *, name: str, samples: int, creator: str, provenance: str, units: dict[str, str]) -> str:
    """Return the OME-XML of a file whose planes lie in the order of (t, c, z), each one directory.

    Parameters
    ----------
    samples
        Channels that one plane holds: 3 and 4 of a colour image, which is one channel of so many samples here.
    creator
        What wrote the file.
    provenance
        Where the pixels come from, as a JSON text; an annotation of the image.
    units
        The symbols of the units of *info* by their names.

    Examples
    --------
    >>> info = ImageInfo((2, 4, 5), "cyx", np.dtype("u1"), (1, 4, 5), channels=("DAPI", "GFP"))
    >>> text = ome_xml(info, name="cells", samples=1, creator="", provenance="", units={})
    >>> 'SizeC="2"' in text, text.count("<Channel")
    (True, 2)
    """
    sizes = dict.fromkeys("xyzct", 1) | dict(zip(info.axes, info.shape, strict=True))
    root = ElementTree.Element("OME", {"xmlns": _SCHEMA, "xmlns:xsi": _INSTANCE, "Creator": creator})
    root.set("xsi:schemaLocation", f"{_SCHEMA} {_SCHEMA}/ome.xsd")
    image = ElementTree.SubElement(root, "Image", ID="Image:0", Name=name)
    said = {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": OME_TYPES[info.dtype.name], "BigEndian": "false"}
    said |= {f"Size{axis.upper()}": str(size) for axis, size in sizes.items()}
    for axis, scale, unit in zip(info.axes, info.scale, info.units, strict=True):
        if axis in _SIZES and unit in units:
            said |= {_SIZES[axis]: repr(float(scale)), f"{_SIZES[axis]}Unit": units[unit]}
    pixels = ElementTree.SubElement(image, "Pixels", said)
    _channels(pixels, info, sizes["c"], samples)
    planes = sizes["t"] * sizes["z"] * sizes["c"] // samples
    ElementTree.SubElement(pixels, "TiffData", IFD="0", PlaneCount=str(planes))
    if provenance:
        ElementTree.SubElement(image, "AnnotationRef", ID="Annotation:0")
        annotations = ElementTree.SubElement(root, "StructuredAnnotations")
        comment = ElementTree.SubElement(annotations, "CommentAnnotation", ID="Annotation:0", Namespace="tileconv")
        ElementTree.SubElement(comment, "Value").text = provenance
    text = ElementTree.tostring(root, encoding="us-ascii").decode()  # what is no ASCII as references
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'


def _channels(pixels: Any, info: ImageInfo, count: int, samples: int) -> None:
    names, colours = info.channels or ("",) * count, info.colours or ("",) * count
    for number in range(count // samples):
        said = {"ID": f"Channel:0:{number}", "SamplesPerPixel": str(samples)}
        if samples == 1 and names[number]:
            said["Name"] = names[number]
        if samples == 1 and colours[number]:
            said["Color"] = str(int(np.uint32(int(colours[number], 16) << 8 | 255).view(np.int32)))
        ElementTree.SubElement(pixels, "Channel", said)
