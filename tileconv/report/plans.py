"""What the plans of many images come to, and what is wrong with some, line by line as they are made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from tileconv.errors import TileconvError
from tileconv.execute.images import Images
from tileconv.execute.plans import Planned, Sum, told_of
from tileconv.planning.model import Plan
from tileconv.shown import duration_text, size_text, tiles_text
from tileconv.sinks.files import free_bytes

LEFT_OUT = "a result of this pipeline that the pattern matches is no input"


def plan_lines(images: Images, plans: Iterable[Planned], sums: Sum) -> Iterator[str]:
    """Yield a line for each image that would be refused, and at the end what *plans* come to; *sums* is filled."""
    plan = None
    for name, made in sums.of(plans):
        if isinstance(made, TileconvError):
            yield f"refused  {_about(name, made)}"
        else:
            plan = made
    if images.left_out:
        yield f"         {len(images.left_out):,} x {LEFT_OUT}: {images.left_out[0]}"
    fine = ", all of which can be read, and their outputs written" * (plan is None)
    yield f"images   {sums.images:,}" + (f", {sums.refused:,} of them would be refused" if sums.refused else fine)
    if plan:
        yield from _sum_lines(plan, sums)


def _sum_lines(plan: Plan, sums: Sum) -> Iterator[str]:
    """Yield what the plans of a batch come to, of which *plan* is one."""
    yield f"         {sums.pixels:,} pixels, {tiles_text(sums.tiles)}"
    name, pixels = sums.largest
    yield f"largest  {name}: {pixels:,} pixels"
    name, seconds = sums.longest
    yield f"longest  {name}: about {duration_text(seconds)}"
    free = free_bytes(plan.spec.output.path)
    short = " - not enough if nothing compresses" if free < sums.written_bytes else ""
    yield f"disk     {size_text(sums.written_bytes)} before compression, {size_text(free)} free{short}"
    yield f"time     about {duration_text(sums.seconds)}, and on the first run some seconds more for compiling"
    yield f"workers  {plan.workers} {plan.spec.run.executor} ({plan.why_workers}), shared by all images"
    yield f"memory   {size_text(sums.peak_bytes)} at most for the tiles in flight, of all images ({plan.memory_why})"


def plan_json(images: Images, plans: Iterable[Planned], sums: Sum) -> Iterator[str]:
    """Yield a line of JSON for each image, with ``refused`` where it would be, and a last one of what all come to."""
    for name, made in sums.of(plans):
        told = told_of(made) if isinstance(made, Plan) else {"refused": str(made)}
        yield json.dumps({"image": name} | told)
    yield json.dumps({"batch": sums.as_json() | {"left_out": [*images.left_out]}})


def _about(name: str, error: TileconvError) -> str:
    """Return an error with the image that it is of."""
    text = str(error)
    return text if name in text else f"{name}: {text}"
