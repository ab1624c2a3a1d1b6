"""The levels of an image that is exported: those that it has, and below them halves that are made beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from tileconv.boxes import Box, TileGrid
from tileconv.formats.stream import in_order
from tileconv.images import ImageInfo
from tileconv.operations.shrink import LABELS, Shrink
from tileconv.planning.files import LEVEL_CHUNK
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.folders import attributes_of
from tileconv.sources.open import open_source
from tileconv.sources.source import Source
from tileconv.stores.anywhere import place_of
from tileconv.stores.local import LocalStore
from tileconv.stores.location import Location


def stored_levels(place: Location, series: int) -> list[Source]:
    """Return the image at *place*, and those of its levels that are halves, along y and x alone, of those before."""
    image = open_source(place, series=series)
    told = attributes_of(place_of(place)).get("multiscales")
    count = len(told[series]["datasets"]) if told else 1
    levels = [image]
    for number in range(1, count):
        level = open_source(place, series=series, level=number)
        above = levels[-1].info
        if level.info.shape != half(above).shape(above.shape) or level.info.dtype != above.dtype:
            break
        levels.append(level)
    return levels


def half(info: ImageInfo) -> Shrink:
    """Return how the level below *info* is made that is half as large along y and x; of labels there is no mean."""
    return Shrink(LABELS if info.labels else "mean", tuple(2 if axis in "yx" else 1 for axis in info.axes))


def more_levels(levels: Sequence[Source], least: int, folder: Path, workers: int, stop: Event) -> list[Source]:
    """Return *levels*, and others in *folder* below them, until one has at most *least* pixels along y and x.

    Raises
    ------
    Interrupted
        If *stop* is set before the end.
    SourceError, SinkError
        If pixels cannot be read, or the file system refuses.
    """
    made, shrink = [*levels], half(levels[0].info)
    while max(made[-1].info.shape[-2:]) > least:
        made.append(_halved(made[-1], shrink, folder / str(len(made)), workers, stop))
    return made


def _halved(above: Source, shrink: Shrink, folder: Path, workers: int, stop: Event) -> Source:
    """Write the level that *shrink* makes of *above* as a bare array to *folder*, and return it."""
    shape = shrink.shape(above.info.shape)
    chunks = tuple(min(n, LEVEL_CHUNK) if axis in "yx" else 1 for axis, n in zip(above.info.axes, shape, strict=True))
    info = replace(above.info, shape=shape, chunks=chunks)
    sink = ZarrSink(LocalStore(folder), Layout(info, plain=True))
    sink.create()
    for _ in in_order(partial(_shrunk, above, shrink, sink), TileGrid(info.box, info.chunks), workers, stop):
        pass
    sink.finish({})
    return open_source(folder, axes=info.axes, missing_chunks="error")


def _shrunk(above: Source, shrink: Shrink, sink: ZarrSink, box: Box) -> None:
    pixels = above.read(shrink.needed(box, above.info.shape))
    sink.writer.write(box, shrink.make(pixels, box, above.info.nodata))
