"""The tile of a pass: the cheapest of those with which a run stays within its memory, or the one that is asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, partial

from tileconv.boxes import TileGrid
from tileconv.engines.values import Dtype
from tileconv.errors import PlanError
from tileconv.images import DECODED_CACHE_BYTES, ImageInfo
from tileconv.planning.folds import folded_bytes
from tileconv.planning.machine import Allowance
from tileconv.planning.memory import (
    BARE_BYTES,
    BASE_BYTES,
    Bytes,
    encoding_bytes,
    kernel_bytes,
    peak_bytes,
    processes_of,
    tile_bytes,
    total,
)
from tileconv.planning.parts import Pass, Write
from tileconv.planning.pyramid import level_bytes, tiles_of_levels
from tileconv.planning.tiles import DECODE_NS, READ_NS, Sums, Tiling, axis_sums, candidates, folding, planes, tiling
from tileconv.quick import dataclass
from tileconv.spec.model import INPUT, PipelineSpec, RunSpec

OVERLAP_TASKS, TASK_NS = 11.5, 4e5
"""Dask tasks per tile of ``map_overlap`` (measured at tile 2048), and what a task costs the scheduler."""
NEAR = 1.1
"""How much more than the cheapest tile a smaller one may cost; it takes less memory, and less is lost with it."""
CACHE_SHARE = 4
"""One of so many parts of the memory may be taken by decoded chunks that wait for other tiles."""
LIGHT = (".tif", ".tiff", ".zarr", ".npy", ".png", ".jpg", ".jpeg")
"""Ends of names of images that are read without large libraries."""
MIB = 2**20


@dataclass(frozen=True)
class Budget:
    """The memory that a run is allowed, and what takes it beside tiles, in bytes.

    Of one process: ``held`` is there in any case, ``whole`` is a source that is decoded whole, ``kept`` are decoded
    chunks that wait for other tiles.
    """

    allowed: Allowance
    workers: int
    executor: str
    held: int
    whole: int
    kept: int = 0

    @property
    def room(self) -> int:
        """What decoded chunks of one process may take."""
        return self.whole or self.allowed.count // CACHE_SHARE // processes_of(self.workers, self.executor)

    @property
    def process_bytes(self) -> int:
        """What a process holds beside tiles."""
        return self.held + self.whole + self.kept

    def keeping(self, pass_: Pass, tile: Tiling, method: str, held: tuple[int, int]) -> Budget:
        """Return the budget with what is kept of sources between tiles that take *held*: no more than fits."""
        if self.whole or not any(read.source.compressed for read in pass_.reads):
            return self
        if method == "overlap":
            return replace(self, kept=DECODED_CACHE_BYTES)
        left = max(0, self.allowed.count - self.peak(held)) // processes_of(self.workers, self.executor)
        return replace(self, kept=min(tile.shared_bytes, self.room, left))

    def peak(self, held: tuple[int, int] = (0, 0)) -> int:
        """Return the whole run's peak with tiles of so many bytes each, and so many of them."""
        return peak_bytes(self.process_bytes, [held], self.workers, self.executor)


