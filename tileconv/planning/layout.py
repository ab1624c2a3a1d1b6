"""Stages to passes over one image: shapes, coordinates and pixel types, with tiles still to choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tileconv.boxes import SPACE, Box, TileGrid, space, with_space
from tileconv.engines.cost import Costs
from tileconv.engines.values import EXACT, FLOAT32, FLOAT64, Dtype, Precision, Values, beside, block_dtype
from tileconv.errors import PlanError
from tileconv.images import ImageInfo, as_text, exact_number, holds
from tileconv.operations.steps import steps_of
from tileconv.planning.channels import with_channels, with_times
from tileconv.planning.chunks import CHUNK, LAYER_CHUNK, chunks_of, storage_of
from tileconv.planning.crop import Region, check_region, cut, needed_parts
from tileconv.planning.grids import USUAL
from tileconv.planning.parts import Missing, Pass, Read, Write
from tileconv.planning.passes import renumbered, split, within
from tileconv.planning.pyramid import levels_of
from tileconv.planning.stages import Stage, make_stages
from tileconv.planning.steps import expanded
from tileconv.quick import dataclass
from tileconv.spec.graph import in_order
from tileconv.spec.model import INPUT, OutputSpec, StageSpec


def lay_out(
    specs: Sequence[StageSpec],
    outputs: Sequence[OutputSpec],
    source: ImageInfo,
    costs: Costs,
    *,
    missing: Missing | None,
    precision: Precision,
    region: Region | None = None,
) -> tuple[tuple[Stage, ...], list[Pass]]:
    """Return the stages as in *specs*, and the passes that make *outputs* of an image like *source*, each as one tile.

    Engines are chosen by *costs*. Of a *region* that part of the outputs is made; it names axes of the image.

    Raises
    ------
    PlanError
        As ``make_stages`` says, and if an output's type cannot hold what the pipeline makes.
    """
    specs, outputs = expanded(specs, outputs)
    domain = Box.of_shape([source.shape[source.axes.index(a)] if a in source.axes else 1 for a in SPACE])
    exact = precision == "auto" and all(
        step.operation.keeps_whole for spec in specs for step in steps_of(spec.operation)
    )
    block = block_values(source, missing, precision, exact=exact)
    frames = dict(zip(source.axes, source.shape, strict=True)).get("t", 1)
    stages = make_stages(specs, domain, block, precision, costs, source.channel_names, frames)
    filled = missing is not None and missing.rule == "fill"
    if filled and block.dtype == FLOAT32 and any(stage.values_out.dtype == FLOAT64 for stage in stages):
        block = block_values(source, missing, "float64", exact=exact)  # not as float32 rounds the fill value
        stages = make_stages(specs, domain, block, precision, costs, source.channel_names, frames)
    image = Read(source, domain, block, missing=missing, exact=exact)
    places = {number: at for at, number in enumerate(in_order([spec.inputs for spec in specs])[0])}
    graph = tuple(replace(stages[places[number]], inputs=spec.inputs) for number, spec in enumerate(specs))
    ends = [places.get(output.stage, INPUT) for output in outputs]
    check_region(region or {}, domain, stages)
    return graph, _Layout(stages, image, outputs, ends, region or {}).passes()


@dataclass(frozen=True)
class _Written:
    """An array to be written: what the plan calls it, what of, and where it lies."""

    name: str
    image: Box
    write: Write


class _Layout:
    """Puts the groups of *stages* into passes; *ends* are what the *outputs* store, by the numbers of stages.

    Outputs hold no more than *region* along the axes that it names.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        image: Read,
        outputs: Sequence[OutputSpec],
        ends: Sequence[int],
        region: Region,
    ) -> None:
        self.stages, self.image, self.outputs, self.ends, self.region = stages, image, outputs, ends, region
        self.groups = split(stages)
        self.parts = needed_parts(stages, self.groups, ends, region)
        self.group_of = {INPUT: 0} | {n: at for at, group in enumerate(self.groups) for n in group.stages}
        apart = {i for n, s in enumerate(stages) for i in s.inputs if i >= 0 and self.group_of[i] != self.group_of[n]}
        self.between = {
            number: array for array, number in enumerate(sorted(apart, key=lambda n: (self.group_of[n], n)))
        }
        self.reads = {INPUT: image}

    def passes(self) -> list[Pass]:
        """Return the passes, each after those whose arrays it reads."""
        passes = []
        for at, group in enumerate(self.groups):
            together: list[list[_Written]] = []
            for written in self._written(at):
                fitting = next(
                    (others for others in together if all(_why_apart(o, written) == "" for o in others)), None
                )
                if fitting is None:
                    together.append([written])
                else:
                    fitting.append(written)
            for others in together:
                why = group.why if others is together[0] else _why_apart(together[0][0], others[0])
                passes.append(self._pass(group.stages, others, why))
        return passes

    def _written(self, at: int) -> list[_Written]:
        """Return what is written of group *at*: arrays between passes, then outputs."""
        here = [n for n, end in enumerate(self.ends) if self.group_of[end] == at]
        asked = self.outputs[here[0] if here else 0]
        written = []
        for number, array in self.between.items():
            if self.group_of[number] == at:
                values = self.stages[number].values_out
                info, image = self._info(number, values.dtype, asked, self.parts.get(number))
                write = Write(number, array, info, gathered=bool(self.outputs[0].path.scheme))
                written.append(_Written(f"the result of {self.stages[number].name}", image, write))
                self.reads[number] = Read(info, space(image), values, array)
        for n in here:
            output, number, source = self.outputs[n], self.ends[n], self.image.source
            values = self.image.block if number == INPUT else self.stages[number].values_out
            kind = output_dtype(output.dtype, source.dtype, values, computed=number != INPUT)
            ends = any(s.missing and not s.missing.renormalizes for s in self.stages)  # maybe all that are missing
            _refuse_what_cannot_fit(kind, values, source, None if ends else self.image.missing, output)
            info, image = self._info(number, kind, output)
            info = replace(info, nodata=_nodata(kind, output))
            storage, gathered = storage_of(info, output), bool(output.path.scheme)
            levels = levels_of(info, storage, output)
            write = Write(number, len(self.between) + n, info, output.overflow, storage, gathered, levels)
            written.append(_Written(output.key, image, write))
        return written

    def _info(self, number: int, kind: Dtype, asked: OutputSpec, part: Box | None = None) -> tuple[ImageInfo, Box]:
        """Return what is written of a stage, *part* of it or the region, and its box in the coordinates of the run."""
        source, domain, place = self.image.source, self.image.domain, USUAL
        if number != INPUT:
            stage = self.stages[number]
            domain, place = stage.domain_out, stage.grid
            source = with_times(with_channels(source, stage.channels_out), stage.times)
        image = with_space(source.box, part or cut(domain, self.region))
        info = replace(
            source,
            shape=image.shape,
            dtype=kind,
            compressed=True,
            nodata=None,
            masks=(),
            mask=None,
            notes=(),
            inverted=False,
            labels=source.labels and kind.kind in "iu",
            **place.placed(source, image),
        )
        most = LAYER_CHUNK if any(s.operation.mixes_channels and s.reaches for s in self.stages) else CHUNK
        return replace(info, chunks=chunks_of(info, asked.chunks or {}, asked.shards, most)), image

    def _pass(self, group: Sequence[int], written: Sequence[_Written], why: str) -> Pass:
        numbers = [w.write.stage for w in written]
        stages, read, ends = renumbered(self.stages, within(self.stages, numbers, group), numbers)
        image = written[0].image
        return Pass(
            stages=stages,
            why=why,
            reads=tuple(self.reads[number] for number in read),
            writes=tuple(replace(w.write, stage=end) for w, end in zip(written, ends, strict=True)),
            image=image,
            grid=TileGrid(image, image.shape),
            strip=image.shape[-2] if len(image.shape) > 1 else 1,
        )


