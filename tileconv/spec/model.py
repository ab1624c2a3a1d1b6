"""The checked pipeline as frozen values: everything resolved, nothing decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, Any, Literal

from tileconv.bounds import Ge
from tileconv.engines.borders import Border
from tileconv.operations.operation import Operation
from tileconv.operations.parameters import Count
from tileconv.operations.steps import Steps
from tileconv.quick import dataclass
from tileconv.spec.fields import Exact, Written
from tileconv.spec.pyramid import PyramidSpec
from tileconv.spec.words import (
    AxesText,
    Axis,
    Duration,
    Executor,
    FormatText,
    Index,
    LabelText,
    Memory,
    PixelSize,
    Place,
    Position,
    StageId,
    Workers,
)
from tileconv.storage import USUAL, Checksum, Codec, Format
from tileconv.stores.location import Access, Location

Over = Literal["yx", "zyx", "x", "y", "z", "zx", "zy", "c", "t"]
Extent = Literal["same", "full", "valid"]
Engine = Literal["auto", "direct", "separable", "fft"]
Precision = Literal["auto", "float32", "float64"]
Dtype = Literal[
    "auto", "input", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"
]
PixelsPerAxis = Count | Mapping[Axis, Count]
StackAxis = Literal["z", "c", "t"]
Positions = Position | Sequence[Position]
SizePerAxis = Literal["auto"] | PixelsPerAxis
INPUT, IMAGE = -1, "input"
"""The image that a pipeline reads: among positions of stages, and among their names."""
ALL = "all"
"""What ``input.series`` says of every image of a file."""
RESOLVED = frozenset(
    ("operation", "parameters", "inputs", "places", "stage", "label", "paths", "every_series", "cluster")
)
"""Fields that are no keys of a file: they follow from others, and from where these stand."""
ShardsPerAxis = Literal["auto", "none"] | PixelsPerAxis


@dataclass(frozen=True)
class MaskSpec:
    """The image that tells which pixels of the input are valid: the one at *path*, or the *label* in the input's store.

    Its ``level`` is 0 by default, of a label that of the input.
    """

    path: Annotated[
        Location | None, Written(Place | None), "File or Zarr store of the mask, relative to the pipeline file; a URL."
    ] = None
    label: Annotated[str | None, Written(LabelText), "Name of a label image in the OME-Zarr image that is read."] = None
    series: Annotated[Index, "Which image of a file that holds several."] = 0
    level: Annotated[Index | None, "Which level of a pyramid."] = None
    inverted: Annotated[bool, "Whether 0 means valid; else 0 means missing."] = False


@dataclass(frozen=True)
class InputSpec:
    """The image to read, or several.

    ``paths`` are those that name several, patterns among them, and ``path`` is the first of these; ``every_series``
    says that all images of a file are meant.
    """

    path: Annotated[
        Location,
        Written(Place | Sequence[Place]),
        "File or Zarr store to read, relative to the pipeline file, or a URL; a pattern or a list names several.",
    ]
    series: Annotated[
        int, Written(Index | Literal["all"]), "Which image of a file that holds several; all makes each of them."
    ] = 0
    level: Annotated[Index, "Which level of a pyramid; 0 is the full size."] = 0
    axes: Annotated[str | None, Written(AxesText), "Names of the axes as stored, where the file does not say."] = None
    scale: Annotated[
        Mapping[str, str] | None,
        Written(Mapping[Literal["z", "y", "x"], PixelSize]),
        "Size of a pixel along each axis, whatever the file says.",
    ] = None
    alpha: Annotated[
        Literal["premultiply", "keep", "filter"] | None,
        "Whether colours are weighted by alpha, filtered beside it, or it is filtered like a colour.",
    ] = None
    linear: Annotated[bool | None, "Whether colours are filtered as amounts of light, and stored as sRGB again."] = None
    nodata: Annotated[
        float | Literal["none"] | None, Exact(), "The pixel value that means missing, whatever the file says; or none."
    ] = None
    mask: Annotated[
        MaskSpec | Literal["none"] | None,
        "Another image that tells which pixels are missing; none ignores the file's own.",
    ] = None
    missing_chunks: Annotated[
        Literal["report", "error"], "Whether chunks that a store lacks are counted as fill value, or refused."
    ] = "report"
    storage: Annotated[Access | None, "How the object store of the input is reached; never a credential."] = None
    stack: Annotated[StackAxis | None, "The axis along which several files of one plane each are one image."] = None
    region: Annotated[
        Mapping[str, tuple[int, int]] | None,
        Written(Mapping[Axis, Sequence[Index]]),
        "The pixels of the whole result that are made: where they start and stop along each axis.",
    ] = None
    select: Annotated[
        Mapping[str, tuple[int | str, ...]] | None,
        Written(Mapping[Axis, Positions]),
        "Channels, by number or name, time points and planes that are read; others are left out.",
    ] = None
    paths: tuple[str, ...] = ()
    every_series: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether it names several images."""
        return self.every_series or bool(self.paths and self.stack is None)


