"""A chain of blur, edges and sharpening over a gigapixel image under 1 GiB, checked at random spots.

    python benchmarks/gigapixel.py --folder FOLDER [--size 32768] [--memory 1GiB] [--spots 4] [--seed 0]

The image is written once and kept. The run is a process of its own, so that its peak memory is that of one run. Every
spot is compared with scipy.ndimage in float64 on a window around it that is wider than all halos together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as nd
import tifffile
import zarr
from numpy.typing import NDArray

SPEC = """version: 1
input: {path: big.tif}
stages:
  - {op: gaussian, sigma: 2}
  - {op: sobel, component: magnitude}
  - {op: unsharp, sigma: 1, amount: 0.6}
output: {path: edges.ome.zarr, dtype: float32, pyramid: none}
"""
MARGIN = 32
"""Pixels around a spot; the three stages together reach 13."""
SPOT = 128
AGREES = 1e-5
"""Largest difference allowed, as a share of the largest value of the spot: float32 has 6e-8, the chain adds up."""


@dataclass(frozen=True)
class Spot:
    """One compared square: where it begins, and its largest difference as a share of its largest value."""

    y: int
    x: int
    difference: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print what was measured, and return 0 if memory and pixels are as promised."""
    asked = _parse(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    image, spec, output = (asked.folder / name for name in ("big.tif", "gigapixel.yaml", "edges.ome.zarr"))
    if not image.exists():
        _tileconv("sample", "synthetic", "--size", f"{asked.size}x{asked.size}", "--dtype", "uint16", "-o", str(image))
    spec.write_text(SPEC, encoding="utf-8")
    limits = ["--set", f"run.memory={asked.memory}"]
    report = json.loads(_tileconv("run", str(spec), "--overwrite", "--json", *limits))
    measured, predicted = report["peak_bytes"] / 2**20, report["predicted_bytes"] / 2**20
    print(f"{asked.size} x {asked.size} uint16 to float32, {report['tiles']} tiles, run.memory {asked.memory}")
    print(f"{report['seconds']:.1f} s, {report['megapixels_per_second']:.0f} Mpx/s")
    print(f"peak memory {measured:.0f} MiB measured, {predicted:.0f} MiB predicted")
    spots = compare(image, output, asked.spots, asked.seed)
    for spot in spots:
        print(f"spot y={spot.y} x={spot.x}: largest difference {spot.difference:.1e} of the largest value")
    return int(measured > predicted or any(spot.difference > AGREES for spot in spots))


def compare(image: Path, output: Path, count: int, seed: int) -> list[Spot]:
    """Return *count* random spots of *output*, each compared with a reference made from *image* alone."""
    rng = np.random.default_rng(seed)
    with tifffile.TiffFile(image) as tiff:
        return list(_compare(zarr.open_array(tiff.aszarr(), mode="r"), _level(output), count, rng))


def _compare(pixels: Any, result: Any, count: int, rng: np.random.Generator) -> Iterator[Spot]:
    height, width = pixels.shape
    for _ in range(count):
        y, x = (int(rng.integers(max(1, n - SPOT + 1))) for n in (height, width))
        inside = np.s_[y : min(y + SPOT, height), x : min(x + SPOT, width)]
        top, left = max(0, y - MARGIN), max(0, x - MARGIN)
        window = np.asarray(pixels[top : y + SPOT + MARGIN, left : x + SPOT + MARGIN])
        expected = reference(window)[y - top :, x - left :][:SPOT, :SPOT]
        made = np.asarray(result[inside], np.float64)
        yield Spot(y, x, float(np.abs(made - expected[: made.shape[0], : made.shape[1]]).max() / expected.max()))


def reference(window: NDArray[Any]) -> NDArray[np.float64]:
    """Return the chain of ``SPEC`` on *window* in float64; its rim is right where it is the image's own."""
    blurred = nd.gaussian_filter(window.astype(np.float64), 2)
    length = np.hypot(nd.sobel(blurred, 0), nd.sobel(blurred, 1))
    return np.asarray(length + 0.6 * (length - nd.gaussian_filter(length, 1)), np.float64)


def _level(store: Path) -> Any:
    return zarr.open_group(store, mode="r")["0"]


def _tileconv(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "tileconv", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where image and result are kept")
    parser.add_argument("--size", type=int, default=32768, help="pixels along each side")
    parser.add_argument("--memory", default="1GiB", help="run.memory")
    parser.add_argument("--spots", type=int, default=4, help="how many random squares are compared")
    parser.add_argument("--seed", type=int, default=0, help="another number, other spots")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
