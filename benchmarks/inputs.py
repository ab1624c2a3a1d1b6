"""What the contenders read: synthetic images of ``tileconv sample``, written once, and tileconv's pipeline files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import measure

Array = NDArray[Any]

TILECONV = (sys.executable, "-m", "tileconv")
LARGE, TINY = 16384, 512
TILE = 256
SPEC = (
    "version: 1\ninput: {{path: {input}}}\nstages: [{stages}]\n"
    "output: {{path: {output}, dtype: {dtype}, pyramid: none{chunk}}}\n{run}"
)


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are: *side* of the large images, *small* of everything else as a share of its size."""

    side: int
    tiny: bool = False

    def shape(self, kind: str) -> tuple[int, ...]:
        """Return the shape of the input *kind*, without colours."""
        own = {"pair": (2, 100_000), "volume": (50, 1104, 1104), "double": (4000, 4000), "half": (8192, 8192)}
        tiny = {"pair": (2, 2000), "volume": (2, 400, 400), "double": (400, 400), "half": (400, 400)}
        side = round(self.side * 10_000 / LARGE) if kind == "rgb" and not self.tiny else self.side
        return (tiny if self.tiny else own).get(kind, (side, side))


def input_of(folder: Path, kind: str, sizes: Sizes) -> Path:
    """Return the input file *kind*, written now unless it is in *folder*."""
    shape = sizes.shape(kind)
    suffix = {"pair": "npy", "volume": "npy", "double": "npy", "half": "npy", "chunks": "zarr"}.get(kind, "tif")
    path = folder / f"{kind}-{'x'.join(map(str, shape))}.{suffix}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"new-{path.name}")
    if kind in {"gray", "deflate"}:
        how = ["--compression", "deflate"] if kind == "deflate" else []
        size = f"{shape[1]}x{shape[0]}"
        measure([*TILECONV, "sample", "synthetic", "--size", size, "--dtype", "uint16", "-o", str(new), *how])
    elif kind in {"jpeg", "rgb"}:
        write_colour(new, shape[0], "jpeg" if kind == "jpeg" else None)
    elif kind == "pair":
        write_pair(new, shape[1])
    elif kind == "chunks":
        write_chunks(new, input_of(folder, "gray", sizes))
    else:
        write_planes(new, shape, {"double": "float64", "half": "uint16"}.get(kind, "float32"))
    return new.replace(path)


def spec_file(
    folder: Path, source: Path, output: Path, stages: str, dtype: str, run: str = "", chunk: int | None = None
) -> Path:
    """Write a pipeline for tileconv and return its path."""
    path = folder / "pipeline.yaml"
    places = {"input": json.dumps(str(source)), "output": json.dumps(str(output))}
    chunks = f", chunks: {chunk}, shards: none" if chunk else ""
    path.write_text(SPEC.format(stages=stages, dtype=dtype, run=run, chunk=chunks, **places), encoding="utf-8")
    return path


def write_colour(path: Path, side: int, compression: str | None) -> None:
    """Write an RGB uint8 TIFF of square tiles, its channels three synthetic images of ``tileconv sample``."""
    import tifffile

    with tifffile.TiffWriter(path, bigtiff=side >= 32768) as writer:
        writer.write(
            _colour_tiles(side),
            shape=(side, side, 3),
            dtype=np.uint8,
            tile=(TILE, TILE),
            photometric="rgb",
            compression=compression,
            maxworkers=1,
        )


def _colour_tiles(side: int) -> Iterator[Array]:
    from tileconv.boxes import Box
    from tileconv.samples.synthetic import synthetic

    def tile(corner: tuple[int, int]) -> Array:
        stop = tuple(min(a + TILE, side) for a in corner)
        return np.stack([synthetic(Box(corner, stop), seed, np.uint8) for seed in range(3)], axis=-1)

    with ThreadPoolExecutor(2) as pool:
        for y in range(0, side, TILE):
            yield from pool.map(tile, [(y, x) for x in range(0, side, TILE)])


def write_planes(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """Write a ``.npy`` file whose planes (all but the last two axes) are synthetic images of ``tileconv sample``."""
    from tileconv.boxes import Box
    from tileconv.samples.synthetic import synthetic

    made = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    for number, index in enumerate(np.ndindex(shape[:-2])):
        made[index] = synthetic(Box.of_shape(shape[-2:]), number, dtype)
    made.flush()


def write_pair(path: Path, length: int) -> None:
    """Write two arrays of random numbers as one ``.npy`` file of two rows."""
    np.save(path, np.random.default_rng(0).random((2, length)))


def write_chunks(path: Path, source: Path) -> None:
    """Write the pixels of a TIFF as a Zarr array of small chunks, its codec that of tileconv, no checksum."""
    import tifffile
    import zarr
    from zarr.codecs import BloscCodec

    codec = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle")
    image = tifffile.imread(source)
    array = zarr.create_array(path, shape=image.shape, chunks=(TILE, TILE), dtype=image.dtype, compressors=codec)
    array[...] = image
