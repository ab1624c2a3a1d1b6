"""Levels added to a store that is there: to a result, whose record then holds them, or to an image of any program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

from tileconv.boxes import tile_at
from tileconv.errors import Interrupted, PlanError
from tileconv.execute.executor import Pair
from tileconv.execute.local import threads
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.prepare import planned
from tileconv.execute.pyramid_in_place import Adding, Todo, of_any, of_result
from tileconv.execute.report import peak_bytes
from tileconv.execute.run import run_plan
from tileconv.execute.stop import Stop, on_signals
from tileconv.operations.shrink import Method
from tileconv.planning.machine import memory as memory_here
from tileconv.planning.machine import usable_processors
from tileconv.planning.memory import BASE_BYTES
from tileconv.planning.memory import peak_bytes as predicted_bytes
from tileconv.progress import Progress, watching
from tileconv.quick import dataclass
from tileconv.record.folder import RunFolder
from tileconv.shown import Shown, size_text, tiles_text
from tileconv.sources.open import open_source
from tileconv.spec import PipelineSpec, RunSpec, spec_from_mapping
from tileconv.spec.pyramid import PyramidSpec, Step
from tileconv.stores.location import Location, here
from tileconv.tiles.levels import LevelJob
from tileconv.tiles.windows import Job, Receipt


@dataclass(frozen=True)
class Added(Shown):
    """What was added to a store.

    Attributes
    ----------
    shapes, added
        Of all levels, the full size first; and how many of them are new.
    tiles
        Tiles that were made.
    peak_bytes, predicted_bytes
        Peak memory of this process as the system counts it, and what was predicted.
    """

    output: str
    shapes: tuple[tuple[int, ...], ...]
    added: int
    tiles: int
    seconds: float
    peak_bytes: int
    predicted_bytes: int
    notes: tuple[str, ...] = ()

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        sizes = ", ".join(" x ".join(map(str, shape)) for shape in self.shapes)
        return {
            "output": self.output,
            "levels": f"{len(self.shapes)}, {self.added} of them added: {sizes}",
            "tiles": f"{tiles_text(self.tiles)} made in {self.seconds:.1f} s",
            "memory": f"{size_text(self.peak_bytes)} at most here, {size_text(self.predicted_bytes)} predicted",
            "notes": "; ".join(self.notes),
        }

    def __str__(self) -> str:
        _, *rows = self.rows().items()
        return "\n".join([self.output, *(f"{name:<10} {said}" for name, said in rows if said)])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def pyramid(
    store: str | Path,
    output: str | Path | None = None,
    *,
    levels: int | Literal["auto"] = "auto",
    method: Method | Literal["auto"] = "auto",
    factor: Mapping[Literal["z", "y", "x"], Step] | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Add to the image in *store* the levels that it lacks, or write the image with its levels to *output*.

    Levels that are there stay as they are. The image can be read meanwhile, and after it was stopped; the same call
    then makes the rest, of a store that is no result of tileconv all of the levels that it lacks.

    Parameters
    ----------
    store
        A result or another OME-Zarr image; with *output* anything that tileconv reads.
    output
        A new store.
    levels
        How many there are with the full size; ``auto`` ends at one of at most 1024 pixels along y and x.
    method, factor
        As ``output.pyramid.method`` and ``output.pyramid.factor`` of a pipeline file.
    workers, memory
        As ``run.workers`` and ``run.memory``: bytes, or a text such as ``2GiB``. Where *store* gets its levels, fewer
        workers take part than were asked for if the memory does not allow more.
    overwrite
        Whether *output* is replaced if tileconv made it.
    progress
        Hears of every tile.

    Returns
    -------
    Added
        The shapes of all levels, how many are new, tiles, seconds and memory.

    Raises
    ------
    SpecError, PlanError
        If there is no such method, or as many levels cannot be made, or not within the memory.
    SourceError
        If there is no OME-Zarr image that can be read.
    SinkError
        If its levels cannot be added where it lies, another process adds some, or the file system refuses.
    Interrupted
        If SIGINT or SIGTERM stopped it.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "a.npy", np.eye(75, dtype=np.uint8))
    >>> pyramid(folder / "a.npy", folder / "a.ome.zarr", levels=2).shapes
    ((75, 75), (38, 38))
    >>> pyramid(folder / "a.ome.zarr", levels=4).added
    2
    """
    progress, place = watching(progress), here(store)
    asked = {"levels": levels, "method": method} | ({"factor": {**factor}} if factor else {})
    stored: dict[str, Any] = {"path": str(output or "in_place.ome.zarr"), "dtype": "input", "pyramid": asked}
    words: dict[str, Any] = {"version": 1, "input": {"path": str(place)}, "stages": [], "output": stored}
    words["run"] = {key: of for key, of in (("workers", workers), ("memory", memory)) if of is not None}
    if output is None:
        spec = spec_from_mapping(words)
        return _in_place(place, cast("PyramidSpec", spec.output.pyramid), spec.run, progress)
    nodata = open_source(place).info.nodata
    if nodata is not None:  # what is missing stays so
        words["missing"], stored["nodata"] = {"rule": "propagate"}, nodata
    return _copied(spec_from_mapping(words), overwrite, progress)


