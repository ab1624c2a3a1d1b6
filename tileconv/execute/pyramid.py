"""Levels added to a store that is there: to a result, whose record then holds them, or to an image of any program."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from tileconv.boxes import tile_at
from tileconv.errors import Interrupted
from tileconv.execute.executor import Pair
from tileconv.execute.local import threads
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.pyramid_in_place import Todo, of_any, of_result
from tileconv.execute.stop import Stop, on_signals
from tileconv.planning.machine import processors
from tileconv.progress import Progress, watching
from tileconv.record.folder import RunFolder
from tileconv.sources.open import open_source
from tileconv.spec import PipelineSpec, spec_from_mapping
from tileconv.spec.pyramid import PyramidSpec
from tileconv.stores.location import here
from tileconv.tiles.levels import LevelJob
from tileconv.tiles.windows import Job, Receipt


@dataclass(frozen=True)
class Added:
    """What was added to a store: the shapes of all levels, how many of them are new, and the tiles that were made."""

    output: str
    shapes: tuple[tuple[int, ...], ...]
    added: int
    tiles: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def add_levels(
    store: Path | str,
    asked: PyramidSpec | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Added:
    """Add to the image in *store* the levels that *asked* says and that are not there; those that are stay as they are.

    The image can be read meanwhile, and after it was stopped; the same call then makes the rest, of a store without a
    record all of it.

    Raises
    ------
    SourceError
        If there is no OME-Zarr image that can be read.
    SinkError
        If its levels cannot be added where it lies, or the file system refuses.
    Interrupted
        If SIGINT or SIGTERM stopped it.
    """
    place, asked, progress = here(store), asked or PyramidSpec(), watching(progress)
    began = time.perf_counter()
    folder = RunFolder(place)
    adding = of_result(folder, asked) if folder.plan() is not None else of_any(place, asked)
    with adding as (shapes, added, todo, heard, finish), on_signals(progress.stopping) as stop:
        count = sum(len(numbers) for _, numbers in todo)
        progress.begin(count, sum(tile_at(job.grid, n).size for job, numbers in todo for n in numbers))
        _make(todo, workers or processors().count, stop, heard, progress)
        finish()
    return Added(str(place), tuple(shapes), added, count, time.perf_counter() - began)


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

    def hear(job: Any, outcome: Outcome) -> None:
        nonlocal flying
        flying -= 1
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


def as_pipeline(image: Path | str, output: Path | str, pyramid: dict[str, Any], run: dict[str, Any]) -> PipelineSpec:
    """Return the pipeline that copies *image* to *output* with levels; missing pixels stay missing."""
    info = open_source(image).info
    stored: dict[str, Any] = {"path": str(output), "dtype": "input", "pyramid": pyramid}
    words: dict[str, Any] = {"version": 1, "input": {"path": str(image)}, "stages": [], "output": stored}
    words["run"] = {key: value for key, value in run.items() if value is not None}
    if info.nodata is not None:
        words["missing"] = {"rule": "propagate"}
        stored["nodata"] = info.nodata
    return spec_from_mapping(words)
