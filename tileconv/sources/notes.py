"""What is told of images of several kinds in the same words."""

from __future__ import annotations

from collections.abc import Sequence

from tileconv.images import as_text
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

TURNED = "the orientation tag {} is ignored; rows and columns are taken as stored"
ALPHA = {
    "straight": "the last sample is alpha",
    "associated": "the last sample is alpha, and the colours are multiplied by it",
}


def beside_notes(path: Place) -> list[str]:
    """Return a note where GDAL left statistics, and perhaps scale or nodata, beside the file *path*."""
    beside = path.with_name(f"{path.name}.aux.xml")
    return [f"{beside.name} beside the file is not read"] if anywhere.is_there(beside) else []


def scale_note(pairs: Sequence[tuple[float, float]]) -> str:
    """Return what is said of the *pairs* of scale and offset of an image; ``""`` where they change nothing.

    Examples
    --------
    >>> scale_note([(0.001, 5)]).partition("; ")[0]
    'values are taken as stored: scale 0.001 and offset 5 are not applied'
    """
    stated = [
        f"scale {as_text(gain)} and offset {as_text(offset)}" for gain, offset in pairs if (gain, offset) != (1, 0)
    ]
    if not stated:
        return ""
    note = f"values are taken as stored: {' or '.join(stated)} are not applied"
    if len(pairs) > 1:
        return f"{note}; they differ between bands"
    gain, offset = map(as_text, pairs[0])
    return f"{note}; a stage {{op: rescale, gain: {gain}, offset: {offset}}} applies them"
