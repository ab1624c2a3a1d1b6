"""Whose a store is: what may be replaced or removed, what does not belong in it, and whether it is complete.

The ``tileconv`` attribute is there from the start, and marks a store as one that tileconv may replace.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tileconv.boxes import Box
from tileconv.errors import SinkError
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors
from tileconv.sinks.layout import MARKER, METADATA, Layout
from tileconv.storage import Format
from tileconv.stores import steady

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
"""Names of files that ``steady.replace`` writes before they stand in their place."""


class Custody(Layout):
    """A store that is there, or the place of one: what lies in it and whose it is."""

    def free(self) -> bool:
        """Return whether *path* holds nothing, but perhaps metadata that a killed process was writing."""
        with sink_errors(self.path, "read"):
            if not steady.is_folder(self.path):
                return not steady.exists(self.path)
            names = [entry.name for entry in steady.entries(self.path)]
        began = tuple(f".{name}." for known in METADATA.values() for name in known)
        return all(name.startswith(began) and _TEMPORARY.fullmatch(name) for name in names)

    def marker(self) -> dict[str, Any]:
        """Return what the ``tileconv`` attribute says; nothing where there is none."""
        marker = read_attributes(self.path).get(MARKER)
        return marker if isinstance(marker, dict) else {}

    def complete(self) -> bool:
        """Return whether ``finish`` made the store a complete image."""
        return self.marker().get("complete") is True

    def replaceable(self) -> bool:
        """Return whether *path* holds a store of ours, and a bare array where this is ``plain``."""
        bare = _metadata(self.path / "zarr.json").get("node_type") == "array"
        return MARKER in read_attributes(self.path) and (bare or not self.plain)

    def holds_array(self) -> bool:
        """Return whether *path* is a store of ours whose array is as ``create`` makes it, complete or not."""
        files = list(self.metadata({}).items())[not self.plain :]  # the first says what became of the store
        without: dict[str, Any] = {"attributes": {}}
        same = all(_metadata(file) | without == json.loads(json.dumps(said)) | without for file, said in files)
        return same and MARKER in read_attributes(self.path)

    def whole(self) -> bool:
        """Return whether as many files of pixels are there as belong there."""
        return self.found() >= len(self.units)

    def found(self) -> int:
        """Return how many files of pixels are there."""
        return sum(self.is_chunk(file) and steady.is_file(file) for file in steady.walk(self.chunks_path))

    def lacks(self, box: Box) -> str:
        """Return the first file of pixels of *box* that is not there, or is empty; ``""`` when all are there."""
        for file in self.chunk_files(box):
            facts = steady.stat_of(file)
            if facts is None or not stat.S_ISREG(facts.st_mode) or not facts.st_size:
                return self.name_of(file)
        return ""

    def metadata_digests(self) -> dict[str, str]:
        """Return a digest of every metadata file by its name; ``""`` for one that is missing."""
        digests = {}
        for file in self.metadata({}):
            with sink_errors(file, "read"):
                stored = steady.content(file)
            digests[self.name_of(file)] = "" if stored is None else hashlib.sha256(stored).hexdigest()
        return digests

    def strays(self) -> Iterator[Path]:
        """Yield files among the chunks that are no chunk of the array, and those that a killed process was writing."""
        ours = self.metadata({})
        for file in steady.walk(self.path):
            among = self.below_chunks(file) and file not in ours
            if file.suffix == ".partial" or (among and not self.is_chunk(file)):
                yield file

    def check_strays(self) -> None:
        """Refuse strays whose names are none that tileconv gives; SinkError."""
        for file in self.strays():
            parts = self.below_chunks(file)
            numbers = bool(parts) and all(part.isascii() and part.isdecimal() for part in parts)
            if not (numbers or _TEMPORARY.fullmatch(file.name)):
                problem = f"holds {self.name_of(file)!r}, which tileconv did not write"
                raise SinkError(problem, where=str(self.path), fix="Move it elsewhere.")

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse what ``create`` would not replace; changes nothing.

        Raises
        ------
        SinkError
            As ``create`` says.
        """
        if self.free():
            return
        where, another = str(self.path), "Choose another output path."
        if MARKER not in read_attributes(self.path):
            raise SinkError("exists and was not made by tileconv", where=where, fix=another)
        if not overwrite:
            unfinished = self.marker().get("complete") is False
            problem = "already exists" + ", left by a run that did not finish" * unfinished
            fix = "Choose another output path, or allow replacing it with --overwrite."
            raise SinkError(problem, where=where, fix=fix)
        self.check_names()

    def format_there(self) -> Format:
        """Return the format of the store that is there, which may be another's; where nothing tells it, this one's."""
        found: dict[Format, Any] = {
            "0.5": _metadata(self.path / "zarr.json").get("attributes"),
            "0.4": _metadata(self.path / ".zattrs"),
        }
        ours = (of for of, said in found.items() if isinstance(said, dict) and MARKER in said)
        return next(ours, self.storage.format)

    def check_names(self) -> None:
        """Refuse a folder that holds what tileconv does not write; SinkError."""
        with sink_errors(self.path, "read"):
            found = steady.entries(self.path) if steady.is_folder(self.path) else []
        ours = (*METADATA[self.format_there()], "c")
        foreign = [e.name for e in found if not (e.name in ours or e.name.isdigit() or _TEMPORARY.fullmatch(e.name))]
        if foreign:
            problem = f"holds {foreign[0]!r}, which tileconv did not write"
            raise SinkError(problem, where=str(self.path), fix="Choose another output path.")

    def clear(self) -> None:
        """Empty the folder; until the last file is gone it is marked as ours and unfinished."""
        if not steady.exists(self.path):
            return
        root = self.path / METADATA[self.format_there()][0]
        if steady.exists(root):
            self.mark({MARKER: {"complete": False}})
        for entry in steady.entries(self.path):
            if entry.name != root.name:
                steady.remove(Path(entry.path))
        steady.remove(root)

    def mark(self, attributes: Mapping[str, object]) -> None:
        """Replace the attributes of the store that is there, of whatever format it is."""
        if self.format_there() == "0.4":
            write_metadata(self.path / ".zattrs", attributes)
        else:
            file = self.path / "zarr.json"
            write_metadata(file, {**_metadata(file), "attributes": attributes})

    def tidy(self) -> None:
        """Remove files that a killed process was writing; SinkError if the file system refuses."""
        with sink_errors(self.path):
            for file in [*steady.walk(self.path)]:
                if _TEMPORARY.fullmatch(file.name):
                    steady.unlink(file)

    def remove(self) -> None:
        """Delete the store, which tileconv must have made.

        Raises
        ------
        SinkError
            If anything in *path* is not ours, or the file system refuses.
        """
        with sink_errors(self.path):
            self.check_free(overwrite=True)
            self.clear()
            if steady.exists(self.path):
                retrying(steady.resolve(self.path).rmdir)


def read_attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of the group or array at *path*, of either format of Zarr; those that name us first."""
    found = _metadata(path / "zarr.json").get("attributes")
    return found if isinstance(found, dict) and MARKER in found else _metadata(path / ".zattrs")


def write_metadata(file: Path, metadata: Mapping[str, object]) -> None:
    """Put *metadata* into the place of *file* in one step."""
    steady.replace(file, [[json.dumps(metadata, indent=2).encode()]])


def _metadata(file: Path) -> dict[str, Any]:
    """Return what a metadata file says; nothing when it is absent or something else."""
    with sink_errors(file, "read"):
        stored = steady.content(file) or b""
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