@dataclass(frozen=True)
class Option:
    """One tile size with how halos are had, what a tile takes, and what a process keeps beside it."""

    tile: Tiling
    method: str
    why_method: str
    memory: tuple[Bytes, ...]
    budget: Budget

    @property
    def peak(self) -> int:
        """The whole run's peak."""
        return self.budget.peak((total(self.memory), self.tile.tiles))

    @property
    def fits(self) -> bool:
        """Whether the run stays within its memory."""
        return self.peak <= self.budget.allowed.count

    @property
    def ns(self) -> float:
        """Time per pixel with the workers that wait for the last tiles counted in."""
        waves = -(-self.tile.tiles // self.budget.workers)
        return self.tile.ns_per_pixel * waves * self.budget.workers / self.tile.tiles


def base_bytes(spec: PipelineSpec, passes: Iterable[Pass]) -> int:
    """Return what a process holds that makes *passes* of *spec*, of whatever tiles."""
    stored = [str(spec.input.path), *(str(output.path) for output in spec.outputs)]
    near = stored[0].lower().endswith(LIGHT) and not any("://" in path for path in stored)
    return BARE_BYTES if near and not any(pass_.has_loops for pass_ in passes) else BASE_BYTES


def budget_of(pass_: Pass, limit: Allowance, workers: int, run: RunSpec, whole: int, base: int) -> Budget:
    """Return what *limit* leaves *pass_* beside *base*; if it reads the input, that keeps *whole* bytes decoded."""
    whole *= any(read.array == INPUT for read in pass_.reads)
    return Budget(limit, workers, run.executor, base + kernel_bytes(pass_.stages), whole)


def _option(pass_: Pass, run: RunSpec, budget: Budget, sides: tuple[int, ...], sums: Sums) -> Option:
    """Return what follows from a tile of *sides*; decoding once counts where one cache can hold what tiles share."""
    for kept in (budget.room if run.executor == "threads" else 0, 0):
        tile = (folding if pass_.folds else tiling)(pass_, sides, sums, budget.workers, kept)
        tile = replace(tile, ns_per_pixel=tile.ns_per_pixel + _levels_ns(pass_, tile))
        method, why = _method(pass_, tile, run)
        memory = _memory(pass_, tile, method, budget.workers)
        beside = budget.keeping(pass_, tile, method, (total(memory), tile.tiles))
        if method == "windows" and beside.kept + beside.whole >= tile.shared_bytes:
            break
    return Option(tile, method, why, memory, beside)


def tiled(pass_: Pass, run: RunSpec, budget: Budget) -> Pass:
    """Return *pass_* with the tile that is cheapest of those that fit, or the one asked for."""
    sums = _sums(pass_)
    options = [_option(pass_, run, budget, sides, sums) for sides in candidates(pass_)]
    fitting = [o for o in options if o.fits]
    if run.tile is not None:
        option = _option(pass_, run, budget, _asked(run.tile, options[0].tile.tile, pass_), sums)
        why = "run.tile"
    elif fitting:
        least = min(o.ns for o in fitting)
        option = min((o for o in fitting if o.ns <= NEAR * least), key=lambda o: (o.peak, *o.tile.width))
        ns = option.tile.ns_per_pixel
        chosen = f"of {len(fitting)} tile sizes that fit, the smallest whose cost is near the least"
        why = f"{chosen if len(fitting) > 1 else 'the only one of the tile sizes that fits'}, {ns:.1f} ns per pixel"
    else:
        option, why = min(options, key=lambda o: o.peak), ""
    if not option.fits:
        raise _too_large(option, [o.tile.tile for o in fitting], pass_)
    return _chosen(pass_, option, why)


def _sums(pass_: Pass) -> Sums:
    """Return the sums along the axes of what *pass_* computes, each worked out once."""
    return cache(partial(axis_sums, pass_.feeder if pass_.folds else pass_))


def retiled(pass_: Pass, spec: PipelineSpec, budget: Budget, tile: tuple[int, ...]) -> Pass:
    """Return *pass_* with tiles of *tile*, which another run chose; PlanError if they do not fit."""
    option = _option(pass_, spec.run, budget, tile, _sums(pass_))
    if option.fits:
        return _chosen(pass_, option, "the tile that the run began with")
    sides, allowed = json.dumps(dict(zip(pass_.image.axes, tile, strict=True))), budget.allowed
    raise PlanError(
        f"this output was begun with tiles of {sides}, which take {option.peak / MIB:,.0f} MiB, and the run "
        f"may take {allowed.count / MIB:,.0f} MiB ({allowed.why})",
        where=str(spec.output.path),
        fix="Let it take more, use fewer workers, or begin anew with --overwrite.",
    )


def _chosen(pass_: Pass, option: Option, why: str) -> Pass:
    """Return *pass_* with the tile of *option*, and what follows from it."""
    return replace(
        pass_,
        grid=TileGrid(pass_.image, option.tile.tile),
        strip=option.tile.strip,
        why_tile=why,
        method=option.method,
        why_method=option.why_method,
        memory=option.memory,
        process_bytes=option.budget.process_bytes,
        cache_bytes=option.budget.kept,
        read_amplification=option.tile.read_amplification,
        ns_per_pixel=option.tile.ns_per_pixel,
    )


def _memory(pass_: Pass, tile: Tiling, method: str, workers: int) -> tuple[Bytes, ...]:
    decoded = max(_bytes(of, of.dtype) if of.compressed else 0 for r in pass_.reads for of in r.source.stored)
    encoding = max(encoding_bytes(w.storage, _bytes(w.info, w.info.dtype)) + _gathered(w) for w in pass_.writes)
    reads = [(read.source, read.block.dtype) for read in pass_.reads]
    of = pass_.feeder if pass_.folds else pass_
    writes = [(write.stage, write.info.dtype, write.info.nodata is not None) for write in of.writes]
    levels = [level_bytes(write.levels, TileGrid(pass_.image, tile.tile)) for write in pass_.writes]
    beside, alone = max(of for of, _ in levels), max(of for _, of in levels)
    parts = tile_bytes(of.stages, reads, writes, tile.sizes, decoded, 0 if pass_.folds else encoding + beside)
    parts = folded_bytes(pass_, parts, tile.tile, encoding + beside) if pass_.folds else parts
    of_level = (Bytes("level and the one below", alone), Bytes("chunks being encoded", encoding))
    parts = max(parts, of_level, key=total) if alone else parts
    if method != "overlap":
        return parts
    source = pass_.reads[0].source
    held = planes(source.axes, pass_.sides(0, tile.tile)) * source.as_read.itemsize
    row = 3 * pass_.image.shape[-1] * tile.tile[-2] * held
    return (*parts, Bytes("three rows of tiles that overlap", row // min(workers, tile.tiles)))


def _levels_ns(pass_: Pass, tile: Tiling) -> float:
    """Return what it costs per pixel that levels are made of what is stored, because the tile is not theirs."""
    grid, read = TileGrid(pass_.image, tile.tile), 0
    for write in pass_.writes:
        below = write.info.box.size
        for level, tiles in zip(write.levels, tiles_of_levels(write.levels, grid), strict=True):
            read += below * (not tiles.within)
            below = level.info.box.size
    return read * (READ_NS + DECODE_NS) / pass_.image.size


def _bytes(info: ImageInfo, dtype: Dtype) -> int:
    """Return the bytes of one stored chunk."""
    return math.prod(info.chunks) * dtype.itemsize


def _gathered(write: Write) -> int:
    """Return the bytes of a file that is put at once, and of a copy of it that is sent."""
    return 2 * math.prod(write.unit) * write.info.dtype.itemsize * write.gathered


def _asked(asked: Mapping[str, int], default: tuple[int, ...], pass_: Pass) -> tuple[int, ...]:
    image, unit_name = pass_.image, "shard" if any(write.storage.shards for write in pass_.writes) else "chunk"
    channels = dict(zip(image.axes, image.shape, strict=True)).get("c", 1)
    if pass_.all_channels and asked.get("c", channels) < channels:
        raise PlanError(
            f"run.tile of {asked['c']} pixels along c: a tile holds all {channels} channels",
            why="they are made of one block, which would be made again for every tile",
            fix="Leave c out, and give smaller sides along y and x.",
        )
    tile = tuple(min(asked.get(a, d), n) for a, d, n in zip(image.axes, default, image.shape, strict=True))
    for axis, size, unit, whole in zip(image.axes, tile, pass_.unit, image.shape, strict=True):
        if size % unit and size < whole:
            raise PlanError(
                f"run.tile of {size} pixels along {axis} is not a whole number of {unit_name}s of {unit}",
                why=f"two tiles would write one {unit_name}",
                fix=f"Use {-(-size // unit) * unit}, or set output.{unit_name}s to {size}.",
            )
    return tile


def _too_large(option: Option, fitting: list[tuple[int, ...]], pass_: Pass) -> PlanError:
    budget, at_once = option.budget, min(option.budget.workers, option.tile.tiles)
    alone = budget.peak()
    fix = f"{budget.allowed.more}: without any tile the run takes {alone / MIB:,.0f} MiB."
    if alone < budget.allowed.count:
        smaller = (
            "say output.shards: none"
            if any(write.storage.shards for write in pass_.writes)
            else "make output.chunks smaller"
        )
        fix = f"{budget.allowed.more}, use fewer workers, or {smaller}."
    if fitting:
        sides = ", ".join(f"{a}: {n}" for a, n in zip(pass_.image.axes, max(fitting, key=math.prod), strict=True))
        fix = f"The largest tile that fits is {sides}."
    asked, allowed = option.peak / MIB, budget.allowed.count / MIB
    tile, process = total(option.memory) / MIB, budget.process_bytes / MIB
    return PlanError(
        f"the run would take {asked:,.0f} MiB, and may take {allowed:,.0f} MiB ({budget.allowed.why})",
        why=f"each of {at_once} tiles in flight takes {tile:,.1f} MiB, and a process {process:,.0f} MiB",
        fix=fix,
    )


def _method(pass_: Pass, tile: Tiling, run: RunSpec) -> tuple[str, str]:
    """Return how halos are had, and why: reading them twice, or exchanging them between Dask's chunks.

    The exchange goes row by row of tiles, so that a chunk is read for its own row and for both beside it.
    """
    if len(pass_.reads) > 1:
        return "windows", f"the pass reads {len(pass_.reads)} arrays, and a run by rows exchanges the halos of one"
    if pass_.partial:
        return "windows", "a region is made, and halos are exchanged between chunks of all that is read"
    if pass_.folds:
        return "windows", f"{pass_.folds} is read part by part"
    if any(max(stage.stride) > 1 for stage in pass_.stages):
        return "windows", "a stage has a stride, and halos are exchanged between chunks of one grid alone"
    if run.halo_method != "auto":
        return run.halo_method, "run.halo_method"
    read = READ_NS + (DECODE_NS if pass_.reads[0].source.compressed else 0.0)
    rows = -(-pass_.image.shape[-2] // tile.tile[-2])
    windows = read * tile.read_amplification
    overlap = read * min(rows, 3) + OVERLAP_TASKS * TASK_NS / math.prod(tile.tile)
    reason = f"reading halos twice costs {windows:.2f} ns per pixel, exchanging them {overlap:.2f} ns"
    return ("windows" if windows <= overlap else "overlap"), reason
