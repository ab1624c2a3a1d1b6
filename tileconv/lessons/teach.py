"""Passes over the images until the kernel is known: one for least squares, one for each step of Newton's method.

The sums of tiles come back by way of small files in a folder of the pass, which is gone when it ends; receipts stay
small. A pass that ends early leaves nothing, and is begun again.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tileconv.allocator import give_back
from tileconv.boxes import space, tile_at
from tileconv.engines.borders import Border
from tileconv.engines.loops import telling
from tileconv.errors import Interrupted, PlanError, SinkError, TileconvError, TileError
from tileconv.execute.executor import Kept, Setting, executor_of
from tileconv.execute.outcome import Failure, Outcome
from tileconv.execute.report import peak_bytes
from tileconv.execute.staging import revoke, writing
from tileconv.execute.stop import Stop, on_signals
from tileconv.lessons.block import Model, entries
from tileconv.lessons.exact import ExactSums, merge_packed
from tileconv.lessons.job import Lesson, Notebook, valid
from tileconv.lessons.layout import Layout
from tileconv.lessons.learned import Learned
from tileconv.lessons.sums import Shape
from tileconv.lessons.totals import Totals, log_loss
from tileconv.lessons.wishes import Wishes, best
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.folder import RunFolder
from tileconv.sinks.files import sink_errors
from tileconv.sources.source import Source
from tileconv.stores.location import Location
from tileconv.tiles.windows import Job, read

Array = NDArray[np.float64]
MOST_STEPS, SETTLED = 30, 1e-9
"""Steps of Newton's method at most, and the share of the loss below which a further one gains nothing."""


@dataclass(frozen=True)
class Task:
    """What is to be learned, from which images."""

    sources: tuple[Source, Source]
    shape: Shape
    over: str
    wishes: Wishes
    borders: tuple[Border, Border, Border] | None
    border: str | Mapping[str, Any] | None
    share: float
    marked: bool


@dataclass
class Passes:
    """Passes over the images of a *task*, as *layout* says; what they noticed."""

    task: Task
    layout: Layout
    place: Path
    progress: Progress
    stop: Stop
    kept: Kept
    left_out: int = 0
    count: int = 0
    notes: tuple[str, ...] = ()

    def totals(self, lesson: Lesson) -> tuple[Totals, Totals]:
        """Return the sums of all tiles of *lesson*: of the pixels to learn from, and of those held out."""
        weights = math.prod(lesson.shape)
        sums = [ExactSums(entries(weights)) for _ in range(2)]
        self.left_out, self.count = 0, self.count + 1
        store, grid, errors = lesson.sinks[0].store, lesson.grid, list[TileconvError]()

        def heard(_: Job, *outcomes: Outcome) -> None:
            for outcome in outcomes:
                hear(outcome)

        def hear(outcome: Outcome) -> None:
            if isinstance(outcome, Failure):
                errors.append(outcome.error)
                self.stop.set()
                return
            key = lesson.key(outcome.tile)
            with sink_errors(store.where(key), "read"):
                data = store.read_all(key)
                store.delete(key)
            if hashlib.sha256(data).hexdigest() != outcome.digests[0]:
                raise SinkError("is damaged", where=store.where(key), fix="Give the same command again.")
            merge_packed(sums, data)
            self.left_out += outcome.counts[0].missing
            heard_of.add(key)
            self.progress.tile(outcome.tile.size)

        heard_of = set[str]()
        self.progress.begin(len(grid), grid.image.size)
        self.stop.words = "stopping after the tiles in flight; Ctrl-C again ends at once"
        told = (self._libraries, self.progress, self._note)
        who = self.layout
        setting = Setting(who.executor, who.workers, False, *told, who.cluster, self.kept)
        pairs = ((cast("Job", lesson), tile_at(grid, number)) for number in range(len(grid)))
        with telling(partial(self.progress.waiting, "compiling loops, on the first run only")):
            executor_of(setting)(pairs, self.stop, heard)
        give_back()
        if errors:
            raise errors[0]
        if self.stop.signalled:
            raise Interrupted("interrupted: nothing of a pass is kept; the same command begins it again")
        if len(heard_of) != len(grid):
            fix = "This is a mistake in tileconv: please report it."
            raise TileError(f"{len(grid) - len(heard_of):,} tiles were not heard of", where=lesson.where, fix=fix)
        return Totals.of(sums[0], weights), Totals.of(sums[1], weights)

    def _libraries(self) -> list[str]:
        return sorted({"imagecodecs", "numba", "numpy"}.union(*(s.libraries for s in self.task.sources)))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes += (text,)
            self.progress.note(text)


def teach(task: Task, layout: Layout, output: Path, progress: Progress) -> Learned:
    """Return what is learned; what passes between workers lies beside *output* meanwhile.

    Raises
    ------
    Interrupted
        If SIGINT or SIGTERM stopped it.
    TileconvError
        What went wrong. Nothing is kept of a pass, and the same command begins it again.
    """
    began, folder = time.perf_counter(), RunFolder(Location(str(output)))
    with sink_errors(output), folder.locked(), on_signals(progress.stopping) as stop:
        revoke(folder)
        with writing(folder) as place, Kept() as kept:
            passes = Passes(task, layout, place, progress, stop, kept)
            learn = _marks if task.marked else _squares
            sinks = (Notebook(Location(str(place)).store()),)
            lesson = Lesson(
                task.sources, sinks, task.shape, task.borders, _centre(task, layout), task.share, layout.grid,
                layout.blocks,
            )  # fmt: skip
            found = learn(passes, lesson, task)
    seconds = time.perf_counter() - began
    unused = [f"{source.where}: {note}" for source in task.sources for note in source.info.notes]
    weights = found.pop("weights").reshape([n for n, a in zip(task.shape, "zyx", strict=True) if a in task.over])
    weights.flags.writeable = False
    return Learned(
        weights=weights,
        over=task.over,
        border=dict(task.border) if isinstance(task.border, Mapping) else task.border,
        target="mask" if task.marked else "image",
        left_out=passes.left_out,
        passes=passes.count,
        tiles=len(layout.grid),
        seconds=seconds,
        megapixels_per_second=passes.count * layout.grid.image.size / 1e6 / seconds,
        peak_bytes=peak_bytes(),
        predicted_bytes=layout.peak_bytes,
        notes=(*found.pop("notes"), *passes.notes, *unused),
        **found,
    )


