"""A plan to a finished store: what is left of its passes in order, tiles in parallel, metadata last."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from pathlib import Path

from tileconv.allocator import give_back
from tileconv.boxes import pixels_of
from tileconv.engines.loops import telling
from tileconv.errors import Interrupted, TileconvError, UnfinishedError
from tileconv.execute.begin import Begun, as_begun, begin, refuse_outputs
from tileconv.execute.executor import EXECUTORS, Kept, Setting, executor_of
from tileconv.execute.ledger import Ledger
from tileconv.execute.repair import Mending, mark_damaged
from tileconv.execute.report import Report, Stored, peak_bytes
from tileconv.execute.staging import revoke, writing
from tileconv.execute.stop import Stop, on_signals
from tileconv.execute.work import Levels, Work, job_of, target
from tileconv.planning.model import Plan
from tileconv.progress import Progress, watching
from tileconv.quick import dataclass
from tileconv.record.done import facts_of
from tileconv.record.filed import exported
from tileconv.record.folder import RunFolder
from tileconv.record.levels import all_done
from tileconv.record.provenance import image_name, libraries, provenance
from tileconv.record.segments import journal
from tileconv.record.todo import OF_LEVELS
from tileconv.shown import tiles_text
from tileconv.sinks.files import sink_errors
from tileconv.sources.source import Source

COMPILING = "compiling loops, on the first run only"


def run_plan(
    plan: Plan,
    source: Source,
    *,
    overwrite: bool = False,
    keep_going: bool = False,
    repair: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Carry out *plan* on *source*, or what an earlier run left of it, and return what was done.

    Parameters
    ----------
    overwrite
        Whether to begin anew, and replace an output that tileconv made before.
    keep_going
        Whether the other tiles are made when one fails.
    repair
        Whether the output is verified first, and what is damaged made again. A repair that was begun and is not done
        is resumed in any case.

    Raises
    ------
    Interrupted
        If SIGINT or SIGTERM stopped the run.
    UnfinishedError
        If tiles failed and *keep_going* was set.
    TileconvError
        What went wrong, with the tile or file. The output then has no ``ome`` metadata and does not pass for an image.
    """
    progress = watching(progress)
    wanted = Wanted(overwrite, keep_going, repair)
    with opened(plan, source, wanted, progress, on_signals(progress.stopping)) as run:
        try:
            with Kept() as kept:
                for work in run.passes():
                    _make(run, work, kept)
        except TileconvError as error:
            run.tell_how_far(error)
            raise
        return run.finish()


def _make(run: Run, work: Work, kept: Kept) -> None:
    """Make tiles of one pass where the plan says; halos are exchanged only where all tiles are made at once."""
    plan, ledger, executor = run.begun.plan, run.ledger, run.begun.plan.spec.run.executor
    timeout_s = plan.spec.run.timeout_per_tile
    rows = work.by_rows and not (run.begun.resumed or ledger.keep_going or timeout_s)
    flying = tiles_text(min(plan.workers, work.count)) if executor in EXECUTORS else "the tiles in flight"
    ledger.stop.words = f"stopping after {'this row of tiles' if rows else flying}; Ctrl-C again ends at once"
    told = partial(libraries, plan, run.source), ledger.progress, ledger.note, plan.spec.cluster, kept, timeout_s
    each = work.of_job(), work.of_levels()
    for by_rows, pairs in zip((True, False), each, strict=True) if rows else [(False, chain(*each))]:
        work.flying.clear()  # by rows the others are handed out once they are made
        setting = Setting(executor, plan.workers, by_rows, *told)
        with telling(partial(ledger.progress.waiting, COMPILING)):
            executor_of(setting)(pairs, ledger.stop, work.hear)


@dataclass(frozen=True)
class Wanted:
    """How a run goes about what is there already, and about tiles that fail, as ``run_plan`` has it."""

    overwrite: bool = False
    keep_going: bool = False
    repair: bool = False


