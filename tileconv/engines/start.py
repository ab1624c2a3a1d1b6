"""A quick start: a loop that was compiled before runs from a file of ours, without Numba, which is long to import.

What Numba compiles is an object file with a function that Python calls. It is put into memory here; what it calls of
Numba are three modules of C, which need nothing of the rest (decision 043). All that the code follows from is in the
name of its file: its text, constants, types, libraries, the processor. Where any of it is another, no file is found.
"""

from __future__ import annotations

import builtins
import ctypes
import json
import mmap
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_HARMLESS = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS"}
"""Settings of Numba that change no code."""
_PARTS = ("_dynfunc", "_helperlib", "core.runtime._nrt_python")
"""Modules of Numba that compiled code calls."""
_PROCESSOR = Path("/sys/devices/system/cpu/modalias")
"""Where Linux tells which processor this is, and all that it can do."""
_HEAD = b"\x7fELF\x02\x01"
"""How an object file begins: 64 bits, little end first."""
_CODE, _NAMES, _CHANGES, _UNWINDING = 1, 2, 4, 0x70000001
"""Kinds of its sections: what is put into memory, names, where addresses are written, and what debuggers read."""
_WRITTEN, _HELD = 1, 2
"""Of a section: that it is written to, and that it is held in memory."""
_COMMON, _ADDRESS = 0xFFF2, 1
"""The place of names whose memory is yet to be found, and the change that writes an address as it is, 8 bytes."""
_READ_AND_RUN = 5
"""What ``mprotect`` then allows."""


UNREAD_S = 7 * 86400
"""After which a file of other code is removed: until then another checkout, or version, may still use it."""


def possible() -> bool:
    """Return whether loops may run without Numba: code is of the kind known here, and nothing says how to compile."""
    said = {name for name in os.environ if name.startswith("NUMBA_")} - _HARMLESS
    known = sys.platform == "linux" and os.uname().machine == "x86_64" and _PROCESSOR.exists()
    return known and not said and not Path(".numba_config.yaml").exists()


def name_of(loop: str, code: str, kinds: object) -> str:
    """Return the name of the file of *loop*, whose code has the digest *code*, for *kinds* of arguments here."""
    facts = sha256(repr((_machine(), code, kinds)).encode()).hexdigest()
    return f"{loop}-{sys.implementation.cache_tag}-{code[:8]}-{facts[:24]}.loop"


def remove_older(kept: Path) -> None:
    """Remove files of the same loop as *kept*, and the same Python, of other code that nobody has read for a week.

    A process that finds one gone compiles its loop.
    """
    loop, code, _ = kept.name.rsplit("-", 2)
    for other in kept.parent.glob(f"{loop}-*.loop"):
        with suppress(OSError):
            if not other.name.startswith(f"{loop}-{code}-") and time.time() - other.stat().st_atime > UNREAD_S:
                other.unlink()


@cache
def _machine() -> tuple[str, ...]:
    folder = _folder("numba")
    parts = [path.stat() for path in (folder / "_version.py", _folder("llvmlite") / "_version.py")]
    libraries = [f"{part.st_size} {part.st_mtime_ns}" for part in parts]
    return (str(folder), str(sys.implementation.cache_tag), np.__version__, *libraries, _PROCESSOR.read_text())


@cache
def _folder(library: str) -> Path:
    found = find_spec(library)
    if found is None or not found.submodule_search_locations:
        raise ImportError(library)
    return Path(found.submodule_search_locations[0])


def written(result: Any) -> bytes | None:
    """Return what ``read`` reads of a loop, *result* being Numba's of compiling it; None where that cannot be."""
    (*_, (code, _)), function, environment, _, as_objects, _, _, restarts, others = result._reduce()
    environments = [environment, *others]
    if as_objects or restarts or any(each.consts for each in environments) or not code.startswith(_HEAD):
        return None
    if (told := _placed(code)) is None:
        return None
    inside = told.pop("inside")
    names = dict.fromkeys(each.env_name for each in environments)
    told |= {"name": function.qualname, "call": inside[function.llvm_cpython_wrapper_name]}
    told |= {"environments": [inside[name] for name in names if name in inside]}
    data: bytes = json.dumps(told).encode() + b"\n" + code
    return zlib.crc32(data).to_bytes(4) + data


