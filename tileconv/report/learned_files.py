"""A kernel that was learned as files: a pipeline, and a picture of the weights beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tileconv.errors import PlanError
from tileconv.lessons.learned import FIRST, Learned
from tileconv.report.picture import write_picture
from tileconv.sinks.files import refuse_same, sink_errors
from tileconv.sources.memory import MemorySource
from tileconv.sources.source import Source
from tileconv.stores import steady
from tileconv.stores.location import Location

PIXEL = 32
"""How large a weight is in the picture."""


def free_place(output: str | Path, sources: Sequence[Source], *, overwrite: bool) -> Path:
    """Return the file to write, with a picture beside it.

    Raises
    ------
    PlanError
        If it is of another kind, or one of both is there that may not be replaced.
    SinkError
        If one of both is an input.
    """
    file = Path(output).expanduser().absolute()
    if file.suffix not in {".yaml", ".yml"}:
        raise PlanError(f"a kernel that is learned goes to a .yaml file, found {file.name}")
    places = file, file.with_suffix(".png")
    for place, source in product(places, sources):
        refuse_same(Location(str(place)), Location(source.where))
    with sink_errors(file):
        there = [place for place in places if steady.exists(place)]
        ours = steady.is_file(file) and steady.read_bytes(file).startswith(FIRST.encode())
    if there and not ours:
        raise PlanError("exists, and tileconv did not learn it", where=str(there[0]), fix="Choose another output.")
    if there and not overwrite:
        raise PlanError("exists", where=str(file), fix="Replace it with --overwrite, or choose another output.")
    return file


def write_files(learned: Learned, before: Any, axes: str | None, source: Source, file: Path) -> None:
    """Write the pipeline with what was learned, and the picture of the kernel beside it.

    *before* is what was learned from, with *axes* if they were given, opened as *source*.
    """
    image = {"axes": axes} if axes else {}
    if isinstance(before, str | Path):
        path = Path(before).expanduser().absolute()
        image["path"] = path.name if path.parent == file.parent else str(path)
    missing = source.info.nodata is not None or source.info.mask is not None
    with sink_errors(file):
        steady.replace(file, [[learned.text(image if "path" in image else {}, file, missing=missing).encode()]])
    planes = learned.weights.reshape(-1, *learned.weights.shape[-2:])
    gap = np.full((planes.shape[1], 1), np.nan)
    row = np.hstack([part for plane in planes for part in (plane, gap)][:-1])
    write_picture(MemorySource(row), file.with_suffix(".png"), signed=True, zoom=PIXEL)
