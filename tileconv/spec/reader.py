"""Nodes to values by the rule of each field; every mistake becomes a problem and reading goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tileconv.boxes import AXES
from tileconv.engines.borders import ALIASES
from tileconv.errors import Problem
from tileconv.operations.parameters import Name, Plain
from tileconv.spec.fields import (
    REQUIRED,
    Anywhere,
    Arm,
    Field,
    arms,
    describe,
    fields_of,
    items_of,
    word_of,
)
from tileconv.spec.numbers import Refused, number_of
from tileconv.spec.templates import ABSOLUTE
from tileconv.spec.text import ListNode, MapNode, Node, Place, ScalarNode, is_nothing, kind_of, problem_at
from tileconv.stores.location import SecretError, located

BAD: Any = object()
"""What reading gives for a value that became a problem."""

SYNONYMS: dict[str, str] = {
    **ALIASES,
    "vertical": "x",
    "horizontal": "y",
    "float": "float32",
    "double": "float64",
    "average": "mean",
    "majority": "mode",
}
"""What other tools call our choices."""


class Reader:
    """Reads nodes of the file *name* and gathers ``problems``; relative paths are taken from *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.problems: list[Problem] = []
        self.secret: set[int] = set()
        """Lines of the text that no message may show."""

    def problem(self, place: Place, key: str, message: str, hint: str = "") -> Any:
        """Record a problem and return ``BAD``."""
        self.problems.append(problem_at(place, key, message, hint))
        return BAD

    def located(self, place: Place, key: str) -> str:
        """Return where *key* stands, as a problem there begins, for errors that are found later."""
        return f"{self.name}:{place.line}:{place.column}: {key}" if place.line else f"{self.name}: {key}"

    def hidden(self, place: Place, key: str, message: str, hint: str) -> Any:
        """Record a problem that shows nothing of what stands at *place*, and return ``BAD``."""
        self.secret.add(place.line)
        return self.problem(replace(place, source="", origin=""), key, message, hint)

    def value(self, node: Node, form: Any, key: str, axes: str = "") -> Any:
        """Return the value of *node* by the annotation *form*, or ``BAD``.

        *axes* are those that a mapping must name, all of them, when its annotation leaves the keys open.
        """
        return self._read(node, arms(form), key, axes)

    def _read(self, node: Node, options: Sequence[Arm], key: str, axes: str) -> Any:
        mapping = next((arm for arm in options if arm.origin is Mapping or is_dataclass(arm.type)), None)
        hint = ""
        if isinstance(node, MapNode) and mapping:
            return (self._record if is_dataclass(mapping.type) else self._per_axis)(node, mapping, key, axes)
        if isinstance(node, ListNode):
            inner = items_of(options)
            if inner:
                items = [self._read(item, inner, f"{key}[{i}]", "") for i, item in enumerate(node.items)]
                return BAD if any(item is BAD for item in items) else items
            hint = per_axis_hint(node, axes or "yx") if mapping else ""
        if is_nothing(node):
            hint = "remove the key, or give it a value"
        elif isinstance(node, ScalarNode):
            for arm in options:
                try:
                    return self._scalar(node, arm)
                except Refused as refused:
                    hint = hint or str(refused)
                except SecretError as error:
                    return self.hidden(node.place, key, "expected a path or a URL", str(error))
            hint = _as_list_or_mapping(node, options) or hint
        return self.problem(node.place, key, f"expected {describe(options)}, found {kind_of(node)}", hint)

    def _record(self, node: MapNode, arm: Arm, key: str, _: str) -> Any:
        before, values = len(self.problems), self.section(node, fields_of(arm.type), key)
        return values if len(self.problems) == before else BAD

    def _per_axis(self, node: MapNode, arm: Arm, key: str, axes: str) -> Any:
        names, inner = get_args(arm.type)
        allowed = axes if names is str else node.items if names == Name else get_args(names)
        values = {
            name: self.value(item, inner, f"{key}.{name}")
            if name in allowed
            else self.no_axis(node.keys[name], key, name, allowed)
            for name, item in node.items.items()
        }
        if names is str and set(values) < set(axes):
            message = f"expected a value for each of {', '.join(axes)}, found {', '.join(values) or 'none'}"
            given = {name: item.text for name, item in node.items.items() if isinstance(item, ScalarNode)}
            hint = ", ".join(f"{axis}: {given.get(axis, '...')}" for axis in axes)
            return self.problem(node.place, key, message, f"write {{{hint}}}")
        return BAD if any(value is BAD for value in values.values()) else values

    def no_axis(self, place: Place, key: str, name: str, axes: Iterable[str]) -> Any:
        """Record that *name*, in the mapping at *key*, is none of *axes*, and return ``BAD``."""
        hint = "to filter in depth too, add over: zyx to the stage" if name == "z" and "z" not in axes else ""
        kind = "an axis" if set(axes) <= set(AXES) else "a key"
        return self.problem(place, join(key, name), f"expected {kind} of {', '.join(axes)}, found '{name}'", hint)

    def _scalar(self, node: ScalarNode, arm: Arm) -> Any:
        word = word_of(arm)
        if word:
            try:
                return word.parse(node.text)
            except ValueError:
                raise Refused from None
        if arm.origin is Literal:
            return _choice(node, get_args(arm.type))
        if arm.type is bool:
            if node.plain and node.text in {"true", "false"}:
                return node.text == "true"
            truth = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
            raise Refused(f"write {truth[node.text.lower()]}" if node.text.lower() in truth else "")
        if arm.type is str:
            return node.text if any(isinstance(note, Plain) for note in arm.notes) else self.path(node.text, arm)
        if arm.type in {int, float}:
            return number_of(node, arm)
        raise Refused

    def path(self, text: str, arm: Arm) -> str:
        """Return *text* as an absolute path, or as one of several images; Refused when it names no place.

        It is a URL where *arm* takes one.
        """
        if text.startswith(ABSOLUTE):
            return text
        try:
            whole = located(text, self.folder)
        except SecretError:
            raise
        except ValueError as error:
            raise Refused(str(error)) from None
        if "://" in whole and not any(isinstance(note, Anywhere) for note in arm.notes):
            raise Refused("it is read from this machine alone: copy it here")
        return whole

    def section(
        self, node: Node, shape: Mapping[str, Field], key: str, *, foreign: Mapping[str, str] | None = None,
        reserved: Iterable[str] = (), axes: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """Return the values of the keys of *node* that are right; a field without a form gives its node.

        *foreign* are keys that other tools use, with ours; *reserved* are keys of later versions.
        """
        if not isinstance(node, MapNode):
            text = node.text if isinstance(node, ScalarNode) and node.text else "..."
            hint = f"write {{{spaced(text, shape) or _as_first(text, shape)}}}"
            self.problem(node.place, key, f"expected a mapping, found {kind_of(node)}", hint)
            return {}
        values = {}
        for name, item in node.items.items():
            label = join(key, name)
            if name in shape:
                form = shape[name].form
                values[name] = item if form is None else self.value(item, form, label, axes)
            elif name in reserved:
                self.problem(node.keys[name], label, "reserved, not available yet")
            else:
                self.problem(node.keys[name], label, "unknown key", _key_hint(name, item, shape, foreign or {}))
        for name, field in shape.items():
            if field.default is REQUIRED and name not in node.items:
                what = describe(arms(field.form)) if field.form is not None else field.summary
                self.problem(node.place, join(key, name), "missing", f"give {name}: {what}")
        return {name: value for name, value in values.items() if value is not BAD}


def join(key: str, name: str) -> str:
    """Return the path of *name* below *key*."""
    return f"{key}.{name}" if key else name


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a hint that names the choice most like *word*, first one of the same letters, or nothing."""
    from difflib import get_close_matches

    letters, known = word[:100].lower(), list(choices)
    turned = [choice for choice in known if sorted(choice) == sorted(letters)]
    close = turned or get_close_matches(letters, known, 1)
    return f"did you mean '{close[0]}'?" if close else ""


def per_axis_hint(node: ListNode, axes: str) -> str:
    """Return how the list *node* is written as a mapping."""
    texts = [item.text for item in node.items if isinstance(item, ScalarNode)]
    values = texts if len(texts) == len(axes) else ["..."] * len(axes)
    return f"write {{{', '.join(f'{a}: {v}' for a, v in zip(axes, values, strict=True))}}}"


def spaced(text: str, names: Iterable[str]) -> str:
    """Return *text* with a space after its colon if it is one of *names* and a value; else nothing."""
    name, colon, value = text.partition(":")
    return f"{name}: {value or '...'}" if colon and name in names else ""


def _as_first(text: str, shape: Mapping[str, Field]) -> str:
    """Return how *text* is written under the first key of *shape*, as the choice most like it where there are some."""
    from difflib import get_close_matches

    name, field = next(iter(shape.items()))
    choices = [word for arm in arms(field.form) if arm.origin is Literal for word in get_args(arm.type)]
    meant = get_close_matches(text[:100].lower(), choices, 1) if choices else [text]
    return f"{name}: {meant[0] if meant else ' | '.join(choices)}"


def _key_hint(name: str, item: Node, shape: Mapping[str, Field], foreign: Mapping[str, str]) -> str:
    written = f"{name}: {item.text}" if isinstance(item, ScalarNode) else name
    ours = foreign.get(written, foreign.get(name, ""))
    if ours.partition(":")[0] in shape:
        return f"write {ours}"
    if tight := spaced(name, shape):
        return f"write {tight}, with a space after the colon"
    return did_you_mean(name, shape) or f"the keys here are {', '.join(shape)}"


def _as_list_or_mapping(node: ScalarNode, options: Sequence[Arm]) -> str:
    """Return how *node* is written where only a list is taken, or only a mapping per axis; else nothing."""
    if all(arm.origin is Sequence for arm in options):
        return "write a list, as in [10, 20]"
    per_axis = all(arm.origin is Mapping and set(get_args(get_args(arm.type)[0])) <= set(AXES) for arm in options)
    return f"write {{y: {node.text}, x: {node.text}}}" if per_axis else ""


def _choice(node: ScalarNode, choices: Sequence[Any]) -> Any:
    if isinstance(choices[0], int):
        if node.plain and node.text in map(str, choices):
            return int(node.text)
        raise Refused("remove the quotes" if node.text in map(str, choices) else "")
    if node.text in choices:
        return node.text
    synonym = SYNONYMS.get(node.text.lower())
    raise Refused(f"write {synonym}" if synonym in choices else did_you_mean(node.text, choices))
