"""Chunks of a compressed input that several tiles read: how many pixels of them wait, decoded, for another tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from tileconv.boxes import Interval
from tileconv.quick import dataclass


@dataclass(frozen=True)
class ChunkSums:
    """Along one axis, in pixels of whole chunks: of the image, of the longest read, and of what several tiles read.

    ``shared`` is the most that two neighbouring tiles, or tiles at both ends of the image, both read; ``ahead`` the
    most that a tile reads together with as many tiles behind it as there are workers.
    """

    image: int
    read: int
    shared: int
    ahead: int


def chunk_sums(reads: Sequence[Interval], image: int, chunk: int, workers: int) -> ChunkSums:
    """Return the sums along an axis of *image* pixels in chunks of *chunk*, read as *reads*, in rising order.

    What lies beyond the image is read at its far side.
    """

    def whole(start: int, stop: int) -> int:
        """Return the pixels of the chunks that ``start`` to ``stop`` touches."""
        return max(0, -(-stop // chunk) - start // chunk) * chunk

    inside = [(max(a, 0), min(b, image)) for a, b in reads]
    before, after = max(0, -reads[0][0]), max(0, reads[-1][1] - image)
    rims = (whole(image - before, image) if before else 0) + whole(0, after)
    read = max(whole(*r) for r in inside) + rims
    shared = max((whole(b[0], a[1]) for a, b in pairwise(inside)), default=0) + rims
    ends = [b for _, b in inside[workers:]] + [inside[-1][1]] * workers
    ahead = max(whole(a, b) for (a, _), b in zip(inside, ends, strict=False)) + rims
    most = whole(0, image)
    return ChunkSums(most, min(read, most), min(shared, most), min(ahead, most))


def shared_px(axes: Sequence[ChunkSums], workers: int) -> int:
    """Return the most pixels of decoded chunks that wait for another tile, tiles being made in row-major order.

    Along each axis a chunk waits while all that lies along the faster axes is made, with *workers* tiles at once.

    Examples
    --------
    >>> shared_px([ChunkSums(64, 24, 8, 24), ChunkSums(80, 24, 8, 24)], 1) == 8 * (80 + 24) + 8 * 24 * 2
    True
    """
    count = 0
    for k, axis in enumerate(axes):
        row, *rest = *axes[k + 1 :], ChunkSums(1, 1, 0, 1)
        turns = 1 if all(a.read == a.image for a in axes[:k]) else 1 + workers  # tiles ahead may begin the axis again
        waiting = min(axis.shared * (row.image + workers * row.read), turns * axis.ahead * row.image)
        count += waiting * math.prod(a.read for a in axes[:k]) * math.prod(a.image for a in rest)
    return min(count, math.prod(a.image for a in axes))
