"""The types that operator parameters have, for the signatures that specs, docs and ``tileconv ops`` are read from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Annotated, Any, Literal

from tileconv.bounds import Ge, Gt
from tileconv.errors import KernelError
from tileconv.quick import dataclass

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(1)]


class Measured:
    """The note of a number of pixels that a pipeline file may write as a length, such as ``1.5 um``."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Return the schema to pydantic, which looks for this name among an annotation's notes."""
        return {"anyOf": [handler(schema), {"type": "string", "pattern": r"^[+]?[0-9.]+([eE][+-]?[0-9]+)? ?\D+$"}]}


Length = Annotated[Positive, Measured()]
Lengths = Length | Mapping[str, Length]
"""Pixels: one number for every axis that the stage acts on, or one per named axis, ``{y: 2, x: 3}``."""
Sigmas = Length | Mapping[str, Annotated[NotNegative, Measured()]]
"""Lengths of which those of some axes may be 0, which leaves these axes alone."""
Size = Annotated[Count, Measured()]
Sizes = Size | Mapping[str, Size]
"""Whole pixels: one number for every axis, or one per named axis."""
MEASURED = {"Length", "Lengths", "Sigmas", "Size", "Sizes", "Gabor", "Steerable"}
"""Names of the types here that hold lengths."""
InUnits = str | Mapping[str, float | str | Sequence[float | str]]
"""A length with a unit, such as ``1.5 um``, or one per axis, where functions are told the size of a pixel."""
Counts = Count | Mapping[str, Count]
"""Whole pixels of a grid that is made coarser."""
Component = Literal["x", "y", "z", "magnitude"]
Range = Annotated[Sequence[float], "two numbers, low and high"]
WeightsOrFile = Annotated[
    str | Sequence[float] | Sequence[Sequence[float]] | Sequence[Sequence[Sequence[float]]], "kernel"
]
"""A nested list of numbers, or the path of a ``.npy`` or ``.csv`` file."""
Name = Annotated[str, "name"]
"""A key of the user's own."""
KernelsOrFile = str | Sequence[WeightsOrFile] | Mapping[Name, WeightsOrFile]
"""Kernels in a list, or by name, or the path of a ``.npy`` file that holds all of them."""
Compass = Literal["kirsch", "prewitt", "sobel"]
Gabor = Mapping[Literal["orientations", "wavelengths"], Length | Sequence[Length]]
Steerable = Mapping[Literal["order", "sigma"], Length]
Projected = Literal["max", "mean", "sum", "min", "std"]
Reduction = Literal["none", "magnitude", "maximum", "argmax", "sum"]


Amounts = Annotated[int, Ge(0)] | Mapping[str, Annotated[int, Ge(0)]]
"""Whole pixels of which there may be none."""


@dataclass(frozen=True)
class Plain:
    """The note of a text that is no path."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file that holds several."""

    path: Annotated[str, "A .safetensors file."]
    name: Annotated[str, Plain(), "Name of the weights in it."]


LayerWeights = Annotated[str | Tensor | Sequence[Sequence[Sequence[Sequence[float]]]], "weights"]
"""(out-channels, in-channels, y, x): numbers, or the path of a ``.npy``, ``.npz`` or ``.safetensors`` file."""


def number(value: object, name: str, *, fix: str = "") -> float:
    """Return *value* as a float; KernelError if it is no real number."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise KernelError(f"{name} must be a number, found {value!r}", fix=fix)
    try:
        real = float(value)
    except OverflowError as error:
        raise KernelError(f"{name} is too large, found {value}") from error
    if isinstance(value, Integral) and int(value) != real:
        fix = f"The nearest is {real:.0f}."
        raise KernelError(f"{name} must be a number that float64 holds, found {value}", fix=fix)
    return real


def per_axis(
    value: float | Mapping[str, float], axes: str, name: str, *, above: float, zero: bool = False
) -> tuple[float, ...]:
    """Return one value per letter of *axes*, each > *above*, or 0 where a mapping may say *zero* of some axes.

    Raises
    ------
    KernelError
        If a mapping does not name exactly *axes*, or a value is no number above the limit.
    """
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            found = ", ".join(map(str, value)) or "none"
            raise KernelError(f"{name} must name the axes {', '.join(axes)}, found {found}")
        values = tuple(number(value[axis], name) for axis in axes)
    else:
        each = ", ".join(f"{axis!r}: {n}" for n, axis in enumerate(axes, start=1))
        fix = f"For one per axis, name them: {name}={{{each}}}."
        fix = "Lengths are numbers of pixels: divide by the size of a pixel." if isinstance(value, str) else fix
        values = (number(value, name, fix=fix),) * len(axes)
    stated = [v for v in values if v] if zero and isinstance(value, Mapping) and any(values) else values
    if not all(above < v < math.inf for v in stated):
        raise KernelError(f"{name} must be above {above:g} and finite, found {value}")
    return values


def sizes_per_axis(size: Amounts, axes: str, name: str = "size", *, least: int = 1) -> tuple[int, ...]:
    """Return one whole number of pixels >= *least* per letter of *axes*; KernelError otherwise."""
    values = per_axis(size, axes, name, above=least - 1.0)
    if not all(v.is_integer() for v in values):
        raise KernelError(f"{name} must be a whole number of pixels, found {size}")
    return tuple(int(v) for v in values)
