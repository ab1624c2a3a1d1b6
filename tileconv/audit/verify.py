"""Whether an output is still what its run wrote, and on request what the input gives; no pipeline is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tileconv.audit.recompute import count_of, differences, sample
from tileconv.audit.rerun import plan_again
from tileconv.errors import PlanError, SinkError
from tileconv.progress import Progress, watching
from tileconv.record.compare import Verification, examine
from tileconv.record.done import recorded_plan, recorded_run, tiles_of
from tileconv.record.folder import RunFolder
from tileconv.record.journal import History
from tileconv.sinks.files import sink_errors
from tileconv.stores.location import Location, here


def verify(
    output: Path | str | Location, *, recompute: str = "", seed: int = 0, progress: Progress | None = None
) -> Verification:
    """Compare an output with what its run wrote, tile by tile, and return every difference.

    Parameters
    ----------
    recompute
        How much to make again from the input and compare as well: a share such as ``1%``, or a number of boxes, each
        of the size of a tile; nothing by default.
    seed
        Another number, another sample.
    progress
        Hears of every tile.

    Raises
    ------
    SourceError
        If there is no run folder to compare with; or the input is gone, where a sample is asked for.
    SinkError
        If a run is writing the output now.
    ResumeError
        If a sample is asked for, and input, kernels or engines differ from those of the run.
    PlanError
        If *recompute* is no share and no number, or a box does not fit in memory; or the output is no store.
    """
    progress = watching(progress)
    if recompute:
        count_of(recompute, 1)
    verified = verify_stored(output, progress=progress)
    if not recompute:
        return verified
    if any(damage.tile is None for damage in verified.damages):
        return replace(verified, notes=(*verified.notes, "nothing was made again, because more than tiles is damaged"))
    where = here(output)
    if kind := RunFolder(where).kind:
        fix = "tileconv rerun makes it again beside it."
        raise PlanError(f"a sample is made again of stores alone, and this is one {kind}", where=str(where), fix=fix)
    again = plan_again(where, where, run=recorded_run(where))
    boxes = sample(again.plan.passes[-1], recompute, seed)
    damages = differences(again, where, boxes, progress)
    return replace(verified, damages=(*verified.damages, *damages), recomputed=len(boxes), notes=again.notes)


def verify_stored(output: Path | str | Location, *, progress: Progress | None = None) -> Verification:
    """Compare all of *output* with what its run wrote.

    Raises
    ------
    SourceError
        If there is no run folder to compare with, or it is damaged.
    SinkError
        If a run is writing the output now.
    """
    folder = RunFolder(here(output))
    if folder.live():
        holder = folder.holder() or {}
        who = f"process {holder.get('pid')} on {holder.get('host')}"
        raise SinkError(f"is being written now, by {who}", where=str(folder.output), fix="Wait for its end.")
    plan = recorded_plan(folder)
    history, begun = History.of(folder.store, tiles_of(folder, plan)), folder.repairing()
    with sink_errors(folder.output, "read"):
        return examine(folder, plan, watching(progress), history, repairing=begun)
