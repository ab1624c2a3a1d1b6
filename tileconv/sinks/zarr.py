"""A Zarr v3 store, written one tile at a time: OME-Zarr 0.5 for results, a bare array for intermediates.

Every chunk is written whole, once, and carries a checksum; every chunk of a finished store is present, so one that is
missing was lost. The ``ome`` attribute comes last: a store without it is not an image. The ``tileconv`` attribute is
there from the start and marks the store as one that tileconv may replace.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv import steady
from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.retry import retrying
from tileconv.sinks.encoding import array_metadata, encode, group_metadata, intact
from tileconv.sinks.files import check_tile, refuse_links, sink_errors
from tileconv.sinks.ome import ome_attributes

MARKER = "tileconv"
"""The attribute that marks a store as ours and holds where its pixels come from."""
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
"""Names of files that ``replacing`` writes before they stand in their place."""


class Digest:
    """What tells whether the bytes of some chunks are still those that were written: their CRC-32 and their number.

    A chunk carries a CRC-32C of its own as well, so damage goes unnoticed only if it fits two unlike checksums.
    """

    def __init__(self) -> None:
        self._crc = self._bytes = 0

    def add(self, *pieces: bytes | memoryview) -> None:
        """Take the next chunk, in as many pieces as it comes."""
        piece: Any  # the codecs' types know no memoryview, their code does
        for piece in pieces:
            self._crc = imagecodecs.zlibng_crc32(piece, self._crc)
            self._bytes += len(piece)

    def __str__(self) -> str:
        return f"{self._crc:08x}-{self._bytes:x}"


@dataclass(frozen=True)
class ZarrSink:
    """The recipe of an output store: no open file, so it crosses to other processes.

    Writing takes memory for about three chunks beyond the tile, whatever the size of the tile.

    Attributes
    ----------
    path
        Folder of the store.
    info
        The image as it will be stored: shape, axes, dtype, chunks, scale.
    plain
        Whether *path* is a bare Zarr array, for intermediate results, and not an OME-Zarr image.
    staging
        Folder in which chunks are written before they stand in their places; None for beside these.
    """

    path: Path
    info: ImageInfo
    plain: bool = False
    staging: Path | None = None

    @property
    def array_path(self) -> Path:
        """Folder of the Zarr array that holds the pixels."""
        return self.path if self.plain else self.path / "0"

    def create(self, *, overwrite: bool = False) -> None:
        """Make the store with no chunk in it; only one process does this, before any write.

        Raises
        ------
        SinkError
            If *path* exists and is not empty, unless tileconv made all of it and *overwrite* is set; if the axes do
            not suit OME-Zarr; or if the file system refuses.
        """
        if not self.plain:
            self._ome(None)  # refuses now what finish would refuse after the work
        with sink_errors(self.path):
            self.check_free(overwrite=overwrite)
            self._clear()
        self.rebuild()

    def write(self, box: Box, array: NDArray[np.generic]) -> str:
        """Write the pixels of *box* and return the digest of what is stored for them.

        Safe from many threads and processes at once when no two boxes overlap. Nothing is read back, so writing a box
        again simply replaces it.

        Raises
        ------
        GeometryError
            If *box* leaves the image or cuts a chunk, or *array* has another shape or dtype: mistakes of the caller.
        SinkError
            If the file system refuses.
        """
        self._check(box, array)
        with sink_errors(self.array_path):
            if not steady.exists(self.array_path / "zarr.json"):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # the store is gone
            digest = Digest()
            for chunk, file in zip(TileGrid(box, self.info.chunks), self.chunk_files(box), strict=True):
                digest.add(*self._write_chunk(file, array[chunk.within(box)]))
        return str(digest)

    def stored_digest(self, box: Box) -> str:
        """Return the digest of what is stored for *box*, as ``write`` returned it if nothing has changed since.

        Raises
        ------
        SinkError
            If a chunk is missing or cannot be read; the message names it.
        """
        digest = Digest()
        for file in self.chunk_files(box):
            try:
                digest.add(steady.read_bytes(file))
            except OSError as error:
                chunk = file.relative_to(self.path).as_posix()
                problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
                raise SinkError(f"chunk {chunk} {problem}", where=str(self.path)) from error
        return str(digest)

    def damaged_chunks(self, box: Box) -> dict[str, str]:
        """Return what is wrong with chunks of *box* that are missing or lack their own checksum, by file."""
        found = {}
        for file in self.chunk_files(box):
            name = file.relative_to(self.path).as_posix()
            try:
                if not intact(steady.read_bytes(file)):
                    found[name] = "is not what was written"
            except FileNotFoundError:
                found[name] = "is missing"
            except OSError as error:
                found[name] = f"cannot be read: {error.strerror}"
        return found

    def metadata_digests(self) -> dict[str, str]:
        """Return a digest of every metadata file by its name; ``""`` for one that is missing."""
        digests = {}
        for file in dict.fromkeys((self.path / "zarr.json", self.array_path / "zarr.json")):
            with sink_errors(file, "read"):
                stored = steady.content(file)
            digest = "" if stored is None else hashlib.sha256(stored).hexdigest()
            digests[file.relative_to(self.path).as_posix()] = digest
        return digests

    def strays(self) -> Iterator[Path]:
        """Yield files among the chunks that are no chunk of the array, and those that a killed process was writing."""
        counts = TileGrid(self.info.box, self.info.chunks).counts
        chunks = self.array_path / "c"
        for file in steady.walk(self.path):
            parts = file.relative_to(chunks).parts if file.is_relative_to(chunks) else None
            if file.suffix == ".partial" or not (parts is None or _is_index(parts, counts)):
                yield file

    def check_strays(self) -> None:
        """Refuse strays whose names are none that tileconv gives; SinkError."""
        chunks = self.array_path / "c"
        for file in self.strays():
            parts = file.relative_to(chunks).parts if file.is_relative_to(chunks) else ()
            numbers = bool(parts) and all(part.isascii() and part.isdecimal() for part in parts)
            if not (numbers or _TEMPORARY.fullmatch(file.name)):
                problem = f"holds {file.relative_to(self.path).as_posix()!r}, which tileconv did not write"
                raise SinkError(problem, where=str(self.path), fix="Move it elsewhere.")

    def lacks(self, box: Box) -> str:
        """Return the first chunk of *box* that has no file, or an empty one; ``""`` when all are there."""
        for file in self.chunk_files(box):
            facts = steady.stat_of(file)
            if facts is None or not stat.S_ISREG(facts.st_mode) or not facts.st_size:
                return file.relative_to(self.path).as_posix()
        return ""

    def chunk_files(self, box: Box) -> Iterator[Path]:
        """Yield the files of the chunks that *box* is made of, last axis fastest."""
        chunks = self.array_path / "c"
        for chunk in TileGrid(box, self.info.chunks):
            index = (a // n for a, n in zip(chunk.start, self.info.chunks, strict=True))
            yield chunks.joinpath(*map(str, index))

    def _write_chunk(self, file: Path, pixels: NDArray[np.generic]) -> tuple[memoryview, bytes]:
        """Encode one chunk, put it in its place in one step, and return its bytes."""
        if pixels.shape != self.info.chunks:
            whole = np.zeros(self.info.chunks, pixels.dtype)
            whole[tuple(map(slice, pixels.shape))] = pixels
            pixels = whole
        encoded = encode(pixels)
        refuse_links(self.path, file)
        uncached = not self.plain  # what the next pass reads soon is kept in memory
        with sink_errors(file):
            try:
                steady.replace(file, encoded, staging=self.staging, uncached=uncached)
            except FileNotFoundError as error:
                if self.staging is None or steady.is_folder(self.staging):
                    raise
                why = "the run ended without this worker, or another run has begun to write there"
                raise SinkError("is not written by this run any more", where=str(file), why=why) from error
        return encoded

    def holds_array(self) -> bool:
        """Return whether *path* is a store of ours whose array is as ``create`` makes it, complete or not."""
        stored = _metadata(self.array_path / "zarr.json")
        same = stored | {"attributes": {}} == json.loads(json.dumps(array_metadata(self.info, {})))
        return same and MARKER in _metadata(self.path / "zarr.json").get("attributes", {})

    def complete(self) -> bool:
        """Return whether ``finish`` made the store a complete image."""
        return self.marker().get("complete") is True

    def marker(self) -> dict[str, Any]:
        """Return what the ``tileconv`` attribute says; nothing where there is none."""
        marker = _metadata(self.path / "zarr.json").get("attributes", {}).get(MARKER)
        return marker if isinstance(marker, dict) else {}

    def whole(self) -> bool:
        """Return whether as many chunks are there as belong there."""
        return self._found() >= len(TileGrid(self.info.box, self.info.chunks))

    def unfinish(self) -> None:
        """Mark the store as not whole, before chunks of it are written anew; SinkError if the file system refuses."""
        with sink_errors(self.path):
            self._mark({MARKER: {"complete": False}})

    def rebuild(self) -> None:
        """Write the metadata anew, as ``create`` does, around the chunks that are there.

        The caller knows that the store is ours. SinkError if the file system refuses.
        """
        marker: dict[str, Any] = {MARKER: {"complete": False}}
        with sink_errors(self.path):
            if not self.plain:
                _write_metadata(self.path, group_metadata(marker))
            attributes = self.info.georeference.attributes | (marker if self.plain else {})
            _write_metadata(self.array_path, array_metadata(self.info, attributes))

    def finish_part(self) -> None:
        """Let the next pass read an intermediate store of which only some chunks are there."""
        with sink_errors(self.path):
            self._mark({MARKER: {"part": True}})

    def tidy(self) -> None:
        """Remove files that a killed process was writing; SinkError if the file system refuses."""
        with sink_errors(self.path):
            for file in [*steady.walk(self.path)]:
                if _TEMPORARY.fullmatch(file.name):
                    steady.unlink(file)

    def finish(
        self, provenance: Mapping[str, object], *, name: str = "", window: tuple[float, float] | None = None
    ) -> None:
        """Make the store a complete image: write the ``ome`` attribute, and *provenance* (JSON) under ``tileconv``.

        *name* and *window* are as ``ome_attributes`` takes them; the name is that of the store by default.

        Raises
        ------
        SinkError
            If chunks are missing, or the file system refuses.
        """
        with sink_errors(self.path):
            expected, found = len(TileGrid(self.info.box, self.info.chunks)), self._found()
            if found < expected:
                raise SinkError(f"{expected - found} of {expected} chunks were never written", where=str(self.path))
            attributes: dict[str, Any] = {MARKER: {**provenance, "complete": True}}
            if not self.plain:
                attributes["ome"] = self._ome(window, name)
            self._mark(attributes)

    def remove(self) -> None:
        """Delete the store, which tileconv must have made.

        Raises
        ------
        SinkError
            If anything in *path* is not ours, or the file system refuses.
        """
        with sink_errors(self.path):
            self.check_free(overwrite=True)
            self._clear()
            if steady.exists(self.path):
                retrying(steady.resolve(self.path).rmdir)

    def _ome(self, window: tuple[float, float] | None, name: str = "") -> dict[str, object]:
        name = name or self.path.name.removesuffix(".zarr").removesuffix(".ome")
        return ome_attributes(self.info, name=name, window=window)

    def _check(self, box: Box, array: NDArray[np.generic]) -> None:
        if not self.info.box.contains(box):
            raise GeometryError(f"tile {box} leaves the output {self.info.box}")
        edges = zip(box.start, box.stop, self.info.chunks, self.info.shape, strict=True)
        if any(a % chunk or (b % chunk and b != size) for a, b, chunk, size in edges):
            raise GeometryError(f"tile {box} is not a whole number of chunks of {self.info.chunks} pixels")
        check_tile(box, array, self.info)

    def _found(self) -> int:
        return sum(file.name.isdigit() and steady.is_file(file) for file in steady.walk(self.array_path / "c"))

    def _mark(self, attributes: Mapping[str, object]) -> None:
        """Replace the store's attributes."""
        _write_metadata(self.path, {**_metadata(self.path / "zarr.json"), "attributes": attributes})

    def free(self) -> bool:
        """Return whether *path* holds nothing, but perhaps metadata that a killed process was writing."""
        with sink_errors(self.path, "read"):
            if not steady.is_folder(self.path):
                return not steady.exists(self.path)
            names = [entry.name for entry in steady.entries(self.path)]
        return all(name.startswith(".zarr.json.") and _TEMPORARY.fullmatch(name) for name in names)

    def replaceable(self) -> bool:
        """Return whether *path* holds a store of ours, and a bare array where this is ``plain``."""
        found = _metadata(self.path / "zarr.json")
        return MARKER in found.get("attributes", {}) and not (self.plain and found.get("node_type") != "array")

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
        ours = _metadata(self.path / "zarr.json")
        if MARKER not in ours.get("attributes", {}):
            raise SinkError("exists and was not made by tileconv", where=where, fix=another)
        if not overwrite:
            unfinished = ours["attributes"][MARKER].get("complete") is False
            problem = "already exists" + ", left by a run that did not finish" * unfinished
            fix = "Choose another output path, or allow replacing it with --overwrite."
            raise SinkError(problem, where=where, fix=fix)
        self.check_names()

    def check_names(self) -> None:
        """Refuse a folder that holds what tileconv does not write; SinkError."""
        with sink_errors(self.path, "read"):
            found = steady.entries(self.path) if steady.is_folder(self.path) else []
        names = [entry.name for entry in found if entry.name not in ("zarr.json", "c")]
        foreign = [name for name in names if not (name.isdigit() or _TEMPORARY.fullmatch(name))]
        if foreign:
            problem = f"holds {foreign[0]!r}, which tileconv did not write"
            raise SinkError(problem, where=str(self.path), fix="Choose another output path.")

    def _clear(self) -> None:
        """Empty the folder; until the last file is gone it is marked as ours and unfinished."""
        if not steady.exists(self.path):
            return
        metadata = self.path / "zarr.json"
        if steady.exists(metadata):
            self._mark({MARKER: {"complete": False}})
        for entry in steady.entries(self.path):
            if entry.name != metadata.name:
                steady.remove(Path(entry.path))
        steady.remove(metadata)


def _is_index(parts: Sequence[str], counts: Sequence[int]) -> bool:
    """Return whether *parts* are the numbers of a chunk of a grid of *counts*, as they are written."""
    numbers = [int(part) if part.isascii() and part.isdecimal() else -1 for part in parts]
    written = [str(number) for number in numbers] == list(parts)
    return written and len(parts) == len(counts) and all(0 <= i < n for i, n in zip(numbers, counts, strict=True))


def _write_metadata(folder: Path, metadata: Mapping[str, object]) -> None:
    steady.replace(folder / "zarr.json", [json.dumps(metadata, indent=2).encode()])


def _metadata(file: Path) -> dict[str, Any]:
    """Return what a ``zarr.json`` says; nothing when it is absent or something else."""
    with sink_errors(file, "read"):
        stored = steady.content(file) or b""
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
