"""What became of the images of a batch, for whoever asked for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, overload

from tileconv.errors import PlanError, TileconvError, UnfinishedError
from tileconv.execute.report import Report
from tileconv.quick import dataclass
from tileconv.shown import Shown, duration_text, size_text, tiles_text

MADE, KEPT, FAILED, WAITING = "made", "already there", "failed", "not begun"
"""What became of an image."""


@dataclass(frozen=True)
class ImageReport:
    """What became of one image of a batch.

    Attributes
    ----------
    input
        The path of the image, and its number where its file holds several.
    outputs
        The stores that are made of it.
    state
        ``made``, ``already there``, ``failed`` or ``not begun``.
    report
        What its run did; None where none came to its end, and where all was known to be there.
    error
        Why it failed.
    """

    input: str
    outputs: tuple[str, ...]
    state: str = WAITING
    report: Report | None = None
    error: TileconvError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        told = {"input": self.input, "outputs": list(self.outputs), "state": self.state}
        notes = getattr(self.error, "__notes__", ())
        error = {} if self.error is None else {"error": " ".join([str(self.error), *notes])}
        return told | error | ({} if self.report is None else {"report": self.report.as_json()})


@dataclass(frozen=True, repr=False)
class BatchReport(Shown, Sequence[ImageReport]):
    """What became of the images of a batch: a sequence of one report for each, in their order.

    Attributes
    ----------
    images
        The reports.
    vanished
        Inputs that an earlier run of the batch had, and that are none any more; what was made of them stays.
    seconds
        How long it took.
    peak_bytes, predicted_bytes
        Peak memory of this process as the system counts it, and the most that the images that were open together were
        predicted to take.
    list_at
        Where the list of the batch lies.
    """

    images: tuple[ImageReport, ...]
    vanished: tuple[str, ...]
    seconds: float
    peak_bytes: int
    predicted_bytes: int
    list_at: str

    @overload
    def __getitem__(self, index: int) -> ImageReport: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageReport, ...]: ...
    def __getitem__(self, index: int | slice) -> ImageReport | tuple[ImageReport, ...]:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"<BatchReport: {self.counted}, {self.seconds:.1f} s>"

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each state, those of which there are any."""
        return dict(Counter(one.state for one in self.images))

    @property
    def counted(self) -> str:
        """The counts in words."""
        counts = ", ".join(f"{count:,} {state}" for state, count in self.counts.items())
        return f"{len(self):,} image{'s' * (len(self) != 1)}" + f": {counts}" * bool(counts)

    @property
    def failed(self) -> tuple[ImageReport, ...]:
        """The images that failed."""
        return tuple(one for one in self.images if one.state == FAILED)

    @property
    def tiles(self) -> int:
        """How many tiles were made."""
        return sum(one.report.tiles for one in self.images if one.report)

    @property
    def exit_code(self) -> int:
        """0 where no image failed, 3 where others are whole; else 2 where all were refused, and 1 where not."""
        if not self.failed:
            return 0
        if len(self.failed) < len(self):
            return UnfinishedError.exit_code
        codes = {one.error.exit_code for one in self.failed if one.error}
        return PlanError.exit_code if codes == {PlanError.exit_code} else 1

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        return {
            "images": self.counted,
            "tiles": f"{tiles_text(self.tiles)} made",
            "time": duration_text(self.seconds),
            "memory": f"{size_text(self.peak_bytes)} at most here, {size_text(self.predicted_bytes)} predicted",
            "failed": "; ".join(f"{one.input}: {one.error}" for one in self.failed),
            "vanished": ", ".join(self.vanished),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "images": [one.as_json() for one in self.images],
            "counts": self.counts,
            "vanished": self.vanished,
            "tiles": self.tiles,
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "predicted_bytes": self.predicted_bytes,
            "list": self.list_at,
        }
