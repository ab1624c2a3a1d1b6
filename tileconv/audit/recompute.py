"""A sample of an output made again from the input, on boxes that straddle the borders of tiles, and compared.

All passes of a box are made in memory, without any intermediate store: what a tile, a chunk, a resumed run or another
machine may have changed shows here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import numpy as np

from tileconv.audit.rerun import Again
from tileconv.boxes import SPACE, Box, TileGrid, tile_at
from tileconv.errors import PlanError, SourceError, TileconvError
from tileconv.planning.machine import available_bytes
from tileconv.planning.parts import Pass, only
from tileconv.progress import Progress
from tileconv.record.compare import Damage
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.spec.model import INPUT
from tileconv.stores.location import Location
from tileconv.tiles.compute import needed
from tileconv.tiles.lazy import Computed, pixels

MIB = 2**20


def count_of(asked: str, boxes: int) -> int:
    """Return how many of *boxes* are asked for, at least 1; PlanError for what is no share and no number.

    Examples
    --------
    >>> count_of("1%", 450), count_of("7", 450), count_of("900", 450)
    (5, 7, 450)
    """
    text = asked.strip()
    try:
        number = float(text.removesuffix("%")) / 100 if text.endswith("%") else int(text)
    except ValueError:
        number = 0
    if not 0 < number < 2**63 or (text.endswith("%") and number > 1):
        raise PlanError(f"expected a share such as 1% or a number of boxes, found {asked!r}", where="--recompute")
    return min(boxes, -int(-number * boxes // 1) if text.endswith("%") else int(number))


def sample(pass_: Pass, asked: str, seed: int) -> list[Box]:
    """Return boxes of the size of a tile, half a tile off the grid along every axis of space, in the run's position."""
    image, tile = pass_.image, pass_.grid.tile
    shift = [n // 2 if a in SPACE else 0 for a, n in zip(image.axes, tile, strict=True)]
    grid = TileGrid(Box(tuple(a - s for a, s in zip(image.start, shift, strict=True)), image.stop, image.axes), tile)
    picked = random.Random(seed).sample(range(len(grid)), count_of(asked, len(grid)))  # noqa: S311  no secret
    return [tile_at(grid, number).intersect(image) for number in sorted(picked)]


def differences(again: Again, output: Location, boxes: Sequence[Box], progress: Progress) -> list[Damage]:
    """Return how *boxes* of *output* differ from those that are made now; PlanError if one does not fit in memory."""
    passes, sources_of = again.plan.passes, {INPUT: again.source}
    for pass_ in passes[:-1]:
        for write in pass_.writes:
            part = only(pass_, [write.array])
            sources = tuple(sources_of[read.array] for read in part.reads)
            sources_of[write.array] = cast("Source", Computed(part, sources))
    free, each = available_bytes() - max(pass_.process_bytes for pass_ in passes), _bytes(passes, boxes)
    if each > free:
        raise PlanError(
            f"a box and all that it is made from take {each / MIB:,.0f} MiB, and {max(0, free) / MIB:,.0f} are free",
            where="--recompute",
            fix="Free some memory, or verify without it.",
        )
    stored = open_source(output, missing_chunks="error")
    one = partial(_one, passes[-1], [sources_of[read.array] for read in passes[-1].reads], stored)
    progress.begin(len(boxes), sum(box.size for box in boxes))
    damages = []
    with ThreadPoolExecutor(max(1, min(again.plan.workers, free // each))) as pool:
        for box, damage in zip(boxes, pool.map(one, boxes), strict=True):
            damages += [damage] if damage else []
            progress.tile(box.size)
    return damages


def _bytes(passes: Sequence[Pass], boxes: Sequence[Box]) -> int:
    """Return the most bytes that one box takes while all its passes are made."""
    count = 0
    for pass_ in passes:
        parts = boxes if pass_ is passes[-1] else [tile_at(pass_.grid, n) for n in {0, len(pass_.grid) // 2}]
        boxes_read = zip(*(needed(pass_, part) for part in parts), strict=True)
        for read, of in zip(pass_.reads, boxes_read, strict=True):
            count += max(box.size for box in of) * read.source.as_read.itemsize
        count += pass_.tile_bytes
    return count


def _one(pass_: Pass, sources: Sequence[Source], stored: Source, box: Box) -> Damage | None:
    """Return how the stored pixels of *box* differ from those that are made now."""
    at = box.shift([-a for a in pass_.image.start])
    again = np.ascontiguousarray(pixels(pass_, sources, box)[0])
    try:
        before = np.ascontiguousarray(stored.read(at))
    except SourceError as error:
        return Damage(f"cannot be compared with pixels made again: {error.problem}", box=str(at))
    size = again.dtype.itemsize
    if (again.dtype, again.shape) != (before.dtype, before.shape):
        raise TileconvError(
            f"expected {again.dtype} of {again.shape}, found {before.dtype} of {before.shape}", where=str(at)
        )
    differ = (again.view(np.uint8) != before.view(np.uint8)).reshape(-1, size).any(axis=1).reshape(again.shape)
    if not differ.any():
        return None
    first = np.argwhere(differ)[0]
    point = " ".join(f"{a}={o + i}" for a, o, i in zip(at.axes, at.start, first, strict=True))
    count = int(differ.sum())
    return Damage(
        f"{count:,} of {differ.size:,} pixels differ from those made again, the first at {point}", box=str(at)
    )
