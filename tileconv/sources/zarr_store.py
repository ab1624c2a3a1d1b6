"""A folder as a store of Zarr, in which every call of the system is tried again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore

from tileconv import steady


class SteadyStore(LocalStore):
    """What is read of a folder; one that exists."""

    async def _open(self, **_: Any) -> None:
        self._is_open = True

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of *key*, or of a part of it; None where there is no such file."""
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what ``get`` does."""
        try:
            data = _bytes(self.root / key, byte_range)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def exists(self, key: str) -> bool:
        """Return whether there is a file *key*."""
        return await asyncio.to_thread(steady.is_file, self.root / key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names below *prefix*."""
        folder = self.root / prefix
        for entry in steady.entries(folder) if steady.is_folder(folder) else ():
            yield entry.name


def _bytes(path: Any, wanted: ByteRequest | None) -> bytes:
    if wanted is None:
        return steady.read_bytes(path)
    with steady.opened(path) as file:
        size = file.seek(0, 2)
        match wanted:
            case RangeByteRequest(start, end):
                file.seek(start)
                return file.read(end - start)
            case OffsetByteRequest(offset):
                file.seek(offset)
            case SuffixByteRequest(suffix):
                file.seek(max(0, size - suffix))
        return file.read()
