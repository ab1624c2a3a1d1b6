"""A region of the result: what of it is made, and what of the arrays between passes that needs.

Stages, borders and canonical grids are those of the whole image, so that the pixels are, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tileconv.boxes import SPACE, Box, Interval
from tileconv.errors import PlanError
from tileconv.planning.passes import Group, renumbered, within
from tileconv.planning.regions import spans
from tileconv.planning.stages import Stage

Region = Mapping[str, Interval]
"""Where it starts and stops along each axis that it names."""


def check_region(region: Region, domain: Box, stages: Sequence[Stage]) -> None:
    """Refuse a *region* of the image *domain*, axes (z, y, x), that the results of *stages* do not have.

    Raises
    ------
    PlanError
        If a stage makes another number of pixels along an axis that the region names, or others of its channels.
    """
    for stage in stages:
        if "c" in region and stage.operation.makes_channels:
            problem = f"channels of the whole result are not those of the image: stage {stage.name} makes others"
            raise PlanError(problem, where="input.region.c", fix="Say which are read with input.select.")
        if "t" in region and stage.operation.folds == "t":
            problem = f"the result has not the time points of the image: stage {stage.name} makes one of all"
            raise PlanError(problem, where="input.region.t", fix="Say which are read with input.select.")
        for axis, (name, *ends) in enumerate(zip(SPACE, domain.start, domain.stop, strict=True)):
            step, made = stage.grid.step[axis], [stage.domain_out.start[axis], stage.domain_out.stop[axis]]
            if name in region and (step != 1 or made != ends):
                problem = f"the result has not the pixels of the image along {name}, which stage {stage.name} changes"
                fix = f"Leave {name} out of input.region, or remove the stage's stride or padding."
                raise PlanError(problem, where=f"input.region.{name}", fix=fix)


def cut(domain: Box, region: Region) -> Box:
    """Return the box of *region* in *domain*, axes (z, y, x)."""
    along = [region.get(name, ends) for name, *ends in zip(SPACE, domain.start, domain.stop, strict=True)]
    return Box(tuple(start for start, _ in along), tuple(stop for _, stop in along), SPACE)


def needed_parts(
    stages: Sequence[Stage], groups: Sequence[Group], ends: Sequence[int], region: Region
) -> dict[int, Box]:
    """Return what of each stage that a later group reads is needed where *ends* give *region*; nothing without one.

    Along an axis where positions beyond the image are needed that is all of it.
    """
    wanted: dict[int, Box] = {}
    if not region.keys() & set(SPACE):
        return wanted
    for group in reversed(groups):
        for number in group.stages:
            boxes = [cut(stages[number].domain_out, region)] * (number in ends)
            boxes += [wanted[number]] if number in wanted else []
            kept, read, place = renumbered(stages, within(stages, [number], group.stages), [number])
            for box in boxes:
                for i, other in enumerate(read):
                    along = [spans(kept, place, axis, *box_along(box, axis))[-1 - i].out for axis in range(3)]
                    if other >= 0:
                        wanted[other] = _inside(along, stages[other].domain_out, wanted.get(other))
    return wanted


def box_along(box: Box, axis: int) -> Interval:
    """Return where *box* starts and stops along *axis*."""
    return box.start[axis], box.stop[axis]


def _inside(along: Sequence[Interval], domain: Box, other: Box | None) -> Box:
    """Return the box *along* each axis, and *other*: along an axis on which it leaves *domain* all of that."""
    bounds = []
    for axis, (start, stop) in enumerate(along):
        low, high = box_along(domain, axis)
        if other is not None:
            start, stop = min(start, other.start[axis]), max(stop, other.stop[axis])
        bounds.append((start, stop) if low <= start and stop <= high else (low, high))
    return Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), SPACE)
