"""What a run does, counted exactly: tasks, bytes read twice, decoded segments and operations; no clock.

    python -m benchmarks.counts --folder FOLDER [--side 4096] [--tile 1024]

The same on every machine, so a test holds the numbers.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dask.callbacks import Callback

from benchmarks.inputs import Sizes, input_of
from benchmarks.measure import remove
from tileconv.boxes import Box
from tileconv.engines.cost import shipped_costs
from tileconv.execute.run import run_plan
from tileconv.planning.build import make_plan
from tileconv.planning.machine import this_machine
from tileconv.planning.parts import Pass
from tileconv.sources.source import Pixels, Reads
from tileconv.sources.tiff import TiffSource
from tileconv.spec import spec_from_mapping
from tileconv.tiles.windows import Job, Receipt

CHAIN: tuple[Mapping[str, Any], ...] = (
    {"op": "gaussian", "sigma": 2},
    {"op": "sobel", "component": "magnitude"},
    {"op": "sharpen"},
)


class CountingTiff(TiffSource):
    """A TIFF source that counts the pixels asked of it, the segments it looked up, and those it decoded, also again."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.segments: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        super().__init__(path)

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Read *box* and count its pixels."""
        self._add("pixels", box.size)
        return super().read(box, reads)

    def _segment(self, opened: Any, page: int, index: int, *more: Any) -> Pixels:
        self._add("asked", 1)
        return super()._segment(opened, page, index, *more)

    def _decode(self, opened: Any, page: int, index: int) -> Pixels:
        self._add("again" if (page, index) in self.segments else "once", 1)
        self.segments.add((page, index))
        return super()._decode(opened, page, index)

    def _add(self, what: str, number: int) -> None:
        with self._lock:
            self.counts[what] += number


@dataclass(frozen=True)
class Counts:
    """One run, counted.

    Attributes
    ----------
    tasks_per_tile
        Tasks that Dask carried out, or the times that a worker was asked to make a tile, over tiles.
    bytes_read_twice
        Bytes of pixels that tiles asked for beyond one read of the image.
    asked, decoded, again
        How often compressed segments were needed, how many were decoded, and how often one was decoded again.
    operations_per_pixel
        Multiplications per output pixel of the direct and separable engines that were chosen; the FFT counts none.
    """

    method: str
    tiles: int
    tasks_per_tile: float
    bytes_read_twice: int
    asked: int
    decoded: int
    again: int
    operations_per_pixel: int


def count(
    path: Path,
    output: Path,
    *,
    stages: Sequence[Mapping[str, Any]] = CHAIN,
    method: str = "windows",
    tile: int | None = None,
    workers: int = 1,
) -> Counts:
    """Run *stages* on a TIFF, write *output*, and return what was counted."""
    source = CountingTiff(path)
    run: dict[str, Any] = {"workers": workers, "halo_method": method} | ({"tile": tile} if tile else {})
    spec = spec_from_mapping(
        {
            "version": 1,
            "input": {"path": str(path)},
            "stages": [dict(stage) for stage in stages],
            "output": {"path": str(output), "dtype": "float32", "chunks": min(tile or 1024, 1024)},
            "run": run,
        }
    )
    plan = make_plan(spec, source.info, this_machine(shipped_costs()), cache_bytes=source.cache_bytes)
    tasks: list[object] = []
    make = Job.run

    def counted(job: Job, box: Box) -> Receipt:
        tasks.append(box)
        return make(job, box)

    with Callback(posttask=lambda key, *_: tasks.append(key)), patch.object(Job, "run", counted):
        report = run_plan(plan, source, overwrite=True)
    twice = source.counts["pixels"] - source.info.box.size
    return Counts(
        method,
        report.tiles,
        len(tasks) / report.tiles,
        twice * source.info.dtype.itemsize,
        source.counts["asked"],
        source.counts["once"],
        source.counts["again"],
        sum(operations(work) for work in plan.passes),
    )


def operations(work: Pass) -> int:
    """Return the multiplications per pixel of the direct and separable engines of one pass."""
    total = 0
    for choice in (choice for stage in work.stages for choice in stage.choices):
        if choice.engine == "direct":
            total += choice.kernel.weights.size
        elif choice.engine == "separable":
            total += sum(factor.size for term in choice.kernel.terms for factor in term)
    return total


def decoded_again(path: Path, output: Path) -> float:
    """Return how often the chain decodes a segment of a compressed TIFF again, over the number of segments."""
    made = count(path, output, workers=len(os.sched_getaffinity(0)))
    return made.again / made.decoded


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts of the chain for both inputs and both ways to give tiles their halos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where inputs are kept and outputs pass through")
    parser.add_argument("--side", type=int, default=4096, help="side of the image, in pixels")
    parser.add_argument("--tile", type=int, default=1024, help="side of the tiles, in pixels")
    asked = parser.parse_args(arguments)
    print("| input | halo | tiles | tasks per tile | bytes read twice | segments decoded | multiplications per pixel |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("gray", "deflate"):
        for method in ("windows", "overlap"):
            source = input_of(asked.folder, kind, Sizes(asked.side))
            c = count(source, asked.folder / "counted.ome.zarr", method=method, tile=asked.tile)
            decoded = f"{c.decoded} once, {c.again} again, needed {c.asked} times" if c.asked else "none"
            numbers = f"{c.tiles} | {c.tasks_per_tile:.2f} | {c.bytes_read_twice:,} | {decoded}"
            print(f"| {kind} | {method} | {numbers} | {c.operations_per_pixel} |")
    remove(asked.folder / "counted.ome.zarr")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
