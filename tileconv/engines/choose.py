"""The cheapest allowed engine for one kernel, and why the others lost.

Decided from kernel, dtype and image shape alone, never from a tile or a pixel value, so that tiling stays invisible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Halo
from tileconv.engines.cost import Costs
from tileconv.engines.direct import Direct
from tileconv.engines.engine import Candidate, Engine, Wanted
from tileconv.engines.fft_engine import Fft, canonical_grid
from tileconv.engines.grid import Blocks
from tileconv.engines.kernel import Kernel
from tileconv.engines.nonfinite import Pattern
from tileconv.engines.separable import Separable
from tileconv.engines.values import Precision, Sums, Values, sums
from tileconv.errors import PlanError
from tileconv.quick import dataclass

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (Direct(), Separable(), Fft())}
"""All engines by their names, in the order in which plans list them. Adding one: its file, and its record here."""


@dataclass(frozen=True)
class Choice:
    """How the sums under one kernel are made; axes are always (z, y, x), of one weight where the kernel has none.

    ``watched`` sums may come out as NaN or infinity, and are settled then.
    """

    kernel: Kernel
    shape: tuple[int, ...]
    halo: Halo
    sums: Sums
    engine: str
    why: str
    candidates: tuple[Candidate, ...]
    grid: Blocks
    watched: bool = False

    @property
    def by(self) -> Engine:
        """The engine."""
        return ENGINES[self.engine]

    @property
    def chosen(self) -> Candidate:
        """The candidate that runs."""
        return next(c for c in self.candidates if c.engine == self.engine)

    @cached_property
    def weights(self) -> NDArray[Any]:
        """The weights in the type of the sums; inexact sums have the division folded in."""
        return self._typed(self.kernel.weights.reshape(self.shape), fold=True)

    @cached_property
    def terms(self) -> tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], ...]:
        """The outer products in the type of the sums, three factors each."""
        full = []
        for term in self.kernel.terms:
            z, y, x = (np.ones(1, np.int64),) * (3 - len(term)) + term
            if not self.sums.exact:
                x = x / self.kernel.divide_by
                z, y, x = _levelled(z, y, x)
            full.append((self._typed(z), self._typed(y), self._typed(x)))
        return tuple(full)

    @cached_property
    def pattern(self) -> Pattern:
        """Which weights are 0, for sums that are not finite."""
        return Pattern(self.kernel, self.shape, *self.by.parts(self))

    def _typed(self, weights: NDArray[Any], *, fold: bool = False) -> NDArray[Any]:
        if fold and not self.sums.exact:
            weights = weights / self.kernel.divide_by
        # a copy: read-only arrays would be compiled for apart
        return np.array(weights, self.by.held_in(self.sums), order="C")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the derived weights behind: a worker makes them again."""
        return {k: v for k, v in self.__dict__.items() if k not in {"weights", "terms", "pattern"}}


def choose(
    kernel: Kernel,
    values: Values,
    precision: Precision,
    asked: str,
    image: Box,
    costs: Costs,
    zeros_around: Box | None = None,
) -> Choice:
    """Return the engine for *kernel* that makes the pixels of *image*, axes (z, y, x); the kernel has the last of them.

    Parameters
    ----------
    values
        What the pixels under the kernel can be, a constant border's value included.
    asked
        ``auto``, or the engine that the user wants.
    costs
        The constants of the cost model.
    zeros_around
        The box outside which every pixel is zero, if there is one.

    Raises
    ------
    PlanError
        If the engine asked for may not be used; the message says why, and which may.
    """
    shape, halo = (1,) * (3 - len(kernel.shape)) + kernel.shape, in_space(kernel.halo)
    how = sums(kernel, values, precision)
    grid = canonical_grid(kernel, shape, how, image, zeros_around)
    wanted = Wanted(kernel, shape, how, values, precision, grid, costs)
    candidates = tuple(engine.weigh(wanted) for engine in ENGINES.values())
    allowed = [c for c in candidates if not c.refused]
    if asked != "auto":
        best, why = next(c for c in candidates if c.engine == asked), "asked for"
        if best.refused:
            raise PlanError(
                f"engine {asked} cannot be used for {kernel}",
                why=best.refused,
                fix=f"Use {' or '.join(c.engine for c in allowed)}, or engine: auto.",
            )
    else:
        best = min(allowed, key=lambda c: c.ns_per_pixel)
        why = "cheapest of those allowed" if len(allowed) > 1 else "the only one allowed"
    why += ENGINES[best.engine].note(grid)
    watched = not how.exact and not values.finite_below(float(np.finfo(how.accumulate).max) / (4 * _swell(kernel)))
    return Choice(kernel, shape, halo, how, best.engine, why, candidates, grid, watched)


def shared_ns(choices: Sequence[Choice]) -> float:
    """Return what an output pixel of all sums costs where engines make once what *choices* share."""
    firsts, ns = set[object](), 0.0
    for choice in choices:
        key = choice.engine, choice.by.shares(choice)
        ns += choice.chosen.ns_per_pixel * (choice.by.further if key in firsts else 1)
        if key[1] is not None:
            firsts.add(key)
    return ns


def together(choices: Sequence[Choice], asked: str) -> tuple[Choice, ...]:
    """Return *choices* of sums that are made together, with an engine that is cheaper for several than for one.

    *asked* is as ``choose`` takes it.
    """
    made = [*choices]
    for engine in (engine for engine in ENGINES.values() if asked == "auto" and engine.further < 1):
        alike: dict[object, list[tuple[int, Choice]]] = {}
        for number, choice in enumerate(choices):
            other = replace(choice, engine=engine.name, why=f"cheapest for all together{engine.note(choice.grid)}")
            if not other.chosen.refused:
                alike.setdefault(engine.shares(other), []).append((number, other))
        for numbered in alike.values():
            if shared_ns([other for _, other in numbered]) < shared_ns([made[number] for number, _ in numbered]):
                for number, other in numbered:
                    made[number] = other
    return tuple(made)


def in_space(halo: Halo) -> Halo:
    """Return *halo*, of a kernel's 1 to 3 axes, in axes (z, y, x)."""
    none = (0,) * (3 - len(halo.before))
    return Halo(none + halo.before, none + halo.after)


def _swell(kernel: Kernel) -> float:
    """Return the most by which a partial sum of any engine exceeds the largest pixel."""
    terms = (math.prod(max(1.0, float(np.abs(f).sum(dtype=np.float64))) for f in term) for term in kernel.terms)
    return max(1.0, kernel.absolute_sum, *terms) * max(1.0, 1 / abs(kernel.divide_by))


def _levelled(z: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the same outer product with all of its size in *x*, which is summed first.

    What is summed along x then has the size of the result, and neither overflows nor underflows before it does. Powers
    of two change no byte of what does not.
    """
    powers = [int(np.frexp(np.abs(f).max())[1]) for f in (z, y)]
    return np.ldexp(z, -powers[0]), np.ldexp(y, -powers[1]), np.ldexp(x, sum(powers))
