"""Slides of which more and more is glass: how the time of a run falls, and what a mask saves where glass is noisy.

The tissue is a square in the middle. Glass is one value, or with ``--noisy`` noise in tiles of JPEG that a mask hides.
The time of a run on a tiny image, its start, is subtracted.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from benchmarks.inputs import TILECONV
from benchmarks.measure import Run, measure, remove
from tileconv.boxes import Box
from tileconv.samples.synthetic import synthetic

GOAL = {70: 0.5}
"""Of the time without glass, by the share of glass in percent."""
GLASS, TILE = 243, 1024
STAGES = "[{op: gaussian, sigma: 2}, {op: sobel}, {op: unsharp, sigma: 1}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a run for each share of glass; 0 where each takes no more than its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="Where inputs and outputs lie.")
    parser.add_argument("--side", type=int, default=8192, metavar="N", help="Pixels along both axes.")
    parser.add_argument("--shares", default="0,25,50,70,80,90,95", help="Glass, in percent.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pyramid", choices=("auto", "none"), default="auto", help="Whether levels are made as well.")
    parser.add_argument("--noisy", action="store_true", help="Glass is noise, in JPEG, and a mask hides it.")
    options = parser.parse_args(arguments)
    folder, late = options.folder.absolute(), list[int]()
    folder.mkdir(parents=True, exist_ok=True)
    start = _least(folder, _slide(folder, 64, 0, options.noisy), options)
    print(f"start {start.seconds:.2f} s, {start.cpu_seconds:.2f} s of processor, subtracted; side {options.side}")
    first: list[float] = []
    for share in map(int, options.shares.split(",")):
        slide = _slide(folder, options.side, share, options.noisy)
        run = _least(folder, slide, options)
        times = [run.seconds - start.seconds, run.cpu_seconds - start.cpu_seconds]
        first = first or times
        wall, processor = (time / whole for time, whole in zip(times, first, strict=True))
        idle = run.printed["counts"]["idle"] / math.prod(run.printed["shape"])
        print(
            f"{share} % glass: {times[0]:.2f} s, {wall:.2f} of the first; processor {times[1]:.2f} s, {processor:.2f}"
            f"; {idle:.0%} not computed",
            flush=True,
        )
        late += [share] * (wall > GOAL.get(share, math.inf))
        remove(slide)
    return len(late)


def _tiles(side: int, share: int, noisy: bool) -> Iterator[tuple[Box, NDArray[Any], NDArray[np.bool_]]]:
    """Yield every tile with its pixels, and which of them are tissue."""
    rng, edge = np.random.default_rng(0), side * (1 - math.sqrt(1 - share / 100)) / 2
    for y in range(0, side, TILE):
        for x in range(0, side, TILE):
            box = Box((y, x), (min(y + TILE, side), min(x + TILE, side)))
            inside = [
                (np.arange(a, b) >= edge) & (np.arange(a, b) < side - edge)
                for a, b in zip(box.start, box.stop, strict=True)
            ]
            tissue = inside[0][:, None] & inside[1]
            noise = rng.integers(-4, 5, box.shape) if noisy else 0
            texture = synthetic(box, 1, "uint8") if tissue.any() else 0
            yield box, np.where(tissue, texture, GLASS + noise).astype(np.uint8), tissue


def _slide(folder: Path, side: int, share: int, noisy: bool) -> Path:
    """Write a slide, and beside a noisy one its mask; return its path."""
    path = folder / f"glass{share}.{'tif' if noisy else 'zarr'}"
    shape = {"shape": (side, side), "chunks": (min(TILE, side),) * 2, "dimension_names": ("y", "x")}
    target: Any = zarr.create_array(folder / "mask.zarr" if noisy else path, dtype="uint8", overwrite=True, **shape)

    def tiles() -> Iterator[NDArray[Any]]:
        for box, pixels, tissue in _tiles(side, share, noisy):
            target[tuple(map(slice, box.start, box.stop))] = tissue if noisy else pixels
            whole = np.full((TILE, TILE), GLASS, np.uint8)
            whole[tuple(map(slice, box.shape))] = pixels
            yield whole

    if noisy:
        words = {"dtype": "uint8", "compression": "jpeg", "bigtiff": True, "photometric": "minisblack"}
        tifffile.imwrite(path, tiles(), shape=(side, side), tile=(TILE, TILE), **words)
    else:
        for _ in tiles():
            pass
    return path


def _least(folder: Path, slide: Path, options: argparse.Namespace) -> Run:
    """Return the fastest of some runs, each a whole process."""
    out, spec = folder / "out.ome.zarr", folder / "glass.yaml"
    mask = f", mask: {{path: {folder / 'mask.zarr'}}}" * options.noisy
    more = "missing: {rule: propagate}\n" * options.noisy
    output = f"{{path: {out}, dtype: uint8, pyramid: {options.pyramid}{', nodata: 255' * options.noisy}}}"
    spec.write_text(f"version: 1\ninput: {{path: {slide}{mask}}}\nstages: {STAGES}\n{more}output: {output}\n", "utf-8")
    runs = []
    for _ in range(options.rounds):
        runs.append(measure([*TILECONV, "run", str(spec), "--overwrite", "--json"]))
        remove(out)
        remove(out.with_name(f"{out.name}.tileconv"))
    return min(runs, key=lambda run: run.seconds)


if __name__ == "__main__":
    raise SystemExit(main())
