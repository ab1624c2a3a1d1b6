"""What a file of each kind holds, refused before anything is made, and the memory that it takes to write it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tileconv.errors import PlanError
from tileconv.images import DECODED_CACHE_BYTES, RGB, ImageInfo
from tileconv.planning.machine import Allowance
from tileconv.planning.memory import BASE_BYTES, Bytes, total
from tileconv.quick import dataclass
from tileconv.shown import size_text
from tileconv.storage import NPY, OME_TIFF, OME_TYPES, PNG, TIFF

MOST_BYTES = {PNG: 2**26, NPY: 2**30}
"""The most bytes of pixels in a file that has no tiles: a PNG is encoded whole, and a NumPy file is read whole."""


TILE = 512
"""Pixels of a side of a tile, and the most of a side of the smallest level."""
LEVEL_CHUNK = 1024
"""Pixels along y and x of a chunk of a level that is made beside the file."""
TOGETHER_BYTES = 2**24
"""The most bytes of a tile that holds all channels of an image, as most readers want them; of more each has its own."""
BLOCK_BYTES = 2**26
"""About the most bytes that one thread reads at once."""
_GROWN = {"lzw": 1.5}
"""How much longer a codec may make noise; others by a hundredth."""


def samples_of(info: ImageInfo) -> int:
    """Return how many channels are one colour in a file: three or four of a colour image, else one."""
    names = tuple(name.lower() for name in info.channels)
    return len(names) if names in (RGB[:3], RGB) and info.dtype in (np.uint8, np.uint16) else 1


def check_file(info: ImageInfo, kind: str, codec: str, where: str) -> None:
    """Refuse an image that a file of *kind* does not hold, or its tiles by *codec*; PlanError names *where*.

    Examples
    --------
    >>> check_file(ImageInfo((4, 5), "yx", np.dtype("f4"), (4, 5)), PNG, "none", "output")
    Traceback (most recent call last):
    ...
    tileconv.errors.PlanError: output: a PNG holds uint8 and uint16, and the pixels are float32. Set output.dtype to \
