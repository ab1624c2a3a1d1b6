"""Integer geometry of tiles and halos: boxes with named axes; no arrays, no files.

Coordinates are pixels of the image's own grid, half open as Python slices are. A box may lie partly outside the image:
such pixels do not exist, and the border rule makes them.

    image    |----------------------------|
    write              |wwwwww|                 the pixels that a tile makes
    read           |rrr|wwwwww|rrr|             grown by the halo (3, 3)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import product
from operator import add, floordiv, ge, le, lt, mul, sub

from tileconv.errors import GeometryError
from tileconv.quick import dataclass

AXES = "tczyx"
"""Every axis name that tileconv knows, in the order in which images hold them."""
SPACE = "zyx"
"""The axes that kernels run over."""
Interval = tuple[int, int]
"""Where a range along one axis starts and stops."""


def default_axes(count: int) -> str:
    """Return the names of the last *count* axes: ``yx``, ``zyx``, ``czyx``, ``tczyx``."""
    if not 1 <= count <= len(AXES):
        raise GeometryError(f"expected 1 to {len(AXES)} axes, found {count}")
    return AXES[-count:]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels ``start <= index < stop``, one pair of bounds per named axis.

    Raises
    ------
    GeometryError
        If the bounds differ in number, or a stop lies below its start.

    Examples
    --------
    >>> Box((0, 5), (7, 15))
    Box(y=0:7, x=5:15)
    >>> Box((0, 5), (7, 15)).shape
    (7, 10)
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    axes: str = ""

    def __post_init__(self) -> None:
        if not self.axes:
            object.__setattr__(self, "axes", default_axes(len(self.start)))
        if not len(self.start) == len(self.stop) == len(self.axes):
            raise GeometryError(f"a box needs one start and one stop per axis, found {self.start}, {self.stop}")
        if any(map(lt, self.stop, self.start)):
            raise GeometryError(f"a box cannot stop before it starts, found {self.start} to {self.stop}")

    @classmethod
    def of_shape(cls, shape: Sequence[int], axes: str = "") -> Box:
        """Return the box of a whole image whose first pixel is the origin."""
        return cls((0,) * len(shape), tuple(shape), axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(map(sub, self.stop, self.start))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    def grow(self, halo: Halo) -> Box:
        """Return this box grown by *halo* on every side."""
        return Box(
            tuple(map(sub, self.start, halo.before)),
            tuple(map(add, self.stop, halo.after)),
            self.axes,
        )

    def intersect(self, other: Box) -> Box:
        """Return the common part; an empty box at the later start when there is none."""
        start = tuple(map(max, self.start, other.start))
        return Box(start, tuple(map(max, start, map(min, self.stop, other.stop))), self.axes)

    def contains(self, other: Box) -> bool:
        """Return whether every pixel of *other* lies in this box."""
        return all(map(le, self.start, other.start)) and all(map(ge, self.stop, other.stop))

    def shift(self, offset: Sequence[int]) -> Box:
        """Return this box moved by *offset* pixels."""
        return Box(tuple(map(add, self.start, offset)), tuple(map(add, self.stop, offset)), self.axes)

    def within(self, outer: Box) -> tuple[slice, ...]:
        """Return the slices that cut this box out of an array that holds *outer*."""
        if not outer.contains(self):
            raise GeometryError(f"{self} does not lie inside {outer}")
        return tuple(map(slice, map(sub, self.start, outer.start), map(sub, self.stop, outer.start)))

    def __str__(self) -> str:
        return " ".join(f"{n}={a}:{b}" for n, a, b in zip(self.axes, self.start, self.stop, strict=True))

    def __repr__(self) -> str:
        return f"Box({str(self).replace(' ', ', ')})"


@dataclass(frozen=True, slots=True)
class Halo:
    """Pixels needed before and after a box, per axis, each >= 0.

    Examples
    --------
    >>> Halo((1, 2), (1, 3)) + Halo.same(2, axes=2)
    Halo(before=(3, 4), after=(3, 5))
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.before) != len(self.after) or min((*self.before, *self.after), default=0) < 0:
            raise GeometryError(f"a halo needs as many pixels >= 0 before as after, found {self.before}, {self.after}")

    @classmethod
    def same(cls, pixels: int, *, axes: int) -> Halo:
        """Return a halo of *pixels* on both sides of *axes* axes."""
        return cls((pixels,) * axes, (pixels,) * axes)

    def __add__(self, other: Halo) -> Halo:
        return Halo(
            tuple(a + b for a, b in zip(self.before, other.before, strict=True)),
            tuple(a + b for a, b in zip(self.after, other.after, strict=True)),
        )

    def union(self, other: Halo) -> Halo:
        """Return the larger of both halos on every side."""
        return Halo(
            tuple(map(max, self.before, other.before)),
            tuple(map(max, self.after, other.after)),
        )


