"""The parts of a plan: passes, what they read, and what they write."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

from tileconv.boxes import Box, TileGrid, space, with_space
from tileconv.engines.values import Values
from tileconv.images import ImageInfo
from tileconv.planning.folds import feeding, fold_axis
from tileconv.planning.memory import Bytes, total
from tileconv.planning.passes import renumbered, within
from tileconv.planning.regions import Regions
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass
from tileconv.sinks.levels import Level
from tileconv.spec.model import INPUT, MissingSpec
from tileconv.storage import USUAL, Storage


@dataclass(frozen=True)
class Missing:
    """Which pixels of the input are missing, and what becomes of them."""

    rule: str
    nodata: float | None
    value: float | None

    @property
    def becomes_nan(self) -> bool:
        """Whether stages find the missing pixels as NaN."""
        return self.rule in {"propagate", "renormalize"}

    @classmethod
    def of(cls, spec: MissingSpec | None, nodata: float | None) -> Missing | None:
        """Return the rule of *spec* for *nodata*, or None when there is none."""
        return None if spec is None else cls(spec.rule, nodata, spec.value)


@dataclass(frozen=True)
class Read:
    """An array that a pass reads.

    Attributes
    ----------
    source
        What is stored of it.
    domain
        Its box, axes (z, y, x), in coordinates in which the run's input starts at zero.
    block
        What the pixels of a block are like once missing ones are dealt with.
    array
        Which array of the plan it is, or -1 for the input.
    missing
        Which of its pixels are missing; of the input alone.
    exact
        Whether 64-bit whole numbers that the block's type would round are refused: the stages keep whole numbers whole.
    """

    source: ImageInfo
    domain: Box
    block: Values
    array: int = INPUT
    missing: Missing | None = None
    exact: bool = False

    @property
    def volumes(self) -> int:
        """How many channels it has; an image without that axis is one."""
        return max(1, len(self.source.channel_names))


@dataclass(frozen=True)
class Write:
    """An array that a pass writes: the result of one of its ``stages``, or of its reads, by number.

    Attributes
    ----------
    array
        Which array of the plan it is.
    info
        Shape, axes, dtype, chunks, pixel size.
    storage
        How it is stored.
    gathered
        Whether all bytes of a file are in memory before it is written, as an object store takes them.
    levels
        The levels above the full size, which lie in the same store.
    """

    stage: int
    array: int
    info: ImageInfo
    overflow: str = "clip"
    storage: Storage = USUAL
    gathered: bool = False
    levels: tuple[Level, ...] = ()

    @property
    def unit(self) -> tuple[int, ...]:
        """Pixels along each axis of what one file holds."""
        return self.storage.unit(self.info.chunks)

    def suits(self, tile: tuple[int, ...]) -> bool:
        """Return whether *tile* is a whole number of files."""
        return all(t % u == 0 or t >= n for t, u, n in zip(tile, self.unit, self.info.shape, strict=True))


@dataclass(frozen=True)
class Pass:
    """Stages that share one read of their arrays, and what is written of them by the same tiles.

    Attributes
    ----------
    image
        The box of all that it writes, in the coordinates of the run, all axes of the image.
    grid
        The tiles, each a whole number of the files of every write.
    strip
        Rows of a tile that are made at once.
    cache_bytes
        The most decoded bytes of compressed sources that a process keeps from one tile to another.
    """

    stages: tuple[Stage, ...]
    why: str
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    image: Box
    grid: TileGrid
    strip: int
    method: str = "windows"
    why_method: str = ""
    why_tile: str = ""
    memory: tuple[Bytes, ...] = ()
    process_bytes: int = 0
    cache_bytes: int = 0
    read_amplification: float = 1.0
    ns_per_pixel: float = 0.0

    @cached_property
    def folds(self) -> str:
        """The axis that its stages project, of which a tile reads one part after another; empty for most."""
        return fold_axis(self)

    @cached_property
    def feeder(self) -> Pass:
        """The pass that makes the parts, each a tile of its grid, where there is such an axis."""
        return feeding(self)

    @property
    def part(self) -> int:
        """Pixels along that axis that are read at once."""
        return self.feeder.grid.tile[self.image.axes.index(self.folds)]

    @cached_property
    def regions(self) -> Regions:
        """Which pixels each stage and read needs for a tile."""
        return Regions(self.stages, self.stored)

    @property
    def has_loops(self) -> bool:
        """Whether compiled loops take part: not where pixels are stored as they are, in their type or a wider one."""
        floats = any(read.block.dtype.kind == "f" for read in self.reads)
        cast = any(floats and write.info.dtype.kind != "f" for write in self.writes)
        return bool(self.stages) or cast or any(write.levels for write in self.writes)

    @cached_property
    def all_channels(self) -> bool:
        """Whether a tile is made of all channels at once, because a stage makes others of them."""
        return any(stage.operation.makes_channels for stage in self.stages)

    def volumes(self, number: int) -> int:
        """Return how many volumes of a stage, or of a read, are held at once: one, or one for every channel."""
        if not self.all_channels:
            return 1
        return self.stages[number].volumes_out if number >= 0 else self.reads[-1 - number].volumes

    def sides(self, number: int, tile: Sequence[int]) -> tuple[int, ...]:
        """Return how long *tile* is along the axes of the read *number*, without halos."""
        own = dict(zip(self.image.axes, tile, strict=True))
        if self.all_channels:
            own["c"] = self.reads[number].volumes
        return tuple(own[a] for a in self.reads[number].source.axes)

    def block(self, number: int, tile: Box, inner: Box) -> Box:
        """Return the box, in its own axes, that *tile* reads of the read *number* where it needs *inner* of space."""
        source = self.reads[number].source
        if source.axes == tile.axes and not self.all_channels:
            return with_space(tile, inner)
        ends = {a: ends for a, *ends in zip(tile.axes, tile.start, tile.stop, strict=True)}
        if self.all_channels:
            ends["c"] = [0, self.reads[number].volumes]
        start, stop = zip(*(ends[a] for a in source.axes), strict=True)
        return with_space(Box(start, stop, source.axes), inner)

    @property
    def stored(self) -> tuple[int, ...]:
        """The numbers of the stages and reads that are written."""
        return tuple(write.stage for write in self.writes)

    def values(self, number: int) -> Values:
        """Return what the pixels of a stage, or of a read, are like."""
        return self.stages[number].values_out if number >= 0 else self.reads[-1 - number].block

    @cached_property
    def whole(self) -> Box:
        """The box, axes (z, y, x), of which it writes all, or where the run makes a region a part."""
        number = self.stored[0]
        return self.stages[number].domain_out if number >= 0 else self.reads[-1 - number].domain

    @property
    def partial(self) -> bool:
        """Whether it writes a part of what its stages can make."""
        return space(self.image) != self.whole

    @property
    def unit(self) -> tuple[int, ...]:
        """Pixels along each axis of what the largest file holds: whole numbers of the files of every write."""
        return tuple(map(max, *(write.unit for write in self.writes), (1,) * len(self.image.shape)))

    @property
    def tile_bytes(self) -> int:
        """Most bytes that one worker holds for one tile."""
        return total(self.memory)


def only(pass_: Pass, arrays: Collection[int]) -> Pass:
    """Return the part of *pass_* that writes *arrays* alone."""
    writes = [write for write in pass_.writes if write.array in arrays]
    if len(writes) == len(pass_.writes):
        return pass_
    numbers = [write.stage for write in writes]
    kept = within(pass_.stages, numbers, range(len(pass_.stages)))
    stages, read, ends = renumbered(pass_.stages, kept, numbers)
    stored = tuple(replace(write, stage=end) for write, end in zip(writes, ends, strict=True))
    return replace(pass_, stages=stages, reads=tuple(pass_.reads[-1 - n] for n in read), writes=stored)