def _placed(code: bytes) -> dict[str, Any] | None:
    """Return where in memory what lies in an object file is put; None if it holds anything that is not known here.

    ``parts`` are (place, from, to), ``inside`` the places of names; ``still`` bytes of all ``room`` are never written
    later. ``changes`` are the addresses that are written: (place, whose, more), of the memory itself where of none.
    """
    (at,), (size, count) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, at + size * number) for number in range(count)]
    still, places, parts = 0, dict[int, int](), []
    for number, (_, kind, flags, _, start, length, _, _, align, _) in enumerate(sections):
        if flags & _HELD and kind == _CODE and not flags & _WRITTEN:
            places[number] = still = _rounded(still, align)
            still += length
            parts.append((places[number], start, start + length))
        elif flags & _HELD and kind != _UNWINDING and length:
            return None
    still = room = _rounded(still, mmap.PAGESIZE)
    names, inside = list[tuple[str, int | None]](), dict[str, int]()
    for name, place, value, length in _names(code, sections):
        found = places[place] + value if place in places else None
        if place == _COMMON:
            found = room = _rounded(room, value)
            room += length
        names.append((name, found))
        inside |= {} if found is None or not name else {name: found}
    changes = []
    for _, kind, _, _, start, length, _, of, _, _ in sections:
        for entry in range(start, start + length if kind == _CHANGES and of in places else start, 24):
            place, what, more = struct.unpack_from("<QQq", code, entry)
            name, found = names[what >> 32]
            if what & 0xFFFFFFFF != _ADDRESS or (found is None and not name):
                return None
            changes.append((places[of] + place, "" if found is not None else name, (found or 0) + more))
    return {"parts": parts, "still": still, "room": max(room, 1), "changes": changes, "inside": inside}


def _rounded(place: int, align: int) -> int:
    return -(-place // max(1, align)) * max(1, align)


def _names(code: bytes, sections: list[Any]) -> Iterator[tuple[str, int, int, int]]:
    """Yield the names of an object file in order: of which section, where in it (or how aligned), and how long."""
    for _, kind, _, _, start, length, texts, *_ in sections:
        for entry in range(start, start + length if kind == _NAMES else start, 24):
            name, _, _, place, value, size = struct.unpack_from("<IBBHQQ", code, entry)
            first = sections[texts][4] + name
            yield code[first : code.index(b"\0", first)].decode(), place, value, size


def read(data: bytes) -> Callable[..., Any] | None:
    """Return the loop that was ``written`` as *data*; None if it is not whole, or wants what is not there."""
    if zlib.crc32(data[4:]) != int.from_bytes(data[:4]):
        return None
    head, _, code = data[4:].partition(b"\n")
    told, made = json.loads(head), _parts()[0]
    memory = mmap.mmap(-1, told["room"])
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place, first, last in told["parts"]:
        memory[place : place + last - first] = code[first:last]
    for place, name, more in told["changes"]:
        if (address := _symbol(name) if name else base) is None:
            return None
        struct.pack_into("<Q", memory, place, address + more)
    environments = [made.Environment({}) for _ in told["environments"]]
    for place, environment in zip(told["environments"], environments, strict=True):
        struct.pack_into("<Q", memory, place, id(environment))
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(base), ctypes.c_size_t(told["still"]), _READ_AND_RUN):
        return None
    here, kept = sys.modules[__name__], (memory, *environments)
    call = base + told["call"]
    loop: Callable[..., Any] = made.make_function(here, told["name"], "a compiled loop", call, environments[0], kept)
    return loop


@cache
def _symbol(name: str) -> int | None:
    """Return the address of what code calls *name*; None where this process has no such thing."""
    made, helpers, counts = _parts()
    if name == "_Py_NoneStruct":
        return id(None)
    if name.startswith("PyExc_"):  # Numba means the class itself
        return id(getattr(builtins, name.removeprefix("PyExc_")))
    for prefix, known in (("numba_", helpers), ("numba_", made), ("NRT_", counts), ("", counts), ("", helpers)):
        if name.startswith(prefix) and (found := known.c_helpers.get(name.removeprefix(prefix))):
            return int(found)
    try:
        return ctypes.cast(ctypes.CDLL(None)[name], ctypes.c_void_p).value
    except AttributeError:
        return None


@cache
def _parts() -> list[ModuleType]:
    """Return the modules of ``_PARTS``."""
    parts = [_part(name) for name in _PARTS]
    parts[2].memsys_use_cpython_allocator()  # as Numba says when it is imported
    return parts


def _part(name: str) -> ModuleType:
    """Return a module of Numba, imported without Numba, which finds it if it is imported itself."""
    whole = f"numba.{name}"
    if whole not in sys.modules:
        folder = _folder("numba").joinpath(*name.split(".")[:-1])
        spec = FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(whole)
        if spec is None or spec.loader is None:
            raise ImportError(whole)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[whole] = module
    return sys.modules[whole]