@contextmanager
def opened(
    plan: Plan, source: Source, wanted: Wanted, progress: Progress, stopping: AbstractContextManager[Stop]
) -> Iterator[Run]:
    """Yield the run of *plan*, whose outputs are locked in the block; *stopping* is entered once they are.

    Raises
    ------
    TileconvError
        As ``refuse_outputs``, ``mark_damaged`` and ``begin``; or if another run holds a lock.
    """
    began = time.perf_counter()
    refuse_outputs(plan)
    folders = [RunFolder(output.path) for output in plan.spec.outputs]
    missing_chunks, _ = source.missing_chunks_total()
    with sink_errors(folders[0].output), ExitStack() as stack:
        for folder in folders:
            stack.enter_context(folder.locked(hold=plan.spec.run.lock == "auto", heard=progress.note))
        stop = stack.enter_context(stopping)
        for folder in folders:
            revoke(folder)
        plan, notes = (plan, []) if wanted.overwrite else as_begun(plan, folders)
        mended = {
            output: mark_damaged(plan, source, output, folder, progress, stop)
            for output, folder in enumerate(folders)
            if (wanted.repair and _mendable(folder, folders)) or (folder.repairing() and not wanted.overwrite)
        }
        known = {output: one.history for output, one in mended.items()}
        begun = begin(plan, source, folders, overwrite=wanted.overwrite, known=known)
        for output in begun.outputs:
            folders[output].unset_done()
        begun = replace(begun, notes=(*begun.notes, *notes))
        plan, open_ = begun.plan, stack.enter_context(ExitStack())
        used = sorted({plan.recorded(write.array)[0] for pass_ in begun.passes for write in pass_.writes})
        journals = {output: open_.enter_context(journal(folders[output].place)) for output in used}
        ledger = Ledger(plan, begun.passes, journals, begun.histories, progress, stop, wanted.keep_going)
        elsewhere = plan.spec.run.executor != "threads"
        staged = [output for output in used if elsewhere and not folders[output].place.scheme]
        staging = {output: open_.enter_context(writing(folders[output])) for output in staged}
        run = Run(begun, source, folders, wanted, ledger, staging, mended, missing_chunks, began, open_)
        if begun.outputs:  # else nothing is written
            run.prepare()
        yield run


def _mendable(folder: RunFolder, folders: Sequence[RunFolder]) -> bool:
    """Return whether *folder* is repaired where that is asked for: of several outputs those that were begun."""
    return len(folders) == 1 or folder.plan() is not None


