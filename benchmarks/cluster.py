"""What a tile costs on a Dask cluster: bytes that the scheduler keeps, and tiles per second beside threads.

``python -m benchmarks.cluster --folder F`` starts a scheduler and two workers on the loopback.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isqrt
from pathlib import Path

import numpy as np
import tifffile

import tileconv

DASK = Path(sys.executable).with_name("dask")
TILE = 16
WARM = 5_000
"""Tiles of a first run, which allocates what is allocated once."""
PIPELINE = """version: 1
input: {{path: a.tif}}
stages:
  - {{op: gaussian, sigma: 1}}
output: {{path: {store}, dtype: float32, chunks: {tile}, shards: none, pyramid: none}}
run: {{tile: {tile}, workers: 2, memory: 2GiB, executor: "{executor}"}}
"""


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the address of a scheduler with two workers, and its process id."""
    common = ("--host", "127.0.0.1", "--no-dashboard")
    scheduler = _start(folder, "scheduler", "--port", "0", *common, stderr=subprocess.PIPE)
    processes = [scheduler]
    try:
        address = next(line.split()[-1] for line in scheduler.stderr or () if "Scheduler at:" in line)
        words = ("worker", address, "--nthreads", "1", "--no-nanny", "--memory-limit", "0", *common)
        processes += [_start(folder, *words, stderr=subprocess.DEVNULL) for _ in range(2)]
        yield address, scheduler.pid
    finally:
        for process in reversed(processes):
            process.kill()
            process.communicate()


def _start(folder: Path, *words: str, stderr: int) -> subprocess.Popen[str]:
    return subprocess.Popen([DASK, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr, text=True)


def resident(process: int) -> int:
    """Return the bytes of memory that *process* holds."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text("utf-8").splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def run(folder: Path, store: str, executor: str, asked: int) -> tuple[int, float]:
    """Make an image of at least *asked* tiles on *executor*; return how many it has, and tiles per second."""
    rows = isqrt(asked)
    image = np.random.default_rng(0).integers(0, 65535, (rows * TILE, -(-asked // rows) * TILE), np.uint16)
    tifffile.imwrite(folder / "a.tif", image, tile=(256, 256))
    spec = folder / "p.yaml"
    spec.write_text(PIPELINE.format(store=store, executor=executor, tile=TILE), "utf-8")
    began = time.perf_counter()
    tiles = tileconv.run(spec, overwrite=True).tiles
    return tiles, tiles / (time.perf_counter() - began)


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures; exit code 1 if a tile leaves more than 100 bytes in the scheduler."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tiles", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=100, help="the most bytes per tile that may stay in the scheduler")
    asked = parser.parse_args(words)
    with cluster(asked.folder) as (address, scheduler):
        run(asked.folder, "cluster.zarr", address, min(asked.tiles, WARM))
        before = resident(scheduler)
        tiles, speed = run(asked.folder, "cluster.zarr", address, asked.tiles)
        kept = (resident(scheduler) - before) / tiles
    sys.stdout.write(f"scheduler: {kept:,.0f} bytes per tile stay, of {tiles:,} tiles of {TILE} x {TILE} pixels\n")
    sys.stdout.write(f"cluster: {speed:,.0f} tiles per second, two workers\n")
    _, speed = run(asked.folder, "threads.zarr", "threads", tiles)
    sys.stdout.write(f"threads: {speed:,.0f} tiles per second, two workers\n")
    return int(kept > asked.bytes)


if __name__ == "__main__":
    sys.exit(main())
