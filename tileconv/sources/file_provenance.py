"""What a file that tileconv wrote says of how it was made: a TIFF in its metadata, a PNG in a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tileconv.sources.open import PICTURE_MAGIC, TIFF_MAGIC
from tileconv.sources.source import reading
from tileconv.sources.tiff_metadata import parsed
from tileconv.stores import steady

NAME = "tileconv"
_METADATA = 42112


def told_by(path: Path) -> dict[str, Any] | None:
    """Return what the file at *path* says of how it was made; None where it says nothing, or is not there."""
    if not steady.is_file(path):
        return None
    with reading(str(path), "opening"):
        with steady.opened(path) as file:
            head = file.read(8)
        text = (
            _of_tiff(path) if head.startswith(TIFF_MAGIC) else _of_png(path) if head.startswith(PICTURE_MAGIC) else ""
        )
        told = json.loads(text) if text else None
    return {**told, "complete": True} if isinstance(told, dict) else None


def _of_tiff(path: Path) -> str:
    """Return the annotation of an OME-XML, or the item of GDAL's metadata, that names us."""
    from tileconv.sources.tiff_layout import open_tiff

    with open_tiff(path) as (file, _, _):
        tags = file.pages.first.tags
        stored = file.ome_metadata if file.is_ome else tags.valueof(_METADATA)
    root = parsed(stored, "metadata", str(path)) if stored else ElementTree.Element("none")
    ours = (node for node in root.iter() if NAME in (node.get("Namespace"), node.get("name")))
    return next(("".join(node.itertext()) for node in ours), "")


def _of_png(path: Path) -> str:
    from PIL import Image

    with steady.opened(path) as file, Image.open(file) as image:
        return str(image.info.get(NAME, ""))
