"""What each engine costs, from sizes alone: planning reads no clock and no pixel.

Nanoseconds per output pixel on one core (AMD EPYC, AVX-512), measured by ``benchmarks/engines.py``. Only their ratios
matter to a choice. The choice is part of the plan and of its fingerprint, so other constants never change a result that
was begun.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tileconv.engines.fft import Blocks, block_cost

DIRECT_CALL, DIRECT_TAP = 0.3, 0.022
"""Writing an output pixel, and one multiplication with its share of a load, in float32."""
SEPARABLE_TERM, SEPARABLE_TAP = 0.2, 0.027
"""One outer product's pass through the ring, and one multiplication along one axis, in float32."""
WIDE = 2.1
"""How much slower sums of 8 bytes are than sums of 4: half as many fit a vector register."""
FFT_POINT = 0.4
"""One unit of ``fft.block_cost``."""


def direct_ns(shape: tuple[int, ...], accumulate: np.dtype[Any]) -> float:
    """Return the cost of the direct engine for a kernel of *shape*."""
    return (DIRECT_CALL + DIRECT_TAP * math.prod(shape)) * _width(accumulate)


def separable_ns(shape: tuple[int, ...], terms: int, accumulate: np.dtype[Any]) -> float:
    """Return the cost of the separable engine for a kernel that is a sum of *terms* outer products."""
    return terms * (SEPARABLE_TERM + SEPARABLE_TAP * sum(shape)) * _width(accumulate)


def fft_ns(grid: Blocks, shape: tuple[int, ...]) -> float:
    """Return the cost of the FFT engine on its canonical grid; it always runs in float64."""
    lengths = tuple(grid.length[axis] for axis in grid.transformed)
    return FFT_POINT * block_cost(lengths, tuple(shape[axis] for axis in grid.transformed))


def _width(accumulate: np.dtype[Any]) -> float:
    return 1.0 if accumulate.itemsize == 4 else WIDE
