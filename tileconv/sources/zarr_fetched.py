"""An array in a store as Zarr's library reads it: from what was fetched ahead."""

from __future__ import annotations

from typing import Any

import zarr
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.storage import StorePath

from tileconv.sources.zarr_fetch import Fetch
from tileconv.sources.zarr_guard import most_of
from tileconv.sources.zarr_store import ObjectsStore
from tileconv.stores.ahead import Ahead, Part


def over(array: Any, fetch: Fetch, ahead: Ahead) -> Any:
    """Return *array*, whose chunks come from what *fetch* finds among those fetched *ahead*."""
    return zarr.Array(zarr.AsyncArray(array.metadata, StorePath(_Fetched(fetch, ahead))))


class _Fetched(ObjectsStore):
    """The objects of an array, of which parts are fetched ahead and tables of shards are known."""

    def __init__(self, fetch: Fetch, ahead: Ahead) -> None:
        super().__init__(fetch.folder)
        self._fetch, self._ahead = fetch, ahead

    def read(self, key: str, wanted: ByteRequest | None) -> bytes:
        fetch, place = self._fetch, self.place / key
        if not fetch.layout.sharded:
            return self._ahead.read(Part(place, 0, most_of(fetch.layout.stored_bytes) + 1))
        version, stored = fetch.shard(place)
        index = fetch.layout.index
        if not version:
            raise FileNotFoundError(key)
        match wanted:
            case SuffixByteRequest(count) if index and index.at_end and count == index.nbytes:
                return stored
            case RangeByteRequest(0, count) if index and not index.at_end and count == index.nbytes:
                return stored
            case RangeByteRequest(start, stop):
                return self._ahead.read(Part(place, start, stop, version))
        return super().read(key, wanted)
