"""Which stages share one read, and why the others do not.

Sharing is exact because the border is re-made between stages. Three things cut a graph:

* a projection reads its axis part by part, and what is made of the little that it gives reads that;
* a ``wrap`` stage needs the far side of its input, which an earlier stage of the same pass can only give if it wraps
  too, keeps the size and makes the same bits wherever a pixel is computed (the FFT's blocks lie on one grid);
* an FFT stage grows its region to whole blocks, so that the stages before it may cost more than writing its result
  to disk and reading it back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tileconv.planning.regions import outputs, spans
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass
from tileconv.spec.model import INPUT

STORE_NS = 7.0
"""Writing a pixel of an intermediate array and reading it back, nanoseconds (float32; docs/performance.md)."""
TYPICAL_TILE, TYPICAL_DEPTH = 2048, 32


@dataclass(frozen=True)
class Group:
    """Stages that may share one read, by their positions in the graph, and why they begin a pass."""

    stages: list[int]
    why: str = "reads the input"


def split(stages: Sequence[Stage]) -> list[Group]:
    """Return the groups in an order in which each reads what those before it make, or the input.

    A stage joins the last of the groups that it reads from, unless something cuts there.
    """
    groups = [Group([])]
    place = {INPUT: 0}
    for number, stage in enumerate(stages):
        at = max(place[i] for i in stage.inputs)
        inside = [i for i in stage.inputs if i in groups[at].stages]
        if inside and (cut := _cut(stages, number, inside, groups[at].stages)):
            at = len(groups)
            groups.append(Group([], cut))
        groups[at].stages.append(number)
        place[number] = at
    return groups


def within(stages: Sequence[Stage], ends: Iterable[int], among: Collection[int]) -> list[int]:
    """Return the positions of those of *among* that lead to *ends*, in order."""
    leading, more = set[int](), set(ends)
    while more := more & set(among):
        leading |= more
        more = {i for number in more for i in stages[number].inputs} - leading
    return sorted(leading)


def renumbered(
    stages: Sequence[Stage], kept: Sequence[int], ends: Iterable[int] = ()
) -> tuple[tuple[Stage, ...], list[int], list[int]]:
    """Return the stages *kept* with inputs numbered among them; what they and *ends* read beside them; and the ends.

    What is read is numbered -1, -2 and so on, in the order of its first reader.
    """
    place, ends = {number: at for at, number in enumerate(kept)}, [*ends]
    read: list[int] = []
    for number in (*(i for at in kept for i in stages[at].inputs), *ends):
        if number not in place:
            read.append(number)
            place[number] = -len(read)
    renewed = tuple(replace(stages[at], inputs=tuple(place[i] for i in stages[at].inputs)) for at in kept)
    return renewed, read, [place[number] for number in ends]


def _cut(stages: Sequence[Stage], number: int, inside: Sequence[int], group: Sequence[int]) -> str:
    """Return why stage *number* cannot, or should not, join its *group*, which *inside* makes inputs of it; or nothing.

    What of the group does not lead to it does not count.
    """
    stage, kept = stages[number], within(stages, inside, group)
    before, _, ends = renumbered(stages, kept, inside)
    if folding := next((before[i] for i in ends if before[i].operation.folds), None):
        return f"{folding.name} reads {folding.operation.folds} part by part, and its result is small"
    for axis, name in enumerate("zyx"):
        reaches = stage.halo.before[axis] + stage.halo.after[axis] > 0
        if reaches and stage.borders[axis].rule == "wrap" and not all(_repeats(b, axis) for b in before):
            return f"{stage.name} wraps along {name}, and what lies before it does not repeat there"
    if any(s.whole_blocks for s in (stage, *(before[i] for i in ends))):
        fused = _ns(*renumbered(stages, [*kept, number], [number])[::2])
        alone = _ns(*renumbered(stages, [number], [number])[::2])
        apart = _ns(before, ends) + alone + STORE_NS * sum(before[i].volumes_out for i in set(ends))
        if fused > apart:
            fused, apart = (ns / stage.volumes_in for ns in (fused, apart))
            return f"its halo would cost {fused:.0f} ns per pixel, writing and reading back {apart:.0f} ns"
    return ""


def _repeats(stage: Stage, axis: int) -> bool:
    mixes = stage.operation.mixes_channels and stage.reaches
    if stage.stride[axis] > 1 or mixes or not all(c.by.repeats for c in stage.every_choice):
        return False  # a product of matrices has other bytes where its blocks lie otherwise
    still = stage.halo.before[axis] + stage.halo.after[axis] == 0
    return still or (stage.borders[axis].rule == "wrap" and stage.extent == "same")


def _ns(stages: Sequence[Stage], stored: Sequence[int]) -> float:
    """Return the nanoseconds per output pixel of a pass on a typical tile in the middle of a large image."""
    image = stages[stored[0]].domain_out
    deep = any(s.halo.before[0] + s.halo.after[0] for s in stages)
    sides = [
        min(n, t) for n, t in zip(image.shape, (TYPICAL_DEPTH if deep else 1, TYPICAL_TILE, TYPICAL_TILE), strict=True)
    ]
    starts = [(a + b - n) // 2 for a, b, n in zip(image.start, image.stop, sides, strict=True)]
    along = [spans(stages, stored, a, starts[a], starts[a] + sides[a]) for a in range(3)]
    total = 0.0
    for number, stage in enumerate(stages):
        total += (
            stage.ns_per_pixel
            * stage.volumes_in
            * math.prod(
                # the engines make what the next stage has; the FFT makes whole blocks of it
                max(1, outputs(stage, a, s[number].want))
                for a, s in enumerate(along)
            )
        )
    return total / math.prod(sides)
