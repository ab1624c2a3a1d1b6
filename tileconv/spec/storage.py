"""What ``storage`` says: how an object store is reached. A credential in it is refused, and shown to nobody."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Literal, cast

from tileconv.errors import Problem
from tileconv.spec.fields import Field
from tileconv.spec.model import MaskSpec
from tileconv.spec.reader import Reader, join
from tileconv.spec.templates import ABSOLUTE
from tileconv.spec.text import MapNode, Node, ScalarNode
from tileconv.spec.words import Endpoint, Region
from tileconv.stores.location import USUAL, WRITTEN, Access, Location

STORAGE = {
    "endpoint": Field(Endpoint, USUAL.endpoint, "URL of the server; the cloud's own by default."),
    "region": Field(Region, USUAL.region, "Region of the bucket."),
    "anonymous": Field(bool, USUAL.anonymous, "Whether requests are not signed, as to public buckets."),
    "addressing": Field(
        Literal["path", "virtual"], USUAL.addressing, "Whether a bucket of S3 is named in the path or in the host."
    ),
}
FOREIGN = {
    "endpoint_url": "endpoint",
    "region_name": "region",
    "anon": "anonymous",
    "skip_signature": "anonymous",
    "addressing_style": "addressing",
}
_SECRET = re.compile(r"key|secret|token|pass|credential|sas|auth|signature", re.IGNORECASE)
_ENVIRONMENT = (
    "give it in the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a profile that AWS_PROFILE names"
)


def storage_of(reader: Reader, node: Node, key: str) -> Access:
    """Return what *node* says; what is wrong with it becomes a problem."""
    if isinstance(node, MapNode):
        for name in [name for name in node.items if name not in STORAGE and name not in FOREIGN]:
            if _SECRET.search(name):
                words = "a credential does not belong into a pipeline"
                reader.hidden(node.keys.pop(name), join(key, name), words, _ENVIRONMENT)
        endpoint = node.items.get("endpoint")
        if isinstance(endpoint, ScalarNode) and "@" in endpoint.text:
            words = "a user or password does not belong into a URL"
            reader.hidden(node.keys.pop("endpoint"), join(key, "endpoint"), words, _ENVIRONMENT)
        node = MapNode({name: item for name, item in node.items.items() if name in node.keys}, node.keys, node.place)
    return Access(**reader.section(node, STORAGE, key, foreign=FOREIGN))


def reach(reader: Reader, node: Node, key: str, values: dict[str, Any]) -> None:
    """Make a Location of ``path`` in *values*, which is reached as their ``storage`` says; so is a mask among them."""
    access = values.get("storage", USUAL)
    if isinstance(mask := values.get("mask"), MaskSpec) and mask.path and mask.path.scheme:
        values["mask"] = replace(mask, path=replace(mask.path, access=access))
    if "path" not in values:
        return
    values["path"] = place = replace(Location(values["path"]), access=access)
    if access != USUAL and not (place.scheme or place.text.startswith(ABSOLUTE)):
        where = cast("MapNode", node).keys["storage"]
        reader.problem(where, join(key, "storage"), "belongs to a URL, and the path is none", "remove it")


def only_read(path: str) -> tuple[str, str] | None:
    """Return what is wrong with *path* if it is a URL that can only be read, and what to do; None for any other."""
    scheme = Location(path).scheme
    if scheme in ("", *WRITTEN):
        return None
    places = ", ".join(f"{name}://" for name in WRITTEN)
    return f"{scheme}:// is only read", f"write to a path of this machine, or to {places}"


def without(problem: Problem, secret: set[int]) -> Problem:
    """Return *problem* without the line of the text that it shows, if that is a *secret* one."""
    return replace(problem, source="") if problem.line in secret and problem.line else problem
