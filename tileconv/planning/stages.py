"""Spec stages to stages of a plan: domains, pixel types, engines and bounds decided, in spatial axes (z, y, x)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from tileconv.boxes import SPACE, Box, Halo
from tileconv.engines.borders import Border
from tileconv.engines.choose import Choice, choose, in_space, shared_ns, together
from tileconv.engines.cost import Costs
from tileconv.engines.coverage import Coverage
from tileconv.engines.values import Precision, Values, beside, block_dtype
from tileconv.errors import PlanError
from tileconv.operations.operation import Operation
from tileconv.operations.steps import steps_of
from tileconv.planning.channels import agreed, passing_on
from tileconv.planning.grids import SAME_EXTENT, SAME_STRIDE, SAME_TIMES, USUAL, Grid, same_of_all, windows
from tileconv.quick import dataclass
from tileconv.spec.graph import in_order
from tileconv.spec.model import INPUT, MissingSpec, StageSpec

NO_HALO = Halo.same(0, axes=3)
WHOLE_PX = 2**22
"""The largest output that one transform may make: it is held whole by every worker."""
OUTGROWN = "sums in float64, because float32 does not hold their range"
PROPAGATE = MissingSpec("propagate")
"""The rule that is followed where none is: NaN makes NaN."""
UNTOUCHED = Border("wrap")
"""The rule along an axis on which a stage has no halo: positions stay as they are, also those of a repetition."""


@dataclass(frozen=True)
class Stage:
    """One step of a pass: what it does, on which pixels, in which types, by which engines.

    Attributes
    ----------
    inputs
        What the stage reads: stages by their positions, and -1, -2, ... for the first, second, ... array that is read.
    borders
        One rule per axis (z, y, x) for the pixels outside ``domain_in``.
    domain_in, domain_out
        The images before, which are one box, and after, in the coordinates of the run: ``full`` starts below zero and
        ``valid`` above.
    values_in, padded
        What the pixels of each input are like, and with a fill value and those of a constant border among them, in
        whose type the block is held.
    missing
        What becomes of missing pixels, where that is more than NaN, and there may be any.
    coverage
        Of each kernel that of its weights, where missing pixels are left out.
    channels_in, channels_out, times
        Names of the channels before and after, as ``ImageInfo.channel_names``; how many time points there are after.
    channels, values_made
        Those that it acts on where it passes others on, and what it makes of them; ``values_out`` is of all then.
    stride, first
        Output ``n`` is made from the pixel ``n * stride + first`` of its input on, axes (z, y, x).
    grid
        Where its pixels lie among those of the run's input.
    """

    name: str
    operation: Operation
    inputs: tuple[int, ...]
    borders: tuple[Border, ...]
    extent: str
    domain_in: Box
    domain_out: Box
    choices: tuple[Choice, ...]
    values_in: tuple[Values, ...]
    padded: tuple[Values, ...]
    values_out: Values
    missing: MissingSpec | None = None
    coverage: tuple[Coverage, ...] = ()
    channels_in: tuple[str, ...] = ()
    channels_out: tuple[str, ...] = ()
    stride: tuple[int, ...] = (1, 1, 1)
    first: tuple[int, ...] = (0, 0, 0)
    grid: Grid = USUAL
    channels: tuple[int, ...] | None = None
    values_made: Values | None = None
    times: int = 1

    @property
    def made(self) -> Values:
        """What the pixels of the channels that it acts on are like."""
        return self.values_made or self.values_out

    def passes(self, channel: int) -> bool:
        """Return whether the channel of that number passes it unchanged."""
        return self.channels is not None and channel not in self.channels

    @property
    def volumes_in(self) -> int:
        """How many channels there are before it; an image without that axis is one."""
        return max(1, len(self.channels_in))

    @property
    def volumes_out(self) -> int:
        """How many channels there are after it."""
        return max(1, len(self.channels_out))

    @property
    def every_choice(self) -> tuple[Choice, ...]:
        """How all sums are made, those of coverage among them."""
        return (*self.choices, *(c.choice for c in self.coverage))

    @cached_property
    def block_side(self) -> int:
        """How many of its pixels are made at once along y and x beside what the engines of kernels do."""
        return self.operation.block_side(self.made)

    @property
    def whole_blocks(self) -> bool:
        """Whether a tile needs blocks whole that it touches."""
        return self.block_side > 1 or any(c.by.whole_blocks for c in self.every_choice)

    @property
    def coarser(self) -> bool:
        """Whether several of its pixels lie further apart than those that it reads."""
        return any(s > 1 and n > 1 for s, n in zip(self.stride, self.domain_out.shape, strict=True))

    @cached_property
    def halo(self) -> Halo:
        """Pixels needed around an output pixel, before the FFT's blocks are counted."""
        return _halo(self.operation)

    @cached_property
    def reaches(self) -> bool:
        """Whether its input is extended by the border: all but those that take pixel by pixel."""
        return self.operation.halo is not None

    @property
    def ns_per_pixel(self) -> float:
        """Cost of an output pixel of a channel before it, on average: kernels and formula, where pixels are missing."""
        own = self.operation.ns_per_pixel(self.padded[0])
        sums = shared_ns(self.choices) if self.operation.gathers else sum(c.chosen.ns_per_pixel for c in self.choices)
        acting = 1.0 if self.channels is None else len(self.channels) / self.volumes_in
        return 0.5 + acting * (own + sums + sum(c.choice.chosen.ns_per_pixel for c in self.coverage))

    @property
    def error_bound(self) -> float:
        """Most by which an output pixel differs from exact arithmetic on this stage's input.

        Where nothing bounds the input (floating-point images) it is given for a largest absolute pixel of 1, and
        grows as ``error_unit`` says.
        """
        return self.operation.error_bound(self.padded, self.choices, self.made)

    @property
    def error_unit(self) -> str:
        """What both errors are multiplied by, in words; empty where the pixels have a known largest value."""
        return self.operation.error_unit(self.padded)

    @property
    def expected_error(self) -> float:
        """Root mean square of the errors to expect of output pixels, in the unit of ``error_bound``; no promise.

        The bound itself where its squares leave float64.
        """
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                expected = self.operation.expected_error(self.padded, self.choices, self.made)
        except OverflowError:
            expected = math.inf
        return expected if 0 < expected < math.inf else self.error_bound


