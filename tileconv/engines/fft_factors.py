"""What the FFT engine multiplies: kernels with their transforms, and what a block reads, less its mean."""

from __future__ import annotations

import math
from dataclasses import field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.centred import Loaded
from tileconv.engines.grid import Blocks
from tileconv.engines.transform import spectrum
from tileconv.engines.values import FLOAT32, FLOAT64
from tileconv.quick import dataclass

Array = NDArray[Any]

CACHED_SPECTRA, CACHED_BANKS = 12, 4


@dataclass(frozen=True)
class Factor:
    """The weights of one call, with what every block wants to know of them."""

    weights: Array
    halo: Halo
    grid: Blocks
    exact: bool

    @cached_property
    def sum(self) -> float:
        """Sum of the weights."""
        return float(self.weights.sum())

    def base(self, mean: float) -> Any:
        """Return the sum of pixels that are all *mean*."""
        with np.errstate(over="ignore"):
            return self.type.type(mean * self.sum)

    def plain(self, base: Any) -> bool:
        """Return whether *base* stays what it is when a transform of zeros, of either sign, is added to it."""
        return self.exact or not (base == 0 and np.signbit(base))

    @cached_property
    def gain(self) -> float:
        """Sum of the absolute weights."""
        return float(np.abs(self.weights).sum())

    @cached_property
    def norm(self) -> float:
        """Their Euclidean norm."""
        return norm_of(self.weights)

    @cached_property
    def spectrum(self) -> Array:
        """The transform of the weights."""
        grid = self.grid
        made_for = grid.length, grid.transformed, self.type, grid.paired
        return _spectrum(self.weights.tobytes(), self.weights.shape, *made_for)

    @cached_property
    def scratch(self) -> Array:
        """What the paired blocks of one call are transformed in."""
        return self.new_scratch()

    def new_scratch(self) -> Array:
        """Return what a paired block is transformed in."""
        scratch = np.empty_like(self.spectrum)
        scratch[-1] = 0  # of which there may be lanes that nothing is put into
        return scratch

    @cached_property
    def type(self) -> np.dtype[Any]:
        """Type of the transforms."""
        return FLOAT32 if self.grid.narrow else FLOAT64

    @cached_property
    def in_float64(self) -> Factor:
        """The same weights on the grid for blocks that float32 would drown."""
        return replace(self, grid=self.grid.in_float64)


@lru_cache(maxsize=CACHED_BANKS)
def factors(weights: tuple[bytes, ...], shape: tuple[int, ...], halo: Halo, grid: Blocks, exact: bool) -> list[Factor]:
    """Return kernels of one shape, which keep their transforms from tile to tile, however many they are."""
    return [Factor(np.frombuffer(w, np.float64).reshape(shape), halo, grid, exact) for w in weights]


@lru_cache(maxsize=CACHED_SPECTRA)
def _spectrum(
    weights: bytes,
    shape: tuple[int, ...],
    length: tuple[int, ...],
    axes: tuple[int, ...],
    real: np.dtype[Any],
    paired: bool,
) -> Array:
    """Return the transform of the weights, turned round because a transform convolves."""
    kernel = np.frombuffer(weights, np.float64).reshape(shape)
    if paired:
        return spectrum(kernel[0], (length[1], length[2]))
    import scipy.fft  # which takes long, and which paired blocks do without

    turned = kernel[::-1, ::-1, ::-1]
    made = scipy.fft.rfftn(turned, s=[length[axis] for axis in axes], axes=axes, workers=1)
    return made.astype(np.result_type(real, np.complex64), copy=False)


@dataclass
class Read:
    """What a block reads, less its mean, ready for a transform; the transforms that several kernels share are kept.

    ``values`` are the pixels in float64 where some are not finite. ``transforms`` has those of planes of paired blocks,
    and under -1 that of others.
    """

    loaded: Loaded
    values: Array | None
    mean: float
    centred: Array
    norm: float
    transforms: dict[int, Array] = field(default_factory=dict)

    @property
    def level(self) -> bool:
        """Whether all pixels are the mean, so that there is nothing to transform."""
        return self.norm == 0 and self.values is None and not self.centred.any()

    @classmethod
    def of(cls, loaded: Loaded, read: Box, outer: Box, kernel: Factor, *, whole: bool) -> Read:
        """Return the pixels of *read* with zeros up to *outer*."""
        loaded, values = loaded.finite()
        mean = loaded.total / max(1, read.size)
        mean = 0.0 if kernel.grid.zeros_around else _mean(mean, whole=whole, real=kernel.type)
        centred, norm = loaded.less(mean, read, outer, kernel.type)
        if values is not None:  # pixels of NaN or infinity are zeros of the block
            centred[read.within(outer)][~np.isfinite(values)] = 0.0
            norm = norm_of(centred)
        return cls(loaded, values, mean, centred, norm)


@dataclass
class Shared:
    """What several kernels of one shape share: reads of blocks by type and block, and what products are made in."""

    reads: dict[tuple[np.dtype[Any], Box], Read | None]
    product: Array | None = None


def norm_of(values: Array) -> float:
    """Return the Euclidean norm; not by BLAS, whose threads take longer to wake than this sum."""
    return math.sqrt(float(np.einsum("zyx,zyx->", values, values)))


def _mean(mean: float, *, whole: bool, real: np.dtype[Any]) -> float:
    """Return *mean* as *real* holds it, and so that whole numbers less it are whole."""
    with np.errstate(over="ignore"):
        return float(round(mean)) if whole else float(real.type(mean))
