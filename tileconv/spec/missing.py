"""What becomes of missing pixels, as a file says it: globally, and on the stages where that is something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from tileconv.operations.operation import Operation
from tileconv.operations.steps import Steps
from tileconv.spec.fields import fields_of
from tileconv.spec.model import INPUT, MissingSpec, StageSpec
from tileconv.spec.reader import Reader, join
from tileconv.spec.text import ListNode, MapNode, Node

BELONGS = {"value": "fill", "min_coverage": "renormalize", "keep": "renormalize"}
"""The rule to which a key belongs alone."""
INSTEAD = "write missing: {rule: propagate} on this stage, or put {op: fill, method: blur, sigma: 2} before it"


def missing_of(reader: Reader, node: Node, key: str) -> MissingSpec | None:
    """Return the rule that *node* states, with its defaults; None where it is wrong."""
    before = len(reader.problems)
    values = reader.section(node, fields_of(MissingSpec), key)
    if "rule" not in values or not isinstance(node, MapNode):
        return None
    rule = values["rule"]
    check_belongs(reader, node, key, rule, BELONGS)
    if rule == "fill" and "value" not in node.items:
        reader.problem(node.place, join(key, "value"), "missing: rule: fill needs a value")
    if values.get("min_coverage", 0) > 1:
        text = node.items["min_coverage"]
        reader.problem(text.place, join(key, "min_coverage"), "expected a share from 0 to 1", "write 0.5 for one half")
    return MissingSpec.of(**values) if len(reader.problems) == before else None


def check_belongs(reader: Reader, node: MapNode, key: str, rule: str, belongs: Mapping[str, str]) -> None:
    """Record a problem for each key that *belongs* to another rule alone."""
    for name in node.items:
        if belongs.get(name, rule) != rule:
            message = f"belongs to rule: {belongs[name]} alone, found rule: {rule}"
            reader.problem(node.keys[name], join(key, name), message)


def rule_of_stage(
    reader: Reader,
    node: MapNode,
    key: str,
    operation: Operation | Steps,
    own: MissingSpec | None,
    everywhere: MissingSpec | None,
) -> MissingSpec | None:
    """Return the rule of the stage *node*: its *own*, or to leave missing pixels out where that is so *everywhere*.

    A stage whose sums are no means refuses that; one without sums passes NaN on where it does not say itself.
    """
    asked = everywhere is not None and everywhere.renormalizes and operation.halo is not None
    rule = own or (everywhere if asked and not operation.fills else None)
    if rule and rule.renormalizes and operation.no_mean:
        place = node.items["missing" if own else "op"].place
        message = f"missing pixels cannot be left out of it: {operation.no_mean}"
        hint = INSTEAD if operation.halo else "remove the rule: NaN makes NaN here"
        reader.problem(place, join(key, "missing"), message, hint)
    return rule


def check_global(
    reader: Reader, node: Node | None, stages: Sequence[StageSpec | None], everywhere: MissingSpec | None
) -> None:
    """Record a problem for the rule of a stage that reads the image after *everywhere* left no missing pixel in it."""
    if everywhere is None or everywhere.rule not in {"fill", "error"}:
        return
    for i, stage in enumerate(stages):
        if stage and stage.missing and INPUT in stage.inputs:
            place = cast("MapNode", cast("ListNode", node).items[i]).keys["missing"]
            message = f"the image that it reads has no missing pixels under missing: {{rule: {everywhere.rule}}}"
            hint = "write missing: {rule: propagate} globally, or remove this rule"
            reader.problem(place, join(f"stages[{i}]", "missing"), message, hint)
