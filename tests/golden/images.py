"""Input images of the golden pipelines: whole numbers from a seed, or these over a power of two; no libm takes part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
import zarr
from PIL import Image as Picture

Pixels = np.ndarray
WRITERS: dict[str, tuple[str, Callable[..., None]]] = {}
"""By kind of image: the name of the file, and what writes pixels to it."""


class Image(NamedTuple):
    """An input: its kind, and the type and shape of the pixels as stored; *most* is the largest absolute value.

    The *missing* values, NaN or numbers, stand in a few places of it.
    """

    kind: str = "npy"
    dtype: str = "uint16"
    shape: tuple[int, ...] = (100, 120)
    missing: tuple[float, ...] = ()
    most: int = 2**40


def pixels(image: Image) -> Pixels:
    """Return the pixels of *image*, over their whole range; floats are multiples of 1/8."""
    rng, dtype = np.random.default_rng(12), np.dtype(image.dtype)
    if dtype.kind == "f":
        most = min(image.most, 1000)
        made = (rng.integers(-most, most, image.shape) / 8).astype(dtype)
    elif dtype.kind == "b":
        made = rng.integers(0, 2, image.shape).astype(dtype)
    else:
        low, high = max(np.iinfo(dtype).min, -image.most), min(np.iinfo(dtype).max, image.most)
        made = rng.integers(low, high, image.shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    for number, value in enumerate(image.missing):
        places = made[..., 60 + number : 66 + 2 * number, 62 + number : 67]  # on the corner of four tiles
        places[...] = value
        made[..., 3 * number, -1] = value
    return made


def write(image: Image) -> str:
    """Write *image* to the current folder and return its name."""
    name, writer = WRITERS[image.kind]
    writer(Path(name), pixels(image))
    return name


def writes(kind: str, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the writer of a *kind* of image, whose file has this *name*."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        WRITERS[kind] = (name, function)
        return function

    return register


@writes("npy", "image.npy")
def _npy(path: Path, image: Pixels) -> None:
    np.save(path, image)


@writes("npy by columns", "image.npy")
def _columns(path: Path, image: Pixels) -> None:
    np.save(path, np.asfortranarray(image))


@writes("png", "image.png")
def _png(path: Path, image: Pixels) -> None:
    Picture.fromarray(image).save(path)


TIFFS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 13},
    "tiles": {"tile": (32, 48), "compression": "zlib", "predictor": True},
    "bigendian": {"tile": (48, 32), "byteorder": ">", "compression": "lzw"},
    "bigtiff": {"rowsperstrip": 100, "bigtiff": True, "compression": "zstd"},
    "bilevel": {"rowsperstrip": 16},
    "planes": {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 32)},
    "rgb": {"photometric": "rgb", "rowsperstrip": 20},
    "jpeg": {"photometric": "rgb", "tile": (64, 64), "compression": "jpeg"},
    "alpha": {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (64, 64)},
    "palette": {"photometric": "palette", "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) * 85},
    "white is 0": {"photometric": "miniswhite", "rowsperstrip": 30},
    "geotiff": {
        "tile": (64, 64),
        "extratags": [
            (42113, 2, 0, "7", True),
            (33550, 12, 3, (10.0, 10.0, 0.0), True),
            (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 6000000.0, 0.0), True),
            (34735, 3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
        ],
    },
    "stack": {"photometric": "minisblack", "tile": (64, 64)},
}
"""Words of ``tifffile.imwrite``."""


def _tiff(words: dict[str, Any]) -> Callable[..., None]:
    def write_tiff(path: Path, image: Pixels) -> None:
        tifffile.imwrite(path, image, **{"photometric": "minisblack", "metadata": None, "software": False} | words)

    return write_tiff


for key, value in TIFFS.items():
    WRITERS[f"tiff {key}"] = ("image.tif", _tiff(value))

OME_XML = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
    'DimensionOrder="XYZCT" Type="uint16" SizeX="{4}" SizeY="{3}" SizeZ="{2}" SizeC="{1}" SizeT="{0}" '
    'PhysicalSizeX="0.25" PhysicalSizeY="0.25" PhysicalSizeZ="1.5"><Channel ID="Channel:0:0" Name="DAPI" '
    'Color="65535" SamplesPerPixel="1"/><Channel ID="Channel:0:1" Name="GFP" SamplesPerPixel="1"/><TiffData/>'
    "</Pixels></Image></OME>"
)
"""By hand: that of tifffile holds a UUID."""


@writes("ome-tiff", "image.ome.tif")
def _ome_tiff(path: Path, image: Pixels) -> None:
    words = {"description": OME_XML.format(*image.shape), "tile": (64, 64), "compression": "zlib"}
    _tiff(words)(path, image)


@writes("imagej", "image.tif")
def _imagej(path: Path, image: Pixels) -> None:
    words = {"imagej": True, "resolution": (4, 4), "metadata": {"axes": "ZCYX", "spacing": 2.0, "unit": "um"}}
    _tiff(words)(path, image)


@writes("tiff pyramid", "image.tif")
def _pyramid(path: Path, image: Pixels) -> None:
    words = {"photometric": "minisblack", "metadata": None, "software": False, "tile": (64, 64)}
    with tifffile.TiffWriter(path) as file:
        file.write(image, subifds=1, **words)
        file.write(image[::2, ::2], subfiletype=1, **words)


@writes("tiff series", "image.tif")
def _series(path: Path, image: Pixels) -> None:
    with tifffile.TiffWriter(path) as file:
        for each in (image[:70], image):
            file.write(each, photometric="minisblack", metadata=None, software=False, contiguous=False)


ZARRS: dict[str, dict[str, Any]] = {
    "2": {"zarr_format": 2, "chunks": (33, 50)},
    "3": {"zarr_format": 3, "chunks": (40, 64)},
    "3 in shards": {"zarr_format": 3, "chunks": (20, 20), "shards": (60, 60)},
    "3 of volumes": {"zarr_format": 3, "chunks": (4, 64, 50), "dimension_names": ["z", "y", "x"]},
    "3 with fill": {"zarr_format": 3, "chunks": (64, 64), "fill_value": 7, "attributes": {"_FillValue": 7}},
}
"""Words of ``zarr.create_array``."""


def _zarr(words: dict[str, Any]) -> Callable[..., None]:
    def write_zarr(path: Path, image: Pixels) -> None:
        zarr.create_array(path, data=image, **words)

    return write_zarr


for key, value in ZARRS.items():
    WRITERS[f"zarr {key}"] = ("image.zarr", _zarr(value))


@writes("zarr with a hole", "image.zarr")
def _hole(path: Path, image: Pixels) -> None:
    zarr.create_array(path, shape=image.shape, dtype=image.dtype, chunks=(50, 60), fill_value=9)[:50] = image[:50]


def _ome_zarr(version: str) -> Callable[..., None]:
    def write_ome_zarr(path: Path, image: Pixels) -> None:
        group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
        datasets, chunks = [], (*(1 for _ in image.shape[:-2]), 48, 80)
        for level in (0, 1):
            step = 2**level
            group.create_array(str(level), data=image[..., ::step, ::step], chunks=chunks)
            scale = {"type": "scale", "scale": [1.0] * (image.ndim - 2) + [0.5 * step] * 2}
            datasets.append({"path": str(level), "coordinateTransformations": [scale]})
        kinds = {"c": {"type": "channel"}, "y": {"type": "space", "unit": "micrometer"}}
        names = "cyx"[-image.ndim :]
        axes = [{"name": name} | kinds.get(name, kinds["y"]) for name in names]
        images = {"multiscales": [{"version": version, "axes": axes, "datasets": datasets}]}
        group.attrs.update(images if version == "0.4" else {"ome": {"version": version, **images}})

    return write_ome_zarr


for key in ("0.4", "0.5"):
    WRITERS[f"ome-zarr {key}"] = ("image.ome.zarr", _ome_zarr(key))
