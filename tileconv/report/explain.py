"""A plan in words: what will happen, what it needs, and why it was decided so."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tileconv.boxes import SPACE, TileGrid
from tileconv.engines.choose import Choice
from tileconv.images import ImageInfo, as_text
from tileconv.planning.colour import alpha_text
from tileconv.planning.files import FileMemory
from tileconv.planning.lengths import meant
from tileconv.planning.model import Plan
from tileconv.planning.parts import Pass, Write
from tileconv.planning.pyramid import tiles_of_levels
from tileconv.planning.stages import Stage
from tileconv.record.folder import RunFolder
from tileconv.record.todo import between_passes
from tileconv.report.readers import shut_out
from tileconv.shown import duration_text, size_text, tiles_text
from tileconv.sinks.files import free_bytes
from tileconv.spec.clusters import Jobs
from tileconv.spec.model import IMAGE, INPUT, OutputSpec
from tileconv.spec.part import part_text
from tileconv.spec.words import EXECUTORS
from tileconv.storage import file_kind


def explain(plan: Plan) -> RenderableType:
    """Return *plan* as text and tables for a terminal."""
    return Group(*_lines(plan))


def _lines(plan: Plan) -> Iterator[RenderableType]:
    yield from map(Text, _input(plan))
    if told := alpha_text(plan.spec, plan.source):
        yield Text(f"alpha    {told}")
    for number, output in enumerate(plan.spec.outputs):
        write = plan.write_of(number)
        yield Text(f"output   {output.path}" + f", {output.label}" * bool(output.label))
        yield Text(f"         {image_text(write.info)}")
        yield from (Text(f"         {told}") for told in place_text(write.info))
        writing = plan.file_memory(number)
        yield Text(f"files    {file_text(output, writing) if writing else files_text(write)}")
        for readers in () if writing else shut_out(write.storage):
            yield Text(f"         not for {readers}")
        if write.levels:
            yield Text(f"levels   {levels_text(write, plan.passes[plan.made_by(write.array)[0]].grid)}")
    yield from map(Text, _graph(plan))
    yield from map(Text, _lengths(plan))
    yield Text(_room(plan))
    yield Text(f"time     {_time(plan)}")
    yield Text(f"workers  {plan.workers} {plan.spec.run.executor} ({plan.why_workers})")
    if plan.spec.cluster or plan.elsewhere:
        yield Text(f"cluster  {_cluster(plan)}")
    yield Text(
        f"memory   {size_text(plan.peak_bytes)} predicted peak, "
        f"{size_text(plan.memory_limit)} allowed ({plan.memory_why})"
    )
    for number, pass_ in enumerate(plan.passes):
        yield Text(f"\npass {number + 1} of {len(plan.passes)}: {pass_.why}", style="bold")
        yield _stages(pass_)
        yield from (Text(f"missing  {stage.name}: {missing_text(stage)}") for stage in pass_.stages if stage.missing)
        yield from (Text(f"channels {stage.name}: {_acting(stage)}") for stage in pass_.stages if stage.channels)
        yield from map(Text, _pass(plan, pass_))


def _room(plan: Plan) -> str:
    """Return what a run takes of the disk, or of the object store, and what is free there."""
    between = sum(plan.made_by(array)[1].info.nbytes for array in range(plan.between))
    written = sum(plan.write_of(number).info.nbytes for number in range(len(plan.spec.outputs)))
    needed = f"{size_text(written)} before compression"
    names = [between_passes(plan.spec.output.path, array).name for array in range(plan.between)]
    for number, folder in enumerate(RunFolder(output.path) for output in plan.spec.outputs):
        if folder.kind:
            between, names = between + plan.write_of(number).info.nbytes, [*names, folder.stored.name]
    if names:
        needed += f" and {size_text(between)} beside it while it runs ({', '.join(names)})"
    if plan.spec.output.path.scheme:
        return f"store    {needed}"
    free = free_bytes(plan.spec.output.path)
    short = " - not enough if nothing compresses" if free < written + between else ""
    return f"disk     {needed}, {size_text(free)} free{short}"


def _input(plan: Plan) -> Iterator[str]:
    """Yield what is read, and which part of it."""
    yield f"input    {plan.spec.input.path}"
    yield f"         {image_text(plan.source)}"
    if plan.spec.input.region:
        yield f"region   {part_text(plan.spec.input.region)} of the whole result"
    if plan.source.mask:
        yield f"mask     {plan.source.mask}"
    yield from (f"         {note}" for note in plan.source.notes)


def _graph(plan: Plan) -> Iterator[str]:
    """Yield who reads whom, a line for each stage and output; nothing of a chain."""
    stages = plan.spec.stages
    names = {INPUT: IMAGE} | {number: stage.name_at(number) for number, stage in enumerate(stages)}
    lines = [(names[number], [names[i] for i in stage.inputs]) for number, stage in enumerate(stages)]
    lines += [(f"output {output.label}".strip(), [names[output.stage]]) for output in plan.spec.outputs]
    if len(plan.spec.outputs) == 1 and all(stage.inputs == (n - 1,) for n, stage in enumerate(stages)):
        return
    width = max(len(name) for name, _ in lines)
    for number, (name, read) in enumerate(lines):
        yield f"{'' if number else 'graph':8} {name:{width}}  from {', '.join(read)}"


def _lengths(plan: Plan) -> Iterator[str]:
    """Yield what lengths with a unit are in pixels of the image, a line for each stage that has some."""
    stages = {stage.name_at(number): stage for number, stage in enumerate(plan.spec.stages)}
    for stage, lengths in meant(plan.spec, plan.source).items():
        for name, pixels in lengths.items():
            yield f"lengths  {stage}: {name} {_plain(stages[stage].parameters[name])} is {_plain(pixels)} px"


def _plain(value: Any) -> str:
    """Return the value of a parameter as it stands in a pipeline file, without braces."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return as_text(value) if isinstance(value, float) else str(value)


