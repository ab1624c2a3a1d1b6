"""Whole pipelines, from Python: planned, run, lazy, verified and made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tileconv.arguments import as_pixels, is_lazy
from tileconv.audit.rerun import rerun
from tileconv.audit.verify import verify
from tileconv.boxes import SPACE
from tileconv.engines.cost import user_costs
from tileconv.errors import PlanError, TileconvError
from tileconv.execute.export import export
from tileconv.execute.images import each_image
from tileconv.execute.places import masked
from tileconv.execute.plans import each_plan
from tileconv.execute.prepare import planned
from tileconv.execute.pyramid import pyramid
from tileconv.execute.report import Report
from tileconv.execute.run import run_plan
from tileconv.images import ImageInfo
from tileconv.labelled import channel_names, is_labelled, scale_of, with_labels
from tileconv.learning import learn
from tileconv.planning.build import make_plan
from tileconv.planning.machine import this_machine
from tileconv.planning.model import Plan
from tileconv.planning.parts import Missing
from tileconv.progress import Progress
from tileconv.sources.axes import assumed_axes, map_axes
from tileconv.sources.memory import MemorySource
from tileconv.sources.part import info_of, part_of, picks_of
from tileconv.spec import Paths, PipelineSpec, as_mapping, load_spec, spec_from_mapping
from tileconv.spec.model import MaskSpec
from tileconv.stores.location import Location
from tileconv.tiles.lazy import of_array, of_source

__all__ = ["export", "lazy", "learn", "plan", "plans", "pyramid", "rerun", "run", "verify"]

Pipeline = str | Path | Mapping[str, Any] | PipelineSpec
"""The path of a pipeline file, or what it would hold as a mapping."""


def plan(pipeline: Pipeline, *, input: Paths | None = None, output: str | Path | None = None) -> Plan:
    """Return what a run of *pipeline* would do, and need, and why; opens the input, reads no pixel.

    Parameters
    ----------
    pipeline
        The path of a pipeline file, or the same as a mapping, whose paths are relative to the current folder.
    input, output
        Replace ``input.path`` and ``output.path``, as ``-i`` and ``-o`` do.

    Returns
    -------
    Plan
        Passes with their tiles, ``peak_bytes``, ``seconds`` (about), the image that is made (``info``); ``as_json()``
        has all of it. A notebook shows it as a table.

    Raises
    ------
    SpecError, SourceError, PlanError
        If the pipeline is wrong, the input cannot be opened, or what is asked for cannot be done.
    """
    return planned(_spec(pipeline, input, output), ask=True)[0]


def plans(
    pipeline: Pipeline, *, input: Paths | None = None, output: str | Path | None = None
) -> Iterator[tuple[str, Plan | TileconvError]]:
    """Return the plans of all images of *pipeline*, one after another, each made when it is asked for.

    Parameters
    ----------
    pipeline, input, output
        As of ``plan``; *input* may be a list of paths and patterns.

    Returns
    -------
    iterator of (str, Plan or TileconvError)
        The path of each image, and its plan, or why a run would refuse it.

    Raises
    ------
    SpecError, SourceError, PlanError
        If the pipeline is wrong, a pattern matches nothing, or two images would be written to one place.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> for name in ("z10.npy", "z2.npy"):
    ...     np.save(folder / name, np.eye(64, dtype=np.uint8))
    >>> pipeline = {"version": 1, "stages": [], "output": {"path": f"{folder}/{{stem}}.ome.zarr"}}
    >>> [plan.spec.output.path.name for _, plan in plans(pipeline, input=f"{folder}/*.npy")]
    ['z2.ome.zarr', 'z10.ome.zarr']
    """
    return each_plan(each_image(_spec(pipeline, input, output)))


def run(
    pipeline: Pipeline,
    *,
    input: Paths | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    keep_going: bool = False,
    repair: bool = False,
    progress: Progress | None = None,
) -> Report | Any:
    """Run *pipeline*, and return a report.

    An unfinished run of the same pipeline is resumed; a complete output is left as it is. A pipeline of several images
    is a batch: their tiles share the workers, and one image's failure is told by the report and stops no other.

    Parameters
    ----------
    pipeline
        The path of a pipeline file, or the same as a mapping, whose paths are relative to the current folder.
    input, output
        Replace ``input.path`` and ``output.path``, as ``-i`` and ``-o`` do.
    overwrite
        Whether an output that tileconv made before is replaced.
    keep_going
        Whether the other tiles are made when one fails.
    repair
        Whether the output is verified first, and what is damaged made again.
    progress
        Hears of every tile; by default a line in a notebook, and nothing elsewhere.

    Returns
    -------
    Report
        Where the result lies, tiles made and kept, seconds, pixels that were clipped or missing, memory, notes. Of
        several images a ``BatchReport``: a sequence of what became of each, with its own report or its error, and
        ``failed`` for those that failed.

    Raises
    ------
    TileconvError
        What went wrong. An output that is not complete has no image metadata, so that no reader takes it for one.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "a.npy", np.eye(64, dtype=np.uint8))
    >>> report = run({
    ...     "version": 1,
    ...     "input": {"path": str(folder / "a.npy")},
    ...     "stages": [{"op": "gaussian", "sigma": 2}],
    ...     "output": {"path": str(folder / "blurred.ome.zarr")},
    ... })
    >>> report.output.name, report.shape, report.dtype
    ('blurred.ome.zarr', (64, 64), 'float32')
    """
    spec = _spec(pipeline, input, output)
    if spec.is_batch:
        from tileconv.execute.batch import run_batch  # which a run of one image does without

        return run_batch(spec, overwrite=overwrite, keep_going=keep_going, repair=repair, progress=progress)
    plan, source = planned(spec)
    return run_plan(plan, source, overwrite=overwrite, keep_going=keep_going, repair=repair, progress=progress)


def lazy(pipeline: Pipeline, image: Any = None) -> Any:
    """Return what *pipeline* makes as a lazy Dask array: the pixels that ``run`` would store, to the last bit.

    Nothing is read or computed before Dask is asked to, and then only what the chunks asked for need. The stages of a
    pass are one ``map_overlap`` over the image's chunks; where the image is a file, each chunk reads its own halo.

    Parameters
    ----------
    pipeline
        The path of a pipeline file, or the same as a mapping, whose paths are relative to the current folder. Nothing
        is written to its output.
    image
        A NumPy or Dask array, or an xarray.DataArray of one, in place of ``input.path``, which need not be there. The
        axes of arrays are the last of ``tczyx`` unless ``input.axes`` names them; a DataArray names its own.

    Returns
    -------
    dask.array.Array or xarray.DataArray
        Axes in the order ``tczyx``, as ``run`` stores them; a DataArray where *image* is one, with its labels and its
        order of axes. Of ``outputs`` a dict of them, by name. Chunks are those of a Dask array, merged where they are
        smaller than a halo, and else the tiles of the plan: ``run.tile``.

    Raises
    ------
    SpecError, SourceError, PlanError
        If the pipeline is wrong, the input is no image, or the job cannot be done as asked.

    Examples
    --------
    >>> import numpy as np
    >>> pipeline = {
    ...     "version": 1,
    ...     "stages": [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}],
    ...     "output": {"path": "edges.ome.zarr"},
    ... }
    >>> edges = lazy(pipeline, np.eye(64, dtype=np.uint8))
    >>> edges.name.rpartition("-")[0], edges.dtype, edges[:8, :8].compute(scheduler="synchronous").shape
    ('gaussian-sobel', dtype('float32'), (8, 8))
    """
    if image is not None:
        return _of_image(_spec(pipeline, "image"), image)
    plan, source = planned(_spec(pipeline))
    return _by_label(plan, of_source(source, plan.passes), lambda made, _: made)


def _of_image(spec: PipelineSpec, image: Any) -> Any:
    """Return what the pipeline makes of *image*, lazily."""
    labels = image if is_labelled(image) else None
    array = as_pixels(image if labels is None else labels.data, Missing.of(spec.missing, None))
    has_mask = isinstance(spec.input.mask, MaskSpec)
    if has_mask and is_lazy(array):
        fix = "Make the pixels that it masks NaN, as with dask.array.where."
        raise PlanError("belongs to a file, and the image is given as a Dask array", where="input.mask", fix=fix)
    if not 2 <= array.ndim <= 5:
        raise PlanError(f"expected 2 to 5 axes, found shape {array.shape}", where="image", fix="Give rows and columns.")
    given = spec.input.axes
    found = assumed_axes(array.shape, given, "image") if labels is None else [str(name) for name in labels.dims]
    axes, _ = map_axes(found, array.shape, given, "image")
    order = (*axes.order, *(i for i in range(array.ndim) if i not in axes.order))
    dropped = array.ndim - len(axes.order)
    array = array.transpose(order)[(..., *(0,) * dropped)]
    info = ImageInfo(array.shape, axes.axes, np.dtype(array.dtype).newbyteorder("="), (1,) * array.ndim)
    dims = {} if labels is None else {axis: found[i] for axis, i in zip(axes.axes, axes.order, strict=True)}
    info = replace(info, channels=channel_names(labels, dims.get("c")))
    info = info if labels is None else replace(info, **scale_of(labels, [dims[axis] for axis in axes.axes]))
    picks = picks_of(info, spec.input)
    source = part_of(masked(MemorySource(array, axes.axes), spec), spec.input) if has_mask else None
    for axis, picked in picks.items():
        array = array[(slice(None),) * axes.axes.index(axis) + (list(picked),)]
    plan = _plan_of_whole(spec, source.info if source else info_of(info, picks))
    region = {axis: slice(*ends) for axis, ends in (spec.input.region or {}).items() if axis in SPACE}

    def relabelled(made: Any, nodata: float | None) -> Any:
        made = made[(..., *(region.get(axis, slice(None)) for axis in axes.axes))]
        if labels is None:
            return made
        parts = {axis: list(picked) for axis, picked in picks.items()} | region
        moved = labels.isel({dims[axis]: part for axis, part in parts.items()})
        moved = moved.transpose(*(labels.dims[i] for i in order))
        if made.ndim > len(axes.axes):  # with channels that the image has not
            made = np.moveaxis(made, axes.axes.count("t"), 0)
        return with_labels(made[(..., *(None,) * dropped)], moved, nodata).transpose(..., *labels.dims)

    made = of_source(source, plan.passes) if source else of_array(array, plan.passes)
    return _by_label(plan, made, relabelled)


def _plan_of_whole(spec: PipelineSpec, info: ImageInfo) -> Plan:
    """Return the plan on an array without the region, which is cut out of what is made; refused as with it."""
    spec, machine = replace(spec, input=replace(spec.input, path=Location("image"))), this_machine(user_costs())
    plan = make_plan(spec, info, machine)
    return (
        make_plan(replace(spec, input=replace(spec.input, region=None)), info, machine) if spec.input.region else plan
    )


def _by_label(plan: Plan, arrays: Mapping[int, Any], shown: Callable[[Any, float | None], Any]) -> Any:
    """Return the outputs among *arrays*, of ``output`` the one, of ``outputs`` all by name.

    Each is as *shown* makes it, which gets its nodata value too.
    """
    outputs = {
        one.label: shown(arrays[plan.between + number], plan.write_of(number).info.nodata)
        for number, one in enumerate(plan.spec.outputs)
    }
    return outputs.get("", outputs)


def _spec(pipeline: Pipeline, input: Paths | None = None, output: str | Path | None = None) -> PipelineSpec:
    """Return the checked pipeline, with other paths of its input and its output if such are given."""
    if isinstance(pipeline, PipelineSpec):
        if input is None and output is None:
            return pipeline
        pipeline = as_mapping(pipeline)
    if isinstance(pipeline, str | Path):
        return load_spec(pipeline, input_path=input, output_path=output)
    return spec_from_mapping(pipeline, input_path=input, output_path=output)
