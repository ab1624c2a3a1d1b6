"""Which pixels each stage of a pass needs for a tile, worked out backward over the graph, one axis at a time.

    want    |--------------------------|     the outputs grown by what the engines reach, maybe beyond the image
    have         |---------------------|     the pixels of the stage's inputs that these are made from
    out        |----------------|            what the stages that read it have, and the tile where it is stored

Axes are independent, so the largest region and all sums over tiles come from a few numbers per axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from tileconv.boxes import SPACE, Box
from tileconv.engines.borders import source_interval
from tileconv.engines.sums import reach
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass

Interval = tuple[int, int]


SPANS, TILES = 1024, 64
"""Spans and tiles whose regions are kept: a row of tiles has the same along y, and a tile is asked for twice."""


class Span(NamedTuple):
    """What one stage has, wants and makes along one axis; what is read has and wants no more than is made of it."""

    have: Interval
    want: Interval
    out: Interval


@dataclass(frozen=True, slots=True)
class Region:
    """What one stage has, wants and makes, axes (z, y, x)."""

    have: Box
    want: Box
    out: Box


def spans(stages: Sequence[Stage], stored: Sequence[int], axis: int, start: int, stop: int) -> dict[int, Span]:
    """Return the spans of stages and reads by their numbers, where *stored* ones give *start* to *stop* of *axis*.

    Reads have the numbers -1, -2 and so on. A ``wrap`` stage may have pixels beyond its image: their positions are
    those of the image's repetition, as long as fewer are needed than the image has.
    """
    wanted = dict.fromkeys(stored, (start, stop))
    found: dict[int, Span] = {}
    for number in reversed(range(len(stages))):
        stage, out = stages[number], wanted.pop(number)
        found[number] = _span(stage, axis, out)
        low, high = stage.domain_in.start[axis], stage.domain_in.stop[axis]
        for place in set(stage.inputs):
            first, last = _hull(wanted.get(place), found[number].have)
            wanted[place] = (low, high) if last - first > high - low else (first, last)
    return found | {number: Span(out, out, out) for number, out in wanted.items()}


def _span(stage: Stage, axis: int, out: Interval) -> Span:
    if not stage.reaches:
        return Span(out, out, out)
    low, size = stage.domain_in.start[axis], stage.domain_in.shape[axis]
    stride, first = stage.stride[axis], stage.first[axis]
    length = stage.halo.before[axis] + stage.halo.after[axis] + 1
    made = out if axis == 0 or stage.block_side == 1 else _whole(stage, axis, out)
    grown = made[0] * stride + first, max(made[1] - 1, made[0]) * stride + first + length
    ends = [reach(c, axis, *out, stage.domain_out) for c in stage.every_choice] or [grown]
    want = min(a for a, _ in ends), max(b for _, b in ends)
    first, last = source_interval(want[0] - low, want[1] - low, size, stage.borders[axis].rule)
    if last - first > size:
        first, last = 0, size
    return Span((first + low, last + low), want, out)


def _whole(stage: Stage, axis: int, out: Interval) -> Interval:
    """Return *out* along *axis* grown to whole blocks of the stage, as far as its image reaches."""
    side, image = stage.block_side, stage.domain_out
    return max(out[0] // side * side, image.start[axis]), min(-(-out[1] // side) * side, image.stop[axis])


def outputs(stage: Stage, axis: int, want: Interval) -> int:
    """Return how many pixels along *axis* the stage makes of *want*, of whole blocks all."""
    return max(0, -(-(want[1] - want[0] - stage.halo.before[axis] - stage.halo.after[axis]) // stage.stride[axis]))


class Regions:
    """The regions of *stages*, of which some are *stored*, and of what they read, by their numbers.

    ``spans`` takes an axis, where the tile starts and where it stops; ``of`` a tile (axes z, y, x). What was asked for
    last is kept, and stays behind where this crosses to another process.
    """

    def __init__(self, stages: Sequence[Stage], stored: Sequence[int]) -> None:
        self._given = stages, stored
        self.spans: Callable[[int, int, int], Mapping[int, Span]] = lru_cache(SPANS)(partial(spans, stages, stored))
        self.of: Callable[[Box], Mapping[int, Region]] = lru_cache(TILES)(partial(_regions, self.spans))
        self._middles = lru_cache(partial(_middles, stages, stored))

    def __reduce__(self) -> tuple[type[Regions], tuple[Sequence[Stage], Sequence[int]]]:
        return Regions, self._given

    def alike(self, axis: int, parts: Sequence[Interval]) -> list[tuple[Mapping[int, Span], list[int]]]:
        """Return the spans of *parts* along *axis*, each with how far from there its like lie, itself at 0.

        In the middle of all images those of one length differ by where they lie, unless a stage makes whole blocks.
        """
        stages, _ = self._given
        still = all(stage.stride[axis] == 1 and not stage.whole_blocks for stage in stages)
        images = [image for stage in stages for image in (stage.domain_in, stage.domain_out)]
        first = max((image.start[axis] for image in images), default=0) + sum(s.halo.before[axis] for s in stages)
        last = min((image.stop[axis] for image in images), default=0) - sum(s.halo.after[axis] for s in stages)
        starts = dict[int | Interval, list[int]]()
        for start, stop in parts:
            inside = not stages or (still and first <= start and stop <= last)
            starts.setdefault(stop - start if inside else (start, stop), []).append(start)
        ends = [(at[0], at[0] + of if isinstance(of, int) else of[1], at) for of, at in starts.items()]
        return [(self.spans(axis, start, stop), [other - start for other in at]) for start, stop, at in ends]

    def seen(self, read: int, out: Box) -> Box:
        """Return the box of the array *read* whose pixels lie in the middle of the windows of *out*, a tile.

        These boxes part the array as tiles part what is made of it.
        """
        lines = zip(self._middles(read), out.start, out.stop, strict=True)
        return _box(*((start * step + first, stop * step + first) for (step, first), start, stop in lines))


def _middles(stages: Sequence[Stage], stored: Sequence[int], read: int) -> list[tuple[int, int]]:
    """Return by which step and from where on the pixels of *stored* stages lie among those of *read*, for each axis."""
    usual = (1, 0)
    along = []
    for axis in range(3):
        lines = {read: usual}
        for number, stage in enumerate(stages):
            known = next((lines[i] for i in stage.inputs if i in lines), None)
            if known:
                middle = stage.first[axis] + stage.halo.before[axis]
                lines[number] = known[0] * stage.stride[axis], known[0] * middle + known[1]
        along.append(next((lines[number] for number in stored if number in lines), usual))
    return along


def _hull(one: Interval | None, other: Interval) -> Interval:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))


def _regions(along: Callable[[int, int, int], Mapping[int, Span]], out: Box) -> Mapping[int, Region]:
    z, y, x = map(along, range(3), out.start, out.stop)
    return {number: Region(*map(_box, z[number], y[number], x[number])) for number in z}


def _box(*along: Interval) -> Box:
    start, stop = zip(*along, strict=True)
    return Box(start, stop, SPACE)
