"""Loops that Numba compiles when they are first called, and that are kept between processes wherever there is a place.

They lie beside the source or in the user's home. A container often lets neither be written: then they are kept among
temporary files, in a folder of this user's alone, because whoever can write there can have his own code run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache, update_wrapper
from hashlib import sha256
from pathlib import Path
from threading import Event, RLock
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tileconv.engines import start
from tileconv.own import own_file

_listeners: list[Callable[[], None]] = []
"""Who hears that a loop is compiled."""
_LOCK = RLock()
"""Held while a loop is loaded or compiled."""
RUNNING = Event()
"""Set once a loop runs in this process: one more may then be compiled beside it, though it only saves time."""
_CONTIGUOUS, _BY_COLUMNS = 1, 2
_FLAGS = _CONTIGUOUS | _BY_COLUMNS | 0x100 | 0x400
"""What Numba asks of an array beside its type and axes: how it lies, whether it is aligned and may be written."""


def njit(*, cache: bool, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return what makes a loop of a function: ``numba.njit`` with *options*, and a *cache* where there is a place."""
    return lambda function: Loop(function, {"cache": cache, **options})


class Loop:
    """A function that is compiled for the types that it is called with, unless a file has what is compiled."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self._function: Any = function
        self._options = options
        self._made: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Return what the loop returns."""
        kinds = tuple(map(_kind, args))
        loop = self._made.get(kinds) or self._find(kinds, args)
        return loop(*args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.compiler, name)

    def __reduce__(self) -> str:
        return str(self._function.__qualname__)

    @cached_property
    def compiler(self) -> Any:
        """Numba's own of this function, which compiles it for whatever it is called with."""
        import numba

        function = self._function
        others = {name: of.compiler for name, of in self._globals.items() if isinstance(of, Loop)}
        bare = FunctionType(function.__code__, function.__globals__ | others, closure=function.__closure__)
        bare.__qualname__ = function.__qualname__
        options = self._options | {"cache": self._options["cache"] and not start.possible()}
        try:
            made = numba.njit(**options)(bare)
        except RuntimeError:  # there is no place that Numba could write to
            made = _kept_elsewhere(bare, options)
        return _forgiving(made)

    @property
    def _globals(self) -> dict[str, Any]:
        """What the function takes from its module, by name."""
        found: dict[str, Any] = self._function.__globals__
        return {name: found[name] for name in _names(self._function.__code__) if found.get(name, self) is not self}

    @cached_property
    def digest(self) -> str:
        """A digest of all that the compiled code follows from, but for types, libraries and the processor."""
        taken = [(name, _told(of)) for name, of in sorted(self._globals.items())]
        facts = sorted(self._options.items()), instructions(self._function.__code__), taken
        return sha256(repr(facts).encode()).hexdigest()

    def _find(self, kinds: Any, args: tuple[Any, ...]) -> Callable[..., Any]:
        with _LOCK:
            if kinds not in self._made:
                self._made[kinds] = self._read(kinds) or self._compiled(kinds, args)
                RUNNING.set()
        return self._made[kinds]

    def _read(self, kinds: Any) -> Callable[..., Any] | None:
        """Return the loop for *kinds* of arguments from its file; None where there is none that can be used."""
        if self._keeps(kinds):
            name = self._file(kinds)
            for folder in filter(None, dict.fromkeys((place(), *_folders()))):
                with suppress(OSError):
                    return start.read((folder / name).read_bytes())
        return None

    def _compiled(self, kinds: Any, args: tuple[Any, ...]) -> Callable[..., Any]:
        """Return the loop as Numba compiles it, or has it, for *args*; and keep it."""
        compiler = self.compiler
        types = tuple(map(compiler.typeof_pyval, args))
        compiler.compile(types)
        folder = place()
        if folder and self._keeps(kinds) and (data := start.written(compiler.overloads[types])):
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / self._file(kinds)
                partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
                partial.write_bytes(data)
                partial.replace(path)
                start.remove_older(path)
        loop: Callable[..., Any] = compiler
        return loop

    def _keeps(self, kinds: Any) -> bool:
        return self._options["cache"] and not self._function.__closure__ and _known(kinds) and start.possible()

    def _file(self, kinds: Any) -> str:
        return start.name_of(self._function.__qualname__, self.digest, kinds)


