"""How far a run is, read from its run folder alone: from any shell, while it runs or after it died."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.record.done import check_not_replaced, known_by, recorded_store, tiles_of
from tileconv.record.filed import exported
from tileconv.record.folder import RunFolder
from tileconv.record.journal import History
from tileconv.sinks.files import sink_errors
from tileconv.stores.location import Location, here

EXIT_UNFINISHED = 3


@dataclass(frozen=True)
class Status:
    """Tiles of all passes together, done, failed and left; who makes them, how fast, and until when.

    Attributes
    ----------
    state
        ``complete``, ``running`` or ``unfinished``.
    repairing
        Whether a repair was begun and is not done: what is done may be damaged.
    tiles_per_second, seconds_left
        By what was made since the run last began; None where nothing was, or where nothing runs.
    unreadable_lines
        Lines of the journal that were torn or damaged; their tiles are made again.
    failures
        Pass, tile and error of every tile that failed and was not made since.
    """

    output: str
    state: str
    repairing: bool
    tiles: int
    done: int
    failed: int
    left: int
    tiles_per_second: float | None
    seconds_left: float | None
    seconds_of_work: float
    clipped: int
    missing: int
    unreadable_lines: int
    runs: int
    pid: int | None
    host: str | None
    failures: tuple[dict[str, Any], ...]

    @property
    def exit_code(self) -> int:
        """0 where the output is complete, else 3."""
        return 0 if self.state == "complete" else EXIT_UNFINISHED

    def as_json(self) -> dict[str, Any]:
        """Return the status as plain JSON values."""
        return asdict(self)


def status(output: Path | str | Location) -> Status:
    """Return how far the run that makes, or made, *output* is.

    Raises
    ------
    SourceError
        If *output* has no run folder, or its plan cannot be read.
    ResumeError
        If the run is done, but another output lies in the place of what it wrote.
    """
    folder = RunFolder(here(output))
    plan = folder.plan()
    where = str(folder.place)
    if plan is None:
        found = "no plan.json that can be read" if folder.there() else "no run folder"
        fix = "Give the output of a run; its run folder lies beside it."
        raise SourceError(f"expected the run folder of {output}, found {found}", where=where, fix=fix)
    sink, _ = recorded_store(folder, plan)
    grids = tiles_of(folder, plan)
    history = History.of(folder.store, grids)
    with sink_errors(folder.output, "read"):
        finished = exported(folder) or (folder.done() and not sink.custody.free())
    if finished:
        check_not_replaced(folder, known_by(folder, sink))
    total = sum(grids.values())
    done = total if finished else history.total_done()
    live = folder.live()
    rate = _rate(history, live=live)
    left, holder = total - done, (folder.holder() or {}) if live else {}
    counts = history.counts()
    failures = [
        {"pass": key.array, **({"level": key.level} if key.level else {}), "tile": key.tile, "error": error}
        for key, error in history.failed().items()
    ]
    return Status(
        output=str(folder.output),
        state="complete" if finished else "running" if live else "unfinished",
        repairing=folder.repairing(),
        tiles=total,
        done=done,
        failed=len(failures),
        left=left,
        tiles_per_second=rate,
        seconds_left=left / rate if rate and live else None,
        seconds_of_work=history.seconds(),
        clipped=counts.clipped,
        missing=counts.missing,
        unreadable_lines=history.unreadable,
        runs=len(history.begun),
        pid=holder.get("pid"),
        host=holder.get("host"),
        failures=tuple(failures),
    )


def _rate(history: History, *, live: bool) -> float | None:
    """Return tiles per second since the run last began, up to now or to its last word."""
    if not history.begun or not history.since_begin:
        return None
    until = time.time() if live else history.ended
    return history.since_begin / max(until - history.begun[-1], 1e-3)
