"""Sharpening: the image plus what a blur took away."""

from __future__ import annotations

import math

import numpy as np

from tileconv.errors import KernelError
from tileconv.kernels.blur import bells
from tileconv.kernels.kernel import Kernel
from tileconv.kernels.operations import Unsharp
from tileconv.kernels.parameters import Lengths, NotNegative, Positive, number


def sharpen(*, axes: str = "yx") -> Kernel:
    """Sharpening by the grid of 3Blue1Brown's lesson: centre 5, its four neighbours -1 (in three axes 7, and six).

    Examples
    --------
    >>> import tileconv
    >>> tileconv.sharpen([[0, 0, 8, 8]])
    array([[ 0, -8, 16,  8]])
    >>> tileconv.kernels.sharpen().weights
    array([[ 0, -1,  0],
           [-1,  5, -1],
           [ 0, -1,  0]])
    """
    distance = sum(abs(g) for g in np.ogrid[(slice(-1, 2),) * len(axes)])
    return Kernel.of(np.select([distance == 0, distance == 1], [2 * len(axes) + 1, -1], 0))


def unsharp(
    sigma: Lengths, *, amount: float = 1.0, threshold: NotNegative = 0.0, truncate: Positive = 4.0, axes: str = "yx"
) -> Unsharp:
    """Unsharp mask: ``image + amount * (image - gaussian(image))`` where the difference reaches *threshold*.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.unsharp([[0, 0, 8, 8]], 1, amount=2).round(1)
    array([[-1. , -4.8, 12.8,  9. ]])
    """
    amount, threshold = number(amount, "amount"), number(threshold, "threshold")
    if not (math.isfinite(amount) and 0 <= threshold < math.inf):
        raise KernelError(f"amount must be finite and threshold >= 0 and finite, found {amount} and {threshold}")
    return Unsharp(Kernel.separable(bells(sigma, None, truncate, axes)), amount, threshold)
