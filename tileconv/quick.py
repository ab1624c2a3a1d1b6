"""Dataclasses that are quick to declare: a start declares hundreds of them, and makes instances of some.

The standard library compiles up to six methods for each. Here a class is a dataclass once anything asks for what makes
it one, such as its first instance, and then its ``__init__`` alone is compiled (decisions 043 and 051).
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, slots=False):
        """As ``dataclasses.dataclass``, whose other options are not there."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq, repr=repr, slots=slots)
        own = set(cls.__dict__) - ({"__hash__"} if cls.__dict__.get("__hash__") is None else set())
        made = _slotted(cls) if slots else cls
        methods = {"__repr__": _repr} if repr else {}
        methods |= _refusing(made) if frozen else {}
        methods |= {"__hash__": None} if eq and not frozen else {}
        late = [*_FIELDS, "__match_args__", "__init__", *(["__eq__", "__hash__"][: 1 + frozen] if eq else ())]
        whole = _Whole(cls, made, frozen, [name for name in late if name not in own])
        for name, method in (methods | {name: _Late(whole, name) for name in late}).items():
            if name not in own:
                setattr(made, name, method)
        return made


_FIELDS = ("__dataclass_fields__", "__dataclass_params__")
_ASKED = object()
"""Says that a field is to be made by its factory."""
_LOCK = RLock()
"""Held by the thread that makes a class whole; others wait for all of it."""


class _Whole:
    """What the class *made* of *cls*, which are one unless it has slots, lacks until it is made whole."""

    def __init__(self, cls: type, made: type, frozen: bool, names: list[str]) -> None:
        self.cls, self.made, self.frozen, self.names = cls, made, frozen, names

    def make(self) -> None:
        """Put what is late in its place; nothing is missing meanwhile."""
        with _LOCK:
            if not self.names:
                return
            self.cls.__doc__ = self.cls.__doc__ or self.cls.__name__  # else its signature is put there
            cls: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(self.cls)
            fields = dataclasses.fields(cls)
            late = _comparing([field.name for field in fields if field.compare])
            late |= {name: cls.__dict__[name] for name in _FIELDS}
            late["__match_args__"] = tuple(field.name for field in fields)
            late["__init__"] = _starting(cls, fields, self.frozen)
            for name in self.names:
                setattr(self.made, name, late[name])
            self.names = []


class _Late:
    """An attribute of a class that is not whole yet."""

    def __init__(self, whole: _Whole, name: str) -> None:
        self.whole, self.name = whole, name

    def __get__(self, instance: Any, owner: type) -> Any:
        self.whole.make()
        made = self.whole.made.__dict__[self.name]
        return made.__get__(instance, owner) if callable(made) else made


def _slotted(cls: type) -> type:
    """Return *cls* with a slot for each field; their defaults are those of *cls*."""
    names = tuple(cls.__annotations__)
    kept = {name: value for name, value in cls.__dict__.items() if name not in {*names, "__dict__", "__weakref__"}}
    made = type(cls)(cls.__name__, cls.__bases__, {"__setstate__": _put_back, **kept, "__slots__": names})
    made.__qualname__ = cls.__qualname__
    return made


def _put_back(self: Any, state: tuple[None, dict[str, Any]]) -> None:
    """Set the fields of one with slots that comes from another process, though it is frozen."""
    for name, value in state[1].items():
        object.__setattr__(self, name, value)


def _starting(cls: type, fields: Sequence[dataclasses.Field[Any]], frozen: bool) -> Any:
    """Return ``__init__`` of *cls*, compiled."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_asked": _ASKED}
    given, lines = ["self"], []
    for field in fields:
        name = value = field.name
        if field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            given.append(f"{name}=_asked")
            value = f"_make_{name}() if {name} is _asked else {name}"
        elif field.default is not dataclasses.MISSING:
            names[f"_else_{name}"] = field.default
            given.append(f"{name}=_else_{name}")
        else:
            given.append(name)
        lines.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    lines += [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    exec("\n".join([f"def __init__({', '.join(given)}):", *lines, " return None"]), names)  # noqa: S102 our own fields
    made = names["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return made


def _refusing(cls: Any) -> dict[str, Any]:
    """Return what refuses changes of a frozen one, as the standard library's does."""

    def refuse(self: Any, name: str, change: str) -> None:
        if type(self) is cls or name in cls.__dataclass_fields__:
            raise dataclasses.FrozenInstanceError(f"cannot {change} field {name!r}")

    def set_(self: Any, name: str, value: Any) -> None:
        refuse(self, name, "assign to")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        refuse(self, name, "delete")
        super(cls, self).__delattr__(name)

    return {"__setattr__": set_, "__delattr__": delete}


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
