"""The images that an input names: one, several by a pattern or a list, or every one of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tileconv.spec.model import ALL, InputSpec, MaskSpec, RunSpec
from tileconv.spec.outputs import Output
from tileconv.spec.part import check_part
from tileconv.spec.reader import Reader, join
from tileconv.spec.storage import only_read
from tileconv.spec.templates import ABSOLUTE, OF_PATH, OF_SERIES, is_pattern, words_in
from tileconv.spec.text import MapNode, Node


def check_input(reader: Reader, node: Node, key: str, values: dict[str, Any]) -> None:
    """Put into *values* of the input what names several images, and which part of them is read."""
    check_part(reader, node, key, values)
    if values.get("series") == ALL:
        values |= {"series": 0, "every_series": True}
    path = values.get("path")
    if isinstance(path, list):
        if not path:
            place = cast("MapNode", node).items["path"].place
            reader.problem(place, join(key, "path"), "expected a path or several, found an empty list")
        values |= {"path": (path or [""])[0], "paths": tuple(path)}
    elif path and is_pattern(path):
        values["paths"] = (path,)
    mask = values.get("mask")
    if "stack" in values and (values.get("every_series") or (isinstance(mask, MaskSpec) and mask.label)):
        other = "no series: all" if values.get("every_series") else "no label of its own as mask"
        place = cast("MapNode", node).keys["stack"]
        reader.problem(place, join(key, "stack"), f"a stack is one image of several files, and has {other}")


def check_batch(
    reader: Reader, asked: InputSpec | None, outputs: Sequence[Output], run: RunSpec | None, run_node: Node | None
) -> None:
    """Record a problem for each output whose path does not tell several images apart, or lies where one only reads.

    So it does for what a batch has not.
    """
    if asked is None or asked.stack:
        return
    if asked.is_batch and run and run.halo_method == "overlap":
        place = cast("MapNode", run_node).keys["halo_method"]
        message = "tiles of several images alternate, and have no neighbours to exchange halos with"
        reader.problem(place, "run.halo_method", message, "leave it out: halos are read by windows")
    several = asked.every_series or len(asked.paths) > 1 or any(map(is_pattern, asked.paths))
    words, example = (OF_SERIES, "{stem}_{series}") if asked.every_series else (OF_PATH, "{stem}")
    web = next(filter(None, map(only_read, asked.paths or [asked.path.text])), None)
    for key, node, output in outputs:
        if output is None:
            continue
        problem, path = None, output.path.text
        if several and words_in(path).isdisjoint(words):
            hint = f"write {example} in it, as in {example}.ome.zarr; planes of one image are one with input.stack: z"
            problem = "names one place for several images", hint
        elif path.startswith(ABSOLUTE):
            problem = web
        if problem:
            reader.problem(cast("MapNode", node).items["path"].place, join(key, "path"), *problem)
