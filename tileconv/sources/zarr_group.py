"""Which array of a Zarr folder is read: images, levels, wells, fields and labels, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tileconv.errors import SourceError
from tileconv.sources.choices import SHOWN, chosen, listed, size
from tileconv.sources.folders import attributes_of, below, images_below, shape_text
from tileconv.sources.zarr_node import ArrayNode, node_of
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

Found = tuple[Place, Mapping[str, Any] | None, list[str]]


def find_array(path: Place, series: int, level: int) -> Found:
    """Return the folder of the array, the OME metadata that names it or None, and notes on what else there is.

    Raises
    ------
    SourceError
        If there is no such series or level, or the group is not one image: the message names those that there are.
    """
    where = str(path)
    node = node_of(path)
    if isinstance(node, ArrayNode):
        if series or level:
            problem = f"the folder is one array of {size(node.shape)}, found series {series}, level {level}"
            raise SourceError(problem, where=where, fix="Leave input.series and input.level at 0.")
        _refuse_unfinished(node.attributes, where)
        _refuse_unfinished(attributes_of(path.parent), where)
        return path, None, []
    attributes = {**node.attributes, **node.attributes.get("ome", {})}
    if "multiscales" in attributes:
        return _image(path, attributes, series, level)
    for kind, names_of in _GROUPS.items():
        if kind in attributes:
            raise _many(path, kind, names_of(path, attributes[kind]))
    if "bioformats2raw.layout" in attributes:
        names = series_of(path)
        texts = [shape_text(path, name) if i <= SHOWN or i == series else name for i, name in enumerate(names)]
        said = chosen("series", series, texts, where)
        folder, ome, notes = find_array(below(path, names[series]), 0, level)
        return folder, ome, [*said, *notes]
    _refuse_unfinished(attributes, where)
    return _only_array(path, series, level)


def _image(path: Place, attributes: Mapping[str, Any], series: int, level: int) -> Found:
    images, where = attributes["multiscales"], str(path)
    first = [shape_text(path, level["path"]) for image in images for level in image["datasets"][:1]]
    said = chosen("series", series, first, where)
    paths = [dataset["path"] for dataset in images[series]["datasets"]]
    said += chosen("level", level, [shape_text(path, name) for name in paths], where)
    labels = [f"labels/{name}" for name in attributes_of(path / "labels").get("labels", ())]
    if labels:
        said.append(f"beside it lie labels, images of their own: {_listed(path, labels)}")
    return below(path, paths[level]), {**attributes, "series": series, "level": level}, said


def _listed(path: Place, names: Sequence[str]) -> str:
    shown = [f"{name} ({shape_text(path, name)})" for name in names[:SHOWN]]
    return listed([*shown, *names[SHOWN:]])


def _many(path: Place, kind: str, names: Sequence[str]) -> SourceError:
    """Return the error for a group of *kind*, which holds the images *names* and is none."""
    fix = f"Give the folder of one image, such as {path / names[0]}; there are {_listed(path, names)}." if names else ""
    return SourceError(f"expected one image, found {_WORDS[kind]}, which is none itself", where=str(path), fix=fix)


def _in_plate(path: Place, plate: Mapping[str, Any]) -> list[str]:
    """Return the fields of the first wells, and the other wells, of which a plate may have thousands."""
    wells = [str(well["path"]) for well in plate["wells"]]
    fields = [f"{well}/{field}" for well in wells[:SHOWN] for field in _in_well(path, _well(path, well))]
    return fields + wells[SHOWN:]


def _well(path: Place, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = attributes_of(below(path, name)).get("well", {})
    return found


def _in_well(_path: Place, well: Mapping[str, Any]) -> list[str]:
    return [str(image["path"]) for image in well.get("images", ())]


def _of_labels(_path: Place, names: Sequence[str]) -> list[str]:
    return list(map(str, names))


_GROUPS: dict[str, Callable[[Place, Any], list[str]]] = {"plate": _in_plate, "well": _in_well, "labels": _of_labels}
"""Groups of OME-Zarr that hold images and are none, by the attribute that tells, and the names of their images."""
_WORDS = {"plate": "a plate", "well": "a well of a plate", "labels": "a group of labels"}


def series_of(path: Place) -> list[str]:
    """Return the folders of the images that bioformats2raw wrote: those it lists, or else 0, 1, 2 ..."""
    stated = attributes_of(path / "OME").get("series")
    found = sorted(int(name) for name in anywhere.names(path) if name.isdecimal())
    return list(map(str, stated or found))


def _only_array(path: Place, series: int, level: int) -> Found:
    from tileconv.sources.zarr_store import opened  # zarr: a fifth of a second

    arrays = {name: array.shape for name, array in opened(path).arrays() if array.ndim >= 2}
    if len(arrays) == 1 and not (series or level):
        (name,) = arrays
        others = [image for image in images_below(path) if image != name]
        beside = f"; images beside it: {listed(others)}" if others else ""
        return below(path, name), None, [f"the group is read as its array {name}{beside}"]
    if arrays:
        names = listed(f"{name} ({size(shape)})" for name, shape in sorted(arrays.items()))
        given = f"a group of {len(arrays)} arrays: {names}"
        fix = "Give the folder of one array, with series and level 0."
    else:
        images = images_below(path)
        given, fix = "a group without an image", f"Give one of those below: {listed(images)}." if images else ""
    expected = "an array, an OME-Zarr image or a group of one array"
    raise SourceError(f"expected {expected}, found {given}", where=str(path), fix=fix)


def _refuse_unfinished(attributes: Mapping[str, Any], where: str) -> None:
    """Raise SourceError when the ``tileconv`` attribute says that not every chunk was written."""
    mark = attributes.get("tileconv")
    if isinstance(mark, Mapping) and mark.get("complete") is False:
        fix = "Give its command again, which makes the rest."
        raise SourceError("is the result of a run that did not finish", where=where, fix=fix)
