"""Zarr arrays of format 2 and 3, and OME-Zarr images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np

from tileconv.alike import gathered, repeated
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import CHUNKS, OPEN_FILES, SPARE_BYTES, Cache, decoded, sparing
from tileconv.sources.source import (
    CHUNK_LIMIT_BYTES,
    Pixels,
    Reads,
    Window,
    cells,
    check_same,
    check_unchanged,
    reading,
    stamp_of,
)
from tileconv.sources.zarr_acquired import acquired
from tileconv.sources.zarr_chunks import Chunks
from tileconv.sources.zarr_conventions import add_conventions
from tileconv.sources.zarr_fetch import Fetch, Index
from tileconv.sources.zarr_files import ChunkFiles, Listed
from tileconv.sources.zarr_group import find_array
from tileconv.sources.zarr_guard import check_chunk, check_grid, check_plain, check_shard
from tileconv.sources.zarr_layout import Layout
from tileconv.sources.zarr_metadata import Described, Keys, describe
from tileconv.sources.zarr_node import ArrayNode, node_of
from tileconv.stores import anywhere
from tileconv.stores.ahead import HELD_BYTES, Ahead
from tileconv.stores.anywhere import Place, Remote

_ARRAYS: Cache[Any] = Cache(OPEN_FILES)


class ZarrSource:
    """An array of a Zarr folder; see ``open_source`` for the parameters.

    *level* is the dataset of an OME-Zarr image and *series* the image, where a folder holds several. A chunk that is
    not stored reads as the fill value by Zarr's rules, unless *missing_chunks* is ``"error"``; of a sharded array
    the shards are counted, and ``"error"`` looks into each for its inner chunks.
    """

    def __init__(
        self,
        path: Place,
        *,
        series: int = 0,
        level: int = 0,
        axes: str | None = None,
        missing_chunks: Literal["report", "error"] = "report",
        max_chunk: int = CHUNK_LIMIT_BYTES,
    ) -> None:
        self.where = str(path)
        self._image, self._series, self._missing = path, series, missing_chunks
        with reading(self.where, "opening as Zarr"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Zarr merely remarks on is refused below
            check_plain(path, self.where)
            self._path, ome, others = find_array(path, series, level)
            array = node_of(self._path)
            if not isinstance(array, ArrayNode):
                raise SourceError(f"{self._path.name!r} in it is a group, and no array")
            self._metadata = next(p for name in ("zarr.json", ".zarray") if anywhere.is_there(p := self._path / name))
            self._stamp = stamp_of(self._metadata)
            keys = Keys.of(self._metadata)
            check_grid(self._metadata)
            described = describe(array, ome, axes)
            add_conventions(array, self._metadata, described)
            self._layout = Layout.of(array, self._metadata, self.where, into_shards=missing_chunks == "error")
        self.libraries = ("numcodecs", "zarr") if self._layout.compressed else ("zarr",)
        self._map, guessed = map_axes(described.axes, self._layout.shape, axes, self.where)
        self._layout.check(self._path, max_chunk, self.where)
        self._files = ChunkFiles(self._path, self._metadata, keys, self._layout.counts)
        self._chunks = Chunks.of(array, self._files, self._layout)
        listed = self._files.listed()
        self.changed = max(listed.changed, self._stamp[-1])
        self.fingerprint = self._files.fingerprint(listed, self.where)
        self.cache_bytes = (HELD_BYTES + SPARE_BYTES) * isinstance(path, Remote)
        absent = self._absent(listed, array.fill_value)
        info = self._info(described, (*others, *described.notes, *absent), guessed)
        self.info = replace(info, labels=described.labels or array.dtype.kind == "b")

    def _absent(self, listed: Listed, fill_value: Any) -> list[str]:
        """Return a note of chunks that are not stored, if there are such; SourceError if none is."""
        absent, total = self._files.total - listed.count, self._files.total
        if not listed.complete:
            return [f"the server does not list the {total:,} chunks: those that it lacks read as {fill_value}"]
        if absent == total:
            raise SourceError(
                "the array has no stored chunk at all",
                where=self.where,
                why="all of it would read as fill value",
                fix="Copy its chunks as well, or give the array that has them.",
            )
        return [f"{absent} of {total} chunks are not stored and read as {fill_value}"] * bool(absent)

    def _info(self, described: Described, notes: Sequence[str], guessed: Sequence[str]) -> ImageInfo:
        layout, of_file = self._layout, self._map.of_file
        return ImageInfo(
            of_file(layout.shape),
            self._map.axes,
            layout.dtype,
            of_file(layout.chunk),
            of_file(described.scale) if described.scale else (),
            of_file(described.units) if described.units else (),
            described.nodata,
            described.channels,
            layout.compressed or isinstance(self._path, Remote),
            (*notes, *(f"{mask} is not used" for mask in described.masks), *guessed),
            of_file(described.origin) if described.origin else (),
            described.colours,
            described.georeference,
            tuple(described.masks),
            alpha=described.alpha,
        )

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        check_unchanged(self._metadata, self._stamp)
        window = self._map.window(box)
        if isinstance(self._path, Remote):
            return self._fetched(self._path, box, window, reads)
        if not (self.info.compressed or self._chunks):
            return self._map.canonical(self._load(window)).astype(self.info.dtype, copy=False)
        needed = cells(window, self._layout.chunk)
        parts = ((repeated(self._chunk(index, reads)[part]), place) for index, part, place in needed)
        return gathered(parts, box.shape, self.info.dtype, self._map.as_in_file)

    def _chunk(self, index: Index, reads: Reads | None) -> Pixels:
        """Return the chunk at *index*, which is kept where it took work and other *reads* need it."""
        layout, whole = self._layout, self._whole(index)
        if not self.info.compressed or (reads and reads.touching(whole) == 1):
            return self._decode(index)
        file = [i * c // s for i, c, s in zip(index, layout.chunk, layout.stored, strict=True)]
        key = (self._metadata, self._stamp, self._missing, index, self._files.stamp(file))
        return decoded(key, partial(self._decode, index), whole, reads)

    def _whole(self, index: Index) -> Window:
        """Return where the chunk at *index* lies in the image, and perhaps beyond."""
        return self._map.of_file([slice(i * c, (i + 1) * c) for i, c in zip(index, self._layout.chunk, strict=True)])

    def _fetched(self, folder: Remote, box: Box, window: Window, reads: Reads | None) -> Pixels:
        """Return what ``read`` does of an array in a store: chunks are fetched together, and kept decoded."""
        block = np.empty(box.shape, self.info.dtype)
        view = self._map.as_in_file(block)
        opened_as = (self._metadata, self._stamp, self._missing)
        needed, reads = [*cells(window, self._layout.chunk)], sparing(reads)
        fetch = Fetch(folder, self._files, self._layout, opened_as)
        with reading(self.where, "reading"):
            ahead = fetch.ahead((index for index, _, _ in needed), lambda index: CHUNKS.has((*opened_as, index)))
        with ahead:
            array = cache(partial(self._over, opened_as, fetch, ahead))
            for index, part, place in needed:
                decode = partial(self._decode_fetched, fetch, array, ahead, index)
                view[place] = decoded((*opened_as, index), decode, self._whole(index), reads)[part]
        return block

    def _decode_fetched(self, fetch: Fetch, array: Callable[[], Any], ahead: Ahead, index: Index) -> Pixels:
        with reading(self.where, f"reading chunk {index}"):
            stored = fetch.checked(index, ahead, must=self._missing == "error")
            chunk = self._chunks.pixels(stored) if self._chunks and not self._layout.sharded else None
            if chunk is None:
                chunk = self._pixels(array(), self._window(index))
            if part := fetch.part(index):
                ahead.done(part)
        chunk.flags.writeable = False
        return chunk

    def _refuse_missing(self, window: Window) -> None:
        """Raise SourceError when a chunk that *window* touches is not stored, be it a file or a part of a shard."""
        layout = self._layout
        for index, part, _ in cells(window, layout.stored):
            key = self._files.keys.key(index)
            absent = not anywhere.is_file(self._path / key)
            if layout.index and not absent:
                with reading(self.where, f"reading the index of shard {key}"):
                    stored = layout.index.stored(self._path / key)
                lacking = [inner for inner, _, _ in cells(part, layout.inner) if not stored[inner]]
                absent, key = bool(lacking), f"{lacking[0] if lacking else ''} of shard {key}"
            if absent:
                raise SourceError(
                    f"chunk {key} is not stored",
                    where=self.where,
                    fix="Set input.missing_chunks to report to read it as the fill value.",
                )

    def _decode(self, index: Index) -> Pixels:
        chunk = self._by_ourselves(index) if self._chunks else None
        if chunk is None:
            chunk = self._load(self._window(index))
        chunk.flags.writeable = False
        return chunk

    def _by_ourselves(self, index: Index) -> Pixels | None:
        """Return the chunk at *index* without Zarr's library; None where that must read it, or say what is wrong."""
        chunks: Any = self._chunks
        with self._reading(self._window(index)):
            try:
                found: Pixels | None = chunks.read(index)
            except (FileNotFoundError, NotADirectoryError):
                return None if self._missing == "error" else chunks.fill
        return found

    def _reading(self, window: Window) -> AbstractContextManager[None]:
        where = " ".join(f"{s.start}:{s.stop}" for s in window)
        return reading(self.where, f"reading {where} of {self._path.name}")

    def _window(self, index: Index) -> Window:
        """Return where the chunk at *index* lies in the array."""
        bounds = zip(index, self._layout.chunk, self._layout.shape, strict=True)
        return tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in bounds)

    def _load(self, window: Window) -> Pixels:
        layout, key = self._layout, (self._path, self._stamp)
        if self._missing == "error":
            self._refuse_missing(window)
        with self._reading(window):
            for index, part, _ in cells(window, layout.stored):
                name = self._files.keys.key(index)
                check_chunk(self._path, name, layout.stored_bytes, "" if layout.sharded else layout.codec)
                if layout.index:
                    inner = [at for at, _, _ in cells(part, layout.inner)]
                    check_shard(self._path, name, layout.index, inner, layout.inner_bytes, layout.codec)
            return self._pixels(_ARRAYS.get(key, self._opened), window)

    def _pixels(self, array: Any, window: Window) -> Pixels:
        pixels = np.asarray(array[window])
        expected = tuple(s.stop - s.start for s in window)
        if pixels.shape != expected:
            problem = f"expected shape {expected}, decoded to {pixels.shape}"
            raise SourceError(problem, where=self.where, fix="It is damaged: copy the file again.")
        return pixels

    def _over(self, opened_as: tuple[Any, ...], fetch: Fetch, ahead: Ahead) -> Any:
        from tileconv.sources.zarr_fetched import over  # zarr: a fifth of a second

        return over(_ARRAYS.get(opened_as, self._opened), fetch, ahead)

    def _opened(self) -> Any:
        from tileconv.sources.zarr_store import opened  # zarr: a fifth of a second

        return opened(self._path)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        check_unchanged(self._metadata, self._stamp)
        check_same(self._files.fingerprint(self._files.listed(), self.where), self.fingerprint, self.where)

    def missing_chunks_total(self) -> tuple[int, int]:
        """Return how many chunks (shards, if there are any) have no file, by one listing, and how many belong there."""
        return self._files.total - self._files.listed().count, self._files.total

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        return acquired(self._image, self._series)
