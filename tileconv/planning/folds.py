"""Passes that make one pixel of all along an axis: a tile reads that axis part by part, and holds no more of it.

axis of the read     |--------|--------|--------|-----|     each part is a tile of the pass that feeds the projections
tile                 |                 -              |     one pixel long, made of all parts in their order
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tileconv.boxes import SPACE, Box, Interval, TileGrid, pieces
from tileconv.images import ImageInfo
from tileconv.operations.variance import BAND_PX
from tileconv.planning.memory import Bytes, total
from tileconv.planning.passes import within

if TYPE_CHECKING:
    from tileconv.planning.parts import Pass

PART_PX = 2**19
"""Pixels of a volume that a part has, at least: as many as stages make at once elsewhere (``tiles.STRIP_PX``)."""
HALOS = 4
"""A part is as long as so many halos, at least: what is read for two parts stays a small share."""


def fold_axis(pass_: Pass) -> str:
    """Return the axis along which all that *pass_* writes is put together; empty where something is not."""
    stages = [pass_.stages[number] for number in pass_.stored if number >= 0]
    axes = {(stage.operation.folds, stage.domain_in) for stage in stages}
    return axes.pop()[0] if len(axes) == 1 and len(stages) == len(pass_.stored) else ""


def feeding(pass_: Pass) -> Pass:
    """Return the pass, of the same reads, that makes what the projections of *pass_* read, and whose tiles are parts.

    What it writes is stored nowhere: an array for each result that a projection reads.
    """
    inputs = fed(pass_)
    kept = within(pass_.stages, inputs, range(len(pass_.stages)))
    place = {number: at for at, number in enumerate(kept)}
    stages = tuple(
        replace(stage, inputs=tuple(place.get(i, i) for i in stage.inputs))
        for stage in (pass_.stages[number] for number in kept)
    )
    image = along(pass_, pass_.image, extent(pass_))
    one = replace(pass_.writes[0], overflow="clip", levels=(), gathered=False)
    writes = tuple(
        replace(one, stage=place.get(number, number), info=_plain(image, pass_.values(number).dtype))
        for number in inputs
    )
    grid = TileGrid(image, part_of(pass_, pass_.grid.tile))
    return replace(pass_, stages=stages, writes=writes, image=image, grid=grid)


def fed(pass_: Pass) -> list[int]:
    """Return what the projections that *pass_* writes read, stages and reads by their numbers, each once."""
    return list(dict.fromkeys(pass_.stages[number].inputs[0] for number in pass_.stored))


def part_of(pass_: Pass, tile: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a part of a *tile*: whole chunks along the axis, and no fewer pixels than pay."""
    axes, axis = pass_.image.axes, pass_.folds
    beside = math.prod(n for a, n in zip(axes, tile, strict=True) if a in SPACE and a != axis)
    chunks = [dict(zip(read.source.axes, read.source.chunks, strict=True)).get(axis, 1) for read in pass_.reads]
    number = SPACE.find(axis)
    stages = [stage for stage in pass_.stages if not stage.operation.folds]
    halo = sum(s.halo.before[number] + s.halo.after[number] for s in stages) if number >= 0 else 0
    start, stop = extent(pass_)
    least = max(PART_PX // max(1, beside) if number >= 0 else 1, HALOS * halo, 1)
    length = min(-(-least // max(chunks)) * max(chunks), stop - start)
    return tuple(length if a == axis else n for a, n in zip(axes, tile, strict=True))


def along(pass_: Pass, box: Box, ends: Interval) -> Box:
    """Return *box*, in which *ends* are the bounds along the axis that *pass_* projects."""
    at = box.axes.index(pass_.folds)
    start, stop = ((*own[:at], end, *own[at + 1 :]) for own, end in zip((box.start, box.stop), ends, strict=True))
    return Box(start, stop, box.axes)


def parts(pass_: Pass, tile: Box) -> list[Box]:
    """Return the parts, tiles of its feeder, of which *tile* of *pass_* is made, in their order."""
    return [along(pass_, tile, ends) for ends in pieces(*extent(pass_), pass_.part)]


def extent(pass_: Pass) -> Interval:
    """Return where the axis that is projected starts and stops."""
    stage, axis = pass_.stages[pass_.stored[0]], SPACE.find(pass_.folds)
    if axis >= 0:
        return stage.domain_in.start[axis], stage.domain_in.stop[axis]
    read = pass_.reads[0].source
    return 0, read.shape[read.axes.index(pass_.folds)]


def folded_bytes(pass_: Pass, part: tuple[Bytes, ...], tile: Sequence[int], encoding: int) -> tuple[Bytes, ...]:
    """Return what is held at the worst moment of a *tile*: while a *part* is made, or when all of them are stored."""
    pixels = math.prod(tile)
    stages = [pass_.stages[number] for number in pass_.stored]
    kept = Bytes("pixels put together", pixels * sum(s.operation.fold_bytes(s.padded[0]) for s in stages))
    made = Bytes("tile in the output's type", pixels * sum(write.info.dtype.itemsize for write in pass_.writes))
    last = Bytes("last stage's output", pixels * max(s.made.dtype.itemsize for s in stages))
    scratch = Bytes("engine's own", 9 * 8 * BAND_PX)
    moments = (*part, kept, made, scratch), (kept, made, last, scratch, Bytes("chunks being encoded", encoding))
    return max(moments, key=total)


def _plain(image: Box, dtype: object) -> ImageInfo:
    return ImageInfo(image.shape, image.axes, dtype, (1,) * len(image.shape))  # type: ignore[arg-type]
