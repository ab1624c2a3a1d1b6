"""A random kernel of 9 x 9 weights is learned again from white noise and its noisy answer, of any size.

    python -m benchmarks.learn [--sides 16384 32768] [--noise 0.1] [--memory 1GiB] [--seed 1]

Neither image is stored: the one before is a hash of the place of a pixel, uint16, and the one after what the kernel
makes of it in float64, with white noise of a share of its deviation, rounded to float32. Every size runs in a process
of its own.

Least squares is off by about noise * sqrt(weights / pixels) of the kernel's length, which is printed beside what was
measured: 10 % noise allows 1e-4 from 81 megapixels on, and 2.7e-5 at a gigapixel.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo, pieces
from tileconv.engines.direct import direct
from tileconv.engines.loops import njit
from tileconv.images import ImageInfo

SIDE, ROWS, GROWTH, WITHIN = 9, 64, 1.01, 1e-4
ODD, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""


@njit(nogil=True, cache=True)
def hashed(key: int, y0: int, x0: int, out: NDArray[Any]) -> None:
    """Fill *out* with a hash of the place of each pixel."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            z = np.uint64(key) + (np.uint64(y0 + y) * np.uint64(2**32) + np.uint64(x0 + x)) * np.uint64(ODD)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_1)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_2)
            out[y, x] = (z ^ (z >> np.uint64(31))) >> np.uint64(48)


@dataclass(frozen=True)
class Noise:
    """White noise of any size that is held nowhere: uint16, uniform."""

    side: int
    seed: int
    dtype: type = np.uint16
    where: str = "noise"
    cache_bytes: int = 0
    changed: int = 0
    libraries: tuple[str, ...] = ()

    @property
    def info(self) -> ImageInfo:
        """A grey image, in chunks of 1024."""
        return ImageInfo((self.side, self.side), "yx", np.dtype(self.dtype), (1024, 1024))

    def read(self, box: Box, reads: object = None) -> NDArray[Any]:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*."""
        out = np.empty(box.shape, np.uint16)
        hashed(self.seed, *box.start, out)
        return out


@dataclass(frozen=True)
class Answer(Noise):
    """What *kernel* makes of the noise, plus noise of its own; noise beyond the image, which nobody learns from."""

    kernel: tuple[tuple[float, ...], ...] = ()
    noise: float = 0.0

    def read(self, box: Box, reads: object = None) -> NDArray[Any]:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*, made some rows at a time, because what is measured is not this."""
        weights, noise = np.array(self.kernel), Noise(self.side, self.seed)
        deviation = self.noise * math.sqrt(np.square(weights).sum())
        out = np.empty(box.shape, np.float32)
        for first, last in pieces(box.start[0], box.stop[0], ROWS):
            part = Box((first, box.start[1]), (last, box.stop[1]))
            block = noise.read(part.grow(Halo.same(SIDE // 2, axes=2)))
            made = direct(block[None], weights[None])[0]
            made += deviation * (Noise(self.side, self.seed + 1).read(part) - 32767.5)
            out[part.within(box)] = made
        return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per size; return 1 if a kernel is further off than allowed, or memory grew or was not predicted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=(16384, 32768), help="pixels along each side")
    parser.add_argument("--noise", type=float, default=0.1, help="share of the deviation of the answer")
    parser.add_argument("--memory", default="1GiB", help="as run.memory")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.one:
        print(json.dumps(one(asked.one, asked.noise, asked.memory, asked.seed)))
        return 0
    rows, held = [], True
    print("| gigapixels | off by | expected | explained | seconds | peak MiB | predicted MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for side in asked.sides:
        words = ["--noise", str(asked.noise), "--memory", asked.memory, "--seed", str(asked.seed), "--one", str(side)]
        command = [sys.executable, "-m", "benchmarks.learn", *words]
        row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        expected = asked.noise * SIDE / side
        peak, predicted = row["peak_bytes"] / 2**20, row["predicted_bytes"] / 2**20
        held &= row["off"] <= max(WITHIN, 1.5 * expected) and peak <= predicted
        rows.append(peak)
        print(
            f"| {side**2 / 2**30:.2f} | {row['off']:.2g} | {expected:.2g} | {100 * row['explained']:.4f} % "
            f"| {row['seconds']:.1f} | {peak:.0f} | {predicted:.0f} |"
        )
    return int(not held or any(b > a * GROWTH for a, b in pairwise(rows)))


def one(side: int, noise: float, memory: str, seed: int) -> dict[str, Any]:
    """Learn from images of *side* in this process, and return how well."""
    from tileconv.engines.cost import user_costs
    from tileconv.lessons.layout import lay_out
    from tileconv.lessons.teach import Task, teach
    from tileconv.lessons.wishes import Wishes
    from tileconv.planning.machine import this_machine
    from tileconv.progress import Progress
    from tileconv.spec.words import parse_memory

    kernel = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    rows = tuple(tuple(row) for row in kernel.tolist())
    sources = (Noise(side, seed), Answer(side, seed, np.float32, kernel=rows, noise=noise))
    shape = (1, SIDE, SIDE)
    layout = lay_out(sources, shape, this_machine(user_costs()), memory=parse_memory(memory))
    with tempfile.TemporaryDirectory() as folder:
        task = Task(sources, shape, "yx", Wishes(), None, None, 0.0, False)
        learned = teach(task, layout, Path(folder) / "kernel", Progress())
    off = float(np.linalg.norm(learned.weights - kernel) / np.linalg.norm(kernel))
    figures = ("explained", "seconds", "peak_bytes", "predicted_bytes", "passes")
    return {"off": off} | {name: getattr(learned, name) for name in figures}


if __name__ == "__main__":
    raise SystemExit(main())
