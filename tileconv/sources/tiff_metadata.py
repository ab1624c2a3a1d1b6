"""What is checked of the metadata that TIFF files carry before tifffile acts on it, and their nodata value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tileconv.errors import SourceError
from tileconv.images import exact_number, holds
from tileconv.sources.source import pixel_type
from tileconv.sources.tiff_guard import PAGE_LIMIT

XML_LIMIT_BYTES = 64 * 2**20


def check_ome(file: Any, where: str) -> ElementTree.Element | None:
    """Return the OME-XML, or None; SourceError when it declares entities, or counts what cannot be.

    tifffile makes lists as long as the numbers say.
    """
    if not file.is_ome:
        return None
    root = parsed(file.ome_metadata or "", "OME-XML", where)
    for element in root.iter():
        _check_numbers(element, where)
    return root


def parsed(text: str, kind: str, where: str) -> ElementTree.Element:
    """Return the root of an XML text; SourceError when it is huge, declares entities or is no XML."""
    if len(text) > XML_LIMIT_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise SourceError(f"the {kind} is larger than 64 MiB or declares a document type", where=where)
    return ElementTree.fromstring(text)  # noqa: S314 entities are refused above


def _check_numbers(element: ElementTree.Element, where: str) -> None:
    """Refuse sizes and positions that are no counts, or over ``PAGE_LIMIT`` planes."""
    kind, numbers = element.tag.rpartition("}")[2], element.attrib
    planes: float
    if kind == "Pixels":
        order = numbers.get("DimensionOrder", "")
        if sorted(order) != sorted("XYZCT") or not order.startswith("XY"):
            raise SourceError(f"expected a DimensionOrder such as XYZCT, found {order[:20]!r}", where=where)
        sizes = [_count(numbers, f"Size{axis}", where, least=1) for axis in "XYZCT"]
        planes = prod(sizes[2:])
    elif kind == "TiffData":
        names = ("IFD", "PlaneCount", "NumPlanes", "FirstZ", "FirstC", "FirstT")
        planes = sum(_count(numbers, name, where) for name in names if name in numbers)
    elif kind.startswith("ModuloAlong") and "Start" in numbers:
        step = float(numbers.get("Step", 1))
        planes = (float(numbers["End"]) - float(numbers["Start"])) / step if step else np.inf
    else:
        return
    if not planes <= PAGE_LIMIT:
        raise SourceError(f"the OME-XML speaks of more than {PAGE_LIMIT} planes", where=where)


def _count(numbers: Mapping[str, str], name: str, where: str, *, least: int = 0) -> int:
    text = numbers.get(name, "")
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
        if holds(pixel_type(page.dtype, ""), value):
            return value, ()
    except (ValueError, OverflowError):
        pass
    return None, (f"the nodata tag {tag.value!r} is no value of {page.dtype} and is ignored",)
