"""What attributes of CF, xarray, GDAL and GeoZarr say of an array: missing values, scale, place on the earth."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from tileconv.errors import SourceError
from tileconv.georeference import Georeference
from tileconv.images import as_text, exact_number, holds
from tileconv.sky import cards_of
from tileconv.sources.axes import NAMES
from tileconv.sources.folders import attributes_of, is_store
from tileconv.sources.notes import scale_note
from tileconv.sources.source import pixel_type
from tileconv.sources.zarr_guard import check_chunk, check_plain
from tileconv.sources.zarr_metadata import Described, Keys
from tileconv.sources.zarr_node import ArrayNode, node_of
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

_MISSING = ("_FillValue", "missing_value")
_RANGES = ("valid_min", "valid_max", "valid_range")
_READ = {
    *_MISSING,
    *_RANGES,
    *("scale_factor", "add_offset", "_Unsigned", "_ARRAY_DIMENSIONS", "coordinates", "grid_mapping", "_CRS", "crs"),
    *("transform", "zarr_conventions", "tileconv", "flag_values", "flag_masks", "flag_meanings"),
}
"""Attributes that are used or told of; others are named as not carried."""
COORDINATES_LIMIT = 2**20
"""The longest row of coordinates that is read to see whether they are evenly spaced."""
_EVEN = 1e-3
"""Of a step: how far a coordinate may lie from where even steps put it; float32 degrees lie that far."""
_EPSG = "/EPSG/0/"


def add_conventions(array: ArrayNode, metadata: Place, described: Described) -> None:
    """Add to *described* what the attributes of *array*, and of the group around it, declare.

    Raises
    ------
    SourceError
        If pixels are numbers of another sign than their type says.
    """
    said = array.attributes
    group = metadata.parent.parent
    around = attributes_of(group)
    dtype = pixel_type(array.dtype, "")
    _validity(array, said, described, dtype, old=metadata.name == ".zarray")
    unsigned = str(said.get("_Unsigned", "")).lower()
    if unsigned == {"i": "true", "u": "false"}.get(dtype.kind):
        raise SourceError(
            f"the attribute _Unsigned is {unsigned}, and the pixels are {dtype}",
            why="negative numbers are stored as large ones, or the other way round, and sums of such mean nothing",
            fix="Write the array with the type of its numbers.",
        )
    with suppress(TypeError, ValueError):
        gain, offset = float(said.get("scale_factor", 1)), float(said.get("add_offset", 0))
        described.notes += [note] if (note := scale_note([(gain, offset)])) else []
    if ranges := [f"{name} {said[name]}" for name in _RANGES if name in said]:
        described.notes.append(f"values outside {' and '.join(ranges)} count as any others")
    if "flag_values" in said or "flag_masks" in said:
        described.notes.append("the pixels are flags, and are filtered as numbers")
    inherited = {name: value for name, value in around.items() if name.startswith(("proj:", "spatial:"))}
    _place({**inherited, **said}, array.shape, group, described)
    if rest := sorted(name for name in said if name not in _READ and not name.startswith(("proj:", "spatial:"))):
        described.notes.append(f"attributes that are not carried: {', '.join(rest)}")


def _validity(
    array: ArrayNode, said: Mapping[str, Any], described: Described, dtype: np.dtype[Any], *, old: bool
) -> None:
    """Take the one value that marks missing pixels; what cannot be read, or is more than one, is a mask."""
    stated = {name: said[name] for name in _MISSING if said.get(name) is not None}
    fill = array.fill_value
    fill = None if fill is None or dtype.kind == "b" else exact_number(np.asarray(fill, dtype).item())
    if fill and not np.isnan(fill) and not stated:
        if old and "_ARRAY_DIMENSIONS" in said:  # xarray keeps _FillValue there in format 2
            stated["fill_value"] = fill
        else:
            described.notes.append(
                f"the fill value {as_text(fill)} counts as any other; input.nodata would make it missing"
            )
    values: dict[float, str] = {}
    for name, value in stated.items():
        for item in value if isinstance(value, list) else [value]:
            number = number_of(item, dtype)
            if number is None:
                described.masks.append(f"the attribute {name} of {str(item)[:40]!r}")
            elif holds(dtype, number):
                values.setdefault(number, name)
            elif not np.isnan(number):
                described.notes.append(f"the {name} {as_text(number)} is no value of {dtype} and is ignored")
    values = {number: name for number, name in values.items() if not np.isnan(number)}
    if len(values) > 1:
        texts = (f"{name} {as_text(number)}" for number, name in values.items())
        described.masks.append(f"more than one missing value ({', '.join(texts)})")
    described.nodata = next(iter(values)) if len(values) == 1 else None


def number_of(item: Any, dtype: np.dtype[Any]) -> float | None:
    """Return the number that *item* of a JSON attribute is for pixels of *dtype*, or None where it is none.

    Texts are decimals, ``NaN``, ``0x`` and the bits from the highest one down (Zarr 3), or base64: of the float64
    (xarray in Zarr 3) or of a pixel, both from the lowest byte up.

    Examples
    --------
    >>> kind = np.dtype("f4")
    >>> number_of("AAAAAACHw8A=", kind), number_of("0xc61c3c00", kind), number_of("-1e4", kind), number_of("what", kind)
    (-9998.0, -9999.0, -10000.0, None)
    """
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        return None
    with suppress(ValueError, OverflowError):
        return exact_number(item if isinstance(item, int) else float(item))
    item = str(item)
    with suppress(ValueError, struct.error):
        if item.startswith("0x"):
            return exact_number(np.frombuffer(bytes.fromhex(item[2:]), dtype.newbyteorder(">")).item())
        stored = b64decode(item, validate=True)
        if len(stored) == 8 and dtype.kind == "f":
            return float(struct.unpack("<d", stored)[0])
        return exact_number(np.frombuffer(stored, dtype.newbyteorder("<")).item())
    return None


def _place(said: Mapping[str, Any], shape: Sequence[int], group: Place, described: Described) -> None:
    """Take the reference system and the transform, from the attributes or from rows of coordinates."""
    mapping = _sibling(group, str(said.get("grid_mapping", "")).partition(":")[0])
    words = {} if mapping is None else mapping.attributes
    url = said["_CRS"] if isinstance(said.get("_CRS"), Mapping) else {}
    code = str(url.get("url", "")).partition(_EPSG)[2]
    texts = [said.get("proj:code"), f"EPSG:{code}" if code else None, said.get("proj:wkt2"), url.get("wkt")]
    texts += [words.get("crs_wkt"), words.get("spatial_ref"), said.get("crs")]
    named = [text for text in texts if text and isinstance(text, str)]
    crs = next((text for text in named if text.startswith("EPSG:") or "[" in text), "")
    if not crs and (named or words or url or "proj:projjson" in said):
        described.notes.append("the reference system is neither an EPSG code nor WKT and is not carried")
    transform = _transform(said, words) or _of_coordinates(shape, group, described)
    described.georeference = Georeference(crs, transform, sky=cards_of(said.get("fits_wcs")))


def _transform(said: Mapping[str, Any], words: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the transform that attributes state; empty where they state none."""
    stated = said.get("spatial:transform", said.get("transform"))
    with suppress(TypeError, ValueError):
        if isinstance(words.get("GeoTransform"), str):  # GDAL's order: x, its two steps, y, its two steps
            c, a, b, f, d, e = map(float, words["GeoTransform"].split())
            return (a, b, c, d, e, f)
        if isinstance(stated, list) and said.get("spatial:transform_type", "affine") == "affine":
            a, b, c, d, e, f = map(float, stated[:6])
            found = Georeference(transform=(a, b, c, d, e, f))
            return (found.moved(-0.5, -0.5) if said.get("spatial:registration") == "node" else found).transform
    return ()


