"""Nanoseconds per output pixel of every engine, beside what tileconv/engines/cost.py says.

    python benchmarks/engines.py [--side 1024] [--repeats 5]

One thread; the fastest of several repeats on one square of the image's middle, border and formula left out. The
constants of cost.py are chosen so that the two columns agree; only their ratios matter to a choice.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tileconv.boxes import Box
from tileconv.engines.choose import ENGINES, EngineName, choose
from tileconv.engines.sums import kernel_sums, reach_box
from tileconv.engines.values import Precision, Values
from tileconv.kernels import box, gaussian, sobel
from tileconv.kernels.kernel import Kernel
from tileconv.kernels.operations import Magnitude

FREE_SIZES = (3, 5, 9, 15, 25, 41, 61)
BOX_SIZES = (3, 5, 9, 17, 33, 65)
SIGMAS = (1.0, 2.0, 5.0, 10.0)
SLOW_NS = 400.0
"""What the model says to take longer than this is left out: the answer is known and the wait is long."""


@dataclass(frozen=True)
class Row:
    """One measurement."""

    kernel: str
    dtype: str
    engine: EngineName
    measured_ns: float
    modelled_ns: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and the ratio measured / modelled of each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024, help="pixels along each side of the square that is made")
    parser.add_argument("--repeats", type=int, default=5, help="the fastest of so many counts")
    parser.add_argument("--kernels", type=int, default=None, help="only the first so many kernels")
    asked = parser.parse_args(arguments)
    rows = []
    print(f"{'kernel':18} {'pixels':8} {'engine':10} {'measured':>9} {'modelled':>9}  ns per pixel")
    for row in measure(asked.side, asked.repeats, asked.kernels):
        rows.append(row)
        print(f"{row.kernel:18} {row.dtype:8} {row.engine:10} {row.measured_ns:9.2f} {row.modelled_ns:9.2f}")
    for engine in ENGINES:
        ratios = [row.measured_ns / row.modelled_ns for row in rows if row.engine == engine]
        if ratios:
            print(
                f"{engine}: measured / modelled {min(ratios):.2f} to {max(ratios):.2f}, median {np.median(ratios):.2f}"
            )
    return 0


def measure(side: int, repeats: int, kernels: int | None = None) -> Iterator[Row]:
    """Yield one row per kernel, pixel type and engine that may be used for them."""
    for name, kernel in list(_kernels())[:kernels]:
        for dtype, precision in (("uint8", "auto"), ("float32", "float32"), ("float64", "float64")):
            yield from _engines(name, kernel, np.dtype(dtype), precision, side, repeats)  # type: ignore[arg-type]


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


def _engines(
    name: str, kernel: Kernel, dtype: np.dtype[np.generic], precision: Precision, side: int, repeats: int
) -> Iterator[Row]:
    values = Values.of(dtype)
    domain, out = Box.of_shape((1, 4 * side, 4 * side)), Box((0, side, side), (1, 2 * side, 2 * side))
    for candidate in choose(kernel, values, precision, "auto", domain).candidates:
        if candidate.refused or candidate.ns_per_pixel > SLOW_NS:
            continue
        choice = choose(kernel, values, precision, candidate.engine, domain)
        have = reach_box(choice, out, domain)
        block = np.random.default_rng(1).integers(0, 200, have.shape).astype(dtype)
        made = 1.0
        if choice.engine == "fft":  # whole blocks are made; the square's share of them is what counts
            made = float(
                np.prod([h - b - a for h, b, a in zip(have.shape, choice.halo.before, choice.halo.after, strict=True)])
            )
            made /= out.size
        kernel_sums(choice, block, have, out, domain)  # compiles, and makes the kernel's spectrum
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            kernel_sums(choice, block, have, out, domain)
            seconds.append(time.perf_counter() - began)
        yield Row(name, dtype.name, choice.engine, min(seconds) / out.size / made * 1e9, candidate.ns_per_pixel)


if __name__ == "__main__":
    raise SystemExit(main())
