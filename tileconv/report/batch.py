"""Batches in words: a table with a line for each image, and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tileconv.shown import rate_text, size_text, tiles_text

if TYPE_CHECKING:
    from tileconv.audit.batch import BatchStatus, BatchVerification
    from tileconv.execute.batch_report import BatchReport, ImageReport

MOST = 200
"""Images of which each has its line; of more only those that are not whole have one."""


def batch_text(report: BatchReport) -> RenderableType:
    """Return what a batch did: a line for each image that was not there before, and the sums."""
    table = _table("image", "state", "tiles", "time", "output")
    many = len(report) > MOST
    for one in report:
        if one.error or one.state == "not begun" or (one.report and one.report.tiles and not many):
            table.add_row(*map(Text, _row(one)))
    pixels = sum(one.report.megapixels_per_second * one.report.seconds for one in report if one.report)
    memory = f"{size_text(report.peak_bytes)} (predicted for the batch {size_text(report.predicted_bytes)})"
    speed = f"{report.seconds:.1f} s, {rate_text(pixels / report.seconds)}"
    sums = [
        report.counted,
        f"{tiles_text(report.tiles)} made in {speed}, peak memory of this process {memory}",
        *_vanished(report.vanished),
        *_errors((one.input, one.as_json()["error"]) for one in report.failed),
    ]
    return Group(*([table] if table.rows else []), *map(Text, sums))


def _row(one: ImageReport) -> tuple[str, ...]:
    made = one.report
    tiles = f"{made.tiles:,}" + f" + {made.kept:,} kept" * bool(made.kept) if made else ""
    return one.input, one.state, tiles, f"{made.seconds:.1f} s" if made else "", ", ".join(one.outputs)


def batch_status_text(status: BatchStatus) -> RenderableType:
    """Return how far each image of a batch is, and how many are complete."""
    table = _table("image", "state", "done", "failed", "output")
    for one in status.images:
        of = one.status
        tiles = (f"{of.done:,} of {tiles_text(of.tiles)}", f"{of.failed:,}") if of else ("", "")
        table.add_row(*map(Text, (one.input, one.state, *tiles, one.output)))
    errors = _errors((one.input, one.error) for one in status.images if one.error)
    return Group(table, *map(Text, (status.counted, *_vanished(status.vanished), *errors)))


def batch_verification_text(verified: BatchVerification) -> RenderableType:
    """Return what was found of each image of a batch, every difference in a line of its own."""
    table, lines = _table("image", "found", "compared", "output"), list[str]()
    for one in verified.images:
        of = one.verification
        compared = tiles_text(of.tiles) + f", {of.recomputed:,} boxes made again" * bool(of.recomputed) if of else ""
        table.add_row(*map(Text, (one.input, one.state, compared, one.output)))
        lines += [f"{one.output}: {text}" for text in ((*of.damages, *of.notes) if of else ())]
    errors = _errors((one.input, one.error) for one in verified.images if one.error)
    return Group(table, *map(Text, (*lines, *errors, verified.counted)))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")  # else a long word is cut
    return table


def _vanished(names: Sequence[str]) -> list[str]:
    return [f"vanished: {name} is no input any more; what was made of it stays" for name in names]


def _errors(errors: Iterable[tuple[str, str]]) -> list[str]:
    return [f"failed: {error if error.startswith(name) else f'{name}: {error}'}" for name, error in errors]
