"""Paths that stand for several: patterns of inputs, and outputs that speak of their input, as ``{stem}.ome.zarr``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tileconv.stores import steady
from tileconv.stores.location import stem

OF_PATH = ("stem", "name", "parent")
"""Words of every input: its name without suffix, its name, and its folder."""
OF_SERIES = ("series", "well", "row", "column", "field")
"""Words of an image among several of a file: its number, and of a plate the well, by row and column, and the field."""
ABSOLUTE = "/{parent}"
"""What a template begins with that is no path below the pipeline file: ``{parent}`` is absolute already."""
_WORD = re.compile(r"\{(\w*)\}")


def words_in(text: str) -> set[str]:
    """Return the words that *text* has in braces.

    Examples
    --------
    >>> sorted(words_in("{parent}/{stem}.zarr"))
    ['parent', 'stem']
    """
    return set(_WORD.findall(text))


def words_of(path: str) -> dict[str, str]:
    """Return the words that every input has, of the one at *path*.

    Examples
    --------
    >>> words_of("/data/cells.ome.tif")
    {'stem': 'cells', 'name': 'cells.ome.tif', 'parent': '/data'}
    """
    parent, _, name = path.rpartition("/")
    return {"stem": stem(path), "name": name, "parent": parent}


def filled(text: str, words: Mapping[str, str]) -> str:
    """Return *text* with its *words* in their places; others stay in braces.

    Raises
    ------
    ValueError
        If a word is none that can name anything.
    """
    if "{stem}" in text and words["stem"] in {"", ".", ".."}:
        raise ValueError(f"{{stem}} of {words['name']} is '{words['stem']}', which names no output")
    text = text[1:] if text.startswith(ABSOLUTE) else text
    return _WORD.sub(lambda word: words.get(word[1], word[0]), text)


def wild(text: str) -> bool:
    """Return whether *text* has a character that stands for others in a pattern."""
    return any(letter in text for letter in "*?[")


def is_pattern(path: str) -> bool:
    """Return whether *path* stands for what it matches: it has ``*``, ``?`` or ``[``, and nothing lies there itself.

    On the web nothing can be listed, and no URL of it is a pattern.
    """
    try:
        return wild(path) and not path.startswith(("http://", "https://")) and not steady.exists(path)
    except OSError:  # as of a name that is too long: whoever lists the pattern says so
        return True


def folder_of(paths: Sequence[str]) -> str:
    """Return the folder of the planes of a stack: the path itself, or what comes before the first pattern or file.

    Examples
    --------
    >>> folder_of(["/data/scan/z*.tif"]), folder_of(["/data/scan"]), folder_of(["/data/scan/a.tif", "/data/b.tif"])
    ('/data/scan', '/data/scan', '/data/scan')
    """
    first = paths[0]
    if not is_pattern(first):
        return first.rpartition("/")[0] if len(paths) > 1 else first
    parts = first.split("/")
    return "/".join(parts[: next(i for i, part in enumerate(parts) if wild(part))])
