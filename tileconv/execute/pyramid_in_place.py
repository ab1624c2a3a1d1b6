"""Where levels are added: arrays that are new, what is left of their tiles, and how a store says that they are there.

Metadata of the image change in one step, when all pixels are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tileconv.boxes import TileGrid, number_of
from tileconv.errors import SinkError
from tileconv.images import DECODED_CACHE_BYTES, ImageInfo
from tileconv.planning.encoding import encoded
from tileconv.planning.memory import encoding_bytes
from tileconv.planning.pyramid import bytes_alone, levels_of, tiles_of_levels, words_of
from tileconv.record.done import facts_of, recorded_plan, recorded_store, tiles_of
from tileconv.record.folder import RunFolder
from tileconv.record.journal import BEGIN, DONE, Event, History, TileKey
from tileconv.record.levels import all_done, each_level, levels_left
from tileconv.record.segments import journal
from tileconv.sinks.custody import json_object, write_grid_mappings, write_metadata
from tileconv.sinks.files import sink_errors
from tileconv.sinks.layout import MARKER, Layout
from tileconv.sinks.levels import Level
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.open import open_source
from tileconv.spec.model import OutputSpec
from tileconv.spec.pyramid import PyramidSpec
from tileconv.storage import CODECS, Storage
from tileconv.stores.location import Location
from tileconv.stores.steady import PIECE, TEMPORARY
from tileconv.stores.store import Store
from tileconv.tiles.levels import Below, LevelJob, Stored
from tileconv.tiles.windows import Receipt

MADE = {MARKER: {"complete": True}}
"""What a level of another program's image says of itself once it is whole: until it is named it may be made anew."""
Todo = Sequence[tuple[LevelJob, Sequence[int]]]


class Adding(NamedTuple):
    """What is added to a store, of which nothing is written before ``begin``.

    Shapes of all levels, how many are new, tiles to make, the bytes that are held beside them, who hears of each tile,
    and what is done once all are there.
    """

    shapes: Sequence[tuple[int, ...]]
    added: int
    todo: Todo
    held: int
    begin: Callable[[], None]
    heard: Callable[[LevelJob, Receipt], None]
    finish: Callable[[], None]


def wanted(info: ImageInfo, storage: Storage, asked: PyramidSpec, there: int, place: Location) -> tuple[Level, ...]:
    """Return the levels to add over *info*, the smallest of *there* that are there."""
    levels = asked.levels if asked.levels == "auto" else max(1, asked.levels - there + 1)
    return levels_of(info, storage, OutputSpec(place, pyramid=replace(asked, levels=levels)))


@contextmanager
def of_result(folder: RunFolder, asked: PyramidSpec) -> Iterator[Adding]:
    """Yield what is added to a result with a record, which is not done until all is there; the caller holds its lock.

    Raises
    ------
    SinkError
        If it is not complete.
    """
    plan, sink, grids, more = _with_levels(folder, asked)
    layout, last = sink.layout, len(plan["grids"]) - 1
    history = History.of(folder.store, tiles_of(folder, plan))
    left = levels_left(sink, grids[0], history, last, np.zeros(len(grids[0]), bool))
    each = [*each_level(layout, grids[0])]
    jobs = [_job(Stored(sink.at(one.number - 1)), one.level, sink.at(one.number), one.tiles.grid) for one in each]
    with journal(folder.place) as lines:

        def begin() -> None:
            """Write that levels belong to a result, which is not done any more: first their arrays, then the record."""
            if folder.done() and not any(left) and _named(sink):
                return
            folder.unset_done()
            folder.tidy()
            sink.custody.tidy()
            with sink_errors(sink.store.where()):
                for of in layout.each[len(layout.each) - len(more) :]:
                    for key, said in of.array_metadata({}).items():
                        write_metadata(sink.store, key, said)
            folder.write_plan(plan)
            lines.append(Event(BEGIN))

        def heard(job: LevelJob, receipt: Receipt) -> None:
            key = TileKey(last, job.level, number_of(job.grid, receipt.tile))
            lines.append(event := Event(DONE, key, receipt.digests[0], history.attempts(key) + 1, receipt.seconds))
            history.add(event)

        def finish() -> None:
            if all_done(history, last, len(layout.levels)) and not folder.done():
                _complete(sink)
                folder.set_done(facts_of(folder, sink, sink.custody.marker().get("fingerprint", "")))

        todo = [(job, tiles) for job, tiles in zip(jobs, left, strict=True) if tiles]
        yield Adding([of.info.shape for of in layout.each], len(more), todo, 0, begin, heard, finish)