@dataclass(frozen=True)
class TileGrid:
    """The tiles that cover an image once: *image* cut every *tile* pixels from its start; the last ones may be short.

    Examples
    --------
    >>> [str(box) for box in TileGrid(Box.of_shape((2, 5)), (2, 3))]
    ['y=0:2 x=0:3', 'y=0:2 x=3:5']
    """

    image: Box
    tile: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.tile) != len(self.image.shape) or min(self.tile, default=1) < 1:
            raise GeometryError(f"a tile needs one size >= 1 per axis of {self.image}, found {self.tile}")

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of tiles along each axis."""
        return tuple(-(-n // t) for n, t in zip(self.image.shape, self.tile, strict=True))

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the tiles along each axis, as Dask writes them."""
        return tuple(
            tuple(min(t, n - i * t) for i in range(c))
            for n, t, c in zip(self.image.shape, self.tile, self.counts, strict=True)
        )

    def __len__(self) -> int:
        return math.prod(self.counts)

    def box(self, index: Sequence[int]) -> Box:
        """Return the tile at *index* (one number per axis)."""
        start = tuple(map(add, self.image.start, map(mul, index, self.tile)))
        return Box(start, tuple(map(min, map(add, start, self.tile), self.image.stop)), self.image.axes)

    def __iter__(self) -> Iterator[Box]:
        """Yield every tile, last axis fastest."""
        return (self.box(index) for index in product(*map(range, self.counts)))


def tile_at(grid: TileGrid, number: int) -> Box:
    """Return tile *number* of *grid*, counted with the last axis fastest."""
    index = []
    for count in reversed(grid.counts):
        number, at = divmod(number, count)
        index.append(at)
    return grid.box(index[::-1])


def pixels_of(grid: TileGrid, numbers: Sequence[int]) -> int:
    """Return how many pixels the tiles *numbers* of *grid* have together."""
    if len(numbers) == len(grid):
        return grid.image.size
    return sum(tile_at(grid, number).size for number in numbers)


def number_of(grid: TileGrid, tile: Box) -> int:
    """Return the number of *tile*; GeometryError if it is none of *grid*."""
    index = [*map(floordiv, map(sub, tile.start, grid.image.start), grid.tile)]
    if grid.box(index) != tile:
        raise GeometryError(f"{tile} is no tile of {grid}")
    return numbered(grid, index)


def numbered(grid: TileGrid, index: Sequence[int]) -> int:
    """Return the number of the tile at *index*, last axis fastest."""
    number = 0
    for count, at in zip(grid.counts, index, strict=True):
        number = number * count + at
    return number


def pieces(start: int, stop: int, size: int) -> list[Interval]:
    """Return the pieces of *size* that make up ``start`` to ``stop``; the last may be short."""
    return [(a, min(a + size, stop)) for a in range(start, stop, size)]


@lru_cache(maxsize=256)  # a tile asks several times
def space(box: Box) -> Box:
    """Return the part of *box* along (z, y, x), one pixel long where it has no such axis."""
    at = _places(SPACE, box.axes)
    return Box(tuple([box.start[i] if i >= 0 else 0 for i in at]), tuple([box.stop[i] if i >= 0 else 1 for i in at]))


def with_space(box: Box, inner: Box) -> Box:
    """Return *box* with its bounds along (z, y, x) replaced by those of *inner*."""
    at = _places(box.axes, SPACE)
    return Box(
        tuple([inner.start[i] if i >= 0 else a for i, a in zip(at, box.start, strict=True)]),
        tuple([inner.stop[i] if i >= 0 else b for i, b in zip(at, box.stop, strict=True)]),
        box.axes,
    )


@lru_cache(maxsize=64)
def _places(axes: str, others: str) -> tuple[int, ...]:
    """Return where each of *axes* stands among *others*; -1 for what is none of them."""
    return tuple(map(others.find, axes))
