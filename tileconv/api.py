"""What notebooks use: arrays in, arrays out, and whole pipelines."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tileconv.arguments import (
    as_array,
    check_image,
    choice,
    constant,
    kernel_axes,
    missing_rule,
    operator_axes,
    tile_sizes,
    type_name,
)
from tileconv.boxes import Box
from tileconv.engines.borders import ALIASES, RULES, Border
from tileconv.engines.choose import ENGINES
from tileconv.errors import PlanError
from tileconv.execute.progress import Progress
from tileconv.execute.recompute import verify as verify
from tileconv.execute.rerun import planned
from tileconv.execute.rerun import rerun as rerun
from tileconv.execute.run import Report, run_plan
from tileconv.graph.overlap import overlap
from tileconv.graph.windows import read
from tileconv.graph.work import needed, work
from tileconv.images import ImageInfo
from tileconv.kernels import Kernel
from tileconv.kernels.operations import Linear, Operation, as_operation
from tileconv.kernels.registry import OPERATORS
from tileconv.planning.arrays import array_passes
from tileconv.planning.machine import available_bytes, usable_processors
from tileconv.planning.model import Pass, Plan
from tileconv.planning.stages import SPACE
from tileconv.sources.memory import MemorySource
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec, StageSpec, load_spec, spec_from_mapping
from tileconv.spec.model import Dtype

Array = NDArray[Any]
if TYPE_CHECKING:  # dask.array takes half a second to import, which a run over files does without
    import dask.array as da

    Image = ArrayLike | da.Array


def apply(
    image: Image,
    operation: Kernel | Operation,
    *,
    border: str | None = None,
    cval: float = 0.0,
    extent: str = "same",
    engine: str = "auto",
    precision: str = "auto",
    tile: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    nodata: float | None = None,
    missing: str | Mapping[str, Any] | None = None,
    dtype: str = "auto",
) -> Any:
    """Apply a kernel or an operation to an array; every function of this module does.

    Parameters
    ----------
    image
        Integers or floats, any number of axes. NumPy in, NumPy out; a Dask array in, a lazy Dask array out, its halos
        exchanged by ``dask.array.map_overlap``.
    operation
        What ``tileconv.kernels`` makes; a bare kernel slides over the image as it is (correlation).
    border
        What lies outside the image, with scipy.ndimage's names: ``reflect`` (the default for ``same``), ``mirror``,
        ``nearest``, ``wrap`` or ``constant`` (the default for ``full`` and ``valid``), of value *cval*.
    extent
        ``same``, ``full`` or ``valid``, as scipy.signal names the output's size.
    engine, precision
        As in the spec: ``auto``, ``direct``, ``separable`` or ``fft``; ``auto``, ``float32`` or ``float64``.
    tile
        Pixels per tile along *axes*; changes no byte of the result. A Dask array has its chunks.
    axes
        The 1 to 3 axes that the kernel runs over, in the order of the kernel's; by default as many of the last ones
        as the kernel has.
    channel_axis
        The axis that holds colours; it is never convolved over.
    nodata, missing
        The value of missing pixels, and the rule for them and NaN: ``propagate``, ``error``, or a mapping such as
        ``{"rule": "fill", "value": 0}``.
    dtype
        ``auto`` loses nothing: float64 stays, exact whole numbers become int32 or int64, all else float32. ``input``
        or a type's name rounds half to even and clips.

    Returns
    -------
    numpy.ndarray or dask.array.Array
        Axes in the order of the image's.

    Raises
    ------
    PlanError
        If the arguments do not fit together or the image; also when the last of three axes or more is 3 or 4 wide
        and neither *axes* nor *channel_axis* says whether that is colour.
    """
    lazy = _is_lazy(image)
    rule_of_missing = missing_rule(missing, nodata)
    array: Any = image if lazy else as_array(image, rule_of_missing)
    check_image(array)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    made = as_operation(operation)
    count = len(made.kernels[0].shape) if made.kernels else operator_axes(array.ndim, axes, channel_axis)
    moved = kernel_axes(array.shape, count, axes, channel_axis)
    array, lead = _moved(array, moved)
    native = np.dtype(array.dtype).newbyteorder("=")
    info = ImageInfo(array.shape, "t" * bool(lead) + SPACE[-count:], native, (1,) * array.ndim)
    rule = choice("border", border or ("reflect" if extent == "same" else "constant"), RULES, ALIASES)
    kind = type_name(dtype, get_args(Dtype))
    if kind == "input" and isinstance(image, np.ma.MaskedArray):  # whose missing pixels may need another type
        kind = "uint8" if image.dtype.kind == "b" else image.dtype.name
    stage = StageSpec(
        op="apply",
        operation=made,
        over=cast("Any", SPACE[-count:]),
        border=dict.fromkeys(SPACE, Border(cast("Any", rule), constant(cval))),
        extent=cast("Any", choice("extent", extent, ("same", "full", "valid"))),
        engine=cast("Any", choice("engine", engine, ("auto", *ENGINES))),
    )
    passes = array_passes(
        [stage],
        info,
        precision=cast("Any", choice("precision", precision, ("auto", "float32", "float64"))),
        missing=rule_of_missing,
        dtype=kind,
        tile=None if tile is None else tile_sizes(tile, count),
    )
    for job in passes:
        if not lazy:
            _check_memory(job)
        array = overlap(array, job) if lazy else _in_memory(array, job)
    array = array.reshape(*lead, *array.shape[array.ndim - count :])
    return np.moveaxis(array, range(array.ndim - count, array.ndim), moved)


def convolve(image: Image, kernel: ArrayLike, *, flip: bool = True, **options: Any) -> Any:
    """Convolve *image* with *kernel*, centred as scipy.ndimage does, even sizes included.

    Parameters
    ----------
    image
        As ``apply`` takes it.
    kernel
        Weights, 1 to 3 axes: numbers, or a ``Kernel``.
    flip
        Whether the kernel is turned round along every axis, as the mathematics of convolution says; ``flip=False``
        is correlation.
    options
        Keywords of ``apply``: border, cval, extent, engine, precision, tile, axes, channel_axis, nodata, missing and
        dtype.

    Returns
    -------
    numpy.ndarray or dask.array.Array
        See ``apply`` for shape and dtype.

    Raises
    ------
    KernelError
        If the weights cannot make a kernel.
    PlanError
        As ``apply``.

    Examples
    --------
    >>> convolve([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 2], [3, 4]])
    array([[1, 2, 0],
           [3, 4, 0],
           [0, 0, 0]])
    """
    return apply(image, Linear(kernel if isinstance(kernel, Kernel) else Kernel.of(kernel, flip=flip)), **options)


def correlate(image: Image, kernel: ArrayLike, **options: Any) -> Any:
    """Slide *kernel* over *image* as it is written, as a CNN layer does; otherwise as ``convolve``."""
    return convolve(image, kernel, flip=False, **options)


def _operator(name: str) -> Callable[..., Any]:
    """Return an operator of the spec as a function of an image."""
    make = OPERATORS[name]
    options = set(inspect.signature(apply).parameters) - {"image", "operation"}

    @functools.wraps(make)
    def on_image(image: Image, *args: Any, **keywords: Any) -> Any:
        chosen = {k: v for k, v in keywords.items() if k in options}
        if not (_is_lazy(image) or isinstance(image, np.ndarray)):
            image = as_array(image, None)
        count = operator_axes(cast("Any", image).ndim, chosen.get("axes"), chosen.get("channel_axis"))
        words = {} if count == 2 else {"axes": SPACE[-count:]}
        rest = {k: v for k, v in keywords.items() if k not in options}
        return apply(image, as_operation(make(*args, **rest, **words)), **chosen)

    on_image.__doc__ = (
        f"Apply ``{name}`` to an image; after it come the operator's parameters, then keywords of ``apply``.\n\n"
        f"    {inspect.getdoc(make)}"
    )
    del on_image.__wrapped__  # the signature is not the operator's
    return on_image


box = _operator("box")
gaussian = _operator("gaussian")
disk = _operator("disk")
edge = _operator("edge")
sobel = _operator("sobel")
scharr = _operator("scharr")
prewitt = _operator("prewitt")
laplacian = _operator("laplacian")
laplacian_of_gaussian = _operator("laplacian_of_gaussian")
difference_of_gaussians = _operator("difference_of_gaussians")
sharpen = _operator("sharpen")
unsharp = _operator("unsharp")
rescale = _operator("rescale")
absolute = _operator("abs")
clip = _operator("clip")


def plan(pipeline: str | Path | Mapping[str, Any] | PipelineSpec) -> Plan:
    """Return the plan of a pipeline, a YAML file's path or a mapping; opens the input, reads no pixel.

    Raises
    ------
    SpecError, SourceError, PlanError
        If the pipeline is wrong, the input cannot be opened, or the job cannot be done as asked.
    """
    return _planned(pipeline)[0]


def run(
    pipeline: str | Path | Mapping[str, Any] | PipelineSpec,
    *,
    overwrite: bool = False,
    keep_going: bool = False,
    repair: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Run a pipeline, a YAML file's path or a mapping, and return a report.

    An output that a run of the same pipeline left unfinished is gone on with; one that is complete is left as it is.

    Parameters
    ----------
    overwrite
        Whether an output that tileconv made before is replaced.
    keep_going
        Whether the other tiles are made when one fails.
    repair
        Whether the output is verified first, and what is damaged made again.
    progress
        Hears of every tile.

    Raises
    ------
    TileconvError
        What went wrong; an output that is not whole has no metadata of an image.
    """
    plan, source = _planned(pipeline)
    return run_plan(plan, source, overwrite=overwrite, keep_going=keep_going, repair=repair, progress=progress)


