"""The plan: frozen values with their reasons. After it, nothing is decided any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tileconv.errors import GeometryError, PlanError
from tileconv.images import ImageInfo
from tileconv.planning.colour import coloured
from tileconv.planning.encoding import by_field, decoded, encoded, kernel_table, kernels_of
from tileconv.planning.files import FileMemory, file_memory
from tileconv.planning.identity import Identity, stage_identity
from tileconv.planning.lengths import meant
from tileconv.planning.machine import Allowance, Workers
from tileconv.planning.memory import peak_bytes, processes_of
from tileconv.planning.parts import Missing, Pass, Write, only
from tileconv.planning.pyramid import levels_json, tiles_of_levels
from tileconv.planning.stages import Stage
from tileconv.planning.steps import in_steps
from tileconv.planning.told import image_json, pass_json
from tileconv.quick import dataclass
from tileconv.shown import Shown, duration_text, size_text, tiles_text
from tileconv.spec.model import IMAGE, INPUT, MaskSpec, PipelineSpec
from tileconv.storage import file_kind

START_S, SHARE = 0.3, 0.5
"""What a run takes before its first tile, and what a worker adds to the first, because all wait for one memory and one
interpreter. Measured: docs/performance.md."""


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """Everything decided about one run: its stages as in the spec, its passes in order, and what they need.

    The arrays that they write are numbered: first those between passes, then the outputs in the order of the spec.
    """

    spec: PipelineSpec
    source: ImageInfo
    graph: tuple[Stage, ...]
    passes: tuple[Pass, ...]
    workers: int
    why_workers: str
    memory_limit: int
    memory_why: str
    elsewhere: Workers | None = None
    """The workers of the scheduler that makes the tiles, where it was asked; nothing is decided by them."""

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of the run, all its local processes together."""
        workers, executor = self.workers, self.spec.run.executor
        tiles = ((p.process_bytes, [(p.tile_bytes, len(p.grid))]) for p in self.passes)
        files = [made.peak_bytes for n in range(len(self.spec.outputs)) if (made := self.file_memory(n))]
        beside = (processes_of(workers, executor) - 1) * max(p.process_bytes for p in self.passes)
        return max(
            *(peak_bytes(process, tile, workers, executor) for process, tile in tiles), beside + max(files, default=0)
        )

    def file_memory(self, output: int) -> FileMemory | None:
        """Return what it takes to write output *output*, if it is one file; PlanError if more than is allowed."""
        asked, allowed = self.spec.outputs[output], Allowance(self.memory_limit, self.memory_why)
        kind = file_kind(asked.path.name)
        written = (self.write_of(output).info, kind, asked.codec.name, self.workers, allowed)
        return file_memory(*written) if kind else None

    @property
    def between(self) -> int:
        """How many arrays lie between passes."""
        return sum(len(p.writes) for p in self.passes) - len(self.spec.outputs)

    def recorded(self, array: int) -> tuple[int, int]:
        """Return in whose record *array* is, by output, and its number there: the output itself comes last.

        What lies between passes belongs to the first output.
        """
        return (0, array) if array <= self.between else (array - self.between, 0)

    def arrays_of(self, output: int) -> range:
        """Return the arrays that are in the record of output *output*, in order."""
        array = self.between + output
        return range(array + 1) if output == 0 else range(array, array + 1)

    def made_by(self, array: int) -> tuple[int, Write]:
        """Return the number of the pass that writes *array*, and how."""
        return next((n, write) for n, p in enumerate(self.passes) for write in p.writes if write.array == array)

    def leading_to(self, output: int) -> list[int]:
        """Return the numbers of the passes that output *output* needs, in order."""
        passes, more = set[int](), {self.made_by(self.between + output)[0]}
        while more := more - passes:
            passes |= more
            arrays = {read.array for number in more for read in self.passes[number].reads} - {INPUT}
            more = {self.made_by(array)[0] for array in arrays}
        return sorted(passes)

    def write_of(self, output: int) -> Write:
        """Return how output *output* is written."""
        return self.made_by(self.between + output)[1]

    @property
    def info(self) -> ImageInfo:
        """The image that the run makes: of several outputs the first."""
        return self.write_of(0).info

    @property
    def seconds(self) -> float:
        """About how long the run takes on this machine, without compiling: what all tiles cost, over the workers."""
        tiles_s = sum(p.image.size * p.ns_per_pixel for p in self.passes) / 1e9
        return START_S + tiles_s / (1 + SHARE * (self.workers - 1))

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        stages, passes = [stage.name_at(n) for n, stage in enumerate(self.spec.stages)], len(self.passes)
        infos = [self.write_of(n).info for n in range(len(self.spec.outputs))]
        return {
            "input": f"{self.spec.input.path}: {self.source}",
            **{
                output.label or "output": f"{output.path}: {info}"
                for output, info in zip(self.spec.outputs, infos, strict=True)
            },
            "stages": f"{', '.join(stages) or 'none'}, in {passes} pass{'es' * (passes != 1)}",
            "tiles": ", then ".join(tiles_text(len(p.grid)) for p in self.passes),
            "memory": f"{size_text(self.peak_bytes)} predicted, {size_text(self.memory_limit)} allowed",
            "time": f"about {duration_text(self.seconds)} on {self.workers} {self.spec.run.executor}",
        }

    def __repr__(self) -> str:
        stages, tiles = len(self.spec.stages), sum(len(p.grid) for p in self.passes)
        counts = f"{stages} stage{'s' * (stages != 1)}, {tiles_text(tiles)}"
        return f"<Plan: {self.info}, {counts}, {size_text(self.peak_bytes)}>"

    def stages_of(self, output: int) -> tuple[Stage, ...]:
        """Return the stages that lead to output *output*, as in the spec of it alone: in its order, by its names.

        Steps stand in the place of a stage that is several.
        """
        spec, kept = self._in_steps(self.spec.only(output)), self._in_steps(self.spec).leading_to(output)
        return tuple(
            replace(self.graph[number], name=words.name_at(at), inputs=words.inputs)
            for at, (number, words) in enumerate(zip(kept, spec.stages, strict=True))
        )

    def _in_steps(self, spec: PipelineSpec) -> PipelineSpec:
        """Return *spec* with all stages that are made of its own."""
        return in_steps(coloured(spec, self.source))

    @property
    def identity(self) -> Identity:
        """All that determines the result, but for what the input holds, and for versions; of the first output."""
        return self.identity_of(0)

    def identity_of(self, output: int) -> Identity:
        """Return all that determines an output, but for what the input holds, and for versions."""
        asked, source, last = self.spec.input, self.source, self.write_of(output)
        told = {"series": asked.series, "level": asked.level, "axes": source.axes}
        told |= {"missing_chunks": asked.missing_chunks, "shape": source.shape, "dtype": source.dtype}
        told |= {name: part for name in ("stack", "select", "region") if (part := getattr(asked, name))}
        if source.mask is not None:
            told["mask"] = by_field(asked.mask, but=["path"]) if isinstance(asked.mask, MaskSpec) else "own"
        stages = [stage_identity(stage) for stage in self.stages_of(output)]
        for number, stage in enumerate(stages):
            if stage["inputs"] == [number - 1]:  # as in a chain
                del stage["inputs"]
        return Identity(
            input=encoded(told),
            precision=self.spec.precision,
            missing=self.missing,
            stages=tuple(stages),
            passes=tuple(self._names(array, output) for array in self.arrays_of(output)),
            output=_stored(last) | self._file(output),
            content={},
            versions={},
        )

    def tiles_of(self, output: int) -> dict[tuple[int, int], int]:
        """Return how many tiles there are of each (array, level) in the record of an output."""
        tiles = dict[tuple[int, int], int]()
        for number, array in enumerate(self.arrays_of(output)):
            at, write = self.made_by(array)
            grids = [self.passes[at].grid, *(one.grid for one in tiles_of_levels(write.levels, self.passes[at].grid))]
            tiles |= {(number, level): len(grid) for level, grid in enumerate(grids)}
        return tiles

    @property
    def tiles_total(self) -> int:
        """How many tiles all passes make, and of levels all there are."""
        outputs = (self.tiles_of(output) for output in range(len(self.spec.outputs)))
        levels = sum(count for of in outputs for (_, level), count in of.items() if level)
        return sum(len(pass_.grid) for pass_ in self.passes) + levels

    def _file(self, output: int) -> dict[str, Any]:
        """Return what an output that is one file is; nothing of a store."""
        asked = self.spec.outputs[output]
        kind = file_kind(asked.path.name)
        return {"file": {"kind": kind, "codec": by_field(asked.codec)}} if kind else {}

    def _names(self, array: int, output: int) -> tuple[str, ...]:
        """Return the names of the stages that are made for *array* in its pass, as *output* alone names them."""
        ours = zip(self._in_steps(self.spec).leading_to(output), self.stages_of(output), strict=True)
        names = {self.graph[at].name: stage.name for at, stage in ours}
        pass_ = self.passes[self.made_by(array)[0]]
        return tuple(names.get(stage.name, stage.name) for stage in only(pass_, [array]).stages)

    def fingerprint(self, output: int = 0) -> str:
        """Return a digest of all that determines an output's pixels but the input's own: stages, weights, engines.

        Tiles, workers, memory and executor are no part of it.
        """
        return self.identity_of(output).fingerprint

    @property
    def missing(self) -> Missing | None:
        """Which pixels of the input are missing, and what becomes of them."""
        return next(read.missing for p in self.passes for read in p.reads if read.array == INPUT)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values, bytes and pixels as numbers; under ``plan`` is all that it holds."""
        operations = [*(stage.operation for stage in self.spec.stages), *(stage.operation for stage in self.graph)]
        coverage = [one.choice for stage in self.graph for one in stage.coverage]
        outputs = {output.label: self._output(n) for n, output in enumerate(self.spec.outputs)}
        return {
            "fingerprint": self.fingerprint(),
            "input": image_json(self.source)
            | {"path": str(self.spec.input.path), "notes": self.source.notes}
            | ({"region": self.spec.input.region} if self.spec.input.region else {}),
            **({"output": outputs[""]} if "" in outputs else {"outputs": outputs}),
            "workers": self.workers,
            "why_workers": self.why_workers,
            "peak_bytes": self.peak_bytes,
            "memory_limit_bytes": self.memory_limit,
            "seconds": self.seconds,
            "graph": self._edges(),
            **({"lengths_px": lengths} if (lengths := meant(self.spec, self.source)) else {}),
            "passes": [pass_json(p) for p in self.passes],
            "plan": {"kernels": kernel_table([*operations, *coverage]), **by_field(self)},
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Plan:
        """Return the plan of which ``as_json`` made *written*; nothing is planned again, and no file is read.

        Raises
        ------
        PlanError
            If it is no such thing, or is of another version.
        """
        try:
            told = written["plan"]
            plan: Plan = decoded(cls, told, kernels_of(told["kernels"]))
        except (AttributeError, GeometryError, KeyError, TypeError, ValueError) as error:
            problem, fix = "expected the JSON of a plan of this version", "Plan the pipeline again."
            raise PlanError(problem, fix=fix) from error
        return plan

    def _output(self, number: int) -> dict[str, Any]:
        write = self.write_of(number)
        stored, writing = write.storage.as_json() | self._file(number), self.file_memory(number)
        stored |= {"writing": by_field(writing)} if writing else {}
        told = image_json(write.info) | {"path": str(self.spec.outputs[number].path), **stored}
        grid = self.passes[self.made_by(write.array)[0]].grid
        return told | ({"levels": levels_json(write.levels, grid)} if write.levels else {})

    def _edges(self) -> dict[str, Any]:
        """Return the names of input, stages and outputs, and who is read by whom."""
        stages = self.spec.stages
        names = {INPUT: IMAGE} | {number: stage.name_at(number) for number, stage in enumerate(stages)}
        edges = [(names[i], names[number]) for number, stage in enumerate(stages) for i in stage.inputs]
        stored = [(names[output.stage], str(output.path)) for output in self.spec.outputs]
        return {"nodes": [*names.values(), *(path for _, path in stored)], "edges": [*edges, *stored]}


def _stored(write: Write) -> dict[str, Any]:
    """Return what is stored of an output, and how; of levels only where there are any, as before there were."""
    told = by_field(write.info, but=["labels"]) | by_field(write.storage) | {"overflow": write.overflow}
    return told | ({"levels": encoded(write.levels)} if write.levels else {})
