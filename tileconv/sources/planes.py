"""Which files are the planes of a stack, and in which order: what a pattern or a folder holds, or a list says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tileconv.errors import SourceError
from tileconv.sources.choices import listed
from tileconv.sources.folders import IMAGE_SUFFIXES
from tileconv.sources.patterns import is_store, matching
from tileconv.spec.model import InputSpec
from tileconv.spec.templates import is_pattern
from tileconv.stores.location import Location, stem

_NUMBER = re.compile(r"\d+", re.ASCII)
NAMED = "a list of paths is taken as it is"


def planes_of(asked: InputSpec) -> list[str]:
    """Return the paths of the planes of a stack, in order.

    Those that a pattern or a folder gives come as people count, and no number may be missing. A list keeps its order.

    Raises
    ------
    SourceError
        If there are none, or their names do not count them.
    """
    paths = asked.paths or (str(asked.path),)
    if len(paths) > 1 or not (is_pattern(paths[0]) or _is_folder(asked.path)):
        return [*paths]
    if is_pattern(paths[0]):
        planes = matching(asked.path)
    else:
        inside = matching(asked.path.below("*"))
        planes = [path for path in inside if is_image(path) or is_store(Location(path, asked.path.access))]
    if not planes:
        raise SourceError("no image lies in the folder", where=str(asked.path), fix="Give the folder of the planes.")
    check_counted(planes, str(asked.path), asked.stack or "")
    return planes


def _is_folder(place: Location) -> bool:
    return place.exists() and not is_store(place) and place.parent.store().stat(place.name) is None


def is_image(path: str) -> bool:
    """Return whether the name of *path* is that of an image file."""
    return any(path.lower().endswith(suffix) for suffix in IMAGE_SUFFIXES)


def check_counted(planes: Sequence[str], where: str, axis: str) -> None:
    """Refuse planes whose names do not count them one by one: SourceError. Channels may have names of their own."""
    names = [stem(path) for path in planes]
    forms = {_NUMBER.sub("#", name): name for name in names}
    if len(forms) > 1:
        if axis == "c" or not any("#" in form for form in forms):
            return
        one, other = list(forms.values())[:2]
        problem = f"the names of the planes are not of one form: {one} and {other}"
        raise SourceError(problem, where=where, fix=f"Write a pattern that matches the planes alone; {NAMED}.")
    numbers = [[*map(int, _NUMBER.findall(name))] for name in names]
    varying = [at for at, column in enumerate(zip(*numbers, strict=True)) if len(set(column)) > 1]
    if len(varying) > 1:
        if axis == "c":
            return
        problem = f"the names of the planes have {len(varying)} numbers that differ, from {names[0]} to {names[-1]}"
        raise SourceError(problem, where=where, fix=f"Write a pattern in which one differs; {NAMED}.")
    if numbers[0]:
        at = varying[0] if varying else len(numbers[0]) - 1
        _check_gaps(names, [row[at] for row in numbers], at, where)


def _check_gaps(names: Sequence[str], count: Sequence[int], at: int, where: str) -> None:
    """Refuse *names* whose numbers *count*, those at place *at*, leave one out, or have one twice."""
    for number, before, after in zip(range(1, len(count)), count, count[1:], strict=False):
        if after == before:
            problem = f"{names[number - 1]} and {names[number]} have one number"
            raise SourceError(problem, where=where, fix=f"Remove one; {NAMED}.")
        if after > before + 1:
            absent = [_with(names[number - 1], at, one) for one in range(before + 1, min(after, before + 1000))]
            problem = f"between {names[number - 1]} and {names[number]} there is no {listed(absent)}"
            raise SourceError(problem, where=where, fix=f"Copy what is missing; {NAMED}.")


def _with(name: str, at: int, number: int) -> str:
    """Return *name* with *number* in the place of its number *at*, in as many digits."""
    found = [*_NUMBER.finditer(name)][at]
    return f"{name[: found.start()]}{number:0{len(found[0])}}{name[found.end() :]}"
