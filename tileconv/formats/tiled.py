"""A tiled TIFF while it is written: its front first, tiles in any order, and last where each of them lies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.formats.front import Directory, Form, flat, front
from tileconv.stores import steady
from tileconv.stores.steady import Piece

CLASSIC_BYTES = 2**32 - 2**25
"""The most bytes of a classic TIFF, whose offsets have 32 bits; the rest is room for what is no tile."""


class Tiled:
    """Takes encoded tiles, each once, by the number of its directory and its own number there."""

    def __init__(self, descriptor: int, directories: Sequence[Directory], form: Form) -> None:
        self._descriptor, self._form = descriptor, form
        stored, self._tables = front(directories, form)
        self.end = steady.write_at(descriptor, stored, 0)
        counts = [directory.tiles for directory in flat(directories)]
        self._places: list[NDArray[Any]] = [np.zeros(n, "<u8" if form.big else "<u4") for n in counts]
        self._lengths: list[NDArray[Any]] = [np.zeros(n, "<u4") for n in counts]

    def add(self, directory: int, tile: int, stored: Piece) -> None:
        """Write one tile behind those before it."""
        self._places[directory][tile], self._lengths[directory][tile] = self.end, len(stored)
        self.end = steady.write_at(self._descriptor, stored, self.end)

    def finish(self) -> None:
        """Write where the tiles lie."""
        for tables, places, lengths in zip(self._tables, self._places, self._lengths, strict=True):
            steady.write_at(self._descriptor, places.tobytes(), tables.places)
            steady.write_at(self._descriptor, lengths.tobytes(), tables.lengths)


@contextmanager
def written(path: Path, directories: Sequence[Directory], *, most_bytes: int) -> Iterator[Tiled]:
    """Yield the file at *path* to give tiles to; it is whole after the block.

    *most_bytes* are those that its tiles may come to: above ``CLASSIC_BYTES`` it is a BigTIFF.
    """
    descriptor = steady.open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        file = Tiled(descriptor, directories, Form(big=most_bytes > CLASSIC_BYTES))
        yield file
        file.finish()
    finally:
        os.close(descriptor)
