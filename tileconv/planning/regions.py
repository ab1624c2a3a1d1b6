"""Which pixels each stage of a pass needs for a tile, worked out backward, one axis at a time.

    want    |--------------------------|     the outputs grown by what the engines reach, maybe beyond the image
    have         |---------------------|     the pixels of the stage's input that these are made from
    out        |----------------|            what the next stage has, or the tile

Axes are independent, so the largest region and all sums over tiles come from a few numbers per axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tileconv.boxes import Box, Interval
from tileconv.engines.borders import source_interval
from tileconv.engines.sums import reach
from tileconv.planning.stages import Stage


@dataclass(frozen=True, slots=True)
class Span:
    """What one stage has, wants and makes along one axis."""

    have: Interval
    want: Interval
    out: Interval


@dataclass(frozen=True, slots=True)
class Region:
    """What one stage has, wants and makes, axes (z, y, x)."""

    have: Box
    want: Box
    out: Box


def spans(stages: Sequence[Stage], axis: int, start: int, stop: int) -> tuple[Span, ...]:
    """Return the spans of every stage, first stage first, for outputs *start* to *stop* along *axis*.

    A ``wrap`` stage may have pixels beyond its image: their positions are those of the image's repetition, as long
    as fewer are needed than the image has.
    """
    found: list[Span] = []
    out = (start, stop)
    for stage in reversed(stages):
        if not stage.choices:
            found.append(Span(out, out, out))
            continue
        low, size = stage.domain_in.start[axis], stage.domain_in.shape[axis]
        ends = [reach(c, axis, *out, stage.domain_out) for c in stage.choices]
        want = min(a for a, _ in ends), max(b for _, b in ends)
        first, last = source_interval(want[0] - low, want[1] - low, size, stage.borders[axis].rule)
        if last - first > size:
            first, last = 0, size
        found.append(Span((first + low, last + low), want, out))
        out = found[-1].have
    return tuple(reversed(found))


def regions(stages: Sequence[Stage], out: Box) -> tuple[Region, ...]:
    """Return the regions of every stage for a tile *out* (axes z, y, x)."""
    along = [spans(stages, axis, out.start[axis], out.stop[axis]) for axis in range(3)]
    return tuple(
        Region(*(_box([getattr(s[number], name) for s in along]) for name in ("have", "want", "out")))
        for number in range(len(stages))
    )


def _box(intervals: Sequence[Interval]) -> Box:
    return Box(tuple(a for a, _ in intervals), tuple(b for _, b in intervals))
