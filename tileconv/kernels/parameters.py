"""The types that operator parameters have, for the signatures that specs, docs and ``tileconv ops`` are read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Annotated, Literal, TypeVar

from annotated_types import Ge, Gt

from tileconv.errors import KernelError

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(1)]

Lengths = Positive | Mapping[str, Positive]
"""Pixels: one number for every axis that the stage acts on, or one per named axis, ``{y: 2, x: 3}``."""
Sizes = Count | Mapping[str, Count]
"""Whole pixels: one number for every axis, or one per named axis."""
Component = Literal["x", "y", "z", "magnitude"]
Range = Annotated[Sequence[float], "two numbers, low and high"]
WeightsOrFile = Annotated[
    str | Sequence[float] | Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]], "kernel"
]
"""A nested list of numbers, or the path of a ``.npy`` or ``.csv`` file."""

Number = TypeVar("Number", int, float)


def per_axis(value: Number | Mapping[str, Number], axes: str, name: str, *, above: Number) -> tuple[Number, ...]:
    """Return one value per letter of *axes*, each > *above*.

    Raises
    ------
    KernelError
        If a mapping does not name exactly *axes*, or a value is not above the limit.
    """
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            raise KernelError(f"{name} must name the axes {', '.join(axes)}, found {', '.join(value) or 'none'}")
        values = tuple(value[axis] for axis in axes)
    else:
        values = (value,) * len(axes)
    if not all(isinstance(v, Real) and v > above and v < float("inf") for v in values):
        raise KernelError(f"{name} must be above {above} and finite, found {value}")
    return values


def sizes_per_axis(size: Sizes, axes: str) -> tuple[int, ...]:
    """Return one whole number of pixels >= 1 per letter of *axes*; KernelError otherwise."""
    values = per_axis(size, axes, "size", above=0)
    if any(v != int(v) for v in values):
        raise KernelError(f"size must be a whole number of pixels, found {size}")
    return tuple(int(v) for v in values)
