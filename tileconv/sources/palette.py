"""Pixels that are indices into a table of colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import RGB, ImageInfo
from tileconv.quick import dataclass
from tileconv.sources.source import Pixels, Reads

Items = TypeVar("Items", str, tuple[int, ...], tuple[tuple[int, ...], ...])


@dataclass(frozen=True)
class Palette:
    """A table of colours, one row per index: gray in one column, or red, green and blue in three."""

    colours: Pixels

    @classmethod
    def of(cls, colours: Pixels, dtype: np.dtype[np.generic]) -> Palette | None:
        """Return the palette of the rows *colours*, gray where all of them are; None where a pixel is its own gray.

        *dtype* is the type of the indices.

        Examples
        --------
        >>> ramp = np.arange(256, dtype=np.uint8)
        >>> Palette.of(np.stack([ramp, ramp, ramp], axis=1), np.dtype(np.uint8)) is None
        True
        """
        if (colours == colours[:, :1]).all():
            colours = colours[:, :1]
            if colours.dtype == dtype and (colours[:, 0] == np.arange(len(colours))).all():
                return None
        return cls(np.ascontiguousarray(colours))

    @property
    def words(self) -> str:
        """What pixels become."""
        return "gray" if self.colours.shape[1] == 1 else "RGB"

    def applied(self, info: ImageInfo, where: str) -> ImageInfo:
        """Return *info*, that of an image of indices, as that of an image of colours; SourceError beside channels."""
        info = replace(info, dtype=self.colours.dtype)
        if self.colours.shape[1] == 1:
            return info
        if "c" in info.axes:
            problem = f"its pixels are indices into a palette, and beside colours no axis can be c: {info.axes}"
            raise SourceError(problem, where=where, fix="Convert to RGB.")
        at = info.axes.startswith("t")
        put = {"shape": 3, "chunks": 3, "scale": 1.0, "units": "", "origin": 0.0}
        moved: dict[str, Any] = {
            name: (*(old := getattr(info, name))[:at], new, *old[at:]) for name, new in put.items()
        }
        return replace(info, axes=f"{info.axes[:at]}c{info.axes[at:]}", channels=RGB[:3], **moved)

    def read(self, box: Box, reads: Reads | None, indices: Callable[[Box, Reads | None], Pixels]) -> Pixels:
        """Return the colours of *box*; *indices* reads the box without its channels."""
        if self.colours.shape[1] == 1:
            gray: Pixels = self.colours[indices(box, reads), 0]
            return gray
        at = box.axes.index("c")
        plane = Box(_without(box.start, at), _without(box.stop, at), _without(box.axes, at))
        if reads is not None:
            reads = replace(reads, starts=_without(reads.starts, at), stops=_without(reads.stops, at))
        found = indices(plane, reads)
        part = self.colours[:, box.start[at] : box.stop[at]]
        return np.stack([column[found] for column in part.T], axis=at)


def _without(values: Items, at: int) -> Items:
    return values[:at] + values[at + 1 :]
