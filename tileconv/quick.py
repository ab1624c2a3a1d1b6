"""Dataclasses that are quick to declare: a start declares hundreds of them.

The standard library compiles up to six methods for each; here what shows and compares them is shared (decision 043).
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True):
        """As ``dataclasses.dataclass``, whose other options are not there."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq, repr=repr)
        own = set(cls.__dict__) - ({"__hash__"} if cls.__dict__.get("__hash__") is None else set())
        made = dataclasses.dataclass(frozen=frozen, repr=False, eq=False)(cls)
        methods = {"__repr__": _repr} if repr else {}
        if eq:
            methods |= _comparing([field.name for field in dataclasses.fields(made) if field.compare])
            methods |= {} if frozen else {"__hash__": None}
        for name in methods.keys() - own:
            setattr(made, name, methods[name])
        return made


def _comparing(names: list[str]) -> dict[str, Any]:
    """Return what compares two of one class by *names*, and what a digest is made of."""
    several = attrgetter(*names) if len(names) > 1 else None

    def values(self: Any) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in names)

    compared = several or values

    def equal(self: Any, other: Any) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__eq__": equal, "__hash__": lambda self: hash(compared(self))}


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{self.__class__.__qualname__}({shown})"
