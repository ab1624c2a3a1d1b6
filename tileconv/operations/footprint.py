"""The pixels around one that an operation looks at: those of a box, or of a disk in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from tileconv.boxes import SPACE, Halo
from tileconv.engines.kernel import check_lengths, check_size
from tileconv.errors import KernelError
from tileconv.operations.blur import within_radii
from tileconv.operations.parameters import Lengths, Sizes, per_axis, sizes_per_axis
from tileconv.quick import dataclass

REGION_PX = 2**16
"""Pixels of a region, if the footprint is not too large for it: their words stay in the first cache."""
Run = tuple[int, int, int, int]
"""Plane, row, first pixel and last pixel of a footprint, counted from the corner of its box."""


@dataclass(frozen=True)
class Footprint:
    """Pixels around one, along 1 to 3 axes, the last of which is x.

    Attributes
    ----------
    sizes
        Those of the box. The middle of an even one is the pixel after it, as scipy.ndimage has it.
    radii
        Those of the disk in the box; none where all of the box counts.
    """

    sizes: tuple[int, ...]
    radii: tuple[float, ...] = ()

    @property
    def halo(self) -> Halo:
        """Pixels needed around one."""
        return Halo(tuple(n // 2 for n in self.sizes), tuple((n - 1) // 2 for n in self.sizes))

    @property
    def box(self) -> tuple[int, int, int]:
        """The sizes along (z, y, x)."""
        z, y, x = (1,) * (3 - len(self.sizes)) + self.sizes
        return z, y, x

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The pixels in rows along x: each plane and row holds one run of them, or none."""
        z, y, x = self.box
        if not self.radii:
            return tuple((i, j, 0, x - 1) for i in range(z) for j in range(y))
        inside = within_radii(self.radii).reshape(self.box)
        found = ((i, j, np.flatnonzero(inside[i, j])) for i in range(z) for j in range(y))
        return tuple((i, j, int(row[0]), int(row[-1])) for i, j, row in found if row.size)

    @cached_property
    def count(self) -> int:
        """How many pixels it holds."""
        return sum(last - first + 1 for _, _, first, last in self.runs)

    @property
    def region_px(self) -> int:
        """How many pixels are numbered together, at most, their halo included: it may be three quarters of them."""
        return max(REGION_PX, 4 * math.prod(self.sizes))

    def along(self, axes: str) -> Footprint:
        """Return the same along *axes*, some of z, y and x: one pixel long along those between them and x."""
        at = [axes.find(axis) for axis in SPACE[SPACE.index(axes[0]) :]]
        return Footprint(
            tuple(self.sizes[i] if i >= 0 else 1 for i in at),
            tuple(self.radii[i] if i >= 0 else 1.0 for i in at if self.radii),
        )

    def columns(self) -> Iterator[list[tuple[int, int]]]:
        """Yield, for each pixel of a row, the planes and rows that the footprint has there."""
        for x in range(self.box[2]):
            yield [(z, y) for z, y, first, last in self.runs if first <= x <= last]


def footprint(size: Sizes | None, radius: Lengths | None, axes: str) -> Footprint:
    """Return the box of *size*, 3 where nothing is said, or the disk of *radius*; KernelError where both are given."""
    if radius is None:
        sizes = sizes_per_axis(3 if size is None else size, axes)
        check_lengths(sizes)
        return Footprint(sizes)
    if size is not None:
        raise KernelError("expected size or radius, found both", fix="size is that of a box, radius of a disk.")
    radii = per_axis(radius, axes, "radius", above=0.0)
    sizes = tuple(2 * int(r) + 1 for r in radii)
    check_size(sizes)
    return Footprint(sizes, radii)
