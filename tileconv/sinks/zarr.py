"""A Zarr store, written one tile at a time: OME-Zarr for results, a bare array for intermediates.

Every file of pixels is written whole, once, in one step; every chunk of a finished store is present, so one that is
missing was lost. What says that it is an image comes last: a store without it is none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.sinks.contrast import windows
from tileconv.sinks.custody import Custody, write_metadata
from tileconv.sinks.encoding import ABSENT, decode, encode, index_bytes, intact, pack_index, unpack_index
from tileconv.sinks.files import check_tile, refuse_links, sink_errors
from tileconv.sinks.layout import MARKER
from tileconv.sinks.ome import ome_attributes
from tileconv.stores import steady
from tileconv.stores.steady import Pieces

GATHER = 2**20
"""Bytes of a shard that are written at once, at least."""
PIECE = 2**24
"""Bytes of a file that are read at once, at most."""


class Digest:
    """What tells whether the bytes of some chunks are still those that were written: their CRC-32 and their number.

    A chunk with a CRC-32C of its own is told by two unlike checksums.
    """

    def __init__(self) -> None:
        self._crc = self._bytes = 0

    def add(self, *pieces: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, in as many pieces as they come."""
        piece: Any  # the codecs' types know no memoryview, their code does
        for piece in pieces:
            self._crc = imagecodecs.zlibng_crc32(piece, self._crc)
            self._bytes += len(piece)

    def __str__(self) -> str:
        return f"{self._crc:08x}-{self._bytes:x}"


