"""Blurs: kernels that sum to one, so that a uniform image stays as it is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import KernelError
from tileconv.kernels.kernel import Kernel
from tileconv.kernels.parameters import Lengths, Positive, Sizes, per_axis


def box(size: Sizes = 3, *, axes: str = "yx") -> Kernel:
    """Moving average: every pixel of a *size* x *size* box weighs the same.

    Examples
    --------
    >>> box(3)
    Kernel(3x3, sum=1)
    """
    sizes = per_axis(size, axes, "size", above=0)
    return Kernel.separable([np.ones(n, np.int64) for n in sizes], divide_by=math.prod(sizes))


def gaussian(sigma: Lengths | None = None, *, size: Sizes | None = None, truncate: Positive = 4.0, axes: str = "yx") -> Kernel:
    """Gaussian bell of standard deviation *sigma* pixels, cut at *truncate* sigmas, weights as scipy.ndimage makes them.

    With *size* instead of *sigma* the bell is cut at two sigmas, so that ``size=5`` is the 5 x 5 grid of 3Blue1Brown's
    lesson (sigma 1); with both, *size* says where to cut.

    Raises
    ------
    KernelError
        If neither is given, or a size is even (a bell has a middle).

    Examples
    --------
    >>> gaussian(2)
    Kernel(17x17, sum=1)
    >>> gaussian(size=5).weights[2].round(4)
    array([0.0219, 0.0983, 0.1621, 0.0983, 0.0219])
    """
    return Kernel.separable(bells(sigma, size, truncate, axes))


def disk(radius: Lengths, *, axes: str = "yx") -> Kernel:
    """Mean over a disk (a ball in three axes; an ellipse with one radius per axis): pixels with distance <= *radius*.

    Examples
    --------
    >>> disk(1).weights
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]])
    """
    radii = per_axis(radius, axes, "radius", above=0.0)
    grids = np.ogrid[tuple(slice(-int(r), int(r) + 1) for r in radii)]
    inside = sum((g / r) ** 2 for g, r in zip(grids, radii, strict=True)) <= 1
    return Kernel.of(inside.astype(np.int64), divide_by=int(inside.sum()))


def bells(sigma: Lengths | None, size: Sizes | None, truncate: float, axes: str) -> list[NDArray[np.float64]]:
    """Return the 1-D Gaussian of every axis, each summing to one."""
    if size is None:
        if sigma is None:
            raise KernelError("expected sigma or size, found neither", fix="Give sigma in pixels, as in sigma: 2.")
        return [bell(s, int(truncate * s + 0.5)) for s in per_axis(sigma, axes, "sigma", above=0.0)]
    sizes = per_axis(size, axes, "size", above=0)
    if any(n % 2 == 0 for n in sizes):
        raise KernelError(f"the size of a Gaussian must be odd, found {size}", why="a bell has a middle")
    sigmas = [max((n - 1) / 4, 0.25) for n in sizes] if sigma is None else per_axis(sigma, axes, "sigma", above=0.0)
    return [bell(s, n // 2) for s, n in zip(sigmas, sizes, strict=True)]


def bell(sigma: float, radius: int) -> NDArray[np.float64]:
    """Return ``2 * radius + 1`` samples of a Gaussian, divided by their sum (scipy.ndimage's ``_gaussian_kernel1d``)."""
    if radius > 1_000_000:
        raise KernelError(f"a Gaussian reaches at most 1,000,000 pixels, found {radius:,}")
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return weights / weights.sum()
