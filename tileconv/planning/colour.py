"""Colours beside alpha, and in linear light: what is made of them before the stages of a pipeline, and after.

input    premultiplied    blur    straight, hidden    output        a mean: colours weighted by alpha
input                   sharpen           hidden      output        of other stages alpha goes past the colours
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tileconv.engines.borders import Border
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.operations.colour import Decode, Encode, Hide, Premultiply, Straighten
from tileconv.operations.operation import Operation
from tileconv.operations.steps import steps_of
from tileconv.quick import dataclass
from tileconv.spec.graph import in_order
from tileconv.spec.model import IMAGE, INPUT, OutputSpec, PipelineSpec, StageSpec


class Form(NamedTuple):
    """What the numbers of colours are: light or sRGB, times alpha or not, and up to which alpha they are 0."""

    light: bool = False
    multiplied: bool = False
    hidden: float = -1.0

    def __str__(self) -> str:
        words = ["in light"] * self.light + ["premultiplied" if self.multiplied else "straight"]
        return " ".join(words + ["hidden"] * (self.hidden >= 0))


Key = tuple[int, Form]
"""The result of a stage, or the input, in one form."""


def coloured(spec: PipelineSpec, source: ImageInfo) -> PipelineSpec:
    """Return *spec* with the stages that alpha and linear light of *source* ask for; as it is where there are none.

    Raises
    ------
    PlanError
        If alpha cannot go past a stage, or what lies around the image has none.
    """
    asked = spec.input
    weighted = bool(source.alpha) and asked.alpha != "filter"
    if not spec.stages or not (weighted or asked.linear):
        return spec
    if source.dtype.kind not in "uf":
        fix = "Remove input.linear, or say input.alpha: filter."
        raise PlanError(f"colours are unsigned numbers or floats, found {source.dtype}", where="input", fix=fix)
    return _Colours(spec, source).spec()


def alpha_text(spec: PipelineSpec, source: ImageInfo) -> str:
    """Return what becomes of alpha, in words; empty where there is none."""
    if not source.alpha:
        return ""
    if spec.input.alpha == "filter":
        return "filtered like a colour"
    if spec.input.alpha == "keep":
        return "kept as it is beside colours that are filtered without it"
    means = [s.name_at(n) for n, s in enumerate(spec.stages) if _averages(s)]
    others = [s.name_at(n) for n, s in enumerate(spec.stages) if not _averages(s)]
    told = [f"weighs the colours in {', '.join(means)}"] * bool(means)
    return " and ".join([*told, *[f"goes past {', '.join(others)}"] * bool(others)])


def _averages(stage: StageSpec) -> bool:
    return len(steps_of(stage.operation)) == 1 and steps_of(stage.operation)[0].operation.averages


def _makes_channels(stage: StageSpec) -> bool:
    return any(step.operation.makes_channels for step in steps_of(stage.operation))


@dataclass(frozen=True)
class _State:
    """In which form a result is, and whether it has alpha still."""

    form: Form
    alpha: bool


class _Colours:
    """Puts the stages of *spec* on an image like *source* between others that change the form of colours."""

    def __init__(self, spec: PipelineSpec, source: ImageInfo) -> None:
        self.given, self.source = spec, source
        self.light, self.mode = bool(spec.input.linear), spec.input.alpha or "premultiply"
        self.stored = Form(multiplied=source.alpha == "associated")
        self.peak = float(np.iinfo(source.dtype).max) if source.dtype.kind == "u" else 1.0
        self.states = {INPUT: _State(self.stored, bool(source.alpha))}
        self.wants: dict[int, Form] = {}
        for number in in_order([stage.inputs for stage in spec.stages])[0]:
            before = self.states[spec.stages[number].inputs[0]]
            self.wants[number] = form = self._wanted(number, before)
            alpha = before.alpha and not _makes_channels(spec.stages[number])
            self.states[number] = _State(form._replace(multiplied=form.multiplied and alpha), alpha)
        self.stages: list[StageSpec] = []
        self.read: list[list[Key]] = []
        self.places: dict[Key, int] = {}

    def spec(self) -> PipelineSpec:
        """Return the pipeline with all stages, each after what it is made of."""
        asked: dict[int, set[Form]] = {number: set() for number in (INPUT, *range(len(self.given.stages)))}
        ends = [self._shown(output) for output in self.given.outputs]
        for number, stage in enumerate(self.given.stages):
            for i in stage.inputs:
                asked[i].add(self.wants[number])
        for output, form in zip(self.given.outputs, ends, strict=True):
            asked[output.stage].add(form)
        for number, forms in asked.items():
            if number != INPUT:
                self._own(number)
            for form in sorted(forms):
                self._converted(number, form)
        stages = [
            replace(stage, inputs=tuple(self._place(key) for key in keys))
            for stage, keys in zip(self.stages, self.read, strict=True)
        ]
        outputs = [
            replace(output, stage=self._place((output.stage, form)))
            for output, form in zip(self.given.outputs, ends, strict=True)
        ]
        return replace(self.given, stages=tuple(stages), outputs=tuple(outputs))

    def _wanted(self, number: int, before: _State) -> Form:
        """Return the form in which a stage takes colours."""
        stage = self.given.stages[number]
        free = not before.alpha or self.mode != "premultiply" or _makes_channels(stage)
        plain = free or stage.channels is not None
        multiplied = before.alpha and self.stored.multiplied if plain else _averages(stage)
        if multiplied and not plain:
            self._check_border(number)
        return Form(self.light, multiplied)

    def _shown(self, output: OutputSpec) -> Form:
        """Return the form in which a result is stored."""
        state = self.states[output.stage]
        if output.stage == INPUT or not state.alpha or self.mode != "premultiply" or self.stored.multiplied:
            return Form(multiplied=state.alpha and self.stored.multiplied)
        kind = self.source.dtype.name if output.dtype == "input" else output.dtype
        return Form(hidden=0.0 if kind == "auto" or "float" in kind else 0.5)

    def _own(self, number: int) -> None:
        """Add the stage *number* of the pipeline, past which alpha goes where it is not filtered."""
        stage = self.given.stages[number]
        before = self.states[stage.inputs[0]]
        past = before.alpha and not _makes_channels(stage) and stage.channels is None and self.mode != "filter"
        if past and not (self.mode == "premultiply" and _averages(stage)):
            self._check_size(number)
            stage = replace(stage, channels=self._colours)
        keys = [(i, self.wants[number]) for i in stage.inputs]
        self._add((number, self.states[number].form), replace(stage, id=stage.name_at(number)), keys)

    def _converted(self, number: int, form: Form) -> None:
        """Add the stages that change the result of stage *number*, or the input, to *form*."""
        state = self.states[number]
        key = (number, state.form)
        for now, operation in self._steps(state.form, form):
            if (number, now) not in self.places:
                name = f"{IMAGE if number == INPUT else self.given.stages[number].name_at(number)}, {now}"
                channels = self._colours if state.alpha and not operation.mixes_channels else None
                stage = StageSpec(op=str(now), operation=operation, id=name, channels=channels)
                self._add((number, now), stage, [key])
            key = (number, now)

    def _steps(self, before: Form, form: Form) -> Iterator[tuple[Form, Operation]]:
        """Yield the forms on the way from *before* to *form*, each with the operation that makes it."""
        unit = self.peak if self.stored.multiplied else 1.0
        most = self.peak if self.source.dtype.kind == "u" else math.inf
        now = before
        if now.multiplied and (now.light != form.light or not form.multiplied):
            now = now._replace(multiplied=False)
            yield now, Straighten(unit, most)
        if now.light != form.light:
            now = now._replace(light=form.light)
            yield now, Decode(self.peak) if form.light else Encode(self.peak)
        if form.multiplied and not now.multiplied:
            now = now._replace(multiplied=True)
            yield now, Premultiply(unit)
        if form.hidden > now.hidden:
            yield form, Hide(form.hidden)

    @property
    def _colours(self) -> tuple[int, ...]:
        """The numbers of the channels that are colours."""
        return tuple(range(len(self.source.channel_names) - 1))

    def _add(self, key: Key, stage: StageSpec, read: list[Key]) -> None:
        self.places[key] = len(self.stages)
        self.stages.append(stage)
        self.read.append(read)

    def _place(self, key: Key) -> int:
        return INPUT if key == (INPUT, self.states[INPUT].form) else self.places[key]

    def _check_border(self, number: int) -> None:
        stage = self.given.stages[number]
        if any(border.rule == "constant" and border != Border("constant", 0.0) for border in stage.border.values()):
            problem = "a constant border has no alpha, and colours around the image cannot be weighted by it"
            fix = "Write the value 0, which is transparent, another rule, or input.alpha: filter."
            raise PlanError(problem, where=f"stage {stage.name_at(number)}", fix=fix)

    def _check_size(self, number: int) -> None:
        stage = self.given.stages[number]
        stride = max(max(step.operation.stride) for step in steps_of(stage.operation))
        if stage.extent != "same" or stride > 1:
            problem = "alpha goes past it, and it makes an image of another size"
            fix = "Remove its extent, or say input.alpha: filter."
            raise PlanError(problem, where=f"stage {stage.name_at(number)}", fix=fix)
