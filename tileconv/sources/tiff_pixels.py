"""What the tags of a TIFF file say of its pixels beyond their numbers: what is refused, and what is told."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np

from tileconv.errors import SourceError
from tileconv.images import RGB
from tileconv.quick import dataclass
from tileconv.sources.notes import ALPHA, TURNED, beside_notes, scale_note
from tileconv.sources.palette import Palette
from tileconv.sources.source import pixel_type
from tileconv.sources.tiff_masks import mask_beside
from tileconv.sources.tiff_metadata import parsed
from tileconv.stores.anywhere import Place

_ALPHA = {1: "associated", 2: "straight"}
"""Kinds of extra samples: alpha that the colours are multiplied by, and alpha that they are not."""
_SENSELESS = {
    4: ("a transparency mask", "Give the image that it belongs to."),
    32803: ("a colour filter array", "Convert to RGB."),
    32844: ("logarithms of luminance", "Convert to floats."),
    32845: ("logarithms of luminance, and chroma", "Convert to floats."),
    52527: ("numbers of classes", "Give the image that they belong to."),
}
"""Photometric interpretations whose numbers no kernel may add, and what to do."""
_FILTERED = {
    5: "the samples are amounts of ink (CMYK), and are filtered as stored",
    6: "the samples are luma and chroma (YCbCr), and are filtered as stored",
    8: "the samples are L*, a* and b* (CIELab), and are filtered as stored",
    9: "the samples are L*, a* and b* (ICCLab, a* and b* from 128), and are filtered as stored",
    10: "the samples are L*, a* and b* (ITULab), and are filtered as stored",
    34892: "the samples are linear values of a sensor, and are filtered as stored",
    51177: "the samples are depths, and are filtered as stored",
}
_SAMPLES = {
    5: ("cyan", "magenta", "yellow", "black"),
    6: ("luma", "blue difference", "red difference"),
    **dict.fromkeys((8, 9, 10), ("L*", "a*", "b*")),
}
"""Names of the samples where they are no red, green and blue."""
_JPEG = (6, 7, 33007, 34892)
"""Compressions whose decoder makes red, green and blue of YCbCr."""
_UNUSED = {
    **{291: "a gray response curve", 301: "a transfer function", 532: "values of black and white"},
    **{34675: "an ICC profile", 50712: "a linearization table", 50714: "black levels", 50844: "RPC coefficients"},
}
"""Tags that change what pixels mean or where they lie, and are neither used nor carried."""


@dataclass
class Declared:
    """What the tags say: notes, masks that are not used, names of bands, a palette to apply, and the kind of alpha."""

    notes: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    bands: tuple[str, ...] = ()
    palette: Palette | None = None
    alpha: str = ""


def declared(page: Any, kind: str, *, masked: bool, path: Place) -> Declared:
    """Return what *page*, the first of an image of tifffile's *kind*, declares of its pixels.

    Parameters
    ----------
    masked
        Whether a page of the file is a transparency mask.

    Raises
    ------
    SourceError
        If sums of the numbers mean nothing: colours of a filter array, classes, signed colours kept as unsigned ones.
    """
    told, where = Declared(), str(path)
    _photometric(page, kind, told, where)
    if masked:
        told.masks.append("an internal mask")
    if beside := mask_beside(path):
        told.masks.append(f"the mask {beside.name} beside it")
    told.notes += beside_notes(path)
    turned = int(page.tags.valueof(274, 1))
    if turned != 1:
        told.notes.append(TURNED.format(turned))
    _extra_samples(page, told)
    if unused := [text for code, text in _UNUSED.items() if code in page.tags and (code != 532 or _ycc(page))]:
        told.notes.append(f"not applied and not carried: {', '.join(unused)}")
    _gdal(page, told, where)
    return told


def _extra_samples(page: Any, declared: Declared) -> None:
    kinds = [int(kind) for kind in page.extrasamples]
    declared.alpha = _ALPHA.get(kinds[-1], "") if kinds else ""
    declared.notes += [ALPHA[declared.alpha]] if declared.alpha else []
    if others := len(kinds) - bool(declared.alpha):
        declared.notes.append(f"extra samples, which are filtered like colours: {others}")


def _ycc(page: Any) -> bool:
    """Return whether the samples come out as luma and chroma: those of JPEG come out as red, green and blue."""
    converted = page.compression in _JPEG and page.planarconfig == 1 and not page.extrasamples
    return int(page.photometric) == 6 and not converted


def _photometric(page: Any, kind: str, declared: Declared, where: str) -> None:
    photometric = int(page.photometric)
    if photometric in _SENSELESS:
        meaning, fix = _SENSELESS[photometric]
        raise SourceError(f"the pixels are {meaning}", where=where, why="sums of them mean nothing", fix=fix)
    if photometric == 8 and page.dtype.kind != "f":
        raise SourceError(
            "the pixels are CIELab, whose a* and b* are signed numbers kept as unsigned ones",
            where=where,
            why="-1 is stored as the largest number, and sums of such mean nothing",
            fix="Convert to RGB.",
        )
    if photometric == 3 and kind != "imagej":  # which keeps the colours of a display there
        declared.palette = _palette(page, where)
        declared.notes += [f"the palette is applied: pixels are {declared.palette.words}"] if declared.palette else []
    elif kind != "imagej" and 320 in page.tags:
        declared.notes.append("a palette that the photometric interpretation does not ask for is not applied")
    if photometric in _FILTERED and (photometric != 6 or _ycc(page)):
        declared.notes.append(_FILTERED[photometric])
        declared.bands = _SAMPLES.get(photometric, ())
    elif photometric in (2, 6):
        declared.bands = RGB[: page.samplesperpixel]
    if photometric == 0:
        declared.notes.append("0 is white in this file; values are taken as stored")


def _palette(page: Any, where: str) -> Palette | None:
    """Return the palette, or None for one that is the gray of its own index."""
    table = page.colormap
    indices = 1 << min(int(page.bitspersample), 16)
    if page.dtype.kind not in "ub" or page.samplesperpixel != 1 or np.shape(table) != (3, indices):
        problem = "its pixels are indices into a palette that is not there, or does not fit them"
        raise SourceError(problem, where=where, fix="Convert to RGB.")
    whole = next((step for step in (257, 256) if not (table % step).any()), 1)
    colours = (table // whole).T.astype(np.uint8 if whole > 1 else np.uint16)
    return Palette.of(colours, pixel_type(page.dtype, where))


def _gdal(page: Any, declared: Declared, where: str) -> None:
    """Take the names of bands from GDAL's metadata; scale, offset and all else there is told."""
    text = page.tags.valueof(42112)
    if not text:
        return
    kept: dict[str, dict[int, str]] = {}
    others = []
    for item in parsed(str(text), "GDAL metadata", where).iter("Item"):
        role, name, band = item.get("role", ""), item.get("name", ""), item.get("sample", "")
        if role in ("scale", "offset", "description") and band.isdecimal():
            kept.setdefault(role, {})[int(band)] = (item.text or "").strip()
        elif role != "colorinterp":
            others.append(name)
    names = kept.get("description", {})
    if names:
        declared.bands = tuple(names.get(band, "") for band in range(max(names) + 1))
    gains, offsets = (kept.get(role, {}) for role in ("scale", "offset"))
    pairs = sorted({(float(gains.get(band, 1)), float(offsets.get(band, 0))) for band in {*gains, *offsets}})
    if note := scale_note(pairs):
        declared.notes.append(note)
    if others:
        declared.notes.append(f"GDAL metadata that is not carried: {', '.join(dict.fromkeys(others))}")