def _why_apart(one: _Written, other: _Written) -> str:
    """Return why *other* is not written by the same tiles as *one*; empty where it is."""
    if one.image != other.image:
        return f"{other.name} has the pixels {other.image}, and {one.name} has {one.image}"
    for axis, size, a, b in zip(one.image.axes, one.image.shape, one.write.unit, other.write.unit, strict=True):
        if max(a, b) % min(a, b) and max(a, b) < size:
            return f"files of {b} pixels along {axis} for {other.name} do not line up with {a} for {one.name}"
    return ""


def block_values(source: ImageInfo, missing: Missing | None, precision: Precision, *, exact: bool = False) -> Values:
    """Return what the pixels of a block are like once missing ones are dealt with.

    With *exact* uint64 pixels beside a negative one are held in int64, and larger ones refused when they are met.
    """
    values = Values.of(source.dtype)
    if missing is None or missing.rule == "error" or not _may_lack(source, missing):
        return values
    working = block_dtype(source.dtype, precision)
    if missing.becomes_nan:
        return Values(working, whole=False, low=values.low, high=values.high, nan=True) if values.whole else values
    value = missing.value or 0.0
    return values if values.hold(value) else beside(values, value, working=working, exact=exact)


def _may_lack(source: ImageInfo, missing: Missing) -> bool:
    """Return whether pixels of the image may be missing: NaN, of the nodata value, or masked."""
    return source.dtype.kind == "f" or missing.nodata is not None or source.mask is not None