def _time(plan: Plan) -> str:
    """Return the estimate; nobody knows here how many threads a cluster has."""
    if plan.spec.run.executor in EXECUTORS:
        return f"about {duration_text(plan.seconds)}, and on the first run some seconds more for compiling"
    return f"about {duration_text(replace(plan, workers=1).seconds)} of one thread's time on the cluster"


def _cluster(plan: Plan) -> str:
    """Return who makes the tiles: workers of a scheduler that runs, or what is started for the run."""
    if there := plan.elsewhere:
        if there.why:
            return f"{plan.spec.run.executor}: not known, {there.why}"
        memory = f", {size_text(there.memory)} in all" * bool(there.memory)
        return f"{plan.spec.run.executor}: workers {there.count:,}, threads {there.threads:,}{memory}"
    words = dict(plan.spec.cluster or {})
    if "class" in words:
        return f"{words['class']}, started for the run"
    bounds = words.get("adaptive")
    count = f"{bounds['minimum']:,} to {bounds['maximum']:,}" if bounds else f"{words.get('jobs', 1):,}"
    queue = f" in queue {words['queue']}" * ("queue" in words)
    size = f"{words['cores']} cores and {size_text(words['memory'])}"
    return f"{words['kind']}, jobs {count} of {size}, {words.get('walltime', Jobs.walltime)} each{queue}"


def _pass(plan: Plan, pass_: Pass) -> Iterator[str]:
    tile = " ".join(f"{a}={n}" for a, n in zip(pass_.image.axes, pass_.grid.tile, strict=True))
    yield f"tile     {tile}, {tiles_text(len(pass_.grid))}: {pass_.why_tile}"
    if pass_.folds:
        yield f"parts    {pass_.folds}={pass_.part}: read and put together one after another"
    yield f"halos    by {pass_.method}: {pass_.why_method}"
    read = pass_.read_amplification * sum(read.source.nbytes for read in pass_.reads)
    times = f"{pass_.read_amplification:.3f} times the input"
    written = size_text(sum(write.info.nbytes for write in pass_.writes))
    yield f"reads    {size_text(read)}, {times}; writes {written}" + f" in {len(pass_.writes)} arrays" * (
        len(pass_.writes) > 1
    )
    parts = ", ".join(f"{part.name} {size_text(part.count)}" for part in pass_.memory if part.count)
    yield f"a tile   {size_text(pass_.tile_bytes)}: {parts}"
    at_once = min(plan.workers, len(pass_.grid))
    yield f"a run    {size_text(pass_.process_bytes)} per process + {at_once} x {size_text(pass_.tile_bytes)}"


def _stages(pass_: Pass) -> Table:
    table = Table("stage", "halo", "border", "engines, ns per pixel", "error", "gives", box=None, pad_edge=False)
    for stage in pass_.stages:
        table.add_row(
            stage.name, _halo(stage), _border(stage), _engines(stage), _error(stage), str(stage.values_out.dtype)
        )
    return table


def _acting(stage: Stage) -> str:
    """Return on which channels a stage acts that passes others on."""
    acting = [f"{n} {stage.channels_in[n]}".strip() for n in stage.channels or ()]
    return f"acts on {', '.join(acting)} of {stage.volumes_in}, and passes the others on unchanged"


def _halo(stage: Stage) -> str:
    sides = zip(SPACE, stage.halo.before, stage.halo.after, strict=True)
    return " ".join(f"{a} {b}" if b == c else f"{a} {b}+{c}" for a, b, c in sides if b or c) or "-"


def _border(stage: Stage) -> str:
    reached = [b + c > 0 for b, c in zip(stage.halo.before, stage.halo.after, strict=True)]
    rules = {a: str(b) for a, b, r in zip(SPACE, stage.borders, reached, strict=True) if r}
    if len(set(rules.values())) <= 1:
        return next(iter(rules.values()), "-")
    return " ".join(f"{a} {rule}" for a, rule in rules.items())