@dataclass(frozen=True)
class MissingSpec:
    """How missing pixels (NaN and nodata) are treated.

    ``value`` belongs to the rule ``fill`` alone, ``min_coverage`` (one half) and ``keep`` (true) to ``renormalize``.
    """

    rule: Annotated[Literal["propagate", "renormalize", "fill", "error"], "What becomes of missing pixels."]
    value: Annotated[float | None, Exact(), "What fill puts in their place."] = None
    min_coverage: Annotated[
        Annotated[float, Ge(0)] | None, "The share of the weights on valid pixels that renormalize asks for, or NaN."
    ] = None
    keep: Annotated[bool | None, "Whether renormalize leaves a pixel missing that is so itself."] = None

    @property
    def renormalizes(self) -> bool:
        """Whether sums are made over the pixels that are not missing."""
        return self.rule == "renormalize"

    @classmethod
    def of(cls, rule: Any, value: float | None = None, min_coverage: float = 0.5, keep: bool = True) -> MissingSpec:
        """Return the rule with the defaults of its keys."""
        return cls(rule, value, min_coverage, keep) if rule == "renormalize" else cls(rule, value)


@dataclass(frozen=True)
class StageSpec:
    """One stage: an operation over the axes ``over``, with the border of each of them, in the order of ``over``.

    ``missing`` is None where NaN makes NaN; else the stage's own rule, or the global one where pixels are left out.
    ``inputs`` are the positions of the stages that it reads. ``places`` says where parameters stand that have lengths
    with a unit: of these the plan makes the operation anew. Two stages are equal when their words are; ``operation``
    follows from these and takes no part.
    """

    op: str
    operation: Operation | Steps = field(compare=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: Annotated[str | None, Written(StageId), "Name of the stage, for --set stages.NAME.sigma=3."] = None
    over: Annotated[Over, "Axes that the stage acts on; planes are taken one by one."] = "yx"
    border: Mapping[str, Border] = field(default_factory=dict)
    extent: Annotated[Extent, "Output size, as scipy.signal names it."] = "same"
    engine: Annotated[Engine, "How sums are computed; auto takes the cheapest."] = "auto"
    channels: Annotated[
        tuple[int | str, ...] | None,
        Written(Positions),
        "Channels that the stage acts on, by number or name; the others pass unchanged.",
    ] = None
    missing: MissingSpec | None = None
    inputs: tuple[int, ...] = (INPUT,)
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    def name_at(self, number: int) -> str:
        """Return what plans and messages call the stage, which is that of position *number*."""
        return self.id or f"{number} {self.op}"


@dataclass(frozen=True)
class OutputSpec:
    """An OME-Zarr store to write. Chunks and shards of None are left to the plan.

    ``stage`` is the position of the stage whose result it holds; ``label`` is empty where the file says ``output``.
    """

    path: Annotated[Location, Written(Place), "OME-Zarr store to write, relative to the pipeline file; or a URL."]
    dtype: Annotated[Dtype, "Pixel type; auto keeps every value, input keeps the input's type."] = "auto"
    chunks: Annotated[Mapping[str, int] | None, Written(SizePerAxis), "Pixels per chunk along each axis."] = None
    overflow: Annotated[
        Literal["clip", "error"], "Whether values outside an integer type are clipped and counted, or refused."
    ] = "clip"
    nodata: Annotated[
        float | None, Exact(), "The pixel value that NaN is stored as, which the metadata then say means missing."
    ] = None
    codec: Annotated[Codec, "How chunks are compressed."] = USUAL.codec
    checksum: Annotated[
        Checksum | None, "What stands behind every chunk; crc32c, but none in format 0.4, by default."
    ] = None
    shards: Annotated[
        Mapping[str, int] | Literal["none"] | None,
        Written(ShardsPerAxis),
        "Pixels per file along each axis, whole numbers of chunks; none is a file for each chunk.",
    ] = None
    format: Annotated[Format, Written(FormatText), "Version of OME-Zarr: 0.5 is Zarr v3, 0.4 is Zarr v2."] = "0.5"
    storage: Annotated[Access | None, "How the object store of the output is reached; never a credential."] = None
    pyramid: Annotated[
        Literal["auto", "none"] | PyramidSpec | None, "Smaller levels beside the full size; auto by default."
    ] = None
    stage: int = INPUT
    label: str = ""

    @property
    def key(self) -> str:
        """Where it stands in a pipeline file."""
        return f"outputs.{self.label}" if self.label else "output"


@dataclass(frozen=True)
class RunSpec:
    """How a run goes; never changes a pixel. None leaves the choice to the plan."""

    memory: Annotated[int | None, Written(Memory), "Memory of the whole run, in bytes or with a unit."] = None
    workers: Annotated[int | None, Written(Workers), "Threads or processes."] = None
    tile: Annotated[Mapping[str, int] | None, Written(SizePerAxis), "Pixels per tile along each axis."] = None
    executor: Annotated[str, Written(Executor), "Where tiles are computed."] = "threads"
    max_chunk: Annotated[
        int | None, Written(Memory), "Largest chunk, tile, strip or picture of the input, decoded; auto is 1GiB."
    ] = None
    halo_method: Annotated[
        Literal["auto", "overlap", "windows"], "Whether halos come from neighbouring chunks or from the read."
    ] = "auto"
    lock: Annotated[
        Literal["auto", "none"], "Whether the run locks its output; none where the file system has no locks."
    ] = "auto"
    timeout_per_tile: Annotated[
        float | None, Written(Duration), "How long a tile may take before its process is ended, or another has it too."
    ] = None


@dataclass(frozen=True)
class PipelineSpec:
    """A whole pipeline. ``border`` is the global rule for z, y and x; stages hold the rules that apply to them.

    ``cluster`` is the one that ``run.executor`` names, if it names one, of ``clusters`` or of the user's configuration.
    """

    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    version: Annotated[Literal[1], "Version of this format."] = 1
    stages: tuple[StageSpec, ...] = ()
    border: Mapping[str, Border] = field(default_factory=lambda: dict.fromkeys("zyx", Border()))
    missing: MissingSpec | None = None
    precision: Annotated[Precision, "Type of the sums."] = "auto"
    run: RunSpec = field(default_factory=RunSpec)
    clusters: Mapping[str, Mapping[str, Any]] | None = None
    cluster: Mapping[str, Any] | None = None

    @property
    def is_batch(self) -> bool:
        """Whether it is the pipeline of several images, of which ``each_image`` gives one after another."""
        return self.input.is_batch

    @property
    def output(self) -> OutputSpec:
        """The first output, in most pipelines the only one."""
        return self.outputs[0]

    def leading_to(self, output: int) -> list[int]:
        """Return the positions of the stages that output *output* needs, in order."""
        needed, more = set[int](), {self.outputs[output].stage}
        while more := more - {INPUT}:
            needed |= more
            more = {i for number in more for i in self.stages[number].inputs} - needed
        return sorted(needed)

    def only(self, output: int) -> PipelineSpec:
        """Return the pipeline of output *output* alone, with the stages that it needs in the same order."""
        kept, one = self.leading_to(output), self.outputs[output]
        at = {INPUT: INPUT} | {old: new for new, old in enumerate(kept)}
        stages = (replace(self.stages[i], inputs=tuple(at[j] for j in self.stages[i].inputs)) for i in kept)
        return replace(self, stages=tuple(stages), outputs=(replace(one, stage=at[one.stage], label=""),))
