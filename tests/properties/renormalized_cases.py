"""Random images with holes under random weights: ``python tests/properties/renormalized_cases.py 10000 [FIRST]``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it

import numpy as np
from oracles.renormalized import renormalized

from tileconv import kernels
from tileconv.engines.borders import RULES, Border
from tileconv.engines.kernel import Kernel
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.operations.linear import Linear
from tileconv.planning.arrays import array_passes
from tileconv.planning.parts import Missing
from tileconv.spec.model import MissingSpec, StageSpec
from tileconv.tiles.in_memory import in_memory

ENGINES = ("direct", "separable", "fft")
TILES = (1, 3, 64)
SHARES = (0.5, 0.5, 0.0, 0.1, 0.3, 0.75, 1.0)


def weights_of(rng, axes):
    """Return a lopsided or even kernel without weights below 0: whole numbers, outer products, any grid, some 0."""
    letters = "zyx"[3 - axes :]
    kind = rng.integers(5)
    if kind == 0:
        return kernels.gaussian(float(rng.uniform(0.3, 1.5)), truncate=float(rng.uniform(1, 4)), axes=letters)
    if kind == 1:
        return kernels.box(int(rng.integers(1, 6)), axes=letters)
    shape = rng.integers(1, 6, axes)
    grid = rng.integers(0, 4, shape) if kind == 2 else rng.random(shape) * (rng.random(shape) < 0.8)
    if kind == 3:
        grid = np.ones(())
        for n in shape:
            grid = np.multiply.outer(grid, rng.random(n) + 0.01)
    return Kernel.of(grid if grid.any() else np.ones(shape, int), divide_by=float(rng.choice((1.0, 3.0))))


def image_of(rng, axes):
    """Return floats around 0 or far from it with holes: single pixels, whole sides, nearly all; perhaps infinities."""
    shape = rng.integers(1, 7, axes)
    image = (rng.standard_normal(shape) + rng.choice((0.0, 1000.0))).astype(rng.choice(("f4", "f8")))
    holes = rng.random(shape) < rng.choice((0.02, 0.2, 0.6, 0.97))
    for axis in range(axes):
        if rng.random() < 0.15:
            np.moveaxis(holes, axis, 0)[0] = True
    if rng.random() < 0.1:
        image.flat[rng.integers(image.size)] = rng.choice((np.inf, -np.inf))
    image[holes] = np.nan
    return image


def check(number, engines=ENGINES, tiles=TILES):
    """Assert of case *number*: the oracle's pixels, the same NaN in all *engines*, the same bytes at all *tiles*."""
    rng = np.random.default_rng(number)
    axes = int(rng.choice((1, 2, 2, 2, 3)))
    image, kernel = image_of(rng, axes), weights_of(rng, axes)
    rule = MissingSpec.of("renormalize", min_coverage=float(rng.choice(SHARES)), keep=bool(rng.random() < 0.5))
    rules, value = rng.choice(RULES, axes).tolist(), float(rng.choice((0.0, 7.5)))
    offset = float(rng.choice((0.0, 0.0, 5.0)))
    over = "zyx"[3 - axes :]
    border = {a: Border(name, value if name == "constant" else 0.0) for a, name in zip(over, rules, strict=True)}
    extent = str(rng.choice(("same", "same", "full")))
    options = {"extent": extent, "min_coverage": rule.min_coverage, "keep": rule.keep, "anchor": kernel.anchor}
    expected, share = renormalized(image, kernel.weights / kernel.divide_by, rules, value, **options)
    expected += offset
    clear = (np.abs(share - rule.min_coverage) > 1e-5) & ((share > 1e-9) | (share <= 0))
    info = ImageInfo(image.shape, over, image.dtype, (1,) * axes)
    peak = max(abs(value), np.abs(image[np.isfinite(image)]).max(initial=0), 1.0 if offset else 0.0)
    holes = None
    for engine in engines:
        words = {"over": over, "border": border, "extent": extent, "engine": engine, "missing": rule}
        stage = StageSpec("apply", Linear(kernel, offset), **words)
        results = []
        for tile in tiles:
            try:
                (pass_,) = array_passes([stage], info, missing=Missing("renormalize", None, None), tile=(tile,) * axes)
            except PlanError:
                assert engine == "separable"
                break
            results.append(in_memory(image, pass_))
        if not results:
            continue
        assert all(made.tobytes() == results[0].tobytes() for made in results), (number, engine, "bytes")
        made = results[0].astype(np.float64)
        holes = np.isnan(made) if holes is None else holes
        assert np.array_equal(np.isnan(made), holes), (number, engine, "engines differ")
        assert np.array_equal(np.isnan(made)[clear], np.isnan(expected)[clear]), (number, engine, "NaN")
        infinite = np.isinf(expected) & clear
        assert np.array_equal(made[infinite], expected[infinite]), (number, engine, "infinity")
        near = np.isfinite(made) & np.isfinite(expected)
        bound = pass_.stages[0].error_bound * peak
        error = np.abs(made[near] - expected[near]).max(initial=0)
        assert error <= bound, (number, engine, error, bound)


if __name__ == "__main__":
    count, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for done in range(1, count + 1):
        check(start + done - 1)
        if done % 500 == 0 or done == count:
            print(f"{done:,} cases from {start} on: the same pixels, the same bytes", flush=True)  # noqa: T201