def _kind(value: Any) -> Any:
    """Return the type of an argument as Numba tells them apart; an ellipsis where only Numba can tell."""
    of = type(value)
    if of is np.ndarray or of is np.memmap:
        flags = value.flags.num & _FLAGS
        return value.dtype, value.ndim, flags & ~_BY_COLUMNS if flags & _CONTIGUOUS else flags
    if of is int:
        return of if -(2**63) <= value < 2**63 else ...
    if of is float or of is bool:
        return of
    if of is tuple:
        return tuple(map(_kind, value))
    return value.dtype if isinstance(value, np.generic) else ...


def _known(kinds: Any) -> bool:
    return all(map(_known, kinds)) if isinstance(kinds, tuple) else kinds is not ...


def _names(code: CodeType) -> set[str]:
    return {*code.co_names}.union(*(_names(part) for part in code.co_consts if isinstance(part, CodeType)))


def instructions(code: CodeType) -> list[Any]:
    """Return what a function does, as one that reads the same wherever its text lies."""
    parts = [instructions(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return [code.co_code, code.co_names, code.co_varnames, *parts]  # no lines, no paths


def _told(value: Any) -> str:
    """Return what a loop takes from a global name: another loop, or a constant."""
    if isinstance(value, Loop):
        return value.digest
    if isinstance(value, FunctionType):
        return value.__qualname__
    return f"{value.dtype} {value.tolist()}" if isinstance(value, np.ndarray) else repr(value)


def note() -> str:
    """Return what a user should know of where loops are kept, empty where it is as ever."""
    folder = place()
    if folder and folder != _temporary():
        return ""
    where = f"in {folder}" if folder else "nowhere, and every process compiles its own"
    why = "neither the folder of tileconv nor the home can be written"
    return f"compiled loops are kept {where}, because {why}; NUMBA_CACHE_DIR names another folder"


def homeless() -> bool:
    """Return whether loops are kept nowhere, so that every process compiles its own."""
    return place() is None


@lru_cache(maxsize=1)
def place() -> Path | None:
    """Return the folder to which loops are written: the first that can be."""
    return next(filter(_writable, _folders()), None) or _temporary()


def _folders() -> list[Path]:
    """Return where loops may lie: where Numba's are said to lie, else beside the source or in the user's home."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(named, "tileconv")]
    own = own_file("loops", variable="XDG_CACHE_HOME", usual="~/.cache")
    return [Path(__file__).parent / "__pycache__", *([own] if own else [])]


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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
def _temporary() -> Path | None:
    from tempfile import gettempdir

    with suppress(FileNotFoundError):  # no folder for temporary files can be written
        if folder := own_folder(Path(gettempdir()), os.getuid()):
            return Path(folder)
    return None


def _kept_elsewhere(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    import numba
    from numba.core import config

    settings: Any = config
    folder = _temporary()
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(folder or "")  # read when a loop is declared
    try:
        return numba.njit(**options | {"cache": folder is not None})(function)
    finally:
        settings.CACHE_DIR = before


def _forgiving(loop: Any) -> Any:
    """Return *loop*, which goes on where the place of its cache is full or cannot be read: the loop is compiled."""
    cache = loop._cache

    def attempted(name: str) -> Callable[..., Any]:
        given = getattr(cache, name)

        def attempt(*args: Any) -> Any:
            kept = None
            with suppress(OSError):
                kept = given(*args)
            if name == "load_overload" and kept is None:
                tell()
            return kept

        return attempt

    cache.load_overload, cache.save_overload = attempted("load_overload"), attempted("save_overload")
    return loop
