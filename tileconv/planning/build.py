"""From a checked spec and what is known of the image to the plan; pure, but for the machine's memory and processors."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tileconv.boxes import TileGrid
from tileconv.engines.values import Dtype
from tileconv.errors import PlanError
from tileconv.images import DECODED_CACHE_BYTES, ImageInfo
from tileconv.planning.layout import lay_out
from tileconv.planning.memory import BASE_BYTES, Bytes, available_bytes, kernel_bytes, peak_bytes, tile_bytes, total
from tileconv.planning.model import Missing, Pass, Plan
from tileconv.planning.tiles import DECODE_NS, READ_NS, Tiling, candidates, tiling
from tileconv.spec.model import PipelineSpec, RunSpec

OVERLAP_TASKS, TASK_NS = 11.5, 4e5
"""Dask tasks per tile of ``map_overlap`` (measured at tile 2048), and what a task costs the scheduler."""
NEAR = 1.1
"""How much more than the cheapest tile a smaller one may cost; it takes less memory, and less is lost with it."""
MIB = 2**20


def make_plan(spec: PipelineSpec, source: ImageInfo, *, cache_bytes: int = 0) -> Plan:
    """Return the plan of *spec* on an image that is known by *source* alone.

    Parameters
    ----------
    cache_bytes
        What the source keeps decoded in one process.

    Raises
    ------
    PlanError
        If the job cannot be done as asked: axes that are not there, missing pixels without a rule, a tile or a memory
        limit that does not fit, an engine that may not be used.
    """
    needed = dict.fromkeys("".join(["yx", *(stage.over for stage in spec.stages)]))
    if not set(needed) <= set(source.axes):
        raise PlanError(
            f"the image has axes {', '.join(source.axes)}, and the stages act on {', '.join(needed)}",
            where=spec.input.path,
            fix="Set input.axes to the names of the file's axes, or the stage's over to axes that are there.",
        )
    passes = lay_out(
        spec.stages,
        source,
        missing=_missing(spec, source),
        precision=spec.precision,
        dtype=spec.output.dtype,
        chunks=spec.output.chunks,
        overflow=spec.output.overflow,
    )
    workers, why_workers = _workers(spec.run)
    limit, why_limit = _limit(spec.run)
    tiled = []
    for number, work in enumerate(passes):
        kept = DECODED_CACHE_BYTES if number else cache_bytes
        budget = Budget(limit, workers, spec.run.executor, BASE_BYTES + kept + kernel_bytes(work.stages))
        tiled.append(_tiled(work, spec.run, budget))
    return Plan(spec, source, tuple(tiled), workers, why_workers, limit, why_limit)


@dataclass(frozen=True)
class Budget:
    """The memory that a run may take, and what takes it beside tiles."""

    limit: int
    workers: int
    executor: str
    process_bytes: int

    def peak(self, parts: tuple[Bytes, ...]) -> int:
        """Return the whole run's peak when a tile takes *parts*."""
        return peak_bytes(self.process_bytes, total(parts), self.workers, self.executor)


def _tiled(work: Pass, run: RunSpec, budget: Budget) -> Pass:
    """Return *work* with the tile that is cheapest of those that fit, or the one asked for."""
    options = [tiling(work.stages, work.source, work.image, t) for t in candidates(work)]
    memory = {t: _memory(work, t, _method(work, t, run)[0], budget.workers) for t in options}
    fitting = [t for t in options if budget.peak(memory[t]) <= budget.limit]
    if run.tile is not None:
        tile = tiling(work.stages, work.source, work.image, _asked(run.tile, options[0].tile, work.info))
        why = "run.tile"
        memory[tile] = _memory(work, tile, _method(work, tile, run)[0], budget.workers)
        if budget.peak(memory[tile]) > budget.limit:
            raise _too_large(budget, memory[tile], [t.tile for t in fitting], work.info)
    elif fitting:
        least = min(_balanced(t, budget.workers) for t in fitting)
        near = [t for t in fitting if _balanced(t, budget.workers) <= NEAR * least]
        tile = min(near, key=lambda t: total(memory[t]))
        why = (
            f"of {len(fitting)} sizes that fit, the smallest near the least cost, {tile.ns_per_pixel:.1f} ns per pixel"
        )
    else:
        raise _too_large(budget, min(memory.values(), key=total), [], work.info)
    method, why_method = _method(work, tile, run)
    return replace(
        work,
        grid=TileGrid(work.image, tile.tile),
        strip=tile.strip,
        why_tile=why,
        method=method,
        why_method=why_method,
        memory=memory[tile],
        process_bytes=budget.process_bytes,
        read_amplification=tile.read_amplification,
        ns_per_pixel=tile.ns_per_pixel,
    )


