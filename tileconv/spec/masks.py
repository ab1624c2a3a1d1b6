"""What ``input.mask`` says: another image, a label of the image, or that there is none."""

from __future__ import annotations

from typing import Literal

from tileconv.spec.fields import fields_of
from tileconv.spec.model import MaskSpec
from tileconv.spec.reader import Reader, join
from tileconv.spec.text import MapNode, Node, ScalarNode, kind_of
from tileconv.stores.location import Location

MASK = fields_of(MaskSpec)
FOREIGN = {"file": "path", "page": "series", "invert": "inverted", "name": "label"}


def mask_of(reader: Reader, node: Node, key: str) -> MaskSpec | Literal["none"] | None:
    """Return what *node* says; None where it is wrong."""
    if isinstance(node, ScalarNode) and node.text == "none":
        return "none"
    if not isinstance(node, MapNode):
        hint = f"write {{path: {node.text}}}" if isinstance(node, ScalarNode) and node.text else ""
        reader.problem(node.place, key, f"expected a mapping with path or label, or none, found {kind_of(node)}", hint)
        return None
    before = len(reader.problems)
    values = reader.section(node, MASK, key, foreign=FOREIGN)
    given = [name for name in ("path", "label") if name in node.items]
    if len(given) != 1:
        found = "both" if given else "neither"
        reader.problem(node.place, key, f"expected either path or label, found {found}", "write {path: ...}")
    if "label" in given and "series" in node.items:
        reader.problem(node.keys["series"], join(key, "series"), "belongs to path alone: a label is one image")
    if "path" in values:
        values["path"] = Location(values["path"])
    return MaskSpec(**values) if len(reader.problems) == before else None
