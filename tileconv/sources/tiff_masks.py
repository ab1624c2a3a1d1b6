"""The masks that TIFF files have: pages that GDAL writes behind the image that they belong to, and files beside."""

from __future__ import annotations

from math import prod
from typing import Any

import tifffile

from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place


def mask_beside(path: Place) -> Place | None:
    """Return the file of GDAL's mask beside the file *path*, if there is one."""
    beside = path.with_name(f"{path.name}.msk")
    return beside if anywhere.is_there(beside) else None


def mask_of(file: Any, chosen: Any) -> Any:
    """Return the one page of *file* that is a mask of the size of *chosen*, an image of one page; else None.

    Both are tifffile's objects, and so is what is returned: a series.
    """
    key = chosen.keyframe
    if prod(chosen.shape) != prod(key.shape):
        return None
    pages = (file.pages.get(number, aspage=True) for number in range(len(file.pages)))
    found = [page for page in pages if page.is_mask and _size(page) == _size(key) and page.samplesperpixel == 1]
    return tifffile.TiffPageSeries(found) if len(found) == 1 else None


def _size(page: Any) -> tuple[int, int, int]:
    return page.imagedepth, page.imagelength, page.imagewidth
