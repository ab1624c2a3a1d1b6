"""What the command line and the environment change in a tree before it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tileconv.errors import Problem, SpecError
from tileconv.spec.text import VARIABLE, ListNode, MapNode, Node, Place, ScalarNode, compose_value, kind_of, problem_at
from tileconv.stores.location import located, stem


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
    child = node.items.get(key) if isinstance(node, MapNode) else None
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
    root: MapNode, folder: Path, input_path: str | Path | None, output_path: str | Path | None
) -> tuple[MapNode, list[Problem]]:
    """Return the tree with the paths of the command line, and with ``{stem}`` and ``{parent}`` in the output filled in.

    Paths of the command line are taken from the current folder, those of the file from *folder*. ``{stem}`` is
    the name of the input up to its suffix (``.ome.tif`` is one suffix), ``{parent}`` its folder.
    """
    outputs = _outputs(root)
    if output_path is not None and len(outputs) > 1:
        hint = f"write --set outputs.{outputs[0][1]}.path={output_path}, or change the file"
        return root, [problem_at(Place(), "", f"--output {output_path} names one output of {len(outputs)}", hint)]
    for keys, path in ((("input",), input_path), (outputs[0], output_path)):
        if path is not None:
            origin = f"--{'input' if keys == ('input',) else 'output'} {path}"
            text = _whole(str(path), Path()) if keys == ("input",) else str(path)
            try:
                root = set_in(root, (*keys, "path"), ScalarNode(text, False, Place(origin=origin)), origin)
            except LookupError as error:
                return root, [problem_at(Place(), "", str(error.args[0]), "from the command line")]
    source, problems = _path_of(root, ("input",)), []
    for keys in outputs:
        if target := _path_of(root, keys):
            if source:
                target, refused = _filled(target, _whole(source.text, folder), ".".join((*keys, "path")))
                problems += refused
            if output_path is not None:
                target = replace(target, text=_whole(target.text, Path()))
            root = set_in(root, (*keys, "path"), target, "")
    return root, problems


def _outputs(root: MapNode) -> list[tuple[str, ...]]:
    """Return the keys that lead to each output."""
    node = root.items.get("outputs")
    return [("outputs", name) for name in node.items] if isinstance(node, MapNode) and node.items else [("output",)]


def _filled(target: ScalarNode, source: str, key: str) -> tuple[ScalarNode, list[Problem]]:
    """Return the path of the output with ``{stem}`` and ``{parent}`` of the path *source* filled in."""
    words = {"{stem}": stem(source), "{parent}": source.rpartition("/")[0]}
    named = set(re.findall(r"\{\w*\}", target.text))
    problems = [
        problem_at(target.place, key, f"expected {{stem}} or {{parent}}, found {word}")
        for word in sorted(named - set(words))
    ]
    if "{stem}" in named and words["{stem}"] in {"", ".", ".."}:
        message = f"{{stem}} of {source} is '{words['{stem}']}', which names no output"
        problems.append(problem_at(target.place, key, message, "write a name instead of {stem}"))
    return replace(target, text=re.sub(r"\{(stem|parent)\}", lambda word: words[word[0]], target.text)), problems


def _whole(text: str, folder: Path) -> str:
    """Return the path *text* from *folder* on; as it is if it names no file here, for the reader to refuse."""
    try:
        return located(text, folder)
    except ValueError:
        return text


def _path_of(root: MapNode, keys: Sequence[str]) -> ScalarNode | None:
    child: Node | None = root
    for key in (*keys, "path"):
        child = child.items.get(key) if isinstance(child, MapNode) else None
    return child if isinstance(child, ScalarNode) and child.text else None
