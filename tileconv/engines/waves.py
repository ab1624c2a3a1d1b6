"""Whether a layer is made by products of matrices or by transforms, and what each costs: from sizes alone."""

from __future__ import annotations

import math
from functools import lru_cache

from tileconv.engines.filters import Taps
from tileconv.engines.grid import fast_length
from tileconv.quick import dataclass

NS_PER_PRODUCT, NS_PER_TAP, NS_PER_SUM = 0.035, 0.6, 2.5
"""A product and its sum within BLAS, a pixel copied for it, and what is done to a sum, nanoseconds in float32."""
NS_PER_POINT, NS_PER_ADDED = 16.0, 1.6
"""A point transformed in float64, and a product of transforms added to others, for a point (measured: decision 031)."""
STEPS, SPECTRA_BYTES = (64, 128, 256), 2**28
"""Outputs along y and x that a transform may make, and what the transforms of all kernels may take in a process."""

Shape = tuple[int, ...]
"""That of weights: (out-channels, in-channels of a group, z, y, x)."""


@dataclass(frozen=True)
class Waves:
    """The transforms of a layer: *length* points along y and x, which make *step* outputs along both."""

    step: int
    length: tuple[int, int]

    @property
    def half(self) -> int:
        """Bytes of the transform of real numbers."""
        return 16 * self.length[0] * (self.length[1] // 2 + 1)

    def scratch(self, shape: Shape, groups: int) -> int:
        """Return the bytes that a block takes."""
        outs, ins = shape[0], shape[1] * groups
        return (ins + 2 * outs) * self.half + ins * 8 * math.prod(self.length) + outs * 20 * self.step**2


def products_ns(shape: Shape, groups: int) -> float:
    """Return the cost of a pixel of all out-channels by products in float32."""
    outs, taps = shape[0], math.prod(shape[1:])
    return taps * (outs * NS_PER_PRODUCT + groups * NS_PER_TAP) + outs * NS_PER_SUM


@lru_cache(maxsize=256)
def cheaper_waves(shape: Shape, taps: Taps, groups: int) -> tuple[Waves, float] | None:
    """Return the transforms that cost less than products, and what a pixel of all out-channels costs so.

    None where there are none: with a stride, a dilation or kernels of several planes, and where the transforms of all
    kernels would take more than ``SPECTRA_BYTES``.
    """
    if {*taps.step, *taps.dilation, shape[2]} != {1}:
        return None
    outs, ins = shape[:2]
    options = []
    for step in STEPS:
        waves = Waves(step, (fast_length(step + shape[3] - 1), fast_length(step + shape[4] - 1)))
        points = math.prod(waves.length) / step**2
        ns = points * (NS_PER_POINT * (groups * ins + outs) + NS_PER_ADDED * ins * outs) + outs * NS_PER_SUM
        if ns < products_ns(shape, groups) and outs * ins * waves.half <= SPECTRA_BYTES:
            options.append((waves, ns))
    return min(options, key=lambda option: option[1], default=None)
