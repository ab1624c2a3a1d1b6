"""The lesson's headline: the convolution of two arrays of n numbers by direct sums, which is O(n²), and by FFT.

    python benchmarks/lesson.py [--most 10000000] [--rounds 3] [--limit 20] [--plot lesson.png] [--json lesson.json]

Both are ``tileconv.convolve`` on the whole of both arrays, float64, engine ``direct`` and ``fft``, in one process, in
turn; medians of *rounds*, compiled before. An engine is left out from the length on at which it would take more than
*limit* seconds, going by the length before. The plot, which needs ``tileconv[plot]``, has the curves c n² and
c n log n through the medians beside the points.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import tileconv
from tileconv.allocator import keep_freed_memory

LEAST, PER_DECADE = 100, 2
ONE_TRANSFORM = 10**6
"""Longer arrays are cut into blocks: the laws are drawn through the last point up to here."""
GROWTH: dict[str, Callable[[float], float]] = {"direct": lambda n: n**2, "fft": lambda n: n * np.log2(n)}
LAWS = {"direct": "c n²", "fft": "c n log n"}
Times = dict[str, dict[int, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10**7, help="numbers of the longest arrays")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=20.0, help="seconds of one convolution")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    keep_freed_memory()
    times = measure(asked.most, asked.rounds, asked.limit)
    print(f"{'numbers':>10} {'direct, s':>12} {'FFT, s':>12} {'ratio':>8}")
    for n in times["fft"]:
        direct, fft = times["direct"].get(n), times["fft"][n]
        print(f"{n:>10,} {direct or float('nan'):>12.6f} {fft:>12.6f} {(direct or float('nan')) / fft:>8.1f}")
    if asked.json:
        asked.json.write_text(json.dumps(times, indent=1))
    if asked.plot:
        draw(times, asked.plot)
    return 0


def measure(most: int, rounds: int, limit: float) -> Times:
    """Return seconds by engine and length."""
    rng, times = np.random.default_rng(0), Times(direct={}, fft={})
    steps = round(PER_DECADE * np.log10(most / LEAST))
    for n in (round(LEAST * 10 ** (step / PER_DECADE)) for step in range(steps + 1)):
        one, other = rng.random(n), rng.random(n)
        taken: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            for engine, growth in GROWTH.items():
                last = max(times[engine], default=0)
                if last and times[engine][last] * growth(n) / growth(last) > limit:
                    continue
                began = time.perf_counter()
                tileconv.convolve(one, other, extent="full", engine=engine)
                if number:  # the first of a length compiles, and touches memory for the first time
                    taken.setdefault(engine, []).append(time.perf_counter() - began)
        for engine, seconds in taken.items():
            times[engine][n] = statistics.median(seconds)
    return times


def draw(times: Times, path: Path) -> None:
    """Draw seconds against numbers, with the law of each engine through one of its points."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    lengths = np.array([*times["fft"]], float)
    for engine, colour in (("direct", "tab:red"), ("fft", "tab:blue")):
        points = times[engine]
        through = max(n for n in points if n <= ONE_TRANSFORM)
        law = points[through] * GROWTH[engine](lengths) / GROWTH[engine](through)
        axes.loglog(lengths, law, "--", color=colour, alpha=0.5, label=LAWS[engine])
        axes.loglog([*points], [*points.values()], "o", color=colour, label=f"{engine} engine")
    axes.axvline(1e5, color="0.7", linewidth=0.8)
    axes.set(xlabel="numbers in each array", ylabel="seconds", title="Convolution of two arrays")
    axes.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
