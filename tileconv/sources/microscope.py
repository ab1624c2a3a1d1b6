"""Images of microscopes' own formats, read by the readers of bioio, chunk by chunk where these can."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import OPEN_FILES, Cache, decoded
from tileconv.sources.choices import chosen
from tileconv.sources.foreign import absent, quiet
from tileconv.sources.one_file import OneFile
from tileconv.sources.source import (
    Pixels,
    Reads,
    Window,
    cells,
    check_as_opened,
    check_decoded,
    pixel_type,
    reading,
)
from tileconv.stores.anywhere import Place, Remote

_SPATIAL = "zyx"

_OPEN: Cache[Any] = Cache(OPEN_FILES)


class MicroscopeSource(OneFile):
    """A scene of a file that *reader*, a package of bioio, reads.

    Pixel sizes are in micrometres, as bioio has them; axes of length 1 but y and x are left out.
    """

    cache_bytes = 0

    def __init__(self, path: Place, *, reader: str, series: int, level: int, axes: str | None, max_chunk: int) -> None:
        if isinstance(path, Remote):
            raise SourceError("a microscope's file is read from a disk", where=str(path), fix="Copy the file here.")
        super().__init__(path)
        self._reader = reader
        self._series, self._level = series, level
        self.libraries = ("bioio", reader)
        with reading(self.where, f"opening by {reader}"):
            image = self._image()
            with quiet():
                told = chosen("series", series, list(image.scenes), self.where)
                image.set_scene(series)
                told += chosen("level", level, [f"level {n}" for n in image.resolution_levels], self.where)
                whole, pixel, names = image.xarray_dask_data, image.scale, [*map(str, image.channel_names or ())]
                data = self._array()
        self._chunk = tuple(max(lengths) for lengths in data.chunks)
        short = [a.lower() if n > 1 or a in "YX" else "" for a, n in zip(data.dims, data.shape, strict=True)]
        self._map, guessed = map_axes(short, data.shape, axes, self.where)
        stated = {a: getattr(pixel, a.upper(), None) or 0.0 for a in self._map.axes if a in _SPATIAL}
        longer = {a.lower(): n / m for a, n, m in zip(data.dims, whole.shape, data.shape, strict=True)}
        self._dtype = pixel_type(data.dtype, self.where)
        self.info = ImageInfo(
            self._map.of_file(data.shape),
            self._map.axes,
            self._dtype,
            self._map.of_file(self._chunk),
            scale=tuple(float(stated[a]) * longer[a] if stated.get(a, 0) > 0 else 1.0 for a in self._map.axes),
            units=tuple("micrometer" if stated.get(a, 0) > 0 else "" for a in self._map.axes),
            channels=tuple(names) if "c" in self._map.axes else (),
            compressed=True,
            notes=(*told, *guessed),
        )
        what = f"a chunk of {' x '.join(map(str, self._chunk))} px of {reader}"
        size = prod(self._chunk) * self._dtype.itemsize
        check_decoded(what, size, size, max_chunk, self.where)

    def _image(self) -> Any:
        """Return the file as bioio opens it; SourceError where its reader is not installed."""
        try:
            from bioio import BioImage
            from bioio_base.exceptions import UnsupportedFileFormatError
        except ImportError as error:
            raise absent("bioio", f"a file for {self._reader}", "bioio", self.where) from error
        try:
            with quiet():
                return BioImage(self._path)
        except UnsupportedFileFormatError as error:
            raise SourceError("bioio has no reader for it", fix=f"pip install {self._reader}") from error

    def _array(self) -> Any:
        """Return the pixels of the scene as bioio's lazy array."""
        key = (self._path, self._stamp, self._series, self._level)
        return _OPEN.get(key, self._opened)

    def _opened(self) -> Any:
        image = self._image()
        image.set_scene(self._series)
        image.set_resolution_level(self._level)
        return image.xarray_dask_data

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        check_as_opened(self._path, self._stamp)
        block = np.empty(box.shape, self.info.dtype)
        view = self._map.as_in_file(block)
        with reading(self.where, "reading"):
            for index, part, place in cells(self._map.window(box), self._chunk):
                bounds = zip(index, self._chunk, self._map.shape, strict=True)
                window = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in bounds)
                key = (self._path, self._stamp, self._series, self._level, index)
                whole = self._map.of_file(window)
                view[place] = decoded(key, partial(self._decode, window), whole, reads)[part]
        return block

    def _decode(self, window: Window) -> Pixels:
        data = self._array().data[window]
        pixels = np.asarray(data.compute(scheduler="synchronous"), self._dtype)
        if pixels.shape != data.shape:
            raise SourceError(f"expected shape {data.shape}, decoded to {pixels.shape}", fix="Copy the file again.")
        pixels.flags.writeable = False
        return pixels

    def acquired(self) -> str:
        """See ``Source.acquired``: what bioio translates into OME-XML, of those readers that do."""
        from xml.etree import ElementTree

        from tileconv.acquisition import acquisition

        try:
            with quiet():
                text = self._image().ome_metadata.to_xml()
            return acquisition(ElementTree.fromstring(text), self._series)  # noqa: S314  written by a library just now
        except Exception:  # a reader that does not translate, or a file whose words it does not know
            return ""
