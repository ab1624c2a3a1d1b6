"""Lengths with a unit among the arguments of operators' functions, which are told how long a pixel is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from tileconv.errors import PlanError
from tileconv.operations.parameters import MEASURED
from tileconv.planning.lengths import px_of
from tileconv.spec.lengths import PIXELS, length_of, measured, parse_length, parse_pixel_size, resolved, texts

SCALE = Parameter("scale", Parameter.KEYWORD_ONLY, default=None, annotation="Mapping[str, str] | None")
EXAMPLE = 'scale={"y": "0.5 um", "x": "0.5 um"}'
SAID = """\
Lengths are numbers of pixels, or have a unit, as ``1.5 um``, where *scale* tells how long a pixel is along each axis:
``{"y": "0.5 um", "x": "0.5 um"}``. The coordinates of an xarray.DataArray may tell it, too.

"""
"""What the functions say that take it."""


def parameters_of(make: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of an operator's function beside the image; *scale* where one of them is a length."""
    own = [p for name, p in signature(make).parameters.items() if name != "axes"]
    long = [p for p in own if MEASURED & {*re.findall(r"\w+", p.annotation)}]
    made = [p.replace(annotation=_in_units(p.annotation)) if p in long else p for p in own]
    return [*made, *[SCALE] * bool(long)]


def _in_units(annotation: str) -> str:
    bare, none, _ = annotation.partition(" | None")
    return f"{bare} | InUnits{none}"


def in_pixels(op: str, given: Mapping[str, Any], axes: str, scale: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the arguments of the operator *op*, in pixels of the sizes *scale* where they are lengths with a unit.

    Texts that are no lengths stay, and the operator refuses them.

    Raises
    ------
    PlanError
        If the size of a pixel is not given, or is none.
    """
    given = dict(given) | {name: _bare(given[name]) for name in measured(op) if name in given}
    if not all(map(_is_length, texts([given.get(name) for name in measured(op)]))):
        return given

    sizes = {} if scale is None else scale
    if not isinstance(sizes, Mapping):
        raise PlanError(f"scale must be a mapping of axes, found {scale!r}", fix=f"Write it as {EXAMPLE}.")

    def pixels(text: str, axis: str) -> float:
        if axis not in sizes:
            fix = f"Say it with scale={ {a: f'... {parse_length(text)[1]}' for a in axes} }, or give pixels."
            raise PlanError(f"{text} is no number of pixels along {axis} without the size of a pixel", fix=fix)
        return px_of(text, length_of(_size(axis, sizes[axis])))

    return resolved(op, given, axes, pixels)


def _bare(value: Any) -> Any:
    """Return *value* with numbers in the place of lengths in pixels, as ``3 px``."""
    if isinstance(value, Mapping):
        return {name: _bare(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    in_px = isinstance(value, str) and _is_length(value) and parse_length(value)[1] == PIXELS
    return float(parse_length(value)[0]) if in_px else value


def _is_length(text: str) -> bool:
    try:
        parse_length(text)
    except ValueError:
        return False
    return True


def _size(axis: str, text: Any) -> str:
    """Return the size of a pixel as a pipeline file has it; PlanError if it is none."""
    try:
        return parse_pixel_size(text)
    except (TypeError, ValueError) as error:
        problem = f"scale must tell how long a pixel is along {axis}, with its unit, found {text!r}"
        raise PlanError(problem, fix=f"Write it as {EXAMPLE}.") from error
