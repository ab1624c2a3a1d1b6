"""Which pixels each stage of a pass needs for a tile, worked out backward over the graph, one axis at a time.

    want    |--------------------------|     the outputs grown by what the engines reach, maybe beyond the image
    have         |---------------------|     the pixels of the stage's inputs that these are made from
    out        |----------------|            what the stages that read it have, and the tile where it is stored

Axes are independent, so the largest region and all sums over tiles come from a few numbers per axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tileconv.boxes import Box
from tileconv.engines.borders import source_interval
from tileconv.engines.sums import reach
from tileconv.planning.stages import Stage

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Span:
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
    grown = out[0] * stride + first, max(out[1] - 1, out[0]) * stride + first + length
    ends = [reach(c, axis, *out, stage.domain_out) for c in stage.every_choice] or [grown]
    want = min(a for a, _ in ends), max(b for _, b in ends)
    first, last = source_interval(want[0] - low, want[1] - low, size, stage.borders[axis].rule)
    if last - first > size:
        first, last = 0, size
    return Span((first + low, last + low), want, out)


def outputs(stage: Stage, axis: int, want: Interval) -> int:
    """Return how many pixels along *axis* the stage makes of *want*, of whole blocks all."""
    return max(0, -(-(want[1] - want[0] - stage.halo.before[axis] - stage.halo.after[axis]) // stage.stride[axis]))


def seen(stages: Sequence[Stage], stored: Sequence[int], read: int, out: Box) -> Box:
    """Return the box of the array *read* whose pixels lie in the middle of the windows of *out*, of *stored* stages.

    These boxes part the array as tiles part what is made of it.
    """
    usual = (1, 0)
    along = []
    for axis in range(3):
        lines = {read: usual}
        for number, stage in enumerate(stages):
            known = next((lines[i] for i in stage.inputs if i in lines), None)
            if known:
                middle = stage.first[axis] + stage.halo.before[axis]
                lines[number] = known[0] * stage.stride[axis], known[0] * middle + known[1]
        step, first = next((lines[number] for number in stored if number in lines), usual)
        along.append((out.start[axis] * step + first, out.stop[axis] * step + first))
    return _box(along)


def _hull(one: Interval | None, other: Interval) -> Interval:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))


def regions(stages: Sequence[Stage], stored: Sequence[int], out: Box) -> Mapping[int, Region]:
    """Return the regions of stages and reads by their numbers for a tile *out* (axes z, y, x) of *stored* ones."""
    along = [spans(stages, stored, axis, out.start[axis], out.stop[axis]) for axis in range(3)]
    return {
        number: Region(*(_box([getattr(s[number], name) for s in along]) for name in ("have", "want", "out")))
        for number in along[0]
    }


def _box(intervals: Sequence[Interval]) -> Box:
    return Box(tuple(a for a, _ in intervals), tuple(b for _, b in intervals))
