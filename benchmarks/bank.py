"""What a bank of 16 kernels costs beside one of them: ``python -m benchmarks.bank [--size N] [--rounds N]``.

Whole runs from TIFF to OME-Zarr, 31 x 31 weights by FFT, in turn in this process; processor time, medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import tileconv
from tileconv.samples.write import write_sample

COUNT, SIDE = 16, 31


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        works = _works(Path(folder), asked.size)
        seconds: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(asked.rounds + 1):  # the first compiles
            for name, pipeline in works.items():
                began = time.process_time()
                tileconv.run(pipeline, overwrite=True)
                if turn:
                    seconds[name].append(time.process_time() - began)
        one = seconds["one kernel"]
        for name, taken in seconds.items():
            ratio = statistics.median(a / b for a, b in zip(taken, one, strict=True))
            print(f"{name:<28} {statistics.median(taken):7.2f} s  {ratio:5.2f} x")


def _works(folder: Path, size: int) -> dict[str, dict[str, object]]:
    """Return the pipelines by name."""
    weights = np.random.default_rng(5).normal(size=(COUNT, SIDE, SIDE))
    write_sample("synthetic", folder / "image.tif", shape=(size, size))
    np.save(folder / "bank.npy", weights)
    np.save(folder / "one.npy", weights[0])
    bank = {"op": "bank", "kernels": str(folder / "bank.npy"), "engine": "fft"}
    stages = {
        "one kernel": {"op": "correlate", "kernel": str(folder / "one.npy"), "engine": "fft"},
        f"{COUNT}, reduce: magnitude": bank | {"reduce": "magnitude"},
        f"{COUNT}, stored as channels": bank,
    }
    return {
        name: {
            "version": 1,
            "input": {"path": str(folder / "image.tif")},
            "stages": [stage],
            "output": {"path": str(folder / f"{number}.ome.zarr")},
        }
        for number, (name, stage) in enumerate(stages.items())
    }


if __name__ == "__main__":
    main()
