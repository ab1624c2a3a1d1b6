"""A plan to a finished store: passes in order, tiles in parallel, metadata last."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tileconv.execute.cluster import run_cluster
from tileconv.execute.local import run_threads
from tileconv.execute.progress import Progress, Silent
from tileconv.graph.windows import Job, Receipt
from tileconv.graph.work import Counts
from tileconv.planning.model import Plan
from tileconv.sinks.files import refuse_same
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.spec.model import as_mapping


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes
    ----------
    output
        The store that was made.
    counts
        Pixels that were clipped to the output's type and pixels that were missing, in the last and the first pass.
    missing_chunks
        Stored chunks that the input lacks, read as fill value.
    peak_bytes, predicted_bytes
        Peak memory of this process as the system counts it, and what the plan predicted for the whole run.
    notes
        What a reader of the numbers should know of the input.
    """

    output: Path
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

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return asdict(self) | {"output": str(self.output)}


def run_plan(plan: Plan, source: Source, *, overwrite: bool = False, progress: Progress | None = None) -> Report:
    """Carry out *plan* on *source* and return what was done.

    Raises
    ------
    TileconvError
        What went wrong, with the tile or file. The output then has no ``ome`` metadata and does not pass for an image.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    output = Path(plan.spec.output.path)
    refuse_same(output, Path(source.where))
    missing_chunks, _ = source.missing_chunks_total()
    sinks = [_sink(plan, output, number) for number in range(len(plan.passes))]
    for sink in sinks:
        sink.create(overwrite=overwrite or sink.plain)
    progress.begin(sum(len(p.grid) for p in plan.passes), sum(p.grid.image.size for p in plan.passes))
    counts, tiles = Counts(), 0
    try:
        for number, (work, sink) in enumerate(zip(plan.passes, sinks, strict=True)):
            before = source if number == 0 else open_source(str(sinks[number - 1].path), axes=work.source.axes)
            for receipt in _receipts(plan, Job(work, before, sink), progress):
                counts += receipt.counts
                tiles += 1
            if sink.plain:
                sink.finish({})  # a source refuses what is not whole
            if number:
                sinks[number - 1].remove()
    finally:
        for sink in sinks[:-1]:
            if sink.path.exists():
                sink.remove()
    sinks[-1].finish(_provenance(plan, source, counts), window=_window(plan))
    seconds = time.perf_counter() - began
    return Report(
        output,
        plan.info.shape,
        str(plan.info.dtype),
        tiles,
        seconds,
        plan.info.box.size / 1e6 / seconds,
        counts,
        missing_chunks,
        peak_bytes(),
        plan.peak_bytes,
        plan.fingerprint(),
        source.info.notes,
    )


def _window(plan: Plan) -> tuple[float, float] | None:
    """Return the range that the output's pixels cannot leave, for viewers; None where nothing bounds them."""
    last = plan.passes[-1]
    values = last.stages[-1].values_out if last.stages else last.block
    if plan.info.dtype.kind != "f" or not math.isfinite(values.peak):
        return None
    return values.low, values.high


def _sink(plan: Plan, output: Path, number: int) -> ZarrSink:
    """Return where pass *number* writes: the output, or a bare array beside it."""
    if number == len(plan.passes) - 1:
        return ZarrSink(output, plan.info)
    return ZarrSink(intermediate_path(output, number), plan.passes[number].info, plain=True)


def intermediate_path(output: Path, number: int) -> Path:
    """Return the folder beside *output* in which pass *number* leaves its result for the next."""
    return output.with_name(f"{output.name}.pass{number}")


def _receipts(plan: Plan, job: Job, progress: Progress) -> Iterator[Receipt]:
    executor = plan.spec.run.executor
    if executor == "threads":
        return run_threads(job, plan.workers, progress)
    return run_cluster(job, executor, plan.workers, progress)


def _provenance(plan: Plan, source: Source, counts: Counts) -> dict[str, Any]:
    """Return what made the output: enough to make it again."""
    return {
        "version": version("tileconv"),
        "fingerprint": plan.fingerprint(),
        "spec": as_mapping(plan.spec),
        "input": source.fingerprint,
        "engines": {s.name: [c.engine for c in s.choices] for p in plan.passes for s in p.stages},
        "counts": asdict(counts),
        "libraries": {name: version(name) for name in ("dask", "numba", "numpy", "scipy", "zarr")},
        "channels": plan.info.channels,
        "python": sys.version.split()[0],
    }


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
