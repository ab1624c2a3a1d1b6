"""How the pixels of a Zarr array lie in its files."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.sources.source import check_decoded, pixel_type
from tileconv.sources.zarr_files import ChunkFiles
from tileconv.sources.zarr_guard import CHUNK_FILES_LIMIT
from tileconv.sources.zarr_metadata import ShardIndex
from tileconv.sources.zarr_node import ArrayNode
from tileconv.stores.anywhere import Place


@dataclass(frozen=True)
class Layout:
    """What is stored together, and how it is compressed; axes in the array's own order.

    Attributes
    ----------
    stored
        Pixels of what one file holds: a chunk, or a shard.
    inner
        Pixels of a chunk, which may reach beyond the array.
    index
        Where the chunks lie in a shard; None where there are no shards, or their table is coded in an unusual way.
    codec
        The name of the one compressor, as ``ArrayNode.codec`` says.
    """

    shape: tuple[int, ...]
    stored: tuple[int, ...]
    inner: tuple[int, ...]
    dtype: np.dtype[Any]
    compressed: bool
    codec: str
    sharded: bool
    index: ShardIndex | None

    @classmethod
    def of(cls, array: ArrayNode, metadata: Place, where: str, *, into_shards: bool) -> Layout:
        """Return the layout of *array*; SourceError if *into_shards* is set and their tables cannot be read."""
        index = None
        if array.shards:
            counts = tuple(s // c for s, c in zip(array.shards, array.chunks, strict=True))
            with suppress(*() if into_shards else (SourceError, LookupError, TypeError)):
                index = ShardIndex.of(metadata, counts)
        return cls(
            array.shape,
            array.shards or array.chunks,
            array.chunks,
            compressed=bool(array.compressors or array.filtered or array.shards),
            codec=array.codec,
            sharded=bool(array.shards),
            index=index,
            dtype=pixel_type(array.dtype, where),
        )

    @property
    def chunk(self) -> tuple[int, ...]:
        """Pixels of a chunk that lie in the array."""
        return tuple(min(c, n) for c, n in zip(self.inner, self.shape, strict=True))

    @property
    def counts(self) -> tuple[int, ...]:
        """Files along each axis, if all are there."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.stored, strict=True))

    @property
    def stored_bytes(self) -> int:
        """Decoded bytes of what one file holds."""
        return prod(self.stored) * self.dtype.itemsize

    @property
    def inner_bytes(self) -> int:
        """Decoded bytes of a chunk."""
        return prod(self.inner) * self.dtype.itemsize

    def check(self, folder: Place, max_chunk: int, where: str) -> None:
        """Refuse what decodes to more than *max_chunk* bytes at once, and more files than can be counted."""
        if self.stored_bytes > max_chunk:
            what = f"a chunk of {' x '.join(map(str, self.stored))} px"
            check_decoded(what, self.stored_bytes, ChunkFiles.bytes_below(folder), max_chunk, where)
        if min(self.stored) < 1 or prod(self.counts) > CHUNK_FILES_LIMIT:
            raise SourceError(
                f"expected at most {CHUNK_FILES_LIMIT} chunks of at least one pixel, found an array of {self.shape} in "
                f"chunks of {self.stored}",
                where=where,
                fix="Write the array again in larger chunks.",
            )
