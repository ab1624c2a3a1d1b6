"""Zarr arrays of format 2 and 3, and OME-Zarr images."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from heapq import heappush, heappushpop
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tileconv import steady
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.retry import retrying
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import OPEN_FILES, Cache, decoded
from tileconv.sources.source import (
    BLOCK_BYTES,
    BLOCKS,
    CHUNK_LIMIT_BYTES,
    Fingerprint,
    Pixels,
    Reads,
    Window,
    cells,
    check_decoded,
    check_same,
    check_unchanged,
    fingerprint_of,
    pixel_type,
    reading,
    stamp_of,
)
from tileconv.sources.zarr_conventions import add_conventions
from tileconv.sources.zarr_group import find_array
from tileconv.sources.zarr_guard import CHUNK_FILES_LIMIT, check_chunk, check_plain, check_shard, codec_of
from tileconv.sources.zarr_metadata import Keys, ShardIndex, describe
from tileconv.sources.zarr_store import opened

_ARRAYS: Cache[Any] = Cache(OPEN_FILES)


@dataclass(frozen=True)
class _Stored:
    """The chunk files of an array: how many, the last change in ns, a digest of names and sizes, and some of them.

    The sample is the ``BLOCKS`` files of the least digests, so that no list of all is kept.
    """

    count: int
    changed: int
    digest: str
    sample: list[str]


class ZarrSource:
    """An array of a Zarr folder; see ``open_source`` for the parameters.

    *level* is the dataset of an OME-Zarr image and *series* the image, where a folder holds several. A chunk that is
    not stored reads as the fill value by Zarr's rules, unless *missing_chunks* is ``"error"``; of a sharded array
    the shards are counted, and ``"error"`` looks into each for its inner chunks.
    """

    cache_bytes = 0

    def __init__(
        self,
        path: Path,
        *,
        series: int = 0,
        level: int = 0,
        axes: str | None = None,
        missing_chunks: Literal["report", "error"] = "report",
        max_chunk: int = CHUNK_LIMIT_BYTES,
    ) -> None:
        self.where = str(path)
        self._missing = missing_chunks
        with reading(self.where, "opening as Zarr"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Zarr merely remarks on is refused below
            check_plain(path, self.where)
            self._path, found, others = find_array(path, series, level)
            array = self._opened()
            self._metadata = next(p for name in ("zarr.json", ".zarray") if steady.is_file(p := self._path / name))
            self._stamp = stamp_of(self._metadata)
            self._keys = Keys.of(self._metadata)
            said = json.loads(steady.read_bytes(self._metadata))
            if 0 in (said.get("chunks") or said.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape", ())):
                raise SourceError("expected chunks of at least one pixel, found 0")  # newer Zarr reads them as 1
            described = describe(array, self._metadata, found, axes)
            add_conventions(array, self._metadata, described)
            shape, self._stored = array.shape, tuple(array.shards or array.chunks)
            self._chunk = tuple(min(c, n) for c, n in zip(array.chunks, shape, strict=True))
            self._inner = tuple(array.chunks)
            self._shards: ShardIndex | None = None
            if array.shards:
                counts = tuple(s // c for s, c in zip(array.shards, array.chunks, strict=True))
                with suppress(*() if missing_chunks == "error" else (SourceError, LookupError, TypeError)):
                    self._shards = ShardIndex.of(self._metadata, counts)
            compressed = bool(array.compressors or array.filters or array.shards)
            self.libraries = ("numcodecs", "zarr") if compressed else ("zarr",)
            codec = codec_of(array)
            self._codec, self._inner_codec = ("", codec) if array.shards else (codec, "")
            dtype = pixel_type(array.dtype, self.where)
        self._map, guessed = map_axes(described.axes, shape, axes, self.where)
        self._chunk_bytes, self._inner_bytes = (prod(n) * dtype.itemsize for n in (self._stored, self._inner))
        if self._chunk_bytes > max_chunk:
            held = sum(stat.st_size for _, stat in _files(self._path))
            what = f"a chunk of {' x '.join(map(str, self._stored))} px"
            check_decoded(what, self._chunk_bytes, held, max_chunk, self.where)
        if min(self._stored) < 1 or prod(self._counts()) > CHUNK_FILES_LIMIT:
            raise SourceError(
                f"expected at most {CHUNK_FILES_LIMIT} chunks of at least one pixel, found an array of {shape} in "
                f"chunks of {self._stored}",
                where=self.where,
                fix="Write the array again in larger chunks.",
            )
        files = self._stored_files()
        stored, self.changed = files.count, max(files.changed, self._stamp[1])
        self.fingerprint = self._fingerprint(files)
        total = prod(self._counts())
        absent = total - stored
        if absent == total:
            raise SourceError(
                "the array has no stored chunk at all",
                where=self.where,
                why="all of it would read as fill value",
                fix="Copy its chunks as well, or give the array that has them.",
            )
        if absent:
            described.notes.append(f"{absent} of {total} chunks are not stored and read as {array.fill_value}")
        self.info = ImageInfo(
            self._map.of_file(shape),
            self._map.axes,
            dtype,
            self._map.of_file(self._chunk),
            self._map.of_file(described.scale) if described.scale else (),
            self._map.of_file(described.units) if described.units else (),
            described.nodata,
            described.channels,
            compressed,
            (*others, *described.notes, *(f"{mask} is not used" for mask in described.masks), *guessed),
            self._map.of_file(described.origin) if described.origin else (),
            described.colours,
            described.georeference,
            tuple(described.masks),
        )

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        check_unchanged(self._metadata, self._stamp)
        window = self._map.window(box)
        if self._missing == "error":
            self._refuse_missing(window)
        if not self.info.compressed:
            return self._map.canonical(self._load(window)).astype(self.info.dtype, copy=False)
        block = np.empty(box.shape, self.info.dtype)
        view = self._map.as_in_file(block)
        for index, part, place in cells(window, self._chunk):
            key = (self._metadata, self._stamp, index, self._chunk_stamp(index))
            whole = self._map.of_file([slice(i * c, (i + 1) * c) for i, c in zip(index, self._chunk, strict=True)])
            view[place] = decoded(key, partial(self._decode, index), whole, reads)[part]
        return block

    def _refuse_missing(self, window: Window) -> None:
        """Raise SourceError when a chunk that *window* touches is not stored, be it a file or a part of a shard."""
        for index, part, _ in cells(window, self._stored):
            key = self._keys.key(index)
            absent = not steady.is_file(self._path / key)
            if self._shards and not absent:
                with reading(self.where, f"reading the index of shard {key}"):
                    stored = self._shards.stored(self._path / key)
                lacking = [inner for inner, _, _ in cells(part, self._inner) if not stored[inner]]
                absent, key = bool(lacking), f"{lacking[0] if lacking else ''} of shard {key}"
            if absent:
                raise SourceError(
                    f"chunk {key} is not stored",
                    where=self.where,
                    fix="Set input.missing_chunks to report to read it as the fill value.",
                )

    def _decode(self, index: tuple[int, ...]) -> Pixels:
        bounds = zip(index, self._chunk, self._map.shape, strict=True)
        chunk = self._load(tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in bounds))
        chunk.flags.writeable = False
        return chunk

    def _load(self, window: Window) -> Pixels:
        key = (self._path, self._stamp)
        where = " ".join(f"{s.start}:{s.stop}" for s in window)
        with reading(self.where, f"reading {where} of {self._path.name}"):
            for index, part, _ in cells(window, self._stored):
                name = self._keys.key(index)
                check_chunk(self._path, name, self._chunk_bytes, self._codec)
                if self._shards:
                    inner = [at for at, _, _ in cells(part, self._inner)]
                    check_shard(self._path, name, self._shards, inner, self._inner_bytes, self._inner_codec)
            array = _ARRAYS.get(key, self._opened)
            pixels = np.asarray(array[window])
        expected = tuple(s.stop - s.start for s in window)
        if pixels.shape != expected:
            problem = f"expected shape {expected}, decoded to {pixels.shape}"
            raise SourceError(problem, where=self.where, fix="It is damaged: copy the file again.")
        return pixels

    def _opened(self) -> Any:
        return opened(self._path)

    def _counts(self) -> tuple[int, ...]:
        return tuple(-(-n // c) for n, c in zip(self._map.shape, self._stored, strict=True))

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        check_unchanged(self._metadata, self._stamp)
        check_same(self._fingerprint(self._stored_files()), self.fingerprint, self.where)

    def missing_chunks_total(self) -> tuple[int, int]:
        """Return how many chunks (shards, if there are any) have no file, by one listing, and how many belong there."""
        total = prod(self._counts())
        return total - self._stored_files().count, total

    def _stored_files(self) -> _Stored:
        """Return what one listing tells of the chunks (or shards) that have a file."""
        counts, count, digest, changed = self._counts(), 0, 0, 0
        least: list[tuple[int, str]] = []
        for key, stat in _files(self._path):
            if self._keys.index(key, counts):
                count, changed = count + 1, max(changed, stat.st_mtime_ns)
                text = f"{key} {stat.st_size}".encode()
                number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
                digest ^= number  # in whatever order they come
                (heappush if len(least) < BLOCKS else heappushpop)(least, (-number, key))
        return _Stored(count, changed, f"{digest:032x}", [key for _, key in sorted(least, reverse=True)])

    def _fingerprint(self, files: _Stored) -> Fingerprint:
        found = fingerprint_of(self._metadata)
        return found | {"stored": files.digest, "sample": self._sampled(files.sample)}

    def _sampled(self, keys: list[str]) -> str:
        """Return a digest of the first and last bytes of the chunk files *keys*."""
        digest = hashlib.sha256()
        for key in keys:
            with reading(self.where, f"reading chunk {key}"), steady.opened(self._path / key) as file:
                start = file.read(BLOCK_BYTES // 2)
                file.seek(max(len(start), file.seek(0, os.SEEK_END) - BLOCK_BYTES // 2))
                digest.update(start + file.read())
        return digest.hexdigest()[:32]

    def _chunk_stamp(self, index: tuple[int, ...]) -> tuple[int, int]:
        """Return size and time of change of the file that holds chunk *index*, so that no cache outlives it."""
        stored = tuple(i * c // s for i, c, s in zip(index, self._chunk, self._stored, strict=True))
        stat = steady.stat_of(self._path / self._keys.key(stored))
        return (0, 0) if stat is None else (stat.st_size, stat.st_mtime_ns)


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below *folder*, relative to it, with ``/``, and what the system knows of it."""
    waiting = [(str(folder), "")]
    while waiting:
        path, prefix = waiting.pop()
        with suppress(PermissionError):  # a folder that may not be read has no chunks
            for entry in steady.entries(path):
                if retrying(partial(entry.is_dir, follow_symlinks=False)):
                    waiting.append((entry.path, f"{prefix}{entry.name}/"))
                elif (found := steady.stat_of(entry.path)) is not None:  # no link to nothing
                    yield f"{prefix}{entry.name}", found
