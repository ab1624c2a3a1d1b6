"""Results that readers are asked of: of each, which pipeline writes it, and what every reader is to show.

Sizes of images and places of pixels are written out by hand, and share no code with tileconv.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import tifffile
import zarr

import tileconv

LEVELS = 3


@dataclass(frozen=True)
class Image:
    """What pipelines read: pixels of (c, y, x) or (c, z, y, x) with names, colours, and a place."""

    axes: str
    shape: tuple[int, ...]
    dtype: str
    names: tuple[str, ...]
    colours: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()
    transform: tuple[float, ...] = ()


CELLS = Image("cyx", (3, 300, 420), "uint16", ("DAPI", "GFP", "mCherry"), ("00AAFF", "12FF34", "FF3300"), (1, 0.5, 0.5))
SLIDE = Image(
    "cyx", (3, 301, 421), "uint16", ("red", "green", "blue"), ("FF0000", "00FF00", "0000FF"), (1, 0.5, 0.5), (0, 3, 7)
)
STACK = Image(
    "czyx", (2, 9, 181, 203), "uint16", ("DAPI", "GFP"), ("00AAFF", "12FF34"), (1, 1.5, 0.4, 0.4), (0, 10, 100, 200)
)
RASTER = Image("cyx", (4, 260, 331), "int16", ("red", "green", "blue", "nir"), transform=(10, 0, 500_000, 0, -10, 5e6))
"""The others are in micrometres; this one is in metres of EPSG:32633, and -9999 where it has holes."""
NODATA = -9999


@dataclass(frozen=True)
class Result:
    """A pipeline, and where the pixels of its result lie.

    Attributes
    ----------
    image, stages, input, output
        What is read, and words of the pipeline.
    shape
        Of the full size; none is that of the image.
    first
        Where the middle of its first pixel lies, in pixels of the image from the middle of the first of these.
    step
        How many pixels of the image one stands for along each axis.
    factor
        How much smaller each level is than the one below.
    channels
        Which channels of the image it has; none are all.
    """

    image: Image
    stages: tuple[dict[str, Any], ...] = ()
    output: dict[str, Any] = field(default_factory=dict)
    input: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    first: tuple[float, ...] = ()
    step: tuple[int, ...] = ()
    factor: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return what readers are to tell, of each level where there are several."""
        image, axes = self.image, range(len(self.image.axes))
        shape, first = self.shape or image.shape, self.first or (0.0,) * len(axes)
        step, scale = self.step or (1,) * len(axes), image.scale or (1.0,) * len(axes)
        origin, factor = image.origin or (0.0,) * len(axes), self.factor or (1,) * (len(axes) - 2) + (2, 2)
        levels = self.output.get("pyramid", {}).get("levels", 1)
        told: dict[str, Any] = {key: [] for key in ("shapes", "scales", "translations")}
        earth: dict[str, Any] = {"crs": "EPSG:32633", "nodata": NODATA, "transforms": []} if image.transform else {}
        for _ in range(levels):
            told["shapes"].append(list(shape))
            told["scales"].append([scale[a] * step[a] for a in axes])
            told["translations"].append([origin[a] + scale[a] * first[a] for a in axes])
            if image.transform:
                a, _, c, _, e, f = image.transform
                rows, columns = (first[n] - step[n] / 2 + 0.5 for n in (-2, -1))
                earth["transforms"].append([a * step[-1], 0, c + a * columns, 0, e * step[-2], f + e * rows])
            first = [first[a] + step[a] * (factor[a] - 1) / 2 for a in axes]
            step, shape = [step[a] * factor[a] for a in axes], [-(-shape[a] // factor[a]) for a in axes]
        kept = self.channels or range(len(image.names))
        names = {"names": image.names, "colours": image.colours}
        named = {key: [value[n] for n in kept] for key, value in names.items() if value}
        return told | earth | named | {"axes": list(image.axes), "windows": None}  # which are the result's own


PYRAMID = {"pyramid": {"levels": LEVELS}}
PLAIN = {"checksum": "none"}
GAUSSIAN = {"op": "gaussian", "sigma": 1.5}
BOX = {"op": "box", "size": {"y": 5, "x": 3}}
EVEN = {"op": "correlate", "kernel": [[1, 2, 3, 4], [5, 6, 7, 8]], "normalize": True}  # one row up, two columns left
FULL, VALID = {"extent": "full"}, {"extent": "valid"}
BY_TWO, BY_THREE = ({"op": "pool", "size": n, "method": "mean", "padding": 0} for n in (2, 3))
DEEP = {"over": "zyx"}
HOLES = {"missing": {"rule": "propagate"}}
EDGES = ({"op": "gaussian", "sigma": 1}, {"op": "sobel", "component": "magnitude"})
STORED = {
    "as it comes": {},
    "checksum: none": PLAIN,
    "shards": {"shards": 256},
    "shards, checksum: none": {"shards": 256} | PLAIN,
    "zstd": {"codec": {"name": "zstd"}},
    "gzip": {"codec": {"name": "gzip"}},
    "no codec": {"codec": {"name": "none"}},
    "zstd, checksum: none": {"codec": {"name": "zstd"}} | PLAIN,
    "gzip, checksum: none": {"codec": {"name": "gzip"}} | PLAIN,
    "no codec, checksum: none": {"codec": {"name": "none"}} | PLAIN,
    "blosc zstd": {"codec": {"cname": "zstd", "shuffle": "shuffle"}},
    "levels": PYRAMID,
    "levels, checksum: none": PYRAMID | PLAIN,
    "0.4": {"format": "0.4"},
    "0.4 levels": {"format": "0.4"} | PYRAMID,
    "0.4 zstd": {"format": "0.4", "codec": {"name": "zstd"}},
    "0.4 gzip": {"format": "0.4", "codec": {"name": "gzip"}},
    "0.4 no codec": {"format": "0.4", "codec": {"name": "none"}},
}
"""The ways in which the same pixels are stored."""
STAGED = {
    "slide": Result(SLIDE, (GAUSSIAN,), PYRAMID | {"dtype": "input"}),
    "slide, full": Result(SLIDE, (EVEN | FULL,), PYRAMID, {}, (3, 302, 424), (0, 0, -1)),
    "slide, valid": Result(SLIDE, (BOX | VALID,), PYRAMID, {}, (3, 297, 419), (0, 2, 1)),
    "slide, stride": Result(SLIDE, (BY_TWO,), PYRAMID, {}, (3, 150, 210), (0, 0.5, 0.5), (1, 2, 2)),
    "slide, valid, stride": Result(SLIDE, (BOX | VALID, BY_THREE), PYRAMID, {}, (3, 99, 139), (0, 3, 2), (1, 3, 3)),
    "slide, region": Result(
        SLIDE, (GAUSSIAN,), PYRAMID, {"region": {"y": [37, 240], "x": [101, 400]}}, (3, 203, 299), (0, 37, 101)
    ),
    "slide, full, 0.4": Result(SLIDE, (EVEN | FULL,), PYRAMID | {"format": "0.4"}, {}, (3, 302, 424), (0, 0, -1)),
    "stack": Result(STACK, ({"op": "gaussian", "sigma": "1 um"} | DEEP,), PYRAMID),
    "stack, region, a channel": Result(
        STACK, (GAUSSIAN | DEEP,), PYRAMID, {"region": {"z": [2, 8], "x": [31, 180]}, "select": {"c": ["GFP"]}},
        (1, 6, 181, 149), (0, 2, 0, 31), channels=(1,),
    ),
    "stack, valid, z halved": Result(
        STACK, ({"op": "box", "size": {"z": 3, "y": 5, "x": 5}} | DEEP | VALID,),
        {"pyramid": {"levels": LEVELS, "factor": {"z": 2}}}, {}, (2, 7, 177, 199), (0, 1, 2, 2), factor=(1, 2, 2, 2),
    ),
    "stack, 0.4": Result(STACK, (GAUSSIAN | DEEP,), PYRAMID | {"format": "0.4"}),
}  # fmt: skip
RASTERS = {
    "raster": Result(RASTER, EDGES),
    "raster, full": Result(RASTER, (EVEN | FULL,), {}, {}, (4, 261, 334), (0, 0, -1)),
    "raster, valid": Result(RASTER, (BOX | VALID,), {}, {}, (4, 256, 329), (0, 2, 1)),
    "raster, stride": Result(RASTER, (BY_TWO,), {}, {}, (4, 130, 165), (0, 0.5, 0.5), (1, 2, 2)),
    "raster, region": Result(
        RASTER, EDGES, {}, {"region": {"y": [37, 240], "x": [101, 300]}}, (4, 203, 199), (0, 37, 101)
    ),
}
WRITTEN = {"": {}, ", checksum: none": PLAIN, ", 0.4": {"format": "0.4"}}
"""What different versions of GDAL read of a raster."""


def results():
    """Return every result by what it is called."""
    made = {name: Result(CELLS, output={"dtype": "input"} | words) for name, words in STORED.items()} | STAGED
    for (name, result), (way, words) in product(RASTERS.items(), WRITTEN.items()):
        output = PYRAMID | {"dtype": "float32", "nodata": NODATA} | words
        made[name + way] = Result(**vars(result) | {"output": output})
    return made


def write(folder, names):
    """Write the results of *names* into *folder*; return the path of each."""
    inputs = {}
    for image in (CELLS, SLIDE, STACK, RASTER):
        inputs[image] = (_raster if image.transform else _ome)(folder / f"in-{len(inputs)}", image)
    paths = {}
    for number, (name, result) in enumerate(results().items()):
        if name not in names:
            continue
        paths[name] = folder / f"{number}.ome.zarr"
        pipeline = {
            **{"version": 1, "input": {"path": str(inputs[result.image]), **result.input}},
            **{"stages": list(result.stages), **(HOLES if result.image.transform else {})},
            "output": {"path": str(paths[name]), "chunks": 128, **result.output},
        }
        tileconv.run(pipeline)
    return paths


def _pixels(image):
    """Return waves with noise, other ones in every channel."""
    sides = enumerate(image.shape[:0:-1])
    waves = sum(np.sin((n + 2) * np.arange(size).reshape(-1, *[1] * n) / 20) for n, size in sides)
    strength = np.arange(1, image.shape[0] + 1).reshape(-1, *[1] * waves.ndim) * 150
    noise = np.random.default_rng(3).integers(0, 40, image.shape)
    return (1000 + strength * waves + noise).astype(image.dtype)


def _ome(path, image):
    """Write an image by the rules of OME-Zarr, with Zarr's own library."""
    kinds = {"c": "channel"}
    axes = [{"name": axis, "type": kinds.get(axis, "space")} for axis in image.axes]
    axes = [axis | ({"unit": "micrometer"} if axis["type"] == "space" else {}) for axis in axes]
    places = [{"type": "scale", "scale": image.scale}]
    places += [{"type": "translation", "translation": image.origin}] if image.origin else []
    window = {"min": 0, "max": 9, "start": 0, "end": 9}
    shown = zip(image.names, image.colours, strict=True)
    channels = [{"label": name, "color": colour, "active": True, "window": window} for name, colour in shown]
    level = {"path": "0", "coordinateTransformations": places}
    said = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}], "omero": {"channels": channels}}
    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs["ome"] = said
    chunks = tuple(min(128, n) if axis in "yx" else 1 for axis, n in zip(image.axes, image.shape, strict=True))
    root.create_array("0", data=_pixels(image), chunks=chunks, dimension_names=list(image.axes))
    return path


def _raster(path, image):
    """Write a GeoTIFF with two holes, which has its place, its nodata value and the names of its bands."""
    pixels, (a, _, c, _, e, f) = _pixels(image), image.transform
    pixels[:, 60:90, 100:160] = pixels[:2, 200:, :40] = NODATA
    names = "".join(
        f'<Item name="DESCRIPTION" sample="{n}" role="description">{name}</Item>' for n, name in enumerate(image.names)
    )
    keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633]
    tags = [
        *[(33550, 12, 3, (a, -e, 0.0)), (33922, 12, 6, (0.0, 0.0, 0.0, c, f, 0.0)), (34735, 3, len(keys), keys)],
        *[(42112, 2, 0, f"<GDALMetadata>{names}</GDALMetadata>"), (42113, 2, 0, str(NODATA))],
    ]
    path = path.with_suffix(".tif")
    tifffile.imwrite(path, pixels, extratags=tags, planarconfig="separate", photometric="minisblack", tile=(128, 128))
    return path
