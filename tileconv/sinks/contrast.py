"""What viewers show of a result at first: windows from percentiles of some pixels of some of its chunks.

Chunks and pixels are chosen by number alone, so that the same result has the same windows however it was made. Who
writes a chunk keeps those of its pixels that count; the chunks that others wrote are read when the result is finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.images import RGB, ImageInfo, equal
from tileconv.sinks.ome import Window

CHUNKS, PIXELS, LEAST = 64, 2**20, 2**14
"""The most chunks that are read where there are no more channels, and pixels compared: of all chunks, and of each."""
OUTSIDE = 0.001
"""The share of pixels that are darker than what is shown, and the share that is brighter."""
SIGNED = 8
"""Both sides of zero are shown alike where one goes no further than so many times the other."""
_GOLDEN = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: multiples of it, modulo 2**64, are spread evenly, however many they are."""


class Samples:
    """The pixels of an image that its windows come from: 2**20, more where it has more than 64 channels.

    Those of chunks that this process writes are kept, unless they are more; another process has none.
    """

    def __init__(self, info: ImageInfo) -> None:
        self._info, self._kept = info, dict[tuple[int, Box], NDArray[Any]]()

    def __reduce__(self) -> tuple[type[Samples], tuple[ImageInfo]]:
        return Samples, (self._info,)

    @property
    def _channels(self) -> int:
        info = self._info
        return info.shape[info.axes.index("c")] if "c" in info.axes else 1

    @cached_property
    def _picked(self) -> list[tuple[int, Box]]:
        """The channels and the chunks of them that count."""
        count = self._channels
        return [(c, box) for c in range(count) for box in chunks_of(self._info, c, max(1, CHUNKS // count))]

    @cached_property
    def _starts(self) -> set[tuple[int, ...]]:
        return {box.start for _, box in self._picked} if len(self._picked) <= CHUNKS else set()

    def keep(self, chunk: Box, pixels: NDArray[Any]) -> None:
        """Take what counts of the *pixels* of a *chunk*, which are written."""
        if chunk.start in self._starts:
            for channel, box in self._picked:
                if box == chunk:
                    self._kept[channel, box] = self._sample(pixels, box, channel)

    def windows(self, read: Callable[[Box], NDArray[Any]], workers: int) -> list[Window]:
        """Return the window of each channel; *read* gives the pixels of a chunk that lie in the image.

        Red, green and blue share one: with three the colours would shift.
        """
        together = RGB[:3] == tuple(name.lower() for name in self._info.channels[:3])

        def sample(pick: tuple[int, Box]) -> NDArray[Any]:
            channel, box = pick
            return self._kept[pick] if pick in self._kept else self._sample(read(box), box, channel)

        parts: dict[int, list[NDArray[Any]]] = {}
        with ThreadPoolExecutor(workers) as pool:
            for (channel, _), pixels in zip(self._picked, pool.map(sample, self._picked), strict=True):
                parts.setdefault(0 if together and channel < 3 else channel, []).append(pixels)
        made = {channel: window_of(np.concatenate(samples)) for channel, samples in parts.items()}
        return [made[channel] if channel in made else made[0] for channel in range(self._channels)]

    def _sample(self, pixels: NDArray[Any], box: Box, channel: int) -> NDArray[Any]:
        """Return some valid, finite pixels of *channel* out of the chunk of *box*, evenly spaced."""
        if "c" in box.axes:
            at = box.axes.index("c")
            pixels = pixels[(slice(None),) * at + (channel - box.start[at],)]
        step = -(-pixels.size // max(PIXELS // len(self._picked), LEAST))
        some = pixels.reshape(-1)[:: step + (step % 2 == 0)].copy()  # an odd step meets all columns
        if self._info.nodata is not None:
            some = some[~equal(some, self._info.nodata)]
        return some[np.isfinite(some)] if some.dtype.kind == "f" else some


def chunks_of(info: ImageInfo, channel: int, count: int) -> Iterator[Box]:
    """Yield up to *count* chunks that hold pixels of *channel*, spread over the image."""
    grid = TileGrid(info.box, info.chunks)
    counts = [1 if axis == "c" else n for axis, n in zip(info.axes, grid.counts, strict=True)]
    total = math.prod(counts)
    spread = ((number * _GOLDEN % 2**64) * total >> 64 for number in range(1, count + 1))
    for number in sorted(set(spread)) if total > count else range(total):
        index = [int(i) for i in np.unravel_index(number, counts)]
        if "c" in info.axes:
            at = info.axes.index("c")
            index[at] = channel // info.chunks[at]
        yield grid.box(index)


def window_of(sample: NDArray[Any]) -> Window:
    """Return what to show of an image with the pixels *sample*, all finite.

    Examples
    --------
    >>> window_of(np.r_[np.arange(10_000.0), 1e9])
    Window(start=10.0, end=9990.0, min=0.0, max=1000000000.0)
    """
    if not sample.size:
        return Window(0, 1, 0, 1)
    last = sample.size - 1
    first, end = math.ceil(OUTSIDE * last), math.floor((1 - OUTSIDE) * last)
    if first >= end:
        first, end = 0, last
    ordered = np.partition(sample, (first, end))
    low, high, least, most = (v.item() for v in (ordered[first], ordered[end], sample.min(), sample.max()))
    if low == high:  # nearly all of it; what there is beside it is seen
        low, high = least, most
    if low == high:
        low, high = min(low, 0), max(high, 0) or int(low == 0)
    if low < 0 < high and max(-low, high) <= SIGNED * min(-low, high):
        low, high = -max(-low, high), max(-low, high)
    if sample.dtype.kind in "iu" and sample.dtype.itemsize <= 2:
        limits = np.iinfo(sample.dtype)
        least, most = limits.min, limits.max
    return Window(low, high, min(low, least), max(high, most))
