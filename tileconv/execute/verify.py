"""Whether an output is still what its run wrote: every tile against its digest in the journal, and the metadata.

It needs no spec: the run folder says what was written. Nothing is changed and nothing locked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tileconv import steady
from tileconv.boxes import TileGrid
from tileconv.errors import Interrupted, ResumeError, SinkError, SourceError, TileconvError
from tileconv.execute.folder import RunFolder
from tileconv.execute.journal import History
from tileconv.execute.progress import Progress, watching
from tileconv.execute.resume import tile_at
from tileconv.execute.stop import Stop
from tileconv.images import ImageInfo
from tileconv.planning.machine import usable_processors
from tileconv.sinks.files import sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.spec.model import RunSpec
from tileconv.storage import Storage

EXIT_DIFFERENT = 4
BATCH = 1024
"""Tiles handed to the threads at once, so that a store of a million tiles needs no list of them."""
PLAN, METADATA = "plan", "metadata"
"""What ``done`` holds digests of: ``plan.json``, and the metadata files of the store."""


@dataclass(frozen=True)
class Damage:
    """One thing that differs, in words; the files concerned, relative to the store; the tile's number and box."""

    problem: str
    files: tuple[str, ...] = ()
    tile: int | None = None
    box: str = ""

    def __str__(self) -> str:
        number = "" if self.tile is None else f"tile {self.tile}, "
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


def verify_stored(output: Path | str, *, progress: Progress | None = None) -> Verification:
    """Compare all of *output* with what its run wrote.

    Raises
    ------
    SourceError
        If there is no run folder to compare with, or it is damaged.
    SinkError
        If a run is writing the output now.
    """
    folder = RunFolder(Path(output))
    if folder.live():
        holder = folder.holder() or {}
        who = f"process {holder.get('pid')} on {holder.get('host')}"
        raise SinkError(f"is being written now, by {who}", where=str(folder.output), fix="Wait for its end.")
    plan = recorded_plan(folder)
    history, begun = History.of(folder.journal, tiles_of(folder, plan)), folder.repairing()
    with sink_errors(folder.output, "read"):
        return examine(folder, plan, watching(progress), history, repairing=begun)


def recorded_plan(folder: RunFolder) -> dict[str, Any]:
    """Return ``plan.json`` of the run that made an output.

    Raises
    ------
    SourceError
        If it is absent or damaged.
    """
    plan, where = folder.plan(), str(folder.path)
    expected = (folder.facts() or {}).get(PLAN)
    if plan is None or (expected is not None and expected != plan_digest(folder)):
        found = "a plan.json that is damaged" if folder.holds("plan.json") else "no plan.json"
        found = found if folder.there() else "nothing"
        fix = "Give the output of a run; its run folder lies beside it."
        if steady.exists(folder.output / "zarr.json"):
            fix = f"Only that holds the digests of tiles; tileconv rerun {folder.output} makes the result again."
        raise SourceError(f"expected the run folder of {folder.output}, found {found}", where=where, fix=fix)
    return plan


def recorded_run(output: Path) -> dict[str, Any]:
    """Return the section ``run`` of the spec of the run that made *output*; empty if that does not tell it.

    Raises
    ------
    SourceError
        If there is no run folder, or it is damaged.
    """
    run: dict[str, Any] = recorded_plan(RunFolder(output)).get("run", {})
    return {key: value for key, value in run.items() if key in RunSpec.__dataclass_fields__}


def plan_digest(folder: RunFolder) -> str:
    """Return a digest of ``plan.json``; empty if it is absent."""
    with sink_errors(folder.path, "read"):
        stored = steady.content(folder.path / "plan.json")
    return "" if stored is None else hashlib.sha256(stored).hexdigest()


def facts_of(folder: RunFolder, sink: ZarrSink, fingerprint: str) -> dict[str, Any]:
    """Return what ``done`` says of a finished output, so that damage to any file of it is found."""
    return {"fingerprint": fingerprint, PLAN: plan_digest(folder), METADATA: sink.metadata_digests()}


def facts_read(folder: RunFolder) -> dict[str, Any] | None:
    """Return what ``done`` says; None when it is absent or damaged, or says nothing of the files."""
    facts = folder.facts()
    told = facts is not None and isinstance(facts.get(PLAN), str) and isinstance(facts.get(METADATA), dict)
    return facts if told else None


