"""An export to OME-TIFF against a run without stages on the same store, in turn, each a process of its own.

Both read the store and write zstd of level 1; the run makes levels, the export writes them. It ends with 1 where the
export takes more than 1.3 times as long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inputs import TILECONV, Sizes, input_of
from benchmarks.measure import Run, measure, remove

GOAL = 1.3
CODEC = "codec: {name: zstd, level: 1}"
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rounds, and return 0 where the export is as quick as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="Where the input and the outputs lie.")
    parser.add_argument("--shape", type=int, default=32768, metavar="N", help="Pixels along both axes.")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    image = input_of(folder, "gray", Sizes(options.shape))
    store, copy, file = (folder / name for name in ("export.ome.zarr", "copy.ome.zarr", "export.ome.tif"))
    _run(folder, image, store)
    took: dict[str, list[Run]] = {"run": [], "export": []}
    for _ in range(options.rounds):
        took["run"].append(_run(folder, store, copy))
        words = ["export", str(store), str(file), "--codec", "zstd", "--codec-level", "1", "--overwrite", "--json"]
        took["export"].append(measure([*TILECONV, *words], output=file))
        for name, runs in took.items():
            last = runs[-1]
            print(f"{name}: {last.seconds:.1f} s, {last.peak_bytes / MIB:,.0f} MiB", file=sys.stderr, flush=True)
    for path in (store, copy):
        remove(path)
        remove(path.with_name(f"{path.name}.tileconv"))
    remove(file)
    run, export = (statistics.median(run.seconds for run in runs) for runs in took.values())
    peak = max(run.peak_bytes for run in took["export"])
    print(
        f"{options.shape} x {options.shape} pixels: run {run:.2f} s, export {export:.2f} s, ratio {export / run:.2f} "
        f"(goal {GOAL}); peak memory of the export {peak / MIB:,.0f} MiB"
    )
    return int(export > GOAL * run)


def _run(folder: Path, image: Path, output: Path) -> Run:
    """Measure a run that copies *image* to *output*, with levels."""
    spec = folder / "export.yaml"
    words = f"output: {{path: {output}, {CODEC}, pyramid: auto}}"
    spec.write_text(f"version: 1\ninput: {{path: {image}}}\nstages: []\n{words}\n", encoding="utf-8")
    return measure([*TILECONV, "run", str(spec), "--overwrite", "--json"], output=output)


if __name__ == "__main__":
    raise SystemExit(main())
