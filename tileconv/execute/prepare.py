"""A pipeline made ready: its input opened, and planned on this machine."""

from __future__ import annotations

from dataclasses import replace

from tileconv.engines.cost import user_costs
from tileconv.execute.places import source_of
from tileconv.planning.build import make_plan
from tileconv.planning.machine import Machine, this_machine
from tileconv.planning.model import Plan
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec


def planned(spec: PipelineSpec, machine: Machine | None = None, *, ask: bool = False) -> tuple[Plan, Source]:
    """Return the plan of a pipeline on *machine*, by default this one, and its source opened.

    Decodes one part of the input at most, to see that it can be. With *ask* a scheduler is asked for its workers, which
    decide nothing.
    """
    source, machine = source_of(spec), machine or this_machine(user_costs())
    if ask and "://" in spec.run.executor:
        from tileconv.execute.connect import workers_at

        machine = replace(machine, workers=workers_at(spec.run.executor))
    return make_plan(spec, source.info, machine, cache_bytes=source.cache_bytes), source
