"""Chunks of a Zarr array in a store: what a window needs is fetched at once, and decoded from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.sources.cache import Cache
from tileconv.sources.zarr_files import ChunkFiles
from tileconv.sources.zarr_guard import check_bytes, most_of
from tileconv.sources.zarr_layout import Layout
from tileconv.sources.zarr_metadata import ABSENT
from tileconv.stores import anywhere
from tileconv.stores.ahead import Ahead, Part
from tileconv.stores.anywhere import Remote

Index = tuple[int, ...]
_TABLES: Cache[tuple[str, bytes]] = Cache(2**24, lambda table: 64 + len(table[1]))
"""Version and table of shards of this process; both are empty where there is no shard."""


@dataclass(frozen=True)
class Fetch:
    """The chunks *files* of an array below *folder*, laid out as *layout*; tables are those of what was *opened*."""

    folder: Remote
    files: ChunkFiles
    layout: Layout
    opened: tuple[Any, ...]

    def shard(self, place: Remote) -> tuple[str, bytes]:
        """Return version and table of the shard at *place*, which is read once in a process."""
        return _TABLES.get((self.opened, place), lambda: self._read_table(place))

    def _read_table(self, place: Remote) -> tuple[str, bytes]:
        facts, index = anywhere.facts_of(place), self.layout.index
        if facts is None or index is None:
            return ("", b"") if facts is None else (facts.version, b"")
        start = max(0, facts.size - index.nbytes) if index.at_end else 0
        return facts.version, Part(place, start, start + index.nbytes, facts.version).read()

    def part(self, index: Index) -> Part | None:
        """Return where the chunk at *index* lies; None where a shard lacks it, or does not say where it is."""
        layout, (place, inner) = self.layout, self.place(index)
        if not layout.sharded:
            return Part(place, 0, most_of(layout.stored_bytes) + 1)
        version, stored = self.shard(place)
        if layout.index is None or len(stored) < layout.index.nbytes:
            return None  # the decoder says what is wrong with a shard that is so short
        start, count = map(int, layout.index.parsed(stored)[inner])
        most = most_of(layout.inner_bytes) + 1
        return None if ABSENT in (start, count) else Part(place, start, start + min(count, most), version)

    def place(self, index: Index) -> tuple[Remote, Index]:
        """Return the object that holds the chunk at *index*, and its index in there."""
        layout = self.layout
        per = [s // c for s, c in zip(layout.stored, layout.inner, strict=True)]
        key = self.files.keys.key([i // n for i, n in zip(index, per, strict=True)])
        return self.folder / key, tuple(i % n for i, n in zip(index, per, strict=True))

    def ahead(self, indices: Iterable[Index], had: Callable[[Index], bool]) -> Ahead:
        """Return what is fetched for the chunks at *indices*, but for those that are *had*."""
        parts = {part: index for index in indices if (part := self.part(index))}
        return Ahead(parts, lambda part: had(parts[part]))

    def checked(self, index: Index, ahead: Ahead, *, must: bool) -> bytes | None:
        """Return what is stored of the chunk at *index*; None if nothing is, or a shard does not say where.

        Raises
        ------
        SourceError
            Which names it, if it would decode to far more than its pixels, or *must* be stored and is not.
        """
        place, inner = self.place(index)
        key = place.relative_to(self.folder)
        name = f"{inner} of shard {key}" if self.layout.index else f"{key}"
        part = self.part(index)
        try:
            data = ahead.read(part) if part else b""
        except FileNotFoundError:
            part = None
        if part:
            check_bytes(f"chunk {name}", data, self.layout.inner_bytes, self.layout.codec)
            return data
        if must and (self.layout.index or not self.layout.sharded):
            fix = "Set input.missing_chunks to report to read it as the fill value."
            raise SourceError(f"chunk {name} is not stored", fix=fix)
        return None
