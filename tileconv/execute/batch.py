"""Many images in one pool: their tiles are in flight together, so that small images leave no worker idle.

Images come up one after another: each is planned when the workers want more tiles than the open ones have, opened when
it fits into the memory beside them, and closed when its last tile is heard of. What goes wrong with one is its own end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain, takewhile

from tileconv.engines.cost import user_costs
from tileconv.engines.loops import telling
from tileconv.errors import Interrupted, TileconvError
from tileconv.execute.batch_report import KEPT, MADE, BatchReport, ImageReport
from tileconv.execute.executor import Pair, Setting, executor_of
from tileconv.execute.image import OfImage, Open, Ready
from tileconv.execute.images import each_image
from tileconv.execute.outcome import Outcome
from tileconv.execute.plates import Plates
from tileconv.execute.prepare import planned
from tileconv.execute.report import Report, peak_bytes
from tileconv.execute.run import COMPILING, Wanted, opened
from tileconv.execute.stop import Stop, on_signals
from tileconv.execute.work import Work
from tileconv.planning.machine import this_machine
from tileconv.planning.together import together_bytes
from tileconv.progress import Progress, watching
from tileconv.record.batch import (
    BEGUN,
    DONE,
    FAILED,
    BatchList,
    Entry,
    digest_of,
    is_whole,
    place_of,
    seen_of,
)
from tileconv.record.provenance import libraries
from tileconv.spec import PipelineSpec
from tileconv.tiles.windows import Job

OTHERS = ("numba", "numcodecs", "pillow", "tifffile", "zarr")
"""Libraries that another image may need than the first: they must be the same at all workers."""


def run_batch(
    spec: PipelineSpec,
    *,
    overwrite: bool = False,
    keep_going: bool = False,
    repair: bool = False,
    progress: Progress | None = None,
) -> BatchReport:
    """Run the pipeline of several images, or what is left of it, and return what became of each.

    Arguments are those of ``run_plan``. An image that fails is no error here: the report tells.

    Raises
    ------
    Interrupted
        If SIGINT or SIGTERM stopped it.
    TileconvError
        If the images cannot be told, the list of the batch cannot be written, or the pool is lost.
    """
    progress = watching(progress)
    with on_signals(progress.stopping) as stop:
        batch = Batch(spec, Wanted(overwrite, keep_going, repair), progress, stop)
        try:
            batch.make()
        except TileconvError as error:
            error.add_note(batch.how_far())
            raise
        finally:
            batch.close()
        if stop.signalled:
            raise Interrupted(f"interrupted: {batch.how_far()}")
        return batch.report()


class Batch:
    """A batch while it is made; ``reports`` holds what became of every image that came up, by name."""

    def __init__(self, spec: PipelineSpec, wanted: Wanted, progress: Progress, stop: Stop) -> None:
        self.spec, self.wanted, self.progress, self.stop = spec, wanted, progress, stop
        self.began, self.pipeline = time.perf_counter(), digest_of(spec)
        self.machine = this_machine(user_costs())  # once: what is free of its memory, these images take
        self.list = BatchList(place_of(spec))
        images = each_image(spec)
        self.plates = Plates(images)
        now = self.list.renew(images.named())
        self.list.write()
        self.vanished = [name for name in self.list.entries if name not in now]
        self.reports = {name: ImageReport(name, entry.outputs) for name, entry in now.items()}
        self.coming = images.named()
        self.next: Ready | None = None
        self.open: list[Open] = []
        self.jobs: dict[int, tuple[Open, Work]] = {}
        self.predicted = 0

    def make(self) -> None:
        """Have all tiles made in one pool."""
        self.progress.begin_batch(len(self.reports))
        run, first = self.spec.run, self._ready()
        self.next = first
        if first is None:
            return
        needed = {*libraries(first.plan, first.source), *OTHERS}
        told, cluster, hung = (self.progress, self.progress.note), self.spec.cluster, run.timeout_per_tile
        setting = Setting(run.executor, first.plan.workers, False, lambda: needed, *told, cluster, timeout_s=hung)
        self.stop.words = "stopping after the tiles in flight; Ctrl-C again ends at once"
        with telling(partial(self.progress.waiting, COMPILING)):
            executor_of(setting)(self._pairs(), self.stop, self._hear)

    def _pairs(self) -> Iterator[Pair | None]:
        """Yield tiles of open images, and open another where they have none; None while nothing more can begin."""
        while True:
            pair = next(filter(None, map(self._of, [*self.open])), None)
            if pair is None and self._another():
                continue
            if pair is None and not self.open:
                return
            yield pair

    def _of(self, one: Open) -> Pair | None:
        """Return the next tile of an open image, which is closed if it has none and none is in flight."""
        try:
            pair = next(one.pairs)
            if pair is not None:
                one.flying += 1
            return pair
        except StopIteration:
            self._close(one)
        except (OSError, TileconvError) as error:
            self._close(one, error)
        return None

    def _tiles(self, one: Open) -> Iterator[Pair | None]:
        """Yield the tiles of an image pass by pass; None while the next pass, or its end, waits for those in flight."""
        for work in one.run.passes():
            jobs = dict[int, Job]()  # which live until none of their tiles is in flight
            for pair in chain(work.of_job(), work.of_levels()):
                if one.run.ledger.stop.is_set():
                    break
                if pair is not None:
                    jobs[id(pair[0])] = pair[0]
                    self.jobs[id(pair[0])] = one, work
                yield pair
            while one.flying:
                yield None
            for number in jobs:
                del self.jobs[number]
            if one.error:
                raise one.error

    def _hear(self, job: Job, *outcomes: Outcome) -> None:
        one, work = self.jobs[id(job)]
        one.flying -= len(outcomes)
        try:
            if one.error is None:
                work.hear(job, *outcomes)
        except TileconvError as error:
            one.error = error
            one.run.ledger.stop.set()

    def _another(self) -> bool:
        """Open the next image if there is one and it fits in beside those that are open; return whether one came up."""
        ready = self.next = self.next or self._ready()
        if ready is None:
            return False
        together = together_bytes([ready.plan, *(one.run.begun.plan for one in self.open)])
        if self.open and together > ready.plan.memory_limit:
            return False
        self.next, self.predicted = None, max(self.predicted, together)
        try:
            one = self._opened(ready)
        except TileconvError as error:
            self._ended(ready.name, FAILED, error=error)
            return True
        one.pairs = self._tiles(one)
        self.open.append(one)
        return True

    def _opened(self, ready: Ready) -> Open:
        with ExitStack() as stack:
            progress, stop = OfImage(self.progress, ready.name), Stop()
            run = stack.enter_context(opened(ready.plan, ready.source, self.wanted, progress, nullcontext(stop)))
            known = self.list.entries[ready.name]
            self.list.set(ready.name, replace(known, state=BEGUN, error="", seen=""))
            return Open(ready.name, ready.seen, run, stack.pop_all())

    def _ready(self) -> Ready | None:
        """Return the next image that something is left of, planned; None where there is none."""
        for name, image in takewhile(lambda _: not self.stop.is_set(), self.coming):
            try:
                if isinstance(image, TileconvError):
                    raise image
                seen = seen_of(image, self.pipeline)
                if self._known(name, seen, image):
                    self._ended(name, DONE, seen=seen)
                    continue
                return Ready(name, *planned(image, self.machine), seen)
            except TileconvError as error:
                self._ended(name, FAILED, error=error)
        return None

    def _known(self, name: str, seen: str, image: PipelineSpec) -> bool:
        """Return whether all is there that this batch would make of an image, as it is known without a plan."""
        entry = self.list.entries[name]
        same = seen and entry.state == DONE and entry.seen == seen
        looks = not (self.wanted.overwrite or self.wanted.repair)
        return looks and bool(same) and all(is_whole(o.path) for o in image.outputs)

    def _close(self, one: Open, error: Exception | None = None) -> None:
        """Finish a run, or leave it as far as it came because of *error*."""
        self.open.remove(one)
        report = None
        try:
            with one.closing:
                if error:
                    raise error
                report = one.run.finish()
        except TileconvError as wrong:
            one.run.tell_how_far(wrong)
            self._ended(one.name, FAILED, error=wrong)
        else:
            self._ended(one.name, DONE, report=report, seen=one.seen)

    def _ended(
        self,
        name: str,
        state: str,
        *,
        report: Report | None = None,
        error: TileconvError | None = None,
        seen: str = "",
    ) -> None:
        """Write down what became of an image."""
        outputs = self.list.entries[name].outputs
        told = FAILED if error else MADE if report and report.tiles else KEPT
        self.reports[name] = ImageReport(name, outputs, told, report, error)
        self.list.set(name, Entry(outputs, state, str(error or ""), seen))
        if state == DONE:
            self.plates.whole(name)
        self.progress.image(", ".join(outputs) or name, state, str(error or ""))

    def close(self) -> None:
        """Leave all runs that are open as far as they came, and write the list."""
        for one in [*self.open]:
            one.run.ledger.stop.signalled = self.stop.signalled
            with one.closing:
                pass
        self.open.clear()
        self.plates.write()
        self.list.write()

    def how_far(self) -> str:
        """Return how many images are done, and what makes the others."""
        done = sum(one.state in {MADE, KEPT} for one in self.reports.values())
        command = "the same command without --overwrite" if self.wanted.overwrite else "the same command"
        return f"{done:,} of {len(self.reports):,} images are done; {command} makes the others"

    def report(self) -> BatchReport:
        """Return what became of all images."""
        return BatchReport(
            tuple(self.reports.values()),
            tuple(self.vanished),
            time.perf_counter() - self.began,
            peak_bytes(),
            self.predicted,
            str(self.list.place),
        )
