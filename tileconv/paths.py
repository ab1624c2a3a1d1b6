"""Paths of a spec, of the command line and of Python: files of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

_FILE = re.compile(r"file:(//(localhost)?)?(/(?!/).*)")
_DRIVE = re.compile(r"([A-Za-z]):[\\/](.*)")
_ELSEWHERE = {
    r"\s*|.*\0.*": "give the path of a file or a folder",
    r"~.*": '~ is not expanded: write "${HOME}/..."',
    r"file:/.*": "a URL of a file of this machine has three slashes, as in file:///data/a.tif",
    r"([\w+.-]+::)*([A-Za-z][\w+.-]+:/|(s3|gs|gcs|az|abfss?|https?|ftp|sftp):)/.*": (
        "URLs and object stores are not supported: give a path of this machine, and copy from or to it"
    ),
    r".*[\0-\x1f].*": r"it holds a control character, as \t is in double quotes: write / between folders",
}
"""Texts that name no file of this machine, and what to do about each."""


def located(text: str, folder: Path) -> str:
    """Return the absolute path of the file of this machine that *text* names, a relative one from *folder* on.

    A ``file://`` URL names one as well. One place has one name: ``..`` is taken out, for which links are followed,
    because behind a link it is the folder above its target.

    Raises
    ------
    ValueError
        If *text* names no file of this machine; it says what to do instead.

    Examples
    --------
    >>> located("file:///data/a%20b.tif", Path("/home/me")), located("a.tif", Path("/home/me"))
    ('/data/a b.tif', '/home/me/a.tif')
    """
    if found := _FILE.fullmatch(text):
        text = unquote(found[3])
    for form, hint in _ELSEWHERE.items():
        if re.fullmatch(form, text, re.DOTALL):
            raise ValueError(hint)
    drive = _DRIVE.fullmatch(text)
    if os.sep == "/" and (drive or "\\" in text):
        mounted = f"/mnt/{drive[1].lower()}/{drive[2]}" if drive else text
        where = ", where WSL has that drive" * bool(drive)
        raise ValueError(f"write {mounted.replace(chr(92), '/')}{where}")
    whole = (folder / text).absolute()
    return os.path.realpath(whole) if ".." in whole.parts else str(whole)


def local(text: str) -> Path:
    """Return the path that *text* names, a relative one as it is; ValueError as ``located``."""
    whole = located(text, Path())
    return Path(whole if text.startswith("file:") else text)


def stem(path: str) -> str:
    """Return the name of a file up to its suffix, of which ``.ome.tif`` is one.

    Examples
    --------
    >>> stem("/data/cells.ome.tif")
    'cells'
    """
    return Path(path).stem.removesuffix(".ome")
