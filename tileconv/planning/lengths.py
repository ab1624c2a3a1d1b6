"""Lengths in the pixels of an image: what the stages of a pipeline mean on it, and how large its pixels are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tileconv.boxes import SPACE
from tileconv.errors import KernelError, PlanError
from tileconv.images import ImageInfo
from tileconv.operations.steps import steps_of
from tileconv.spec.graph import in_order
from tileconv.spec.lengths import length_of, parse_length, resolved
from tileconv.spec.model import INPUT, PipelineSpec, StageSpec
from tileconv.spec.operators import make_operation

if TYPE_CHECKING:
    from fractions import Fraction

DIGITS = 12
"""Significant digits of a number of pixels: the noise of a pixel size that is a quotient lies below."""
EARTH = "degree"
"""The unit of a georeference that is no length."""


def scaled(source: ImageInfo, scale: Mapping[str, str] | None) -> ImageInfo:
    """Return *source* with pixels of the sizes *scale* along its axes; what lies at a pixel lies there still.

    Raises
    ------
    PlanError
        If it has no such axis.
    """
    from tileconv.units import unit_of

    if not scale:
        return source
    if absent := set(scale) - set(source.axes):
        fix = f"Name some of {', '.join(source.axes)}."
        raise PlanError(f"the image has no axis {', '.join(sorted(absent))}", where="input.scale", fix=fix)
    told = {axis: (source.scale[at], source.units[at], source.origin[at]) for at, axis in enumerate(source.axes)}
    for axis, text in scale.items():
        number, unit = parse_length(text)
        factor, name = unit_of(unit) or (1.0, "")
        before, _, origin = told[axis]
        size = float(number) * factor
        told[axis] = size, name, origin / before * size
    sizes, units, origins = zip(*told.values(), strict=True)
    return replace(source, scale=sizes, units=units, origin=origins)


def in_pixels(spec: PipelineSpec, source: ImageInfo) -> PipelineSpec:
    """Return *spec* with operations in pixels of *source* in the stages that have lengths with a unit.

    Raises
    ------
    PlanError
        If the size of a pixel is not known, or the pixels make no kernel; it tells where in the file.
    """
    stages = [*spec.stages]
    for number, parameters in _resolved(spec, source):
        stage = stages[number]
        try:
            operation = make_operation(stage.op, parameters, stage.over)
        except KernelError as error:
            where = ", ".join(stage.places.values())
            raise PlanError(error.problem, where=where, why=error.why, fix=error.fix) from error
        stages[number] = replace(stage, operation=operation)
    return replace(spec, stages=tuple(stages))


def meant(spec: PipelineSpec, source: ImageInfo) -> dict[str, dict[str, Any]]:
    """Return the pixels that lengths with a unit are on *source*, by stage and parameter."""
    stages = ((number, spec.stages[number], parameters) for number, parameters in _resolved(spec, source))
    return {
        stage.name_at(number): {name: parameters[name] for name in stage.places} for number, stage, parameters in stages
    }


def _resolved(spec: PipelineSpec, source: ImageInfo) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbers of stages that have lengths with a unit, and their parameters in pixels of what they read."""
    if not any(stage.places for stage in spec.stages):
        return
    steps: dict[int, tuple[int, ...]] = {INPUT: (1, 1, 1)}
    for number in in_order([stage.inputs for stage in spec.stages])[0]:
        stage = spec.stages[number]
        before = steps[stage.inputs[0]]
        if stage.places:
            yield number, _parameters(stage, source, dict(zip(SPACE, before, strict=True)))
        stride = steps_of(stage.operation)[0].operation.stride
        steps[number] = tuple(a * b for a, b in zip(before, stride, strict=True))


def _parameters(stage: StageSpec, source: ImageInfo, step: Mapping[str, int]) -> dict[str, Any]:
    """Return the parameters of *stage* in pixels that are *step* times as long as those of *source*."""
    where = ", ".join(stage.places.values())

    def pixels(text: str, axis: str) -> float:
        size = pixel_size(source, axis)
        if size is None:
            raise _unknown(text, axis, source, stage.over, where)
        return px_of(text, size * step[axis])

    try:
        return resolved(stage.op, stage.parameters, stage.over, pixels)
    except KernelError as error:
        raise PlanError(error.problem, where=where, why=error.why, fix=error.fix) from error


def px_of(text: str, size: Fraction) -> float:
    """Return how many pixels, each *size* metres long, a length is."""
    return float(f"{float(length_of(text) / size):.{DIGITS}g}")


def pixel_size(source: ImageInfo, axis: str) -> Fraction | None:
    """Return how long a pixel of *source* is along *axis*, in metres; None where nobody knows.

    As the shortest decimal number says it that is the float of the file.
    """
    from fractions import Fraction

    from tileconv.units import metres

    at = source.axes.index(axis)
    size, unit = source.scale[at], metres(source.units[at])
    if unit is None:
        size, unit = source.georeference.pixel.get(axis, 0.0), metres(source.georeference.unit)
    return Fraction(repr(float(size))) * unit if size and unit else None


def _unknown(text: str, axis: str, source: ImageInfo, over: str, where: str) -> PlanError:
    sizes = ", ".join(f"{a}: ... {parse_length(text)[1]}" for a in over)
    on_earth = source.georeference.unit == EARTH
    return PlanError(
        f"{text} is no number of pixels along {axis}: the image does not say how long a pixel is",
        where=where,
        why="it is measured in degrees, which are no lengths: shorter along x the farther from the equator"
        if on_earth
        else "",
        fix=f"Say it with input.scale: {{{sizes}}}, or write pixels, as 3 px.",
    )
