"""The outputs of a pipeline: their keys, their places, and the stages that they store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tileconv.spec.fields import arms, describe, fields_of
from tileconv.spec.graph import check_graph, ids_of, inputs_of
from tileconv.spec.model import OutputSpec, StageSpec
from tileconv.spec.pyramid import pyramid_of
from tileconv.spec.reader import BAD, Reader, join
from tileconv.spec.storage import only_read
from tileconv.spec.text import ListNode, MapNode, Node, kind_of
from tileconv.spec.words import StageId, is_id
from tileconv.storage import CODECS, LEVELS, OF_KIND, Codec, file_kind
from tileconv.stores.location import Location

Output = tuple[str, Node, OutputSpec | None]
"""The key of an output, its node, and its values if they are right."""
Section = Callable[[Node, str], OutputSpec | None]
FOREIGN_OF_CODEC = {"id": "name", "clevel": "level", "compressor": "cname"}
OTHER_FORMATS = frozenset(
    (".bmp", ".btf", ".csv", ".gif", ".h5", ".hdf5", ".jp2", ".jpeg", ".jpg", ".nc", ".npz", ".tf8", ".webp", ".yaml",
     ".yml", ".zip")
)  # fmt: skip
"""Suffixes that an output must not have: nothing writes such files."""
_OF_STORES = {"checksum": None, "shards": "auto", "format": "0.5", "storage": None}
"""Keys that say how a store is written, each with its usual value, and change nothing of a file that is made of one."""


def outputs_of(reader: Reader, root: MapNode, values: Mapping[str, Any], section: Section) -> list[Output]:
    """Return the outputs: that of ``output``, or those of ``outputs`` by name; *section* reads one at a key."""
    if "outputs" not in values:
        node = values.get("output")
        return [("output", node, section(node, "output"))] if node else []
    node, place = values["outputs"], root.keys["outputs"]
    if "output" in values:
        reader.problem(place, "outputs", "expected either output or outputs, found both", "move output into outputs")
    if not isinstance(node, MapNode) or not node.items:
        given = "an empty one" if isinstance(node, MapNode) else kind_of(node)
        problem = f"expected a mapping of names to outputs, found {given}"
        reader.problem(place, "outputs", problem, "write {NAME: {path: ...}}")
        return []
    outputs = []
    for name, item in node.items.items():
        key, output = join("outputs", name), None
        if not is_id(name):
            reader.problem(node.keys[name], key, f"expected {describe(arms(StageId))}, found '{name}'")
        else:
            output = section(item, key)
        outputs.append((key, item, output and replace(output, label=name)))
    _places(reader, outputs)
    return outputs


def _places(reader: Reader, outputs: Sequence[Output]) -> None:
    """Record a problem where one output lies at the path of another, or inside it."""
    taken: dict[Location, str] = {}
    for key, node, output in outputs:
        if output is None:
            continue
        path = output.path
        for other, before in taken.items():
            if path == other or path.within(other) or other.within(path):
                place = cast("MapNode", node).items["path"].place
                where = "is written to the path" if path == other else "lies inside or around the path"
                reader.problem(place, join(key, "path"), f"{where} of {before}", "give each output a path of its own")
        taken[path] = key


def stored_stages(
    reader: Reader, node: Node | None, stages: Sequence[StageSpec | None], outputs: Sequence[Output]
) -> list[int]:
    """Return the stage that each output stores, and check what the stages read, if all of them are right."""
    nodes = node.items if isinstance(node, ListNode) else ()
    ids, read = ids_of(nodes), list[int]()
    for key, item, _ in outputs:
        asked = item.items.get("from") if isinstance(item, MapNode) else None
        found: tuple[int, ...] | None = (len(nodes) - 1,)
        if asked is not None:
            found = inputs_of(reader, asked, join(key, "from"), ids, most=1)
        read += found or [BAD]
    whole = [stage for stage in stages if stage is not None]
    if read and BAD not in read and len(whole) == len(nodes):
        check_graph(reader, nodes, whole, set(read))
    return read


def check_output(reader: Reader, node: Node, key: str, values: dict[str, Any]) -> None:
    """Check what of an output belongs together, and read its codec; what it is from is read with the stages."""
    values.pop("from", None)
    path = values.get("path", "")
    if other := only_read(path) or other_format(path):
        reader.problem(cast("MapNode", node).items["path"].place, join(key, "path"), *other)
    if "pyramid" in values:
        values["pyramid"] = pyramid_of(values["pyramid"])
    kind = file_kind(values.get("path", ""))
    if "codec" in values:
        values["codec"] = _codec(reader, values["codec"], join(key, "codec"), kind)
    elif kind:
        values["codec"] = CODECS[OF_KIND[kind][0]]
    if kind:
        _check_file(reader, cast("MapNode", node), key, values, kind)
    if values.get("format") == "0.4":
        for name in ("checksum", "shards"):
            if values.get(name, "none") not in ("none", "auto"):
                place, hint = cast("MapNode", node).keys[name], "write format: 0.5, or leave the key out"
                reader.problem(place, join(key, name), "OME-Zarr 0.4, which is Zarr v2, has none", hint)


def _check_file(reader: Reader, node: MapNode, key: str, values: Mapping[str, Any], kind: str) -> None:
    """Record what is said of an output that is one file and has no place there."""
    for name in (name for name, usual in _OF_STORES.items() if values.get(name, usual) != usual):
        problem = f"belongs to an OME-Zarr store, and the path names {_a(kind)}"
        reader.problem(node.keys[name], join(key, name), problem, f"remove {name}")
    if Location(values["path"]).scheme:
        place, hint = node.items["path"].place, "write the file here and copy it, or write an OME-Zarr store there"
        reader.problem(place, join(key, "path"), f"{_a(kind)} is written to no object store", hint)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] == "O" else f"a {kind}"


def _codec(reader: Reader, node: Node, label: str, kind: str) -> Codec | None:
    """Return a codec of *kind* with its own options where none are given; one that it does not have is a problem."""
    before = len(reader.problems)
    values = reader.section(node, fields_of(Codec), label, foreign=FOREIGN_OF_CODEC)
    if len(reader.problems) > before:
        return None
    usual = CODECS[values.get("name", OF_KIND[kind][0])]
    if usual.name not in OF_KIND[kind]:
        place, name = cast("MapNode", node).items["name"].place, _a(kind) if kind else "an OME-Zarr store"
        problem = f"expected a codec of {name}, found '{usual.name}'"
        reader.problem(place, join(label, "name"), problem, f"one of {', '.join(OF_KIND[kind])}")
        return None
    low, high = LEVELS.get(usual.name, (0, 0))
    for key in set(values) - {"name"}:
        place = cast("MapNode", node).items[key].place
        if getattr(usual, key) is None:
            reader.problem(place, join(label, key), f"{usual.name} has none", "leave the key out")
        elif key == "level" and not low <= values[key] <= high:
            problem = f"expected a whole number from {low} to {high} for {usual.name}, found {values[key]}"
            reader.problem(place, join(label, "level"), problem)
    return replace(usual, **values)


def other_format(path: str) -> tuple[str, str] | None:
    """Return what is wrong with the suffix of an output at *path*, and what to write; None if nothing is."""
    name = Path(path)
    if name.suffix.lower() not in OTHER_FORMATS:
        return None
    message = f"expected the name of an OME-Zarr store or a TIFF, found the suffix {name.suffix}"
    return message, f"write {name.stem.removesuffix('.ome')}.ome.zarr"
