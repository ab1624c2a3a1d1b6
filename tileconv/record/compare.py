"""An output against its record: every tile against its digest in the journal, and the metadata.

It needs no pipeline: the run folder says what was written. Nothing is changed and nothing locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import zip_longest
from threading import Event
from typing import Any

import numpy as np

from tileconv.boxes import TileGrid, tile_at
from tileconv.errors import Interrupted, TileconvError
from tileconv.planning.machine import usable_processors
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.done import METADATA, PARTS, facts_read, recorded_store
from tileconv.record.filed import PART_BYTES, checksums
from tileconv.record.folder import RunFolder
from tileconv.record.journal import History, TileKey
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores import steady

EXIT_DIFFERENT = 4
BATCH = 1024
"""Tiles handed to the threads at once, so that a store of a million tiles needs no list of them."""


@dataclass(frozen=True)
class Damage:
    """One thing that differs, in words; the files concerned, relative to the store; the tile's number and place."""

    problem: str
    files: tuple[str, ...] = ()
    tile: int | None = None
    box: str = ""
    level: int = 0

    def __str__(self) -> str:
        number = f"level {self.level}, " * bool(self.level) + ("" if self.tile is None else f"tile {self.tile}, ")
        return f"{number}{self.box}: {self.problem}" if self.box else self.problem


@dataclass(frozen=True)
class Verification:
    """What was compared with what was written: tiles, and boxes made again; and every difference."""

    output: str
    tiles: int
    damages: tuple[Damage, ...]
    recomputed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where nothing differs, else 4."""
        return EXIT_DIFFERENT if self.damages else 0

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as plain JSON values."""
        return {"whole": not self.damages, **asdict(self)}


def examine(
    folder: RunFolder,
    plan: dict[str, Any],
    progress: Progress,
    history: History,
    *,
    repairing: bool,
    stop: Event | None = None,
) -> Verification:
    """Compare the output of *folder* with *plan* and *history*; the caller has made sure that nobody writes it.

    *repairing* says that a repair was begun before and is not done, which is a difference of its own.

    Raises
    ------
    Interrupted
        If *stop* is set before the end.
    """
    sink, grids = recorded_store(folder, plan)
    last = len(plan["grids"]) - 1
    facts, total = facts_read(folder), sum(map(len, grids))
    if folder.kind and facts and not repairing:
        return _file(folder, facts, progress, stop)
    done = [history.done(last, level) for level in range(len(grids))]
    damages = [*_completion(folder, facts, total, sum(map(len, done)), repairing=repairing), *_metadata(sink, facts)]
    tiles = done if facts is None else [np.arange(len(grid)) for grid in grids]
    progress.begin(sum(map(len, tiles)), sum(grid.image.size for grid in grids))

    def compared(level: int, number: int) -> Damage | None:
        if stop is not None and stop.is_set():
            return None
        return _tile(sink.at(level), grids[level], history.digest(TileKey(last, level, number)), number)

    with ThreadPoolExecutor(usable_processors()) as pool:  # each holds the file of a chunk
        for level, first in ((level, first) for level, of in enumerate(tiles) for first in range(0, len(of), BATCH)):
            numbers = tiles[level][first : first + BATCH].tolist()
            for number, damage in zip(numbers, pool.map(partial(compared, level), numbers), strict=True):
                check_going(stop)
                damages += [damage] if damage else []
                progress.tile(tile_at(grids[level], number).size)
    damages += [Damage(f"{name} is no part of what was written", (name,)) for name in sorted(sink.custody.strays())]
    return Verification(str(folder.output), sum(map(len, tiles)), tuple(damages))


def _file(folder: RunFolder, facts: dict[str, Any], progress: Progress, stop: Event | None) -> Verification:
    """Compare an output that is one file, part by part, with what *facts* say of it."""
    parts, path, damages = facts.get(PARTS, ()), folder.output.local, list[Damage]()
    progress.begin(len(parts), len(parts) * PART_BYTES)
    found = checksums(path, usable_processors()) if steady.is_file(path) else iter(())
    for number, (checksum, expected) in enumerate(zip_longest(found, parts)):
        check_going(stop)
        if checksum != expected:
            wrong = "not what was written" if checksum and expected else "missing" if expected else "too many"
            first, last = number * PART_BYTES, (number + 1) * PART_BYTES
            damages.append(Damage(f"bytes {first:,} to {last:,} are {wrong}", (folder.output.name,)))
        progress.tile(PART_BYTES)
    return Verification(str(folder.output), len(parts), tuple(damages))


def check_going(stop: Event | None) -> None:
    """Raise Interrupted if *stop* is set while an output is compared."""
    if stop is not None and stop.is_set():
        problem = "interrupted while the output was verified: it counts as unfinished until the same command has ended"
        raise Interrupted(problem)


def _completion(
    folder: RunFolder, facts: dict[str, Any] | None, tiles: int, done: int, *, repairing: bool
) -> Iterator[Damage]:
    if repairing:
        yield Damage("a repair was begun and is not finished; the command of the run finishes it")
    elif facts is None and folder.holds("done"):
        yield Damage("the marker of the finished run, done, cannot be read")
    elif facts is None:
        yield Damage(f"the run is not finished, {done:,} of {tiles:,} tiles are done; its command makes the others")


def _metadata(sink: ZarrSink, facts: dict[str, Any] | None) -> Iterator[Damage]:
    found = sink.custody.metadata_digests()
    expected = (facts or {}).get(METADATA, found)
    for name, digest in found.items():
        if not digest:
            yield Damage(f"{name} is missing", (name,))
        elif digest != expected.get(name):
            yield Damage(f"{name} is not what was written", (name,))


def _tile(sink: ZarrSink, grid: TileGrid, digest: str, number: int) -> Damage | None:
    """Return what is wrong with one tile that was stored with *digest*, empty if the journal does not tell it."""
    box = tile_at(grid, number)
    damage = partial(Damage, tile=number, box=str(box), level=sink.layout.level)
    names = tuple(sink.layout.chunk_keys(box))
    if not digest:
        return damage("no line of the journal that can be read tells its digest", names)
    try:
        if sink.writer.stored_digest(box) == digest:
            return None
    except TileconvError:
        pass
    wrong = sink.writer.damaged_chunks(box)
    if not wrong:
        whole = "other chunks than were written, though whole ones"
        return damage(
            f"{', '.join(names)}: {whole if sink.layout.storage.checksum != 'none' else 'not what was written'}", names
        )
    return damage(", ".join(f"{name} {problem}" for name, problem in wrong.items()), tuple(wrong))
