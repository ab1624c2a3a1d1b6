"""The parts of a tile that are made one after another: strips of rows, several at once where the row machine may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from tileconv.alike import one_of
from tileconv.boxes import SPACE, Box, pieces
from tileconv.planning.parts import Pass
from tileconv.tiles.blocks import Block, cut
from tileconv.tiles.idle import WIDE, may_rest, parted_along_x
from tileconv.tiles.rows import alone

Array = NDArray[Any]


def strips(pass_: Pass, out: Box, blocks: Sequence[Block]) -> list[list[Box]]:
    """Return the parts of *out* in groups that lie one below the other: several only where the row machine makes all.

    Those that look idle stand apart: what is one value is made of a pixel. *blocks* are volumes of each read.
    """
    rows = pieces(out.start[1], out.stop[1], pass_.strip)
    parts = [Box((out.start[0], a, out.start[2]), (out.stop[0], b, out.stop[2]), SPACE) for a, b in rows]
    block, have, machine = blocks[0].pixels, blocks[0].box, alone(pass_)
    if machine and _lively(pass_, parts, block, have):
        return [parts]
    groups = list[list[Box]]()
    for part in [one for strip in parts for one in parted_along_x(pass_, block, have, strip)]:
        above = groups[-1][-1] if groups else part
        below = above.stop[1] == part.start[1] and above.start[2] == part.start[2] and above.stop[2] == part.stop[2]
        if machine and below and not any(_idle(pass_, blocks, one) for one in (above, part)):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _idle(pass_: Pass, blocks: Sequence[Block], part: Box) -> bool:
    """Return whether all that *part* is made from is one value."""
    read = cut(pass_, blocks, pass_.regions.of(part))
    return all(one_of(volume) is not None for volumes in read.values() for volume in volumes)


def _lively(pass_: Pass, parts: Sequence[Box], block: Array, have: Box) -> bool:
    """Return whether a look at the middle row of each of *parts* tells that nothing of it is idle."""
    if parts[0].shape[2] < WIDE:
        return False
    spans = (pass_.regions.spans(1, part.start[1], part.stop[1])[-1].out for part in parts)
    rows = block[0, 0, [(a + b) // 2 - have.start[1] for a, b in spans]]
    return not may_rest(rows.view(f"u{rows.itemsize}"))
