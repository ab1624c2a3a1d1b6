"""Pixel size, units, channel names and nodata out of the metadata that TIFF files carry."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from tileconv.errors import SourceError

XML_LIMIT_BYTES = 64 * 2**20

LENGTHS = {
    **{"m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "pm": "picometer", "inch": "inch"},
    **{"µm": "micrometer", "μm": "micrometer", "um": "micrometer", "micron": "micrometer", "\\u00B5m": "micrometer"},
    **{"s": "second", "sec": "second", "ms": "millisecond", "min": "minute", "h": "hour"},
}
"""Unit symbols of OME-XML and ImageJ as the names that OME-Zarr uses."""


def refuse_other_files(file: Any, where: str) -> None:
    """Raise SourceError when OME-XML names another file for pixels, or declares entities.

    tifffile would open such a file wherever the path leads.
    """
    if not file.is_ome:
        return
    text = file.ome_metadata or ""
    if len(text) > XML_LIMIT_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceError("the OME-XML is larger than 64 MiB or declares a document type", where=where)
    root = ElementTree.fromstring(text)  # noqa: S314 entities are refused above
    for element in root.iter():
        name = element.attrib.get("FileName")
        if not element.tag.endswith("UUID") or name is None:
            continue
        own = element.text == root.attrib.get("UUID") if "UUID" in root.attrib else name == file.filename
        if not own:
            raise SourceError(
                f"the OME-XML takes pixels from another file, {name!r}, and multi-file images are not supported",
                where=where,
                fix="Write the image into one file, for example with bfconvert.",
            )


def nodata_of(page: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return the value of the GDAL_NODATA tag, or None with a note when no pixel can have that value."""
    tag = page.tags.get(42113)
    if tag is None:
        return None, ()
    try:
        value = float(str(tag.value).strip().rstrip("\0").replace(",", "."))
        whole = page.dtype.kind in "bui"
        limits = np.iinfo(np.uint8 if page.dtype.kind == "b" else page.dtype) if whole else None
        if limits is None or (value.is_integer() and limits.min <= value <= limits.max):
            return value, ()
    except ValueError:
        pass
    return None, (f"the nodata tag {tag.value!r} is no value of {page.dtype} and is ignored",)


def pixel_size(file: Any, series: Any, index: int) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    """Return pixel size and unit per axis letter of ``tzyx``, and the names of the channels, as far as known."""
    if series.kind == "ome":
        return _ome(file, index)
    if series.kind == "imagej":
        return _imagej(file)
    return _resolution(series.keyframe, 3, "centimeter")


def _ome(file: Any, index: int) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    root = ElementTree.fromstring(file.ome_metadata)  # noqa: S314 refuse_other_files has refused entities
    images = [pixels for pixels in root.iter() if pixels.tag.endswith("}Pixels")]
    if index >= len(images):
        return {}, {}, ()
    pixels, keys = (
        images[index],
        {"x": "PhysicalSizeX", "y": "PhysicalSizeY", "z": "PhysicalSizeZ", "t": "TimeIncrement"},
    )
    scale = {axis: float(pixels.attrib[key]) for axis, key in keys.items() if key in pixels.attrib}
    units = {
        axis: pixels.attrib.get(f"{keys[axis]}Unit", "s" if axis == "t" else "µm").replace("\\u00B5", "µ")
        for axis in scale
    }
    names = [channel.attrib.get("Name", "") for channel in pixels if channel.tag.endswith("}Channel")]
    return scale, {axis: LENGTHS.get(unit, unit) for axis, unit in units.items()}, tuple(names) if any(names) else ()


def _imagej(file: Any) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    meta = file.imagej_metadata or {}
    unit = LENGTHS.get(str(meta.get("unit", "")), str(meta.get("unit", "")))
    scale, units, _ = _resolution(file.pages.first, None, unit) if unit not in ("", "pixel") else ({}, {}, ())
    if scale and "spacing" in meta:
        scale["z"], units["z"] = abs(float(meta["spacing"])), unit
    if meta.get("finterval"):
        scale["t"], units["t"] = float(meta["finterval"]), "second"
    return scale, units, ()


def _resolution(page: Any, only: int | None, unit: str) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    """Pixel size from the resolution tags; dots per inch are a size on paper and say nothing of the pixels."""
    stated = page.tags.get(296)
    if only is not None and (stated is None or stated.value != only):
        return {}, {}, ()
    scale = {}
    for axis, code in (("x", 282), ("y", 283)):
        tag = page.tags.get(code)
        if tag is not None and np.prod(tag.value) > 0:
            scale[axis] = tag.value[1] / tag.value[0]
    return scale, dict.fromkeys(scale, unit), ()