def _memory(work: Pass, tile: Tiling, method: str, workers: int) -> tuple[Bytes, ...]:
    decoded = _bytes(work.source, work.source.dtype) if work.source.compressed else 0
    encoded = _bytes(work.info, work.info.dtype)
    types = work.source.dtype, work.block.dtype, work.info.dtype
    parts = tile_bytes(work.stages, tile.sizes, *types, decoded, encoded)
    if method != "overlap":
        return parts
    row = 3 * work.image.shape[-1] * tile.tile[-2] * tile.sizes.lead * work.source.dtype.itemsize
    return (*parts, Bytes("three rows of tiles that overlap", row // workers))


def _bytes(info: ImageInfo, dtype: Dtype) -> int:
    """Return the bytes of one stored chunk."""
    return math.prod(info.chunks) * dtype.itemsize


def _balanced(tile: Tiling, workers: int) -> float:
    """Return the time per pixel with the workers that wait for the last tiles counted in."""
    waves = -(-tile.tiles // workers)
    return tile.ns_per_pixel * waves * workers / tile.tiles


def _asked(asked: Mapping[str, int], default: tuple[int, ...], info: ImageInfo) -> tuple[int, ...]:
    tile = tuple(min(asked.get(a, d), n) for a, d, n in zip(info.axes, default, info.shape, strict=True))
    for axis, size, chunk, whole in zip(info.axes, tile, info.chunks, info.shape, strict=True):
        if size % chunk and size < whole:
            raise PlanError(
                f"run.tile of {size} pixels along {axis} is not a whole number of chunks of {chunk}",
                why="two tiles would write one chunk",
                fix=f"Use {-(-size // chunk) * chunk}, or set output.chunks to {size}.",
            )
    return tile


def _too_large(budget: Budget, parts: tuple[Bytes, ...], fitting: list[tuple[int, ...]], info: ImageInfo) -> PlanError:
    alone = budget.peak(())
    fix = f"Allow more memory: without any tile the run takes {alone / MIB:,.0f} MiB."
    if alone < budget.limit:
        fix = "Allow more memory, use fewer workers, or make output.chunks smaller."
    if fitting:
        sides = ", ".join(f"{a}: {n}" for a, n in zip(info.axes, max(fitting, key=math.prod), strict=True))
        fix = f"The largest tile that fits is {sides}."
    asked, allowed = budget.peak(parts) / MIB, budget.limit / MIB
    tile, process = total(parts) / MIB, budget.process_bytes / MIB
    return PlanError(
        f"the run would take {asked:,.0f} MiB, and may take {allowed:,.0f} MiB",
        why=f"each of {budget.workers} workers takes {tile:,.1f} MiB for a tile, and a process {process:,.0f} MiB",
        fix=fix,
    )


def _method(work: Pass, tile: Tiling, run: RunSpec) -> tuple[str, str]:
    """Return how halos are had, and why: reading them twice, or exchanging them between Dask's chunks.

    The exchange goes row by row of tiles, so that a chunk is read for its own row and for both beside it.
    """
    if run.halo_method != "auto":
        return run.halo_method, "run.halo_method"
    read = READ_NS + (DECODE_NS if work.source.compressed else 0.0)
    rows = -(-work.image.shape[-2] // tile.tile[-2])
    windows = read * tile.read_amplification
    overlap = read * min(rows, 3) + OVERLAP_TASKS * TASK_NS / math.prod(tile.tile)
    reason = f"reading halos twice costs {windows:.2f} ns per pixel, exchanging them {overlap:.2f} ns"
    return ("windows" if windows <= overlap else "overlap"), reason


def _missing(spec: PipelineSpec, source: ImageInfo) -> Missing | None:
    nodata = spec.input.nodata if spec.input.nodata is not None else source.nodata
    if nodata is not None and spec.missing is None:
        raise PlanError(
            f"pixels of value {nodata:g} are missing ones, and the spec does not say what becomes of them",
            where=spec.input.path,
            why="a kernel would mix them with real pixels",
            fix="Add missing: {rule: propagate}, {rule: fill, value: 0} or {rule: error}.",
        )
    return Missing.of(spec.missing, nodata)


def _workers(run: RunSpec) -> tuple[int, str]:
    if run.workers is not None:
        return run.workers, "run.workers"
    return usable_processors(), "processors that this process may use"


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _limit(run: RunSpec) -> tuple[int, str]:
    if run.memory is not None:
        return run.memory, "run.memory"
    return available_bytes(), "a share of the memory that is free"