def _engines(stage: Stage) -> str:
    alike: dict[tuple[str, ...], list[Choice]] = {}
    for choice in stage.choices:
        names = sorted(f"{c.engine} {c.refused}" for c in choice.candidates)
        alike.setdefault((choice.engine, choice.why, choice.sums.why, *names), []).append(choice)
    how = stage.operation.engine(stage.made) or "each from its neighbourhood"
    own = f"{stage.ns_per_pixel:.1f}, {how}" if stage.reaches else "no kernel"
    return "\n".join(map(_choices, alike.values())) or own


def _choices(choices: Sequence[Choice]) -> str:
    """Return why kernels are summed by one engine, which is that of each of *choices*."""
    one, costs = choices[0], defaultdict[str, set[float]](set)
    for candidate in (candidate for choice in choices for candidate in choice.candidates):
        costs[candidate.engine].add(candidate.ns_per_pixel)
    words = {name: " to ".join(f"{ns:.1f}" for ns in sorted({min(some), max(some)})) for name, some in costs.items()}
    others = [f"{c.engine} {c.refused or words[c.engine]}" for c in one.candidates if c.engine != one.engine]
    kernels = f"{len(choices)} kernels by " * (max(map(len, costs.values())) > 1)
    return f"{kernels}{one.engine} {words[one.engine]}, {one.why} ({'; '.join(others)}); {one.sums.why}"


def _error(stage: Stage) -> str:
    if stage.error_bound == 0:
        return "exact"
    unit = f" x {stage.error_unit}" if stage.error_unit else ""
    return f"at most {stage.error_bound:.1e}{unit}, expected {stage.expected_error:.1e}{unit}"


def missing_text(stage: Stage) -> str:
    """Return what a stage with a rule of its own does about missing pixels."""
    rule = stage.missing
    if rule is None or not rule.renormalizes:
        return "refused" if rule is None or rule.value is None else f"filled with {as_text(rule.value)}"
    engines = ", ".join(
        f"{c.choice.engine}, {c.choice.chosen.ns_per_pixel:.1f} ns per pixel" for c in dict.fromkeys(stage.coverage)
    )
    kept = "stays missing" if rule.keep else "is filled"
    return (
        f"left out of sums that have {rule.min_coverage:g} of their weight on others, else NaN; "
        f"a missing pixel {kept}; their weight by {engines}, where there are any"
    )


def image_text(info: ImageInfo) -> str:
    """Return shape, type, size, chunks and what means missing in one line."""
    chunks = " x ".join(map(str, info.chunks))
    nodata = "" if info.nodata is None else f", {as_text(info.nodata)} means missing"
    return f"{info}, {size_text(info.nbytes)}, chunks {chunks}{', compressed' * info.compressed}{nodata}"


def place_text(info: ImageInfo) -> Iterator[str]:
    """Yield how large a pixel is, and where the first one lies: in the middle of it, as readers of OME-Zarr have it."""
    rows = list(zip(info.axes, info.scale, info.origin, info.units, strict=True))
    told = [(a, f"{size:g}", f"{at:g}", unit) for a, size, at, unit in rows if unit or (size, at) != (1.0, 0.0)]
    if told:
        sizes = ", ".join(f"{a} {size} {unit}".strip() for a, size, _, unit in told)
        first = ", ".join(f"{a} {at}" for a, _, at, _ in told)
        yield f"pixels of {sizes}; the first at {first}"
    if info.georeference.transform:
        _, _, x, _, _, y = info.georeference.transform
        yield f"its corner at x {x:.12g}, y {y:.12g} {info.georeference.unit}".strip()


def levels_text(write: Write, grid: TileGrid) -> str:
    """Return how large the levels above the full size are, and of what each is made."""
    said = []
    for level, tiles in zip(write.levels, tiles_of_levels(write.levels, grid), strict=True):
        made = "with the full size" if tiles.within else f"{tiles_text(len(tiles.grid))} of what is stored below"
        said.append(f"{' x '.join(map(str, level.info.shape))} {made}")
    return f"by {write.levels[0].shrink.method}: {', '.join(said)}"


def file_text(output: OutputSpec, writing: FileMemory) -> str:
    """Return how an output that is one file is written."""
    kind, codec = file_kind(output.path.name), f", tiles by {output.codec}" if output.codec.name != "none" else ""
    by = f"by {writing.threads} thread{'s' * (writing.threads != 1)} in {size_text(writing.peak_bytes)}"
    return f"one {kind}{codec}, written {by}; a store is made beside it first, and goes when the file is whole"


def files_text(write: Write) -> str:
    """Return how an array is stored: how many files of which size, codec, checksum and format."""
    storage, unit = write.storage, " x ".join(map(str, write.unit))
    count = len(TileGrid(write.info.box, write.unit))
    held = size_text(math.prod(write.unit) * write.info.dtype.itemsize)
    what = f"shards of {unit}" if storage.shards else "one chunk each"
    checksum = "no checksum" if storage.checksum == "none" else storage.checksum
    return f"{count:,} of {held} before compression, {what}; {storage.codec}, {checksum}, OME-Zarr {storage.format}"