def _with_levels(
    folder: RunFolder, asked: PyramidSpec
) -> tuple[dict[str, Any], ZarrSink, Sequence[TileGrid], Sequence[Level]]:
    """Return the record of a complete result, its sink and its grids as they are with the levels that are added."""
    plan = recorded_plan(folder)
    sink, grids = recorded_store(folder, plan)
    layout = sink.layout
    if not sink.custody.complete() or folder.repairing():
        fix = "Finish it first: give the command of its run."
        raise SinkError("is not complete", where=str(folder.output), why="levels are made of complete images", fix=fix)
    smallest = layout.each[-1]
    more = wanted(smallest.info, smallest.storage, asked, len(layout.each), folder.output)
    layout = replace(layout, levels=(*layout.levels, *more))
    sink = ZarrSink(sink.store, layout)
    plan["identity"]["output"] |= {"levels": encoded(layout.levels)} if layout.levels else {}
    tiles = tiles_of_levels(layout.levels, grids[0])
    plan["grids"][-1]["levels"] = [{"tile": [*of.grid.tile], "tiles": len(of.grid)} for of in tiles]
    return plan, sink, grids, more


def _job(below: Below, level: Level, sink: ZarrSink, grid: TileGrid) -> LevelJob:
    """Return the job of a level in tiles of *grid*, with what one takes: it is read and made, and stored or decoded."""
    storage, chunk, of = level.storage, prod(level.info.chunks) * level.info.dtype.itemsize, below.info
    gathered = 2 * prod(storage.unit(level.info.chunks)) * level.info.dtype.itemsize * ("://" in sink.store.where())
    coded = max(encoding_bytes(storage, chunk) + gathered, 2 * prod(of.chunks) * of.dtype.itemsize + PIECE)
    return LevelJob(below, level.shrink, sink, grid, tile_bytes=bytes_alone(level, grid, of.shape) + coded)


def _complete(sink: ZarrSink) -> None:
    """Let the image say that its levels are there; its provenance makes them again."""
    told = {key: value for key, value in sink.custody.marker().items() if key != "complete"}
    if isinstance(told.get("spec"), dict):
        told["spec"]["output"]["pyramid"] = words_of(sink.layout.levels)
    sink.finish(told, name=_image(sink).get("name", ""))


def _named(sink: ZarrSink) -> bool:
    """Return whether the image names all levels of its record: a call may have died just before it was to."""
    return len(_image(sink).get("datasets", ())) == len(sink.layout.each)


def _image(sink: ZarrSink) -> dict[str, Any]:
    said = json_object(sink.store, "zarr.json").get("attributes", {}).get("ome") or json_object(sink.store, ".zattrs")
    image: dict[str, Any] = said.get("multiscales", [{}])[0]
    return image


@contextmanager
def of_any(folder: RunFolder, asked: PyramidSpec) -> Iterator[Adding]:
    """Yield what is added to an OME-Zarr image of any program; what an earlier call left unlisted is made anew.

    There is no record of it beside the image, and none is begun: the caller holds its lock.

    Raises
    ------
    SinkError
        If nothing can be added to it where it lies.
    """
    place = folder.output
    store = place.store()
    group = _Group.of(store, place)
    datasets = group.image["datasets"]
    source = open_source(place, level=len(datasets) - 1)
    if [axis.get("name") for axis in group.image.get("axes", [{}])] != [*source.info.axes]:
        raise no_place(place, "its axes are not t, c, z, y and x in this order, or have no names")
    storage = replace(Storage(format=group.format), **_as_stored(store, datasets[-1]["path"], group.format))
    levels = wanted(source.info, storage, asked, len(datasets), place)
    first = max((int(of["path"]) for of in datasets if str(of["path"]).isdigit()), default=len(datasets) - 1) + 1
    sinks = [
        ZarrSink(store, Layout(level.info, storage=level.storage, level=number))
        for number, level in enumerate(levels, start=first)
    ]
    below: Below = source
    todo = []
    for sink, level in zip(sinks, levels, strict=True):
        grid = TileGrid(level.info.box, level.storage.unit(level.info.chunks))
        todo.append((_job(below, level, sink, grid), range(len(grid))))
        below = Stored(sink)
    there = [open_source(place, level=number).info.shape for number in range(len(datasets))]
    shapes = [*there, *(sink.layout.info.shape for sink in sinks)]

    def begin() -> None:
        with sink_errors(store.where()):
            for name in filter(TEMPORARY.fullmatch, store.names()):  # of a call that was killed
                store.delete(name)
            for sink in sinks:
                _begin(store, sink, place)

    def finish() -> None:
        with sink_errors(store.where()):
            for sink in sinks:
                for key, said in sink.layout.array_metadata(MADE).items():
                    write_metadata(store, key, said)
            write_grid_mappings(store, [sink.layout for sink in sinks])
            group.list_levels(sinks, levels)

    held = source.cache_bytes + DECODED_CACHE_BYTES
    yield Adding(shapes, len(levels), todo, held, begin, lambda *_: None, finish)


