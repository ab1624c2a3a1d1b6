"""Blocks of pixels that tiles are made from: volumes of them, and what one part of a tile reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from numpy.typing import NDArray

from tileconv.boxes import SPACE, Box, space
from tileconv.engines.borders import Border, extend
from tileconv.planning.parts import Pass
from tileconv.planning.regions import Region
from tileconv.quick import dataclass
from tileconv.tiles.missing import settled

Array = NDArray[Any]

REPEATED = (Border("wrap"),) * 3
"""How a strip is cut from a block: positions beyond the image occur for ``wrap`` alone, as its repetition."""


@dataclass(frozen=True)
class Block:
    """The *pixels* of *box*, all axes of the image: what a tile is made from, of one array."""

    pixels: Array
    box: Box


def leads(
    pass_: Pass, blocks: Sequence[Block], tile: Box, made: Sequence[Array]
) -> Iterator[tuple[list[Block], list[Array], slice]]:
    """Yield what of *tile* is made one after the other: volumes of *blocks*, and those of *made* for its channels."""
    together = pass_.all_channels
    shown = _channels(tile, 0, together=together)
    sides = (space(Box.of_shape(array.shape, tile.axes)).shape for array in made)
    volumes = [a.reshape(-1, shown.stop - shown.start, *side) for a, side in zip(made, sides, strict=True)]
    boxes = [space(block.box) for block in blocks]
    for number, pixels in enumerate(zip(*(_volumes(block, tile, together=together) for block in blocks), strict=True)):
        channels = _channels(tile, number, together=together)
        yield list(map(Block, pixels, boxes)), [volume[number] for volume in volumes], channels


def cut(pass_: Pass, blocks: Sequence[Block], steps: Mapping[int, Region]) -> dict[int, list[Array]]:
    """Return the volumes that each read of *pass_* has in *steps*, by its number; of one value where they are."""
    return {
        -1 - n: [settled(extend(v, block.box, steps[-1 - n].out, read.domain, REPEATED)) for v in block.pixels]
        for n, (read, block) in enumerate(zip(pass_.reads, blocks, strict=True))
    }


def _channels(tile: Box, number: int, *, together: bool) -> slice:
    """Return which channels are in volume *number* of *tile*: one, or all where they are made *together*."""
    if (at := tile.axes.find("c")) < 0:
        return slice(0, 1)
    first = tile.start[at] + (0 if together else number % tile.shape[at])
    return slice(first, tile.stop[at] if together else first + 1)


def _volumes(block: Block, tile: Box, *, together: bool) -> Iterator[Array]:
    """Yield the volumes (n, z, y, x) of every index along the lead axes of *tile*; of all channels *together*."""
    have, shape = block.box, space(block.box).shape
    count = dict(zip(have.axes, have.shape, strict=True)).get("c", 1) if together else 1
    lead = {a: range(tile.start[i], tile.stop[i]) for i, a in enumerate(tile.axes) if a not in SPACE + "c" * together}
    for index in product(*lead.values()):
        at = dict(zip(lead, index, strict=True))
        place = (at[a] - have.start[i] if a in at else slice(None) for i, a in enumerate(have.axes) if a not in SPACE)
        yield block.pixels[tuple(place)].reshape(count, *shape)
