"""Places that a spec, the command line and Python name: files and folders of this machine, and URLs of object stores.

Only ``located`` says which texts name one, and only ``Location.store`` and ``Location.local`` say what lies there.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from tileconv.errors import PlanError
from tileconv.quick import dataclass
from tileconv.stores import steady
from tileconv.stores.local import LocalStore
from tileconv.stores.store import Store

_FILE = re.compile(r"file:(//(localhost)?)?(/(?!/).*)")
_DRIVE = re.compile(r"([A-Za-z]):[\\/](.*)")
_URL = re.compile(r"(s3|gs|az|https?)://([^/]+)(/.*)?", re.DOTALL)
WRITTEN = ("s3", "gs", "az")
"""Schemes of places that can be written to; those of the web are only read."""
_ELSEWHERE = {
    r"\s*|.*\0.*": "give the path of a file or a folder",
    r"~.*": '~ is not expanded: write "${HOME}/..."',
    r"file:/.*": "a URL of a file of this machine has three slashes, as in file:///data/a.tif",
    r"s3[an]:/.*": "write s3://BUCKET/...",
    r"gcs:/.*": "write gs://BUCKET/...",
    r"abfss?:/.*": "write az://CONTAINER/...",
    r"([\w+.-]+::)*([A-Za-z][\w+.-]+:/|(s3|gs|az|https?|ftp|sftp):)/.*": (
        "a place is a path of this machine, or a URL with s3://, gs://, az://, http:// or https://"
    ),
    r".*[\0-\x1f].*": r"it holds a control character, as \t is in double quotes: write / between folders",
}
"""Texts that name no place, and what to do about each."""


class SecretError(ValueError):
    """A text that names no place and may hold a credential, so that no message repeats it."""


@dataclass(frozen=True)
class Access:
    """How an object store is reached, which changes nothing of what lies there; never a credential.

    Attributes
    ----------
    endpoint
        The URL of its server; that of the cloud by default.
    region
        Where its bucket lies.
    anonymous
        Whether requests are not signed.
    addressing
        Whether the bucket is named in the path or in the host.
    """

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    addressing: Literal["path", "virtual"] = "path"


USUAL = Access()


@dataclass(frozen=True)
class Location:
    """A place as ``located`` gives its *text*: an input, an output, or what lies beside one.

    Of a URL *access* says how its store is reached.

    Examples
    --------
    >>> output = Location("/data/edges.zarr")
    >>> print(output.name, output.parent, output.beside("edges.zarr.tileconv"))
    edges.zarr /data /data/edges.zarr.tileconv
    """

    text: str
    access: Access = USUAL

    def __str__(self) -> str:
        return self.text

    @property
    def scheme(self) -> str:
        """That of its URL; empty for a place of this machine."""
        scheme, separator, _ = self.text.partition("://")
        return scheme if separator else ""

    @property
    def local(self) -> Path:
        """The file or folder of this machine that it is, for what needs one: libraries, locks, links, free space.

        PlanError for a URL.
        """
        if self.scheme:
            raise PlanError("expected a path of this machine, found a URL", where=self.text)
        return Path(self.text)

    @property
    def shown(self) -> Path | str:
        """The path that it is, of a URL its text."""
        return self.text if self.scheme else self.local

    def store(self, staging: Path | None = None) -> Store:
        """Return what lies at and below this place; *staging* is a folder by way of which one of a disk is written."""
        if not self.scheme:
            return LocalStore(self.local, staging)
        from tileconv.stores.fences import fence_of
        from tileconv.stores.objects import ObjectStore

        return ObjectStore(self.text, self.access, fence_of(self.text))

    def exists(self) -> bool:
        """Return whether anything lies at it or below it."""
        if not self.scheme:
            return steady.exists(self.local)
        return bool(self.parent.store().stat(self.name) or self.store().names())

    @property
    def name(self) -> str:
        """Its last name; empty for the root of all, and for a bucket."""
        above, _, name = self.text.rpartition("/")
        return "" if above.endswith(":/") else name

    @property
    def parent(self) -> Location:
        """What it lies in; of the root of all that itself."""
        above = self.text.rpartition("/")[0]
        return self if above.endswith(":/") else replace(self, text=above or "/")

    def below(self, key: str) -> Location:
        """Return what lies in it under *key*."""
        return replace(self, text=f"{self.text.rstrip('/')}/{key}")

    def beside(self, name: str) -> Location:
        """Return what lies in the same folder under another *name*."""
        return self.parent.below(name)

    def within(self, other: Location) -> bool:
        """Return whether it lies in *other*, at whatever depth, as the texts tell."""
        return self.text.startswith(f"{other.text.rstrip('/')}/")

    def resolved(self) -> Location:
        """Return it by the one name that it has once links are followed; OSError as ``steady.resolve``."""
        return self if self.scheme else Location(str(steady.resolve(self.local)))


def here(path: str | os.PathLike[str] | Location) -> Location:
    """Return the place that *path* names from the current folder on, or is; PlanError where it names none."""
    if isinstance(path, Location):
        return path
    try:
        return Location(located(str(path), Path()))
    except ValueError as error:
        found = "one" if isinstance(error, SecretError) else repr(str(path))
        raise PlanError(f"expected a path or a URL, found {found}: {error}") from None


def located(text: str, folder: Path) -> str:
    """Return the place that *text* names: a URL, or the absolute path of a file, a relative one from *folder* on.

    A ``file://`` URL names a file of this machine. One place has one name: ``..`` is taken out, for which links are
    followed, because behind a link it is the folder above its target; a URL has none, and ends in no ``/``.

    Raises
    ------
    ValueError
        If *text* names no place; it says what to do instead.

    Examples
    --------
    >>> located("file:///data/a%20b.tif", Path("/home/me")), located("a.tif", Path("/home/me"))
    ('/data/a b.tif', '/home/me/a.tif')
    """
    if found := _FILE.fullmatch(text):
        text = unquote(found[3])
    elif found := _URL.fullmatch(text):
        return _url(text, *found.groups())
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


def _url(text: str, scheme: str, host: str, path: str | None) -> str:
    """Return the URL *text* of these parts without a ``/`` at its end; ValueError as ``located``."""
    web = scheme.startswith("http")
    if "@" in host or (web and re.search(r"[?#]", text)):
        raise SecretError("a URL with @, ? or # may hold a credential: these come from the environment alone")
    if not re.fullmatch(r"[\w.:\[\]-]+" if web else r"[\w.-]+", host, re.ASCII):
        raise ValueError(f"after {scheme}:// stands the name of a {'host' if web else 'bucket'}")
    parts = (path or "").removeprefix("/").removesuffix("/").split("/")
    if re.search(r"[\0-\x1f]", text) or (parts != [""] and not {"", ".", ".."}.isdisjoint(parts)):
        raise ValueError("no part of a URL is empty, . or .., or holds a control character")
    return f"{scheme}://{host}/{'/'.join(parts)}".rstrip("/")


def local(text: str) -> Path:
    """Return the path of this machine that *text* names, a relative one as it is; ValueError if it names none."""
    whole = located(text, Path())
    if "://" in whole:
        raise ValueError("it is read from this machine alone: copy it here")
    return Path(whole if text.startswith("file:") else text)


def stem(path: str) -> str:
    """Return the name of a file up to its suffix, of which ``.ome.tif`` is one.

    Examples
    --------
    >>> stem("/data/cells.ome.tif")
    'cells'
    """
    return Path(path).stem.removesuffix(".ome")
