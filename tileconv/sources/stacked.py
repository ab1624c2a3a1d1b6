"""Images of one plane each, stacked along an axis: each is opened once to be compared, and read by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from tileconv.boxes import AXES, Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.quick import dataclass
from tileconv.sources.masked import Masked
from tileconv.sources.source import Fingerprint, Pixels, Reads, Source
from tileconv.spec.model import StackAxis as Axis
from tileconv.stores.location import stem

ALIKE = ("shape", "axes", "dtype", "scale", "units", "nodata", "channels", "georeference", "inverted")
"""What planes of one stack have in common."""
DECODED = 3
"""Pictures that are held decoded at once: two that are kept, and one that is being decoded."""


@dataclass(frozen=True)
class Stacked:
    """The images *planes*, of one pixel along *axis* or without it, as one image; *where* names all of them.

    Raises
    ------
    SourceError
        If they are not alike, or one is more than a plane.

    Examples
    --------
    >>> from tileconv.sources.memory import MemorySource
    >>> both = Stacked([MemorySource(np.array([[5, 6]])), MemorySource(np.array([[7, 8]]))], "z", "z*.npy")
    >>> both.read(both.info.box).tolist()
    [[[5, 6]], [[7, 8]]]
    """

    planes: Sequence[Source]
    axis: Axis
    where: str

    def __post_init__(self) -> None:
        first = self.planes[0]
        if self._own and first.info.shape[self._at] != 1:
            problem = f"a plane of a stack along {self.axis} has {first.info.shape[self._at]} of its own"
            raise SourceError(problem, where=first.where, fix="Give it alone as input, without input.stack.")
        for plane in self.planes[1:]:
            for name in ALIKE:
                one, other = (f"{getattr(info, name)}" for info in (first.info, plane.info))
                if one != other:
                    problem = f"{name} is {other}, and {one} of {first.where}"
                    fix = "Write a pattern that matches the planes of one stack alone."
                    raise SourceError(problem, where=plane.where, why="planes of one stack are alike", fix=fix)

    @cached_property
    def _at(self) -> int:
        """Where the axis stands in the image."""
        return sum(AXES.index(axis) < AXES.index(self.axis) for axis in self.planes[0].info.axes)

    @cached_property
    def _own(self) -> bool:
        """Whether planes have the axis themselves."""
        return self.axis in self.planes[0].info.axes

    @cached_property
    def info(self) -> ImageInfo:
        """What is known of the stack: that of the planes, and the axis."""
        one, count = self.planes[0].info, len(self.planes)
        every = [plane.info for plane in self.planes]
        along = {"shape": (count,), "chunks": (1,), "scale": (1.0,), "units": ("",), "origin": (0.0,)}
        chunks = tuple(max(sides) for sides in zip(*(info.chunks for info in every), strict=True))
        columns = {name: getattr(one, name) for name in along} | {"chunks": chunks}
        if self._own:
            at = self._at
            columns["shape"] = (*one.shape[:at], count, *one.shape[at + 1 :])
        else:
            columns = {name: (*c[: self._at], *along[name], *c[self._at :]) for name, c in columns.items()}
        names = tuple(stem(plane.where) for plane in self.planes) if self.axis == "c" else one.channels
        said = (
            f"{count:,} planes are one stack along {self.axis}, from {self.planes[0].where} to {self.planes[-1].where}"
        )
        return replace(
            one,
            **columns,
            axes=one.axes if self._own else f"{one.axes[: self._at]}{self.axis}{one.axes[self._at :]}",
            channels=names,
            colours=() if self.axis == "c" else one.colours,
            compressed=any(info.compressed for info in every),
            masks=tuple(dict.fromkeys(mask for info in every for mask in info.masks)),
            notes=(said, *dict.fromkeys(note for info in every for note in info.notes)),
        )

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """See ``Source.fingerprint``: of all planes in their order."""
        told = [plane.fingerprint for plane in self.planes]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
        return {"size": sum(int(one.get("size", 0)) for one in told), "digest": digest}

    @property
    def changed(self) -> int:
        """See ``Source.changed``: of the plane that was changed last."""
        return max(plane.changed for plane in self.planes)

    @property
    def libraries(self) -> tuple[str, ...]:
        """See ``Source.libraries``."""
        return tuple(dict.fromkeys(name for plane in self.planes for name in plane.libraries))

    @property
    def cache_bytes(self) -> int:
        """See ``Source.cache_bytes``: of the planes that are kept at once."""
        return min(DECODED, len(self.planes)) * max(plane.cache_bytes for plane in self.planes)

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        at, first = self._at, box.start[self._at]
        own = Box(self._part(box.start, 0), self._part(box.stop, 1), self.planes[0].info.axes)
        parts = (
            self.planes[number].read(own, reads and self._reads(reads, number)) for number in range(first, box.stop[at])
        )
        if box.shape[at] == 1:  # nothing is copied
            return next(parts).reshape(box.shape)
        block = np.empty(box.shape, self.info.dtype)
        for number, part in enumerate(parts):
            block[(slice(None),) * at + (number,)] = part.take(0, at) if self._own else part
        return block

    def _part(self, ends: tuple[Any, ...], own: Any) -> tuple[Any, ...]:
        """Return what is said of each axis of the stack for those of a plane; *own* of that axis, if planes have it."""
        return (*ends[: self._at], *(own,) * self._own, *ends[self._at + 1 :])

    def _reads(self, reads: Reads, number: int) -> Reads:
        """Return the boxes that will be read of plane *number*: each as often as intervals along the axis hold it."""
        along = zip(reads.starts[self._at], reads.stops[self._at], strict=True)
        times = sum(start <= number < stop for start, stop in along)
        starts, stops = (
            (*sides[:-1], tuple(n for n in sides[-1] for _ in range(times)))
            for sides in (self._part(reads.starts, (0,)), self._part(reads.stops, (1,)))
        )
        return Reads(starts, stops, reads.cache_bytes)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        for plane in self.planes:
            plane.check_stored()

    def missing_chunks_total(self) -> tuple[int, int]:
        """See ``Source.missing_chunks_total``: those of all planes."""
        counts = [plane.missing_chunks_total() for plane in self.planes]
        return sum(absent for absent, _ in counts), sum(total for _, total in counts)

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        return self.planes[0].acquired()


def stack(planes: Sequence[Source], axis: Axis, where: str) -> Source:
    """Return *planes* as one image, with a mask where each has one; SourceError if they are not alike."""
    masked = [plane for plane in planes if isinstance(plane, Masked)]
    if not masked:
        return Stacked(planes, axis, where)
    if bare := next((plane for plane in planes if not isinstance(plane, Masked)), None):
        fix = "Say input.mask: none to take every pixel."
        raise SourceError(f"has no mask, and {masked[0].where} has one", where=bare.where, fix=fix)
    masks = Stacked([plane.mask for plane in masked], axis, where)
    return Masked(Stacked([plane.image for plane in masked], axis, where), masks)
