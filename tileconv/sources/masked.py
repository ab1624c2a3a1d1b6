"""An image with another one that tells which of its pixels are valid: both are read at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, Interval
from tileconv.errors import SourceError
from tileconv.images import ImageInfo, Mask, as_text
from tileconv.quick import dataclass
from tileconv.sources.source import Fingerprint, Pixels, Reads, Source

SHIFT = 1e-3
"""Of a pixel: how far the places of image and mask on the earth may lie apart, which programs round."""


@dataclass(frozen=True)
class Masked:
    """The pixels of *image*, valid where those of *mask* are not 0, or with *inverted* where they are.

    Axes that the mask lacks, or along which it has one pixel, are as if it were repeated along them.

    Raises
    ------
    SourceError
        If both are not of one box, or lie at two places on the earth.

    Examples
    --------
    >>> from tileconv.sources.memory import MemorySource
    >>> both = Masked(MemorySource(np.array([[5, 6]])), MemorySource(np.array([[0, 1]])))
    >>> both.read(both.info.box).tolist()
    [[(5, False), (6, True)]]
    """

    image: Source
    mask: Source
    inverted: bool = False

    def __post_init__(self) -> None:
        check_box(self.image.info, self.mask.info, self.mask.where)

    @cached_property
    def info(self) -> ImageInfo:
        """What is known of the image, and the mask."""
        image, mask = self.image.info, self.mask.info
        unused = {f"{text} is not used" for text in image.masks}
        notes = [note for note in image.notes if note not in unused]
        if mask.nodata:
            notes.append(f"the nodata value {as_text(mask.nodata)} of the mask counts as any other")
        return replace(
            image,
            compressed=image.compressed or mask.compressed,
            notes=tuple(notes),
            masks=(),
            mask=Mask(self.mask.where, mask, self.inverted),
        )

    @property
    def where(self) -> str:
        """See ``Source.where``: that of the image."""
        return self.image.where

    @property
    def fingerprint(self) -> Fingerprint:
        """See ``Source.fingerprint``: of both."""
        return self.image.fingerprint | {f"mask_{name}": value for name, value in self.mask.fingerprint.items()}

    @property
    def changed(self) -> int:
        """See ``Source.changed``."""
        return max(self.image.changed, self.mask.changed)

    @property
    def libraries(self) -> tuple[str, ...]:
        """See ``Source.libraries``."""
        return (*self.image.libraries, *self.mask.libraries)

    @property
    def cache_bytes(self) -> int:
        """See ``Source.cache_bytes``."""
        return self.image.cache_bytes + self.mask.cache_bytes

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*, each beside whether it is valid; see ``Source.read``.

        Where none is, those of the image are not read: one pixel is repeated. Of a compressed image rows of chunks are
        read from the first that holds one to the last, and the other pixels are 0.
        """
        repeated = [self._repeats(axis) for axis in box.axes]
        stored = self.mask.read(self._part(box), None if reads is None else self._reads(reads))
        valid = stored == 0 if self.inverted else (stored != 0) & (stored == stored)  # NaN is no number either
        if not valid.any():
            return np.broadcast_to(np.zeros((), self.info.as_read), box.shape)
        valid = valid.reshape([1 if one else n for one, n in zip(repeated, box.shape, strict=True)])
        both = np.zeros(box.shape, self.info.as_read)
        both["valid"] = valid
        for part in seen(valid, box, self.image.info.chunks) if self.image.info.compressed else [box]:
            both["pixel"][part.within(box)] = self.image.read(part, reads)
        return both

    def _repeats(self, axis: str) -> bool:
        """Return whether the mask is the same along all of *axis* of the image."""
        mask = self.mask.info
        return axis not in mask.axes or mask.shape[mask.axes.index(axis)] == 1

    def _part(self, box: Box) -> Box:
        """Return the box of the mask that belongs to *box* of the image."""
        axes = self.mask.info.axes
        ends = [(0, 1) if self._repeats(a) else (box.start[i], box.stop[i]) for a, i in _places(axes, box.axes)]
        return Box(tuple(low for low, _ in ends), tuple(high for _, high in ends), axes)

    def _reads(self, reads: Reads) -> Reads:
        """Return the boxes of the mask that belong to all that are read of the image."""
        axes = [
            ((0,), (1,)) if self._repeats(axis) else (reads.starts[i], reads.stops[i])
            for axis, i in _places(self.mask.info.axes, self.image.info.axes)
        ]
        return Reads(tuple(a for a, _ in axes), tuple(b for _, b in axes), reads.cache_bytes)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        self.image.check_stored()
        self.mask.check_stored()

    def missing_chunks_total(self) -> tuple[int, int]:
        """See ``Source.missing_chunks_total``: those of both."""
        (absent, total), (others, more) = self.image.missing_chunks_total(), self.mask.missing_chunks_total()
        return absent + others, total + more

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        return self.image.acquired()


