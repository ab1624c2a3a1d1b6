"""PNG and JPEG pictures, decoded whole."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import RGB, ImageInfo
from tileconv.sources.axes import map_axes
from tileconv.sources.cache import Cache
from tileconv.sources.notes import ALPHA, beside_notes
from tileconv.sources.one_file import OneFile
from tileconv.sources.picture_notes import jpeg_notes, png_notes
from tileconv.sources.source import (
    CHUNK_LIMIT_BYTES,
    MOST_PER_BYTE,
    Pixels,
    Reads,
    check_as_opened,
    check_decoded,
    reading,
    version_of,
)
from tileconv.sources.tiff_guard import declared
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place, Remote

PIXEL_LIMIT = 178_956_970
"""Rows times columns of the largest PNG or JPEG that is decoded: the size at which Pillow suspects an attack."""

HEADERS = 2**20
"""Bytes of a picture in which its size stands; a JPEG has EXIF and profiles before it."""
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, and the steps of both, of the seven passes of an interlaced PNG."""

_DECODED: Cache[Pixels] = Cache(2)
_DECODING = threading.Lock()


class PictureSource(OneFile):
    """A PNG or JPEG file of at most *pixel_limit* pixels: gray or RGB, with alpha or without; decoded whole, once.

    A palette is applied; one of grays makes a gray image. PNG of 16 bits keeps them.
    """

    libraries = ("pillow",)

    def __init__(
        self,
        path: Place,
        *,
        axes: str | None = None,
        pixel_limit: int = PIXEL_LIMIT,
        max_chunk: int = CHUNK_LIMIT_BYTES,
    ) -> None:
        super().__init__(path)
        with reading(self.where, "opening as a picture"), _DECODING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, and of damaged EXIF
            with anywhere.opened(path, version_of(self._stamp)) as file:
                self._check_size(declared(file.read(HEADERS)), pixel_limit)  # before Pillow, which calls it an attack
            with self._whole() as file:
                with Image.open(file, formats=("PNG", "JPEG")) as picture:
                    size, mode = picture.size, picture.mode
                    frames = getattr(picture, "n_frames", 1)
                    self._check_size(size, pixel_limit)
                    png = picture.format == "PNG"  # whose whole Pillow would decode to look for tags behind the pixels
                    notes = [] if png else jpeg_notes(picture)
                    self._palette = _palette_mode(picture) if mode in ("P", "PA") else None
                file.seek(0)
                header = file.read(26)
                notes += png_notes(file, header[24], palette=self._palette is not None) if png else []
        self._png = header[:4] == b"\x89PNG"
        self._deep = self._png and header[24] == 16
        channels = {0: 1, 2: 3, 4: 2, 6: 4}[header[25]] if self._deep else self._channels(mode)
        shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
        notes += [*beside_notes(path), *self._told(frames, channels)]
        self._map, guessed = map_axes("yxc"[: len(shape)], shape, axes, self.where)
        self._shape, whole = shape, self._map.of_file(shape)
        dtype = np.dtype(np.uint16 if self._deep else np.uint8)
        self.info = ImageInfo(whole, self._map.axes, dtype, whole, compressed=True, notes=(*notes, *guessed))
        if channels > 1 and "c" in self.info.axes:
            names = RGB[:channels] if channels > 2 else ()
            self.info = replace(self.info, channels=names, alpha="straight" if channels in (2, 4) else "")
        self.cache_bytes = self.info.nbytes
        stored = int(self.fingerprint["size"])
        check_decoded(f"a picture of {size[0]} x {size[1]} px", self.info.nbytes, stored, max_chunk, self.where)

    def _told(self, frames: int, channels: int) -> Iterator[str]:
        if frames > 1:
            yield f"the first of {frames} pictures in the file is read"
        if self._palette:
            yield f"the palette is applied: pixels are {'gray' if self._palette[0] == 'L' else 'RGB'}"
        if channels in (2, 4):
            yield ALPHA["straight"]

    def _whole(self) -> BinaryIO:
        """Return the file opened, an object read whole at once: what is told of a picture lies all over it."""
        version = version_of(self._stamp)
        whole = isinstance(self._path, Remote)
        return BytesIO(anywhere.read_bytes(self._path, version)) if whole else anywhere.opened(self._path)

    def _channels(self, mode: str) -> int:
        """Return how many channels an image of Pillow's *mode* has; SourceError where they are no gray and no RGB."""
        if mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
            fix = "Convert it to gray or RGB."
            raise SourceError(f"expected gray, RGB or a palette, found mode {mode}", where=self.where, fix=fix)
        return len(self._palette or mode)

    def _check_size(self, size: tuple[int, int] | None, pixel_limit: int) -> None:
        """Refuse a picture of more pixels than *pixel_limit*, or than its file can hold."""
        pixels = size[0] * size[1] if size else 0
        declared = f"its header declares {' x '.join(map(str, size or ()))} px"
        if pixels // 8 > MOST_PER_BYTE * int(self.fingerprint["size"]):
            problem = f"{declared}, and a file of {self.fingerprint['size']} bytes holds no such picture"
            raise SourceError(problem, where=self.where, fix="It is damaged or cut off: copy the file again.")
        if pixels > pixel_limit:
            problem, why = f"{declared}, the limit is {pixel_limit} px", "PNG and JPEG are decoded whole"
            raise SourceError(problem, where=self.where, why=why, fix="Convert it to a tiled TIFF.")

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*; see ``Source.read``."""
        check_as_opened(self._path, self._stamp)
        part = self._map.canonical(self._array()[self._map.window(box)])
        return np.array(part, self.info.dtype, order="C")

    def _array(self) -> Pixels:
        key = (self._path, self._stamp)
        with _DECODING:
            return _DECODED.get(key, self._decode)

    def _decode(self) -> Pixels:
        with reading(self.where, "decoding"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels, and of damaged EXIF
            pixels: Pixels
            stored = anywhere.read_bytes(self._path, version_of(self._stamp))
            if self._png:
                _check_rows(stored)
            if self._deep:
                pixels = imagecodecs.png_decode(stored)
            else:
                with Image.open(BytesIO(stored), formats=("PNG", "JPEG")) as picture:
                    pixels = np.asarray(picture.convert(self._palette) if self._palette else picture)
        if pixels.shape != self._shape:
            problem = f"expected shape {self._shape}, decoded to {pixels.shape}"
            raise SourceError(problem, where=self.where, fix="It is damaged: copy the file again.")
        return pixels


def _palette_mode(picture: Any) -> str:
    """Return Pillow's mode of the colours of a palette: gray where all of them are, with alpha or without."""
    table = np.frombuffer(picture.palette.palette, np.uint8)
    colours = table[: len(table) // 3 * 3].reshape(-1, 3)
    mode = "L" if len(colours) and (colours == colours[:, :1]).all() else "RGB"
    return mode + "A" * (picture.mode == "PA" or "transparency" in picture.info)


def _check_rows(data: bytes) -> None:
    """Refuse a PNG without its palette, or whose data ends before its last row: Pillow would make them up.

    The data is inflated in small parts and thrown away (PNG, third edition, sections 7.2, 8.1 and 10).
    """
    columns, rows, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    per_pixel = bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    wanted = 0
    for top, left, down, across in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        wide, tall = -(-(columns - left) // across), -(-(rows - top) // down)
        wanted += max(tall, 0) * (1 + -(-wide * per_pixel // 8)) if wide > 0 else 0
    stream, at, held, painted = zlib.decompressobj(), 8, 0, colour != 3
    while at + 8 <= len(data) and held < wanted:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        painted |= kind == b"PLTE"
        part = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while part and held < wanted:
            held += len(stream.decompress(part, 2**20))
            part = stream.unconsumed_tail
        at += 12 + length
    if not painted:
        raise SourceError("its pixels are indices into a palette that is not there", fix="Copy the file again.")
    if held < wanted:
        problem = f"its rows take {wanted} bytes, the file holds {held}"
        raise SourceError(problem, fix="It is cut off: copy the file again.")
