"""From a checked spec and what is known of the image to the plan; pure, but for the machine's memory and processors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tileconv.boxes import Box, TileGrid
from tileconv.engines.values import Dtype, Precision, Values, held, working_dtype
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.memory import BASE_BYTES, Bytes, available_bytes, peak_bytes, spectra_bytes, tile_bytes, total
from tileconv.planning.model import Missing, Pass, Plan, output_dtype
from tileconv.planning.passes import split
from tileconv.planning.stages import SPACE, Stage, make_stages
from tileconv.planning.tiles import READ_NS, Tiling, candidates, tiling
from tileconv.spec.model import PipelineSpec, RunSpec

OVERLAP_TASKS, TASK_NS = 11.5, 4e5
"""Dask tasks per tile of ``map_overlap`` (measured at tile 2048), and what a task costs the scheduler."""
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
    missing = _missing(spec, source)
    block = block_values(source.dtype, missing, spec.precision)
    domain = _domain(spec, source)
    stages = make_stages(spec.stages, domain, block, spec.precision)
    workers, why_workers = _workers(spec.run)
    limit, why_limit = _limit(spec.run)
    passes: list[Pass] = []
    groups = split(stages)
    for number, (group, why) in enumerate(groups):
        last = number == len(groups) - 1
        values = group[-1].values_out if group else block
        dtype = output_dtype(spec.output.dtype, source.dtype, values, computed=bool(stages)) if last else values.dtype
        before = passes[-1].info if passes else source
        made = _Making(spec.run, workers, limit, BASE_BYTES + cache_bytes + spectra_bytes(group))
        entry = made.one_pass(
            group,
            why,
            before,
            group[0].domain_in if group else domain,
            output_info(before, group, dtype, spec.output.chunks),
            block if not passes else group[0].values_in,
            missing if not passes else None,
            spec.output.overflow,
        )
        passes.append(entry)
    return Plan(spec, source, tuple(passes), workers, why_workers, limit, why_limit)


def block_values(dtype: Dtype, missing: Missing | None, precision: Precision) -> Values:
    """Return what the pixels of a block are like once missing ones are dealt with as the spec says."""
    values = Values.of(dtype)
    if missing is None or missing.rule == "error" or (values.whole and missing.nodata is None):
        return values
    work = working_dtype(dtype, precision)
    if missing.rule == "propagate":
        return Values(work, whole=False, low=values.low, high=values.high) if values.whole else values
    value = missing.value or 0.0
    more = values.including(value)
    fits = values.low <= value <= values.high and (more.whole or not values.whole)
    return values if fits else held(more.low, more.high, whole=more.whole, work=work)


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


def _domain(spec: PipelineSpec, source: ImageInfo) -> Box:
    """Return the image's box in axes (z, y, x), those that it lacks one pixel long."""
    needed = dict.fromkeys("".join(["yx", *(stage.over for stage in spec.stages)]))
    lacking = [a for a in needed if a not in source.axes]
    if lacking:
        raise PlanError(
            f"the image has axes {source.axes}, and the stages act on {', '.join(needed)}",
            where=spec.input.path,
            fix="Set input.axes to the names of the file's axes, or the stage's over to axes that are there.",
        )
    return Box.of_shape([source.shape[source.axes.index(a)] if a in source.axes else 1 for a in SPACE])


def output_info(source: ImageInfo, stages: Sequence[Stage], dtype: Dtype, chunks: Mapping[str, int]) -> ImageInfo:
    """Return what a pass of *stages* writes: the source's axes and pixel size with its own shape, type and chunks."""
    shape = list(source.shape)
    for axis, name in enumerate(SPACE):
        if stages and name in source.axes:
            shape[source.axes.index(name)] = stages[-1].domain_out.shape[axis]
    sizes = tuple(min(chunks.get(a, 1), n) for a, n in zip(source.axes, shape, strict=True))
    return replace(source, shape=tuple(shape), dtype=dtype, chunks=sizes, nodata=None, compressed=False, notes=())


def _workers(run: RunSpec) -> tuple[int, str]:
    if run.workers is not None:
        return run.workers, "as asked"
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable, "processors that this process may use"


def _limit(run: RunSpec) -> tuple[int, str]:
    if run.memory is not None:
        return run.memory, "run.memory"
    return available_bytes(), "a share of the memory that is free"


