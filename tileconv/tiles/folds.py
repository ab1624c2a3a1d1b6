"""One tile made as its pass says: of blocks that hold all of it, or part by part along an axis that is projected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import TileError
from tileconv.operations.operation import Fold
from tileconv.operations.project import parts_of
from tileconv.planning.folds import fed, parts
from tileconv.planning.parts import Pass
from tileconv.planning.stages import Stage
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import Counts, cast_into, compute_tile, needed
from tileconv.tiles.missing import followed, held

Array = NDArray[Any]
Made = tuple[Sequence[Array], tuple[Counts, ...]]
Read = Callable[[int, Box], Block]
"""Returns the block of a read, by its number, that holds a box."""


def by_parts(
    pass_: Pass, read: Read, tile: Box, made: Sequence[Array] = (), make: Callable[..., Made] = compute_tile
) -> Made:
    """Return what *make* does of the blocks that *read* gives; of a projection one part after another."""
    if not pass_.folds:
        blocks = [read(n, box) for n, box in enumerate(needed(pass_, tile))]
        return make(pass_, blocks, tile, made) if made else make(pass_, blocks, tile)
    made = made or [np.empty(tile.shape, write.info.dtype) for write in pass_.writes]
    stages = [pass_.stages[number] for number in pass_.stored]
    given = [fed(pass_).index(stage.inputs[0]) for stage in stages]
    folds, noticed = [_Folds(stage) for stage in stages], Counts()
    with np.errstate(all="ignore"):
        for part in parts(pass_, tile):
            blocks = [read(n, box) for n, box in enumerate(needed(pass_.feeder, part))]
            pixels, counts = compute_tile(pass_.feeder, blocks, part)
            del blocks
            noticed += Counts(missing=counts[0].missing, fallbacks=counts[0].fallbacks)
            try:
                for fold, number in zip(folds, given, strict=True):
                    fold.add(np.moveaxis(pixels[number], tile.axes.index(pass_.folds), 0))
            except TileError as error:
                raise TileError(error.problem, where=f"tile {tile}", why=error.why, fix=error.fix) from error
        each = zip(folds, made, pass_.writes, strict=True)
        return made, tuple(cast_into(f.made(), into.reshape(f.shape), w, nan=f.nan) + noticed for f, into, w in each)


def within_blocks(blocks: Sequence[Block], number: int, box: Box) -> Block:
    """Return the part of a block that holds *box*; of axes that *box* lacks all of it."""
    block = blocks[number]
    wanted = {a: ends for a, *ends in zip(box.axes, box.start, box.stop, strict=True)}
    ends = [wanted.get(a, own) for a, *own in zip(block.box.axes, block.box.start, block.box.stop, strict=True)]
    part = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends), block.box.axes)
    return Block(block.pixels[part.within(block.box)], part)


class _Folds:
    """The folds of *stage*, one for each part of a plane, so that what is put together stays in the caches."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.nan = stage, stage.values_out.nan
        self.shape: tuple[int, ...] = ()
        self.folds: list[tuple[tuple[slice, slice], Fold]] = []

    def add(self, pixels: Array) -> None:
        """Take further *pixels*, the axis first."""
        planes = np.ascontiguousarray(pixels).reshape(len(pixels), -1, pixels.shape[-1])
        planes = held(self.stage, followed(self.stage, [planes])[0])
        if not self.folds:
            self.shape = (1, *planes.shape[1:])
            for part in parts_of(planes.shape[1:], 1):
                shape = planes[0][part].shape
                self.folds.append((part, self.stage.operation.fold(shape, planes.dtype, self.stage.made)))
        for part, fold in self.folds:
            fold.add(planes[:, *part])

    def made(self) -> Array:
        """Return what all pixels made, in the type of the stage."""
        result = np.empty(self.shape, self.stage.made.dtype)
        for part, fold in self.folds:
            result[0, *part] = fold.made()
        return result
