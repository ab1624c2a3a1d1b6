"""TIFF files for the fuzzer, and what must hold of each: it is refused in words of ours, or its pixels are its own.

An input is a valid small file with one or more changes and, behind it, the number of that file and whether all changes
were such as cannot concern pixels; a file that is still read then holds the true ones.
"""

from __future__ import annotations

import io
import itertools
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tests.fuzz.loop import Offence
from tests.fuzz.tiff_bytes import change
from tileconv.boxes import Box
from tileconv.engines.cost import shipped_costs
from tileconv.errors import PlanError, SourceError, TileconvError
from tileconv.images import ImageInfo
from tileconv.planning.build import make_plan
from tileconv.planning.machine import this_machine
from tileconv.sources.open import open_source
from tileconv.spec import spec_from_mapping

READ_BYTES = 2**20
"""Of an image beyond it, only the first tile and the last are read, unless they are beyond it too."""
CHUNK_BYTES = 2**26
"""Images whose chunks decode to more are opened and planned, and not read."""
FOLDER = tempfile.TemporaryDirectory(prefix="tileconv-fuzz-")
PATH = Path(FOLDER.name) / "a.tif"
TRAILER = b"tileconv fuzz"
OUTCOMES: Counter[str] = Counter()
MACHINE = this_machine(shipped_costs())
IDENTITY = spec_from_mapping(
    {
        "version": 1,
        "input": {"path": str(PATH)},
        "stages": [{"op": "rescale", "gain": 1}],
        "missing": {"rule": "propagate"},
        "output": {"path": str(PATH.with_name("b.ome.zarr"))},
        "run": {"memory": "8GiB", "workers": 2},
    }
)


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Return pixels of which none is 0, so that an invented zero is seen."""
    rng = np.random.default_rng(seed)
    if dtype == "f4":
        return (rng.standard_normal(shape) + 9).astype(dtype)
    return rng.integers(1, np.iinfo(dtype).max, shape, dtype)


def _cases() -> Iterator[tuple[tuple[int, ...], str, dict[str, Any]]]:
    tile: dict[str, Any] = {"tile": (16, 16), "metadata": None, "software": "none", "datetime": True}
    strip: dict[str, Any] = {"rowsperstrip": 5, "metadata": None, "resolution": (2, 3)}
    for codec in (None, "deflate", "lzw", "packbits", "zstd"):
        yield (20, 33), "u2", tile | {"compression": codec}
        yield (20, 33), "u1", strip | {"compression": codec}
    yield (20, 33), "f4", tile | {"compression": "deflate", "predictor": True}
    yield (20, 33), "u2", tile | {"bigtiff": True, "byteorder": ">"}
    yield (20, 33), "u2", strip | {"byteorder": ">", "compression": "deflate", "predictor": True}
    yield (32, 32), "u1", tile | {"compression": "jpeg", "compressionargs": {"level": 95}}
    yield (20, 33, 3), "u1", tile | {"photometric": "rgb", "extratags": [(65000, 4, 2, (1, 2), True)]}
    yield (3, 20, 33), "u1", tile | {"photometric": "rgb", "planarconfig": "separate"}
    yield (20, 33), "u2", {"tile": (16, 16), "extratags": [(42113, 2, 2, "0", True)], "metadata": None}
    yield (3, 20, 33), "u1", {"rowsperstrip": 7}
    yield (3, 20, 33), "u2", {"rowsperstrip": 7, "metadata": None}
    yield (3, 20, 33), "u2", {"rowsperstrip": 7, "imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.0}}
    yield (2, 3, 20, 17), "u1", {"tile": (16, 16), "ome": True, "metadata": {"axes": "CZYX", "PhysicalSizeX": 0.5}}
    yield (20, 33), "u1", {"ome": True, "bigtiff": True, "metadata": {"axes": "YX", "Channel": {"Name": ["DAPI"]}}}


@cache
def seeds() -> list[tuple[bytes, np.ndarray]]:
    """Return valid files and their pixels, axes in tileconv's order, as tifffile decodes them."""
    made = []
    for number, (shape, dtype, options) in enumerate(_cases()):
        file = io.BytesIO()
        tifffile.imwrite(file, noise(shape, dtype, number), **{"photometric": "minisblack"} | options)
        truth = tifffile.imread(io.BytesIO(file.getvalue()))
        made.append(
            (
                file.getvalue(),
                np.moveaxis(truth, -1, 0) if options.get("photometric") == "rgb" and truth.shape[-1] == 3 else truth,
            )
        )
    made.append(_pyramid())
    return made