uint8, after a rescale stage that brings them to 0 to 255.
    """
    for problem, fix in _problems(info, kind, codec):
        raise PlanError(problem, where=where, fix=fix)


def _problems(info: ImageInfo, kind: str, codec: str) -> Iterator[tuple[str, str]]:
    """Yield what *kind* does not hold of *info*, each with what to do."""
    long = {axis for axis, n in _sizes(info).items() if n > 1}
    planes, name = sorted(long & set("tz"), key="tz".index), info.dtype.name
    if kind == OME_TIFF and name not in OME_TYPES:
        yield f"an OME-TIFF has no pixels of {name}", "Set output.dtype to int32, float32 or float64, or write a .tif."
    if kind in (TIFF, PNG) and planes:
        yield f"a {kind} is one plane, and the image has the axes {', '.join(planes)}", "Write an .ome.tif."
    if kind == PNG and info.dtype not in (np.uint8, np.uint16):
        fix = "Set output.dtype to uint8, after a rescale stage that brings them to 0 to 255."
        yield f"a PNG holds uint8 and uint16, and the pixels are {name}", fix
    if kind == PNG and "c" in long and samples_of(info) == 1:
        yield "a PNG holds gray or colours, and the channels are no red, green and blue", "Write a .tif or an .ome.tif."
    if kind == PNG and info.alpha == "associated":
        yield "the colours of a PNG are not multiplied by alpha, and these are", "Write a .tif or an .ome.tif."
    if info.nbytes > MOST_BYTES.get(kind, math.inf):
        size, most = size_text(info.nbytes), size_text(MOST_BYTES[kind])
        yield f"a {kind} is for small results, of up to {most} of pixels, and these are {size}", "Write an .ome.tif."
    if codec == "jpeg" and not (info.dtype == np.uint8 and ("c" not in long or samples_of(info) == 3)):
        problem = f"JPEG holds uint8, gray or red, green and blue, and the image is {info}"
        yield problem, "Use deflate or zstd, or set output.dtype to uint8."


def samples_in(info: ImageInfo, kind: str) -> int:
    """Return how many channels a tile of a file of *kind* holds: those of a colour, or of a TIFF all that are small."""
    channels, colours = _sizes(info).get("c", 1), samples_of(info)
    together = colours == 1 and kind == TIFF and channels * TILE**2 * info.dtype.itemsize <= TOGETHER_BYTES
    return channels if together else colours


def block_of(info: ImageInfo, tile: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of what one thread reads and encodes at once: whole tiles, about as large as a chunk."""
    sizes, side = dict(zip(info.axes, tile, strict=True)), tile[-1]
    most = max(1, math.isqrt(BLOCK_BYTES // info.dtype.itemsize // sizes.get("c", 1)) // side)
    sides = []
    for axis, chunk, size in zip(info.axes, info.chunks, info.shape, strict=True):
        count = -(-min(chunk, size) // sizes[axis])
        sides.append(sizes[axis] * (min(count, most) if axis in "yx" else count))
    return tuple(sides)


def rows_of(info: ImageInfo) -> tuple[int, ...]:
    """Return the sides of what is read at once for a file without tiles: rows of a plane, as a chunk has, or fewer."""
    rows = max(1, BLOCK_BYTES // (info.shape[-1] * info.dtype.itemsize))
    return (*(1 for _ in info.shape[:-2]), min(rows, info.chunks[-2]), info.shape[-1])


def file_bytes(info: ImageInfo, kind: str, codec: str, threads: int, whole: int = 0) -> tuple[Bytes, ...]:
    """Return what is held while an image is written as a file of *kind* by *threads*; *whole* is kept of it anyway.

    Twice as many results as there are threads are made or wait; of levels that are lacking, chunks are made.
    """
    size, decoding = info.dtype.itemsize, 2 * math.prod(info.chunks) * info.dtype.itemsize * info.compressed
    kept = min(info.nbytes, DECODED_CACHE_BYTES) * info.compressed
    own = (Bytes("process", BASE_BYTES), Bytes("decoded chunks", whole or kept))
    if kind in (PNG, NPY):
        part, copies = math.prod(rows_of(info)) * size, 4 if kind == PNG else 0
        held = threads * (2 * part + decoding) + 2 * part
        return (*own, Bytes("rows read and waiting", held), Bytes("whole picture", copies * info.nbytes))
    sides = {"y": TILE, "x": TILE, "c": samples_in(info, kind)}
    tile = tuple(sides.get(axis, 1) for axis in info.axes)
    read = math.prod(block_of(info, tile)) * size
    made, one = int(read * _GROWN.get(codec, 1.01)), math.prod(tile) * size
    sides_of_level = (min(LEVEL_CHUNK, n) for n in info.shape[-2:])
    levels = 8 * math.prod(sides_of_level) * size * (max(info.shape[-2:]) > TILE)
    each = max(read + 2 * made + 4 * one, levels) + decoding
    tables = 64 * (math.prod(-(-n // side) for n, side in zip(info.shape, tile, strict=True)) + 1)
    return (*own, Bytes("tables of tiles", tables), Bytes("blocks read, encoded and waiting", threads * each))


@dataclass(frozen=True)
class FileMemory:
    """How many threads write a file, and the bytes that the process holds at most."""

    threads: int
    peak_bytes: int


def file_memory(info: ImageInfo, kind: str, codec: str, threads: int, allowed: Allowance, whole: int = 0) -> FileMemory:
    """Return how many of *threads* write a file of *kind* in the memory *allowed*; PlanError where not even one can."""
    for count in range(threads, 0, -1):
        peak = total(file_bytes(info, kind, codec, count, whole))
        if peak <= allowed.count:
            return FileMemory(count, peak)
    problem = f"writing the {kind} takes {size_text(peak)}, and may take {size_text(allowed.count)}"
    raise PlanError(f"{problem} ({allowed.why})", fix=f"{allowed.more}." * bool(allowed.more))


def _sizes(info: ImageInfo) -> dict[str, int]:
    return dict(zip(info.axes, info.shape, strict=True))