def seen(valid: NDArray[np.bool_], box: Box, chunks: Sequence[int]) -> Iterator[Box]:
    """Yield parts of *box* that hold all that is *valid*: of every row of *chunks* those from the first with any on.

    Rows that begin and end alike are one part. Along axes before y and x *valid* may be one pixel long.

    Examples
    --------
    >>> list(seen(np.eye(6, dtype=bool), Box.of_shape((6, 6)), (2, 2)))[1]
    Box(y=2:4, x=2:4)
    """
    if valid.all():
        yield box
        return
    (*lead, top, left), (*ends, end, right), (*_, tall, wide) = box.start, box.stop, chunks
    plane = np.logical_or.reduce(valid.reshape(-1, end - top, right - left))
    rows: list[tuple[Interval, Interval]] = []
    for low, high in pairwise([top, *range(top // tall * tall + tall, end, tall), end]):
        columns = np.flatnonzero(np.logical_or.reduce(plane[low - top : high - top])) + left
        if not columns.size:
            continue
        sides = max(left, columns[0] // wide * wide), min(right, columns[-1] // wide * wide + wide)
        first = rows.pop()[0][0] if rows and rows[-1] == ((rows[-1][0][0], low), sides) else low
        rows.append(((first, high), sides))
    for (low, high), (first, last) in rows:
        yield Box((*lead, low, int(first)), (*ends, high, int(last)), box.axes)


def check_box(image: ImageInfo, mask: ImageInfo, where: str) -> None:
    """Refuse a *mask* that does not have one pixel for each of *image*, or lies at another place on the earth."""
    sizes = dict(zip(image.axes, image.shape, strict=True))
    fits = all(sizes.get(a, 1) == n or (n == 1 and a not in "yx") for a, n in zip(mask.axes, mask.shape, strict=True))
    if not fits:
        raise SourceError(
            f"the mask has the pixels {_sizes(mask)}, and the image has {_sizes(image)}",
            where=where,
            why="every pixel of the image needs one of the mask",
            fix="Give a mask of the same pixels; input.mask.level says which level of a pyramid is read.",
        )
    here, there = image.georeference, mask.georeference
    if here.transform and there.transform:
        step = max(map(abs, (*here.transform[:2], *here.transform[3:5])))
        apart = max(abs(a - b) for a, b in zip(here.transform, there.transform, strict=True))
        if apart > SHIFT * step or (here.crs and there.crs and here.crs != there.crs):
            raise SourceError(
                f"the mask lies at {there.crs} {list(there.transform)}, and the image at {here.crs} "
                f"{list(here.transform)}",
                where=where,
                why="pixels of one place belong together",
                fix="Warp the mask onto the pixels of the image.",
            )


def _sizes(info: ImageInfo) -> str:
    return " ".join(f"{axis}={size}" for axis, size in zip(info.axes, info.shape, strict=True))


def _places(axes: str, among: str) -> Sequence[tuple[str, int]]:
    """Return each of *axes* with its place *among* others, or -1."""
    return [(axis, among.find(axis)) for axis in axes]
