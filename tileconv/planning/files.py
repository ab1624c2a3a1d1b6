"""What a file of each kind holds: refused before anything is made, with the reason and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tileconv.errors import PlanError
from tileconv.images import RGB, ImageInfo
from tileconv.shown import size_text
from tileconv.storage import NPY, OME_TIFF, PNG, TIFF

OME_TYPES = {
    **{name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
    **{"float32": "float", "float64": "double"},
}
"""What OME-XML calls the types of pixels that it has."""
MOST_BYTES = {PNG: 2**26, NPY: 2**30}
"""The most bytes of pixels in a file that has no tiles: a PNG is encoded whole, and a NumPy file is read whole."""


def samples_of(info: ImageInfo) -> int:
    """Return how many channels are one colour in a file: three or four of a colour image, else one."""
    names = tuple(name.lower() for name in info.channels)
    return len(names) if names in (RGB[:3], RGB) and info.dtype in (np.uint8, np.uint16) else 1


def check_file(info: ImageInfo, kind: str, codec: str, where: str) -> None:
    """Refuse an image that a file of *kind* does not hold, or its tiles by *codec*; PlanError names *where*.

    Examples
    --------
    >>> check_file(ImageInfo((4, 5), "yx", np.dtype("f4"), (4, 5)), PNG, "none", "output")
    Traceback (most recent call last):
    ...
    tileconv.errors.PlanError: output: a PNG holds uint8 and uint16, and the pixels are float32. Set output.dtype to \
uint8, after a rescale stage that brings them to 0 to 255.
    """
    for problem, fix in _problems(info, kind, codec):
        raise PlanError(problem, where=where, fix=fix)


def _problems(info: ImageInfo, kind: str, codec: str) -> Iterator[tuple[str, str]]:
    """Yield what *kind* does not hold of *info*, each with what to do."""
    long = {axis for axis, n in zip(info.axes, info.shape, strict=True) if n > 1}
    planes, name = sorted(long & set("tz"), key="tz".index), info.dtype.name
    if kind == OME_TIFF and name not in OME_TYPES:
        yield f"an OME-TIFF has no pixels of {name}", "Set output.dtype to int32, float32 or float64, or write a .tif."
    if kind in (TIFF, PNG) and planes:
        yield f"a {kind} is one plane, and the image has the axes {', '.join(planes)}", "Write an .ome.tif."
    if kind == PNG and info.dtype not in (np.uint8, np.uint16):
        fix = "Set output.dtype to uint8, after a rescale stage that brings them to 0 to 255."
        yield f"a PNG holds uint8 and uint16, and the pixels are {name}", fix
    if kind == PNG and "c" in long and samples_of(info) == 1:
        yield "a PNG holds gray or colours, and the channels are no red, green and blue", "Write a .tif or an .ome.tif."
    if info.nbytes > MOST_BYTES.get(kind, math.inf):
        size, most = size_text(info.nbytes), size_text(MOST_BYTES[kind])
        yield f"a {kind} is for small results, of up to {most} of pixels, and these are {size}", "Write an .ome.tif."
    if codec == "jpeg" and not (info.dtype == np.uint8 and ("c" not in long or samples_of(info) == 3)):
        problem = f"JPEG holds uint8, gray or red, green and blue, and the image is {info}"
        yield problem, "Use deflate or zstd, or set output.dtype to uint8."
