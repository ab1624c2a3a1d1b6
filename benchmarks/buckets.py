"""A chain of three stages between a disk and buckets of a server that takes its time, in seconds.

    python -m benchmarks.buckets FOLDER --side 8192 --wait-ms 0 30 [--workers 8]

The server is s3rver on loopback (make .venv-s3rver/.made), which shares the processors with the run. It knows no
conditions, so that runs are made with run.lock: none. The input is a TIFF in deflated tiles of 256.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import remove
from benchmarks.ranges import written
from tests.stores.servers import environment, s3rver
from tileconv.stores.objects import ObjectStore

SPEC = """\
version: 1
input: {{path: "{input}"}}
stages: [{{op: gaussian, sigma: 2}}, {{op: sobel}}, {{op: unsharp, sigma: 2}}]
output: {{path: "{output}"}}
run: {{lock: none, workers: {workers}}}
"""
WAYS = (("disk", "disk"), ("s3", "disk"), ("disk", "s3"), ("s3", "s3"))


def seconds(folder: Path, source: str, output: str, workers: str) -> float:
    """Return how long the command takes from *source* to *output*."""
    (folder / "spec.yaml").write_text(SPEC.format(input=source, output=output, workers=workers))
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tileconv", "run", folder / "spec.yaml"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def measured(folder: Path, file: Path, wait_ms: float, times: int, workers: str) -> dict[tuple[str, str], float]:
    """Return the least seconds of each of the ways, on a server that waits before each answer."""
    remove(folder / "kept")
    best: dict[tuple[str, str], float] = {}
    with s3rver(folder / "kept", wait_ms) as url:
        os.environ.update(environment(url))
        ObjectStore("s3://bucket/in").write("a.tif", [[file.read_bytes()]])
        for number in range(times):
            for way in WAYS:
                remove(folder / "out.zarr")
                remove(folder / "out.zarr.tileconv")
                source = str(file) if way[0] == "disk" else "s3://bucket/in/a.tif"
                output = str(folder / "out.zarr") if way[1] == "disk" else f"s3://bucket/{way[0]}{number}.zarr"
                best[way] = min(best.get(way, 1e9), seconds(folder, source, output, workers))
    return best


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--wait-ms", type=float, nargs="+", default=[0, 30])
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--workers", default="auto")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = written(given.folder.resolve(), "tiled", given.side)
    print(f"{'wait':>7} " + "".join(f"{' to '.join(way):>14}" for way in WAYS))
    for wait_ms in given.wait_ms:
        best = measured(given.folder.resolve(), file, wait_ms, given.times, given.workers)
        print(f"{wait_ms:4g} ms " + "".join(f"{best[way]:12.1f} s" for way in WAYS), flush=True)


if __name__ == "__main__":
    main()
