"""Numba's compiler for our loops, which are kept between processes wherever there is a place for them.

Numba keeps them beside the source or in the user's home. A container often lets neither be written: then they are kept
among temporary files, in a folder of this user's alone, because whoever can write there can have his own code run.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config

_listeners: list[Callable[[], None]] = []
"""Who hears that a loop is compiled."""
_elsewhere: list[str] = []
"""Where loops are kept that have no place of Numba's; an empty name where they are kept nowhere."""


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit`` with *options*, and a *cache* where there is a place for it."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            made = numba.njit(cache=cache, **options)(function)
        except RuntimeError:  # there is no place that Numba could write to
            made = _kept_elsewhere(function, options)
        return _forgiving(made)

    return compiled


def note() -> str:
    """Return what a user should know of where loops are kept, empty where it is as ever."""
    if not _elsewhere:
        return ""
    where = f"in {_elsewhere[0]}" if _elsewhere[0] else "nowhere, and every process compiles its own"
    why = "neither the folder of tileconv nor the home can be written"
    return f"compiled loops are kept {where}, because {why}; NUMBA_CACHE_DIR names another folder"


def homeless() -> bool:
    """Return whether loops are kept nowhere, so that every process compiles its own."""
    return _elsewhere == [""]


@contextmanager
def telling(heard: Callable[[], None]) -> Iterator[None]:
    """Call *heard*, in whatever thread it is, when a loop is compiled because no cache has it."""
    _listeners.append(heard)
    try:
        yield
    finally:
        _listeners.remove(heard)


def tell() -> None:
    """Tell whoever listens that a loop is compiled."""
    for heard in _listeners:
        heard()


def own_folder(temporary: Path, user: int) -> str:
    """Return a folder below *temporary* that nobody but *user* can write to; empty where there is none."""
    path = temporary / f"tileconv-{user}"
    try:
        shared = temporary.stat().st_mode
        if shared & 0o022 and not shared & stat.S_ISVTX:  # others could put their own in its place
            return ""
        path.mkdir(0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return ""
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022
    return str(path) if ours and os.access(path, os.W_OK) else ""


@lru_cache(maxsize=1)
def _own_folder() -> str:
    try:
        return own_folder(Path(tempfile.gettempdir()), os.getuid())
    except FileNotFoundError:  # no folder for temporary files can be written
        return ""


def _kept_elsewhere(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    settings: Any = config
    before, settings.CACHE_DIR = settings.CACHE_DIR, _own_folder()  # read when a loop is declared
    try:
        loop = numba.njit(cache=bool(settings.CACHE_DIR), **options)(function)
    finally:
        settings.CACHE_DIR = before
    _elsewhere[:] = [_own_folder()]
    return loop


def _forgiving(loop: Any) -> Any:
    """Return *loop*, which goes on where the place of its cache is full or cannot be read: the loop is compiled."""
    cache = loop._cache

    def attempted(name: str) -> Callable[..., Any]:
        def attempt(*args: Any) -> Any:
            kept = None
            with suppress(OSError):
                kept = getattr(type(cache), name)(cache, *args)  # looked up late: engines/start.py changes one
            if name == "load_overload" and kept is None:
                tell()
            return kept

        return attempt

    cache.load_overload, cache.save_overload = attempted("load_overload"), attempted("save_overload")
    return loop
