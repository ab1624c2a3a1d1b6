"""What a pattern of paths matches: images, in the order in which people count."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import NoReturn

from tileconv.errors import SourceError
from tileconv.retry import retrying
from tileconv.sources.choices import listed
from tileconv.sources.folders import is_store
from tileconv.sources.source import reading
from tileconv.spec.templates import wild
from tileconv.stores import steady

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


def matching(pattern: str) -> list[str]:
    """Return the files and Zarr stores that *pattern* matches, in natural order.

    ``*``, ``?`` and ``[ab]`` stand for parts of one name, ``**`` for folders of any depth. A name that begins with a
    dot must be written so. A folder matches only if it is a store, and ``**`` leads into none.

    Raises
    ------
    SourceError
        If there is no match, with what lies there instead; or a folder cannot be listed.
    """
    root, *parts = pattern.split("/")
    with reading(pattern, "listing"):
        return sorted(set(_below(root, parts)), key=natural) or _no_match(pattern)


def _no_match(pattern: str) -> NoReturn:
    """Say what lies there instead of what *pattern* asks for."""
    folder = Path(pattern)
    while wild(str(folder)) and not steady.exists(folder):
        folder = folder.parent
    if not steady.is_folder(folder):
        raise SourceError("no image matches: there is no such folder", where=pattern, fix=f"Check {str(folder)!r}.")
    names = sorted((entry.name for entry in steady.entries(folder)), key=natural)
    there = f"holds {listed(names)}" if names else "is empty"
    fix = "A pattern has * for any letters of a name, and ** for folders of any depth."
    raise SourceError(f"no image matches; {folder} {there}", where=pattern, fix=fix)


def _below(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Yield what matches the pattern of *parts* in *folder*, in any order."""
    part, *rest = parts
    whole = f"{folder}/{part}"
    if not wild(part) or steady.exists(whole):
        if rest:
            yield from _below(whole, rest)
        elif steady.is_file(whole) or is_store(Path(whole)):
            yield whole
    elif steady.is_folder(folder or "/"):
        if part == DEEP:
            yield from _below(folder, rest or ["*"])
        for entry in steady.entries(folder or "/"):
            if entry.name.startswith(".") <= part.startswith(".") and fnmatchcase(entry.name, part):
                yield from _of_entry(entry, parts, rest)


def _of_entry(entry: os.DirEntry[str], parts: Sequence[str], rest: Sequence[str]) -> Iterator[str]:
    """Yield what matches at *entry*, whose name the first of *parts* matches, or below it."""
    deep = parts[0] == DEEP
    is_folder = retrying(partial(entry.is_dir, follow_symlinks=not deep))  # else links may run in a circle
    if deep or rest:
        if is_folder and not (deep and is_store(Path(entry.path))):
            yield from _below(entry.path, parts if deep else rest)
    elif not is_folder or is_store(Path(entry.path)):
        yield entry.path