def _begin(store: Store, sink: ZarrSink, place: Location) -> None:
    """Make the array of a level anew, marked as ours from its first file on; what another program left is refused."""
    key = sink.layout.array_key()
    if any(not TEMPORARY.fullmatch(name.rpartition("/")[2]) for name in store.list(key)):
        said = json_object(store, f"{key}zarr.json").get("attributes") or json_object(store, f"{key}.zattrs")
        if MARKER not in said:
            raise no_place(place, f"holds {key.rstrip('/')!r} already, which is none of its levels")
    for name in sorted(store.names(key), key=lambda name: key + name == sink.layout.metadata_key):  # the mark last
        store.delete(key + name)
    for name, said in reversed(sink.layout.array_metadata(sink.custody.unfinished).items()):
        write_metadata(store, name, said)


def _as_stored(store: Store, path: str, format: str) -> dict[str, Any]:
    """Return the codec of an array where it is one of ours, and whether chunks have a checksum."""
    if format == "0.4":
        return {"checksum": "none"}
    codecs = json_object(store, f"{path}/zarr.json").get("codecs", ())
    inner = next((c["configuration"]["codecs"] for c in codecs if c.get("name") == "sharding_indexed"), codecs)
    names = [codec.get("name") for codec in inner]
    codec = next((CODECS[name] for name in names if name in CODECS), CODECS["blosc"])
    return {"checksum": "crc32c" if "crc32c" in names else "none", "codec": codec}


class _Group(NamedTuple):
    """The metadata of an OME-Zarr group in *store*: the file *key*, what it says, and the image in it."""

    store: Store
    key: str
    said: dict[str, Any]
    image: dict[str, Any]

    @property
    def format(self) -> Any:
        """The version of OME-Zarr."""
        return "0.5" if self.key == "zarr.json" else "0.4"

    @classmethod
    def of(cls, store: Store, place: Location) -> _Group:
        for key in ("zarr.json", ".zattrs"):
            said = json_object(store, key)
            attributes = said.get("attributes", {}).get("ome", {}) if key == "zarr.json" else said
            images = attributes.get("multiscales")
            if images:
                if len(images) > 1:
                    raise no_place(place, f"holds {len(images)} images in one group")
                return cls(store, key, said, images[0])
        raise no_place(place, "is no OME-Zarr image, which alone can say that levels lie beside it")

    def list_levels(self, sinks: Sequence[ZarrSink], levels: Sequence[Level]) -> None:
        """Write that the arrays of *sinks* are levels, by the transforms of the last that there is."""
        transforms = {t["type"]: t[t["type"]] for t in self.image["datasets"][-1].get("coordinateTransformations", ())}
        scale = transforms.get("scale", [1.0] * len(levels[0].shrink.factor)) if levels else []
        place = transforms.get("translation", [0.0] * len(scale))
        for sink, level in zip(sinks, levels, strict=True):
            place = [p + s * at for p, s, at in zip(place, scale, level.shrink.first, strict=True)]
            scale = [s * f for s, f in zip(scale, level.shrink.factor, strict=True)]
            said = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": place}]
            path = sink.layout.array_key().rstrip("/")
            self.image["datasets"].append({"path": path, "coordinateTransformations": said[: 1 + any(place)]})
        arrays = dict[str, dict[str, Any]]()
        for sink in sinks:
            arrays |= sink.layout.array_metadata(MADE) | sink.layout.grid_mapping_metadata()
        gathered = self.said.get("consolidated_metadata")
        if gathered and "metadata" in gathered:
            gathered["metadata"] |= {name.removesuffix("/zarr.json"): said for name, said in arrays.items()}
        write_metadata(self.store, self.key, self.said)
        if (old := json_object(self.store, ".zmetadata")) and self.key == ".zattrs":
            old["metadata"] |= arrays | {".zattrs": self.said}
            write_metadata(self.store, ".zmetadata", old)


def no_place(place: Location, problem: str) -> SinkError:
    """Return the error of an image whose levels cannot lie beside it."""
    fix = f"Write a new store: tileconv pyramid {place} -o NEW.ome.zarr."
    return SinkError(problem, where=str(place), fix=fix)
