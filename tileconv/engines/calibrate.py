"""Measure this machine's engines once, for the constants of the cost model."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.cost import Costs, direct_work
from tileconv.engines.direct import direct
from tileconv.engines.fft import fft
from tileconv.engines.grid import Blocks, block_cost, blocks
from tileconv.engines.separable import separable
from tileconv.engines.values import FLOAT32

ROWS, COLUMNS = 192, 2048
"""Pixels made at once, as in a strip of a tile."""
ROUNDS = 7

Point = tuple[float, float]


def calibrate(progress: Callable[[str], object] = lambda _: None) -> Costs:
    """Return constants measured now on one core; takes a few seconds.

    *progress* hears what is being measured. Each time is the least processor time of ``ROUNDS``, which a busy machine
    disturbs little.
    """
    constants: dict[str, Any] = {}
    for name, dtype, pixels in (("narrow", np.float32, np.uint16), ("wide", np.float64, np.float64)):
        progress(f"direct, {name}")
        constants[f"direct_{name}"] = _line([(direct_work((k, k)), direct_ns(k, dtype, pixels)) for k in (3, 5, 9, 13)])
        progress(f"separable, {name}")
        constants[f"separable_{name}"] = _line([(1 + 2 * k, separable_ns(k, dtype, pixels)) for k in (5, 9, 17, 33)])
        constants[f"threes_{name}"] = round(separable_ns(3, dtype, pixels), 4)
    # below 29 x 29 random weights the bound of float32 transforms exceeds that of direct sums
    for name, narrow, sizes in (("narrow", True, (33, 65, 129)), ("wide", False, (9, 33, 65, 129))):
        progress(f"fft, {name}")
        units = [fft_ns(k, narrow=narrow) / block_cost(_grid(k, narrow=narrow)) for k in sizes]
        constants[f"fft_{name}"] = round(float(np.median(units)), 4)
    names = ("numba", "numpy", "scipy")
    versions = ", ".join([f"python {platform.python_version()}", *(f"{n} {version(n)}" for n in names)])
    return Costs(datetime.now(UTC).date().isoformat(), f"{versions}, {platform.machine()}", **constants)


def direct_ns(size: int, accumulate: DTypeLike, pixels: DTypeLike) -> float:
    """Return nanoseconds per output pixel of a *size* x *size* kernel under the direct engine."""
    weights = _numbers((1, size, size), accumulate)
    block = _numbers((1, ROWS + size - 1, COLUMNS + size - 1), pixels)
    return _least(lambda: direct(block, weights)) / (ROWS * COLUMNS)


def separable_ns(size: int, accumulate: DTypeLike, pixels: DTypeLike) -> float:
    """Return nanoseconds per output pixel of a rank-1 *size* x *size* kernel under the separable engine."""
    line = _numbers((size,), accumulate)
    block = _numbers((1, ROWS + size - 1, COLUMNS + size - 1), pixels)
    one = np.ones(1, accumulate)
    return _least(lambda: separable(block, ((one, line, line),))) / (ROWS * COLUMNS)


def fft_ns(size: int, *, narrow: bool) -> float:
    """Return nanoseconds per output pixel of a *size* x *size* kernel under the FFT engine, in whole blocks."""
    weights = _numbers((1, size, size), np.float64)
    grid = _grid(size, narrow=narrow)
    want = Box((0, 0, 0), (1, 2 * grid.step[1], 2 * grid.step[2]))
    halo = Halo((0, size // 2, size // 2), (0, size - 1 - size // 2, size - 1 - size // 2))
    have = want.grow(halo)
    block = _numbers(have.shape, np.float32)
    return _least(lambda: fft(block, have, want, weights, halo, grid, exact=False, dtype=FLOAT32)) / want.size


def _grid(size: int, *, narrow: bool) -> Blocks:
    return blocks((1, size, size), (1, 2**15, 2**15), narrow=narrow)


def _numbers(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    return (np.random.default_rng(0).random(shape) * 1000).astype(dtype)


def _least(call: Callable[[], object]) -> float:
    call()  # compile, and fill the caches
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        call()
        times.append(time.thread_time() - began)
    return min(times) * 1e9


def _line(points: Sequence[Point]) -> tuple[float, float]:
    """Return offset and slope, neither below zero, of the line with the least relative error through *points*."""
    sizes, times = np.array(points).T
    rows = np.stack([1 / times, sizes / times], axis=1)
    offset, slope = np.linalg.lstsq(rows, np.ones(len(points)), rcond=None)[0]
    if slope < 0:  # noise: of so few pixels, or a very busy machine
        return round(float(np.mean(times)), 4), 0.0
    if offset < 0:
        return 0.0, float(np.mean(times / sizes))
    return round(float(offset), 4), round(float(slope), 5)
