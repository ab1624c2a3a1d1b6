"""Peak memory against image size: the same chain over 1, 4 and 16 gigapixels of a source that makes its pixels itself.

    python benchmarks/flat.py --folder FOLDER [--sides 32768 65536 131072] [--memory 1GiB] [--limit 1.5GiB]

Every run is a process of its own, which the system forbids more than ``--limit`` of address space. The image is flat in
squares of 4096 pixels, so that a result of 16 gigapixels fits on a small disk; it is deleted after each run. The
promise is that the peak grows by at most 1 % when the image grows four times.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import remove
from tileconv.boxes import Box
from tileconv.images import ImageInfo

SQUARE = 4096
STAGES = ({"op": "gaussian", "sigma": 2}, {"op": "sobel", "component": "magnitude"}, {"op": "sharpen"})
UNITS = {"MiB": 2**20, "GiB": 2**30}
GROWTH = 1.01


@dataclass(frozen=True)
class Squares:
    """A source of any size that is held nowhere: uint16, one value per square."""

    side: int
    where: str = "squares"
    cache_bytes: int = 0
    changed: int = 0
    libraries: tuple[str, ...] = ()

    @property
    def info(self) -> ImageInfo:
        """A grey image, in chunks of 1024."""
        return ImageInfo((self.side, self.side), "yx", np.dtype(np.uint16), (1024, 1024))

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """The size says it all."""
        return {"size": self.side, "digest": "squares"}

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*."""
        rows, columns = (np.arange(a // SQUARE, -(-b // SQUARE)) for a, b in zip(box.start, box.stop, strict=True))
        values = (100 + (31 * rows[:, None] + columns) % 13).astype(np.uint16)
        for axis in (0, 1):
            edges = np.arange(box.start[axis] // SQUARE, -(-box.stop[axis] // SQUARE) + 1) * SQUARE
            counts = np.diff(edges.clip(box.start[axis], box.stop[axis]))
            values = values.repeat(counts, axis)
        return values

    def check_stored(self) -> None:
        """Nothing is stored."""

    def missing_chunks_total(self) -> tuple[int, int]:
        """Nothing is missing."""
        return 0, 1

    def acquired(self) -> str:
        """Nobody took it."""
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per size; return 1 if memory grew, or exceeded what was predicted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where results pass through")
    parser.add_argument("--sides", type=int, nargs="+", default=(32768, 65536, 131072), help="pixels along each side")
    parser.add_argument("--memory", default="1GiB", help="run.memory")
    parser.add_argument("--limit", default="1.5GiB", help="address space of each process")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    output = asked.folder / "flat.ome.zarr"
    if asked.one:
        print(json.dumps(one(asked.one, output, asked.memory, asked.limit)))
        return 0
    peaks, held = [], True
    print("| gigapixels | tiles | seconds | peak MiB | predicted MiB |\n| --- | --- | --- | --- | --- |")
    for side in asked.sides:
        command = [sys.executable, "-m", "benchmarks.flat", "--folder", str(asked.folder), "--one", str(side)]
        limits = ["--memory", asked.memory, "--limit", asked.limit]
        report = json.loads(subprocess.run([*command, *limits], check=True, stdout=subprocess.PIPE).stdout)
        remove(output)
        remove(output.with_name(f"{output.name}.tileconv"))
        peak, predicted = report["peak_bytes"] / 2**20, report["predicted_bytes"] / 2**20
        held &= peak <= predicted
        peaks.append(peak)
        print(f"| {side**2 / 2**30:.1f} | {report['tiles']} | {report['seconds']:.1f} | {peak:.0f} | {predicted:.0f} |")
    return int(not held or any(b > a * GROWTH for a, b in pairwise(peaks)))


def one(side: int, output: Path, memory: str, limit: str) -> dict[str, Any]:
    """Run the chain over an image of *side* in this process, within *limit*, and return its report."""
    number, unit = limit[:-3], limit[-3:]
    space = int(float(number) * UNITS[unit])
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    from tileconv.engines.cost import user_costs
    from tileconv.execute.run import run_plan
    from tileconv.planning.build import make_plan
    from tileconv.planning.machine import this_machine
    from tileconv.spec import spec_from_mapping

    source = Squares(side)
    asked = {
        "version": 1,
        "input": {"path": str(output.parent / "squares")},
        "stages": [dict(stage) for stage in STAGES],
        "output": {"path": str(output), "dtype": "float32"},
        "run": {"memory": memory},
    }
    plan = make_plan(spec_from_mapping(asked), source.info, this_machine(user_costs()))
    return run_plan(plan, source, overwrite=True).as_json()


if __name__ == "__main__":
    raise SystemExit(main())
