"""Sums over channels by matrix products: a convolutional network's layer, block by block of the canonical grid.

    outputs    |0--|16-|32-|48->          blocks of 4 x 16, one product each, anchored at the origin of the image
    product    (out-channels, taps) x (taps, 64)     taps: in-channels x pixels of the kernel, in their order

BLAS chooses kernels by the shapes of matrices, and within one by the place of a column. Every product of a layer has
one shape therefore, and a pixel its column, whatever the tile: a block that lies in a tile in part is multiplied whole,
with anything in the columns that nobody asked for. A column of a product depends on the same column of its factor
alone, so that no tile needs more than its halo.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.activations import LOOPS
from tileconv.engines.blas import one_thread
from tileconv.engines.filters import COLUMNS, ROWS, WIDE, Filters, batch_blocks
from tileconv.engines.loops import njit

Array = NDArray[Any]

ALIGNED = 64
"""Bytes by multiples of which matrices begin: some BLAS sum in an order that depends on it."""


@dataclass(frozen=True)
class Taps:
    """Which pixels are summed for an output at ``p``: those at ``p * step - before + tap * dilation``; (z, y, x)."""

    shape: tuple[int, ...]
    step: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]


@lru_cache(maxsize=64)
def matrices(filters: Filters, groups: int, dtype: np.dtype[Any]) -> Array:
    """Return the weights as one matrix (out-channels, taps) per group, in the type of the sums."""
    made = aligned((groups, len(filters.weights) // groups, filters.taps), dtype)
    made[...] = filters.weights.reshape(made.shape)
    return made


def layer(
    filters: Filters, groups: int, taps: Taps, pixels: Array, have: Box, out: Box, activation: str, slope: float
) -> Array:
    """Return the pixels of *out* of every out-channel (out-channels, z, y, x), in the type of *pixels*.

    Parameters
    ----------
    pixels
        (in-channels, z, y, x), contiguous: those of *have*, which holds ``taps.under(out)``.
    activation
        ``none``, or one of ``activations.LOOPS``, with its *slope*.
    """
    factors = matrices(filters, groups, pixels.dtype)
    bias = filters.bias.astype(pixels.dtype).reshape(groups, -1)
    _, outs, count = factors.shape
    ins = pixels.shape[0] // groups
    made = np.empty((groups * outs, *out.shape), pixels.dtype)
    batch = batch_blocks(count, outs, pixels.dtype.itemsize)
    columns = aligned((batch, count, COLUMNS), pixels.dtype)
    columns[...] = 0
    products = aligned((batch, outs, COLUMNS), pixels.dtype)
    offset = tuple(-b - a for b, a in zip(taps.before, have.start, strict=True))
    geometry = (taps.shape, taps.step, taps.dilation, offset, out.start, out.stop)
    with one_thread():
        for at, blocks in _batches(out, batch):
            for group in range(groups):
                some = products[:blocks]
                gather(pixels[group * ins :][:ins], columns[:blocks], at, *geometry)
                np.matmul(factors[group], columns[:blocks], out=some)
                add(some, bias[group])
                if activation != "none":
                    LOOPS[activation](some.reshape(-1), slope)
                scatter(some, made[group * outs :][:outs], at, out.start, out.stop)
    return made


def _batches(out: Box, batch: int) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield where blocks of the canonical grid that touch *out* begin, in blocks along y and x, and how many follow."""
    first, last = out.start[2] // WIDE, -(-out.stop[2] // WIDE)
    rows = range(out.start[1] // ROWS, -(-out.stop[1] // ROWS))
    for z, y, x in product(range(out.start[0], out.stop[0]), rows, range(first, last, batch)):
        yield (z, y, x), min(batch, last - x)


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array that begins at a multiple of ``ALIGNED`` bytes, and holds anything."""
    room = np.empty(math.prod(shape) * dtype.itemsize + ALIGNED, np.uint8)
    skip = -room.ctypes.data % ALIGNED
    return room[skip : skip + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


@njit(nogil=True, cache=True)
def add(products: Array, bias: Array) -> None:  # pragma: no cover - compiled
    """Add the *bias* of every out-channel to its sums."""
    for block in range(products.shape[0]):
        for channel in range(products.shape[1]):
            added = bias[channel]
            row = products[block, channel]
            for i in range(row.shape[0]):
                row[i] += added


@njit(nogil=True, cache=True)
def gather(
    pixels: Array, columns: Array, at: Any, shape: Any, step: Any, dilation: Any, offset: Any, start: Any, stop: Any
) -> None:  # pragma: no cover - compiled
    """Write the taps of every output of the blocks from *at* on, of a row of blocks, that lies in *start* to *stop*."""
    top, bottom = max(start[1], at[1] * ROWS), min(stop[1], (at[1] + 1) * ROWS)
    _, depth, height, width = pixels.shape
    flat = pixels.reshape(-1)
    for block in range(columns.shape[0]):
        edge = (at[2] + block) * WIDE
        left, right = max(start[2], edge), min(stop[2], edge + WIDE)
        into = columns[block].reshape(-1)
        target = 0
        for channel in range(pixels.shape[0]):
            for dz in range(shape[0]):
                plane = channel * depth + at[0] * step[0] + offset[0] + dz * dilation[0]
                for dy in range(shape[1]):
                    line = plane * height + offset[1] + dy * dilation[1]
                    for dx in range(shape[2]):
                        shift = offset[2] + dx * dilation[2]
                        for y in range(top, bottom):
                            source = (line + y * step[1]) * width + shift
                            begin = target + (y - at[1] * ROWS) * WIDE
                            if right - left == WIDE and step[2] == 1:
                                a, b = np.uint64(source + edge), np.uint64(begin)  # unsigned: the loop vectorises
                                for i in range(WIDE):
                                    into[b + np.uint64(i)] = flat[a + np.uint64(i)]
                            else:
                                for x in range(left, right):
                                    into[begin + x - edge] = flat[source + x * step[2]]
                        target += COLUMNS


@njit(nogil=True, cache=True)
def scatter(products: Array, made: Array, at: Any, start: Any, stop: Any) -> None:  # pragma: no cover - compiled
    """Write those of *products* that lie in *start* to *stop* to their places in *made* (channels, z, y, x)."""
    top, bottom = max(start[1], at[1] * ROWS), min(stop[1], (at[1] + 1) * ROWS)
    _, depth, height, width = made.shape
    flat = made.reshape(-1)
    for block in range(products.shape[0]):
        edge = (at[2] + block) * WIDE
        left, right = max(start[2], edge), min(stop[2], edge + WIDE)
        source = products[block].reshape(-1)
        for channel in range(made.shape[0]):
            for y in range(top, bottom):
                line = (channel * depth + at[0] - start[0]) * height + y - start[1]
                a = np.uint64(channel * COLUMNS + (y - at[1] * ROWS) * WIDE + left - edge)
                b = np.uint64(line * width + left - start[2])
                if right - left == WIDE:
                    for i in range(WIDE):
                        flat[b + np.uint64(i)] = source[a + np.uint64(i)]
                else:
                    for i in range(right - left):
                        flat[b + np.uint64(i)] = source[a + np.uint64(i)]
