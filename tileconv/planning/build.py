"""From a checked spec, what is known of the image and what is known of the machine to the plan; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tileconv.errors import PlanError
from tileconv.images import ImageInfo, as_text, holds
from tileconv.planning.budget import base_bytes, budget_of, retiled, tiled
from tileconv.planning.colour import coloured
from tileconv.planning.layout import lay_out
from tileconv.planning.lengths import in_pixels, scaled
from tileconv.planning.machine import Allowance, Machine
from tileconv.planning.model import Plan
from tileconv.planning.parts import Missing, Pass
from tileconv.spec.model import INPUT, MissingSpec, PipelineSpec

RULES = "missing: {rule: propagate}, {rule: renormalize}, {rule: fill, value: 0} or {rule: error}"
"""What may become of missing pixels, for messages."""


def make_plan(spec: PipelineSpec, source: ImageInfo, machine: Machine, *, cache_bytes: int = 0) -> Plan:
    """Return the plan of *spec* on an image that is known by *source* alone, to be carried out on *machine*.

    Parameters
    ----------
    cache_bytes
        What the source keeps decoded in one process whatever is planned.

    Raises
    ------
    PlanError
        If the job cannot be done as asked: axes that are not there, missing pixels without a rule, a tile or a memory
        limit that does not fit, an engine that may not be used.
    """
    source = scaled(source, spec.input.scale)
    needed = dict.fromkeys("".join(["yx", *(stage.over for stage in spec.stages)]).replace("c", ""))
    if not set(needed) <= set(source.axes):
        raise PlanError(
            f"the image has axes {', '.join(source.axes)}, and the stages act on {', '.join(needed)}",
            where=str(spec.input.path),
            fix="Set input.axes to the names of the file's axes, or the stage's over to axes that are there.",
        )
    spec = in_pixels(spec, source)
    missing = _missing(spec, source)
    all_ = coloured(spec, source)
    graph, passes = lay_out(
        all_.stages,
        all_.outputs,
        source,
        machine.costs,
        missing=missing,
        precision=spec.precision,
        region=spec.input.region,
    )
    workers, why_workers = _workers(spec, machine)
    limit = _limit(spec, workers, machine)
    base = base_bytes(spec, passes)
    budgets = [budget_of(pass_, limit, workers, spec.run, cache_bytes, base) for pass_ in passes]
    tiles = tuple(tiled(pass_, spec.run, budget) for pass_, budget in zip(passes, budgets, strict=True))
    plan = Plan(spec, source, graph, tiles, workers, why_workers, limit.count, limit.why, machine.workers)
    for output in range(len(spec.outputs)):
        plan.file_memory(output)  # refuses now what would be refused after the work
    return plan


def with_tile(plan: Plan, pass_: Pass, tile: tuple[int, ...], *, cache_bytes: int) -> Pass:
    """Return *pass_*, a part of *plan*, with another *tile*, as a run that was begun with it is resumed.

    Raises
    ------
    PlanError
        If it does not fit in the memory of the plan.
    """
    limit = Allowance(plan.memory_limit, plan.memory_why)
    budget = budget_of(pass_, limit, plan.workers, plan.spec.run, cache_bytes, base_bytes(plan.spec, plan.passes))
    return retiled(pass_, plan.spec, budget, tile)


def _missing(spec: PipelineSpec, source: ImageInfo) -> Missing | None:
    """Return what becomes of missing pixels; PlanError where the file marks some and the spec does not say."""
    said = spec.input.nodata
    if source.masks and said is None and spec.input.mask is None:
        raise PlanError(
            f"{' and '.join(source.masks)} says which pixels are missing, and is not read",
            where=str(spec.input.path),
            why="a kernel would mix them with real pixels",
            fix="Give a mask with input.mask: {path: ...}, or say input.nodata: none to take every pixel.",
        )
    nodata = None if said == "none" else source.nodata if said is None else said
    if nodata is not None and not holds(source.dtype, nodata):
        raise PlanError(
            f"no pixel of {source.dtype} can have the value {as_text(nodata)}",
            where="input.nodata",
            fix="Give a value that pixels can have, or none.",
        )
    own = [stage.missing is not None for stage in spec.stages if INPUT in stage.inputs]
    said_by_all = all(own) and bool(own) and all(output.stage != INPUT for output in spec.outputs)
    if nodata is not None and spec.missing is None and not said_by_all:
        raise PlanError(
            f"pixels of value {as_text(nodata)} are missing ones, and the spec does not say what becomes of them",
            where=str(spec.input.path),
            why="a kernel would mix them with real pixels",
            fix=f"Add {RULES}; or say input.nodata: none.",
        )
    if source.mask is not None and spec.missing is None and not said_by_all:
        raise PlanError(
            "pixels are missing by a mask, and the spec does not say what becomes of them",
            where=source.mask.where,
            why="a kernel would mix them with real pixels",
            fix=f"Add {RULES}; or say input.mask: none.",
        )
    return Missing.of(MissingSpec("propagate") if any(own) and spec.missing is None else spec.missing, nodata)


def _workers(spec: PipelineSpec, machine: Machine) -> tuple[int, str]:
    if spec.run.workers is not None:
        return spec.run.workers, "run.workers"
    if job := _job(spec):
        return job["cores"], f"cores of a job of {spec.run.executor}"
    return machine.processors.count, machine.processors.why


def _limit(spec: PipelineSpec, workers: int, machine: Machine) -> Allowance:
    """Return the memory of the process that makes the tiles: of a job, or of this machine."""
    run, memory = spec.run, machine.memory
    if run.memory is None and (job := _job(spec)):
        return Allowance(job["memory"], f"memory of a job of {run.executor}", "Raise the memory of its jobs")
    threads = workers if run.executor == "threads" else 1
    return memory.available(threads) if run.memory is None else memory.at_most(run.memory, "run.memory", threads)


def _job(spec: PipelineSpec) -> Mapping[str, Any]:
    """Return the words of the jobs that make the tiles; nothing where none do."""
    return spec.cluster if spec.cluster and "kind" in spec.cluster else {}
