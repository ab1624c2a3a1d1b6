"""One tile computed: every stage of a pass on the block that holds its pixels and their halo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import SPACE, Box, pieces, space, with_space
from tileconv.engines.borders import Border, extend
from tileconv.engines.cast import cast, exactly, unify_nan
from tileconv.engines.sums import kernel_sums
from tileconv.errors import TileError
from tileconv.images import equal
from tileconv.planning.model import Pass
from tileconv.planning.regions import regions
from tileconv.planning.stages import Stage

Array = NDArray[Any]

REPEATED = (Border("wrap"),) * 3
"""How a strip is cut from a block: positions beyond the image occur for ``wrap`` alone, as its repetition."""


@dataclass(frozen=True)
class Counts:
    """What was noticed while a tile was made, in pixels; ``fallbacks`` counts FFT blocks that were summed directly."""

    clipped: int = 0
    missing: int = 0
    fallbacks: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.clipped + other.clipped, self.missing + other.missing, self.fallbacks + other.fallbacks)


def compute_tile(pass_: Pass, block: Array, have: Box, tile: Box, made: Array | None = None) -> tuple[Array, Counts]:
    """Run every stage of *pass_* on *block*, which holds the pixels of *have*, and return the pixels of *tile*.

    Parameters
    ----------
    block
        All axes of the image; at least ``needed(pass_, tile)``, whose ``wrap`` positions count on beyond the image.
    have, tile
        Boxes in the coordinates of the run, all axes of the image.
    made
        A contiguous array of the output's type to write the tile into; a new one by default.

    Returns
    -------
    tuple[Array, Counts]
        The tile in the output's type, and what was noticed.

    Raises
    ------
    TileError
        If a pixel is missing and the rule is ``error``, or does not fit the output's type and overflow is ``error``.
    """
    made = np.empty(tile.shape, pass_.info.dtype) if made is None else made
    if tile.size == 0:
        return made, Counts()
    out = space(tile)
    volumes = made.reshape(-1, *out.shape)
    counts = Counts()
    with np.errstate(all="ignore"):  # NaN and infinity are values here, and pass
        for volume, pixels in zip(volumes, _volumes(block, have, tile), strict=True):
            for first, last in pieces(out.start[1], out.stop[1], pass_.strip):
                strip = Box((out.start[0], first, out.start[2]), (out.stop[0], last, out.stop[2]))
                try:
                    counts += _strip(pass_, pixels, space(have), strip, volume[strip.within(out)])
                except TileError as error:
                    raise TileError(error.problem, where=f"tile {tile}", why=error.why, fix=error.fix) from error
    return made, counts


def _strip(pass_: Pass, block: Array, have: Box, out: Box, made: Array) -> Counts:
    """Write the pixels of *out*, some rows of a tile, into *made*."""
    steps = regions(pass_.stages, out)
    first = steps[0].have if steps else out
    pixels, missing = _mark(pass_, extend(block, have, first, pass_.domain, REPEATED), first, out)
    fallbacks = 0
    for stage, step in zip(pass_.stages, steps, strict=True):
        pixels, fell = _run(stage, pixels, step.have, step.want, step.out)
        fallbacks += fell
    made[...], clipped = cast(pixels, pass_.info.dtype, overflow=pass_.overflow)
    if made.dtype.kind == "f" and (pass_.stages[-1].values_out if pass_.stages else pass_.block).nan:
        unify_nan(made)
    return Counts(clipped, missing, fallbacks)


def needed(pass_: Pass, tile: Box) -> Box:
    """Return the box that *tile* is made from, all axes; along a ``wrap`` axis it may leave the image."""
    steps = regions(pass_.stages, space(tile))
    return with_space(tile, steps[0].have) if steps else tile


def _volumes(block: Array, have: Box, tile: Box) -> Iterator[Array]:
    """Yield the block's volumes (z, y, x), one for every index along the lead axes of *tile*."""
    lead = [i for i, a in enumerate(tile.axes) if a not in SPACE]
    for index in product(*(range(tile.start[i] - have.start[i], tile.stop[i] - have.start[i]) for i in lead)):
        yield block[index].reshape(space(have).shape)


def _mark(pass_: Pass, pixels: Array, have: Box, tile: Box) -> tuple[Array, int]:
    """Return *pixels* in the block's type with missing ones as the rule says, and how many of them *tile* holds."""
    missing, dtype = pass_.missing, pass_.block.dtype
    if missing is None:
        return pixels, 0
    absent = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    if missing.nodata is not None:
        absent |= equal(pixels, missing.nodata)
    inside = have.intersect(_owned(pass_, tile))  # may be empty: a tile may lie wholly beyond the image
    count = int(absent[inside.within(have)].sum()) if inside.size else 0
    if count and missing.rule == "error":
        raise TileError(
            f"{count:,} missing pixels under missing: {{rule: error}}",
            fix="Choose rule propagate or fill, or repair the input.",
        )
    made = exactly(pixels, dtype, besides=absent) if pass_.exact else pixels.astype(dtype)
    if absent.any() and missing.rule != "error":  # in the halo, where another tile refuses it
        made[absent] = np.nan if missing.rule == "propagate" else missing.value
    return made, count


def _owned(pass_: Pass, tile: Box) -> Box:
    """Return *tile* grown to the image's ends where it is an outer one: ``valid`` reads pixels that no tile has."""
    image, domain = space(pass_.image), pass_.domain
    ends = zip(tile.start, tile.stop, image.start, image.stop, domain.start, domain.stop, strict=True)
    bounds = [(min(a, d) if a == i else a, max(b, e) if b == j else b) for a, b, i, j, d, e in ends]
    grown = Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), tile.axes)
    return grown.intersect(domain)  # beyond it ``wrap`` repeats pixels of other tiles


def _run(stage: Stage, pixels: Array, have: Box, want: Box, out: Box) -> tuple[Array, int]:
    """Return the stage's pixels of *out*, from *pixels* of *have*, extended to *want* at the borders of its image."""
    if not stage.choices:
        return stage.operation.combine((pixels,), [], (), stage.values_out), 0
    held = exactly(pixels, stage.padded.dtype) if stage.padded.whole else pixels.astype(stage.padded.dtype, copy=False)
    block = extend(held, have, want, stage.domain_in, stage.borders)
    del pixels, held
    offset = stage.operation.sum_offset
    made = [kernel_sums(c, block, want, out, stage.domain_out, offset) for c in stage.choices]
    sums = [s for s, _ in made]
    fallbacks = sum(n for _, n in made)
    del made
    if stage.operation.reads_pixels:
        block = block[out.within(want)]
    return stage.operation.combine((block,), sums, stage.choices, stage.values_out), fallbacks
