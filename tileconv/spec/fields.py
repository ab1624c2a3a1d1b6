"""How a field is written in a file: read once from type annotations, used by the reader, the JSON Schema and the docs.

The annotations are those of the dataclasses in ``model`` and of the operators' signatures. Notes make them more than
plain types: bounds (``tileconv.bounds``), ``Word`` for texts with a rule of their own, ``Written`` for fields whose
form in the file differs from their type in Python, and a text, which says what the field is for. A bare ``str`` is a
path beside the spec.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin

from tileconv.bounds import Ge, Gt
from tileconv.boxes import AXES
from tileconv.operations.parameters import Measured, Plain
from tileconv.quick import dataclass

REQUIRED: Any = object()
"""The default of a field that must be given."""


@dataclass(frozen=True, eq=False)
class Word:
    """A text that *parse* turns into a value; it raises ValueError for any other, and *expected* says what it takes.

    *schema* says the same to editors, as JSON Schema.
    """

    expected: str
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        """Return the schema to pydantic, which looks for this name among an annotation's notes."""
        return dict(self.schema)


@dataclass(frozen=True)
class Exact:
    """The note of a number that stays an int where no float is that number; elsewhere such a number is refused."""


@dataclass(frozen=True)
class Anywhere:
    """The note of a path that may be a URL too; other paths are of this machine."""


@dataclass(frozen=True)
class Written:
    """The annotation of a field as it stands in a file."""

    form: Any


@dataclass(frozen=True)
class Field:
    """One key: how it is written, and its default."""

    form: Any
    default: Any = REQUIRED
    summary: str = ""


class Declared(Field):
    """A field whose annotation is read when it is first asked for: a file has few of all keys that it may have.

    *names* are those of the module that it stands in.
    """

    def __init__(self, annotation: Any, names: dict[str, Any], default: Any) -> None:
        vars(self).update(default=default, _annotation=annotation, _names=names)

    @cached_property
    def _read(self) -> Field:
        one = types.SimpleNamespace(__annotations__={"it": vars(self)["_annotation"]})
        return _field(typing.get_type_hints(one, vars(self)["_names"], include_extras=True)["it"], self.default)

    @property
    def form(self) -> Any:  # noqa: D102 as of any field
        return self._read.form

    @property
    def summary(self) -> str:  # noqa: D102
        return self._read.summary


@dataclass(frozen=True)
class Arm:
    """One alternative of an annotation: a plain type and what bounds it."""

    type: Any
    notes: tuple[Any, ...] = ()

    @property
    def origin(self) -> Any:
        """The type without its arguments: ``Mapping``, ``Sequence``, ``Literal`` or the type itself."""
        return get_origin(self.type) or self.type


def fields_of(cls: type) -> dict[str, Field]:
    """Return the keys of the section that the dataclass *cls* describes.

    Examples
    --------
    >>> from tileconv.engines.borders import Border
    >>> fields_of(Border)["value"].default
    0.0
    """
    names = vars(sys.modules[cls.__module__])
    keys: dict[str, Field] = {}
    for f in fields(cls):
        default = f.default if f.default_factory is MISSING else f.default_factory()
        keys[f.name] = Declared(f.type, names, REQUIRED if default is MISSING else default)
    return keys


def parameters_of(operator: Callable[..., Any]) -> dict[str, Field]:
    """Return the parameters of an operator, without ``axes``, which is the stage's ``over``."""
    return {
        name: Declared(p.annotation, operator.__globals__, REQUIRED if p.default is p.empty else p.default)
        for name, p in inspect.signature(operator).parameters.items()
        if name != "axes"
    }


def arms(annotation: Any) -> list[Arm]:
    """Return the alternatives of *annotation*, None left out.

    Examples
    --------
    >>> [arm.type for arm in arms(int | Mapping[str, int] | None)]
    [<class 'int'>, collections.abc.Mapping[str, int]]
    """
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        return [Arm(arm.type, (*arm.notes, *notes)) for arm in arms(inner)]
    if get_origin(annotation) in {typing.Union, types.UnionType}:
        return [arm for choice in get_args(annotation) for arm in arms(choice)]
    return [] if annotation is type(None) else [Arm(annotation)]


def items_of(options: Sequence[Arm]) -> list[Arm]:
    """Return what an item of a list may be, over all the lists among *options*."""
    return [inner for arm in options if arm.origin is Sequence for inner in arms(get_args(arm.type)[0])]


def describe(options: Sequence[Arm]) -> str:
    """Return what is allowed, as messages say it after "expected".

    Examples
    --------
    >>> describe(arms(Literal["x", "y", "magnitude"]))
    "'x', 'y' or 'magnitude'"
    >>> describe(arms(Annotated[int, Ge(1)] | Mapping[str, Annotated[int, Ge(1)]]))
    'a whole number of at least 1, or a mapping per axis'
    """
    words = list(dict.fromkeys(_describe(arm) for arm in options if arm.origin is not Sequence))
    inner = items_of(options)
    if inner:
        of = "paths" if inner[0].type is str else "numbers"
        words.append(f"a list of {of}" if all(arm.origin is not Sequence for arm in inner) else f"nested lists of {of}")
    return ", or ".join(words)


def either(words: Sequence[str]) -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def bounds(arm: Arm) -> tuple[float, float]:
    """Return the lowest value that *arm* allows, and the value that it must exceed (minus infinity for no bound)."""
    ge = [float(str(note.ge)) for note in arm.notes if isinstance(note, Ge)]
    gt = [float(str(note.gt)) for note in arm.notes if isinstance(note, Gt)]
    return max(ge, default=-math.inf), max(gt, default=-math.inf)


def word_of(arm: Arm) -> Word | None:
    """Return the rule of a text that has one of its own."""
    return next((note for note in arm.notes if isinstance(note, Word)), None)


def is_length(arm: Arm) -> bool:
    """Return whether a number of pixels may be written as a length with a unit."""
    return any(isinstance(note, Measured) for note in arm.notes)


def _describe(arm: Arm) -> str:
    word = word_of(arm)
    if word:
        return word.expected
    if arm.origin is Literal:
        return either([f"'{value}'" if isinstance(value, str) else str(value) for value in get_args(arm.type)])
    if arm.origin is Mapping:
        names = get_args(get_args(arm.type)[0])
        if names and not set(names) <= set(AXES):
            return "a mapping by name" if names[0] is str else f"a mapping with {' and '.join(names)}"
        return "a mapping per axis"
    if isinstance(arm.type, type) and is_dataclass(arm.type):
        return f"a mapping with {' and '.join(fields_of(arm.type))}"
    if any(isinstance(note, Anywhere) for note in arm.notes):
        return "a path or a URL"
    if any(isinstance(note, Plain) for note in arm.notes):
        return "a name"
    name = {int: "a whole number", float: "a number", bool: "true or false", str: "a path"}[arm.type]
    low, above = bounds(arm)
    least = f" of at least {low:g}" if low > -math.inf else f" above {above:g}" if above > -math.inf else ""
    return f"{name} of pixels{least}, or a length such as 1.5 um" if is_length(arm) else f"{name}{least}"


def _field(annotation: Any, default: Any) -> Field:
    """Return the field of an annotation: a text among its notes is the summary."""
    notes = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    form = next((note.form for note in notes if isinstance(note, Written)), annotation)
    return Field(form, default, next((note for note in notes if isinstance(note, str)), ""))
