"""Chunks of a Zarr array on a disk, read and decoded by ourselves where all that their metadata say is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.quick import dataclass
from tileconv.sources.cache import Cache, alike
from tileconv.sources.source import Pixels
from tileconv.sources.zarr_files import ChunkFiles
from tileconv.sources.zarr_guard import most_of
from tileconv.sources.zarr_layout import Layout
from tileconv.sources.zarr_metadata import ABSENT
from tileconv.sources.zarr_node import CHECKSUM, ArrayNode
from tileconv.stores.packed import intact, unpacked
from tileconv.stores.plain import read_plain

_TABLES: Cache[NDArray[np.uint64] | None] = Cache(2**24, lambda table: 64 + (0 if table is None else table.nbytes))
"""Tables of shards of this process."""


@dataclass(frozen=True)
class Chunks:
    """The chunks *files* of an array, laid out as *layout*; their pixels are of *dtype*.

    Each ends in a checksum where they are *checked*, and has the *fill_value* where it is not stored.
    """

    files: ChunkFiles
    layout: Layout
    dtype: np.dtype[Any]
    fill_value: Any
    checked: bool

    @classmethod
    def of(cls, array: ArrayNode, files: ChunkFiles, layout: Layout) -> Chunks | None:
        """Return the chunks of *array*; None if it takes Zarr's library to decode them."""
        if not array.known or (layout.sharded and layout.index is None):
            return None
        return cls(files, layout, array.dtype, array.fill_value or 0, CHECKSUM in array.compressors)

    def read(self, index: Sequence[int]) -> Pixels | None:
        """Return the pixels of the chunk at *index*, read only; None where zarr must read them, or say what is wrong.

        Raises
        ------
        FileNotFoundError, NotADirectoryError
            If it is not stored, so that all of it is ``fill``.
        OSError
            Of the system, if it cannot be read.
        """
        layout = self.layout
        most = most_of(layout.inner_bytes)
        if layout.index is None:
            return self.pixels(read_plain(self._path(index), most))
        per = layout.index.counts
        shard = [i // n for i, n in zip(index, per, strict=True)]
        path, stamp = self._path(shard), self.files.stamp(shard)
        table = _TABLES.get((path, stamp), lambda: self._table(path, stamp[0]))
        if table is None:
            return None
        start, size = map(int, table[tuple(i % n for i, n in zip(index, per, strict=True))])
        if ABSENT in (start, size):
            raise FileNotFoundError(path)
        return self.pixels(read_plain(path, most, start, size))

    def _path(self, index: Sequence[int]) -> str:
        return f"{self.files.folder}/{self.files.keys.key(index)}"

    def _table(self, path: str, length: int) -> NDArray[np.uint64] | None:
        """Return where the chunks of the shard at *path*, of *length* bytes, lie; None where its table is not whole."""
        index: Any = self.layout.index
        start = max(0, length - index.nbytes) if index.at_end else 0
        stored = read_plain(path, index.nbytes, start, index.nbytes)
        return None if stored is None or not intact(stored) else index.parsed(stored)

    def pixels(self, stored: bytes | None) -> Pixels | None:
        """Return the pixels of a chunk that is *stored* so; None as ``read`` does."""
        layout = self.layout
        if stored is None:
            return None
        codec, size = layout.codec or "none", layout.inner_bytes

        def decode() -> Pixels | None:
            room = unpacked(stored, codec, size, checked=self.checked)
            return None if room is None else room.view(self.dtype).reshape(layout.inner)

        pixels = alike(stored, (codec, self.checked, self.dtype, layout.inner), size, decode)
        return None if pixels is None else self._in_array(pixels)

    @property
    def fill(self) -> Pixels:
        """The pixels of a chunk that is not stored."""
        return self._in_array(np.broadcast_to(np.asarray(self.fill_value, self.dtype), self.layout.inner))

    def _in_array(self, pixels: NDArray[Any]) -> Pixels:
        return pixels[tuple(map(slice, self.layout.chunk))]
