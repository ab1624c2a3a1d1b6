"""Which consecutive stages share one read and one write, and why the others do not.

Sharing is exact because the border is re-made between stages. Two things cut a chain:

* a ``wrap`` stage needs the far side of its input, which an earlier stage of the same pass can only give if it wraps
  too, keeps the size and makes the same bits wherever a pixel is computed (the FFT's blocks lie on one grid);
* an FFT stage grows its region to whole blocks, so that the stages before it may cost more than writing its result
  to disk and reading it back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tileconv.planning.regions import spans
from tileconv.planning.stages import Stage

STORE_NS = 7.0
"""Writing a pixel of an intermediate array and reading it back, nanoseconds (float32; docs/performance.md)."""
TYPICAL_TILE, TYPICAL_DEPTH = 2048, 32


def split(stages: Sequence[Stage]) -> list[tuple[tuple[Stage, ...], str]]:
    """Return the passes in order, each with the reason why it begins where it does."""
    passes: list[tuple[tuple[Stage, ...], str]] = []
    current: list[Stage] = []
    why = "reads the input"
    for stage in stages:
        cut = _cut(current, stage) if current else ""
        if cut:
            passes.append((tuple(current), why))
            current, why = [], cut
        current.append(stage)
    passes.append((tuple(current), why))
    return passes


def _cut(before: Sequence[Stage], stage: Stage) -> str:
    """Return why *stage* cannot, or should not, join the stages *before* it; empty when it should."""
    for axis, name in enumerate("zyx"):
        reaches = stage.halo.before[axis] + stage.halo.after[axis] > 0
        if reaches and stage.borders[axis].rule == "wrap" and not all(_repeats(b, axis) for b in before):
            return f"{stage.name} wraps along {name}, and what lies before it does not repeat there"
    if any(c.engine == "fft" for c in stage.choices) or any(c.engine == "fft" for c in before[-1].choices):
        fused = _ns([*before, stage])
        apart = _ns(before) + _ns([stage]) + STORE_NS
        if fused > apart:
            return f"its halo would cost {fused:.0f} ns per pixel, writing and reading back {apart:.0f} ns"
    return ""


def _repeats(stage: Stage, axis: int) -> bool:
    if any(c.engine == "fft" for c in stage.choices):
        return False
    still = stage.halo.before[axis] + stage.halo.after[axis] == 0
    return still or (stage.borders[axis].rule == "wrap" and stage.extent == "same")


def _ns(stages: Sequence[Stage]) -> float:
    """Return the nanoseconds per output pixel of a pass on a typical tile in the middle of a large image."""
    image = stages[-1].domain_out
    deep = any(s.halo.before[0] + s.halo.after[0] for s in stages)
    sides = [
        min(n, t) for n, t in zip(image.shape, (TYPICAL_DEPTH if deep else 1, TYPICAL_TILE, TYPICAL_TILE), strict=True)
    ]
    starts = [(a + b - n) // 2 for a, b, n in zip(image.start, image.stop, sides, strict=True)]
    along = [spans(stages, a, starts[a], starts[a] + sides[a]) for a in range(3)]
    total = 0.0
    for number, stage in enumerate(stages):
        total += stage.ns_per_pixel * math.prod(
            # the engines make what the next stage has; the FFT makes whole blocks of it
            max(1, s[number].want[1] - s[number].want[0] - stage.halo.before[a] - stage.halo.after[a])
            for a, s in enumerate(along)
        )
    return total / math.prod(sides)
