"""A plan to a finished store: what is left of its passes in order, tiles in parallel, metadata last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from tileconv.allocator import give_back
from tileconv.boxes import tile_at
from tileconv.engines.loops import telling
from tileconv.errors import Interrupted, TileconvError, TileError, UnfinishedError
from tileconv.execute.begin import Begun, begin, refuse_outputs
from tileconv.execute.executor import EXECUTORS, Setting, executor_of
from tileconv.execute.ledger import Ledger
from tileconv.execute.repair import Mending, mark_damaged
from tileconv.execute.report import Report, Stored, peak_bytes
from tileconv.execute.staging import revoke, writing
from tileconv.execute.stop import Stop, on_signals
from tileconv.planning.model import Plan
from tileconv.progress import Progress, watching
from tileconv.record.done import facts_of
from tileconv.record.folder import RunFolder
from tileconv.record.journal import Journal, TileKey
from tileconv.record.provenance import image_name, libraries, provenance
from tileconv.record.todo import reads
from tileconv.retry import HOPELESS, TRANSIENT
from tileconv.shown import tiles_text
from tileconv.sinks.files import sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.spec.model import INPUT
from tileconv.stores.location import Location
from tileconv.tiles.windows import Job

NAMED = 5
"""How many failed tiles a message names."""


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
    began = time.perf_counter()
    progress = watching(progress)
    refuse_outputs(plan)
    folders = [RunFolder(output.path) for output in plan.spec.outputs]
    missing_chunks, _ = source.missing_chunks_total()
    with sink_errors(folders[0].output), ExitStack() as stack:
        for folder in folders:
            stack.enter_context(folder.locked(hold=plan.spec.run.lock == "auto"))
        stop = stack.enter_context(on_signals(progress.stopping))
        for folder in folders:
            revoke(folder)
        mended = {
            output: mark_damaged(plan, source, output, folder, progress, stop)
            for output, folder in enumerate(folders)
            if (repair and _mendable(folder, folders)) or (folder.repairing() and not overwrite)
        }
        known = {output: one.history for output, one in mended.items()}
        begun = begin(plan, source, folders, overwrite=overwrite, known=known)
        ledger, failed = None, None
        try:
            if begun.outputs:  # else nothing is written
                ledger = _written(begun, source, folders, progress, stop, keep_going=keep_going, overwrite=overwrite)
        except UnfinishedError as error:  # of some outputs all tiles may be there
            failed = error
        for sink in begun.sinks[: begun.plan.between] if failed is None else ():
            sink.custody.remove()
        for output, (folder, sink) in enumerate(zip(folders, begun.sinks[begun.plan.between :], strict=True)):
            if sink.custody.complete() and not folder.done():
                folder.unset_repairing()
                folder.set_done(facts_of(folder, sink, plan.fingerprint(output)))
        if failed:
            raise failed
    return _report(begun, source.info.notes, ledger, mended, missing_chunks, time.perf_counter() - began)


def _mendable(folder: RunFolder, folders: Sequence[RunFolder]) -> bool:
    """Return whether *folder* is repaired where that is asked for: of several outputs those that were begun."""
    return len(folders) == 1 or folder.plan() is not None


def _report(
    begun: Begun,
    notes: tuple[str, ...],
    ledger: Ledger | None,
    mended: Mapping[int, Mending],
    missing_chunks: int,
    seconds: float,
) -> Report:
    """Return what was done in *seconds*, by a *ledger* if tiles were made; *notes* are those of the input."""
    plan, places = begun.plan, begun.places[begun.plan.between :]
    stored = []
    for output, (place, history) in enumerate(zip(places, begun.histories, strict=True)):
        info = plan.write_of(output).info
        stored.append(Stored(place.local, info.shape, str(info.dtype), history.counts(), plan.fingerprint(output)))
    return Report(
        **vars(stored[0]),
        tiles=ledger.tiles_made if ledger else 0,
        seconds=seconds,
        megapixels_per_second=(ledger.pixels if ledger else 0) / 1e6 / seconds,
        missing_chunks=missing_chunks,
        peak_bytes=peak_bytes(),
        predicted_bytes=plan.peak_bytes,
        notes=(*notes, *begun.notes, *(ledger.notes if ledger else ())),
        kept=begun.todo.kept,
        why=str(begun.todo) if begun.resumed else "",
        damages=tuple(str(damage) for one in mended.values() for damage in one.verification.damages),
        others=tuple(stored[1:]),
    )


def _written(
    begun: Begun,
    source: Source,
    folders: Sequence[RunFolder],
    progress: Progress,
    stop: Stop,
    *,
    keep_going: bool,
    overwrite: bool,
) -> Ledger:
    """Make what is left and finish the outputs, and return the book of it; errors as of ``run_plan``."""
    plan = begun.plan
    used = sorted({plan.recorded(write.array)[0] for pass_ in begun.passes for write in pass_.writes})
    for output in begun.outputs:
        folders[output].unset_done()
    with ExitStack() as stack:
        journals = {output: stack.enter_context(Journal(folders[output].place)) for output in used}
        ledger = Ledger(plan, begun.passes, journals, begun.histories, progress, stop, keep_going)
        staging = (
            {}
            if plan.spec.run.executor == "threads"
            else {output: stack.enter_context(writing(folders[output])) for output in used}
        )
        _make(begun, source, ledger, staging, overwrite=overwrite)
    return ledger


def _make(begun: Begun, source: Source, ledger: Ledger, staging: Mapping[int, Path], *, overwrite: bool) -> None:
    """Make the tiles that are left, pass by pass, and finish the outputs; workers write by way of *staging*."""
    plan, sinks, places, left = begun.plan, begun.sinks, begun.places, begun.todo.left
    ledger.begin()
    boxes = (tile_at(pass_.grid, n) for pass_, numbers in zip(begun.passes, left, strict=True) for n in numbers)
    ledger.progress.begin(sum(map(len, left)), sum(box.size for box in boxes), begun.todo.kept)
    if begun.resumed:
        ledger.progress.resumed(str(begun.todo))
    _prepare(begun)
    for number, pass_ in enumerate(begun.passes):
        if left[number]:
            axes = pass_.image.axes
            sources = tuple(source if r.array == INPUT else _between(places[r.array], axes) for r in pass_.reads)
            targets = [_target(begun, write.array, staging) for write in pass_.writes]
            ledger.begin_pass(number)
            possible = _possible(begun, ledger, number)
            try:
                job = Job(pass_, sources, tuple(targets))
                with telling(partial(ledger.progress.waiting, "compiling loops, on the first run only")):
                    _tiles(plan, source, job, possible, ledger, whole=not begun.resumed)
                give_back()
                if ledger.stop.signalled:
                    raise Interrupted(f"interrupted: {ledger.how_far(None, overwrite=overwrite)}")
                _check(ledger, possible)
            except TileconvError as error:
                error.add_note(ledger.how_far(error, overwrite=overwrite))
                raise
        for sink in (sinks[write.array] for write in pass_.writes if _wanted(begun, write.array)):
            sink.finish({}) if sink.custody.whole() else sink.finish_part()
    for output in begun.outputs:
        if begun.histories[output].is_done(plan.recorded(plan.between + output)[1]).all():
            told = provenance(plan, source, begun.histories[output].counts(), output)
            sinks[plan.between + output].finish(told, name=image_name(plan, output), workers=plan.workers)
    if ledger.failures:
        raise _unfinished(ledger, overwrite=overwrite)


def _wanted(begun: Begun, array: int) -> bool:
    """Return whether a tile that is left reads *array*, also where a run ended after the last tile of that."""
    passes = zip(begun.passes, begun.todo.left, strict=True)
    return any(left and array in [read.array for read in pass_.reads] for pass_, left in passes)


def _target(begun: Begun, array: int, staging: Mapping[int, Path]) -> ZarrSink:
    """Return the sink of *array* as workers write to it, by way of the folder in *staging* of its output."""
    folder = staging.get(begun.plan.recorded(array)[0])
    return replace(begun.sinks[array], store=begun.places[array].store(folder))


def _prepare(begun: Begun) -> None:
    """Make the stores that tiles are written to, or mark those that are there as not whole."""
    writes = [
        (write, left) for pass_, left in zip(begun.passes, begun.todo.left, strict=True) for write in pass_.writes
    ]
    for sink, left in ((begun.sinks[write.array], left) for write, left in writes):
        if not sink.custody.holds_array():
            if left:
                sink.create(overwrite=True)
            continue
        sink.custody.tidy()
        if left or not sink.layout.plain:
            sink.unfinish()


def _possible(begun: Begun, ledger: Ledger, number: int) -> Sequence[int]:
    """Return the tiles of pass *number* that are left and need no tile that failed or was left out itself."""
    left, pass_ = begun.todo.left[number], begun.passes[number]
    lost: set[int] = set()
    for at, earlier in enumerate(begun.passes[:number]):
        failed = {key.tile for key in (*ledger.failures, *ledger.left_out) if key.array == at}
        arrays = [write.array for write in earlier.writes]
        for n in [n for n, read in enumerate(pass_.reads) if failed and read.array in arrays]:
            lost |= {t for t in left if not failed.isdisjoint(reads(pass_, tile_at(pass_.grid, t), earlier.grid, n))}
    ledger.left_out |= {TileKey(number, 0, tile) for tile in lost}
    return [tile for tile in left if tile not in lost] if lost else left


def _between(place: Location, axes: str) -> Source:
    """Open what a pass wrote for a later one; a chunk that is not there must never read as zeros."""
    return open_source(place.local, axes=axes, missing_chunks="error")


def _tiles(plan: Plan, source: Source, job: Job, numbers: Sequence[int], ledger: Ledger, *, whole: bool) -> None:
    """Make tiles of one pass where the plan says; halos are exchanged only where all tiles are made at once."""
    rows, executor = job.pass_.method == "overlap" and whole and not ledger.keep_going, plan.spec.run.executor
    flying = tiles_text(min(plan.workers, len(numbers))) if executor in EXECUTORS else "the tiles in flight"
    ledger.stop.words = f"stopping after {'this row of tiles' if rows else flying}; Ctrl-C again ends at once"
    needed = partial(libraries, plan, source)
    make = executor_of(Setting(executor, plan.workers, rows, needed, ledger.progress, ledger.note))
    pairs = ((job, tile_at(job.pass_.grid, number)) for number in numbers)
    make(pairs, ledger.stop, lambda _, outcome: ledger.hear(outcome))


def _check(ledger: Ledger, possible: Sequence[int]) -> None:
    """Raise what ended a pass before its end: a failed tile, or that not all *possible* tiles were heard of."""
    if ledger.stop.is_set():
        failures = list(ledger.failures.values())
        hopeless = (failure for failure in failures if ledger.keep_going and failure.system in HOPELESS)
        raise next(hopeless, failures[0]).error  # the one that stopped it
    if unheard := ledger.unheard(possible):
        pass_ = ledger.passes[ledger.number]
        problem = f"nothing was heard of {len(unheard):,} tiles, the first is {tile_at(pass_.grid, unheard[0])}"
        fix = "This is a mistake in tileconv: please report it. The same command makes them."
        raise TileError(problem, where=str(ledger.plan.spec.output.path), fix=fix)


def _unfinished(ledger: Ledger, *, overwrite: bool) -> UnfinishedError:
    count = len(ledger.failures)
    named = "; ".join(str(failure.error).removesuffix(".") for failure in list(ledger.failures.values())[:NAMED])
    more = f"; and {count - NAMED:,} more, which tileconv status lists" * (count > NAMED)
    out = f", {len(ledger.left_out):,} need them" * bool(ledger.left_out)
    problem = f"{count:,} tile{'s' * (count != 1)} failed{out}: {named}{more}"
    error = UnfinishedError(problem, where=str(ledger.plan.spec.output.path))
    passes = all(failure.system in TRANSIENT for failure in ledger.failures.values())
    error.fix = f"{ledger.how_far(None if passes else error, overwrite=overwrite)}."
    return error
