"""Sample images on disk, as tiled TIFF or OME-Zarr, written tile by tile."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.errors import PlanError, SinkError
from tileconv.images import RGB, ImageInfo
from tileconv.samples.real import PHOTOGRAPHS, photograph
from tileconv.samples.synthetic import synthetic, synthetic_dtype
from tileconv.sinks.files import refuse_existing, replacing, sink_errors
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.location import here

SYNTHETIC = "synthetic"
_THREADS = 2

Compression = Literal["deflate", "lzw", "zstd"]
Make = Callable[[Box], NDArray[np.generic]]
Progress = Callable[[int, int], None]


def sample_names() -> tuple[str, ...]:
    """Return the names that ``write_sample`` knows."""
    return (*PHOTOGRAPHS, SYNTHETIC)


def write_sample(
    name: str,
    output: Path | str,
    *,
    shape: tuple[int, int] | None = None,
    dtype: DTypeLike | None = None,
    seed: int = 0,
    tile: int = 256,
    compression: Compression | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ImageInfo:
    """Write the sample *name* to *output* and return what was written.

    A synthetic image takes memory for one row of tiles, whatever its height.

    Parameters
    ----------
    name
        One of ``sample_names()``.
    output
        ``.tif`` or ``.tiff`` for a tiled TIFF (BigTIFF where needed), ``.zarr`` for an OME-Zarr store.
    shape, dtype, seed
        Of the synthetic image: (y, x) in pixels, default 2048 × 2048; the pixel type, default uint16; which image.
    tile
        Side of the TIFF's tiles or the store's chunks, in pixels; a multiple of 16 for TIFF.
    compression
        Of the TIFF; OME-Zarr is always compressed by zstd.
    overwrite
        Whether an existing output is replaced: a file, or a store that tileconv made.
    progress
        Called with the numbers of finished and of all tiles.

    Raises
    ------
    PlanError
        If the name, the suffix or a parameter does not suit.
    SourceError
        If a photograph is not installed.
    SinkError
        If the output exists or cannot be written.
    """
    output = Path(output)
    info, make = _sample(name, shape, dtype, seed, tile)
    provenance: dict[str, object] = {"sample": name} | ({"seed": seed} if name == SYNTHETIC else {})
    match output.suffix.lower():
        case ".tif" | ".tiff":
            _write_tiff(output, info, _made(info, make, progress), compression, overwrite=overwrite)
        case ".zarr" if compression is None:
            with sink_errors(output):
                place = here(output).resolved()
            _write_zarr(ZarrSink(place.store(), Layout(info)), make, provenance, overwrite, progress)
        case ".zarr":
            raise PlanError("compression can be chosen for TIFF only; OME-Zarr always uses zstd", where=str(output))
        case _:
            fix = "End the output's name in .tif, .tiff or .zarr."
            raise PlanError(
                f"expected a TIFF or a Zarr store, found the suffix {output.suffix!r}", where=str(output), fix=fix
            )
    return info


def _sample(
    name: str, shape: tuple[int, int] | None, dtype: DTypeLike | None, seed: int, tile: int
) -> tuple[ImageInfo, Make]:
    if tile < 1:
        raise PlanError(f"a tile has at least 1 pixel, found {tile}")
    if name == SYNTHETIC:
        shape = shape or (2048, 2048)
        kind = synthetic_dtype(dtype or "uint16")
        if len(shape) != 2 or min(shape) < 1 or max(shape) > 2**31:
            raise PlanError(f"a synthetic image has y and x sides of 1 to 2**31 pixels, found {shape}")
        return ImageInfo(shape, "yx", kind, (tile, tile)), partial(synthetic, seed=seed, dtype=kind)
    if name not in PHOTOGRAPHS:
        close = difflib.get_close_matches(name, sample_names(), 1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The samples are {', '.join(sample_names())}."
        raise PlanError(f"there is no sample {name!r}", fix=hint)
    if shape is not None or dtype is not None:
        raise PlanError("shape and dtype are for the synthetic image; a photograph has its own", where=name)
    pixels = photograph(name)
    axes = "yx" if pixels.ndim == 2 else "cyx"
    chunks = (*pixels.shape[:-2], tile, tile)
    info = ImageInfo(pixels.shape, axes, pixels.dtype, chunks, channels=RGB[:3] if axes[0] == "c" else ())
    return info, lambda box: pixels[box.within(info.box)]


def _made(info: ImageInfo, make: Make, progress: Progress | None) -> Iterator[NDArray[np.generic]]:
    """Yield every tile in order; one row of tiles is made at a time."""
    grid = TileGrid(info.box, info.chunks)
    *before, last = grid.counts
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for row in product(*map(range, before)):
            for made in pool.map(make, [grid.box((*row, column)) for column in range(last)]):
                yield made
                done += 1
                if progress:
                    progress(done, len(grid))


def _write_tiff(
    output: Path,
    info: ImageInfo,
    tiles: Iterator[NDArray[np.generic]],
    compression: Compression | None,
    *,
    overwrite: bool,
) -> None:
    from tileconv.formats.encode import Encoding  # with all that plans are made of
    from tileconv.formats.tiff import Tiff, write_tiles

    side, samples = info.chunks[-1], info.shape[0] if "c" in info.axes else 1
    if side % 16:
        raise SinkError(f"the sides of TIFF tiles are multiples of 16 pixels, found {side}", where=str(output))
    refuse_existing(output, overwrite=overwrite)
    encoding = Encoding(info.dtype, samples, samples, compression or "none")
    with replacing(output) as temporary:
        write_tiles(temporary, Tiff((info,), encoding, side, below=False, first={}, every={}), tiles)


def _write_zarr(
    sink: ZarrSink, make: Make, provenance: dict[str, object], overwrite: bool, progress: Progress | None
) -> None:
    sink.create(overwrite=overwrite)
    info = sink.layout.info
    for box, made in zip(TileGrid(info.box, info.chunks), _made(info, make, progress), strict=True):
        sink.writer.write(box, made)
    sink.finish(provenance)
