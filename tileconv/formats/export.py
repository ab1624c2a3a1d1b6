"""A finished store as one file, by the suffix of that: OME-TIFF, TIFF (GeoTIFF and COG), PNG or NumPy's own.

The file is written under a temporary name and takes its own when it is whole. What an export that was killed left
under temporary names goes with the next one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

from tileconv.formats.encode import Encoding
from tileconv.formats.front import ascii_text
from tileconv.formats.geotiff import described, missing, placed
from tileconv.formats.levels import more_levels, stored_levels
from tileconv.formats.ome_xml import knows, ome_xml
from tileconv.formats.small import write_npy, write_png
from tileconv.formats.tiff import Tiff, write_tiff
from tileconv.georeference import NOWHERE
from tileconv.images import ImageInfo
from tileconv.planning.files import TILE, check_file, file_memory, samples_in, samples_of
from tileconv.planning.machine import Allowance
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.provenance import version
from tileconv.shown import Shown, size_text
from tileconv.sinks.files import replacing
from tileconv.sinks.layout import MARKER
from tileconv.sources.folders import attributes_of
from tileconv.sources.source import Source
from tileconv.storage import NPY, OF_KIND, OME_TIFF, PNG, TIFF, file_kind
from tileconv.stores import steady
from tileconv.stores.anywhere import place_of
from tileconv.stores.location import Location, stem

DESCRIPTION, SOFTWARE = 270, 305


@dataclass(frozen=True)
class Choices:
    """How a file is written: its codec, None for the usual one, and how hard that tries, or its quality."""

    codec: str | None = None
    level: int | None = None

    def of(self, kind: str) -> str:
        """Return the codec of a file of *kind*."""
        return self.codec or OF_KIND[kind][0]


@dataclass(frozen=True)
class Exported(Shown):
    """A file that was written: where, what it holds, how many levels, its bytes, and what a reader should know.

    ``predicted_bytes`` are those of memory that writing it took at most.
    """

    output: str
    shape: tuple[int, ...]
    dtype: str
    levels: int
    bytes: int
    seconds: float
    predicted_bytes: int
    notes: tuple[str, ...] = ()

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        return {
            "output": f"{self.output}: {self._image}",
            "size": size_text(self.bytes),
            "time": f"{self.seconds:.1f} s",
            "memory": f"{size_text(self.predicted_bytes)} predicted",
            "notes": "; ".join(self.notes),
        }

    def __str__(self) -> str:
        size, memory = size_text(self.bytes), size_text(self.predicted_bytes)
        made = f"{self._image}, {size}, {self.seconds:.1f} s, at most {memory} of memory"
        return "\n".join([self.output, made, *self.notes])

    @property
    def _image(self) -> str:
        levels = f", {self.levels} levels" * (self.levels > 1)
        return f"{' x '.join(map(str, self.shape))} {self.dtype}{levels}"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def export_store(
    store: Location,
    output: Path,
    choices: Choices,
    workers: int,
    stop: Event,
    progress: Progress,
    *,
    allowed: Allowance,
    series: int = 0,
) -> Exported:
    """Write the image at *store* to *output*, whose suffix says of which kind, over what lies there.

    As many of *workers* threads write it as stay within the memory *allowed*.

    Raises
    ------
    PlanError, SinkError
        If that kind of file does not hold such an image, one thread takes too much, or the file system refuses.
    SourceError
        If the image cannot be read.
    Interrupted
        If *stop* is set before the end.
    """
    began, kind, acquired = time.perf_counter(), file_kind(output.name), ""
    levels, told = stored_levels(store, series), attributes_of(place_of(store))
    info, provenance = levels[0].info, _provenance(told)
    check_file(info, kind, choices.of(kind), str(output))
    memory = file_memory(info, kind, choices.of(kind), workers, allowed, levels[0].cache_bytes)
    workers = memory.threads
    with replacing(output) as temporary:
        _tidy(output)
        if kind in (PNG, NPY):
            words = (temporary, levels[0], workers, stop, progress)
            count, made = write_png(*words, provenance) if kind == PNG else write_npy(*words), 1
        else:
            acquired = levels[0].acquired() if kind == OME_TIFF else ""
            tiff = _tiff(info, choices, kind, provenance, _name(told, series, store), acquired)
            beside = steady.temporary_name(output)
            try:
                sources = more_levels(levels, TILE, beside, workers, stop)
                count = _write_tiff(temporary, tiff, sources, workers, stop, progress)
            finally:
                steady.remove(beside)
            made = len(sources)
    seconds, notes = time.perf_counter() - began, _notes(info, kind, acquired)
    return Exported(str(output), info.shape, str(info.dtype), made, count, seconds, memory.peak_bytes, notes)


def _write_tiff(path: Path, tiff: Tiff, levels: Sequence[Source], workers: int, stop: Event, progress: Progress) -> int:
    """Write *tiff* with all its *levels*, and return its bytes."""
    tiff = replace(tiff, levels=tuple(source.info for source in levels))
    blocks = [tiff.blocks(number) for number in range(len(levels))]
    progress.begin(sum(map(len, blocks)), sum(grid.image.size for grid in blocks))
    return write_tiff(path, tiff, levels, workers, stop, progress)


def _tiff(info: ImageInfo, choices: Choices, kind: str, provenance: str, name: str, acquired: str) -> Tiff:
    """Return the file of an image without its levels."""
    colours, creator = samples_of(info), f"tileconv {version('tileconv')}"
    first, ome, samples = {SOFTWARE: ascii_text(creator)}, kind == OME_TIFF, samples_in(info, kind)
    encoding = Encoding(info.dtype, samples, min(colours, 3), choices.of(kind), choices.level, info.alpha)
    if ome:
        words = {"name": name, "creator": creator, "provenance": provenance, "acquired": acquired}
        first[DESCRIPTION] = ascii_text(ome_xml(info, samples=samples, **words))
    else:
        first |= placed(info.georeference) | described(info.channels if colours == 1 else (), provenance)
    return Tiff((info,), encoding, TILE, ome, first, missing(info.nodata))


def _provenance(told: Mapping[str, Any]) -> str:
    """Return what a store says of how it was made, as JSON; empty where it says nothing."""
    said = {key: value for key, value in (told.get(MARKER) or {}).items() if key != "complete"}
    return json.dumps(said) if said else ""


def _name(told: Mapping[str, Any], series: int, store: Location) -> str:
    """Return what viewers call the image."""
    images = told.get("multiscales")
    return str((images[series].get("name") if images else "") or stem(str(store)))


def _notes(info: ImageInfo, kind: str, acquired: str) -> tuple[str, ...]:
    """Return what a file of *kind* does not carry of *info*, and of how the image was *acquired*."""
    coloured = kind == TIFF and "c" in info.axes and any(info.colours) and samples_of(info) == 1
    lost = {
        "an OME-TIFF does not say where it lies on the earth; a .tif does": kind == OME_TIFF
        and info.georeference != NOWHERE,
        "a TIFF does not carry the colours of channels; an .ome.tif does": coloured,
        "how the image was acquired is told in an older schema of OME-XML, and is not carried": acquired
        and not knows(acquired),
    }
    return tuple(note for note, told in lost.items() if told)


def _tidy(output: Path) -> None:
    """Remove what exports to *output* that were killed left beside it."""
    for entry in steady.entries(output.parent):
        if entry.name.startswith(f".{output.name}.") and steady.TEMPORARY.fullmatch(entry.name):
            steady.remove(Path(entry.path))
