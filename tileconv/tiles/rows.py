"""Runs of stages that the row machine makes at once: which they are, and a strip of them.

A run is a chain of stages of a pass, of which only the last is stored or read by others. What the machine does not
know stays with ``compute``: the plan's stages tell most of it, the regions of a strip the rest, and the machine gives
up where sums are not finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.direct import LOADABLE
from tileconv.engines.row_table import ROUNDED, RowTable, Step, readable
from tileconv.planning.parts import Pass
from tileconv.planning.regions import Region, Regions
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass

Array = NDArray[Any]

TALLEST = 256
"""Weights along y: rings of more rows of a tile take more than is saved; the separable engine parts rows for them."""


@dataclass(frozen=True)
class Run:
    """The *stages* from number *first* to *last* of a pass, and the machine's table of them."""

    first: int
    last: int
    stages: tuple[Stage, ...]
    table: RowTable

    def make(
        self, steps: Mapping[int, Region], block: Array, have: Box, into: Array | None = None
    ) -> tuple[Array, int] | None:
        """Return the pixels of the last stage, and how many were clipped; None where the machine gives up.

        Parameters
        ----------
        steps
            The regions of all stages.
        block
            The pixels of *have*, which the first stage reads.
        into
            What is to hold the pixels, in their own type or one of ``ROUNDED``; a new array by default.
        """
        some = [steps[number] for number in range(self.first, self.last + 1)]
        chained = all(a.out == b.have for a, b in pairwise(some))
        if not (chained and have.contains(some[0].have) and readable(block) and all(map(_known, self.stages, some))):
            return None
        places = [(step.want, step.out) for step in some]
        made = np.empty(places[-1][1].shape, self.table.dtype) if into is None else into
        clipped = 0
        for plane, target in zip(block[some[0].have.within(have)], made, strict=True):
            found = self.table.make(places, plane, target)
            if found is None:
                return None
            clipped += found
        return made, clipped


def by_rows(
    pass_: Pass, number: int, steps: Mapping[int, Region], results: Mapping[int, Sequence[Array]], out: Box,
    made: Sequence[Array],
) -> tuple[int, Sequence[Array], dict[int, int]] | None:  # fmt: skip
    """Return the last stage of the run that begins with *number*, what it makes, and what was clipped.

    None where there is none, or the machine gives up. What is *made* of *out* by number, where it holds all that the
    run makes and nobody else reads that, is written at once; then, and only then, it is told what was clipped.
    """
    run = runs(pass_).get(number)
    if run is None:
        return None
    before = run.stages[0].inputs[0]
    at = _straight(pass_, run.last) if steps[run.last].out == out else None
    into = [None] * len(results[before]) if at is None else made[at]
    found = [run.make(steps, v, steps[before].out, i) for v, i in zip(results[before], into, strict=True)]
    whole = [one for one in found if one is not None]
    clipped = sum(count for _, count in whole)
    if len(whole) < len(found) or (at is not None and clipped and pass_.writes[at].overflow == "error"):
        return None  # stage by stage it is told what does not fit
    return run.last, [volume for volume, _ in whole], {} if at is None else {at: clipped}


def alone(pass_: Pass) -> bool:
    """Return whether the machine makes all of *pass_* from pixels as they are read, and writes it, in one run."""
    last, whole = len(pass_.stages) - 1, runs(pass_).get(0)
    made = whole is not None and whole.last == last and len(pass_.writes) == 1 and _straight(pass_, last) is not None
    return made and len(pass_.reads) == 1 and pass_.reads[0].missing is None


def _straight(pass_: Pass, number: int) -> int | None:
    """Return the one write that takes what stage *number* makes, if nobody else does and the machine can store it."""
    takers = [at for at, write in enumerate(pass_.writes) if write.stage == number]
    if len(takers) != 1 or pass_.all_channels or any(number in stage.inputs for stage in pass_.stages):
        return None
    info = pass_.writes[takers[0]].info
    suits = info.nodata is None and info.dtype in (pass_.stages[number].made.dtype, *ROUNDED)
    return takers[0] if suits else None


_KNOWN: WeakKeyDictionary[Regions, Mapping[int, Run]] = WeakKeyDictionary()


def runs(pass_: Pass) -> Mapping[int, Run]:
    """Return the runs of *pass_* by the numbers of their first stages."""
    if pass_.regions not in _KNOWN:
        _KNOWN[pass_.regions] = {chain[0]: _run(pass_, chain) for chain in _chains(pass_)}
    return _KNOWN[pass_.regions]


def _chains(pass_: Pass) -> list[list[int]]:
    """Return the numbers of the stages of every run."""
    read = [i for stage in pass_.stages for i in stage.inputs]
    chains = list[list[int]]()
    for number, stage in enumerate(pass_.stages):
        if not _makes(stage):
            continue
        before = number - 1
        alone = chains and chains[-1][-1] == before and before not in pass_.stored and read.count(before) == 1
        if alone and stage.inputs == (before,) and pass_.stages[before].made.dtype == stage.made.dtype:
            chains[-1].append(number)
        elif pass_.values(stage.inputs[0]).dtype.name in LOADABLE[stage.made.dtype]:
            chains.append([number])
    return chains


def _makes(stage: Stage) -> bool:
    """Return whether the machine makes what *stage* does: sums in one type that is its own, by rows, and a formula."""
    choices, dtype = stage.choices, stage.made.dtype
    return (
        bool(choices)
        and stage.operation.row_formula(choices, stage.made) is not None
        and dtype.kind == "f"
        and all(c.by.by_rows and c.shape[0] == 1 and c.sums.accumulate == dtype for c in choices)
        and all(c.shape[1] <= TALLEST for c in choices)
        and not any(c.watched and c.pattern.deaf for c in choices)
        and stage.padded[0].dtype == stage.values_in[0].dtype
        and stage.channels is None
        and stage.missing is None
        and not stage.coverage
        and stage.stride == (1, 1, 1)
    )


def _run(pass_: Pass, numbers: list[int]) -> Run:
    stages = pass_.stages[numbers[0] : numbers[-1] + 1]
    steps = []
    for stage in stages:
        formula = stage.operation.row_formula(stage.choices, stage.made)
        assert formula is not None  # noqa: S101 by _makes
        steps.append(Step(stage.choices, formula, stage.borders, stage.domain_in, stage.padded[0].dtype))
    return Run(numbers[0], numbers[-1], stages, RowTable(steps, stages[0].made.dtype))


def _known(stage: Stage, step: Region) -> bool:
    """Return whether a border of *stage* is made of pixels under its kernels."""
    for axis, border in enumerate(stage.borders):
        low, high = stage.domain_in.start[axis], stage.domain_in.stop[axis]
        start, stop = step.want.start[axis], step.want.stop[axis]
        wraps = border.rule == "wrap"
        inner = (start, stop) if wraps else (max(start, low), min(stop, high))
        if (wraps or axis == 2) and inner != (step.have.start[axis], step.have.stop[axis]):
            return False
    return step.out.size > 0
