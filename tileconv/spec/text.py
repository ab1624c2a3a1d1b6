"""YAML text, or a Python mapping, as a tree of nodes that remember their place; scalars stay text.

The tree is built from PyYAML's events and not by its loader: a loader lets a repeated key win, reads ``no`` as false
and ``1e3`` as text, follows aliases and overflows the stack. Here every scalar is converted later, by its field's rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, NoReturn

import yaml

from tileconv.errors import Problem, SpecError
from tileconv.quick import dataclass

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000
"""Nodes of one file: about 40 MB of memory; a kernel with more weights belongs into a ``.npy`` file."""
MAX_SHOWN = 400
"""Longest line of text that a message repeats."""

VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<kind>:-|:\?)(?P<rest>[^}]*))?\}")
"""``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``, and ``$${``, which stands for ``${`` itself."""
TIGHT = re.compile(r"\s*(?:- +)?([A-Za-z_]\w*:)[^\s/:]")
"""A line with a key and no space after its colon."""
_SPACE = (True, "expected a key, a colon and a space", "put a space after the colon")
SYNTAX = {
    "mapping values": (False, "a key cannot stand here", "check the indentation, and quote a text that holds ': '"),
    "could not find expected ':'": _SPACE,
    "<block end>": (False, "the indentation is that of no line above", "indent the keys of one mapping alike"),
    "',' or '}'": (False, "expected a comma or }", "close what { opened, and quote a text that holds a comma or ': '"),
    "',' or ']'": (False, "expected a comma or ]", "close what [ opened"),
    "escape": (False, "a \\ in double quotes begins an escape", "write / between folders, or use single quotes"),
    "end of stream": (True, "this quote is not closed", "put the same quote at the end of the text"),
    "cannot start": (False, "a text cannot begin with this character", "put the text in quotes"),
    "sequence entries": (False, "a list cannot begin here", "put its - on a line of its own"),
    "node content": (False, "expected a value", "remove what stands there, or put the text in quotes"),
    "<document start>": (False, "expected the end of the file", "check the indentation, and what { or [ opened"),
}
"""By what PyYAML says of a text that is not YAML: whether the place is where that began, and both parts of ours."""
BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML ends a line; ``str.splitlines`` ends one at control characters as well."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands in the user's text, counted from 1; line 0 is no text, and *origin* then says what it was."""

    line: int = 0
    column: int = 0
    width: int = 1
    source: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value as text; *plain* when it was not quoted, so that it may be a number."""

    text: str
    plain: bool
    place: Place


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; *keys* holds the places of the keys."""

    items: dict[str, Node]
    keys: dict[str, Place] = field(compare=False)
    place: Place


Node = ScalarNode | ListNode | MapNode


def problem_at(place: Place, key: str, message: str, hint: str = "") -> Problem:
    """Return the problem *message* of *key* at *place*; characters that a terminal would obey are escaped."""
    if place.origin:
        hint = f"{hint.removesuffix('.')}; from {place.origin}" if hint else f"from {place.origin}"
    shown = [
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:MAX_SHOWN]) for text in (key, message, hint)
    ]
    return Problem(shown[0], shown[1], place.line, place.column, place.source, place.width, shown[2])


def compose(text: str, name: str) -> tuple[MapNode, list[Problem]]:
    """Return the tree of the YAML document *text*, and the repeated keys and other faults that a tree can survive.

    Raises
    ------
    SpecError
        If *text* is not one plain YAML mapping within the limits: its only problem says why, at its place.

    Examples
    --------
    >>> compose("border: reflect", "p.yaml")[0].items["border"].text
    'reflect'
    """
    composer = _Composer(text, name)
    root = composer.checked_document()
    if not isinstance(root, MapNode):
        composer.fail(root.place, f"expected a mapping with version, input, stages and output, found {kind_of(root)}")
    return root, composer.problems


def compose_value(text: str, origin: str) -> Node:
    """Return the tree of one value that was not written in the file; its nodes say that they come from *origin*.

    Raises
    ------
    SpecError
        As ``compose``, and for a repeated key.
    """
    if not text.strip():
        return ScalarNode("", True, Place(origin=origin))
    composer = _Composer(text, "", origin)
    node = composer.checked_document()
    if composer.problems:
        raise SpecError("", tuple(composer.problems))
    return node