def check_not_replaced(folder: RunFolder, found: Mapping[str, str]) -> None:
    """Refuse an output that is done, but whose metadata files with digests *found* are not those of its run.

    A file that is missing is let pass: a run that goes on makes it again.

    Raises
    ------
    ResumeError
        If a metadata file differs, or ``done`` does not say what it was.
    """
    if not folder.done():
        return
    facts = facts_read(folder)
    problem = "its run folder cannot tell what was written: the marker done cannot be read"
    if facts is not None:
        differing = [name for name, digest in found.items() if digest and digest != facts[METADATA].get(name)]
        if not differing:
            return
        problem = f"{differing[0]} is not what the run wrote, so this may be another output in its place"
    fix = "Compare and mend every tile with --repair, or begin anew with --overwrite."
    raise ResumeError(problem, where=str(folder.output), fix=fix)


def examine(
    folder: RunFolder,
    plan: dict[str, Any],
    progress: Progress,
    history: History,
    *,
    repairing: bool,
    stop: Stop | None = None,
) -> Verification:
    """Compare the output of *folder* with *plan* and *history*; the caller has made sure that nobody writes it.

    *repairing* says that a repair was begun before and is not done, which is a difference of its own.

    Raises
    ------
    Interrupted
        If *stop* is set before the end.
    """
    sink, grid = recorded_store(folder, plan)
    last = len(plan["grids"]) - 1
    done, facts = history.done(last), facts_read(folder)
    damages = [*_completion(folder, facts, len(grid), len(done), repairing=repairing), *_metadata(sink, facts)]
    tiles = done if facts is None else np.arange(len(grid))
    progress.begin(len(tiles), grid.image.size)

    def compared(number: int) -> Damage | None:
        return None if stop is not None and stop.is_set() else _tile(sink, grid, history.digest((last, number)), number)

    with ThreadPoolExecutor(usable_processors()) as pool:  # each holds the file of a chunk
        for first in range(0, len(tiles), BATCH):
            numbers = tiles[first : first + BATCH].tolist()
            for number, damage in zip(numbers, pool.map(compared, numbers), strict=True):
                check_going(stop)
                damages += [damage] if damage else []
                progress.tile(tile_at(grid, number).size)
    damages += [
        Damage(f"{name} is no part of what was written", (name,)) for name in sorted(map(sink.name_of, sink.strays()))
    ]
    return Verification(str(folder.output), len(tiles), tuple(damages))


def check_going(stop: Stop | None) -> None:
    """Raise Interrupted if *stop* is set while an output is compared."""
    if stop is not None and stop.is_set():
        problem = "interrupted while the output was verified: it counts as unfinished until the same command has ended"
        raise Interrupted(problem)


def tiles_of(folder: RunFolder, plan: dict[str, Any]) -> list[int]:
    """Return how many tiles every pass of *plan* has; SourceError if it does not tell."""
    try:
        return [int(grid["tiles"]) for grid in plan["grids"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _untold(folder) from error


def recorded_store(folder: RunFolder, plan: dict[str, Any]) -> tuple[ZarrSink, TileGrid]:
    """Return the store and its tiles in the store's own coordinates; SourceError if *plan* does not tell them."""
    try:
        what = plan["what"]
        shape, chunks = tuple(what["output.shape"]), tuple(what["output.chunks"])
        info = ImageInfo(shape, what["output.axes"], np.dtype(what["output.dtype"]), chunks)
        grid = TileGrid(info.box, tuple(plan["grids"][-1]["tile"]))
        if len(grid) != plan["grids"][-1]["tiles"]:
            raise ValueError
        return ZarrSink(folder.output, info, storage=Storage.of(what)), grid
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _untold(folder) from error


def _untold(folder: RunFolder) -> SourceError:
    fix = "Verify it with the version of tileconv that made it, or make it again with --overwrite."
    return SourceError("does not say what was written", where=str(folder.path / "plan.json"), fix=fix)


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
    found = sink.metadata_digests()
    expected = (facts or {}).get(METADATA, found)
    for name, digest in found.items():
        if not digest:
            yield Damage(f"{name} is missing", (name,))
        elif digest != expected.get(name):
            yield Damage(f"{name} is not what was written", (name,))


def _tile(sink: ZarrSink, grid: TileGrid, digest: str, number: int) -> Damage | None:
    """Return what is wrong with one tile that was stored with *digest*, empty if the journal does not tell it."""
    box = tile_at(grid, number)
    damage = partial(Damage, tile=number, box=str(box))
    names = tuple(map(sink.name_of, sink.chunk_files(box)))
    if not digest:
        return damage("no line of the journal that can be read tells its digest", names)
    try:
        if sink.stored_digest(box) == digest:
            return None
    except TileconvError:
        pass
    wrong = sink.damaged_chunks(box)
    if not wrong:
        whole = "other chunks than were written, though whole ones"
        return damage(
            f"{', '.join(names)}: {whole if sink.storage.checksum != 'none' else 'not what was written'}", names
        )
    return damage(", ".join(f"{name} {problem}" for name, problem in wrong.items()), tuple(wrong))
