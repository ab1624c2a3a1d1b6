"""A Python mapping, as notebooks pass, as a tree of nodes: the same checks as for text, without places."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tileconv.errors import Problem, SpecError
from tileconv.spec.text import MAX_DEPTH, ListNode, MapNode, Node, Place, ScalarNode

NAME = "the pipeline"
"""What messages call a pipeline that has no file."""


def tree_of(mapping: Mapping[str, Any]) -> MapNode:
    """Return *mapping* as a tree; numbers and booleans become plain scalars, texts and paths quoted ones, None nothing.

    Raises
    ------
    SpecError
        If it is no mapping, a key is no text, a value is of another type, or it is nested too deep.
    """
    node = _node(mapping, "", 1)
    if not isinstance(node, MapNode):
        raise _error("", f"expected a mapping, found {type(mapping).__name__}")
    return node


def _node(value: Any, key: str, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise _error("", f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise _error(key, f"a key must be text, found {name!r}")
        items = {name: _node(item, f"{key}.{name}" if key else name, depth + 1) for name, item in value.items()}
        return MapNode(items, dict.fromkeys(items, Place()), Place())
    if isinstance(value, list | tuple):
        return ListNode(tuple(_node(item, f"{key}[{i}]", depth + 1) for i, item in enumerate(value)), Place())
    if isinstance(value, str | os.PathLike):
        return ScalarNode(str(value), False, Place())
    if value is None or isinstance(value, bool | int | float):
        return ScalarNode(_plain(value), True, Place())
    raise _error(key, f"expected text, a number, true or false, a list or a mapping, found {type(value).__name__}")


def _plain(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    huge = isinstance(value, int) and value.bit_length() > 1024
    return "1e999" if huge else repr(value)


def _error(key: str, message: str) -> SpecError:
    return SpecError(NAME, (Problem(key, message),))
