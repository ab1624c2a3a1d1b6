"""The levels of an output: how many, how large, how they lie in the store, and with which tiles they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod, sqrt
from typing import Any

from tileconv.boxes import SPACE, Box, TileGrid
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.operations.shrink import LABELS, Shrink
from tileconv.planning.grids import Grid
from tileconv.quick import dataclass
from tileconv.sinks.levels import Level
from tileconv.spec.model import OutputSpec
from tileconv.spec.pyramid import PyramidSpec
from tileconv.storage import NPY, PNG, Storage, file_kind

SMALL = 1024
"""Pixels along y and x of a level that is seen at once: above it there are no more."""


def levels_of(info: ImageInfo, storage: Storage, output: OutputSpec) -> tuple[Level, ...]:
    """Return the levels above the image *info*, which is stored as *storage* says.

    Raises
    ------
    PlanError
        If there are not as many as are asked for, because a level has nothing left to shrink.
    """
    asked = output.pyramid
    one_chunk = len(TileGrid(info.box, info.chunks)) == 1
    if asked == "none" or (not isinstance(asked, PyramidSpec) and (one_chunk or _flat(output))):
        return ()
    asked = asked if isinstance(asked, PyramidSpec) else PyramidSpec()
    levels: list[Level] = []
    steps, place = (1,) * len(info.shape), (0.0,) * len(info.shape)
    method = asked.method if asked.method != "auto" else LABELS if info.labels else "mean"
    below = info
    while _another(asked, below, len(levels) + 1):
        shrink = Shrink(method, _factor(asked, below))
        if max(shrink.factor) == 1:
            if asked.levels == "auto":
                break
            raise PlanError(
                f"{asked.levels} levels are asked for, and the last of {len(levels) + 1} has nothing to shrink",
                where=f"{output.key}.pyramid.levels",
                fix=f"Ask for {len(levels) + 1} at most, or for auto.",
            )
        place = tuple(p + s * at for p, s, at in zip(place, steps, shrink.first, strict=True))
        steps = tuple(s * f for s, f in zip(steps, shrink.factor, strict=True))
        shape = shrink.shape(below.shape)
        chunks = tuple(map(min, info.chunks, shape))
        below = replace(info, shape=shape, chunks=chunks, **_placed(info, shape, steps, place))
        shards = _shards(storage, info.chunks, below, steps)
        levels.append(Level(below, replace(storage, shards=shards), shrink))
    return tuple(levels)


def _flat(output: OutputSpec) -> bool:
    """Return whether an output is a file that has no levels."""
    return file_kind(output.path.name) in (PNG, NPY)


def _another(asked: PyramidSpec, last: ImageInfo, count: int) -> bool:
    """Return whether another level follows on the *last* of *count*."""
    sides = [size for axis, size in zip(last.axes, last.shape, strict=True) if axis in "yx"]
    return max(sides) > SMALL if asked.levels == "auto" else count < asked.levels


def _factor(asked: PyramidSpec, below: ImageInfo) -> tuple[int, ...]:
    """Return how much smaller a level is than the one *below*, along each axis; 1 where that is one pixel long."""
    factor: dict[str, int] = {axis: 2 if step == "auto" else step for axis, step in asked.factor.items()}
    if asked.factor["z"] == "auto" and not _thin(below, factor):
        factor["z"] = 1
    sizes = zip(below.axes, below.shape, strict=True)
    return tuple(factor.get(axis, 1) if size > 1 else 1 for axis, size in sizes)


def _thin(below: ImageInfo, factor: dict[str, int]) -> bool:
    """Return whether voxels are nearer to cubes where z shrinks too; sizes that are not known are no sizes."""
    if "z" not in below.axes:
        return False
    sizes = dict(zip(below.axes, zip(below.scale, below.units, strict=True), strict=True))
    (deep, unit), (high, of_y), (wide, of_x) = (sizes[axis] for axis in SPACE)
    known = unit and unit == of_y == of_x
    return bool(known and deep * sqrt(factor["z"]) < max(high * factor["y"], wide * factor["x"]))


def _placed(info: ImageInfo, shape: Sequence[int], steps: Sequence[int], place: Sequence[float]) -> dict[str, Any]:
    """Return where pixels lie that are as large as *steps* of those of *info*, the first at *place* among these."""
    step, first = dict(zip(info.axes, steps, strict=True)), dict(zip(info.axes, place, strict=True))
    grid = Grid(tuple(step.get(a, 1) for a in SPACE), tuple(first.get(a, 0.0) for a in SPACE))
    return grid.placed(info, Box.of_shape(shape, info.axes))


def _shards(storage: Storage, chunks: Sequence[int], level: ImageInfo, steps: Sequence[int]) -> tuple[int, ...]:
    """Return the shards of a *level*: of as many fewer chunks as it has fewer pixels, so that one is made of one."""
    if not storage.shards:
        return ()
    sides = zip(storage.shards, chunks, level.chunks, level.shape, steps, strict=True)
    return tuple(min(max(1, s // c // f), -(-n // own)) * own for s, c, own, n, f in sides)


@dataclass(frozen=True)
class LevelTiles:
    """The tiles of a level; ``within`` says that each is made of one tile of the full size while that is in memory."""

    grid: TileGrid
    within: bool


def tiles_of_levels(levels: Sequence[Level], grid: TileGrid) -> Iterator[LevelTiles]:
    """Yield the tiles of all *levels* of an array whose full size is made by the tiles of *grid*.

    A level is made with the full size as long as its tiles are whole numbers of files and need nothing beyond. Tiles of
    others are one file each.
    """
    shape, within, steps = grid.image.shape, True, (1,) * len(grid.tile)
    for level in levels:
        steps = tuple(s * f for s, f in zip(steps, level.shrink.factor, strict=True))
        unit = level.storage.unit(level.info.chunks)
        sides = zip(grid.tile, shape, steps, unit, strict=True)
        within &= not any(level.shrink.halo) and all(t >= n or t % (s * u) == 0 for t, n, s, u in sides)
        tile = unit
        if within:
            sides = zip(grid.tile, shape, steps, level.info.shape, strict=True)
            tile = tuple(now if t >= n else t // s for t, n, s, now in sides)
        yield LevelTiles(TileGrid(level.info.box, tile), within)


def level_bytes(levels: Sequence[Level], grid: TileGrid) -> tuple[int, int]:
    """Return the most bytes that levels take beside a tile of the full size, and those of a tile of a level alone."""
    beside = alone = 0
    below = grid.image.shape
    for level, tiles in zip(levels, tiles_of_levels(levels, grid), strict=True):
        if tiles.within:
            pixels = prod(map(min, tiles.grid.tile, level.info.shape))
            beside += pixels * level.info.dtype.itemsize + 8 * level.info.shape[-1]
        else:
            alone = max(alone, bytes_alone(level, tiles.grid, below))
        below = level.info.shape
    return beside, alone


def bytes_alone(level: Level, grid: TileGrid, below: Sequence[int]) -> int:
    """Return the bytes of a tile of *grid* of a level, and of what it is made of, of a level below of that shape."""
    tile = tuple(map(min, grid.tile, level.info.shape))
    sides = zip(tile, level.shrink.factor, level.shrink.halo, below, strict=True)
    read = prod(min(n * f + 2 * h, size) for n, f, h, size in sides)
    return (read + prod(tile)) * level.info.dtype.itemsize


def levels_json(levels: Sequence[Level], grid: TileGrid) -> list[dict[str, Any]]:
    """Return what is worth knowing of *levels*, as plain JSON values."""
    return [
        {
            "shape": [*level.info.shape],
            "scale": [*level.info.scale],
            "chunks": [*level.info.chunks],
            "method": level.shrink.method,
            "factor": dict(zip(level.info.axes, level.shrink.factor, strict=True)),
            "tiles": len(tiles.grid),
            "made_with_full_size": tiles.within,
        }
        for level, tiles in zip(levels, tiles_of_levels(levels, grid), strict=True)
    ]


def words_of(levels: Sequence[Level]) -> dict[str, Any]:
    """Return what a pipeline file says of an output with such *levels*, so that they are the same again."""
    factor: dict[str, int | str] = {}
    for axis, *steps in zip(levels[0].info.axes, *(level.shrink.factor for level in levels), strict=True):
        if axis in SPACE:  # an axis of one pixel shrinks no more
            factor[axis] = "auto" if axis == "z" and len(set(steps)) > 1 else max(steps)
    return {"levels": len(levels) + 1, "method": levels[0].shrink.method, "factor": factor}
