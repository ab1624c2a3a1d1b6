"""Stages that are several steps, replaced by these: what is planned is one operation after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from tileconv.errors import PlanError
from tileconv.operations.steps import OWN, steps_of
from tileconv.spec.model import INPUT, OutputSpec, PipelineSpec, StageSpec

SAME = "it is made in steps, which put pixels of one place together"


def expanded(
    stages: Sequence[StageSpec], outputs: Sequence[OutputSpec]
) -> tuple[Sequence[StageSpec], Sequence[OutputSpec]]:
    """Return *stages* with the steps of each in its place, and *outputs* that store the same results.

    A step has the name of its stage and its own behind it, the last one that of the stage alone; both sequences are
    returned as they are where there is none of several steps.

    Raises
    ------
    PlanError
        If one of several steps has another extent than ``same``: its steps have one box.
    """
    lengths = [len(steps_of(stage.operation)) for stage in stages]
    if sum(lengths) == len(stages):
        return stages, outputs
    ends = {INPUT: INPUT} | {number: end - 1 for number, end in enumerate(accumulate(lengths))}
    made: list[StageSpec] = []
    for number, stage in enumerate(stages):
        first, (read, *others) = len(made), (ends[i] for i in stage.inputs)
        steps, name = steps_of(stage.operation), stage.name_at(number)
        if len(steps) > 1 and stage.extent != "same":
            fix = "Remove extent."
            raise PlanError(f"{stage.op} has the extent same alone", where=f"stage {name}", why=SAME, fix=fix)
        for step in steps:
            inputs = tuple(read if i == OWN else first + i for i in step.inputs) or (read, *others)
            full = name if step is steps[-1] else f"{name}, {step.name}"
            made.append(replace(stage, id=full, operation=step.operation, inputs=inputs))
    return made, [replace(output, stage=ends[output.stage]) for output in outputs]


def in_steps(spec: PipelineSpec) -> PipelineSpec:
    """Return *spec* with the steps of its stages in their places."""
    stages, outputs = expanded(spec.stages, spec.outputs)
    return replace(spec, stages=tuple(stages), outputs=tuple(outputs))
