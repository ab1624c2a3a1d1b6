"""What lies where a pipeline reads and where it writes, without a plan."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tileconv.errors import PlanError, SinkError
from tileconv.images import ImageInfo
from tileconv.sinks.files import refuse_same, sink_errors
from tileconv.sources.masked import Masked
from tileconv.sources.open import open_source
from tileconv.sources.part import part_of
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec
from tileconv.spec.model import InputSpec, MaskSpec
from tileconv.stores import steady
from tileconv.stores.location import Location


def source_of(spec: PipelineSpec) -> Source:
    """Return the input of a pipeline, opened.

    Raises
    ------
    SourceError
        If there is none, or none that can be read; or the mask is not of the image's pixels.
    PlanError
        If it names several images, or a part that the image does not have.
    """
    file = spec.input
    if spec.is_batch:
        fix = "Give one of them as input, or run them all: tileconv run does."
        raise PlanError("names several images, and this is of one", where=str(file.path), fix=fix)
    opened = partial(
        open_source,
        series=file.series,
        level=file.level,
        axes=file.axes,
        missing_chunks=file.missing_chunks,
        max_chunk=spec.run.max_chunk,
        own_mask=file.mask is None and file.nodata is None,
    )
    if file.stack is None:
        return part_of(masked(opened(file.path), spec), file)
    from tileconv.sources.stacked import stack

    return part_of(masked(stack([opened(plane) for plane in _planes(file)], file.stack, str(file.path)), spec), file)


def masked(image: Source, spec: PipelineSpec) -> Source:
    """Return *image* beside the mask that a pipeline names, or as it is; SourceError as ``source_of``."""
    file, asked = spec.input, spec.input.mask
    if not isinstance(asked, MaskSpec):
        return image
    label = file.path.below(f"labels/{asked.label}")
    place, level = (asked.path, 0) if asked.path else (label, file.level)
    level = level if asked.level is None else asked.level
    mask = open_source(
        place, series=asked.series, level=level, missing_chunks=file.missing_chunks, max_chunk=spec.run.max_chunk
    )
    return Masked(image, mask, asked.inverted)


def _planes(file: InputSpec) -> list[Location]:
    """Return where the planes of a stack lie; none of another image."""
    if file.stack is None:
        return []
    from tileconv.sources.planes import planes_of

    return [replace(file.path, text=path) for path in planes_of(file)]


def read_by(spec: PipelineSpec, source: ImageInfo) -> list[Location]:
    """Return all places that a run on *source* reads, over none of which it may write."""
    masks = [] if source.mask is None else [Location(source.mask.where)]
    return [spec.input.path, *_planes(spec.input), *masks]


def looked(spec: PipelineSpec) -> Iterator[str]:
    """Yield what is found at the input, and at the place of the output, of a pipeline.

    Raises
    ------
    SourceError
        As ``source_of``.
    SinkError
        If the output would destroy the input, or its folder cannot be written to.
    """
    source = source_of(spec)
    shape = " ".join(f"{a}={n}" for a, n in zip(source.info.axes, source.info.shape, strict=True))
    yield f"input    {source.where}: {shape}, {source.info.dtype}"
    if source.info.mask:
        yield f"mask     {source.info.mask}"
    yield from (f"         {note}" for note in source.info.notes)
    for output in (one.path for one in spec.outputs):
        for read in read_by(spec, source.info):
            refuse_same(output, read)
        with sink_errors(output):
            there = output.exists()
            if output.scheme:
                yield f"output   {output}: {_state(there)}"
                continue
            folder = next(place for place in (output.local, *output.local.parents) if steady.exists(place))
            if not steady.is_folder(folder) or not os.access(folder, os.W_OK | os.X_OK):
                raise SinkError(f"{folder} is no folder that can be written to", where=str(output))
        yield f"output   {output}: {_state(there)}"


def _state(there: bool) -> str:
    return "exists: it is resumed if it is of this pipeline, else only --overwrite replaces it" if there else "free"
