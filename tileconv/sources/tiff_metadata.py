"""Pixel size, units, channel names and nodata out of the metadata that TIFF files carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tileconv.errors import SourceError
from tileconv.images import exact_number
from tileconv.sources.tiff_guard import PAGE_LIMIT

XML_LIMIT_BYTES = 64 * 2**20

LENGTHS = {
    **{"m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "pm": "picometer", "inch": "inch"},
    **{"µm": "micrometer", "μm": "micrometer", "um": "micrometer", "micron": "micrometer", "\\u00B5m": "micrometer"},
    **{"s": "second", "sec": "second", "ms": "millisecond", "min": "minute", "h": "hour"},
}
"""Unit symbols of OME-XML and ImageJ as the names that OME-Zarr uses."""


def check_ome(file: Any, where: str) -> ElementTree.Element | None:
    """Return the OME-XML, or None; SourceError when it declares entities, or counts what cannot be.

    tifffile makes lists as long as the numbers say.
    """
    if not file.is_ome:
        return None
    text = file.ome_metadata or ""
    if len(text) > XML_LIMIT_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceError("the OME-XML is larger than 64 MiB or declares a document type", where=where)
    root = ElementTree.fromstring(text)  # noqa: S314 entities are refused above
    for element in root.iter():
        _check_numbers(element, where)
    return root


def _check_numbers(element: ElementTree.Element, where: str) -> None:
    """Refuse sizes and positions that are no counts, or over ``PAGE_LIMIT`` planes."""
    kind, found = element.tag.rpartition("}")[2], element.attrib
    planes: float
    if kind == "Pixels":
        order = found.get("DimensionOrder", "")
        if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
            raise SourceError(f"expected a DimensionOrder such as XYZCT, found {order[:20]!r}", where=where)
        sizes = [_count(found, f"Size{axis}", where, least=1) for axis in "XYZCT"]
        planes = prod(sizes[2:])
    elif kind == "TiffData":
        names = ("IFD", "PlaneCount", "NumPlanes", "FirstZ", "FirstC", "FirstT")
        planes = sum(_count(found, name, where) for name in names if name in found)
    elif kind.startswith("ModuloAlong") and "Start" in found:
        step = float(found.get("Step", 1))
        planes = (float(found["End"]) - float(found["Start"])) / step if step else np.inf
    else:
        return
    if not planes <= PAGE_LIMIT:
        raise SourceError(f"the OME-XML speaks of more than {PAGE_LIMIT} planes", where=where)


def _count(found: Mapping[str, str], name: str, where: str, *, least: int = 0) -> int:
    text = found.get(name, "")
    if not text.isdecimal() or len(text) > 18 or int(text) < least:
        raise SourceError(f"expected {name} from {least} in the OME-XML, found {text[:40]!r}", where=where)
    return int(text)


def check_descriptions(series: Any, where: str) -> None:
    """Refuse a file of tifffile's own kind whose shape is not that of its pages; tifffile would give the first page."""
    text = getattr(series.keyframe, "shaped_description", None)
    shape = json.loads(text).get("shape") if text and text.startswith("{") else None
    if shape is not None and prod(shape) != prod(series.shape):
        raise SourceError(f"the description speaks of shape {shape}, the pages have {series.shape}", where=where)


def nodata_of(page: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return the value of the GDAL_NODATA tag, or None with a note when no pixel can have that value."""
    tag = page.tags.get(42113)
    if tag is None:
        return None, ()
    try:
        text = str(tag.value).strip().rstrip("\0").replace(",", ".")
        value = exact_number(int(text) if text.lstrip("+-").isdecimal() else float(text))
        whole = page.dtype.kind in "bui"
        limits = np.iinfo(np.uint8 if page.dtype.kind == "b" else page.dtype) if whole else None
        if limits is None or (limits.min <= value <= limits.max and value == int(value)):
            return value, ()
    except (ValueError, OverflowError):
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
    sizes = {axis: _size(pixels.attrib.get(key)) for axis, key in keys.items()}
    scale = {axis: size for axis, size in sizes.items() if size is not None}
    units = {
        axis: pixels.attrib.get(f"{keys[axis]}Unit", "s" if axis == "t" else "µm").replace("\\u00B5", "µ")
        for axis in scale
    }
    names = [channel.attrib.get("Name", "") for channel in pixels if channel.tag.endswith("}Channel")]
    return scale, {axis: LENGTHS.get(unit, unit) for axis, unit in units.items()}, tuple(names) if any(names) else ()


def _size(text: Any) -> float | None:
    """Return the size of a pixel without its sign, or None for what is none: words, 0, NaN, infinity."""
    try:
        size = abs(float(text))
    except (TypeError, ValueError):
        return None
    return size if 0 < size < np.inf else None


def _imagej(file: Any) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    meta = file.imagej_metadata or {}
    unit = LENGTHS.get(str(meta.get("unit", "")), str(meta.get("unit", "")))
    scale, units, _ = _resolution(file.pages.first, None, unit) if unit not in ("", "pixel") else ({}, {}, ())
    spacing, interval = _size(meta.get("spacing")), _size(meta.get("finterval"))
    if scale and spacing:
        scale["z"], units["z"] = spacing, unit
    if interval:
        scale["t"], units["t"] = interval, "second"
    return scale, units, ()


def _resolution(page: Any, only: int | None, unit: str) -> tuple[dict[str, float], dict[str, str], tuple[str, ...]]:
    """Pixel size from the resolution tags; dots per inch are a size on paper and say nothing of the pixels."""
    stated = page.tags.get(296)
    if only is not None and (stated is None or stated.value != only):
        return {}, {}, ()
    scale = {}
    for axis, code in (("x", 282), ("y", 283)):
        tag = page.tags.get(code)
        value = tag.value if tag is not None else ()
        if isinstance(value, tuple) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value):
            scale[axis] = value[1] / value[0]
    return scale, dict.fromkeys(scale, unit), ()
