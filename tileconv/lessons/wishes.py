"""What is asked of a kernel that is learned, and the weights that meet it best: small dense algebra, no pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import KernelError, PlanError
from tileconv.lessons.sums import Shape
from tileconv.quick import dataclass

Array = NDArray[np.float64]

SYMMETRIES: dict[str, Callable[[NDArray[np.intp]], NDArray[np.intp]]] = {
    "z": lambda grid: np.flip(grid, 0),
    "y": lambda grid: np.flip(grid, 1),
    "x": lambda grid: np.flip(grid, 2),
    "point": lambda grid: np.flip(grid),
    "transpose": lambda grid: grid.swapaxes(1, 2),
    "rotate": lambda grid: np.rot90(grid, axes=(1, 2)),
}
"""Where each symmetry takes the weights: mirrored along an axis, half a turn, rows as columns, a quarter turn."""


@dataclass(frozen=True)
class Wishes:
    """What the weights must meet.

    Attributes
    ----------
    ridge
        Times the mean variance of the pixels and their number: what the squares of the weights are penalised with.
    symmetric
        Names of ``SYMMETRIES`` under which the kernel stays as it is.
    total
        What the weights sum to, or None.
    """

    ridge: float = 0.0
    symmetric: tuple[str, ...] = ()
    non_negative: bool = False
    total: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ridge) and self.ridge >= 0):
            raise PlanError(f"ridge must be a number of at least 0, found {self.ridge}")
        if unknown := [name for name in self.symmetric if name not in SYMMETRIES]:
            raise PlanError(f"symmetric takes {', '.join(SYMMETRIES)}, found {unknown[0]!r}")
        if self.non_negative and self.total == 0:
            why = "weights that are not negative and sum to 0 are all 0"
            raise PlanError("non-negative and zero-sum exclude each other", why=why)


def orbits(shape: Shape, symmetric: tuple[str, ...]) -> Array:
    """Return an orthonormal matrix whose columns are the kernels of *shape* that stay as they are, one of each kind.

    Raises
    ------
    KernelError
        If a symmetry that swaps rows and columns meets a kernel that is not square.
    """
    grid = np.arange(math.prod(shape)).reshape(shape)
    label = grid.ravel().copy()
    for name in symmetric:
        if SYMMETRIES[name](grid).shape != shape:
            raise KernelError(f"the symmetry {name} needs a square kernel, found {shape[1]} x {shape[2]}")
    changed = True
    while changed:
        before = label.copy()
        for name in symmetric:
            partner = SYMMETRIES[name](grid).ravel()
            label = np.minimum(label, label[partner])
            np.minimum.at(label, partner, label.copy())
        changed = bool((label != before).any())
    kinds, of = np.unique(label, return_inverse=True)
    member = np.zeros((label.size, kinds.size))
    member[np.arange(label.size), of] = 1
    return np.asarray(member / np.sqrt(member.sum(0)))


def best(gram: Array, cross: Array, shape: Shape, wishes: Wishes, penalty: float) -> tuple[Array, float]:
    """Return the weights w that make ``w gram w - 2 w cross + penalty w w`` least under *wishes*, and a condition.

    Of several the shortest: as ``numpy.linalg.lstsq``. Signs are met by non-negative least squares (Lawson and Hanson
    1974) on a factor of the normal equations, and a sum of 1 as well by a nearest point of the convex hull.

    Parameters
    ----------
    gram, cross
        Of the centred columns.

    Returns
    -------
    tuple[Array, float]
        Weights in C order; the largest eigenvalue of what is solved divided by the least, inf where that is 0.
    """
    basis = orbits(shape, wishes.symmetric)
    matrix = basis.T @ gram @ basis + penalty * np.eye(basis.shape[1])
    right, ones = basis.T @ cross, basis.sum(0)
    if wishes.non_negative:
        factor, aim, condition = _factor(matrix, right)
        solution = _not_negative(factor, aim, None if wishes.total is None else ones / wishes.total)
    elif wishes.total is None:
        factor, aim, condition = _factor(matrix, right)
        solution = _shortest(factor, aim)
    else:  # a particular solution, and what may be added to it without changing the sum
        first = ones * (wishes.total / (ones @ ones))
        free = np.linalg.qr(ones[:, None], mode="complete")[0][:, 1:]
        factor, aim, condition = _factor(free.T @ matrix @ free, free.T @ (right - matrix @ first))
        solution = first + free @ _shortest(factor, aim)
    return basis @ solution, condition


def _factor(matrix: Array, right: Array) -> tuple[Array, Array, float]:
    """Return A and b with A' A = *matrix* and A' b = *right*, rows orthogonal, and the condition of *matrix*."""
    if not matrix.size:
        return matrix, right, 1.0
    values, vectors = np.linalg.eigh(matrix)
    largest = values[-1]
    kept = values > len(values) * np.finfo(np.float64).eps * max(largest, 0.0)
    roots = np.sqrt(values[kept])
    factor = roots[:, None] * vectors[:, kept].T
    return factor, (vectors[:, kept].T @ right) / roots, float(largest / values[0]) if kept.all() else math.inf


def _shortest(factor: Array, aim: Array) -> Array:
    return np.asarray(factor.T @ (aim / np.square(factor).sum(1)))


def _not_negative(factor: Array, aim: Array, sums: Array | None) -> Array:
    from scipy.optimize import nnls

    scale = float(np.linalg.norm(aim)) or 1.0
    if sums is None and not aim.size:
        return np.zeros(factor.shape[1])
    if sums is None:
        return np.asarray(nnls(factor / scale, aim / scale)[0])
    # of all v >= 0 with sums v = 1 the one for which |A v - b| is least: of |B u|^2 + (sums u - 1)^2, with
    # B = A - b sums, the least u is that v times |B v| ^ 2 / (1 + |B v| ^ 2)
    rows = np.vstack([(factor - np.outer(aim, sums)) / scale, sums])
    found = nnls(rows, np.concatenate([np.zeros(len(aim)), [1.0]]))[0]
    return np.asarray(found / (sums @ found))