@dataclass
class Run:
    """One image's run while it is open: ``passes`` is what to make, ``ledger`` hears of tiles, ``finish`` ends it.

    Where it is left without ``finish`` the output is as far as it came, and the same run goes on with it.

    ``folders`` are the run folders of its outputs, locked; workers of other processes write by way of those in
    ``staging``, by output. ``mended`` is what was found damaged, by output; ``open`` is what is closed before an
    output counts as done: journals, and where workers write.
    """

    begun: Begun
    source: Source
    folders: Sequence[RunFolder]
    wanted: Wanted
    ledger: Ledger
    staging: Mapping[int, Path]
    mended: Mapping[int, Mending]
    missing_chunks: int
    began: float
    open: ExitStack

    def prepare(self) -> None:
        """Say what is to be made, and make the stores that tiles are written to, or mark those there as not whole."""
        begun, left = self.begun, self.begun.todo.left
        self.ledger.begin()
        pixels = sum(pixels_of(pass_.grid, numbers) for pass_, numbers in zip(begun.passes, left, strict=True))
        count = sum(map(len, left)) + begun.todo.reasons.get(OF_LEVELS, 0)
        self.ledger.progress.begin(count, pixels, begun.todo.kept)
        if begun.resumed:
            self.ledger.progress.resumed(str(begun.todo))
        writes = [(write, of) for pass_, of in zip(begun.passes, left, strict=True) for write in pass_.writes]
        for sink, tiles in ((begun.sinks[write.array], of) for write, of in writes):
            if not sink.custody.holds_array():
                if tiles:
                    sink.create(overwrite=True)
                continue
            sink.custody.tidy()
            if tiles or not sink.layout.plain:
                sink.unfinish()

    def passes(self) -> Iterator[Work]:
        """Yield what is left of each pass; the next is asked for once no tile is in flight any more.

        Raises
        ------
        Interrupted
            If a signal stopped the run.
        TileconvError
            What ended a pass before its end.
        """
        begun, ledger = self.begun, self.ledger
        for number, pass_ in enumerate(begun.passes):
            left, levels = begun.todo.left[number], begun.todo.levels[number]
            if left or any(map(any, levels.values())):
                sinks = {write.array: target(begun, write.array, self.staging) for write in pass_.writes}
                possible = ledger.begin_pass(number, left)
                of = [Levels(pass_, w, sinks[w.array], levels[w.array]) for w in pass_.writes if w.levels]
                job = job_of(begun, pass_, self.source, [*sinks.values()]) if left else None
                yield Work(ledger, job, possible, of)
                give_back()
                if ledger.stop.signalled:
                    raise Interrupted(f"interrupted: {ledger.how_far(None, overwrite=self.wanted.overwrite)}")
                ledger.check(possible)
            for sink in (begun.sinks[write.array] for write in pass_.writes if _wanted(begun, write.array)):
                sink.finish({}) if sink.custody.whole() else sink.finish_part()

    def tell_how_far(self, error: TileconvError) -> None:
        """Note on the *error* that ends the run how far it came, and what makes the rest."""
        error.add_note(self.ledger.how_far(error, overwrite=self.wanted.overwrite))

    def finish(self) -> Report:
        """Complete the outputs of which all tiles are made, and return what was done.

        Raises
        ------
        UnfinishedError
            If tiles failed and others were made all the same.
        SinkError
            If the file system refuses.
        """
        begun, plan, failed = self.begun, self.begun.plan, None
        try:
            with self.open.pop_all():
                self._complete()
        except UnfinishedError as error:  # of some outputs all tiles may be there
            failed = error
        for sink in begun.sinks[: plan.between] if failed is None else ():
            sink.custody.remove()
        for output, (folder, sink) in enumerate(zip(self.folders, begun.sinks[plan.between :], strict=True)):
            if sink.custody.complete() and not folder.done():
                folder.unset_repairing()
                if folder.kind:
                    from tileconv.execute.export import make_file  # with what writes files

                    make_file(plan, output, folder, self.ledger)
                folder.set_done(facts_of(folder, sink, plan.fingerprint(output)))
            if exported(folder) and not sink.custody.free():
                sink.custody.remove()
        if failed:
            raise failed
        return self._report(time.perf_counter() - self.began)

    def _complete(self) -> None:
        begun, plan, acquired = self.begun, self.begun.plan, cache(self.source.acquired)
        for output in begun.outputs:
            number = plan.recorded(plan.between + output)[1]
            if all_done(begun.histories[output], number, len(plan.write_of(output).levels)):
                told = provenance(plan, self.source, begun.histories[output].counts(), output)
                sink = begun.sinks[plan.between + output]
                sink.finish(told, name=image_name(plan, output), workers=plan.workers, acquired=acquired())
        if self.ledger.failures:
            raise self.ledger.unfinished(overwrite=self.wanted.overwrite)

    def _report(self, seconds: float) -> Report:
        begun, plan, ledger = self.begun, self.begun.plan, self.ledger
        stored = []
        for output, (folder, history) in enumerate(zip(self.folders, begun.histories, strict=True)):
            info = plan.write_of(output).info
            shown, fingerprint = folder.output.shown, plan.fingerprint(output)
            stored.append(Stored(shown, info.shape, str(info.dtype), history.counts(), fingerprint))
        return Report(
            **vars(stored[0]),
            tiles=ledger.tiles_made,
            seconds=seconds,
            megapixels_per_second=ledger.pixels / 1e6 / seconds,
            missing_chunks=self.missing_chunks,
            peak_bytes=peak_bytes(),
            predicted_bytes=plan.peak_bytes,
            notes=(*self.source.info.notes, *begun.notes, *ledger.notes),
            kept=begun.todo.kept,
            why=str(begun.todo) if begun.resumed else "",
            damages=tuple(str(damage) for one in self.mended.values() for damage in one.verification.damages),
            others=tuple(stored[1:]),
        )


def _wanted(begun: Begun, array: int) -> bool:
    """Return whether a tile that is left reads *array*, also where a run ended after the last tile of that."""
    passes = zip(begun.passes, begun.todo.left, strict=True)
    return any(left and array in [read.array for read in pass_.reads] for pass_, left in passes)