def _copied(spec: PipelineSpec, overwrite: bool, progress: Progress) -> Added:
    plan, source = planned(spec)
    report = run_plan(plan, source, overwrite=overwrite, progress=progress)
    write = plan.write_of(0)
    shapes = (write.info.shape, *(level.info.shape for level in write.levels))
    told = report.peak_bytes, report.predicted_bytes, report.notes
    return Added(str(report.output), shapes, len(write.levels), report.tiles, report.seconds, *told)


def _in_place(place: Location, asked: PyramidSpec, run: RunSpec, progress: Progress) -> Added:
    began, folder = time.perf_counter(), RunFolder(place)
    with folder.locked(heard=progress.note):
        adding = of_result(folder, asked) if folder.plan() is not None else of_any(folder, asked)
        with adding as added, on_signals(progress.stopping) as stop:
            workers, predicted = _workers(added, run, place)
            count = sum(len(numbers) for _, numbers in added.todo)
            progress.begin(count, sum(tile_at(job.grid, n).size for job, numbers in added.todo for n in numbers))
            added.begin()
            _make(added.todo, workers, stop, added.heard, progress)
            added.finish()
    seconds = time.perf_counter() - began
    return Added(str(place), tuple(added.shapes), added.added, count, seconds, peak_bytes(), predicted)


def _workers(added: Adding, run: RunSpec, place: Location) -> tuple[int, int]:
    """Return how many workers the memory allows, of those that are asked for, and the bytes that they take."""
    asked = run.workers or usable_processors()
    machine, tiles = memory_here(), [(job.tile_bytes, len(numbers)) for job, numbers in added.todo]
    allowed = machine.at_most(run.memory, "memory", asked) if run.memory else machine.available(asked)
    for workers in range(asked, 0, -1):
        peak = predicted_bytes(BASE_BYTES + added.held, tiles, workers, "threads")
        if peak <= allowed.count or not tiles:
            return workers, peak
    raise PlanError(
        f"levels take {size_text(peak)}, and may take {size_text(allowed.count)} ({allowed.why})",
        where=str(place),
        why=f"a tile takes up to {size_text(max(size for size, _ in tiles))}: its chunks, and those that it is made of",
        fix=f"{allowed.more}, or write a new store, of smaller chunks: tileconv pyramid {place} -o NEW.ome.zarr.",
    )


def _make(todo: Todo, workers: int, stop: Stop, heard: Callable[[LevelJob, Receipt], None], progress: Progress) -> None:
    """Make the tiles of one level after another on threads; what fails ends it."""
    flying, failures = 0, list[Failure]()

    def pairs() -> Iterator[Pair | None]:
        nonlocal flying
        for job, numbers in todo:
            while flying:
                yield None
            for number in numbers:
                flying += 1
                yield cast("Job", job), tile_at(job.grid, number)

    def hear(job: Any, *outcomes: Outcome) -> None:
        nonlocal flying
        flying -= len(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                stop.set()
            else:
                heard(job, outcome)
                progress.tile(outcome.tile.size)

    threads(workers, pairs(), stop, hear)
    if failures:
        raise failures[0].error
    if stop.signalled:
        raise Interrupted("interrupted: the same command makes the levels that are left")
