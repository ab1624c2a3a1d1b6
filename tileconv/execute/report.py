"""What a run did, for whoever asked for it."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from tileconv.quick import dataclass
from tileconv.shown import Shown, rate_text, size_text, tiles_text
from tileconv.tiles.compute import Counts


@dataclass(frozen=True)
class Stored:
    """One of several outputs: its store, and pixels that were clipped to its type or missing."""

    output: Path | str
    shape: tuple[int, ...]
    dtype: str
    counts: Counts
    fingerprint: str


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """What a run did.

    Attributes
    ----------
    output
        The store that was made, a URL as a text; of several the first.
    tiles, kept
        Tiles that this run made, and tiles that earlier runs of the same command had made.
    why
        How many tiles were kept and made and for what reasons, where there was something to keep; else empty.
    counts
        Pixels that were clipped to the output's type and pixels that were missing, in the last and the first pass.
    damages
        What a repair found damaged, and mended.
    missing_chunks
        Stored chunks that the input lacks, read as fill value.
    peak_bytes, predicted_bytes
        Peak memory of this process as the system counts it, and what the plan predicted for the whole run.
    notes
        What a reader of the numbers should know of the input.
    others
        The other stores that were made.
    """

    output: Path | str
    shape: tuple[int, ...]
    dtype: str
    tiles: int
    seconds: float
    megapixels_per_second: float
    counts: Counts
    missing_chunks: int
    peak_bytes: int
    predicted_bytes: int
    fingerprint: str
    notes: tuple[str, ...]
    kept: int = 0
    why: str = ""
    damages: tuple[str, ...] = ()
    others: tuple[Stored, ...] = ()

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        stores = [(self.output, self.shape, self.dtype), *((o.output, o.shape, o.dtype) for o in self.others)]
        return {
            "output": "; ".join(f"{path}: {' x '.join(map(str, shape))}, {dtype}" for path, shape, dtype in stores),
            "tiles": f"{self.tiles:,} made, {self.kept:,} kept",
            "time": f"{self.seconds:.1f} s, {rate_text(self.megapixels_per_second)}",
            "memory": f"{size_text(self.peak_bytes)} at most here, {size_text(self.predicted_bytes)} predicted",
            "clipped": f"{self.counts.clipped:,} pixels" * bool(self.counts.clipped),
            "nodata": f"{self.counts.like_nodata:,} valid pixels have its value" * bool(self.counts.like_nodata),
            "missing": f"{self.counts.missing:,} pixels of the input" * bool(self.counts.missing),
            "idle": f"{self.counts.idle:,} pixels made of one value" * bool(self.counts.idle),
            "notes": "; ".join([*self.damages, *self.notes]),
        }

    def __repr__(self) -> str:
        name = PurePosixPath(self.output).name
        return f"<Report: {name}, {tiles_text(self.tiles)} made, {self.kept:,} kept, {self.seconds:.1f} s>"

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        others = [asdict(one) | {"output": str(one.output)} for one in self.others]
        return asdict(self) | {"output": str(self.output), "others": others}


def peak_bytes() -> int:
    """Return the peak resident memory of this process so far.

    Linux counts what the parent held at the start of a process into ``ru_maxrss``; ``VmHWM`` is the process's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        if "VmHWM" in fields:
            return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
