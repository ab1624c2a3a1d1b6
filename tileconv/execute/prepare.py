"""A pipeline made ready: its input opened, and planned on this machine."""

from __future__ import annotations

from tileconv.engines.cost import user_costs
from tileconv.execute.places import source_of
from tileconv.planning.build import make_plan
from tileconv.planning.machine import this_machine
from tileconv.planning.model import Plan
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec


def planned(spec: PipelineSpec) -> tuple[Plan, Source]:
    """Return the plan of a pipeline on this machine, and its source opened.

    Decodes one part of the input at most, to see that it can be.
    """
    source = source_of(spec)
    return make_plan(spec, source.info, this_machine(user_costs()), cache_bytes=source.cache_bytes), source
