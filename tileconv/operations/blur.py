"""Blurs: kernels that sum to one, so that a uniform image stays as it is, within rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.kernel import Kernel, check_lengths, check_size
from tileconv.errors import KernelError
from tileconv.operations.parameters import Lengths, Positive, Sigmas, Sizes, number, per_axis, sizes_per_axis


def box(size: Sizes = 3, *, axes: str = "yx") -> Kernel:
    """Average over a *size* x *size* box, in which every pixel weighs the same: a moving average.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.box([[0, 9, 0]])
    array([[3., 3., 3.]])
    >>> tileconv.kernels.box(5)
    Kernel(5x5, sum=1)
    """
    sizes = sizes_per_axis(size, axes)
    check_lengths(sizes)
    return Kernel.separable([np.ones(n, np.int64) for n in sizes], divide_by=math.prod(sizes))


def gaussian(
    sigma: Sigmas | None = None, *, size: Sizes | None = None, truncate: Positive = 4.0, axes: str = "yx"
) -> Kernel:
    """Gaussian blur of standard deviation *sigma* pixels, cut at *truncate* sigmas, as scipy.ndimage makes it.

    With *size* instead of *sigma* the bell is cut at two sigmas, so that ``size=5`` is the 5 x 5 grid of 3Blue1Brown's
    lesson (sigma 1); with both, *size* says where to cut. A sigma of 0 along one axis leaves that axis alone.

    Raises
    ------
    KernelError
        If neither is given, a size is even (a bell has a middle), or the grid would be too large.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.gaussian([[0, 0, 16, 0, 0]], size=3).round(1)
    array([[ 0. ,  1.7, 12.6,  1.7,  0. ]])
    >>> tileconv.gaussian([[0, 0, 9], [0, 0, 9]], {"y": 0, "x": 1}).round(1)
    array([[0.6, 2.7, 5.8],
           [0.6, 2.7, 5.8]])
    >>> tileconv.kernels.gaussian(2)
    Kernel(17x17, sum=1)
    """
    return Kernel.separable(bells(sigma, size, truncate, axes))


def disk(radius: Lengths, *, axes: str = "yx") -> Kernel:
    """Mean over a disk (a ball in three axes, an ellipse with a radius per axis): all pixels up to *radius* away.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.disk([[0, 5, 0]], 1)
    array([[1., 3., 1.]])
    >>> tileconv.kernels.disk(1).weights
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    radii = per_axis(radius, axes, "radius", above=0.0)
    check_size([2 * int(r) + 1 for r in radii])
    inside = within_radii(radii)
    return Kernel.of(inside, divide_by=int(inside.sum()))


ON_THE_RIM = 1e-12
"""Pixels like (5, 12) at radius 13 lie on the rim exactly, and their quotients' squares do not sum to exactly one."""


def within_radii(radii: Sequence[float]) -> NDArray[np.bool_]:
    """Return which pixels of the box around a disk of *radii*, one per axis, lie in it."""
    grids = np.ogrid[tuple(slice(-int(r), int(r) + 1) for r in radii)]
    squares = [(g / r) ** 2 for g, r in zip(grids, radii, strict=True)]
    inside: NDArray[np.bool_] = reduce(np.add, squares) <= 1 + ON_THE_RIM
    return inside


def bells(sigma: Sigmas | None, size: Sizes | None, truncate: float, axes: str) -> list[NDArray[np.float64]]:
    """Return the 1-D Gaussian of every axis, each summing to one."""
    if size is None:
        if sigma is None:
            raise KernelError("expected sigma or size, found neither", fix="Give sigma in pixels, as in sigma: 2.")
        truncate = number(truncate, "truncate")
        if not 0 < truncate < math.inf:
            raise KernelError(f"truncate must be above 0 and finite, found {truncate}")
        sigmas = per_axis(sigma, axes, "sigma", above=0.0, zero=True)
        check_lengths([2 * float(np.floor(truncate * s + 0.5)) + 1 for s in sigmas])
        return [_bell(s, int(truncate * s + 0.5)) for s in sigmas]
    sizes = sizes_per_axis(size, axes)
    check_lengths(sizes)
    if any(n % 2 == 0 for n in sizes):
        fix = "Use the next odd number."
        raise KernelError(f"the size of a Gaussian must be odd, found {size}", why="a bell has a middle", fix=fix)
    bare = tuple(max((n - 1) / 4, 0.25) for n in sizes)
    sigmas = bare if sigma is None else per_axis(sigma, axes, "sigma", above=0.0, zero=True)
    return [_bell(s, n // 2) for s, n in zip(sigmas, sizes, strict=True)]


def _bell(sigma: float, radius: int) -> NDArray[np.float64]:
    """Return ``2 * radius + 1`` samples of a Gaussian, divided by their sum, as scipy.ndimage makes them.

    Of sigma 0 that is the one in the middle.
    """
    if sigma == 0:
        return np.ones(1)
    x = np.arange(-radius, radius + 1)
    with np.errstate(over="ignore"):  # far outside a tiny bell the exponent is minus infinity, and the weight 0
        weights: NDArray[np.float64] = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / float(weights.sum())
