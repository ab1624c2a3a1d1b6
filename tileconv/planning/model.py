"""The plan: frozen values with their reasons. After it, nothing is decided any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tileconv.boxes import SPACE, Box, TileGrid
from tileconv.engines.values import Values
from tileconv.errors import GeometryError, PlanError
from tileconv.images import ImageInfo
from tileconv.planning.encoding import by_field, decoded, encoded, kernel_table, kernels_of
from tileconv.planning.identity import Identity, stage_identity
from tileconv.planning.memory import Bytes, peak_bytes, total
from tileconv.planning.stages import Stage
from tileconv.shown import Shown, duration_text, size_text, tiles_text
from tileconv.spec.model import MissingSpec, PipelineSpec
from tileconv.storage import USUAL, Storage

START_S, WRITE_NS, SHARE = 0.7, 1.0, 0.5
"""What a run takes before its first tile; what a byte of the result takes to encode and write; and what a worker adds
to the first, because all wait for one memory and one interpreter. Measured: docs/performance.md."""


@dataclass(frozen=True)
class Missing:
    """Which pixels of the input are missing, and what becomes of them."""

    rule: str
    nodata: float | None
    value: float | None

    @classmethod
    def of(cls, spec: MissingSpec | None, nodata: float | None) -> Missing | None:
        """Return the rule of *spec* for *nodata*, or None when there is none."""
        return None if spec is None else cls(spec.rule, nodata, spec.value)


@dataclass(frozen=True)
class Pass:
    """Stages that share one read and one write.

    Attributes
    ----------
    source
        What the pass reads: the input, or the intermediate array of the pass before.
    domain
        The box of what it reads, axes (z, y, x), in coordinates in which the run's input starts at zero.
    info
        What the pass writes: shape, axes, dtype, chunks, pixel size.
    image
        The box of what it writes in the same coordinates, all axes of the image.
    block
        What the pixels of a block are like once missing ones are dealt with.
    grid
        The tiles, each a whole number of chunks, and of shards where there are any.
    strip
        Rows of a tile that are made at once.
    storage
        How what the pass writes is stored.
    cache_bytes
        The most decoded bytes of a compressed source that a process keeps from one tile to another.
    exact
        Whether 64-bit whole numbers that the block's type would round are refused: the stages keep whole numbers whole.
    """

    stages: tuple[Stage, ...]
    why: str
    source: ImageInfo
    domain: Box
    info: ImageInfo
    image: Box
    block: Values
    grid: TileGrid
    strip: int
    missing: Missing | None = None
    overflow: str = "clip"
    exact: bool = False
    storage: Storage = USUAL
    method: str = "windows"
    why_method: str = ""
    why_tile: str = ""
    memory: tuple[Bytes, ...] = ()
    process_bytes: int = 0
    cache_bytes: int = 0
    read_amplification: float = 1.0
    ns_per_pixel: float = 0.0

    @property
    def unit(self) -> tuple[int, ...]:
        """Pixels along each axis of what one file holds."""
        return self.storage.unit(self.info.chunks)

    @property
    def tile_bytes(self) -> int:
        """Most bytes that one worker holds for one tile."""
        return total(self.memory)


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """Everything decided about one run: passes in order, and what they need."""

    spec: PipelineSpec
    source: ImageInfo
    passes: tuple[Pass, ...]
    workers: int
    why_workers: str
    memory_limit: int
    memory_why: str

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of the run, all its local processes together."""
        executor = self.spec.run.executor
        return max(peak_bytes(p.process_bytes, p.tile_bytes, self.workers, executor) for p in self.passes)

    @property
    def info(self) -> ImageInfo:
        """The image that the run makes."""
        return self.passes[-1].info

    @property
    def seconds(self) -> float:
        """About how long the run takes on this machine, without compiling: what all tiles cost, over the workers."""
        written = ((p.info.box.size, p.ns_per_pixel + WRITE_NS * p.info.dtype.itemsize) for p in self.passes)
        return START_S + sum(px * ns for px, ns in written) / 1e9 / (1 + SHARE * (self.workers - 1))

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        stages, passes = [s.name for p in self.passes for s in p.stages], len(self.passes)
        return {
            "input": f"{self.spec.input.path}: {self.source}",
            "output": f"{self.spec.output.path}: {self.info}",
            "stages": f"{', '.join(stages) or 'none'}, in {passes} pass{'es' * (passes != 1)}",
            "tiles": ", then ".join(tiles_text(len(p.grid)) for p in self.passes),
            "memory": f"{size_text(self.peak_bytes)} predicted, {size_text(self.memory_limit)} allowed",
            "time": f"about {duration_text(self.seconds)} on {self.workers} {self.spec.run.executor}",
        }

    def __repr__(self) -> str:
        stages, tiles = sum(len(p.stages) for p in self.passes), sum(len(p.grid) for p in self.passes)
        counts = f"{stages} stage{'s' * (stages != 1)}, {tiles_text(tiles)}"
        return f"<Plan: {self.info}, {counts}, {size_text(self.peak_bytes)}>"

    @property
    def identity(self) -> Identity:
        """All that determines the result, but for what the input holds, and for versions."""
        asked, source, last = self.spec.input, self.source, self.passes[-1]
        told = {"series": asked.series, "level": asked.level, "axes": source.axes}
        told |= {"missing_chunks": asked.missing_chunks, "shape": source.shape, "dtype": source.dtype}
        return Identity(
            input=encoded(told),
            precision=self.spec.precision,
            missing=self.passes[0].missing,
            stages=tuple(stage_identity(stage) for pass_ in self.passes for stage in pass_.stages),
            passes=tuple(tuple(stage.name for stage in pass_.stages) for pass_ in self.passes),
            output=by_field(last.info) | by_field(last.storage) | {"overflow": last.overflow},
            content={},
            versions={},
        )

    def fingerprint(self) -> str:
        """Return a digest of all that determines the pixels but the input's own: stages, weights, types and engines.

        Tiles, workers, memory and executor are no part of it.
        """
        return self.identity.fingerprint

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values, bytes and pixels as numbers; under ``plan`` is all that it holds."""
        kernels = (kernel for stage in self.spec.stages for kernel in stage.operation.kernels)
        return {
            "fingerprint": self.fingerprint(),
            "input": _image(self.source) | {"path": self.spec.input.path, "notes": self.source.notes},
            "output": _image(self.info) | {"path": self.spec.output.path, **self.passes[-1].storage.as_json()},
            "workers": self.workers,
            "why_workers": self.why_workers,
            "peak_bytes": self.peak_bytes,
            "memory_limit_bytes": self.memory_limit,
            "seconds": self.seconds,
            "passes": [_pass(p) for p in self.passes],
            "plan": {"kernels": kernel_table(kernels), **by_field(self)},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Plan:
        """Return the plan of which ``as_json`` made *found*; nothing is planned again, and no file is read.

        Raises
        ------
        PlanError
            If it is no such thing, or is of another version.
        """
        try:
            told = found["plan"]
            plan: Plan = decoded(cls, told, kernels_of(told["kernels"]))
        except (AttributeError, GeometryError, KeyError, TypeError, ValueError) as error:
            problem, fix = "expected the JSON of a plan of this version", "Plan the pipeline again."
            raise PlanError(problem, fix=fix) from error
        return plan


def _image(info: ImageInfo) -> dict[str, Any]:
    return {
        "shape": info.shape,
        "axes": info.axes,
        "dtype": str(info.dtype),
        "chunks": info.chunks,
        "bytes": info.nbytes,
    }


def _pass(pass_: Pass) -> dict[str, Any]:
    return {
        "why": pass_.why,
        "stages": [_stage(s) for s in pass_.stages],
        "tile": dict(zip(pass_.info.axes, pass_.grid.tile, strict=True)),
        "strip_rows": pass_.strip,
        "why_tile": pass_.why_tile,
        "tiles": len(pass_.grid),
        "halo_method": pass_.method,
        "why_halo_method": pass_.why_method,
        "read_amplification": pass_.read_amplification,
        "ns_per_pixel": pass_.ns_per_pixel,
        "tile_bytes": {part.name: part.count for part in pass_.memory if part.count},
        "process_bytes": pass_.process_bytes,
        "cache_bytes": pass_.cache_bytes,
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "halo_px": {a: [stage.halo.before[i], stage.halo.after[i]] for i, a in enumerate(SPACE)},
        "border": {a: str(b) for a, b in zip(SPACE, stage.borders, strict=True)},
        "dtype": str(stage.values_out.dtype),
        "error_bound": stage.error_bound,
        "expected_error": stage.expected_error,
        "error_unit": stage.error_unit,
        "kernels": [
            {
                "shape": c.kernel.shape,
                "engine": c.engine,
                "why": c.why,
                "sums": c.sums.why,
                "candidates": [
                    {
                        "engine": k.engine,
                        "ns_per_pixel": k.ns_per_pixel if not k.refused else None,
                        "refused": k.refused,
                    }
                    for k in c.candidates
                ],
            }
            for c in stage.choices
        ],
    }
