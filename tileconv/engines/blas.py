"""The BLAS that NumPy multiplies matrices with: one thread of it, and what it is.

Which of its kernels makes a product hangs on the processor and on the number of threads (decision 031).
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_before: list[list[int]] = []
"""For every thread that is inside what the process had set before the first of them came."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Have products made in the thread that asks for them, as long as any thread of this process is inside.

    What the process had set is set again when the last of them leaves.
    """
    libraries = _loaded().lib_controllers
    with _lock:
        _before.append(_before[0] if _before else [library.num_threads for library in libraries])
        _set([1] * len(libraries))
    try:
        yield
    finally:
        with _lock:
            numbers = _before.pop()
            if not _before:
                _set(numbers)


def _set(numbers: list[int]) -> None:
    """Set how many threads each library takes; threadpoolctl heeds only the first thread that asks, if it may."""
    for library, number in zip(_loaded().lib_controllers, numbers, strict=True):
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
        library.set_num_threads(number)


@lru_cache(maxsize=1)
def kind() -> str:
    """Return which BLAS this process multiplies with, its version, and for which kind of processor."""
    found = _loaded().info()
    if not found:
        return f"unknown on {_model()}"
    told = found[0]
    return f"{told['internal_api']} {told['version']} on {told.get('architecture') or _model()}"


@lru_cache(maxsize=1)
def _loaded() -> Any:
    """Return the BLAS of NumPy: that of SciPy, where it has its own, makes no product here."""
    import numpy as np

    blas = ThreadpoolController().select(user_api="blas")
    folder = str(Path(np.__file__).parent)
    own = [part.filepath for part in blas.lib_controllers if part.filepath.startswith(folder)]
    return blas.select(filepath=own) if own else blas


def _model() -> str:
    """Return the processor's name as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
