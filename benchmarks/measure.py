"""One process measured from outside, what it leaves on disk, and how far two results lie apart."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tifffile
import zarr
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.02
MARGIN, WINDOW, WINDOWS = 96, 256, 6
"""Pixels of the border that are not compared, and the squares that are."""
PACKAGES = "tileconv dask dask-image numba numpy opencv-python-headless pyvips-binary scikit-image scipy tifffile zarr"
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Peers come with their bytecode; ours, run from its sources, must be able to keep it, as an installation does."""


@dataclass(frozen=True)
class Run:
    """What one process did; *peak_bytes* is that of its tree."""

    contender: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output_bytes: int
    printed: dict[str, Any] = field(default_factory=dict)


def measure(
    command: Sequence[str], *, contender: str = "", output: Path | None = None, root: Path = ROOT, **env: str
) -> Run:
    """Run *command* in the folder *root* to its end and return what it took.

    Raises
    ------
    RuntimeError
        If it fails; the message holds what it wrote.
    """
    peaks = [0]
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complained:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=told, stderr=complained, cwd=root, env=_ENVIRONMENT | env)
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, peaks))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        watcher.join()
        texts = []
        for stream in (told, complained):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{texts[1]}")
    printed = json.loads(texts[0]) if texts[0].startswith("{") else {}
    size = _size(output) if output else 0
    return Run(contender, seconds, usage.ru_utime + usage.ru_stime, max(peaks), size, printed)


def _watch(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    """Append the resident bytes of a process and its children to *peaks* until it has *ended*."""
    turn = 0
    children: list[psutil.Process] = []
    while not ended.is_set():
        total = 0
        try:
            root = psutil.Process(pid)
            if turn % 10 == 0:  # looking for children asks every process of the machine
                children = root.children(recursive=True)
            total = root.memory_info().rss
            total += sum(child.memory_info().rss for child in children if child.is_running())
        except psutil.Error:  # it ended meanwhile
            pass
        peaks.append(total)
        turn += 1
        ended.wait(SAMPLE_SECONDS)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def remove(path: Path) -> None:
    """Delete an output and let the disk come to rest."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    os.sync()


def difference(ours: Path, theirs: Path) -> float:
    """Return the largest difference of two results on squares of their common interior, over our largest pixel."""
    with _opened(ours) as first, _opened(theirs) as second:
        return _difference(first, second)


def _difference(first: _Result, second: _Result) -> float:
    sides = [min(a, b) for a, b in zip(first.shape[-2:], second.shape[-2:], strict=True)]
    margins = [MARGIN if n > 3 * MARGIN else 0 for n in sides]
    rng = np.random.default_rng(0)
    largest, worst = 0.0, 0.0
    for _ in range(WINDOWS):
        starts = [int(rng.integers(m, max(m + 1, n - m - WINDOW))) for n, m in zip(sides, margins, strict=True)]
        window = tuple(slice(a, min(a + WINDOW, n - m)) for a, n, m in zip(starts, sides, margins, strict=True))
        a, b = (np.asarray(result[window], np.float64) for result in (first, second))
        if not np.isfinite(b).all():
            return float("inf")
        largest, worst = max(largest, float(np.abs(a).max())), max(worst, float(np.abs(a - b).max()))
    return worst / largest


class _Result:
    """A result of any kind as an array with axes (..., y, x) of which windows (y, x) can be read."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.colour_last = len(array.shape) == 3 and array.shape[-1] == 3
        self.shape = (3, *array.shape[:2]) if self.colour_last else tuple(array.shape)

    def __getitem__(self, window: tuple[slice, ...]) -> NDArray[Any]:
        if self.colour_last:
            return np.moveaxis(np.asarray(self.array[window]), -1, 0)
        return np.asarray(self.array[(..., *window)])


@contextmanager
def _opened(path: Path) -> Iterator[_Result]:
    if path.suffix == ".npy":
        yield _Result(np.atleast_2d(np.load(path, mmap_mode="r")))
    elif path.suffix == ".tif":
        with tifffile.TiffFile(path) as file, file.aszarr() as store:
            yield _Result(zarr.open_array(store, mode="r"))
    else:
        found: Any = zarr.open(path, mode="r")
        yield _Result(found["0"] if isinstance(found, zarr.Group) else found)


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, system, load, and versions."""
    versions = {}
    for name in PACKAGES.split():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": versions,
    }
