"""Real photographs that scikit-image's wheel carries, so that nothing has to be downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tileconv.errors import SourceError

PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "hubble": "hubble_deep_field.jpg",
    "immunohistochemistry": "ihc.png",
    "moon": "moon.png",
    "page": "page.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
"""Name of each photograph, and its file in the ``data`` folder of scikit-image."""


def photograph(name: str) -> NDArray[np.uint8]:
    """Return the photograph *name* of ``PHOTOGRAPHS``: uint8, shape (y, x), or (3, y, x) in colour.

    Raises
    ------
    SourceError
        If scikit-image is not installed, or came without the file.

    Examples
    --------
    >>> photograph("camera").shape
    (512, 512)
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        fix = "Install it with: pip install 'tileconv[sample]'."
        raise SourceError("the photograph comes with scikit-image, which is not installed", where=name, fix=fix)
    file = Path(package.origin).parent / "data" / PHOTOGRAPHS[name]
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except OSError as error:
        fix = "Reinstall scikit-image, or choose another sample."
        raise SourceError(f"this scikit-image has no readable {file.name}", where=name, fix=fix) from error
    return pixels if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
