"""A pass over an array in memory, into another."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import PlanError
from tileconv.planning.machine import available_bytes, usable_processors
from tileconv.planning.parts import Pass
from tileconv.sources.memory import MemorySource
from tileconv.tiles.blocks import Block
from tileconv.tiles.folds import by_parts
from tileconv.tiles.windows import read

Array = NDArray[Any]

SMALL = 2**28
"""Bytes that a halo may take before anyone asks what the machine has free."""


def in_memory(array: Array, pass_: Pass) -> Array:
    """Return what *pass_* makes of a NumPy array, tile by tile on all processors; PlanError if a halo does not fit."""
    _check_memory(pass_)
    source = MemorySource(
        array, pass_.reads[0].source.axes, copies=not array.flags.behaved
    )  # others would be compiled for apart
    out = np.empty(pass_.image.shape, pass_.writes[0].info.dtype)

    def block(_: int, have: Box) -> Block:
        return Block(read(source, pass_.reads[0].domain, have), have)

    def tile(box: Box) -> None:
        part = out[box.within(pass_.image)]
        made = part if part.flags.c_contiguous else np.empty(part.shape, part.dtype)
        by_parts(pass_, block, box, [made])
        if made is not part:
            part[...] = made

    if len(pass_.grid) == 1:
        tile(pass_.image)
    else:
        with ThreadPoolExecutor(usable_processors()) as pool:
            deque(pool.map(tile, pass_.grid), maxlen=0)  # raises what a tile raised
    return out


def _check_memory(pass_: Pass) -> None:
    """Refuse a kernel whose halo around a tile's smallest part does not fit in memory; PlanError."""
    for stage in (pass_.feeder if pass_.folds else pass_).stages:
        halo = stage.halo
        tile = (1,) * (3 - len(pass_.grid.tile)) + pass_.grid.tile[-3:]
        part = (tile[0] if "z" in pass_.image.axes else 1, pass_.strip if "y" in pass_.image.axes else 1, tile[2])
        pixels = math.prod(a + n + b for a, n, b in zip(halo.before, part, halo.after, strict=True))
        if (needed_bytes := pixels * stage.padded[0].dtype.itemsize) > SMALL and needed_bytes > available_bytes():
            size = " x ".join(f"{a + b + 1:,}" for a, b in zip(halo.before, halo.after, strict=True) if a + b)
            raise PlanError(
                f"pixels with the halo of a kernel of {size} take {needed_bytes / 2**20:,.0f} MiB, more than is free",
                fix="Use a smaller kernel, or smaller tiles.",
            )
