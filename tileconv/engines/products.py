"""Sums over channels by matrix products: a convolutional network's layer, block by block of the canonical grid.

    outputs    |0------|32-----|64----->     blocks of 8 x 32, anchored at the origin of the image; four products each,
                                             of rows y and y + 4: 64 columns
    product    (out-channels, taps) x (taps, 64)     taps: kernel's y, its z, in-channels, its x

BLAS chooses kernels by the shapes of matrices, and within one by the place of a column. Every product of a layer has
one shape therefore, and a pixel its column, whatever the tile: a block that lies in a tile in part is multiplied whole,
with anything in the columns that nobody asked for. A column of a product depends on the same column of its factor
alone, so that no tile needs more than its halo.

Taps have the kernel's y first, so that what is gathered for a row of the input serves every output that it is under:
the products of a block are of overlapping rows of one array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.activations import LOOPS
from tileconv.engines.blas import one_thread
from tileconv.engines.filters import APART, COLUMNS, HIGH, RUNS, WIDE, Filters, Taps
from tileconv.engines.loops import njit
from tileconv.quick import dataclass

Array = NDArray[Any]

ALIGNED = 64
"""Bytes by multiples of which matrices begin: some BLAS sum in an order that depends on it."""


@lru_cache(maxsize=64)
def matrices(filters: Filters, groups: int, dtype: np.dtype[Any]) -> Array:
    """Return the weights as one matrix (out-channels, taps) per group, in the type of the sums."""
    made = aligned((groups, len(filters.weights) // groups, filters.taps), dtype)
    made[...] = filters.weights.transpose(0, 3, 2, 1, 4).reshape(made.shape)
    return made


def layer(
    filters: Filters, groups: int, taps: Taps, channels: Sequence[Array], out: Box, dtype: np.dtype[Any],
    activation: str, slope: float,
) -> Array:  # fmt: skip
    """Return the pixels of *out* of every out-channel (out-channels, z, y, x), in the type *dtype*.

    Parameters
    ----------
    channels
        Each (z, y, x): the pixels under *out*, from the first tap of its first pixel on.
    activation
        ``none``, or one of ``activations.LOOPS``, with its *slope*.
    """
    factors = matrices(filters, groups, dtype)
    bias = filters.bias.astype(dtype).reshape(groups, -1)
    outs, ins = factors.shape[1], len(channels) // groups
    made = np.empty((groups * outs, *out.shape), dtype)
    room = taps.room(ins, outs, dtype.itemsize)
    strip, columns, products = (aligned(shape, dtype) for shape in (room.strip, room.columns, room.products))
    for array in (strip, columns, products):
        array[...] = 0
    with one_thread():
        for piece in _pieces(out, room.blocks):
            some = products.reshape(-1)[: APART * piece.blocks * outs * COLUMNS].reshape(APART, piece.blocks, outs, -1)
            for group in range(groups):
                _fill(strip, channels[group * ins :][:ins], taps, piece)
                _multiply(factors[group], strip, columns, some, taps, piece)
                add(some, bias[group])
                if activation != "none":
                    LOOPS[activation](some.reshape(-1), slope)
                scatter(some, made[group * outs :][:outs, piece.z], piece.first, out.shape[1:])
    return made


@dataclass(frozen=True)
class Piece:
    """Some *blocks* of the canonical grid along x; places count from the first output that is asked for.

    Attributes
    ----------
    first
        Where the first block begins, along y and x: before that output, maybe.
    rows
        Which of the products have a row that is asked for.
    """

    z: int
    first: tuple[int, int]
    blocks: int
    rows: tuple[int, ...]


def _pieces(out: Box, blocks: int) -> Iterator[Piece]:
    """Yield the pieces of no more than *blocks* each that together hold *out*."""
    left, right = out.start[2] // WIDE, -(-out.stop[2] // WIDE)
    high = range(out.start[1] // HIGH * HIGH, out.stop[1], HIGH)
    for z, top, at in product(range(out.shape[0]), high, range(left, right, blocks)):
        asked = range(max(top, out.start[1]) - top, min(top + HIGH, out.stop[1]) - top)
        first = (top - out.start[1], at * WIDE - out.start[2])
        yield Piece(z, first, min(blocks, right - at), tuple(sorted({row % APART for row in asked})))


def _fill(strip: Array, channels: Sequence[Array], taps: Taps, piece: Piece) -> None:
    """Copy what lies under *piece* from *channels* into *strip* (y, z, channel, x): whatever is there where none is."""
    planes, (here, there) = slice(piece.z * taps.step[0], None, taps.dilation[0]), ([], [])
    for axis, size in ((1, strip.shape[0]), (2, strip.shape[3])):
        begin = piece.first[axis - 1] * taps.step[axis]
        inside = max(0, begin), min(channels[0].shape[axis], begin + size)
        here.append(slice(inside[0] - begin, inside[1] - begin))
        there.append(slice(*inside))
    for number, channel in enumerate(channels):
        part = channel[planes, there[0], there[1]][: taps.shape[0]]
        strip[here[0], :, number, here[1]] = part.swapaxes(0, 1)


def _multiply(factor: Array, strip: Array, columns: Array, products: Array, taps: Taps, piece: Piece) -> None:
    """Make the *products* (row of APART, block, out-channel, column) of *piece*."""
    lines, begins = taps.lines
    each = math.prod(columns.shape[2:-2])
    for at in range(0, piece.blocks, len(columns)):
        some = columns[: piece.blocks - at]
        gather(strip, some, np.array(lines), at, taps.step, taps.dilation[2])
        taken = some.reshape(len(some), -1, COLUMNS)
        for row in piece.rows:
            first = begins[row] * each
            under = taken[:, first : first + factor.shape[1]]
            np.matmul(factor, under, out=products[row, at : at + len(some)])


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array that begins at a multiple of ``ALIGNED`` bytes, and holds anything."""
    room = np.empty(math.prod(shape) * dtype.itemsize + ALIGNED, np.uint8)
    skip = -room.ctypes.data % ALIGNED
    return room[skip : skip + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


@njit(nogil=True, cache=True)
def add(products: Array, bias: Array) -> None:  # pragma: no cover - compiled
    """Add the *bias* of every out-channel to its sums."""
    for row in range(products.shape[0]):
        for block in range(products.shape[1]):
            for channel in range(products.shape[2]):
                added = bias[channel]
                sums = products[row, block, channel]
                for i in range(sums.shape[0]):
                    sums[i] += added


@njit(nogil=True, cache=True)
def gather(
    strip: Array, columns: Array, lines: Array, first: int, step: Any, dilation: int
) -> None:  # pragma: no cover - compiled
    """Write the taps of blocks from *first* on into *columns* (block, line, z and channel, x, run, column)."""
    flat, into = strip.reshape(-1), columns.reshape(-1)
    blocks, _, planes, wide = columns.shape[:4]
    length = flat.shape[0] // (strip.shape[0] * planes)
    for at in range(lines.shape[0]):
        for plane in range(planes):
            for run in range(RUNS):
                line = ((lines[at] + run * APART * step[1]) * planes + plane) * length
                for block in range(blocks):
                    target = ((block * lines.shape[0] + at) * planes + plane) * wide * COLUMNS + run * WIDE
                    source = line + (first + block) * WIDE * step[2]
                    for tap in range(wide):
                        a, b = np.uint64(source + tap * dilation), np.uint64(target + tap * COLUMNS)
                        if step[2] == 1:
                            for i in range(WIDE):  # unsigned: the loop vectorises
                                into[b + np.uint64(i)] = flat[a + np.uint64(i)]
                        else:
                            for i in range(WIDE):
                                into[b + np.uint64(i)] = flat[a + np.uint64(i * step[2])]


@njit(nogil=True, cache=True)
def scatter(products: Array, made: Array, first: Any, shape: Any) -> None:  # pragma: no cover - compiled
    """Write those of *products* that lie within *shape* to their places in *made* (channel, y, x)."""
    apart, blocks, outs, _ = products.shape
    source = products.reshape(-1)
    for channel in range(outs):
        for y in range(max(0, -first[0]), min(HIGH, shape[0] - first[0])):
            line = made[channel, first[0] + y]
            begin = (y % apart * blocks * outs + channel) * COLUMNS + y // apart * WIDE
            for block in range(blocks):
                edge = first[1] + block * WIDE
                left, right = max(0, -edge), min(WIDE, shape[1] - edge)
                a, b = np.uint64(begin + block * outs * COLUMNS + left), np.uint64(edge + left)
                if right - left == WIDE:
                    for i in range(WIDE):
                        line[b + np.uint64(i)] = source[a + np.uint64(i)]
                else:
                    for i in range(right - left):
                        line[b + np.uint64(i)] = source[a + np.uint64(i)]
