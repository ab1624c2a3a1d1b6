"""How much memory images take that are open at once, and whose tiles one pool makes."""

from __future__ import annotations

from collections.abc import Sequence

from tileconv.planning.budget import base_bytes
from tileconv.planning.memory import peak_bytes
from tileconv.planning.model import Plan


def together_bytes(plans: Sequence[Plan]) -> int:
    """Return the predicted peak of runs of *plans* that share workers: at most the sum of theirs, and often far less.

    What a process holds in any case it holds once, and a worker has a tile of one image at a time; what an image keeps
    beside tiles (kernels, what is decoded whole, chunks that wait for other tiles) counts for each.
    """
    own = sum(max(p.process_bytes for p in plan.passes) - base_bytes(plan.spec, plan.passes) for plan in plans)
    base = max(base_bytes(plan.spec, plan.passes) for plan in plans)
    tiles = [(max(p.tile_bytes for p in one.passes), max(len(p.grid) for p in one.passes)) for one in plans]
    first = plans[0]
    return peak_bytes(base + own, tiles, first.workers, first.spec.run.executor)
