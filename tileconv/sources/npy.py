"""``.npy`` arrays, read run by run."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sources.axes import assumed_axes, map_axes
from tileconv.sources.one_file import OneFile
from tileconv.sources.source import (
    Pixels,
    Reads,
    check_as_opened,
    pixel_type,
    reading,
    version_of,
)
from tileconv.stores import anywhere
from tileconv.stores.ahead import HELD_BYTES, Ahead, Part
from tileconv.stores.anywhere import Place, Remote

PART_BYTES = 2**20
"""What is fetched at once, at most, of pixels that lie behind one another."""
HEADER_LIMIT = 10_000
"""Bytes of the header of a ``.npy`` file; NumPy parses no longer one."""

_OPENING = threading.Lock()


class NpySource(OneFile):
    """A ``.npy`` file, read run by run; its axes are the last of ``tczyx`` unless *axes* names them.

    Never mapped into memory: pages of a map count as memory of the process until the system takes them back.
    """

    libraries: tuple[str, ...] = ()

    def __init__(self, path: Place, *, axes: str | None = None) -> None:
        super().__init__(path)
        self.cache_bytes = HELD_BYTES * isinstance(path, Remote)
        with reading(self.where, "opening as .npy"), _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's advice on files that Python 2 wrote
            with anywhere.opened(path, version_of(self._stamp)) as file:
                stored, fortran, self._dtype = _npy_header(file)
                self._offset = file.tell()
                held = file.seek(0, os.SEEK_END) - self._offset
            if prod(stored) * self._dtype.itemsize > held:
                problem = f"its pixels of shape {stored} take more than the {held} bytes that it holds"
                raise SourceError(problem, fix="It is cut off: copy the file again.")
        count = len(stored)
        if not 2 <= count <= 5:
            fix = "Give an array with rows and columns."
            raise SourceError(f"expected 2 to 5 axes, found shape {stored}", where=self.where, fix=fix)
        names = assumed_axes(stored, axes, self.where)
        guess = () if axes or count == 2 else (f"the file names no axes: {names} is assumed",)
        self._map, guessed = map_axes(names, stored, axes, self.where)
        self._turned = fortran  # the same bytes with the axes the other way round
        self._shape = stored[::-1] if self._turned else stored
        shape = self._map.of_file(stored)
        row = tuple(n if axis == "x" else 1 for n, axis in zip(shape, self._map.axes, strict=True))
        self.info = ImageInfo(shape, self._map.axes, pixel_type(self._dtype, self.where), row, notes=(*guess, *guessed))

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*; see ``Source.read``."""
        check_as_opened(self._path, self._stamp)
        window = self._map.window(box)
        stored = window[::-1] if self._turned else window
        block = np.empty([s.stop - s.start for s in stored], self._dtype)
        starts, axis = [s.start for s in stored], block.ndim - 1
        while axis > 0 and block.shape[axis] == self._shape[axis]:  # whole rows, or planes, lie behind one another
            axis -= 1
        runs = self._runs(block, starts, axis)
        with reading(self.where, "reading"):
            if isinstance(self._path, Remote):
                self._fetch(self._path, runs)
            else:
                with anywhere.opened(self._path) as file:
                    for offset, run in runs:
                        file.seek(offset)
                        self._check_whole(file.readinto(run.data), run)  # type: ignore[attr-defined]
        part = self._map.canonical(block.T if self._turned else block)
        return np.ascontiguousarray(part, self.info.dtype)

    def _runs(self, block: Pixels, starts: Sequence[int], axis: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield from which byte on the file holds which bytes of *block*, for each index of its first *axis* axes."""
        for index in np.ndindex(block.shape[:axis]):
            at = [first + i for first, i in zip_longest(starts, index, fillvalue=0)]
            offset = self._offset + int(np.ravel_multi_index(at, self._shape)) * self._dtype.itemsize
            yield offset, block[index].reshape(-1).view(np.uint8)

    def _fetch(self, place: Remote, runs: Iterable[tuple[int, NDArray[np.uint8]]]) -> None:
        version = version_of(self._stamp)
        parts = {
            Part(place, offset + at, offset + min(at + PART_BYTES, run.nbytes), version): run[at : at + PART_BYTES]
            for offset, run in runs
            for at in range(0, run.nbytes, PART_BYTES)
        }
        with Ahead(parts) as ahead:
            for part, run in parts.items():
                data = ahead.read(part)
                self._check_whole(len(data), run)
                run[...] = np.frombuffer(data, np.uint8)
                ahead.done(part)

    def _check_whole(self, count: int, run: NDArray[np.uint8]) -> None:
        if count != run.nbytes:
            raise SourceError("the file ends too soon", where=self.where, fix="It was cut off: copy it again.")


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the first axis is the fastest, and type; *file* is left where the pixels begin."""
    version = np.lib.format.read_magic(file)
    length = file.read(4 if version[0] > 1 else 2)
    if int.from_bytes(length, "little") > HEADER_LIMIT:
        raise SourceError(f"the header is longer than {HEADER_LIMIT} bytes")
    file.seek(-len(length), os.SEEK_CUR)
    # versions 2 and 3 differ in how names of fields are written, and no image has fields
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if min(shape, default=0) < 0:
        raise SourceError(f"the header states the shape {shape}")
    return shape, fortran and len(shape) > 1, dtype
