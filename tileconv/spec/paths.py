"""Paths of a spec."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: str, folder: Path) -> str:
    """Return *path* from *folder* on without ``..``, so that one place has one name; a URL as it is.

    Where ``..`` stands, links are followed, because behind a link it is the folder above its target.
    """
    if "://" in path:
        return path
    whole = (folder / path).absolute()
    return os.path.realpath(whole) if ".." in whole.parts else str(whole)


def stem(path: str) -> str:
    """Return the name of a file up to its suffix, of which ``.ome.tif`` is one.

    Examples
    --------
    >>> stem("/data/cells.ome.tif")
    'cells'
    """
    return Path(path).stem.removesuffix(".ome")
