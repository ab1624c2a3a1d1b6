"""Progress on stderr: a bar on a terminal, a line now and then elsewhere; and the summary of a run."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from tileconv.progress import Counting
from tileconv.shown import rate_text, size_text, tiles_text

if TYPE_CHECKING:  # what not every command needs
    from rich.progress import Progress

    from tileconv.audit.status import Status
    from tileconv.execute.report import Report
    from tileconv.record.compare import Verification

EVERY_S = 10.0
"""Seconds between two lines where there is no terminal."""


class TerminalProgress(Counting):
    """Shows tiles, megapixels per second and time left on *stream*; a context manager.

    Where that is no terminal, or no *bar* is wanted, it is a line now and then.
    """

    def __init__(self, stream: TextIO, *, bar: bool = True) -> None:
        self._stream = stream
        self._wants_bar = bar and stream.isatty()
        self._bar: Progress | None = None
        self._said = 0.0

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Begin to count; a bar begins at the tiles that are kept."""
        super().begin(tiles, pixels, kept)
        self._said = self.began
        if self._bar:
            self._bar.stop()
            self._bar = None
        if self._wants_bar:
            self._bar = bar_on(self._stream, "images" if self.images else "tiles")
            self._bar.start()
            self._bar.add_task("", total=self.images or self.tiles, completed=kept)

    def resumed(self, text: str) -> None:
        """Say how many tiles are kept and made, and why."""
        self._say(f"resuming: {text}")

    def note(self, text: str) -> None:
        """Say it on a line of its own."""
        self._say(f"note: {text}")

    def show(self) -> None:
        """Move the bar, or print a line where there is none and the last is long ago."""
        if self._bar:
            said = self.waits or f"{tiles_text(self.done)}  " * bool(self.images) + rate_text(self.rate)
            done = self.images_done if self.images else self.done
            self._bar.update(self._bar.task_ids[0], completed=done, description=said)
        elif not self.waits and (now := time.monotonic()) - self._said >= EVERY_S:
            self._said = now
            self._say(self.line())

    def _say(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            self._stream.write(f"{line}\n")


def bar_on(terminal: TextIO, counted: str = "tiles") -> Progress:
    """Return a bar of what is *counted*, which goes when it is stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn(counted + "  {task.description}"), TimeRemainingColumn()
    return Progress(*columns, console=Console(file=terminal), transient=True)


def summary(report: Report, *, repair: bool = False) -> str:
    """Return what a run, or a repair, did in a few lines."""
    shape = " x ".join(map(str, report.shape))
    if report.damages:
        found = "\n".join(f"found: {text}" for text in report.damages)
        mended = f"{tiles_text(report.tiles)} made again, {report.kept:,} kept"
        return f"{report.output}\n{found}\nrepaired in {report.seconds:.1f} s: {mended}"
    if report.kept and not report.tiles:
        nothing = "nothing to repair" if repair else "already complete"
        said = f"{shape} {report.dtype}, {nothing}: 0 of {tiles_text(report.kept)} to make"
        return "\n".join([f"{report.output}", said, *report.notes])
    lines = [
        f"{report.output}",
        f"{shape} {report.dtype} in {tiles_text(report.tiles)}, {report.seconds:.1f} s, "
        f"{rate_text(report.megapixels_per_second)}, peak memory of this process {size_text(report.peak_bytes)} "
        f"(predicted for the run {size_text(report.predicted_bytes)})",
        *([report.why] if report.why else []),
        *report.notes,
    ]
    if report.counts.clipped:
        lines.append(f"{report.counts.clipped:,} pixels were clipped to the range of {report.dtype}")
    for one in report.others:
        clipped = f", {one.counts.clipped:,} pixels clipped to its range" * bool(one.counts.clipped)
        lines.append(f"{one.output}: {' x '.join(map(str, one.shape))} {one.dtype}{clipped}")
    if report.counts.like_nodata:
        lines.append(f"{report.counts.like_nodata:,} valid pixels are stored as the nodata value")
    if report.counts.missing:
        lines.append(f"{report.counts.missing:,} pixels of the input are missing")
    if report.missing_chunks:
        lines.append(f"{report.missing_chunks:,} chunks that the input lacks were read as its fill value")
    if report.counts.idle:
        lines.append(f"{report.counts.idle:,} pixels were not computed: all that they are made from is one value")
    if report.counts.fallbacks:
        lines.append(f"{report.counts.fallbacks:,} FFT blocks were summed directly, to keep the error bound")
    return "\n".join(lines)


def verification_text(verified: Verification) -> str:
    """Return every difference in a line of its own, and how much was compared."""
    again = f", {verified.recomputed:,} box{'es' * (verified.recomputed != 1)} made again" * bool(verified.recomputed)
    compared = f"{tiles_text(verified.tiles)} compared{again}"
    count = len(verified.damages)
    outcome = f"{count:,} difference{'s' * (count != 1)}" if count else "whole"
    return "\n".join([*map(str, verified.damages), *verified.notes, f"{verified.output}: {outcome}, {compared}"])


def status_text(status: Status) -> str:
    """Return how far a run is, with a line for each tile that failed."""
    rate, left = status.tiles_per_second, status.seconds_left
    rows = {
        "output": status.output,
        "state": status.state
        + ", a repair was begun and is not complete" * status.repairing
        + (f", process {status.pid} on {status.host}" if status.pid else ""),
        "done": f"{status.done:,} of {tiles_text(status.tiles)}",
        "failed": f"{status.failed:,}",
        "left": f"{status.left:,}" + (f", about {left:,.0f} s" if left is not None else ""),
        "rate": f"{rate:,.2g} tiles/s" if rate else "unknown",
        "begun": f"{status.runs:,} time{'s' * (status.runs != 1)}",
        "journal": f"{status.unreadable_lines:,} unreadable lines",
    }
    failures = (f"failed   pass {f['pass'] + 1}, tile {f['tile']}: {f['error']}" for f in status.failures)
    return "\n".join([*(f"{name:7}  {value}" for name, value in rows.items()), *failures])
