"""Places that a spec, the command line and Python name: files and folders of this machine.

Only ``located`` says which texts name one, and only ``Location.store`` and ``Location.local`` say what lies there: a
place of another kind is another answer of these.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tileconv.errors import PlanError
from tileconv.stores import steady
from tileconv.stores.local import LocalStore
from tileconv.stores.store import Store

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


@dataclass(frozen=True)
class Location:
    """A place as ``located`` gives its *text*: an input, an output, or what lies beside one.

    Examples
    --------
    >>> output = Location("/data/edges.zarr")
    >>> print(output.name, output.parent, output.beside("edges.zarr.tileconv"))
    edges.zarr /data /data/edges.zarr.tileconv
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def local(self) -> Path:
        """The file or folder of this machine that it is, for what needs one: libraries, locks, links, free space."""
        return Path(self.text)

    def store(self, staging: Path | None = None) -> Store:
        """Return what lies at and below this place; *staging* is a folder by way of which it is written."""
        return LocalStore(self.local, staging)

    @property
    def name(self) -> str:
        """Its last name; empty for the root of all."""
        return self.text.rpartition("/")[2]

    @property
    def parent(self) -> Location:
        """What it lies in."""
        return Location(self.text.rpartition("/")[0] or "/")

    def below(self, key: str) -> Location:
        """Return what lies in it under *key*."""
        return Location(f"{self.text.rstrip('/')}/{key}")

    def beside(self, name: str) -> Location:
        """Return what lies in the same folder under another *name*."""
        return self.parent.below(name)

    def within(self, other: Location) -> bool:
        """Return whether it lies in *other*, at whatever depth, as the texts tell."""
        return self.text.startswith(f"{other.text.rstrip('/')}/")

    def resolved(self) -> Location:
        """Return it by the one name that it has once links are followed; OSError as ``steady.resolve``."""
        return Location(str(steady.resolve(self.local)))


def here(path: str | os.PathLike[str]) -> Location:
    """Return the place that *path* names from the current folder on; PlanError where it names none."""
    try:
        return Location(located(str(path), Path()))
    except ValueError as error:
        raise PlanError(f"expected a path of this machine, found {str(path)!r}: {error}") from None


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
