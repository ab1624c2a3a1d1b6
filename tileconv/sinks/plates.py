"""What says of a folder of images that it is a plate, or a well of one: https://ngff.openmicroscopy.org/0.5/#hcs-layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tileconv.errors import SinkError
from tileconv.sinks.custody import read_attributes, write_metadata
from tileconv.sinks.files import sink_errors
from tileconv.sinks.layout import MARKER
from tileconv.storage import Format
from tileconv.stores.store import Store

Wells = Mapping[tuple[str, str], Sequence[str]]
"""The fields that are there of each well, by row and column."""


def check_plate_free(store: Store) -> None:
    """Refuse a place where another than a plate of tileconv lies; SinkError."""
    with sink_errors(store.where(), "read"):
        there = {"zarr.json", ".zgroup", ".zattrs"} & {name.removesuffix("/") for name in store.names()}
    if there and "plate" not in read_attributes(store).get(MARKER, {}):
        problem, fix = "exists and is no plate that tileconv made", "Choose another output path."
        raise SinkError(problem, where=store.where(), fix=fix)


def write_plate(store: Store, told: Mapping[str, Any], wells: Wells, format_: Format) -> None:
    """Write what says that *wells* are there, and what *told*, the plate that they come from, says of itself."""
    rows, columns = ([*dict.fromkeys(well[i] for well in wells)] for i in (0, 1))
    known = [[str(one["name"]) for one in told.get(key, ())] for key in ("rows", "columns")]
    rows, columns = (
        names if set(here) <= set(names) else sorted(here, key=_natural)
        for here, names in zip((rows, columns), known, strict=True)
    )
    plate = {key: told[key] for key in ("name", "acquisitions") if key in told} | {
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": [
            {"path": f"{row}/{column}", "rowIndex": rows.index(row), "columnIndex": columns.index(column)}
            for row, column in sorted(wells, key=lambda well: (rows.index(well[0]), columns.index(well[1])))
        ],
        "field_count": max(map(len, wells.values()), default=0),
    }
    for row in {row for row, _ in wells}:
        _group(store, f"{row}/", {}, format_)
    _group(store, "", _ome("plate", plate, format_) | {MARKER: {"plate": True}}, format_)


def write_well(store: Store, well: tuple[str, str], images: Sequence[Mapping[str, Any]], format_: Format) -> None:
    """Write which *images* are there of a well."""
    _group(store, "/".join((*well, "")), _ome("well", {"images": list(images)}, format_), format_)


def _ome(kind: str, said: dict[str, Any], format_: Format) -> dict[str, Any]:
    told = {kind: {"version": format_, **said}}
    return told if format_ == "0.4" else {"ome": {"version": format_, **told}}


def _group(store: Store, prefix: str, attributes: Mapping[str, Any], format_: Format) -> None:
    if format_ == "0.4":
        write_metadata(store, f"{prefix}.zgroup", {"zarr_format": 2})
        write_metadata(store, f"{prefix}.zattrs", attributes)
    else:
        write_metadata(store, f"{prefix}zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what puts ``2`` before ``10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]