class ZarrSink(Custody):
    """The recipe of an output store: no open file, so it crosses to other processes.

    Writing takes memory for a few chunks beyond the tile, whatever the size of the tile and of shards.
    """

    def create(self, *, overwrite: bool = False) -> None:
        """Make the store with no chunk in it; only one process does this, before any write.

        Raises
        ------
        SinkError
            If *path* exists and is not empty, unless tileconv made all of it and *overwrite* is set; if the axes do
            not suit OME-Zarr; or if the file system refuses.
        """
        if not self.plain:
            ome_attributes(self.info, name="")  # refuses now what finish would refuse after the work
        with sink_errors(self.path):
            self.check_free(overwrite=overwrite)
            self.clear()
        self.rebuild()

    def rebuild(self) -> None:
        """Write the metadata anew, as ``create`` does, around the chunks that are there.

        The caller knows that the store is ours. SinkError if the file system refuses.
        """
        with sink_errors(self.path):
            for file, said in self.metadata({MARKER: {"complete": False}}).items():
                write_metadata(file, said)

    def write(self, box: Box, array: NDArray[np.generic]) -> str:
        """Write the pixels of *box* and return the digest of what is stored for them.

        Safe from many threads and processes at once when no two boxes overlap. Nothing is read back, so writing a box
        again simply replaces it.

        Raises
        ------
        GeometryError
            If *box* leaves the image or cuts a chunk, or a shard, or *array* has another shape or dtype: mistakes of
            the caller.
        SinkError
            If the file system refuses.
        """
        self._check(box, array)
        *_, metadata = self.metadata({})
        with sink_errors(self.array_path):
            if not steady.exists(metadata):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # the store is gone
            digest = Digest()
            for unit, file in zip(TileGrid(box, self.units.tile), self.chunk_files(box), strict=True):
                self._write_file(file, self._encoded(unit, array[unit.within(box)], digest))
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
                with steady.opened(file) as opened:
                    while piece := opened.read(PIECE):
                        digest.add(piece)
            except OSError as error:
                problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
                raise SinkError(f"chunk {self.name_of(file)} {problem}", where=str(self.path)) from error
        return str(digest)

    def damaged_chunks(self, box: Box) -> dict[str, str]:
        """Return what is wrong with files of *box* that are missing or lack checksums of their own, by name."""
        found = {}
        for unit, file in zip(TileGrid(box, self.units.tile), self.chunk_files(box), strict=True):
            name = self.name_of(file)
            try:
                if not all(intact(stored, self.storage) for stored in self._stored(file, unit)):
                    found[name] = "is not what was written"
            except FileNotFoundError:
                found[name] = "is missing"
            except OSError as error:
                found[name] = f"cannot be read: {error.strerror}"
        return found

    def read(self, chunk: Box) -> NDArray[Any]:
        """Return the pixels of one chunk, those that lie in the image.

        Raises
        ------
        SinkError
            If it is missing, cannot be read, or is not what was written.
        """
        (file,) = self.chunk_files(chunk)
        with sink_errors(file, "read"):
            (stored,) = self._stored(file, chunk)
        pixels = decode(stored, self.storage, self.info.dtype, self.info.chunks)
        if pixels is None:
            problem, fix = f"chunk {self.name_of(file)} is not what was written", "Run the command with --repair."
            raise SinkError(problem, where=str(self.path), fix=fix)
        return pixels[tuple(map(slice, chunk.shape))]

    def finish(self, provenance: Mapping[str, object], *, name: str = "", workers: int = 1) -> None:
        """Make the store a complete image: say so, and write *provenance* (JSON) under ``tileconv``.

        Some chunks are read by *workers* threads for what viewers show at first. *name* is for these, by default that
        of the store.

        Raises
        ------
        SinkError
            If chunks are missing or damaged, or the file system refuses.
        """
        with sink_errors(self.path):
            expected, found = len(self.units), self.found()
            if found < expected:
                raise SinkError(f"{expected - found} of {expected} chunks were never written", where=str(self.path))
            attributes: dict[str, Any] = {MARKER: {**provenance, "complete": True}}
            if not self.plain:
                name = name or self.path.name.removesuffix(".zarr").removesuffix(".ome")
                shown = windows(self.info, self.read, workers)
                attributes |= ome_attributes(self.info, name=name, windows=shown, version=self.storage.format)
            self.mark(attributes)

    def finish_part(self) -> None:
        """Let the next pass read an intermediate store of which only some chunks are there."""
        with sink_errors(self.path):
            self.mark({MARKER: {"part": True}})

    def unfinish(self) -> None:
        """Mark the store as not whole, before chunks of it are written anew; SinkError if the file system refuses."""
        with sink_errors(self.path):
            self.mark({MARKER: {"complete": False}})

    def _write_file(self, file: Path, parts: Iterator[Pieces]) -> None:
        """Put a file of pixels in its place in one step."""
        refuse_links(self.path, file)
        uncached = not self.plain  # what the next pass reads soon is kept in memory
        with sink_errors(file):
            try:
                steady.replace(file, parts, staging=self.staging, uncached=uncached)
            except FileNotFoundError as error:
                if self.staging is None or steady.is_folder(self.staging):
                    raise
                why = "the run ended without this worker, or another run has begun to write there"
                raise SinkError("is not written by this run any more", where=str(file), why=why) from error

    def _encoded(self, unit: Box, pixels: NDArray[Any], digest: Digest) -> Iterator[Pieces]:
        """Yield the bytes of the file that holds *unit*, part by part, and tell them to *digest*."""
        parts = self._shard(unit, pixels) if self.storage.shards else iter([self._chunk(pixels)])
        for part in parts:
            digest.add(*part)
            yield part

    def _chunk(self, pixels: NDArray[Any]) -> Pieces:
        """Encode one chunk; what of it lies beyond the image is zero."""
        if pixels.shape != self.info.chunks:
            whole = np.zeros(self.info.chunks, pixels.dtype)
            whole[tuple(map(slice, pixels.shape))] = pixels
            pixels = whole
        return encode(pixels, self.storage)

    def _shard(self, unit: Box, pixels: NDArray[Any]) -> Iterator[Pieces]:
        """Yield the chunks of a shard in order, then where each lies; those beyond the image are left out."""
        index = np.full((*self._inner_counts, 2), ABSENT, np.uint64)
        gathered, at = bytearray(), 0
        for chunk in TileGrid(unit, self.info.chunks):
            pieces = self._chunk(pixels[chunk.within(unit)])
            length = sum(map(len, pieces))
            index[self._inner(chunk)] = at, length
            at += length
            for piece in pieces:
                gathered += piece
            if len(gathered) >= GATHER:
                yield (gathered,)
                gathered = bytearray()
        yield (gathered, pack_index(index))

    def _stored(self, file: Path, box: Box) -> Iterator[bytes]:
        """Yield what is stored of each chunk of *box*, all in one *file*; empty where that does not tell its place."""
        with steady.opened(file) as opened:
            if not self.storage.shards:
                yield opened.read()
                return
            counts = self._inner_counts
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - index_bytes(counts)))
            index = unpack_index(opened.read(), counts)
            for chunk in TileGrid(box, self.info.chunks):
                at, length = (size, 1) if index is None else index[self._inner(chunk)].tolist()
                opened.seek(min(at, size))
                yield opened.read(length) if at + length <= size else b""

    @property
    def _inner_counts(self) -> tuple[int, ...]:
        """Chunks of a shard along each axis."""
        return tuple(s // c for s, c in zip(self.storage.shards, self.info.chunks, strict=True))

    def _inner(self, chunk: Box) -> tuple[int, ...]:
        """Return which of the chunks of its shard *chunk* is."""
        sides = zip(chunk.start, self.storage.shards, self.info.chunks, strict=True)
        return tuple(a % s // c for a, s, c in sides)

    def _check(self, box: Box, array: NDArray[np.generic]) -> None:
        if not self.info.box.contains(box):
            raise GeometryError(f"tile {box} leaves the output {self.info.box}")
        unit, what = self.units.tile, "shards" if self.storage.shards else "chunks"
        edges = zip(box.start, box.stop, unit, self.info.shape, strict=True)
        if any(a % side or (b % side and b != size) for a, b, side, size in edges):
            raise GeometryError(f"tile {box} is not a whole number of {what} of {unit} pixels")
        check_tile(box, array, self.info)
