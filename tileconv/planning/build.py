"""From a checked spec, what is known of the image and what is known of the machine to the plan; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tileconv.errors import PlanError
from tileconv.images import ImageInfo, as_text, holds
from tileconv.planning.budget import budget_of, retiled, tiled
from tileconv.planning.chunks import storage_of
from tileconv.planning.layout import lay_out
from tileconv.planning.machine import Allowance, Machine
from tileconv.planning.model import Missing, Plan
from tileconv.spec.model import PipelineSpec, RunSpec


def make_plan(spec: PipelineSpec, source: ImageInfo, machine: Machine, *, cache_bytes: int = 0) -> Plan:
    """Return the plan of *spec* on an image that is known by *source* alone, to be carried out on *machine*.

    Parameters
    ----------
    cache_bytes
        What the source keeps decoded in one process whatever is planned.

    Raises
    ------
    PlanError
        If what is asked for cannot be done: axes that are not there, missing pixels without a rule, a tile or a memory
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
        machine.costs,
        missing=_missing(spec, source),
        precision=spec.precision,
        dtype=spec.output.dtype,
        chunks=spec.output.chunks,
        shards=spec.output.shards,
        overflow=spec.output.overflow,
    )
    passes[-1] = replace(passes[-1], storage=storage_of(passes[-1].info, spec.output))
    workers, why_workers = _workers(spec.run, machine)
    limit = _limit(spec.run, workers, machine)
    whole = (cache_bytes, *(0 for _ in passes[1:]))
    budgets = [budget_of(pass_, limit, workers, spec.run, held) for pass_, held in zip(passes, whole, strict=True)]
    tiles = tuple(tiled(pass_, spec.run, budget) for pass_, budget in zip(passes, budgets, strict=True))
    return Plan(spec, source, tiles, workers, why_workers, limit.count, limit.why)


def with_tiles(plan: Plan, tiles: Sequence[tuple[int, ...]], *, cache_bytes: int) -> Plan:
    """Return *plan* with other *tiles*, one for each pass, as a run that was begun with them is resumed.

    Raises
    ------
    PlanError
        If they do not fit in the memory of the plan.
    """
    limit, passes = Allowance(plan.memory_limit, plan.memory_why), list(plan.passes)
    for number, (pass_, tile) in enumerate(zip(plan.passes, tiles, strict=True)):
        if tile != pass_.grid.tile:
            budget = budget_of(pass_, limit, plan.workers, plan.spec.run, 0 if number else cache_bytes)
            passes[number] = retiled(pass_, plan.spec, budget, tile)
    return replace(plan, passes=tuple(passes))


def _missing(spec: PipelineSpec, source: ImageInfo) -> Missing | None:
    """Return what becomes of missing pixels; PlanError where the file marks some and the spec does not say."""
    said = spec.input.nodata
    if source.masks and said is None:
        raise PlanError(
            f"{' and '.join(source.masks)} says which pixels are missing, and is not read",
            where=spec.input.path,
            why="a kernel would mix them with real pixels",
            fix="Write the image with a nodata value in their place, or say input.nodata: none to take every pixel.",
        )
    nodata = None if said == "none" else source.nodata if said is None else said
    if nodata is not None and not holds(source.dtype, nodata):
        raise PlanError(
            f"no pixel of {source.dtype} can have the value {as_text(nodata)}",
            where="input.nodata",
            fix="Give a value that pixels can have, or none.",
        )
    if nodata is not None and spec.missing is None:
        raise PlanError(
            f"pixels of value {as_text(nodata)} are missing ones, and the spec does not say what becomes of them",
            where=spec.input.path,
            why="a kernel would mix them with real pixels",
            fix="Add missing: {rule: propagate}, {rule: fill, value: 0} or {rule: error}; or say input.nodata: none.",
        )
    return Missing.of(spec.missing, nodata)


def _workers(run: RunSpec, machine: Machine) -> tuple[int, str]:
    if run.workers is not None:
        return run.workers, "run.workers"
    return machine.processors.count, machine.processors.why


def _limit(run: RunSpec, workers: int, machine: Machine) -> Allowance:
    threads, memory = workers if run.executor == "threads" else 1, machine.memory
    return memory.available(threads) if run.memory is None else memory.at_most(run.memory, "run.memory", threads)