class _Making:
    """What every pass of one plan is weighed with."""

    def __init__(self, run: RunSpec, workers: int, limit: int, process_bytes: int) -> None:
        self.run, self.workers, self.limit, self.process_bytes = run, workers, limit, process_bytes

    def one_pass(
        self,
        stages: tuple[Stage, ...],
        why: str,
        source: ImageInfo,
        domain: Box,
        info: ImageInfo,
        block: Values,
        missing: Missing | None,
        overflow: str,
    ) -> Pass:
        """Return the pass with the tile that is cheapest of those that fit."""
        image = image_box(info, stages)

        def memory(tile: Tiling) -> tuple[Bytes, ...]:
            decoded = _bytes(source.chunks, source.dtype) if source.compressed else 0
            encoded = _bytes(info.chunks, info.dtype)
            parts = tile_bytes(stages, tile.sizes, source.dtype, block.dtype, info.dtype, decoded, encoded)
            if self.run.halo_method != "overlap":
                return parts
            row = 3 * image.shape[-1] * tile.tile[-2] * tile.sizes.lead * source.dtype.itemsize // self.workers
            return (*parts, Bytes("three rows of tiles that overlap", row))

        def peak(tile: Tiling) -> int:
            return peak_bytes(self.process_bytes, total(memory(tile)), self.workers, self.run.executor)

        options = [tiling(stages, source, image, t) for t in candidates(stages, source, image, info.chunks)]
        fitting = [t for t in options if peak(t) <= self.limit]
        if self.run.tile is not None:
            tile, why_tile = self._asked(self.run.tile, stages, source, image, info), "run.tile"
            if peak(tile) > self.limit:
                raise self._too_large(peak(tile), fitting, info)
        elif fitting:
            tile = min(fitting, key=lambda t: (self._balanced(t), t.tile))
            why_tile = f"cheapest of {len(fitting)} sizes that fit, at {tile.ns_per_pixel:.1f} ns per pixel"
        else:
            smallest = min(options, key=peak)
            raise self._too_large(peak(smallest), [], info)
        method, why_method = self._method(tile)
        return Pass(
            stages=stages,
            why=why,
            source=source,
            domain=domain,
            info=info,
            image=image,
            block=block,
            grid=TileGrid(image, tile.tile),
            strip=tile.strip,
            why_tile=why_tile,
            method=method,
            why_method=why_method,
            missing=missing,
            overflow=overflow,
            memory=memory(tile),
            process_bytes=self.process_bytes,
            read_amplification=tile.read_amplification,
            ns_per_pixel=tile.ns_per_pixel,
        )

    def _balanced(self, tile: Tiling) -> float:
        """Return the time per pixel with the workers that wait for the last tiles counted in."""
        waves = -(-tile.tiles // self.workers)
        return tile.ns_per_pixel * waves * self.workers / tile.tiles

    def _asked(
        self, asked: Mapping[str, int], stages: Sequence[Stage], source: ImageInfo, image: Box, info: ImageInfo
    ) -> Tiling:
        default = candidates(stages, source, image, info.chunks)[0]
        tile = [min(asked.get(a, d), n) for a, d, n in zip(image.axes, default, image.shape, strict=True)]
        for axis, size, chunk, whole in zip(image.axes, tile, info.chunks, image.shape, strict=True):
            if size % chunk and size < whole:
                raise PlanError(
                    f"run.tile of {size} pixels along {axis} is not a whole number of chunks of {chunk}",
                    why="two tiles would write one chunk",
                    fix=f"Use {-(-size // chunk) * chunk}, or set output.chunks to {size}.",
                )
        return tiling(stages, source, image, tile)

    def _too_large(self, peak: int, fitting: Sequence[Tiling], info: ImageInfo) -> PlanError:
        largest = max((t.tile for t in fitting), default=None)
        fix = (
            f"The largest tile that fits is {', '.join(f'{a}: {n}' for a, n in zip(info.axes, largest, strict=True))}."
            if largest
            else "Allow more memory, use fewer workers, or make output.chunks smaller."
        )
        return PlanError(f"the run would take {peak / MIB:,.0f} MiB, and may take {self.limit / MIB:,.0f} MiB", fix=fix)

    def _method(self, tile: Tiling) -> tuple[str, str]:
        if self.run.halo_method != "auto":
            return self.run.halo_method, "run.halo_method"
        windows = READ_NS * tile.read_amplification
        overlap = READ_NS + OVERLAP_TASKS * TASK_NS / _pixels(tile.tile)
        reason = f"reading halos twice costs {windows:.2f} ns per pixel, exchanging them {overlap:.2f} ns"
        return ("windows" if windows <= overlap else "overlap"), reason


def image_box(info: ImageInfo, stages: Sequence[Stage]) -> Box:
    """Return the output's box in the coordinates of the run: the last stage's along z, y and x."""
    start = [0] * len(info.shape)
    for axis, name in enumerate(SPACE):
        if stages and name in info.axes:
            start[info.axes.index(name)] = stages[-1].domain_out.start[axis]
    return Box(tuple(start), tuple(a + n for a, n in zip(start, info.shape, strict=True)), info.axes)


def _bytes(chunk: Sequence[int], dtype: Dtype) -> int:
    return _pixels(chunk) * dtype.itemsize


def _pixels(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
