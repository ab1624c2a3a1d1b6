"""Predicted beside measured peak memory, every run in a process of its own.

    python benchmarks/memory.py --folder FOLDER [--size 8192]

Prints a row per pipeline, pixel type and tile, and the range of predicted / measured. The promise is 1 to 1.5 for runs
above 500 MiB; below that the libraries themselves are most of a process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

PIPELINES = {
    "gaussian": "{op: gaussian, sigma: 2}",
    "chain": "{op: gaussian, sigma: 2}, {op: sobel}, {op: unsharp, sigma: 1}",
    "disk by fft": "{op: disk, radius: 30, engine: fft}",
}
DTYPES = ("uint8", "uint16", "float32", "float64")
TILES = (1024, 4096)
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One run."""

    pipeline: str
    dtype: str
    tile: int
    measured: int
    predicted: int

    @property
    def ratio(self) -> float:
        """Predicted over measured: below 1 the promise is broken."""
        return self.predicted / self.measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if any run took more than was predicted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where images and results are kept")
    parser.add_argument("--size", type=int, default=8192, help="pixels along each side")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--tiles", nargs="+", type=int, default=TILES)
    asked = parser.parse_args(arguments)
    rows = []
    print(f"{'pipeline':12} {'pixels':8} {'tile':>5} {'measured':>9} {'predicted':>9}  MiB   ratio")
    for row in measure(asked.folder, asked.size, asked.dtypes, asked.tiles):
        rows.append(row)
        sizes = f"{row.measured / MIB:9.0f} {row.predicted / MIB:9.0f}"
        print(f"{row.pipeline:12} {row.dtype:8} {row.tile:5} {sizes}        {row.ratio:.2f}", flush=True)
    print(f"predicted / measured: {min(r.ratio for r in rows):.2f} to {max(r.ratio for r in rows):.2f}")
    large = [r.ratio for r in rows if r.measured > 500 * MIB]
    if large:
        print(f"of runs above 500 MiB: {min(large):.2f} to {max(large):.2f}")
    return int(any(r.ratio < 1 for r in rows))


def measure(folder: Path, size: int, dtypes: Sequence[str], tiles: Sequence[int]) -> Iterator[Row]:
    """Yield a row per pipeline, pixel type and tile; images are written once and kept in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for dtype in dtypes:
        image = folder / f"{dtype}-{size}.tif"
        if not image.exists():
            _tileconv("sample", "synthetic", "--size", f"{size}x{size}", "--dtype", dtype, "-o", str(image))
        for (name, stages), tile in product(PIPELINES.items(), tiles):
            spec = folder / "memory.yaml"
            spec.write_text(
                f"version: 1\ninput: {{path: {image.name}}}\nstages: [{stages}]\n"
                f"output: {{path: out.ome.zarr}}\nrun: {{tile: {tile}, workers: 2}}\n",
                encoding="utf-8",
            )
            report = json.loads(_tileconv("run", str(spec), "--overwrite", "--json"))
            yield Row(name, dtype, tile, report["peak_bytes"], report["predicted_bytes"])


def _tileconv(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "tileconv", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
