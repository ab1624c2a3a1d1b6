"""A Zarr store, written one tile at a time: OME-Zarr for results, a bare array for intermediates.

Every object of pixels is written whole, once, in one step; every chunk of a finished store is present, so one that is
missing was lost. What says that it is an image comes last: a store without it is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import PurePosixPath
from typing import Any

from tileconv.errors import SinkError
from tileconv.images import alpha_of
from tileconv.quick import dataclass
from tileconv.sinks.acquired import write_acquisition
from tileconv.sinks.contrast import Samples
from tileconv.sinks.custody import Custody, write_grid_mappings, write_metadata
from tileconv.sinks.files import sink_errors
from tileconv.sinks.layout import MARKER, Layout
from tileconv.sinks.ome import ome_attributes
from tileconv.sinks.writer import Writer
from tileconv.stores.store import Store

FETCHING = 3
"""Chunks of an object store that are fetched at one time for each worker: each is held twice, as stored and decoded,
and a tile took more than six of them."""


@dataclass(frozen=True)
class ZarrSink:
    """The recipe of an output: where it lies and how. It holds no open file, so it crosses to other processes.

    *shown* takes what is written of the pixels that viewers' windows come from, and saves reading them.
    """

    store: Store
    layout: Layout
    shown: Samples | None = field(default=None, compare=False)

    @property
    def writer(self) -> Writer:
        """Who writes its tiles."""
        return Writer(self.store, self.layout, self.shown)

    @property
    def custody(self) -> Custody:
        """Who says whose it is, and what of it is there."""
        return Custody(self.store, self.layout)

    def at(self, level: int) -> ZarrSink:
        """Return the recipe of a level alone; 0 is the full size."""
        if not level:
            return replace(self, layout=self.layout.at(0)) if self.layout.levels else self
        return ZarrSink(self.store, self.layout.at(level))

    @property
    def name(self) -> str:
        """The last name of its place."""
        return PurePosixPath(self.store.where()).name

    @property
    def written(self) -> str:
        """The folder below which its tiles are written."""
        return self.store.where(self.layout.array_key().rstrip("/"))

    def create(self, *, overwrite: bool = False) -> None:
        """Make the store with no chunk in it; only one process does this, before any write.

        Raises
        ------
        SinkError
            If anything is there, unless tileconv made all of it and *overwrite* is set; if the axes do
            not suit OME-Zarr; or if the file system refuses.
        """
        if not self.layout.plain:
            ome_attributes(self.layout.info, name="")  # refuses now what finish would refuse after the work
        with sink_errors(self.store.where()):
            self.custody.check_free(overwrite=overwrite)
            self.custody.clear()
        self.rebuild()

    def rebuild(self) -> None:
        """Write the metadata anew, as ``create`` does, around the chunks that are there.

        The caller knows that the store is ours. SinkError if the file system refuses.
        """
        with sink_errors(self.store.where()):
            for key, said in self.layout.metadata(self.custody.unfinished).items():
                write_metadata(self.store, key, said)

    def finish(self, provenance: Mapping[str, object], *, name: str = "", workers: int = 1, acquired: str = "") -> None:
        """Make the store a complete image: say so, and write *provenance* (JSON) under ``tileconv``.

        Some chunks that are not known yet are read by *workers* threads for what viewers show at first. *name* is for
        these, by default that of the store. *acquired* is OME-XML, as ``Source.acquired`` returns it.

        Raises
        ------
        SinkError
            If chunks are missing or damaged, or the file system refuses.
        """
        with sink_errors(self.store.where()):
            expected = sum(len(layout.units) for layout in self.layout.each)
            if (missing := self.custody.missing()) > 0:
                raise SinkError(f"{missing} of {expected} chunks were never written", where=self.store.where())
            attributes: dict[str, Any] = {MARKER: {**provenance, "complete": True}}
            if not self.layout.plain:
                info, version = self.layout.info, self.layout.storage.format
                attributes[MARKER] |= {"alpha": info.alpha} if info.alpha != alpha_of(info.channels) else {}
                attributes[MARKER] |= {"labels": True} if info.labels else {}
                name = name or self.name.removesuffix(".zarr").removesuffix(".ome")
                threads = FETCHING * workers if "://" in self.store.where() else workers
                shown = (self.shown or Samples(info)).windows(self.writer.read, threads)
                levels = self.layout.levels
                attributes |= ome_attributes(info, levels, name=name, windows=shown, version=version)
                write_acquisition(self.store, self.layout, acquired)
                write_grid_mappings(self.store, self.layout.each)
            self.custody.mark(attributes)

    def finish_part(self) -> None:
        """Let the next pass read an intermediate store of which only some chunks are there."""
        with sink_errors(self.store.where()):
            self.custody.mark({MARKER: {"part": True}})

    def unfinish(self) -> None:
        """Mark the store as not whole, before chunks of it are written anew; SinkError if the file system refuses."""
        with sink_errors(self.store.where()):
            self.custody.mark(self.custody.unfinished)
