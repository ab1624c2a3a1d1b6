"""Which images of a TIFF file are read: series, levels, and the images of an OME set that lie in this file."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any
from xml.etree import ElementTree

from tileconv.errors import SourceError
from tileconv.sources.choices import chosen, listed, size
from tileconv.sources.tiff_metadata import check_descriptions

Element = ElementTree.Element


def choose(file: Any, series: int, level: int, where: str) -> tuple[Any, Any, list[str]]:
    """Return series *series* and its pyramid level *level*, both as tifffile's objects, and notes on the others.

    Raises
    ------
    SourceError
        If there is no such series or level: the message names those that there are.
    """
    images = every(file)
    said = chosen("series", series, [_text(one) for one in images], where)
    base = images[series]
    if base.is_multifile:
        raise SourceError("the image is spread over several files, which is not supported", where=where)
    check_descriptions(base, where)
    said += chosen("level", level, [_level_text(one) for one in base.levels], where)
    levels = [level for one in images for level in one.levels if not level.keyframe.is_subifd]
    used = sum(prod(one.shape) // prod(one.keyframe.shape) for one in levels)
    if len(file.pages) > used:
        said.append(
            f"{len(file.pages) - used} of the {len(file.pages)} pages belong to no image of which the file tells"
        )
    return base, base.levels[level], said


def every(file: Any) -> list[Any]:
    """Return the images of a parsed file."""
    return list(file.series() if callable(file.series) else file.series)


def _text(series: Any) -> str:
    name = f", {series.name[:40]!r}" if series.name else ""
    return f"{size(series.shape)} {series.dtype}{name}"


def _level_text(level: Any) -> str:
    page = level.keyframe
    by_size = level.kind == "generic" and page.index != 0 and not (page.is_reduced or page.is_subifd)
    return size(level.shape) + ", a level by its size alone" * by_size


def own_images(file: Any, root: Element, where: str) -> tuple[str | None, list[str]]:
    """Return the OME-XML of those images alone whose planes all lie in this file, and notes on the others.

    None instead of XML where it can stay as it is. A file without a UUID of its own that was renamed is known by its
    planes: all that the XML speaks of are in it, and belong to one file.

    Raises
    ------
    SourceError
        If no image lies in this file as a whole. tifffile would look for the others wherever their paths lead.
    """
    if any(child.tag.endswith("BinaryOnly") for child in root):
        return None, ["this is one file of an OME set, whose metadata lie in another file and are not read"]
    strangers = {(uuid.text, uuid.get("FileName")) for uuid in _uuids(root) if not _own(uuid, root, file)}
    if not strangers:
        return None, []
    names = listed(sorted({repr(name) for _, name in strangers}))
    uuids = {uuid.text for uuid in _uuids(root)}
    if "UUID" not in root.attrib and len(uuids) == 1 and _planes(root) <= len(file.pages):
        for data in root.iter():
            for uuid in [child for child in data if child.tag.endswith("UUID")]:
                data.remove(uuid)
        return _as_text(root), [f"the OME-XML calls this file {names}"]
    images = [child for child in root if child.tag.endswith("Image")]
    elsewhere = [image for image in images if not all(_own(uuid, root, file) for uuid in _uuids(image))]
    if len(elsewhere) == len(images):
        raise SourceError(
            f"the OME-XML takes pixels from another file, {names}, and images in several files are not supported",
            where=where,
            fix="Write the image into one file, for example with bfconvert.",
        )
    for image in elsewhere:
        root.remove(image)
    note = f"{len(elsewhere)} of the {len(images)} images of this OME set lie in other files, {names}"
    return _as_text(root), [f"{note}; input.series counts those of this file"]


def _uuids(element: Element) -> Iterator[Element]:
    """Yield what names the file of planes, below *element*."""
    return (one for one in element.iter() if one.tag.endswith("UUID") and one.get("FileName") is not None)


def _own(uuid: Element, root: Element, file: Any) -> bool:
    if "UUID" in root.attrib:
        return uuid.text == root.attrib["UUID"]
    return bool(uuid.get("FileName") == file.filename)


def _planes(root: Element) -> int:
    """Return how many pages the images that *root* speaks of take; ``check_ome`` has seen to the numbers."""
    planes = 0
    for pixels in (one for one in root.iter() if one.tag.endswith("Pixels")):
        samples = max((int(c.get("SamplesPerPixel", 1)) for c in pixels if c.tag.endswith("Channel")), default=1)
        planes += int(pixels.attrib["SizeZ"]) * int(pixels.attrib["SizeC"]) * int(pixels.attrib["SizeT"]) // samples
    return planes


def _as_text(root: Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")
