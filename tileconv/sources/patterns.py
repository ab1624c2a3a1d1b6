"""What a pattern of paths matches: images, in the order in which people count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from tileconv.errors import SourceError
from tileconv.retry import retrying
from tileconv.sources.choices import listed
from tileconv.sources.folders import ZARR_FILES
from tileconv.sources.source import reading
from tileconv.spec.templates import wild
from tileconv.stores import steady
from tileconv.stores.location import Location

DEEP = "**"


def natural(text: str) -> tuple[list[str | int], str]:
    """Return what *text* is sorted by, so that ``z2`` comes before ``z10``.

    Examples
    --------
    >>> sorted(["z10", "z2", "z02"], key=natural)
    ['z02', 'z2', 'z10']
    """
    parts = re.split(r"(\d+)", text, flags=re.ASCII)
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], text


def matching(pattern: Location) -> list[str]:
    """Return the files and Zarr stores that *pattern* matches, in natural order; of a place where one lies itself that.

    ``*``, ``?`` and ``[ab]`` stand for parts of one name, ``**`` for folders of any depth. A name that begins with a
    dot must be written so. A folder matches only if it is a store, and ``**`` leads into none.

    Raises
    ------
    SourceError
        If there is no match, with what lies there instead; or a folder cannot be listed.
    """
    head, separator, rest = pattern.text.rpartition("://")
    first, *parts = rest.split("/")
    root = replace(pattern, text=f"{head}{separator}{first}")
    with reading(str(pattern), "listing"):
        if matches := sorted(set(_below(root, parts)), key=natural):
            return matches
        folder = pattern
        while wild(folder.text) and not folder.exists():
            folder = folder.parent
        names = sorted((name for name, _ in _listed(folder)), key=natural)
    there = f"holds {listed(names)}" if names else "is empty" if folder.exists() else "does not exist"
    fix = "A pattern has * for any letters of a name, and ** for folders of any depth."
    raise SourceError(f"no image matches; {folder} {there}", where=str(pattern), fix=fix)


def is_store(folder: Location) -> bool:
    """Return whether *folder* is that of a Zarr array or group."""
    return any(folder.store().stat(name) is not None for name in ZARR_FILES)


def _below(folder: Location, parts: Sequence[str]) -> Iterator[str]:
    """Yield what matches the pattern of *parts* in *folder*, in any order."""
    part, *rest = parts
    whole = folder.below(part)
    if not wild(part) or whole.exists():
        if rest:
            yield from _below(whole, rest)
        elif folder.store().stat(part) or is_store(whole):
            yield str(whole)
        return
    if part == DEEP:
        yield from _below(folder, rest or ["*"])
    for name, is_folder in _listed(folder, links=part != DEEP):
        if name.startswith(".") <= part.startswith(".") and fnmatchcase(name, part):
            yield from _at(folder.below(name), is_folder, parts)


def _at(place: Location, is_folder: bool, parts: Sequence[str]) -> Iterator[str]:
    """Yield what matches at *place*, whose name the first of *parts* matches, or below it."""
    part, *rest = parts
    if part == DEEP or rest:
        if is_folder and not (part == DEEP and is_store(place)):
            yield from _below(place, parts if part == DEEP else rest)
    elif not is_folder or is_store(place):
        yield str(place)


def _listed(folder: Location, *, links: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the names in *folder*, and whether each is one itself; *links* to folders are none where they might go on.

    Nothing of what is no folder.
    """
    if folder.scheme:
        yield from ((name.removesuffix("/"), name.endswith("/")) for name in folder.store().names())
    elif steady.is_folder(folder.local):
        for entry in steady.entries(folder.local):
            yield entry.name, retrying(partial(entry.is_dir, follow_symlinks=links))
