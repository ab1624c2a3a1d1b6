"""tileconv against itself: time over pixels, kernel size and workers, and what starting and compiling cost."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.inputs import TILECONV, TINY, Sizes, input_of, spec_file
from benchmarks.measure import ROOT, Run, measure, remove

CHAIN = "{op: gaussian, sigma: 2}, {op: sobel, component: magnitude}, {op: sharpen}"
KERNEL_SIZES = (3, 7, 15, 31, 63, 127, 255)
TINY_KERNEL_SIZES = (3, 63)
CROSSED = 63
"""From this size on the FFT sums a random kernel: time should not grow with the kernel."""
SMALL = 128
"""The side of an image of which a run takes what any run takes."""


@dataclass(frozen=True)
class Figure:
    """One number of the report with its goal; *values* has one entry per round."""

    workload: str
    what: str
    unit: str
    values: tuple[float, ...]
    goal: str = ""
    low: float = -np.inf
    high: float = np.inf

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median lies within the goal."""
        return self.low <= self.median <= self.high


def growth(sizes: Sizes, folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield the chain at a quarter, once and four times the pixels, kernels of growing size, and one worker."""
    sides = (sizes.side // 2, sizes.side, 2 * sizes.side)[: 2 if sizes.tiny else 3]
    chains: dict[int, list[Run]] = {side: [] for side in (SMALL, *sides)}
    by_workers: dict[int, list[Run]] = {1: [], 2: []}
    dense: dict[int, list[float]] = {size: [] for size in (TINY_KERNEL_SIZES if sizes.tiny else KERNEL_SIZES)}
    for _ in range(rounds):  # in turn: a machine that slows down slows all alike
        for side, runs in chains.items():
            runs.append(_run(sizes, folder, side, CHAIN))
        for workers, runs in by_workers.items():
            runs.append(_run(sizes, folder, sides[1], CHAIN, workers))
        for size, seconds in dense.items():
            np.save(folder / "free.npy", np.random.default_rng(size).standard_normal((size, size)))
            seconds.append(_seconds(_run(sizes, folder, sides[0], "{op: correlate, kernel: free.npy}")))
    for side, runs in chains.items():
        yield Figure("growth", f"chain, {_mpx(side)}: seconds", "s", tuple(map(_seconds, runs)))
    for side in sides[1:]:
        rounds_of = zip(chains[SMALL], chains[sides[0]], chains[side], strict=True)
        more = [(_seconds(c) - _seconds(a)) / (_seconds(b) - _seconds(a)) for a, b, c in rounds_of]
        per_pixel = tuple(r / (side / sides[0]) ** 2 for r in more)
        what = f"chain, {_mpx(side)}: time per pixel against {_mpx(sides[0])}, each less {_mpx(SMALL)}"
        yield Figure("growth", what, "×", per_pixel, "0.9 to 1.1", 0.9, 1.1)
    ratios = [_seconds(a) / _seconds(b) for a, b in zip(by_workers[1], by_workers[2], strict=True)]
    yield Figure("growth", f"chain, {_mpx(sides[1])}: 1 worker / 2 workers", "×", tuple(ratios), "≥ 1.7", low=1.7)
    for size, seconds in dense.items():
        yield Figure("growth", f"random kernel {size} × {size}, {_mpx(sides[0])}: seconds", "s", tuple(seconds))
        if size > CROSSED:
            ratio = tuple(a / b for a, b in zip(seconds, dense[CROSSED], strict=True))
            what = f"random kernel {size} × {size} against {CROSSED} × {CROSSED}"
            yield Figure("growth", what, "×", ratio, "≤ 1.1", high=1.1)


def _mpx(side: int) -> str:
    return f"{side * side / 1e6:.3g} Mpixel"


def _run(sizes: Sizes, folder: Path, side: int, stages: str, workers: int | None = None) -> Run:
    source = input_of(folder, "gray", Sizes(side, sizes.tiny))
    output = folder / "grown.ome.zarr"
    run = f"run: {{workers: {workers}}}\n" if workers else ""
    spec = spec_file(folder, source, output, stages, "float32", run)
    made = measure([*TILECONV, "run", str(spec), "--overwrite", "--json"], output=output)
    remove(output)
    print(f"growth: {_mpx(side)}, workers {workers or 'auto'}: {_seconds(made):.2f} s", file=sys.stderr, flush=True)
    return made


def _seconds(run: Run) -> float:
    """Return the seconds of the run itself, imports left out: they are the same for every size."""
    return float(run.printed["seconds"])


def start(folder: Path, rounds: int) -> Iterator[Figure]:
    """Yield how long the first words take, and the pipeline of ``make demo`` with nothing and all compiled."""
    folder.mkdir(parents=True, exist_ok=True)
    photograph, output = folder / "hubble.tif", folder / "start.ome.zarr"
    if not photograph.exists():
        measure([*TILECONV, "sample", "hubble", "-o", str(photograph)])
    spec = str(ROOT / "pipelines" / "edges.yaml")
    yield Figure("start", "tileconv --help", "s", _times(rounds, [*TILECONV, "--help"]), "< 0.1 s", high=0.1)
    small = spec_file(folder, input_of(folder, "gray", Sizes(TINY)), output, CHAIN, "float32")
    runs_small = _times(rounds, [*TILECONV, "run", str(small), "--overwrite"])
    yield Figure("start", "the chain over 512 x 512 pixels", "s", runs_small, "≤ 0.35 s", high=0.35)
    remove(output)
    check = [*TILECONV, "check", spec, "-i", str(photograph)]
    yield Figure("start", "tileconv check", "s", _times(rounds, check), "< 0.7 s", high=0.7)
    command = [*TILECONV, "run", spec, "-i", str(photograph), "-o", str(output)]
    runs: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            first, second, third = (_compiled(command, cache, output) for _ in range(3))
        runs.append((first, second, third))
    yield Figure("start", "demo pipeline, nothing compiled", "s", tuple(a for a, _, _ in runs))
    yield Figure("start", "demo pipeline, second run", "s", tuple(b for _, b, _ in runs))
    yield Figure("start", "compiling: first run - second run", "s", tuple(a - b for a, b, _ in runs), "< 4 s", high=4)
    what = "what compiling still adds: second run - third run"
    yield Figure("start", what, "s", tuple(b - c for _, b, c in runs), "< 0.2 s", high=0.2)


def _times(rounds: int, command: Sequence[str]) -> tuple[float, ...]:
    return tuple(measure(command).seconds for _ in range(rounds))


def _compiled(command: Sequence[str], cache: str, output: Path) -> float:
    seconds = measure(command, NUMBA_CACHE_DIR=cache).seconds
    remove(output)
    return seconds
