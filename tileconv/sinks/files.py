"""Output paths: what may be replaced, room on the disk, and errors of the file system in words of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.retry import fix_for, retrying
from tileconv.stores import steady
from tileconv.stores.location import Location


@contextmanager
def sink_errors(path: Location | Path | str, doing: str = "write") -> Iterator[None]:
    """Turn every error of the file system inside the block into a SinkError that names *path* and what to do."""
    try:
        yield
    except OSError as error:
        why = error.strerror or os.strerror(error.errno or 0)
        raise SinkError(f"cannot {doing}: {why}", where=str(path), fix=fix_for(error, "output path")) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside *path*; afterwards it stands at *path*, or nothing is left if the block failed.

    Raises
    ------
    SinkError
        If the file system refuses.
    """
    with sink_errors(path):
        steady.make_folder(path.parent)
        temporary = steady.temporary_name(path)
        try:
            yield temporary
            steady.rename(temporary, path)
        except BaseException:
            steady.remove(temporary)
            raise


def check_tile(box: Box, array: NDArray[np.generic], info: ImageInfo) -> None:
    """Refuse an array that does not hold exactly the pixels of *box* in the type of *info*.

    Raises
    ------
    GeometryError
        If the shape or dtype differs.
    """
    if array.shape != box.shape or array.dtype != info.dtype:
        raise GeometryError(
            f"tile {box} needs {info.dtype} of shape {box.shape}, found {array.dtype} of shape {array.shape}"
        )


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse a single file as output when *path* exists, unless it is a plain file and *overwrite* is set.

    Raises
    ------
    SinkError
        If *path* must not be replaced.
    """
    if steady.exists(path) and not steady.is_file(path):
        raise SinkError("exists and is not a plain file", where=str(path), fix="Choose another output path.")
    if steady.exists(path) and not overwrite:
        raise SinkError("already exists", where=str(path), fix="Choose another path, or allow it with --overwrite.")


def refuse_same(output: Location, input: Location) -> None:
    """Refuse an output that is the input, lies in it, or holds it; links of every kind are seen through.

    Raises
    ------
    SinkError
        If writing *output* would destroy *input*.
    """
    problem = _of_urls(output, input) if output.scheme or input.scheme else _of_files(output, input)
    if not problem:
        return
    why = "the input would be destroyed while it is read"
    raise SinkError(f"the output {problem}", where=str(output), why=why, fix="Choose another output path.")


def _of_urls(output: Location, input: Location) -> str:
    """Return what *output* would do to *input*, as their texts tell; nothing if they have nothing in common."""
    if output.text == input.text:
        return "is the input"
    return f"holds the input {input}" * input.within(output) or f"lies inside the input {input}" * output.within(input)


def _of_files(output: Location, input: Location) -> str:
    with sink_errors(output):
        written, read = steady.resolve(output.local), steady.resolve(input.local)
        steady.exists(written)  # raises for a name that is too long
    if any(_same(written, part) for part in (read, *read.parents)):
        return "is the input" if _same(written, read) else f"holds the input {read}"
    return f"lies inside the input {read}" * any(_same(read, part) for part in written.parents)


def ignores_case(folder: Path) -> bool:
    """Return whether ``A`` and ``a`` are one name on the disk where *folder* is or would be."""
    with sink_errors(folder):
        named = next(place for place in (folder, *folder.parents) if steady.exists(place))
        while named.name.swapcase() == named.name and named != named.parent:
            named = named.parent
        return _same(named, named.with_name(named.name.swapcase())) if named.name else False


def free_bytes(output: Location) -> int:
    """Return the bytes that an unprivileged user may still write on the disk where *output* is or would be."""
    with sink_errors(output):
        place = steady.resolve(output.local)
        while not steady.exists(place):
            place = place.parent
        disk = retrying(partial(os.statvfs, place))
        return disk.f_bavail * disk.f_frsize


def _same(one: Path, other: Path) -> bool:
    first, second = steady.stat_of(one), steady.stat_of(other)
    return first is not None and second is not None and os.path.samestat(first, second)
