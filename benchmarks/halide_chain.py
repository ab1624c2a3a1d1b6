"""The chain in Halide: stages that slide along strips of rows, each row made once, the types those of tileconv."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = tuple[tuple[int, ...], ...]
STRIP, LANES = 64, 8
SIGMA = 2


def chain(image: Array, truncate: int, across: Weights, down: Weights, sharpen: Weights) -> Callable[[int], Array]:
    """Return what computes gaussian, gradient and sharpening of *image*, shape (y, x), as float32, compiled already."""
    import halide as hl

    x, y, strip, row = (hl.Var(name) for name in ("x", "y", "strip", "row"))
    read, column, blurred, length, sharp = (hl.Func(name) for name in ("read", "column", "blurred", "length", "sharp"))

    def weighed(of: Any, weights: Weights) -> Any:
        terms = ((i - 1, j - 1, w) for i, line in enumerate(weights) for j, w in enumerate(line) if w)
        return _total(hl.f32(w) * of[x + j, y + i] for i, j, w in terms)

    radius = truncate * SIGMA
    bell = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SIGMA) ** 2)
    taps = [(n - radius, float(w)) for n, w in enumerate(bell / bell.sum())]
    pixels = hl.Buffer(image)
    read[x, y] = hl.f32(hl.BoundaryConditions.mirror_image(pixels)[x, y])
    column[x, y] = _total(hl.f32(w) * read[x, y + n] for n, w in taps)
    blurred[x, y] = _total(hl.f32(w) * column[x + n, y] for n, w in taps)
    gradient = [weighed(blurred, weights) for weights in (across, down)]
    length[x, y] = hl.sqrt(gradient[0] * gradient[0] + gradient[1] * gradient[1])
    sharp[x, y] = weighed(length, sharpen)
    sharp.split(y, strip, row, STRIP).parallel(strip).vectorize(x, LANES)
    for stage in (column, blurred, length):
        stage.store_at(sharp, strip).compute_at(sharp, row).vectorize(x, LANES)
    made = np.empty(image.shape, np.float32)
    target = hl.Buffer(made)
    sharp.compile_jit()

    def realize(_: int, _pixels: Any = pixels) -> Array:  # Halide does not keep alive what it reads
        sharp.realize(target)
        return made

    return realize


def _total(terms: Iterable[Any]) -> Any:
    first, *others = terms
    for term in others:
        first = first + term
    return first
