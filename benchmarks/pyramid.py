"""What levels cost: the same pipeline without a pyramid and with one, in turn, each a process of its own.

    python benchmarks/pyramid.py --folder FOLDER [--size 32768] [--rounds 3] [--memory 1GiB] [--kinds uint16 rgb]

``uint16`` and ``rgb`` (uint8) are blurred and stored as they were; ``float32`` is the chain of ``gigapixel.py``. It
ends with 1 if any ratio of the medians is above 1.25, or a peak of memory above what was predicted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

LIMIT = 1.25
BLUR = "[{op: gaussian, sigma: 2}]"
CHAIN = "[{op: gaussian, sigma: 2}, {op: sobel, component: magnitude}, {op: unsharp, sigma: 1, amount: 0.6}]"
KINDS = {
    "uint16": ("big.tif", BLUR, "input"),
    "float32": ("big.tif", CHAIN, "float32"),
    "rgb": ("rgb.tif", BLUR, "input"),
}
"""The image, the stages and the type of the output."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print a line for each kind, and return 0 if all is as promised."""
    asked = _parse(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for kind in asked.kinds:
        image, stages, dtype = KINDS[kind]
        _image(asked.folder / image, asked.size)
        spec = asked.folder / f"{kind}.yaml"
        spec.write_text(
            f"version: 1\ninput: {{path: {image}}}\nstages: {stages}\n"
            f"output: {{path: {kind}.ome.zarr, dtype: {dtype}}}\nrun: {{memory: {asked.memory}}}\n",
            encoding="utf-8",
        )
        seconds: dict[str, list[float]] = {"none": [], "auto": []}
        peaks = []
        for number in range(asked.rounds + 1):
            for pyramid, taken in seconds.items():
                report = json.loads(_run(spec, pyramid))
                if number:  # the first round compiles
                    taken.append(report["seconds"])
                    peaks.append((report["peak_bytes"], report["predicted_bytes"]))
        without, with_levels = (median(taken) for taken in seconds.values())
        peak, predicted = max(peaks)
        print(
            f"{kind:8} {asked.size} x {asked.size}: {without:.2f} s without, {with_levels:.2f} s with levels, "
            f"ratio {with_levels / without:.2f}; peak {peak / 2**20:.0f} MiB, predicted {predicted / 2**20:.0f} MiB"
        )
        wrong += with_levels > LIMIT * without or peak > predicted
    return int(wrong > 0)


def _run(spec: Path, pyramid: str) -> str:
    words = ["run", str(spec), "--overwrite", "--json", "--progress", "none", "--set", f"output.pyramid={pyramid}"]
    return subprocess.run(
        [sys.executable, "-m", "tileconv", *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _image(path: Path, size: int) -> None:
    if path.exists():
        return
    if path.name == "big.tif":
        words = ["--size", f"{size}x{size}", "--dtype", "uint16", "-o", str(path)]
        subprocess.run([sys.executable, "-m", "tileconv", "sample", "synthetic", *words], check=True)
        return
    import numpy as np
    import tifffile

    random = np.random.default_rng(0)
    tile = random.integers(0, 256, (512, 512, 3), np.uint8)

    def tiles() -> Any:
        for number in range((-(-size // 512)) ** 2):
            yield np.roll(tile, number * 37, (0, 1))

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(tiles(), shape=(size, size, 3), dtype=np.uint8, tile=(512, 512), photometric="rgb")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where images and results are kept")
    parser.add_argument("--size", type=int, default=32768, help="pixels along each side")
    parser.add_argument("--rounds", type=int, default=3, help="of each, after one that compiles")
    parser.add_argument("--memory", default="1GiB", help="run.memory")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS], help="which images")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
