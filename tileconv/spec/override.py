"""What the command line and the environment change in a tree before it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tileconv.errors import Problem, SpecError
from tileconv.spec.fields import either
from tileconv.spec.model import ALL
from tileconv.spec.templates import ABSOLUTE, OF_PATH, OF_SERIES, filled, folder_of, is_pattern, words_in, words_of
from tileconv.spec.text import VARIABLE, ListNode, MapNode, Node, Place, ScalarNode, compose_value, kind_of, problem_at
from tileconv.stores.location import located

Paths = str | Path | Sequence[str | Path]
"""One path of an input, or several."""


def apply_overrides(root: MapNode, overrides: Sequence[str]) -> tuple[MapNode, list[Problem]]:
    """Return the tree with each override ``key.key=value`` set; a stage is named by its position or its id.

    A section that is missing is made. The value is YAML, so ``border={rule: constant, value: 0}`` is one.
    """
    problems: list[Problem] = []
    for override in overrides:
        origin = f"--set {override}"
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            hint = "write it as in --set stages.0.sigma=3"
            problems.append(problem_at(Place(), origin, "expected KEY=VALUE", hint))
            continue
        try:
            root = set_in(root, keys, compose_value(text.strip(), origin), origin)
        except LookupError as error:
            problems.append(problem_at(Place(), origin, str(error.args[0])))
        except SpecError as error:
            problems.extend(problem_at(Place(), origin, problem.message) for problem in error.problems)
    return root, problems


def set_in(node: MapNode, keys: Sequence[str], value: Node, origin: str) -> MapNode:
    """Return *node* with *value* at the path *keys*; LookupError, with its reason, when the path leads nowhere."""
    place = Place(origin=origin)
    child = _set(node.items.get(keys[0], MapNode({}, {}, place)), keys[1:], value, origin)
    return MapNode({**node.items, keys[0]: child}, {keys[0]: place, **node.keys}, node.place)


def _set(node: Node, keys: Sequence[str], value: Node, origin: str) -> Node:
    if not keys:
        return value
    if isinstance(node, MapNode):
        return set_in(node, keys, value, origin)
    if isinstance(node, ListNode):
        index = _index(node, keys[0])
        changed = _set(node.items[index], keys[1:], value, origin)
        return replace(node, items=(*node.items[:index], changed, *node.items[index + 1 :]))
    raise LookupError(f"'{keys[0]}' leads nowhere: expected a mapping or a list above it, found {kind_of(node)}")


def _index(node: ListNode, key: str) -> int:
    ids = [_text_at(item, "id") for item in node.items]
    if key in ids:
        return ids.index(key)
    if key.isascii() and key.isdigit() and len(key) < 9 and int(key) < len(node.items):
        return int(key)
    named = ", ".join(name for name in ids if name) or "none"
    raise LookupError(f"there is no item '{key}' among {len(node.items)} (numbered from 0; ids: {named})")


def _text_at(node: Node | None, key: str) -> str | None:
    child = _at(node, (key,))
    return child.text if isinstance(child, ScalarNode) else None


def expand(node: Node, environ: Mapping[str, str], problems: list[Problem], key: str = "") -> Node:
    """Return the tree with the variables in its values replaced; such a value is typed again, quoted or not."""
    if isinstance(node, MapNode):
        items = {
            name: expand(item, environ, problems, f"{key}.{name}" if key else name) for name, item in node.items.items()
        }
        return replace(node, items=items)
    if isinstance(node, ListNode):
        return replace(
            node, items=tuple(expand(item, environ, problems, f"{key}[{i}]") for i, item in enumerate(node.items))
        )

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"] or ""
        if name is None:
            return "${"
        if environ.get(name):
            return environ[name]
        if kind == ":-":
            return rest
        if kind == ":?" or name not in environ:
            message = f"{name}: {rest}" if rest else f"the variable {name} is not set"
            problems.append(problem_at(node.place, key, message, f"set it, or write ${{{name}:-default}}"))
        return ""

    if "${" not in node.text:
        return node
    text, count = VARIABLE.subn(value, node.text)
    if not count or "${" in VARIABLE.sub("", node.text):
        message = "expected ${VAR}, ${VAR:-default} or ${VAR:?message}"
        problems.append(problem_at(node.place, key, message, "write $${ for the characters ${ themselves"))
    return ScalarNode(text, True, node.place)


def redirect(
    root: MapNode, folder: Path, input_path: Paths | None, output_path: str | Path | None
) -> tuple[MapNode, list[Problem]]:
    """Return the tree with the paths of the command line, and words of the input filled in in mask and outputs.

    Paths of the command line are taken from the current folder, those of the file from *folder*. ``templates`` says
    which words there are. Those of several images stay as they are.
    """
    outputs = _outputs(root)
    if output_path is not None and len(outputs) > 1:
        hint = f"write --set outputs.{outputs[0][1]}.path={output_path}, or change the file"
        return root, [problem_at(Place(), "", f"--output {output_path} names one output of {len(outputs)}", hint)]
    given = {("input",): _paths(input_path), outputs[0]: _path("output", output_path)}
    for keys, node in given.items():
        if node is not None:
            try:
                root = set_in(root, (*keys, "path"), node, node.place.origin)
            except LookupError as error:
                return root, [problem_at(Place(), "", str(error.args[0]), "from the command line")]
    words, known = _words(root.items.get("input"), folder)
    problems: list[Problem] = []
    for keys in (("input", "mask"), *outputs):
        if isinstance(target := _at(root, (*keys, "path")), ScalarNode) and target.text:
            if known:
                target, refused = _filled(target, words, known, ".".join((*keys, "path")))
                problems += refused
            if keys == outputs[0] and output_path is not None and not target.text.startswith(ABSOLUTE):
                target = replace(target, text=_whole(target.text, Path()))
            root = set_in(root, (*keys, "path"), target, "")
    return root, problems


def _path(option: str, path: str | Path | None) -> ScalarNode | None:
    return None if path is None else ScalarNode(str(path), False, Place(origin=f"--{option} {path}"))


def _paths(given: Paths | None) -> Node | None:
    """Return the inputs of the command line, which are whole: one, or a list of several."""
    if isinstance(given, str | Path | None):
        one = _path("input", given)
        return one and replace(one, text=_whole(one.text, Path()))
    nodes = tuple(node for path in given if (node := _paths(path)))
    return ListNode(nodes, Place(origin="--input"))


def _outputs(root: MapNode) -> list[tuple[str, ...]]:
    """Return the keys that lead to each output."""
    node = root.items.get("outputs")
    return [("outputs", name) for name in node.items] if isinstance(node, MapNode) and node.items else [("output",)]


def _words(given: Node | None, folder: Path) -> tuple[dict[str, str], Sequence[str]]:
    """Return the words of the one image that the node *given* of the input names, and which words there may be.

    Of several images no words are returned, and where no image is named none are known either.
    """
    path, series = _at(given, ("path",)), _text_at(given, "series")
    nodes = path.items if isinstance(path, ListNode) else (path,)
    texts = [_whole(node.text, folder) for node in nodes if isinstance(node, ScalarNode) and node.text]
    if not texts:
        return {}, ()
    if _text_at(given, "stack"):
        return words_of(folder_of(texts)), OF_PATH
    if series == ALL or isinstance(path, ListNode) or is_pattern(texts[0]):
        return {}, (*OF_PATH, *(OF_SERIES if series == ALL else ()))
    return words_of(texts[0]), OF_PATH


def _filled(
    target: ScalarNode, words: Mapping[str, str], known: Sequence[str], key: str
) -> tuple[ScalarNode, list[Problem]]:
    """Return the path of an output with its *words* filled in, and a problem for each that is not *known*."""
    problems = [
        problem_at(target.place, key, f"expected {either([f'{{{one}}}' for one in known])}, found {{{word}}}")
        for word in sorted(words_in(target.text) - set(known))
    ]
    if not words:
        whole = target.text.startswith(ABSOLUTE[1:])
        return replace(target, text="/" * whole + target.text), problems
    try:
        return replace(target, text=filled(target.text, words)), problems
    except ValueError as error:
        return target, [*problems, problem_at(target.place, key, str(error), "write a name instead of {stem}")]


def _whole(text: str, folder: Path) -> str:
    """Return the path *text* from *folder* on; as it is if it names no file here, for the reader to refuse."""
    try:
        return located(text, folder)
    except ValueError:
        return text


def _at(node: Node | None, keys: Sequence[str]) -> Node | None:
    for key in keys:
        node = node.items.get(key) if isinstance(node, MapNode) else None
    return node