def kind_of(node: Node) -> str:
    """Return what *node* is, as messages say it after "found"."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, ListNode):
        return "a list"
    if is_nothing(node):
        return "nothing"
    short = node.text if len(node.text) <= 60 else node.text[:57] + "..."
    return f"'{short}'" if node.plain else f"the text '{short}'"


def is_nothing(node: Node) -> bool:
    """Return whether *node* is an empty or null scalar."""
    return isinstance(node, ScalarNode) and node.plain and node.text in {"", "~", "null", "Null", "NULL"}


class _Composer:
    """Builds the tree of one document, event by event, and stops at the first thing that a tree cannot hold."""

    def __init__(self, text: str, name: str, origin: str = "") -> None:
        self.text, self.name, self.origin = text, name, origin
        self.lines = BREAKS.split(text)
        self.problems: list[Problem] = []
        self.nodes = 0

    def checked_document(self) -> Node:
        """Return the one document; SpecError for whatever PyYAML or a limit refuses."""
        if len(self.text) > MAX_BYTES:
            self.fail(Place(), f"a pipeline file has at most {MAX_BYTES:,} characters, found {len(self.text):,}")
        try:
            self.events: Iterator[yaml.Event] = yaml.parse(self.text, Loader=yaml.SafeLoader)
            return self.document()
        except yaml.reader.ReaderError as error:
            before = BREAKS.split(self.text[: error.position])
            message = f"the character U+{ord(self.text[error.position]):04X} is not allowed"
            self.fail(self.spot(len(before) - 1, len(before[-1])), message, "save the file as plain UTF-8 text")
        except yaml.MarkedYAMLError as error:
            self.fail_syntax(error)
        except (ValueError, OverflowError):
            self.fail(Place(), "not valid YAML: an escape or a directive holds a number that is too large")

    def document(self) -> Node:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            self.fail(Place(), "the file is empty", "a pipeline begins with version: 1")
        root = self.node(next(self.events), 1)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.fail(self.place(after), "a pipeline file holds one document, found a second one")
        return root

    def node(self, event: yaml.Event, depth: int) -> Node:
        place = self.place(event)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(place, f"more than {MAX_NODES:,} values", "store a large kernel in a .npy file")
        if depth > MAX_DEPTH:
            self.fail(place, f"nested deeper than {MAX_DEPTH} levels")
        if getattr(event, "anchor", None) is not None:
            hint = "quote a text that begins with & or *"
            self.fail(place, "anchors (&name) and aliases (*name) are not supported", hint)
        if getattr(event, "tag", None) is not None:
            self.fail(place, "tags (!name) are not supported", "quote a text that begins with !")
        if isinstance(event, yaml.ScalarEvent):
            if any("\ud800" <= c <= "\udfff" for c in event.value):
                self.fail(place, "half a surrogate pair is not a character")
            return ScalarNode(event.value, event.style is None, place)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(event, depth + 1))
            return ListNode(tuple(items), place)
        return self.mapping(place, depth)

    def mapping(self, place: Place, depth: int) -> MapNode:
        node = MapNode({}, {}, place)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, ScalarNode) or is_nothing(key):
                self.fail(key.place, f"a key must be a word, found {kind_of(key)}")
            value = self.node(next(self.events), depth + 1)
            if key.text == "<<":
                self.problems.append(problem_at(key.place, "", "merge keys (<<) are not supported"))
            elif key.text in node.keys:
                first = node.keys[key.text].line
                self.problems.append(problem_at(key.place, key.text, "given twice", f"first given on line {first}"))
            else:
                node.items[key.text], node.keys[key.text] = value, key.place
        return node

    def place(self, event: yaml.Event) -> Place:
        start: Any = event.start_mark
        end: Any = event.end_mark
        one_line = end.line == start.line and isinstance(event, yaml.ScalarEvent)
        return self.spot(start.line, start.column, end.column - start.column if one_line else 1)

    def spot(self, line: int, column: int, width: int = 1) -> Place:
        """Return the place of a mark, which counts from 0."""
        if self.origin:
            return Place(origin=self.origin)
        source = self.lines[line] if line < len(self.lines) else ""
        shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in source[: MAX_SHOWN + 1])
        return Place(line + 1, column + 1, max(1, width), shown if len(shown) <= MAX_SHOWN else "")

    def fail(self, place: Place, message: str, hint: str = "") -> NoReturn:
        raise SpecError(self.name, (*self.problems, problem_at(place, "", message, hint))) from None

    def fail_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        """Raise for text that is not YAML, in our words where a common cause is known."""
        mark: Any = error.problem_mark or error.context_mark
        line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        for found in VARIABLE.finditer(line):
            if found.start() <= mark.column <= found.end():
                place = self.spot(mark.line, found.start(), len(found[0]))
                self.fail(place, f"YAML cannot read an unquoted {found[0]} here", f'write "{found[0]}" in quotes')
        place = self.spot(mark.line, mark.column)
        if line[mark.column : mark.column + 1] == "\t":
            self.fail(place, "a tab cannot indent YAML", "use spaces")
        self.fail_grammar(str(error.problem), mark, error.context_mark or mark)

    def fail_grammar(self, problem: str, mark: Any, start: Any) -> NoReturn:
        """Raise for what PyYAML calls *problem* at *mark*, in something that begins at *start*."""
        above = next((n for n in range(mark.line - 1, -1, -1) if self.lines[n].strip()), 0)
        where, message, hint = (
            self.spot(mark.line, mark.column),
            "it cannot be read from here on",
            "put texts in quotes",
        )
        for words, (at_start, ours, advice) in SYNTAX.items():
            if words in problem:
                where = self.spot(start.line, start.column) if at_start else where
                message, hint = ours, advice
        if found := TIGHT.match(self.lines[above]):  # taken for a text, which goes on in the next line
            where, (_, message, hint) = self.spot(above, found.start(1), len(found[1])), _SPACE
        self.fail(where, f"not valid YAML: {message}", hint)
