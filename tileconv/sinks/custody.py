"""Whose a store is: what may be replaced or removed, what does not belong in it, and whether it is complete.

The ``tileconv`` attribute is there from the start, and marks a store as one that tileconv may replace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from tileconv.boxes import Box
from tileconv.errors import SinkError
from tileconv.quick import dataclass
from tileconv.sinks.files import sink_errors
from tileconv.sinks.layout import GRID_MAPPING, MARKER, METADATA, Layout
from tileconv.storage import Format
from tileconv.stores.fences import fence_of
from tileconv.stores.steady import TEMPORARY
from tileconv.stores.store import Store, content


@dataclass(frozen=True)
class Custody:
    """What lies in *store*, where an output of *layout* is or would be, and whose it is."""

    store: Store
    layout: Layout

    def free(self) -> bool:
        """Return whether nothing is there, but perhaps metadata that a killed process was writing."""
        with sink_errors(self.store.where(), "read"):
            try:
                names = self.store.names()
            except NotADirectoryError:
                return False
        began = tuple(f".{name}." for known in METADATA.values() for name in known)
        return all(name.startswith(began) and TEMPORARY.fullmatch(name) for name in names)

    def marker(self) -> dict[str, Any]:
        """Return what the ``tileconv`` attribute says; nothing where there is none."""
        marker = read_attributes(self.store).get(MARKER)
        return marker if isinstance(marker, dict) else {}

    def complete(self) -> bool:
        """Return whether ``finish`` made the store a complete image."""
        return self.marker().get("complete") is True

    @property
    def unfinished(self) -> dict[str, Any]:
        """What the attributes say while the store is written: under a lease whose it is.

        So no two runs put the same bytes there, of which a server might make the same version.
        """
        fence = fence_of(self.store.where())
        return {MARKER: {"complete": False} | ({"lease": fence.token} if fence else {})}

    def replaceable(self) -> bool:
        """Return whether a store of ours is there, and a bare array where this is ``plain``."""
        bare = json_object(self.store, "zarr.json").get("node_type") == "array"
        return MARKER in read_attributes(self.store) and (bare or not self.layout.plain)

    def holds_array(self) -> bool:
        """Return whether a store of ours is there whose array is as ``create`` makes it, complete or not."""
        files = list(self.layout.metadata({}).items())[not self.layout.plain :]  # the first tells its end
        without: dict[str, Any] = {"attributes": {}}
        same = all(
            json_object(self.store, key) | without == json.loads(json.dumps(said)) | without for key, said in files
        )
        return same and MARKER in read_attributes(self.store)

    def whole(self) -> bool:
        """Return whether as many objects of pixels are there as belong there."""
        return not self.missing()

    def missing(self) -> int:
        """Return how many objects of pixels are not there that belong there, of all levels."""
        return sum(len(layout.units) - self._stored(layout) for layout in self.layout.each)

    def _stored(self, layout: Layout) -> int:
        return sum(layout.is_chunk(key) for key, _ in self.store.facts(layout.chunks_key()))

    def lacks(self, box: Box, listed: Container[str] | None = None) -> str:
        """Return the first key of pixels of *box* under which nothing is stored; ``""`` where all are there.

        *listed* are the keys under which something is; without them the store is asked for each.
        """
        there = self._holds if listed is None else listed.__contains__
        return next((key for key in self.layout.chunk_keys(box) if not there(key)), "")

    def _holds(self, key: str) -> bool:
        facts = self.store.stat(key)
        return facts is not None and facts.size > 0

    def metadata_digests(self) -> dict[str, str]:
        """Return a digest of all metadata by their keys; ``""`` for what is missing."""
        digests = {}
        for key in self.layout.metadata({}):
            with sink_errors(self.store.where(key), "read"):
                stored = content(self.store, key)
            digests[key] = "" if stored is None else hashlib.sha256(stored).hexdigest()
        return digests

    def strays(self) -> Iterator[str]:
        """Yield keys among those of chunks that are none of the array, and what a killed process was writing."""
        ours, layouts = self.layout.metadata({}), self.layout.each
        for key in self.store.list():
            of = [layout for layout in layouts if layout.below_chunks(key) and key not in ours]
            if key.endswith(".partial") or any(not layout.is_chunk(key) for layout in of):
                yield key

    def check_strays(self) -> None:
        """Refuse strays whose names are none that tileconv gives; SinkError."""
        for key in self.strays():
            parts = [part for layout in self.layout.each for part in layout.below_chunks(key)]
            numbers = bool(parts) and all(part.isascii() and part.isdecimal() for part in parts)
            if not (numbers or TEMPORARY.fullmatch(key.rpartition("/")[2])):
                problem = f"holds {key!r}, which tileconv did not write"
                raise SinkError(problem, where=self.store.where(), fix="Move it elsewhere.")

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse what ``create`` would not replace; changes nothing.

        Raises
        ------
        SinkError
            As ``create`` says.
        """
        if self.free():
            return
        where, another = self.store.where(), "Choose another output path."
        if MARKER not in read_attributes(self.store):
            raise SinkError("exists and was not made by tileconv", where=where, fix=another)
        if not overwrite:
            unfinished = self.marker().get("complete") is False
            problem = "already exists" + ", left by a run that did not finish" * unfinished
            fix = "Choose another output path, or allow replacing it with --overwrite."
            raise SinkError(problem, where=where, fix=fix)
        self.check_names()

    def format_there(self) -> Format:
        """Return the format of the store that is there, which may be another's; where nothing tells it, this one's."""
        attributes: dict[Format, Any] = {
            "0.5": json_object(self.store, "zarr.json").get("attributes"),
            "0.4": json_object(self.store, ".zattrs"),
        }
        ours = (of for of, said in attributes.items() if isinstance(said, dict) and MARKER in said)
        return next(ours, self.layout.storage.format)

    def check_names(self) -> None:
        """Refuse a store that holds what tileconv does not write; SinkError."""
        with sink_errors(self.store.where(), "read"):
            names = [name.removesuffix("/") for name in self.store.names()]
        ours = (*METADATA[self.format_there()], "c", "OME")
        levels = [name.removeprefix(GRID_MAPPING).removeprefix("_") or "0" for name in names]
        foreign = [
            name
            for name, level in zip(names, levels, strict=True)
            if not (name in ours or level.isdigit() or TEMPORARY.fullmatch(name))
        ]
        if foreign:
            problem = f"holds {foreign[0]!r}, which tileconv did not write"
            raise SinkError(problem, where=self.store.where(), fix="Choose another output path.")

    def clear(self) -> None:
        """Empty the store; until the last object is gone it is marked as ours and unfinished."""
        root = METADATA[self.format_there()][0]
        names = self.store.names()
        if root in names:
            self.mark(self.unfinished)
        for name in sorted(names, key=root.__eq__):
            self.store.delete(name)

    def mark(self, attributes: Mapping[str, object]) -> None:
        """Replace the attributes of the store that is there, of whatever format it is."""
        if self.format_there() == "0.4":
            write_metadata(self.store, ".zattrs", attributes)
        else:
            write_metadata(self.store, "zarr.json", {**json_object(self.store, "zarr.json"), "attributes": attributes})

    def tidy(self) -> None:
        """Remove what a killed process was writing; SinkError if the file system refuses."""
        with sink_errors(self.store.where()):
            for key in [*self.store.list()]:
                if TEMPORARY.fullmatch(key.rpartition("/")[2]):
                    self.store.delete(key)

    def remove(self) -> None:
        """Delete the store, which tileconv must have made.

        Raises
        ------
        SinkError
            If anything in it is not ours, or the file system refuses.
        """
        with sink_errors(self.store.where()):
            self.check_free(overwrite=True)
            self.clear()
            self.store.delete("")


def read_attributes(store: Store) -> dict[str, Any]:
    """Return the attributes of the group or array in *store*, of either format of Zarr; those that name us first."""
    found = json_object(store, "zarr.json").get("attributes")
    return found if isinstance(found, dict) and MARKER in found else json_object(store, ".zattrs")


def write_metadata(store: Store, key: str, metadata: Mapping[str, object]) -> None:
    """Put *metadata* under *key* in one step."""
    store.write(key, [[json.dumps(metadata, indent=2).encode()]])


def write_grid_mappings(store: Store, layouts: Iterable[Layout]) -> None:
    """Say where the levels *layouts* lie on the earth, in variables beside them; where nothing is known, nothing."""
    for layout in layouts:
        for key, said in layout.grid_mapping_metadata().items():
            write_metadata(store, key, said)


def json_object(store: Store, key: str) -> dict[str, Any]:
    """Return what metadata say; nothing where they are absent or something else."""
    with sink_errors(store.where(key), "read"):
        stored = content(store, key) or b""
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
