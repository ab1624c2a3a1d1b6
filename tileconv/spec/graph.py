"""What stages and outputs read, by name: names to positions, and the order in which stages can run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tileconv.spec.fields import either
from tileconv.spec.model import IMAGE, INPUT, StageSpec
from tileconv.spec.reader import Reader, did_you_mean, join
from tileconv.spec.text import ListNode, MapNode, Node, Place, ScalarNode, kind_of
from tileconv.spec.words import is_id


def ids_of(nodes: Sequence[Node]) -> dict[str, int]:
    """Return the positions of the stages that have names, also of those that are wrong."""
    ids: dict[str, int] = {}
    for i, node in enumerate(nodes):
        item = node.items.get("id") if isinstance(node, MapNode) else None
        if isinstance(item, ScalarNode) and is_id(item.text) and item.text != IMAGE:
            ids.setdefault(item.text, i)
    return ids


def check_ids(reader: Reader, nodes: Sequence[Node]) -> None:
    """Record a problem for a name that two stages have, and for one that means the image."""
    ids = ids_of(nodes)
    for i, node in enumerate(nodes):
        item = node.items.get("id") if isinstance(node, MapNode) else None
        if not isinstance(item, ScalarNode):
            continue
        if item.text == IMAGE:
            message = f"'{IMAGE}' is the image that the pipeline reads"
            reader.problem(item.place, f"stages[{i}].id", message, "give the stage another name")
        elif ids.get(item.text, i) != i:
            message = f"expected a name of its own, found '{item.text}' again"
            reader.problem(item.place, f"stages[{i}].id", message)


def inputs_of(
    reader: Reader, node: Node, key: str, ids: Mapping[str, int], most: int | None = None
) -> tuple[int, ...] | None:
    """Return the positions of what the value *node* of a ``from`` names, at *most* so many; None if any is wrong."""
    nodes = node.items if isinstance(node, ListNode) else (node,)
    if not nodes or (most is not None and len(nodes) > most):
        hint = "write outputs: {NAME: {path: ...}} for several" if nodes else "leave the key out, or name a stage"
        reader.problem(node.place, key, f"expected one name, found {len(nodes)}", hint)
    positions = []
    for item in nodes:
        text = item.text if isinstance(item, ScalarNode) else ""
        if text == IMAGE or text in ids:
            positions.append(ids.get(text, INPUT))
            continue
        known = [*ids, IMAGE]
        hint = did_you_mean(text, known) or f"the names here are {either(known)}; id: NAME gives a stage one"
        reader.problem(item.place, key, f"expected the id of a stage or '{IMAGE}', found {kind_of(item)}", hint)
    return tuple(positions) if positions and len(positions) == len(nodes) else None


def check_graph(reader: Reader, nodes: Sequence[Node], stages: Sequence[StageSpec], outputs: Collection[int]) -> None:
    """Record problems of *stages*: in a circle, with too many inputs or too few, and read by none, nor by *outputs*."""
    for i, stage in enumerate(stages):
        _check_count(reader, nodes[i], stage, join(f"stages[{i}]", "from"))
    _, circle = in_order([stage.inputs for stage in stages])
    if circle:
        names = [stages[i].name_at(i) for i in (*circle, circle[0])]
        message = f"stages read each other in a circle: {' reads '.join(names)}"
        hint = f"read {IMAGE}, or a stage that does not read this one"
        reader.problem(_place(nodes[circle[0]], "from", "op"), f"stages[{circle[0]}].from", message, hint)
        return
    read = {i for stage in stages for i in stage.inputs}.union(outputs)
    for i, stage in enumerate(stages):
        if i not in read:
            hint = f"read it by from: {stage.id or 'NAME'} in a stage or an output, or remove it"
            message = "no stage and no output reads this stage"
            reader.problem(_place(nodes[i], "id", "op"), f"stages[{i}]", message, hint)


def _check_count(reader: Reader, node: Node, stage: StageSpec, key: str) -> None:
    """Record a problem where a stage reads another number of images than its operation takes."""
    least, most = stage.operation.inputs
    count = len(stage.inputs)
    if count >= least and (most is None or count <= most):
        return
    number = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
    hint = (
        f"write from: [{', '.join('abc'[:least])}]" if least > 1 else "add, or another operator of several, joins them"
    )
    reader.problem(
        _place(node, "from", "op"), key, f"{stage.op} reads {number} image{'s' * (most != 1)}, found {count}", hint
    )


def _place(node: Node, *keys: str) -> Place:
    """Return where the value of the first of *keys* stands that *node* has."""
    items = node.items if isinstance(node, MapNode) else {}
    return next((items[key].place for key in keys if key in items), node.place)


def in_order(inputs: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return an order in which everyone comes after its *inputs*, the given one where that is such; or a circle.

    Examples
    --------
    >>> in_order([(INPUT,), (2,), (0,)]), in_order([(1,), (0,)])
    (([0, 2, 1], []), ([], [0, 1]))
    """
    order: list[int] = []
    done: set[int] = {INPUT}
    for start in range(len(inputs)):
        way, left = {start: None}, [iter(inputs[start])]  # an ordered set
        while start not in done:
            number = next((number for number in left[-1] if number not in done), None)
            if number in way:
                return [], [*way][[*way].index(number) :]
            if number is None:
                left.pop()
                order.append(way.popitem()[0])
                done.add(order[-1])
            else:
                way[number] = None
                left.append(iter(inputs[number]))
    return order, []
