"""Selection from a window that slides: the pixels in it as a set of bits, and how many are in each word of them.

The pixels of a region are numbered in their order, each apart: 2**16 of them are 1024 words. One step of the window
takes a pixel per row out of the set and one in, and the word that holds the one asked for lies near where it was.
What is picked is a pixel of that rank whichever region it is numbered in, so regions change no bit of the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import pieces
from tileconv.engines.loops import njit
from tileconv.operations.footprint import Footprint

Array = NDArray[Any]

SPREAD = np.uint64(0x03F79D71B4CB0A89)
"""A number whose 64 stretches of 6 bits all differ (de Bruijn): times a power of two, its highest bits tell which."""
PLACES = np.empty(64, np.int64)
"""The powers of two by those bits."""
PLACES[[(int(SPREAD) << k) % 2**64 >> 58 for k in range(64)]] = np.arange(64)


@njit(nogil=True, cache=True)
def _put(number: int, words: Array, held: Array, change: int) -> np.int64:  # pragma: no cover - compiled
    """Put *number* into the set (*change* 1), or take it out (-1); return the word it belongs to."""
    at = np.uint64(number) >> np.uint64(6)  # without a sign, else it might count from the end
    words[at] ^= np.uint64(1) << (np.uint64(number) & np.uint64(63))
    held[at] += change
    return np.int64(at)


@njit(nogil=True, cache=True)
def _slide(
    numbers: Array, wide: int, runs: Array, rank: int, places: Array, words: Array, held: Array, out: Array
) -> None:  # pragma: no cover - compiled
    """Write the number of rank *rank* under the *runs* at every pixel of *out*; *held* counts the bits of *words*.

    Numbers lie in rows of *wide*, and *runs* says where the first and the last of each run lie, from a first pixel on:
    plain places, because each view of a row would be counted.
    """
    for y in range(out.shape[0]):
        words[:] = 0
        held[:] = 0
        for run in range(runs.shape[0]):
            for at in range(runs[run, 0], runs[run, 1]):
                _put(numbers[y * wide + at], words, held, 1)
        at, below = 0, 0  # the word that is looked at, and how many bits those before it hold
        for x in range(out.shape[1]):
            pixel = y * wide + x
            for run in range(runs.shape[0]):
                below += int(_put(numbers[pixel + runs[run, 1]], words, held, 1) < at)
            for run in range(runs.shape[0] if x > 0 else 0):
                below -= int(_put(numbers[pixel - 1 + runs[run, 0]], words, held, -1) < at)
            while below > rank:
                at -= 1
                below -= held[at]
            while below + held[at] <= rank:
                below += held[at]
                at += 1
            word = words[at]
            for _ in range(rank - below):
                word &= word - np.uint64(1)
            lowest = word & (~word + np.uint64(1))
            out[y, x] = 64 * at + places[(lowest * SPREAD) >> np.uint64(58)]


def slid(keys: Array, footprint: Footprint, rank: int) -> Array:
    """Return the pixel of *rank* of *footprint* wherever it fits inside *keys*, unsigned, axes (z, y, x)."""
    z, y, first, last = np.array(footprint.runs, np.int64).T
    out = np.empty(tuple(n - k + 1 for n, k in zip(keys.shape, footprint.box, strict=True)), keys.dtype)
    for part in _parts(out.shape, footprint):
        region = keys[tuple(slice(a, b + k - 1) for (a, b), k in zip(part, footprint.box, strict=True))]
        flat = region.reshape(-1)
        order = flat.argsort(kind="stable" if flat.itemsize <= 2 else None)
        numbers = np.empty(flat.size, np.uint32)
        numbers[order] = np.arange(flat.size, dtype=np.uint32)
        (plane, _), (top, bottom), (left, right) = part
        _, high, wide = region.shape
        runs = np.stack([(z * high + y) * wide + first, (z * high + y) * wide + last], axis=1)
        made, count = np.empty((bottom - top, right - left), np.int64), -(-flat.size // 64)
        words, held = np.empty(count, np.uint64), np.empty(count, np.uint8)
        _slide(numbers, wide, runs, rank, PLACES, words, held, made)
        out[plane, top:bottom, left:right] = flat[order[made]]
    return out


def _parts(shape: tuple[int, ...], footprint: Footprint) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the parts of an output of *shape*, each with its halo a region."""
    box = footprint.box
    room = footprint.region_px // box[0]
    rows = min(shape[1], max(1, math.isqrt(room) - box[1] + 1))
    width = max(1, room // (rows + box[1] - 1) - box[2] + 1)
    for z in pieces(0, shape[0], 1):
        for y in pieces(0, shape[1], rows):
            for x in pieces(0, shape[2], width):
                yield z, y, x
