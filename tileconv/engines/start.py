"""A quick start: loops from Numba's cache run without Numba reading first all that it could compile them with."""

from __future__ import annotations

from typing import Any

from numba.core import caching
from numba.core.cpu import CPUContext
from numba.core.runtime.nrt import rtsys

_LOAD = ("refresh", "_guard_against_spurious_io_errors", "_load_overload")
_REGISTRIES = ("rtsys", "initialize")


def read_compiler_late() -> None:
    """Have Numba load cached loops without the implementations of all types and functions that it knows.

    A loaded loop refers to nothing of Numba but its reference counts. The rest takes a fifth of the start of a run
    (decision 019); a loop that is in no cache is compiled as ever, and Numba reads the rest then by itself. A
    Numba whose methods are not those that are known here, by the names they use, is left as it is.

    Only for a process of the command line: it changes Numba for everything in the process.
    """
    load, registries = caching.Cache.load_overload, CPUContext.load_additional_registries
    if load.__code__.co_names == _LOAD and registries.__code__.co_names[:2] == _REGISTRIES:
        caching.Cache.load_overload = _load  # type: ignore[method-assign]


def _load(cache: Any, signature: Any, context: Any) -> Any:
    """As ``Cache.load_overload``, with the reference counts in place of everything."""
    rtsys.initialize(context)
    with cache._guard_against_spurious_io_errors():
        return cache._load_overload(signature, context)