def _planned(pipeline: str | Path | Mapping[str, Any] | PipelineSpec) -> tuple[Plan, Source]:
    """Return the plan of a pipeline, and its source opened."""
    if isinstance(pipeline, PipelineSpec):
        return planned(pipeline)
    return planned(load_spec(pipeline) if isinstance(pipeline, str | Path) else spec_from_mapping(pipeline))


def _is_lazy(image: object) -> bool:
    """Return whether *image* is a Dask array, without importing Dask for those that are not."""
    arrays = sys.modules.get("dask.array")
    return arrays is not None and isinstance(image, arrays.Array)


def _moved(array: Any, axes: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Return *array* with *axes* last and the others as one before them, and the shape of those others."""
    array = np.moveaxis(array, axes, range(array.ndim - len(axes), array.ndim))
    lead = array.shape[: array.ndim - len(axes)]
    return array.reshape(-1, *array.shape[len(lead) :]) if lead else array, lead


SMALL = 2**28
"""Bytes that a halo may take before anyone asks what the machine has free."""


def _check_memory(job: Pass) -> None:
    """Refuse a kernel whose halo around a tile's smallest part does not fit in memory; PlanError."""
    for stage in job.stages:
        halo = stage.halo
        tile = (1,) * (3 - len(job.grid.tile)) + job.grid.tile[-3:]
        part = (tile[0] if "z" in job.info.axes else 1, job.strip if "y" in job.info.axes else 1, tile[2])
        pixels = math.prod(a + n + b for a, n, b in zip(halo.before, part, halo.after, strict=True))
        if (needed_bytes := pixels * stage.padded.dtype.itemsize) > SMALL and needed_bytes > available_bytes():
            size = " x ".join(f"{a + b + 1:,}" for a, b in zip(halo.before, halo.after, strict=True) if a + b)
            raise PlanError(
                f"pixels with the halo of a kernel of {size} take {needed_bytes / 2**20:,.0f} MiB, more than is free",
                fix="Use a smaller kernel, or smaller tiles.",
            )


def _in_memory(array: Array, job: Pass) -> Array:
    """Run one pass over a NumPy array, tile by tile on all processors."""
    source = MemorySource(array, job.info.axes, copies=not array.flags.behaved)  # others would be compiled for apart
    out = np.empty(job.info.shape, job.info.dtype)

    def tile(box: Box) -> None:
        have, part = needed(job, box), out[box.within(job.image)]
        made = part if part.flags.c_contiguous else np.empty(part.shape, part.dtype)
        work(job, read(source, job, have), have, box, made)
        if made is not part:
            part[...] = made

    if len(job.grid) == 1:
        tile(job.image)
    else:
        with ThreadPoolExecutor(usable_processors()) as pool:
            deque(pool.map(tile, job.grid), maxlen=0)  # raises what a tile raised
    return out
