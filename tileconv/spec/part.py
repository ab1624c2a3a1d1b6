"""Which part of an image is read: a region of its pixels, and some of its channels, time points or planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tileconv.operations.operation import Operation
from tileconv.operations.steps import Steps, steps_of
from tileconv.spec.model import InputSpec, StageSpec
from tileconv.spec.reader import Reader, join
from tileconv.spec.text import ListNode, MapNode, Node

ALONG = "tcz"
"""The axes along which positions may be selected."""


def check_part(reader: Reader, node: Node, key: str, values: dict[str, Any]) -> None:
    """Check what ``region`` and ``select`` of the input say, and put it into *values* as tuples."""
    for name, check in (("region", _interval), ("select", _positions)):
        if name in values:
            given = cast("MapNode", cast("MapNode", node).items[name])
            if not given.items:
                reader.problem(given.place, join(key, name), "names no axis", "remove the key")
            values[name] = {
                axis: check(reader, given.items[axis], f"{key}.{name}.{axis}", axis, value)
                for axis, value in values[name].items()
            }
    for axis in values.get("region", {}).keys() & values.get("select", {}).keys():
        given = cast("MapNode", cast("MapNode", node).items["region"])
        message = f"{axis} is selected already"
        reader.problem(given.keys[axis], f"{key}.region.{axis}", message, f"remove {axis} here or in select")


def _interval(reader: Reader, node: Node, key: str, _: str, value: Sequence[int]) -> tuple[int, ...]:
    if len(value) != 2 or value[0] >= value[1]:
        found = ", ".join(map(str, value))
        message = f"expected where it starts and stops, in pixels from 0, found [{found}]"
        reader.problem(node.place, key, message, "write [10, 20] for the ten pixels from 10 on")
    return tuple(value)


def _positions(reader: Reader, node: Node, key: str, axis: str, value: Any) -> tuple[int | str, ...]:
    positions = positions_of(reader, node, key, value)
    if axis not in ALONG:
        hint = f"write region: {{{axis}: [10, 20]}}"
        reader.problem(node.place, key, f"expected an axis of {', '.join(ALONG)}, found '{axis}'", hint)
    elif axis != "c" and (names := [name for name in positions if isinstance(name, str)]):
        reader.problem(node.place, key, f"only channels have names, found '{names[0]}'", "write numbers from 0 on")
    elif axis != "c" and list(positions) != sorted(positions, key=int):
        reader.problem(node.place, key, f"expected positions along {axis} in rising order")
    return positions


def positions_of(reader: Reader, node: Node, key: str, value: Any) -> tuple[int | str, ...]:
    """Return the positions that *value*, one or a list of them, names; none, or one twice, is a problem."""
    positions = tuple(value) if isinstance(value, list) else (value,)
    twice = next((one for number, one in enumerate(positions) if one in positions[:number]), None)
    if not positions:
        reader.problem(node.place, key, "expected a number or a name, or several, found an empty list")
    elif twice is not None:
        place = node.items[len(positions) - 1 - positions[::-1].index(twice)] if isinstance(node, ListNode) else node
        reader.problem(place.place, key, f"names {twice} twice", "name each once")
    return positions


def check_extents(
    reader: Reader, node: Node | None, stages: Sequence[StageSpec | None], read: InputSpec | None
) -> None:
    """Record a problem for each stage that would give another extent where a region of what is *read* is asked for."""
    if not isinstance(node, ListNode) or read is None or not read.region:
        return
    for number, stage in enumerate(stages):
        if stage and stage.extent != "same":
            place = cast("MapNode", node.items[number]).items["extent"].place
            message = f"expected 'same' beside input.region, found '{stage.extent}'"
            why = "a region is that of the whole result, which has the image's pixels: crop the result instead"
            reader.problem(place, f"stages[{number}].extent", message, why)


def check_channels(
    reader: Reader, node: MapNode, key: str, values: dict[str, Any], operation: Operation | Steps
) -> None:
    """Check the channels that a stage acts on, and put them into its *values* as a tuple."""
    if "channels" not in values:
        return
    given, label = node.items["channels"], join(key, "channels")
    values["channels"] = positions_of(reader, given, label, values["channels"])
    if values.get("extent", "same") != "same":
        message = f"others pass unchanged, and extent {values['extent']} makes another size"
        reader.problem(node.keys["channels"], label, message, "remove channels or extent")
    if operation.inputs != (1, 1):
        reader.problem(node.keys["channels"], label, f"{values['op']} reads several images", "remove channels")
    elif any(step.operation.makes_channels for step in steps_of(operation)):
        message = f"{values['op']} makes other channels of all that it reads"
        reader.problem(node.keys["channels"], label, message, "remove it; input.select says which are read")


def part_text(part: Mapping[str, Any] | None) -> str:
    """Return a region or a selection as a pipeline file writes it.

    Examples
    --------
    >>> part_text({"y": (0, 4096), "c": (0, "DAPI")})
    '{y: [0, 4096], c: [0, DAPI]}'
    """
    each = (f"{axis}: [{', '.join(map(str, values))}]" for axis, values in (part or {}).items())
    return f"{{{', '.join(each)}}}"
