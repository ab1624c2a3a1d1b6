"""What a TIFF file states of its axes and channels: size of a pixel, units, names and colours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any

import numpy as np

from tileconv.quick import dataclass
from tileconv.sources.tiff_metadata import parsed
from tileconv.units import unit_of

_OME_SIZES = {"x": "PhysicalSizeX", "y": "PhysicalSizeY", "z": "PhysicalSizeZ", "t": "TimeIncrement"}
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_SIZED_ELSEWHERE = {
    **{"lsm": "Zeiss LSM", "stk": "MetaMorph STK", "sis": "Olympus SIS", "fluoview": "Olympus FluoView"},
    **{"scn": "Leica SCN", "philips": "Philips", "bif": "Ventana", "avs": "Argos", "scanimage": "ScanImage"},
    **{"eer": "EER", "tvips": "TVIPS", "indica": "Indica Labs", "nih": "NIH Image", "ndtiff": "NDTiff"},
}
"""Kinds of files that state the size of a pixel in a way of their own that is not read here."""


@dataclass
class Stated:
    """What is stated by axis letter of ``tzyx``, in units of OME-Zarr, and of the channels; empty where unknown."""

    scale: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def size(self, axis: str, stated: Any, unit: str) -> None:
        """Take *stated* as the size of a pixel along *axis*, whatever its sign, unless it is no size or *unit* none."""
        size, known = _size(stated), unit_of(unit)
        if size is not None and known is None:
            note = f"a pixel size of {size:g} {unit!r} is left out: OME-Zarr has no such unit"
            self.notes += [note] if note not in self.notes else []
        if size is not None and known is not None:
            self.scale[axis], self.units[axis] = size * known[0], known[1]


def stated(file: Any, series: Any, index: int, where: str) -> Stated:
    """Return what *series*, the image number *index* of *file*, states of its axes and channels."""
    told, page = Stated(), series.keyframe
    if series.kind == "ome":
        _ome(file, index, told, where)
    elif series.kind == "imagej":
        _imagej(file, page, told)
    else:
        _others(file, page, told)
    return told


def _ome(file: Any, index: int, told: Stated, where: str) -> None:
    root = parsed(file.ome_metadata, "OME-XML", where)
    images = [pixels for pixels in root.iter() if pixels.tag.endswith("}Pixels")]
    if index >= len(images):
        return
    pixels = images[index]
    for axis, key in _OME_SIZES.items():
        told.size(axis, pixels.get(key), pixels.get(f"{key}Unit", "s" if axis == "t" else "µm"))
    channels = [channel for channel in pixels if channel.tag.endswith("}Channel")]
    told.channels = _unless_empty([channel.get("Name", "") for channel in channels])
    told.colours = _unless_empty([_ome_colour(channel.get("Color", "")) for channel in channels])
    bits, stored = pixels.get("SignificantBits", ""), file.pages.first.dtype.itemsize * 8
    if bits.isdecimal() and int(bits) < stored:
        told.notes.append(f"{bits} of the {stored} bits of a pixel are significant; values are taken as stored")


def _ome_colour(text: str) -> str:
    """Return the colour of a signed number that holds red, green, blue and alpha, from the highest bits down."""
    with suppress(ValueError):
        return f"{(int(text) & 0xFFFFFFFF) >> 8:06X}"
    return ""


def _imagej(file: Any, page: Any, told: Stated) -> None:
    meta = file.imagej_metadata or {}
    unit = str(meta.get("unit", ""))
    if unit not in ("", "pixel", "pixels"):
        for axis, size in _resolution(page).items():
            told.size(axis, size, str(meta.get(f"{axis}unit", unit)))
        if told.scale:
            told.size("z", meta.get("spacing"), str(meta.get("zunit", unit)))
    told.size("t", meta.get("finterval"), str(meta.get("tunit", "s")))
    count = meta.get("channels", 1)
    labels = meta.get("Labels") or ()
    told.channels = tuple(map(str, labels[:count])) if count > 1 and len({*labels[:count]}) == count else ()
    tables = meta.get("LUTs") or ([page.colormap // 257] if page.colormap is not None else [])
    colours = [_ramp_colour(np.asarray(table)) for table in tables]
    told.colours = _unless_empty(colours)
    if "" in colours:
        told.notes.append("a look-up table that is no ramp from black to one colour is not carried")


def _ramp_colour(table: Any) -> str:
    """Return the brightest colour of a look-up table of three rows that rises evenly from black, else ``""``."""
    if table.ndim != 2 or table.shape[0] != 3 or table.shape[1] < 2:
        return ""
    last = table[:, -1].astype(float)
    even = np.outer(last, np.arange(table.shape[1]) / (table.shape[1] - 1))
    return "".join(f"{int(n):02X}" for n in last) if last.any() and np.abs(table - even).max() <= 1 else ""


def _others(file: Any, page: Any, told: Stated) -> None:
    """Read the sizes of the kinds of files that are known to mean them; else say that a resolution is none."""
    if page.is_svs:
        mpp = _after(page.description, "MPP")
        _sizes(told, {"x": mpp, "y": mpp}, "µm")
    elif file.is_ndpi or page.is_qpi:
        _sizes(told, _resolution(page), _RESOLUTION_UNITS.get(int(page.tags.valueof(296, 1)), ""))
    elif file.is_fei:
        scan = _mapping(file.fei_metadata).get("Scan")
        _sizes(told, {"x": _mapping(scan).get("PixelWidth"), "y": _mapping(scan).get("PixelHeight")}, "m")
    elif file.is_sem:
        _, side, unit = [*_mapping(file.sem_metadata).get("ap_image_pixel_size", ()), "", "", ""][:3]
        _sizes(told, {"x": side, "y": side}, str(unit))
    elif file.is_metaseries:
        plane = _mapping(_mapping(file.metaseries_metadata).get("PlaneInfo"))
        if plane.get("spatial-calibration-state", True):
            sizes = {axis: plane.get(f"spatial-calibration-{axis}") for axis in "xy"}
            _sizes(told, sizes, str(plane.get("spatial-calibration-units")))
    elif file.is_micromanager:
        _micromanager(file, page, told)
    elif kinds := [name for kind, name in _SIZED_ELSEWHERE.items() if getattr(file, f"is_{kind}", False)]:
        told.notes.append(f"the pixel size of a {kinds[0]} file is stated in a way that is not read")
    elif (unit := _RESOLUTION_UNITS.get(int(page.tags.valueof(296, 2)))) and (size := _resolution(page)):
        per = " x ".join(f"{1 / size[axis]:g}" for axis in "xy" if axis in size)
        told.notes.append(
            f"the resolution of {per} pixels per {unit} is that of a print and is taken for no pixel size"
        )


def _micromanager(file: Any, page: Any, told: Stated) -> None:
    summary = _mapping((file.micromanager_metadata or {}).get("Summary"))
    frame = page.tags.valueof(51123)
    frame = _mapping(json.loads(frame) if isinstance(frame, str | bytes) else frame)
    size = frame.get("PixelSizeUm", summary.get("PixelSize_um"))
    _sizes(told, {"x": size, "y": size, "z": summary.get("z-step_um")}, "µm")
    names, colours = summary.get("ChNames") or (), summary.get("ChColors") or ()
    told.channels = tuple(map(str, names))
    told.colours = tuple(f"{colour & 0xFFFFFF:06X}" for colour in colours if isinstance(colour, int))


def _sizes(told: Stated, sizes: Mapping[str, Any], unit: str) -> None:
    for axis, size in sizes.items():
        told.size(axis, size, unit)


def _after(text: str, name: str) -> str | None:
    """Return what stands after ``name =`` in a text of parts between ``|``."""
    parts = (part.partition("=") for part in text.split("|"))
    return next((value.strip() for key, _, value in parts if key.strip() == name), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _size(text: Any) -> float | None:
    """Return the size of a pixel without its sign, or None for what is none: words, 0, NaN, infinity."""
    try:
        size = abs(float(text))
    except (TypeError, ValueError):
        return None
    return size if 0 < size < np.inf else None


def _resolution(page: Any) -> dict[str, float]:
    """Return the reciprocals of the resolution tags, which are fractions, by axis."""
    sizes = {}
    for axis, code in (("x", 282), ("y", 283)):
        value = page.tags.valueof(code)
        if isinstance(value, tuple) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value):
            sizes[axis] = value[1] / value[0]
    return sizes


def _unless_empty(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(texts) if any(texts) else ()
