"""Lengths with a unit, such as ``1.5 um``: how they are written, and numbers of pixels in their place.

They stay texts until an image says how large its pixels are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, get_args

from tileconv.errors import KernelError
from tileconv.operations.registry import OPERATORS
from tileconv.spec.fields import arms, is_length, parameters_of

if TYPE_CHECKING:
    from fractions import Fraction

    from tileconv.spec.reader import Reader
    from tileconv.spec.text import MapNode

PIXELS = "px"
LENGTH = r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([^\d\s.].*)"
LONGEST = 64
"""Letters of a length: its number is kept as an exact fraction, whose size a text must not choose."""
LENGTHS_OF_KERNELS = ("wavelengths", "sigma")
"""Keys of kernels that a bank makes, which are one length along all axes."""
Pixels = Callable[[str, str], float]
"""How many pixels a length is along an axis."""


def parse_length(text: str) -> tuple[str, str]:
    """Return number and unit of a length; ValueError for any other text.

    Examples
    --------
    >>> parse_length("1.5um"), parse_length("3 px")
    (('1.5', 'um'), ('3', 'px'))
    """
    from tileconv.units import metres  # and with it fractions, which most pipelines do without

    found = re.fullmatch(LENGTH, text.strip(), re.ASCII) if len(text) <= LONGEST else None
    if not found or (found[2] != PIXELS and metres(found[2]) is None):
        raise ValueError(text)
    return found[1], found[2]


def parse_pixel_size(text: str) -> str:
    """Return the size of a pixel, as ``0.5 um``; ValueError for any text that is no length above 0."""
    number, unit = parse_length(text)
    if unit == PIXELS or length_of(text) <= 0:
        raise ValueError(text)
    return f"{number} {unit}"


def length_of(text: str) -> Fraction:
    """Return the metres of a length, exactly.

    Examples
    --------
    >>> length_of("0.3 um") / length_of("100 nm")
    Fraction(3, 1)
    """
    from fractions import Fraction

    from tileconv.units import metres

    number, unit = parse_length(text)
    return Fraction(number) * (metres(unit) or 0)


@cache
def measured(op: str) -> Mapping[str, bool]:
    """Return the parameters of the operator *op* that are lengths, and whether they are whole numbers of pixels."""
    found = {name: _measured(field.form) for name, field in parameters_of(OPERATORS[op]).items()}
    return {name: int in types for name, types in found.items() if types}


def _measured(form: Any) -> Sequence[type]:
    """Return the types of the numbers in an annotation that are lengths."""
    here = [arm.type for arm in arms(form) if is_length(arm)]
    inner = [get_args(arm.type)[-1] for arm in arms(form) if arm.origin in {Mapping, Sequence}]
    return [*here, *(one for form in inner for one in _measured(form))]


def texts(value: Any) -> list[str]:
    """Return the lengths with a unit in the *value* of a parameter, in order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


def resolved(op: str, parameters: Mapping[str, Any], axes: str, pixels: Pixels) -> dict[str, Any]:
    """Return the *parameters* of the operator *op* with *pixels* in place of all lengths that have a unit.

    A length is one along each of *axes*. Whole numbers of pixels are the nearest odd ones, the larger of two, so that
    there is a middle.

    Raises
    ------
    KernelError
        If a length that is one along all axes is not as many pixels along each.

    Examples
    --------
    >>> resolved("gaussian", {"sigma": "1 um", "size": {"y": "8 um", "x": 5}}, "yx", lambda text, axis: 4.0)
    {'sigma': {'y': 4.0, 'x': 4.0}, 'size': {'y': 5, 'x': 5}}
    """

    def along(value: Any, axis: str, *, whole: bool) -> Any:
        if not isinstance(value, str):
            return value
        exact = pixels(value, axis)
        return 2 * int(exact // 2) + 1 if whole else exact

    def every(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [every(item, name) for item in value]
        sizes = {along(value, axis, whole=False) for axis in axes}
        if len(sizes) > 1:
            problem = f"{name} of {value} is not as many pixels along each of {', '.join(axes)}"
            raise KernelError(problem, fix="Give it in pixels.")
        return sizes.pop()

    made = dict(parameters)
    for name, whole in measured(op).items():
        value = parameters.get(name)
        if not texts(value):
            continue
        if isinstance(value, Mapping) and not set(value) <= set(axes):
            made[name] = {key: every(v, key) if key in LENGTHS_OF_KERNELS else v for key, v in value.items()}
        else:
            each = value if isinstance(value, Mapping) else dict.fromkeys(axes, value)
            made[name] = {axis: along(v, axis, whole=whole) for axis, v in each.items()}
    return made


def stood_in(op: str, parameters: Mapping[str, Any], axes: str) -> Mapping[str, Any]:
    """Return *parameters* with some pixels in place of all lengths if one has a unit, more for each that follows.

    So that all else of the stage can be checked without an image.
    """
    lengths = {name: parameters[name] for name in measured(op) if name in parameters}
    if not texts(lengths):
        return parameters
    lengths = {name: _with_unit(value, axes) for name, value in lengths.items()}
    odd = dict(zip(dict.fromkeys(texts(lengths)), count(3, 2), strict=False))
    return resolved(op, {**parameters, **lengths}, axes, lambda text, _: float(odd[text]))


def _with_unit(value: Any, axes: str) -> Any:
    """Return *value* with the unit of pixels, for each axis where it is one for each."""
    if isinstance(value, Mapping) and set(value) <= set(axes):
        return {axis: _with_unit(item, axes) for axis, item in value.items()}
    return f"{value} {PIXELS}" if isinstance(value, int | float) else value


def written_at(reader: Reader, node: MapNode, key: str, op: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return where in the file stand the parameters of the stage *node* that hold lengths with a unit."""
    return {
        name: reader.located(node.items[name].place, f"{key}.{name}")
        for name in measured(op)
        if texts(parameters.get(name))
    }
