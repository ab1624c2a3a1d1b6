"""Pixels to the objects of an output and back: each is encoded and written whole, once, in one step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of, repeated
from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.quick import dataclass
from tileconv.sinks.contrast import Samples
from tileconv.sinks.encoding import ABSENT, decode, encode, encode_alike, index_bytes, intact, pack_index, unpack_index
from tileconv.sinks.files import check_tile, sink_errors
from tileconv.sinks.layout import Layout
from tileconv.stores.steady import Pieces
from tileconv.stores.store import Store

GATHER = 2**20
"""Bytes of a shard that are written at once, at least."""
PIECE = 2**24
"""Bytes of an object that are read at once, at most."""


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


@dataclass(frozen=True)
class Writer:
    """Writes tiles of *layout* to *store*, and reads them as they were stored.

    Writing takes memory for a few chunks beyond the tile, whatever the size of the tile and of shards. *shown* is told
    the pixels of every chunk.
    """

    store: Store
    layout: Layout
    shown: Samples | None = None

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
        return self.write_each([(box, array)])[0]

    def write_each(self, tiles: Sequence[tuple[Box, NDArray[np.generic]]]) -> list[str]:
        """Write *tiles* as ``write`` does each, one after another, and return their digests.

        That the store is there, and that no link leads elsewhere, is looked at for all those in one folder at once.
        """
        digests: list[str] = []
        above = None
        for box, array in tiles:
            self._check(box, array)
        with sink_errors(self.store.where(self.layout.array_key().rstrip("/"))):
            self._check_there()
            for box, array in tiles:
                digest = Digest()
                for unit, key in self.layout.objects(box):
                    before, above = above, key.rpartition("/")[0]
                    with sink_errors(self.store.where(key)):
                        parts = self._encoded(unit, array[unit.within(box)], digest)
                        # what the next pass reads soon is kept
                        self.store.write(key, parts, kept=self.layout.plain, checked=above == before)
                digests.append(str(digest))
            if len(tiles) > 1:  # else what was written meanwhile may have made its folders anew
                self._check_there()
        return digests

    def _check_there(self) -> None:
        if self.store.stat(self.layout.metadata_key) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # the store is gone

    def stored_digest(self, box: Box) -> str:
        """Return the digest of what is stored for *box*, as ``write`` returned it if nothing has changed since.

        Raises
        ------
        SinkError
            If a chunk is missing or cannot be read; the message names it.
        """
        digest = Digest()
        for key in self.layout.chunk_keys(box):
            at = length = 0
            try:
                while not at or length == PIECE:
                    piece = self.store.read(key, at, at + PIECE)
                    digest.add(piece)
                    length = len(piece)
                    at += length
            except OSError as error:
                problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
                raise SinkError(f"chunk {key} {problem}", where=self.store.where()) from error
        return str(digest)

    def damaged_chunks(self, box: Box) -> dict[str, str]:
        """Return what is wrong with files of *box* that are missing or lack checksums of their own, by name."""
        damages = {}
        for unit, key in self.layout.objects(box):
            try:
                if not all(intact(stored, self.layout.storage) for stored in self._stored(key, unit)):
                    damages[key] = "is not what was written"
            except FileNotFoundError:
                damages[key] = "is missing"
            except OSError as error:
                damages[key] = f"cannot be read: {error.strerror}"
        return damages

    def read(self, chunk: Box) -> NDArray[Any]:
        """Return the pixels of one chunk, those that lie in the image.

        Raises
        ------
        SinkError
            If it is missing, cannot be read, or is not what was written.
        """
        (key,) = self.layout.chunk_keys(chunk)
        with sink_errors(self.store.where(key), "read"):
            (stored,) = self._stored(key, chunk)
        pixels = decode(stored, self.layout.storage, self.layout.info.dtype, self.layout.info.chunks)
        if pixels is None:
            problem, fix = f"chunk {key} is not what was written", "Run the command with --repair."
            raise SinkError(problem, where=self.store.where(), fix=fix)
        return pixels[tuple(map(slice, chunk.shape))]

    def _encoded(self, unit: Box, pixels: NDArray[Any], digest: Digest) -> Iterator[Pieces]:
        """Yield the bytes of the object that holds *unit*, part by part, and tell them to *digest*."""
        parts = self._shard(unit, pixels) if self.layout.storage.shards else iter([self._chunk(unit, pixels)])
        for part in parts:
            digest.add(*part)
            yield part

    def _chunk(self, chunk: Box, pixels: NDArray[Any]) -> Pieces:
        """Encode one chunk; what of it lies beyond the image is zero."""
        if self.shown:
            self.shown.keep(chunk, pixels)
        if pixels.shape != self.layout.info.chunks:
            whole = np.zeros(self.layout.info.chunks, pixels.dtype)
            whole[tuple(map(slice, pixels.shape))] = pixels
            pixels = whole
        storage = self.layout.storage
        one = None if storage.codec.name == "none" else one_of(repeated(pixels))
        if one is not None:
            return encode_alike(one.tobytes(), pixels.dtype, pixels.shape, storage)
        return encode(pixels, storage)

    def _shard(self, unit: Box, pixels: NDArray[Any]) -> Iterator[Pieces]:
        """Yield the chunks of a shard in order, then where each lies; those beyond the image are left out."""
        index = np.full((*self._inner_counts, 2), ABSENT, np.uint64)
        gathered, at = bytearray(), 0
        for chunk in TileGrid(unit, self.layout.info.chunks):
            pieces = self._chunk(chunk, pixels[chunk.within(unit)])
            length = sum(map(len, pieces))
            index[self._inner(chunk)] = at, length
            at += length
            for piece in pieces:
                gathered += piece
            if len(gathered) >= GATHER:
                yield (gathered,)
                gathered = bytearray()
        yield (gathered, pack_index(index))

    def _stored(self, key: str, box: Box) -> Iterator[bytes]:
        """Yield what is stored of each chunk of *box*, all under one *key*; empty where that tells no place of it."""
        if not self.layout.storage.shards:
            yield self.store.read_all(key)
            return
        facts, counts = self.store.stat(key), self._inner_counts
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        size = facts.size
        index = unpack_index(self.store.read(key, max(0, size - index_bytes(counts)), size), counts)
        for chunk in TileGrid(box, self.layout.info.chunks):
            at, length = (size, 1) if index is None else index[self._inner(chunk)].tolist()
            yield self.store.read(key, at, at + length) if at + length <= size else b""

    @property
    def _inner_counts(self) -> tuple[int, ...]:
        """Chunks of a shard along each axis."""
        return tuple(s // c for s, c in zip(self.layout.storage.shards, self.layout.info.chunks, strict=True))

    def _inner(self, chunk: Box) -> tuple[int, ...]:
        """Return which of the chunks of its shard *chunk* is."""
        sides = zip(chunk.start, self.layout.storage.shards, self.layout.info.chunks, strict=True)
        return tuple(a % s // c for a, s, c in sides)

    def _check(self, box: Box, array: NDArray[np.generic]) -> None:
        if not self.layout.info.box.contains(box):
            raise GeometryError(f"tile {box} leaves the output {self.layout.info.box}")
        unit, what = self.layout.units.tile, "shards" if self.layout.storage.shards else "chunks"
        edges = zip(box.start, box.stop, unit, self.layout.info.shape, strict=True)
        if any(a % side or (b % side and b != size) for a, b, side, size in edges):
            raise GeometryError(f"tile {box} is not a whole number of {what} of {unit} pixels")
        check_tile(box, array, self.layout.info)
