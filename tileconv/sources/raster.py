"""``.npy`` arrays by memory map, PNG and JPEG decoded whole."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from tileconv.boxes import Box, default_axes
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import OPEN_FILES, Cache
from tileconv.sources.source import Pixels, check_unchanged, fingerprint_of, pixel_type, reading

PIXEL_LIMIT = 178_956_970
"""Rows times columns of the largest PNG or JPEG that is decoded: the size at which Pillow suspects an attack."""

_MAPS: Cache[Pixels] = Cache(OPEN_FILES)
_DECODED: Cache[Pixels] = Cache(2)
_DECODING = threading.Lock()


class _WholeFile:
    """What ``.npy`` and pictures share: one array, in the file's own order of axes, that windows are copied from."""

    cache_bytes = 0

    def __init__(self, path: Path, axes: str | None) -> None:
        self._path, self.where = path, str(path)
        self.fingerprint = fingerprint_of(path)
        self._axes = axes

    def _describe(self, array_shape: tuple[int, ...], found: str, dtype: np.dtype[np.generic], *notes: str) -> None:
        self._map, guessed = map_axes(found, array_shape, self._axes, self.where)
        shape = self._map.of_file(array_shape)
        whole = isinstance(self, PictureSource)
        row = tuple(n if axis == "x" else 1 for n, axis in zip(shape, self._map.axes, strict=True))
        self.info = ImageInfo(
            shape,
            self._map.axes,
            pixel_type(dtype, self.where),
            shape if whole else row,
            compressed=whole,
            notes=(*notes, *guessed),
        )

    def _array(self) -> Pixels:
        raise NotImplementedError

    def read(self, box: Box) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        check_unchanged(self._path, self.fingerprint)
        part = self._map.canonical(self._array()[self._map.window(box)])
        return np.array(part, self.info.dtype, order="C")

    def missing_chunks_total(self) -> tuple[int, int]:
        """Nothing is missing: the file is one chunk."""
        return 0, 1


class NpySource(_WholeFile):
    """A ``.npy`` file, mapped into memory; its axes are the last of ``tczyx`` unless *axes* names them."""

    def __init__(self, path: Path, *, axes: str | None = None) -> None:
        super().__init__(path, axes)
        array = self._array()
        if not 2 <= array.ndim <= 5:
            raise SourceError(f"expected 2 to 5 axes, found shape {array.shape}", where=self.where)
        guess = () if axes or array.ndim == 2 else (f"the file names no axes: {default_axes(array.ndim)} is assumed",)
        self._describe(array.shape, default_axes(array.ndim), array.dtype, *guess)

    def _array(self) -> Pixels:
        def load() -> Pixels:
            with reading(self.where, "opening as .npy"):
                mapped: Pixels = np.load(self._path, mmap_mode="r", allow_pickle=False)
                return mapped

        return _MAPS.get((self._path, self.fingerprint["mtime_ns"], self.fingerprint["size"]), load)


class PictureSource(_WholeFile):
    """A PNG or JPEG file of at most *pixel_limit* pixels: gray or RGB, with alpha or without; decoded whole, once.

    A palette is applied. PNG of 16 bits keeps them.
    """

    def __init__(self, path: Path, *, axes: str | None = None, pixel_limit: int = PIXEL_LIMIT) -> None:
        super().__init__(path, axes)
        with reading(self.where, "opening as a picture"), _DECODING, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as picture:
                size, mode = picture.size, picture.mode
                # Pillow decodes a whole PNG to look for tags behind the pixels
                turned = picture.getexif().get(274, 1) if picture.format == "JPEG" else 1
                self._palette = None
                if mode in ("P", "PA"):
                    self._palette = "RGBA" if mode == "PA" or "transparency" in picture.info else "RGB"
        with path.open("rb") as file:
            header = file.read(26)
        self._deep = header[:4] == b"\x89PNG" and header[24] == 16
        if size[0] * size[1] > pixel_limit:
            raise SourceError(
                f"the picture has {size[0]} x {size[1]} px, the limit is {pixel_limit} px",
                where=self.where,
                why="PNG and JPEG are decoded whole",
                fix="Convert it to a tiled TIFF.",
            )
        if self._deep:
            channels = {0: 1, 2: 3, 4: 2, 6: 4}[header[25]]
        elif mode in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
            channels = len(self._palette or mode)
        else:
            raise SourceError(f"expected gray, RGB or a palette, found mode {mode}", where=self.where)
        shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
        notes = [f"the palette is applied: pixels are {self._palette}"] if self._palette else []
        if turned != 1:
            notes.append(f"the orientation tag {turned} is ignored; rows and columns are taken as stored")
        self._describe(shape, "yxc"[: len(shape)], np.dtype(np.uint16 if self._deep else np.uint8), *notes)
        self._shape = shape
        self.cache_bytes = self.info.nbytes

    def _array(self) -> Pixels:
        key = (self._path, self.fingerprint["mtime_ns"], self.fingerprint["size"])
        with _DECODING:
            return _DECODED.get(key, self._decode)

    def _decode(self) -> Pixels:
        with reading(self.where, "decoding"), warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            pixels: Pixels
            if self._deep:
                pixels = imagecodecs.png_decode(self._path.read_bytes())
            else:
                with Image.open(self._path, formats=("PNG", "JPEG")) as picture:
                    pixels = np.asarray(picture.convert(self._palette) if self._palette else picture)
        if pixels.shape != self._shape:
            raise SourceError(f"expected shape {self._shape}, decoded to {pixels.shape}", where=self.where)
        return pixels