def _pyramid() -> tuple[bytes, np.ndarray]:
    file, image = io.BytesIO(), noise((32, 48), "u2")
    with tifffile.TiffWriter(file) as writer:
        writer.write(image, tile=(16, 16), subifds=1, metadata=None, photometric="minisblack")
        writer.write(image[::2, ::2], tile=(16, 16), subfiletype=1, metadata=None, photometric="minisblack")
    return file.getvalue(), image


def _packed(data: bytes, number: int, idle: bool) -> bytes:
    return data + TRAILER + bytes((number, idle))


def _unpacked(data: bytes) -> tuple[bytes, int | None, bool]:
    """Return the file, the number of the valid file that it was and whether its changes were idle; None if unknown."""
    if data[-2 - len(TRAILER) : -2] != TRAILER or data[-2] >= len(seeds()):
        return data, None, False
    return data[: -2 - len(TRAILER)], data[-2], bool(data[-1])


def make(rng: random.Random) -> bytes:
    """Return a valid file with a change, or with some."""
    number = rng.randrange(len(seeds()))
    data, idle = seeds()[number][0], True
    for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 5)) if rng.random() < 0.99 else 0):
        data, harmless = change(data, rng)
        idle = idle and harmless
    return _packed(data, number, idle)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return *data* with one more change."""
    file, number, idle = _unpacked(data)
    if len(file) < 16 or number is None:
        return make(rng)
    file, harmless = change(file, rng)
    return _packed(file, number, idle and harmless)


def untrusted(data: bytes) -> bytes:
    """Return *data*, of which any byte may have changed, without a claim that this concerned no pixels."""
    return data[:-1] + b"\0"


def check(data: bytes) -> None:
    """Raise unless *data* is refused by an error of ours, or reads as pixels that are in it."""
    file, number, idle = _unpacked(data)
    PATH.unlink(missing_ok=True)  # a file system may wait for the disk where a file is written over
    PATH.write_bytes(file)
    try:
        source = open_source(PATH)
        info = source.info
        make_plan(IDENTITY, info, MACHINE, cache_bytes=source.cache_bytes)
        pixels, whole = _read(source, info)
    except (SourceError, PlanError) as error:
        OUTCOMES["refused"] += 1
        _worded(error)
        if number is not None and file == seeds()[number][0]:
            raise Offence(f"a valid file is refused: {error}") from error
        return
    OUTCOMES["read" if whole else "read in part"] += 1
    if not whole or number is None:
        return
    absent, _ = source.missing_chunks_total()
    if idle and not absent:
        truth = seeds()[number][1]
        if pixels.shape != truth.shape or pixels.tobytes() != truth.astype(pixels.dtype).tobytes():
            raise Offence(f"other pixels after changes that cannot concern them: {pixels.shape} {pixels.dtype}")
        OUTCOMES["true pixels"] += 1
    if not absent and pixels.size >= 64 and not pixels.tobytes().strip(b"\0"):
        raise Offence(f"nothing but zeros: {pixels.shape} {pixels.dtype}")


def _worded(error: TileconvError) -> None:
    text = str(error)
    if not text or len(text) > 3000:
        raise Offence(f"a message of {len(text)} characters")


def _tiles(info: ImageInfo, tile: int) -> Iterator[Box]:
    """Yield the boxes of the image, or the first and the last of a large one."""
    steps = [tile if axis in "yx" else n if axis == "c" else 1 for axis, n in zip(info.axes, info.shape, strict=True)]
    last = tuple((n - 1) // s * s for n, s in zip(info.shape, steps, strict=True))
    starts: Any = {(0,) * len(steps), last}
    if info.nbytes <= READ_BYTES:
        starts = itertools.product(*(range(0, n, s) for n, s in zip(info.shape, steps, strict=True)))
    for start in starts:
        stop = tuple(min(a + s, n) for a, s, n in zip(start, steps, info.shape, strict=True))
        yield Box(tuple(start), stop, info.axes)


def _read(source: Any, info: ImageInfo) -> tuple[np.ndarray, bool]:
    """Return the pixels, read tile by tile, and whether that is all of them."""
    whole = info.nbytes <= READ_BYTES
    pixels = np.empty(info.shape if whole else (0,), info.dtype)
    if info.compressed and int(np.prod(info.chunks, dtype=object)) * info.dtype.itemsize > CHUNK_BYTES:
        return pixels, False
    for box in _tiles(info, 48 if whole else 256):
        if box.size * info.dtype.itemsize > READ_BYTES:
            return pixels, False
        block = source.read(box)
        if block.shape != box.shape or block.dtype != info.dtype:
            raise Offence(f"{box} is read as {block.dtype} of shape {block.shape}")
        if whole:
            pixels[tuple(map(slice, box.start, box.stop))] = block
    return pixels, whole


def summary() -> str:
    """Return what became of the inputs so far."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(OUTCOMES.items()))
