"""Medians, local maxima and variances of arrays in memory beside SciPy, scikit-image and OpenCV: nanoseconds per pixel.

    python benchmarks/ranks.py [--side 2048] [--rounds 5]

Processor time of all threads, the functions of a case in turn, medians of the rounds; results are compared first, away
from the border, and a function that gives other pixels is named. Noise: medians of smooth images cost others less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import scipy.ndimage as nd
import skimage.filters.rank
from numpy.typing import NDArray

import tileconv

Array = NDArray[np.generic]
Function = Callable[[], Array]


def cases(image: Array) -> Iterator[tuple[str, dict[str, Function]]]:
    """Yield what is made of *image*, and by whom: ours first."""
    for size in (3, 5, 9, 15, 31):
        cell = np.ones((size, size), np.uint8)
        by = {"tileconv": lambda n=size: tileconv.median(image, n), "scipy": lambda n=size: nd.median_filter(image, n)}
        if image.dtype == np.uint8:
            by["skimage"] = lambda c=cell: skimage.filters.rank.median(image, c)
        if size <= 5 or image.dtype == np.uint8:
            by["opencv"] = lambda n=size: cv2.medianBlur(image, n)
        yield f"median {size} x {size}", by
    cell = np.ones((15, 15), np.uint8)
    yield (
        "local_maximum 15 x 15",
        {
            "tileconv": lambda: tileconv.local_maximum(image, 15),
            "scipy": lambda: nd.maximum_filter(image, 15),
            "opencv": lambda: cv2.dilate(image, cell),
        },
    )
    yield (
        "variance 5 x 5",
        {
            "tileconv": lambda: tileconv.variance(image, 5),
            "scipy, of two means": lambda: _variance(image),
        },
    )


def _variance(image: Array) -> Array:
    wide = image.astype(np.float64)
    return nd.uniform_filter(wide * wide, 5) - nd.uniform_filter(wide, 5) ** 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    for dtype in ("uint8", "uint16", "float32"):
        image = (rng.random((options.side, options.side)) * 255).astype(dtype)
        for name, by in cases(image):
            inner = (slice(40, -40),) * 2
            results = {who: function()[inner] for who, function in by.items()}
            ours = results["tileconv"]
            other = [who for who, made in results.items() if not np.allclose(made, ours, rtol=1e-4, atol=1e-4)]
            times = _in_turn(list(by.values()), options.rounds)
            each = "  ".join(f"{who} {ns / image.size:.1f}" for who, ns in zip(by, times, strict=True))
            print(f"{dtype:8} {name:22} {each}" + f"  other pixels: {', '.join(other)}" * bool(other), flush=True)
    return 0


def _in_turn(functions: Sequence[Function], rounds: int) -> list[float]:
    """Return the median nanoseconds of each function."""
    taken: list[list[int]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, into in zip(functions, taken, strict=True):
            start = time.process_time_ns()
            function()
            into.append(time.process_time_ns() - start)
    return [float(np.median(each)) for each in taken]


if __name__ == "__main__":
    raise SystemExit(main())
