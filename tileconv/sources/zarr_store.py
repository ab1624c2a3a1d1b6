"""A folder as a store of Zarr, in which every call of the system is tried again by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import zarr
from numcodecs.registry import codec_registry  # type: ignore[import-untyped]  # it has no types
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.registry import get_codec_class
from zarr.storage import LocalStore

from tileconv.errors import SourceError
from tileconv.retry import system_error
from tileconv.stores import steady


def opened(folder: Path) -> Any:
    """Return the array or the group in *folder*.

    Raises
    ------
    SourceError
        If zarr does not open it, with what of its metadata zarr does not know.
    """
    try:
        return zarr.open(SteadyStore(folder, read_only=True), mode="r")
    except Exception as error:
        if system_error(error):
            raise
        raise _refused(folder) from error


def _refused(folder: Path) -> SourceError:
    """Return the error of an array in *folder* that zarr does not open, by what of its metadata it does not know."""
    file = next((f for name in ("zarr.json", ".zarray", ".zgroup") if steady.is_file(f := folder / name)), None)
    if file is None:
        return SourceError(f"no array lies at {folder.name!r} in it", fix="Copy all of the folder again.")
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        found = json.loads(steady.read_bytes(file))
        stated = [*(found.get("codecs") or ()), found.get("compressor"), *(found.get("filters") or ())]
        names = {codec.get("name") or codec.get("id"): codec for codec in filter(None, stated)}
        for name, codec in names.items():
            if not _known(codec.get("name"), codec.get("id")):
                return SourceError(
                    f"its codec {name!r} is not supported", fix="Write it again with zstd, blosc or gzip."
                )
        codecs = f"; its codecs are {', '.join(names)}" * bool(names)
        return SourceError(f"{file.name} states what Zarr does not allow{codecs}")
    return SourceError(f"{file.name} is not what Zarr writes")


def _known(codec: str | None, codec_of_2: str | None) -> bool:
    with suppress(KeyError, ValueError):  # of zarr before 3.4, and from it on
        return codec_of_2 in codec_registry if codec is None else bool(get_codec_class(codec))
    return False


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