def _of_coordinates(shape: Sequence[int], group: Place, described: Described) -> tuple[float, ...]:
    """Return the transform that rows of coordinates named like the axes make, if they are evenly spaced."""
    rows = {}
    for name, count in zip(described.axes, shape, strict=True):
        axis, row = NAMES.get(name.lower(), name), _sibling(group, name)
        if row is None or row.shape != (count,):
            continue
        if axis in "yx" and (step := _even(row, group / name)):
            rows[axis] = step
        else:
            described.notes.append(f"the coordinates of {name} are not carried" + ": uneven" * (axis in "yx"))
    if set(rows) != set("yx"):
        return ()
    (e, y), (a, x) = rows["y"], rows["x"]
    return Georeference(transform=(a, 0.0, x, 0.0, e, y)).moved(-0.5, -0.5).transform


def _even(row: ArrayNode, folder: Place) -> tuple[float, float] | None:
    """Return the step and the first of evenly spaced coordinates; None for others, and for too many."""
    (count,), numbers = row.shape, row.dtype.kind in "iuf"
    if not numbers or row.shards or not 2 <= count <= COORDINATES_LIMIT or prod(row.chunks) > COORDINATES_LIMIT:
        return None
    keys = Keys.of(next(p for name in ("zarr.json", ".zarray") if anywhere.is_file(p := folder / name)))
    for index in range(-(-count // row.chunks[0])):
        check_chunk(folder, keys.key((index,)), row.chunks[0] * row.dtype.itemsize, row.codec)
    from tileconv.sources.zarr_store import opened  # zarr: a fifth of a second

    values = np.asarray(opened(folder)[...], np.float64)
    step = (values[-1] - values[0]) / (count - 1)
    off = np.abs(values - (values[0] + step * np.arange(count))).max()
    return (float(step), float(values[0])) if np.isfinite(off) and step and off <= _EVEN * abs(step) else None


def _sibling(group: Place, name: str) -> ArrayNode | None:
    """Return the array *name* of a group, or None; metadata of others must not lead out of it."""
    folder = group / name
    if not name or "/" in name or name.startswith(".") or not (is_store(group) and is_store(folder)):
        return None
    check_plain(folder, str(folder))
    with suppress(SourceError):
        node = node_of(folder)
        return node if isinstance(node, ArrayNode) else None
    return None
