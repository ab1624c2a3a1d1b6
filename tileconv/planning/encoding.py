"""Values of a plan as plain JSON values, and back: dataclasses by their fields, so that a new one needs no line here.

Kernels, and filters of layers, are told by their digests, and stand in a table of their own where they are read back.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from tileconv.engines.filters import Filters
from tileconv.engines.kernel import Kernel
from tileconv.operations.operation import Operation
from tileconv.operations.registry import OPERATORS
from tileconv.operations.steps import Steps
from tileconv.stores.location import USUAL, Location

Told = Kernel | Filters
"""What is told by its digest."""
KIND = "kind"
"""Under it an operation tells which one it is."""
INFINITE = ("inf", "-inf", "nan")
"""Floats that JSON does not have, as they are written."""
ELSEWHERE = "a value is of another type than its place"


def encoded(value: Any) -> Any:
    """Return *value* as plain JSON values; a number that JSON does not have as a text, a kernel as its digest.

    Raises
    ------
    TypeError
        If any part of it is of a type that is not known here: nothing is left out.

    Examples
    --------
    >>> from tileconv.engines.borders import Border
    >>> encoded((Border("constant", float("inf")), np.dtype("uint8")))
    [{'rule': 'constant', 'value': 'inf'}, 'uint8']
    """
    match value:
        case Kernel() | Filters():
            return value.digest
        case Location() if value.access == USUAL:
            return str(value)
        case float() if not math.isfinite(value):
            return str(float(value))
        case None | bool() | int() | float() | str():
            return value
        case np.dtype():
            return value.name
        case np.ndarray():
            return {
                "dtype": value.dtype.str,
                "shape": list(value.shape),
                "base64": base64.b64encode(value.tobytes()).decode(),
            }
        case Mapping():
            return {str(name): encoded(item) for name, item in value.items()}
        case tuple() | list():
            return [encoded(item) for item in value]
    if not is_dataclass(value):
        raise TypeError(f"nothing says how {type(value).__name__} is written down: {value!r}")
    kind: dict[str, Any] = {KIND: type(value).__name__} if isinstance(value, Operation | Steps) else {}
    return kind | by_field(value)


def by_field(value: Any, *, but: Iterable[str] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass as plain JSON values by their names, all *but* some."""
    return {f.name: encoded(getattr(value, f.name)) for f in fields(value) if f.name not in but}


def decoded(hint: Any, value: Any, kernels: Mapping[str, Told] | None = None) -> Any:
    """Return the value of type *hint* that ``encoded`` made *value* of, with its *kernels* by their digests.

    Keys that are no fields of a dataclass are passed over, and absent ones have their defaults.

    Raises
    ------
    KeyError, TypeError, ValueError
        If *value* is no such thing.
    """
    kernels = kernels or {}
    arms = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if hint is Any:
        return value
    match value:
        case str():
            return _from_text(arms, value, kernels)
        case list():
            inner = _one(get_args(arm) for arm in arms if get_origin(arm) is tuple)
            each = inner[:1] * len(value) if inner[-1] is ... else inner
            return tuple(decoded(one, item, kernels) for one, item in zip(each, value, strict=True))
        case {"base64": stored}:
            return np.frombuffer(base64.b64decode(stored), value["dtype"]).reshape(value["shape"])
        case dict():
            return _from_mapping(arms, value, kernels)
        case None if NoneType not in arms:
            raise TypeError(ELSEWHERE)
    return value


def _from_text(arms: Sequence[Any], value: str, kernels: Mapping[str, Told]) -> Any:
    if Kernel in arms or Filters in arms:
        return kernels[value]
    if Location in arms:
        return Location(value)
    if float in arms and value in INFINITE:
        return float(value)
    return np.dtype(value) if any(get_origin(arm) is np.dtype for arm in arms) else value


def _from_mapping(arms: Sequence[Any], value: Mapping[str, Any], kernels: Mapping[str, Told]) -> Any:
    if mapping := next((arm for arm in arms if get_origin(arm) is Mapping), None):
        return {name: decoded(get_args(mapping)[1], item, kernels) for name, item in value.items()}
    kinds = (kind for arm in arms for kind in _kinds(arm))
    kind = _one(kind for kind in kinds if value.get(KIND, kind.__name__) == kind.__name__)
    hints = _hints(kind)
    return kind(**{name: decoded(hints[name], value[name], kernels) for name in hints if name in value})


def _one(values: Iterator[Any]) -> Any:
    """Return the first of *values*; TypeError if there is none."""
    for one in values:
        return one
    raise TypeError(ELSEWHERE)


def _kinds(hint: Any) -> Iterator[type]:
    """Yield the dataclasses that a value of type *hint* can be of."""
    if hint is Operation:
        list(OPERATORS.values())  # else those that nothing has imported yet are not below it
    if isinstance(hint, type):
        if is_dataclass(hint):
            yield hint
        subclasses: list[type] = hint.__subclasses__()
        for below in subclasses:
            yield from _kinds(below)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of the fields of a dataclass by their names."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if f.init}


def kernel_table(holders: Iterable[Any]) -> dict[str, Any]:
    """Return the kernels and filters that *holders*, such as operations, hold in full, by their digests."""
    return {kernel.digest: by_field(kernel) for holder in holders for kernel in _kernels(holder)}


def _kernels(value: Any) -> Iterator[Told]:
    """Yield the kernels and filters that are parts of *value*."""
    if isinstance(value, Told):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _kernels(item)
    elif is_dataclass(value):
        yield from _kernels(tuple(getattr(value, f.name) for f in fields(value)))


def kernels_of(table: Mapping[str, Any]) -> dict[str, Told]:
    """Return the kernels and filters of ``kernel_table`` by their digests."""
    return {digest: _from_mapping([Filters if "bias" in told else Kernel], told, {}) for digest, told in table.items()}
