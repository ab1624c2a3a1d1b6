"""Missing pixels replaced: by a value, by the nearest valid pixel, or by a blur of the valid ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from tileconv.boxes import Halo
from tileconv.engines.kernel import Kernel, check_size
from tileconv.engines.values import FLOAT64, Precision, Values, beside, working_dtype
from tileconv.errors import KernelError
from tileconv.operations.blur import ON_THE_RIM, bells
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.operation import Array, Choices, Operation
from tileconv.operations.parameters import Lengths, Positive, Sigmas, number, per_axis
from tileconv.quick import dataclass

TAKES = {"constant": "value", "nearest": "radius", "blur": "sigma"}
"""What each method must be given, and no other takes."""


def fill(
    method: Literal["constant", "nearest", "blur"],
    *,
    value: float | None = None,
    radius: Lengths | None = None,
    sigma: Sigmas | None = None,
    truncate: Positive = 4.0,
    axes: str = "yx",
) -> Operation:
    """Replace missing pixels (NaN), and leave all others as they are.

    ``constant`` puts *value* there; ``nearest`` the nearest valid pixel, up to *radius* pixels away; ``blur`` the mean
    of the valid pixels around it, weighted by a Gaussian of standard deviation *sigma* that is cut at *truncate*
    sigmas, as ``astropy.convolution.interpolate_replace_nans`` does. Of pixels that are alike near the first counts, by
    z, then y, then x; with a radius per axis, distances are counted in radii. A pixel without a valid one in reach
    stays missing.

    Raises
    ------
    KernelError
        If the method lacks its number, or is given that of another.

    Examples
    --------
    >>> import numpy as np, tileconv
    >>> holed = np.array([[1, np.nan, 5, 9, np.nan, np.nan]])
    >>> tileconv.fill(holed, "nearest", radius=1)
    array([[ 1.,  1.,  5.,  9.,  9., nan]])
    >>> tileconv.fill(holed, "blur", sigma=1).round(1)
    array([[1. , 3.4, 5. , 9. , 8.3, 8.7]])
    """
    if method not in TAKES:
        raise KernelError(f"method must be one of {', '.join(TAKES)}, found {method!r}")
    given: Mapping[str, Any] = {"value": value, "radius": radius, "sigma": sigma}
    needed = TAKES[method]
    for name in given:
        if name != needed and given[name] is not None:
            raise KernelError(f"method {method} takes {needed}, and no {name}")
    if given[needed] is None:
        raise KernelError(f"method {method} needs {needed}", fix=f"Give {needed}.")
    if method == "constant":
        return FillConstant(number(value, "value"))
    if method == "nearest":
        return FillNearest(_by_distance(per_axis(radius, axes, "radius", above=0.0)))  # type: ignore[arg-type]
    return FillBlur(Kernel.separable(bells(sigma, None, truncate, axes)))


def _by_distance(radii: tuple[float, ...]) -> Kernel:
    """Return weights of 1, 2, ... for the places up to *radii* away in the order of their distance, 0 for others."""
    check_size([2 * int(r) + 1 for r in radii])
    grids = np.ogrid[tuple(slice(-int(r), int(r) + 1) for r in radii)]
    squares = sum(((g * (max(radii) / r)) ** 2 for g, r in zip(grids, radii, strict=True)), start=np.zeros(()))
    inside = squares.ravel() <= max(radii) ** 2 * (1 + ON_THE_RIM)
    order = np.argsort(squares.ravel(), kind="stable")
    ranks = np.zeros(squares.size, np.int64)
    ranks[order[inside[order]]] = np.arange(1, inside.sum() + 1)
    return Kernel.of(ranks.reshape(squares.shape))


@dataclass(frozen=True)
class FillConstant(Operation):
    """*value* in place of NaN."""

    value: float
    fills: ClassVar[bool] = True

    @property
    def keeps_whole(self) -> bool:
        return self.value.is_integer()

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        (own,) = pixels
        made: Array = own.astype(out.dtype)
        if own.dtype.kind == "f":
            made[np.isnan(own)] = self.value
        return made

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        return beside(own, self.value, working=_wide(own, precision), exact=False) if own.nan else own

    def outcome(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        return replace(self.range_out(values, choices, precision), nan=False)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        rounded = out.dtype.kind == "f" and float(out.dtype.type(self.value)) != self.value
        return half_ulp(out) * abs(self.value) if rounded and values[0].nan else 0.0

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return self.error_bound(values, choices, out)


@dataclass(frozen=True)
class _FillNear(Operation):
    """What the pixels around make in place of NaN; *near* has the weight of each."""

    near: Kernel
    fills: ClassVar[bool] = True

    @property
    def halo(self) -> Halo:
        return self.near.halo

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        (block,) = pixels
        weights = self.near.weights.reshape((1,) * (3 - len(self.near.shape)) + self.near.shape)
        middle = tuple(slice(n // 2, m - n // 2) for n, m in zip(weights.shape, block.shape, strict=True))
        made: Array = block[middle].astype(out.dtype)
        if block.dtype.kind == "f" and np.isnan(made).any():
            self._fill(np.ascontiguousarray(block, out.dtype), weights, made)
        return made

    def _fill(self, block: Array, weights: Array, made: Array) -> None:
        """Write to *made* what stands in place of its NaN; *block* reaches further by the halo of *weights*."""
        raise NotImplementedError

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,) = values
        return replace(own, dtype=_wide(own, precision)) if own.nan else own

    def ns_per_pixel(self, values: Values) -> float:
        return 1.0

    def scratch(self, values: Values, want: int) -> int:
        return want * (values.dtype.itemsize + 1) if values.nan else 0


@dataclass(frozen=True)
class FillNearest(_FillNear):
    """The first valid pixel by the ranks of *near*."""

    @property
    def keeps_whole(self) -> bool:
        return True

    def _fill(self, block: Array, weights: Array, made: Array) -> None:
        from tileconv.operations.fill_loops import nearest

        ranks = weights.astype(np.int64).ravel()
        places = np.argsort(ranks, kind="stable")[np.count_nonzero(ranks == 0) :]
        nearest(block, np.stack(np.unravel_index(places, weights.shape), axis=1), made)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 0.0

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return 0.0


@dataclass(frozen=True)
class FillBlur(_FillNear):
    """The mean of the valid pixels, weighted by *near*."""

    copies: ClassVar[int] = 1

    def _fill(self, block: Array, weights: Array, made: Array) -> None:
        from tileconv.operations.fill_loops import mean

        mean(block, weights.astype(np.float64), made)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        # two sums of n products, the weights rounded, and a quotient
        count, eps = math.prod(self.near.shape), float(np.finfo(FLOAT64).eps)
        return largest(values[0]) * (2 * (count + 3) * eps + half_ulp(out)) if values[0].nan else 0.0

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        return self.error_bound(values, choices, out)


def _wide(values: Values, precision: Precision) -> np.dtype[Any]:
    """Return a type that holds pixels like *values* as they are: no narrower where sums in float32 are asked for."""
    return working_dtype(values.dtype, "auto" if precision == "float32" else precision)
