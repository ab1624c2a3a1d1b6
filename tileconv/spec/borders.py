"""What a file says lies outside the image: one rule for all axes, or a rule for each."""

from __future__ import annotations

from tileconv.engines.borders import ALIASES, RULES, Border
from tileconv.spec.fields import Field, fields_of
from tileconv.spec.missing import check_belongs
from tileconv.spec.reader import BAD, Reader, join, per_axis_hint
from tileconv.spec.text import ListNode, MapNode, Node, ScalarNode

BORDER = {"rule": Field(fields_of(Border)["rule"].form), "value": fields_of(Border)["value"]}
FOREIGN = {"mode": "rule", "cval": "value", "constant": "rule: constant, value: ..."}
"""Keys of other tools, and ours."""


def borders(reader: Reader, node: Node, key: str, axes: str) -> dict[str, Border]:
    """Return the border of each of *axes* that *node* speaks of: all of them by one rule, or those that it names."""
    if not isinstance(node, MapNode) or {"rule", "value"} & set(node.items):
        border = _border(reader, node, key, axes)
        return dict.fromkeys(axes, border) if border else {}
    by_axis = {}
    for name, item in node.items.items():
        if name in RULES or name in ALIASES:
            value = item.text if isinstance(item, ScalarNode) else "0"
            hint = (
                f"write {{rule: constant, value: {value}}}"
                if name == "constant"
                else f"write {ALIASES.get(name, name)}"
            )
            reader.problem(node.keys[name], key, f"expected a rule or axes, found the key '{name}'", hint)
        elif name not in axes:
            reader.no_axis(node.keys[name], key, name, axes)
        elif border := _border(reader, item, join(key, name), ""):
            by_axis[name] = border
    return by_axis


def _border(reader: Reader, node: Node, key: str, axes: str) -> Border | None:
    if isinstance(node, ListNode):
        hint = per_axis_hint(node, axes if len(axes) == len(node.items) else "yx") if axes else ""
        reader.problem(node.place, key, "expected a rule, or a mapping per axis, found a list", hint)
        return None
    if isinstance(node, ScalarNode):
        rule = reader.value(node, BORDER["rule"].form, key)
        return None if rule is BAD else Border(rule)
    values = reader.section(node, BORDER, key, foreign=FOREIGN)
    if "rule" not in values or ("value" in node.items and "value" not in values):
        return None
    check_belongs(reader, node, key, values["rule"], {"value": "constant"})
    return Border(**values)
