"""Edges: kernels that sum to zero, but for a rounding or a cut bell.

Signs are those of a step from dark to bright; see docs/operators.md.
"""

from __future__ import annotations

import numpy as np

from tileconv.engines.kernel import Kernel
from tileconv.errors import KernelError
from tileconv.operations.blur import bells
from tileconv.operations.magnitude import Magnitude
from tileconv.operations.parameters import Component, Lengths, Positive, per_axis


def edge(component: Component = "x", *, axes: str = "yx") -> Kernel | Magnitude:
    """Edges by the grid of 3Blue1Brown's lesson: dark left of (or above) bright is negative; a step of h gives -h.

    ``component="x"`` finds vertical edges with ``[1 0 -1; 2 0 -2; 1 0 -1] / 4``.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.edge([[0, 0, 8, 8]])
    array([[ 0., -8., -8.,  0.]])
    >>> tileconv.kernels.edge().weights
    array([[ 1,  0, -1],
           [ 2,  0, -2],
           [ 1,  0, -1]])
    """
    return _gradient(component, (1, 2, 1), axes, slope=(1, 0, -1), divide_by=4.0 ** (len(axes) - 1))


def sobel(component: Component = "magnitude", *, axes: str = "yx") -> Kernel | Magnitude:
    """Sobel gradient, not normalised, as scipy.ndimage: dark left of bright gives positive x; a step of h gives 4 h.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.sobel([[0, 0, 8, 8]], "x")
    array([[ 0, 32, 32,  0]])
    """
    return _gradient(component, (1, 2, 1), axes)


def scharr(component: Component = "magnitude", *, axes: str = "yx") -> Kernel | Magnitude:
    """Scharr gradient with smoothing 3, 10, 3, not normalised: rounder than Sobel's; a step of h gives 16 h.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.scharr([[0, 0, 8, 8]], "x")
    array([[  0, 128, 128,   0]])
    """
    return _gradient(component, (3, 10, 3), axes)


def prewitt(component: Component = "magnitude", *, axes: str = "yx") -> Kernel | Magnitude:
    """Prewitt gradient, not normalised, as scipy.ndimage; a step of h gives 3 h.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.prewitt([[0, 0, 8, 8]], "x")
    array([[ 0, 24, 24,  0]])
    """
    return _gradient(component, (1, 1, 1), axes)


def laplacian(*, axes: str = "yx") -> Kernel:
    """Sum of the second differences 1, -2, 1 along every axis, as scipy.ndimage.laplace.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.laplacian([[0, 0, 8, 8]])
    array([[ 0,  8, -8,  0]])
    >>> tileconv.kernels.laplacian().weights
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    """
    return Kernel.of(_cross(len(axes), centre=-2 * len(axes), arm=1))


def laplacian_of_gaussian(sigma: Lengths, *, truncate: Positive = 4.0, axes: str = "yx") -> Kernel:
    """Laplacian of a Gaussian, as scipy.ndimage.gaussian_laplace; a bright spot gives a negative value.

    The weights of a bell that is cut off do not sum to exactly 0, here as in SciPy: a uniform image of ones becomes
    less than 0.001 / sigma**2 per axis for sigma 1 and above, and far more below.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.laplacian_of_gaussian([[0, 0, 9, 0, 0]], 1).round(1)
    array([[ 1.8,  0. , -3.6,  0. ,  1.8]])
    """
    sigmas = per_axis(sigma, axes, "sigma", above=0.0)
    smooth = bells(sigma, None, truncate, axes)
    curved = []
    for s, g in zip(sigmas, smooth, strict=True):
        x = np.arange(g.size) - g.size // 2
        with np.errstate(divide="ignore", over="ignore"):  # too small a sigma gives infinite weights, refused below
            curved.append(((x / s) ** 2 - 1) / np.square(s) * g)
    terms = [[curved[d] if d == axis else smooth[d] for d in range(len(axes))] for axis in range(len(axes))]
    return Kernel.separable(*terms)


def difference_of_gaussians(
    low_sigma: Lengths, high_sigma: Lengths | None = None, *, truncate: Positive = 4.0, axes: str = "yx"
) -> Kernel:
    """Narrow Gaussian blur minus a wide one, *high_sigma* (1.6 *low_sigma* by default): keeps what lies between.

    Raises
    ------
    KernelError
        If a high sigma is not above the low one.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.difference_of_gaussians([[0, 0, 9, 0, 0]], 1).round(1)
    array([[-0.9,  0.2,  1.3,  0.2, -0.9]])
    """
    low = per_axis(low_sigma, axes, "low_sigma", above=0.0)
    high = tuple(1.6 * s for s in low) if high_sigma is None else per_axis(high_sigma, axes, "high_sigma", above=0.0)
    if any(h <= s for s, h in zip(low, high, strict=True)):
        found = f"found {high_sigma} and {low_sigma}"
        raise KernelError(f"high_sigma must be above low_sigma, {found}", fix="Exchange them.")
    wide = bells(dict(zip(axes, high, strict=True)), None, truncate, axes)
    small = bells(low_sigma, None, truncate, axes)
    narrow = [np.pad(g, (w.size - g.size) // 2) for g, w in zip(small, wide, strict=True)]
    return Kernel.separable(narrow, [-wide[0], *wide[1:]])


def _gradient(
    component: Component,
    smooth: tuple[int, ...],
    axes: str,
    *,
    slope: tuple[int, ...] = (-1, 0, 1),
    divide_by: float = 1.0,
) -> Kernel | Magnitude:
    if component == "magnitude":
        return Magnitude(tuple(_derivative(a, smooth, axes, slope, divide_by) for a in axes))
    if component not in tuple(axes):
        fix = "State over: zyx in the stage." if component == "z" else ""
        raise KernelError(f"component must be one of {', '.join(axes)} or magnitude, found {component}", fix=fix)
    return _derivative(component, smooth, axes, slope, divide_by)


def _derivative(along: str, smooth: tuple[int, ...], axes: str, slope: tuple[int, ...], divide_by: float) -> Kernel:
    return Kernel.separable([slope if axis == along else smooth for axis in axes], divide_by=divide_by)


def _cross(axes: int, *, centre: int, arm: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return a grid of 3 along every axis with *centre* in the middle and *arm* on the nearest neighbours."""
    distance = sum(abs(g) for g in np.ogrid[(slice(-1, 2),) * axes])
    return np.select([distance == 0, distance == 1], [centre, arm], 0).astype(np.int64)
