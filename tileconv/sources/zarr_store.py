"""A folder, or what lies below a key of a store, as a store of Zarr: read by our own calls, which try again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

import zarr
from numcodecs.registry import codec_registry  # type: ignore[import-untyped]  # it has no types
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.registry import get_codec_class
from zarr.storage import LocalStore

from tileconv.errors import SourceError
from tileconv.retry import system_error
from tileconv.sources.zarr_node import ArrayNode, Node
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place, Remote

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def opened(folder: Place) -> Any:
    """Return the array or the group in *folder*.

    Raises
    ------
    SourceError
        If zarr does not open it, with what of its metadata zarr does not know.
    """
    try:
        return zarr.open(zarr_store(folder), mode="r")
    except Exception as error:
        if system_error(error):
            raise
        raise _refused(folder) from error


def node_by_library(folder: Place) -> Node:
    """Return what ``node_of`` does, as zarr says it."""
    node = opened(folder)
    if not isinstance(node, zarr.Array):
        return Node(dict(node.attrs))
    names = node.metadata.dimension_names if node.metadata.zarr_format == 3 else None
    compressors = tuple(type(codec).__name__.lower().removesuffix("codec") for codec in node.compressors)
    sizes = node.shape, node.chunks, node.shards or ()
    told = compressors, node.metadata.fill_value, names
    return ArrayNode(node.attrs.asdict(), *sizes, node.dtype, *told, filtered=bool(node.filters))


def zarr_store(folder: Place) -> Store:
    """Return *folder* as zarr reads it."""
    return ObjectsStore(folder) if isinstance(folder, Remote) else SteadyStore(folder, read_only=True)


def _refused(folder: Place) -> SourceError:
    """Return the error of an array in *folder* that zarr does not open, by what of its metadata it does not know."""
    file = next((f for name in ("zarr.json", ".zarray", ".zgroup") if anywhere.is_file(f := folder / name)), None)
    if file is None:
        return SourceError(f"no array lies at {folder.name!r} in it", fix="Copy all of the folder again.")
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        found = json.loads(anywhere.read_bytes(file))
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
        return await asyncio.to_thread(anywhere.is_file, self.root / key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names below *prefix*."""
        folder = self.root / prefix
        for name in anywhere.names(folder) if anywhere.is_folder(folder) else ():
            yield name


class ObjectsStore(Store):
    """What is read of a store below *place*."""

    supports_writes = supports_deletes = supports_partial_writes = False
    supports_listing = True

    def __init__(self, place: Remote) -> None:
        super().__init__(read_only=True)
        self.place = place
        self._is_open = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectsStore) and self.place == other.place

    __hash__ = None  # type: ignore[assignment]  # as that of other stores of zarr

    def read(self, key: str, wanted: ByteRequest | None) -> bytes:
        """Return the bytes of *key* that are *wanted*, all by default."""
        return _bytes(self.place / key, wanted)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes of *key*, or of a part of it; None where there is no such object."""
        try:
            data = await asyncio.to_thread(self.read, key, byte_range)
        except FileNotFoundError:
            return None
        except PermissionError:  # of a store that must not tell what it holds
            if key.rpartition("/")[2] in METADATA:
                return None
            raise
        return (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return what ``get`` does, for each."""
        return [await self.get(key, prototype, wanted) for key, wanted in key_ranges]

    async def exists(self, key: str) -> bool:
        """Return whether there is an object *key*."""
        return await asyncio.to_thread(anywhere.is_file, self.place / key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names below *prefix*."""
        for name in await asyncio.to_thread(anywhere.names, self.place / prefix if prefix else self.place):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below *prefix*; zarr asks for them only to copy or to delete."""
        raise NotImplementedError
        yield prefix

    async def list(self) -> AsyncIterator[str]:
        """Yield every key; see ``list_prefix``."""
        raise NotImplementedError
        yield ""

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: nothing is written."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Refuse: nothing is deleted."""
        raise NotImplementedError


def _bytes(path: Any, wanted: ByteRequest | None) -> bytes:
    if wanted is None:
        return anywhere.read_bytes(path)
    with anywhere.opened(path) as file:
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