def make_stages(
    specs: Sequence[StageSpec],
    domain: Box,
    values: Values,
    precision: Precision,
    costs: Costs,
    channels: tuple[str, ...] = (),
    times: int = 1,
) -> tuple[Stage, ...]:
    """Return the stages of a graph on image *domain* (axes z, y, x) with pixels *values*: each after what it reads.

    *channels* are those of the image, by name, and *times* its time points. Engines are chosen by *costs*.

    Raises
    ------
    PlanError
        If ``valid`` leaves no pixel, an axis is missing, an engine asked for cannot be used, the inputs of a stage are
        not one box, or their channels not as many, or one that it is to act on is not there.
    """
    made: dict[int, Stage] = {}
    places = {INPUT: INPUT}
    for number in in_order([spec.inputs for spec in specs])[0]:
        spec = specs[number]
        name = spec.name_at(number)
        sources = [made.get(i) for i in spec.inputs]
        try:
            names = ["the input" if s is None else s.name for s in sources]
            grids = [USUAL if s is None else s.grid for s in sources]
            boxes = [domain if s is None else s.domain_out for s in sources]
            grid = same_of_all(names, grids, "", SAME_STRIDE)
            before = same_of_all(names, boxes, "the pixels ", SAME_EXTENT)
            frames = same_of_all(names, [times if s is None else s.times for s in sources], "time points ", SAME_TIMES)
            pixels = tuple(values if s is None else s.values_out for s in sources)
            given = agreed([("the input", channels) if s is None else (s.name, s.channels_out) for s in sources])
            operation = steps_of(spec.operation)[0].operation.on(before, max(1, len(given)), frames)
            spec = replace(spec, operation=operation)
            made_of = operation.channels_out(given)
            stage = replace(_stage(spec, name, (before, grid), pixels, precision, costs), channels_in=given)
            stage = passing_on(stage, spec.channels, given)
        except PlanError as error:
            raise PlanError(error.problem, where=f"stage {name}", why=error.why, fix=error.fix) from error
        inputs, left = tuple(places[i] for i in spec.inputs), 1 if operation.folds == "t" else frames
        made[number] = replace(stage, inputs=inputs, channels_out=made_of, times=left)
        places[number] = len(places) - 1
    return tuple(made.values())


