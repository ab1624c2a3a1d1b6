"""What lies in a folder, without a library: Zarr nodes by their metadata, images by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tileconv.errors import SourceError
from tileconv.sources.choices import size
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
IMAGE_SUFFIXES = frozenset((".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy"))
DEEPEST, MOST_ENTRIES = 4, 2000
"""Folders below the given one that are looked into for images, and what is looked at in all."""


def is_store(path: Place) -> bool:
    """Return whether *path* is the folder of a Zarr array or group."""
    return any(anywhere.is_there(path / name) for name in ZARR_FILES)


def below(folder: Place, name: str) -> Place:
    """Return *name* below *folder*; metadata of others must not lead out of it."""
    target = folder / name
    if not anywhere.within(target, folder):
        raise SourceError(f"the metadata names a path outside the folder, {name!r}", where=str(folder))
    return target


def attributes_of(node: Place) -> dict[str, Any]:
    """Return the attributes of a Zarr node, those of OME beside the others; none where they cannot be read."""
    document = _document(node / "zarr.json")
    attributes = document.get("attributes") if document else _document(node / ".zattrs")
    attributes = attributes if isinstance(attributes, Mapping) else {}
    ome = attributes.get("ome")
    return {**attributes, **(ome if isinstance(ome, Mapping) else {})}


def shape_text(folder: Place, name: str) -> str:
    """Return the shape of the array *name* below *folder*, or of the first level of the image there, in words."""
    node = below(folder, name)
    shape = next((d["shape"] for f in ("zarr.json", ".zarray") if "shape" in (d := _document(node / f))), None)
    if isinstance(shape, list):
        return size(shape)
    with suppress(LookupError, TypeError):
        return shape_text(node, str(attributes_of(node)["multiscales"][0]["datasets"][0]["path"]))
    return "no image"


def images_below(folder: Place) -> list[str]:
    """Return the names of Zarr images and of files that look like images, relative to *folder*, in order."""
    images, waiting, left = list[str](), [(folder, "", 0)], MOST_ENTRIES
    while waiting and left > 0:
        path, above, depth = waiting.pop()
        for name in sorted(anywhere.names(path) if anywhere.is_folder(path) else ())[:left]:
            left -= 1
            child = path / name
            if child.suffix.lower() in IMAGE_SUFFIXES or " x " in shape_text(path, name):
                images.append(f"{above}{name}")
            elif depth < DEEPEST and anywhere.is_folder(child) and not anywhere.is_link(child):
                waiting.append((child, f"{above}{name}/", depth + 1))
    return sorted(images)


def _document(path: Place) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(anywhere.content(path) or b"{}")
        return found if isinstance(found, dict) else {}
    return {}