def output_dtype(asked: str, source: Dtype, values: Values, *, computed: bool) -> Dtype:
    """Return the output's pixel type for what the spec asks.

    ``auto`` loses nothing: float64 and uint64 stay, whole numbers become int32 or int64 by their range, all else
    float32; pixels that no stage computed, or that were picked among others, keep their type.
    """
    if asked == "input":
        return source
    if asked != "auto":
        return np.dtype(asked)
    if values.whole and computed and values.dtype in [summed for summed, _ in EXACT]:
        return np.dtype(np.int32 if values.low >= -(2.0**31) and values.high < 2.0**31 else np.int64)
    return values.dtype


def _nodata(dtype: Dtype, output: OutputSpec) -> float | None:
    """Return the value that NaN is stored as in pixels of *dtype*, of that type; PlanError where it has no such."""
    if output.nodata is None:
        return None
    if np.isnan(output.nodata) or not holds(dtype, output.nodata):
        raise PlanError(
            f"no pixel of {dtype} can have the value {as_text(output.nodata)}",
            where=f"{output.key}.nodata",
            fix=f"Give a value that pixels can have, or another {output.key}.dtype.",
        )
    value = int(output.nodata) if dtype.kind in "iu" else output.nodata
    return exact_number(dtype.type(value).item())


def _refuse_what_cannot_fit(
    dtype: Dtype, values: Values, source: ImageInfo, missing: Missing | None, output: OutputSpec
) -> None:
    """Refuse an integer type for NaN, and one that no pixel fits under overflow: error, as a tile would later."""
    if dtype.kind == "f":
        return
    if missing and missing.becomes_nan and _may_lack(source, missing) and values.nan and output.nodata is None:
        raise PlanError(
            f"missing pixels become NaN under rule {missing.rule}, and {dtype} has no NaN",
            where=f"{output.key}.dtype",
            fix=f"Choose {output.key}.dtype: float32, {output.key}.nodata: {np.iinfo(dtype).max}, "
            "or missing: {rule: fill, value: 0}.",
        )
    limits = np.iinfo(dtype)
    if output.overflow == "error" and (values.low > limits.max + 1 or values.high < limits.min - 1):
        raise PlanError(
            f"pixels lie between {values.low:g} and {values.high:g}, outside {dtype} from {limits.min} to {limits.max}",
            where=f"{output.key}.dtype",
            fix=f"Choose a wider {output.key}.dtype, or a rescale stage, "
            f"or {output.key}.overflow: clip, which counts them.",
        )
