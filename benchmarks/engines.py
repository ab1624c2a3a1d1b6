"""Nanoseconds per output pixel of every engine, beside what tileconv/engines/cost.py says, and how well ``auto`` chose.

    python benchmarks/engines.py [--sides 512 1024] [--repeats 5] [--costs costs.json]

A grid over kernel shape, size, rank, pixel type and tile. One thread; border and formula left out; the engines of a
case take turns, and the fastest of several rounds counts. A tile's FFT blocks are made whole and their time is the
tile's. Engines that the model says to take more than ``--far`` times as long as the cheapest are left out. The last
lines name every case in which ``auto`` takes over 15 % longer than the best engine, and the share of the others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tileconv.allocator import keep_freed_memory
from tileconv.boxes import Box
from tileconv.engines.choose import ENGINES, choose
from tileconv.engines.cost import Costs, read_costs, user_costs
from tileconv.engines.kernel import Kernel
from tileconv.engines.sums import kernel_sums, reach_box
from tileconv.engines.values import Precision, Values
from tileconv.kernels import box, gaussian, sobel
from tileconv.operations.magnitude import Magnitude

FREE_SIZES = (3, 5, 9, 15, 25, 41, 61)
BOX_SIZES = (3, 5, 9, 17, 33, 65)
SIGMAS = (1.0, 2.0, 5.0, 10.0, 20.0)
FLAT = ((1, 31), (31, 1), (3, 41), (41, 3), (9, 101))
RANKS = ((2, 9), (2, 31), (3, 15), (3, 61))
PIXELS: tuple[tuple[str, Precision], ...] = (("uint8", "auto"), ("float32", "auto"), ("float64", "auto"))
NEAR = 1.15
IMAGE_SIDE = 16384


@dataclass(frozen=True)
class Row:
    """One engine in one case."""

    kernel: str
    dtype: str
    side: int
    engine: str
    auto: bool
    measured_ns: float
    modelled_ns: float

    @property
    def case(self) -> tuple[str, str, int]:
        """What the engines are compared on."""
        return self.kernel, self.dtype, self.side


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, the ratio measured / modelled of each engine, and how often ``auto`` is near the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024], help="pixels along each side of a tile")
    parser.add_argument("--repeats", type=int, default=5, help="the fastest of so many counts")
    parser.add_argument("--kernels", type=int, default=None, help="only the first so many kernels")
    parser.add_argument("--costs", type=Path, default=None, help="constants to judge, in place of this machine's own")
    parser.add_argument(
        "--far", type=float, default=4.0, help="leave out what is modelled to take so many times as long"
    )
    asked = parser.parse_args(arguments)
    costs = user_costs() if asked.costs is None else read_costs(asked.costs)
    keep_freed_memory()
    rows = []
    print(f"{'kernel':18} {'pixels':8} {'tile':>5} {'engine':10} {'measured':>9} {'modelled':>9}  ns per pixel")
    for row in measure(asked.sides, asked.repeats, asked.far, costs, asked.kernels):
        rows.append(row)
        print(
            f"{row.kernel:18} {row.dtype:8} {row.side:5} {row.engine:10} {row.measured_ns:9.2f} {row.modelled_ns:9.2f}"
            + ("  auto" if row.auto else ""),
            flush=True,
        )
    for engine in ENGINES:
        ratios = [row.measured_ns / row.modelled_ns for row in rows if row.engine == engine]
        if ratios:
            print(
                f"{engine}: measured / modelled {min(ratios):.2f} to {max(ratios):.2f}, median {np.median(ratios):.2f}"
            )
    for line in verdict(rows):
        print(line)
    return 0


def verdict(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for every case in which ``auto`` is not near the best engine, and one with the share in which it is.

    A case in which one engine alone was measured counts as near.
    """
    cases = dict.fromkeys(row.case for row in rows)
    far = 0
    for case in cases:
        engines = [row for row in rows if row.case == case]
        best, auto = min(engines, key=lambda row: row.measured_ns), next(row for row in engines if row.auto)
        if auto.measured_ns > NEAR * best.measured_ns:
            far += 1
            lost = auto.measured_ns / best.measured_ns - 1
            kernel, dtype, side = case
            yield f"auto took {auto.engine}, {best.engine} is faster by {lost:.0%}: {kernel}, {dtype}, tile {side}"
    yield f"auto is within {NEAR - 1:.0%} of the best engine in {1 - far / len(cases):.0%} of {len(cases)} cases"


def measure(sides: Sequence[int], repeats: int, far: float, costs: Costs, kernels: int | None = None) -> Iterator[Row]:
    """Yield one row per kernel, pixel type, tile and engine that may be used for them."""
    for name, kernel in list(_kernels())[:kernels]:
        for dtype, precision in PIXELS:
            for side in sides:
                yield from _engines(name, kernel, np.dtype(dtype), precision, side, repeats, far, costs)


def _kernels() -> Iterator[tuple[str, Kernel]]:
    rng = np.random.default_rng(0)
    made = sobel("x")
    yield "sobel x", made.kernels[0] if isinstance(made, Magnitude) else made
    for size in BOX_SIZES:
        yield f"box {size}", box(size)
    for sigma in SIGMAS:
        yield f"gaussian {sigma:g}", gaussian(sigma)
    for size in FREE_SIZES:
        yield f"free {size} x {size}", Kernel.of(rng.standard_normal((size, size)))
    for high, wide in FLAT:
        yield f"free {high} x {wide}", Kernel.of(rng.standard_normal((high, wide)))
    for rank, size in RANKS:
        yield f"rank {rank}, {size} x {size}", Kernel.of(rng.random((size, rank)) @ rng.random((rank, size)))


def _engines(
    name: str,
    kernel: Kernel,
    dtype: np.dtype[np.generic],
    precision: Precision,
    side: int,
    repeats: int,
    far: float,
    costs: Costs,
) -> Iterator[Row]:
    values = Values.of(dtype)
    domain, out = Box.of_shape((1, IMAGE_SIDE, IMAGE_SIDE)), Box((0, 4 * side, 4 * side), (1, 5 * side, 5 * side))
    auto = choose(kernel, values, precision, "auto", domain, costs)
    jobs = []
    for candidate in auto.candidates:
        if candidate.refused or candidate.ns_per_pixel > far * auto.chosen.ns_per_pixel:
            continue
        choice = choose(kernel, values, precision, candidate.engine, domain, costs)
        have = reach_box(choice, out, domain)
        block = np.random.default_rng(1).integers(0, 200, have.shape).astype(dtype)
        kernel_sums(choice, block, have, out, domain)  # compiles, and makes the kernel's spectrum
        jobs.append((choice, block, have))
    seconds: list[list[float]] = [[] for _ in jobs]
    for _ in range(repeats):
        for taken, (choice, block, have) in zip(seconds, jobs, strict=True):
            began = time.thread_time()
            kernel_sums(choice, block, have, out, domain)
            taken.append(time.thread_time() - began)
    for taken, (choice, _, _) in zip(seconds, jobs, strict=True):
        measured = min(taken) / out.size * 1e9
        chosen = choice.engine == auto.engine
        yield Row(name, dtype.name, side, choice.engine, chosen, measured, choice.chosen.ns_per_pixel)


if __name__ == "__main__":
    raise SystemExit(main())
