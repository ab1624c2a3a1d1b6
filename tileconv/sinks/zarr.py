"""A Zarr v3 store, written one tile at a time: OME-Zarr 0.5 for results, a bare array for intermediates.

Every chunk is written whole, once, and carries a checksum; every chunk of a finished store is present, so one that is
missing was lost. The ``ome`` attribute comes last: a store without it is not an image. The ``tileconv`` attribute is
there from the start and marks the store as one that tileconv may replace.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.encoding import array_metadata, encode, group_metadata
from tileconv.sinks.files import check_tile, replacing, sink_errors
from tileconv.sinks.ome import ome_attributes

MARKER = "tileconv"
"""The attribute that marks a store as ours and holds where its pixels come from."""


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
    """

    path: Path
    info: ImageInfo
    plain: bool = False

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
            self._clear(overwrite=overwrite)
            marker: dict[str, Any] = {MARKER: {"complete": False}}
            if not self.plain:
                _write_metadata(self.path, group_metadata(marker))
            _write_metadata(self.array_path, array_metadata(self.info, marker if self.plain else {}))

    def write(self, box: Box, array: NDArray[np.generic]) -> None:
        """Write the pixels of *box*; safe from many threads and processes at once when no two boxes overlap.

        Nothing is read back, so writing a box again simply replaces it.

        Raises
        ------
        GeometryError
            If *box* leaves the image or cuts a chunk, or *array* has another shape or dtype: mistakes of the caller.
        SinkError
            If the file system refuses.
        """
        self._check(box, array)
        with sink_errors(self.array_path):
            (self.array_path / "zarr.json").stat()  # raises if the store is gone; zarr.open would make it a TypeError
            for chunk in TileGrid(box, self.info.chunks):
                self._write_chunk(chunk, array[chunk.within(box)])

    def _write_chunk(self, box: Box, pixels: NDArray[np.generic]) -> None:
        """Encode one chunk and put it in its place in one step."""
        if pixels.shape != self.info.chunks:
            whole = np.zeros(self.info.chunks, pixels.dtype)
            whole[tuple(map(slice, pixels.shape))] = pixels
            pixels = whole
        encoded = encode(pixels)
        index = (a // n for a, n in zip(box.start, self.info.chunks, strict=True))
        with replacing(self.array_path.joinpath("c", *map(str, index))) as temporary:
            temporary.write_bytes(encoded)

    def finish(self, provenance: Mapping[str, object], *, window: tuple[float, float] | None = None) -> None:
        """Make the store a complete image: write the ``ome`` attribute, and *provenance* under ``tileconv``.

        Parameters
        ----------
        provenance
            Where the pixels come from; JSON values.
        window
            As ``ome_attributes`` takes it.

        Raises
        ------
        SinkError
            If chunks are missing, or the file system refuses.
        """
        with sink_errors(self.path):
            expected = len(TileGrid(self.info.box, self.info.chunks))
            found = sum(1 for _ in self._chunk_files())
            if found < expected:
                raise SinkError(f"{expected - found} of {expected} chunks were never written", where=str(self.path))
            attributes: dict[str, Any] = {MARKER: {**provenance, "complete": True}}
            if not self.plain:
                attributes["ome"] = self._ome(window)
            _write_metadata(self.path, {**_metadata(self.path / "zarr.json"), "attributes": attributes})

    def remove(self) -> None:
        """Delete the store, which tileconv must have made.

        Raises
        ------
        SinkError
            If anything in *path* is not ours, or the file system refuses.
        """
        with sink_errors(self.path):
            self._clear(overwrite=True)
            if self.path.exists():
                self.path.resolve().rmdir()

    def _ome(self, window: tuple[float, float] | None) -> dict[str, object]:
        name = self.path.name.removesuffix(".zarr").removesuffix(".ome")
        return ome_attributes(self.info, name=name, window=window)

    def _check(self, box: Box, array: NDArray[np.generic]) -> None:
        if not self.info.box.contains(box):
            raise GeometryError(f"tile {box} leaves the output {self.info.box}")
        edges = zip(box.start, box.stop, self.info.chunks, self.info.shape, strict=True)
        if any(a % chunk or (b % chunk and b != size) for a, b, chunk, size in edges):
            raise GeometryError(f"tile {box} is not a whole number of chunks of {self.info.chunks} pixels")
        check_tile(box, array, self.info)

    def _chunk_files(self) -> Iterator[Path]:
        files = (self.array_path / "c").rglob("*")
        return (file for file in files if file.name.isdigit() and file.is_file())

    def _clear(self, *, overwrite: bool) -> None:
        """Empty the folder, or refuse; until the last file is gone it is marked as ours and unfinished."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        where, another = str(self.path), "Choose another output path."
        metadata = self.path / "zarr.json"
        ours = _metadata(metadata)
        if MARKER not in ours.get("attributes", {}):
            raise SinkError("exists and was not made by tileconv", where=where, fix=another)
        if not overwrite:
            unfinished = ours["attributes"][MARKER].get("complete") is False
            problem = "already exists" + ", left by a run that did not finish" * unfinished
            fix = "Choose another output path, or allow replacing it with --overwrite."
            raise SinkError(problem, where=where, fix=fix)
        inside = [entry for entry in self.path.iterdir() if entry != metadata]
        foreign = [e.name for e in inside if not (e.name.isdigit() or e.name == "c" or e.suffix == ".partial")]
        if foreign:
            raise SinkError(f"holds {foreign[0]!r}, which tileconv did not write", where=where, fix=another)
        _write_metadata(self.path, {**ours, "attributes": {MARKER: {"complete": False}}})
        for entry in inside:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        metadata.unlink()


def _write_metadata(folder: Path, metadata: Mapping[str, object]) -> None:
    with replacing(folder / "zarr.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=2))


def _metadata(file: Path) -> dict[str, Any]:
    """Return what a ``zarr.json`` says; nothing when it is absent or something else."""
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
