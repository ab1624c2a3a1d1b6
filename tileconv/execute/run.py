"""A plan to a finished store: what is left of its passes in order, tiles in parallel, metadata last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
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
from tileconv.execute.report import Report, peak_bytes
from tileconv.execute.staging import revoke, writing
from tileconv.execute.stop import on_signals
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
from tileconv.stores.local import LocalStore
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
    refuse_outputs(plan, source)
    folder = RunFolder(Path(plan.spec.output.path))
    missing_chunks, _ = source.missing_chunks_total()
    hold = plan.spec.run.lock == "auto"
    with sink_errors(folder.output), folder.locked(hold=hold), on_signals(progress.stopping) as stop:
        revoke(folder)
        mending = repair or (folder.repairing() and not overwrite)
        mended = mark_damaged(plan, source, folder, progress, stop) if mending else None
        begun = begin(plan, source, folder, overwrite=overwrite, history=mended.history if mended else None)
        ledger = None
        if any(begun.todo.left) or not begun.sinks[-1].custody.complete():  # else nothing is written
            folder.unset_done()
            with Journal(folder.store) as journal:
                ledger = Ledger(begun.plan, journal, begun.history, progress, stop, keep_going)
                with nullcontext() if plan.spec.run.executor == "threads" else writing(folder) as staging:
                    _make(begun, source, ledger, staging, overwrite=overwrite)
        for sink in begun.sinks[:-1]:
            sink.custody.remove()
        if not folder.done():
            folder.unset_repairing()
            folder.set_done(facts_of(folder, begun.sinks[-1], plan.fingerprint()))
    return _report(begun, source.info.notes, ledger, mended, missing_chunks, time.perf_counter() - began)


def _report(
    begun: Begun,
    notes: tuple[str, ...],
    ledger: Ledger | None,
    mended: Mending | None,
    missing_chunks: int,
    seconds: float,
) -> Report:
    """Return what was done in *seconds*, by a *ledger* if tiles were made; *notes* are those of the input."""
    plan = begun.plan
    return Report(
        output=Path(begun.sinks[-1].store.where()),
        shape=plan.info.shape,
        dtype=str(plan.info.dtype),
        tiles=ledger.tiles_made if ledger else 0,
        seconds=seconds,
        megapixels_per_second=(ledger.pixels if ledger else 0) / 1e6 / seconds,
        counts=begun.history.counts(),
        missing_chunks=missing_chunks,
        peak_bytes=peak_bytes(),
        predicted_bytes=plan.peak_bytes,
        fingerprint=plan.fingerprint(),
        notes=(*notes, *begun.notes, *(ledger.notes if ledger else ())),
        kept=begun.todo.kept,
        why=str(begun.todo) if begun.resumed else "",
        damages=tuple(map(str, mended.verification.damages)) if mended else (),
    )


def _make(begun: Begun, source: Source, ledger: Ledger, staging: Path | None, *, overwrite: bool) -> None:
    """Make the tiles that are left, pass by pass, and finish the output; workers write by way of *staging*."""
    plan, sinks, left = begun.plan, begun.sinks, begun.todo.left
    ledger.begin()
    boxes = (tile_at(pass_.grid, n) for pass_, numbers in zip(plan.passes, left, strict=True) for n in numbers)
    ledger.progress.begin(sum(map(len, left)), sum(box.size for box in boxes), begun.todo.kept)
    if begun.resumed:
        ledger.progress.resumed(str(begun.todo))
    _prepare(begun)
    for number, (pass_, sink) in enumerate(zip(plan.passes, sinks, strict=True)):
        if left[number]:
            before = source if number == 0 else _between(sinks[number - 1], pass_.source.axes)
            ledger.begin_pass(number)
            possible = _possible(begun, ledger, number)
            try:
                job = Job(pass_, before, _staged(sink, staging))
                with telling(partial(ledger.progress.waiting, "compiling loops, on the first run only")):
                    _tiles(plan, job, possible, ledger, whole=not begun.resumed)
                give_back()
                if ledger.stop.signalled:
                    raise Interrupted(f"interrupted: {ledger.how_far(None, overwrite=overwrite)}")
                _check(ledger, possible)
            except TileconvError as error:
                error.add_note(ledger.how_far(error, overwrite=overwrite))
                raise
        if sink.layout.plain and left[number + 1]:  # also where a run ended after the last tile and before this
            sink.finish({}) if sink.custody.whole() else sink.finish_part()
    if ledger.failures:
        raise _unfinished(ledger, overwrite=overwrite)
    made = provenance(plan, source, begun.history.counts())
    sinks[-1].finish(made, name=image_name(plan), workers=plan.workers)


def _staged(sink: ZarrSink, staging: Path | None) -> ZarrSink:
    """Return *sink* as workers write to it, by way of *staging*."""
    return replace(sink, store=LocalStore(Path(sink.store.where()), staging)) if staging else sink


def _prepare(begun: Begun) -> None:
    """Make the stores that tiles are written to, or mark those that are there as not whole."""
    for sink, left in zip(begun.sinks, begun.todo.left, strict=True):
        if not sink.custody.holds_array():
            if left:
                sink.create(overwrite=True)
            continue
        sink.custody.tidy()
        if left or not sink.layout.plain:
            sink.unfinish()


def _possible(begun: Begun, ledger: Ledger, number: int) -> Sequence[int]:
    """Return the tiles of pass *number* that are left and need no tile that failed or was left out itself."""
    left, plan = begun.todo.left[number], begun.plan
    failed = {key.tile for key in (*ledger.failures, *ledger.left_out) if key.array == number - 1}
    if not failed:
        return left
    pass_, before = plan.passes[number], plan.passes[number - 1].grid
    possible = [tile for tile in left if failed.isdisjoint(reads(pass_, tile_at(pass_.grid, tile), before))]
    lost = set(left) - set(possible)
    ledger.left_out |= {TileKey(number, 0, tile) for tile in lost}
    return possible


def _between(sink: ZarrSink, axes: str) -> Source:
    """Open what a pass wrote for the next; a chunk that is not there must never read as zeros."""
    return open_source(sink.store.where(), axes=axes, missing_chunks="error")


def _tiles(plan: Plan, job: Job, numbers: Sequence[int], ledger: Ledger, *, whole: bool) -> None:
    """Make tiles of one pass where the plan says; halos are exchanged only where all tiles are made at once."""
    rows, executor = job.pass_.method == "overlap" and whole and not ledger.keep_going, plan.spec.run.executor
    flying = tiles_text(min(plan.workers, len(numbers))) if executor in EXECUTORS else "the tiles in flight"
    ledger.stop.words = f"stopping after {'this row of tiles' if rows else flying}; Ctrl-C again ends at once"
    needed = partial(libraries, plan, job.source)
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
        pass_ = ledger.plan.passes[ledger.number]
        problem = f"nothing was heard of {len(unheard):,} tiles, the first is {tile_at(pass_.grid, unheard[0])}"
        fix = "This is a mistake in tileconv: please report it. The same command makes them."
        raise TileError(problem, where=ledger.plan.spec.output.path, fix=fix)


def _unfinished(ledger: Ledger, *, overwrite: bool) -> UnfinishedError:
    count = len(ledger.failures)
    named = "; ".join(str(failure.error).removesuffix(".") for failure in list(ledger.failures.values())[:NAMED])
    more = f"; and {count - NAMED:,} more, which tileconv status lists" * (count > NAMED)
    out = f", {len(ledger.left_out):,} need them" * bool(ledger.left_out)
    problem = f"{count:,} tile{'s' * (count != 1)} failed{out}: {named}{more}"
    error = UnfinishedError(problem, where=ledger.plan.spec.output.path)
    passes = all(failure.system in TRANSIENT for failure in ledger.failures.values())
    error.fix = f"{ledger.how_far(None if passes else error, overwrite=overwrite)}."
    return error