def _squares(passes: Passes, lesson: Lesson, task: Task) -> dict[str, Any]:
    """Return weights, offset and figures of least squares."""
    totals, held = passes.totals(lesson)
    notes = _enough(totals, held, task)
    gram, cross = totals.normal()
    penalty = task.wishes.ridge * float(np.trace(gram)) / len(gram)
    weights, condition = best(gram, cross, task.shape, task.wishes, penalty)
    offset = totals.offset(weights)
    left, about = totals.squares(weights, offset)
    tried = _explained(*held.squares(weights, offset)) if held.pixels else math.nan
    return {
        "weights": weights,
        "offset": offset + lesson.centre[1] - lesson.centre[0] * float(weights.sum()),
        "residual": math.sqrt(left / totals.pixels),
        "explained": _explained(left, about),
        "explained_held_out": tried,
        "condition": condition,
        "pixels": totals.pixels,
        "held_out": held.pixels,
        "notes": notes,
    }


def _marks(passes: Passes, lesson: Lesson, task: Task) -> dict[str, Any]:
    """Return weights, offset and figures of logistic regression; a step that makes it worse is halved."""
    model, before = Model(np.zeros(task.shape), 0.0), Model(np.zeros(task.shape), 0.0)
    least, penalty, condition = math.inf, 0.0, math.inf
    notes: tuple[str, ...] = ()
    for step in range(MOST_STEPS):
        totals, held = passes.totals(replace(lesson, model=model))
        if step == 0:
            notes = _enough(totals, held, task)
            gram, _ = totals.normal()
            penalty = 4 * task.wishes.ridge * float(np.trace(gram)) / len(gram)  # all weights are 1/4 yet
        loss = totals.loss + penalty / 2 * float(np.square(model.kernel).sum())
        if loss > least * (1 + 1e-12) and step < MOST_STEPS - 1:
            model = Model((before.kernel + model.kernel) / 2, (before.offset + model.offset) / 2)
            continue
        gram, cross = totals.normal()
        weights, condition = best(gram, cross, task.shape, task.wishes, penalty)
        least, before = loss, model
        model = Model(weights.reshape(task.shape), totals.offset(weights))
        moved = weights - before.kernel.ravel()
        if moved @ gram @ moved + penalty * (moved @ moved) <= SETTLED * loss:
            break
    else:
        notes += ("the steps did not settle: where a kernel tells all marked pixels from the others, give a ridge",)
    tried = _explained(held.loss, log_loss(held.pixels, held.marked)) if held.pixels else math.nan
    return {
        "weights": model.kernel.ravel(),
        "offset": model.offset - lesson.centre[0] * float(model.kernel.sum()),
        "residual": totals.loss / totals.pixels,
        "explained": _explained(totals.loss, log_loss(totals.pixels, totals.marked)),
        "explained_held_out": tried,
        "condition": condition,
        "pixels": totals.pixels,
        "held_out": held.pixels,
        "notes": notes,
    }


def _explained(left: float, about: float) -> float:
    """Return which share of *about* is not *left*; NaN where there is nothing to explain."""
    return 1 - left / about if about else math.nan


def _enough(totals: Totals, held: Totals, task: Task) -> tuple[str, ...]:
    """Return what to say of the number of pixels; PlanError if there are none, or all are marked or none is."""
    where = " and ".join(source.where for source in task.sources)
    if not totals.pixels or (task.share and not held.pixels):
        kind = "to learn from" if not totals.pixels else "held out"
        fix = "Blocks are 256 x 256 pixels: give another --validation, or larger images." if task.share else ""
        raise PlanError(f"no pixel is {kind}", where=where, fix=fix)
    if task.marked and not 0 < totals.marked < totals.pixels:
        which = "all pixels are" if totals.marked else "no pixel is"
        raise PlanError(f"{which} marked", where=where, fix="Give a mask in which some pixels are 0.")
    weights = math.prod(task.shape)
    few = f"{totals.pixels:,} pixels do not determine {weights:,} weights: of all that fit the shortest is taken"
    return (few,) if totals.pixels <= weights else ()


def _centre(task: Task, layout: Layout) -> tuple[float, float]:
    """Return what is subtracted from both images: about their mean, which the block in the middle tells.

    Sums of whole numbers of 16 bits are exact as they are.
    """
    centres = []
    for source in task.sources:
        dtype = source.info.dtype
        if dtype.kind in "iu" and dtype.itemsize <= 2 and not task.marked:
            centres.append(0.0)
            continue
        box = layout.blocks.box([n // 2 for n in layout.blocks.counts])
        pixels, good = valid(read(source, space(source.info.box), box), source.info)
        some = pixels if good is None else pixels[good]
        centres.append(float(some.mean(dtype=np.float64)) if some.size else 0.0)
    return centres[0], centres[1]