def _stage(
    spec: StageSpec, name: str, place: tuple[Box, Grid], values: tuple[Values, ...], precision: Precision, costs: Costs
) -> Stage:
    operation = steps_of(spec.operation)[0].operation
    kernels, halo = operation.kernels, _halo(operation)
    rule = spec.missing if any(v.nan for v in values) and spec.missing != PROPAGATE else None
    borders = _borders(spec, operation, halo)
    domain, at = place[0], windows(operation, *place, halo, spec.extent)
    exact = precision == "auto" and operation.keeps_whole
    zeros_around = _zeros_around(operation, borders, domain, at.out)

    def decided(precision: Precision) -> tuple[tuple[Values, ...], tuple[Choice, ...], Values]:
        filled = (v if rule is None else _without(v, rule, precision, exact=exact) for v in values)
        padded = tuple(_padded(v, borders, precision, exact=exact) for v in filled)
        choices = tuple(choose(k, padded[0], precision, spec.engine, at.out, costs, zeros_around) for k in kernels)
        if operation.gathers:
            choices = together(choices, spec.engine)
        return padded, choices, operation.outcome(padded, choices, precision)

    padded, choices, values_out = decided(precision)
    if operation.outgrows_float32(padded, choices, values_out):
        padded, choices, values_out = decided("float64")
        choices = tuple(replace(c, sums=replace(c.sums, why=OUTGROWN)) for c in choices)
    least = None if rule is None else rule.min_coverage
    coverage = tuple(Coverage.of(k, least, at.out, costs, zeros_around) for k in kernels if least is not None)
    choices = tuple(map(Coverage.widened, coverage, choices)) or choices
    return Stage(
        name,
        operation,
        spec.inputs,
        borders,
        spec.extent,
        domain,
        at.out,
        choices,
        values,
        padded,
        values_out,
        rule,
        coverage,
        stride=at.stride,
        first=at.first,
        grid=at.grid,
    )


def _zeros_around(operation: Operation, borders: Sequence[Border], domain: Box, out: Box) -> Box | None:
    """Return *domain* where there are only zeros outside it and one transform may make all of *out*."""
    zeros = all(b == Border("constant", 0.0) for b in borders if b is not UNTOUCHED)
    return domain if zeros and out.size <= WHOLE_PX and not operation.reads_pixels else None


def _borders(spec: StageSpec, operation: Operation, halo: Halo) -> tuple[Border, ...]:
    """Return the rule of each of (z, y, x) for the pixels outside the image."""
    if operation.padding is not None:
        return (operation.padding_border,) * len(SPACE)
    reached = zip(SPACE, halo.before, halo.after, strict=True)
    return tuple(spec.border.get(a, Border()) if before + after else UNTOUCHED for a, before, after in reached)


def _without(values: Values, rule: MissingSpec, precision: Precision, *, exact: bool) -> Values:
    """Return *values* once *rule* is followed; *exact* as ``beside`` takes it."""
    if rule.renormalizes:
        return values
    if rule.value is not None and not values.hold(rule.value):
        values = beside(values, rule.value, working=block_dtype(values.dtype, precision), exact=exact)
    return replace(values, nan=False)


def _padded(values: Values, borders: Sequence[Border], precision: Precision, *, exact: bool) -> Values:
    """Return *values* in a type that holds the constants of *borders* too; *exact* as ``beside`` takes it."""
    for border in borders:
        if border.rule == "constant" and not values.hold(border.value):
            values = beside(values, border.value, working=block_dtype(values.dtype, precision), exact=exact)
    return values


def _halo(operation: Operation) -> Halo:
    own = operation.halo
    return NO_HALO if own is None else in_space(own)
