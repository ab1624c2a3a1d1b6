"""The golden pipelines: an image, stages, and what else a pipeline file says, by a name that tells what is special."""

from __future__ import annotations

from typing import Any

from tests.golden.images import Image

NAN, INF = float("nan"), float("inf")
GAUSSIAN, SOBEL, BOX = {"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "box", "size": {"y": 4, "x": 7}}
UNSHARP = {"op": "unsharp", "sigma": 1.2, "amount": 0.6, "threshold": 3}
OWN = {"op": "convolve", "kernel": [[1.5, -2, 3, 4.25], [0, 5, -6, 7], [2, 2, -1, 0.5]]}
WHOLE = {"op": "correlate", "kernel": [[1, -2, 3, 4], [0, 5, -6, 7], [2, 2, -1, 1]]}
DISK = {"op": "disk", "radius": 9, "engine": "fft"}
DEEP = {"op": "correlate", "over": "zyx", "kernel": [[[1, 2, -3]], [[0.5, 4, 1]], [[2, -1, 0]], [[1, 1, 7]]]}
ZERO, CONSTANT = {"rule": "constant", "value": 0}, {"rule": "constant", "value": 400.5}
BYTES, FLOATS, DOUBLES = Image(dtype="uint8"), Image(dtype="float32"), Image(dtype="float64")
VOLUME = Image("zarr 3 of volumes", "uint8", (9, 70, 80))
ODD = (75, 93)
ZYX = {"z": 4, "y": 33, "x": 64}


def cut(tile: Any, **run: Any) -> dict[str, Any]:
    """Return the words for tiles and chunks of *tile* pixels."""
    return {"output": {"chunks": tile}, "run": {"tile": tile, **run}}


def levelled(method: str, count: int = 3, **output: Any) -> dict[str, Any]:
    """Return the words for levels of an image of odd sizes, made with tiles of two chunks and of what is stored."""
    return {"output": {"chunks": 16, "pyramid": {"levels": count, "method": method}, **output}, "run": {"tile": 32}}


CORPUS: dict[str, tuple[Image, list[dict[str, Any]], dict[str, Any]]] = {
    # operators
    "box": (BYTES, [BOX], {}),
    "gaussian": (Image(), [GAUSSIAN], {}),
    "gaussian, sides apart": (FLOATS, [{"op": "gaussian", "sigma": {"y": 0.7, "x": 3.3}, "truncate": 2.5}], {}),
    "gaussian by size": (Image(dtype="int16"), [{"op": "gaussian", "size": 9}], {}),
    "disk": (Image(), [{"op": "disk", "radius": {"y": 3, "x": 4.5}}], {}),
    "edge": (BYTES, [{"op": "edge", "component": "y"}], {}),
    "sobel": (Image(), [SOBEL], {}),
    "sobel x": (Image(dtype="uint32"), [SOBEL | {"component": "x"}], {}),
    "scharr": (Image(dtype="int8"), [{"op": "scharr"}], {}),
    "prewitt": (DOUBLES, [{"op": "prewitt", "component": "magnitude"}], {}),
    "laplacian": (Image(dtype="int32"), [{"op": "laplacian"}], {}),
    "laplacian of gaussian": (FLOATS, [{"op": "laplacian_of_gaussian", "sigma": 1.5}], {}),
    "difference of gaussians": (Image(), [{"op": "difference_of_gaussians", "low_sigma": 1}], {}),
    "sharpen": (Image(dtype="int64"), [{"op": "sharpen"}], {}),
    "unsharp": (FLOATS, [UNSHARP], {}),
    "convolve": (Image(), [OWN | {"divide_by": 3, "offset": -2.5}], {}),
    "correlate, normalized": (BYTES, [OWN | {"op": "correlate", "normalize": True}], {}),
    "kernel of a file": (FLOATS, [{"op": "convolve", "kernel": "kernel.npy"}], {}),
    "pixel by pixel": (
        BYTES,
        [{"op": "rescale", "gain": -0.3, "offset": 2}, {"op": "abs"}, {"op": "clip", "range": [1, 60.5]}],
        {},
    ),
    "copy": (Image(), [], {}),
    # borders
    "mirror": (FLOATS, [GAUSSIAN, SOBEL], {"border": "mirror"}),
    "nearest": (DOUBLES, [OWN, UNSHARP], {"border": "nearest"}),
    "wrap": (BYTES, [GAUSSIAN, OWN, SOBEL], {"border": "wrap"}),
    "constant": (Image(dtype="int8"), [GAUSSIAN, SOBEL], {"border": CONSTANT}),
    "a border per axis": (FLOATS, [OWN, GAUSSIAN], {"border": {"x": "wrap", "y": "mirror"}}),
    "a border per stage": (Image(), [OWN | {"border": "nearest"}, WHOLE | {"border": {"y": CONSTANT}}], {}),
    "smaller than the halo": (Image(shape=(5, 3)), [GAUSSIAN | {"sigma": 4}, OWN], {"border": "mirror"}),
    "one row": (Image(dtype="float32", shape=(1, 90)), [OWN, SOBEL], {}),
    # extents
    "full": (BYTES, [OWN | {"extent": "full"}], {"border": "nearest"}),
    "valid": (Image(), [WHOLE | {"extent": "valid"}], {}),
    "full, then valid": (BYTES, [OWN | {"extent": "full"}, BOX | {"extent": "valid"}], {"border": "mirror"}),
    "valid, then full": (Image(dtype="int16"), [DISK | {"extent": "valid"}, OWN | {"extent": "full"}], {}),
    # engines and sums
    "direct": (FLOATS, [OWN | {"engine": "direct"}, GAUSSIAN | {"engine": "direct"}], {}),
    "separable": (FLOATS, [BOX | {"engine": "separable"}], {"border": "wrap"}),
    "separable, two terms": (DOUBLES, [{"op": "laplacian_of_gaussian", "sigma": 2, "engine": "separable"}], {}),
    "fft": (FLOATS, [OWN | {"engine": "fft"}], {}),
    "fft in float64": (DOUBLES, [DISK], {"border": "nearest"}),
    "fft of whole numbers": (BYTES, [WHOLE | {"engine": "fft"}, SOBEL], {}),
    "wide kernel": (Image(), [{"op": "disk", "radius": 14}], {}),
    "precision float64": (Image(), [GAUSSIAN, OWN | {"engine": "fft"}], {"precision": "float64"}),
    "precision float32": (Image(dtype="int32", most=2**20), [GAUSSIAN, BOX], {"precision": "float32"}),
    "huge weights": (FLOATS, [{"op": "correlate", "kernel": [[1e39, -2e39], [5e38, -1e39]]}], {}),
    # passes with intermediate arrays
    "wrap after reflect": (Image(), [SOBEL, GAUSSIAN | {"border": "wrap"}, OWN], {}),
    "three passes": (BYTES, [OWN, BOX | {"border": "wrap"}, SOBEL, WHOLE | {"border": {"y": "wrap"}}], {}),
    "fft wraps": (Image(), [OWN | {"engine": "fft"}, DISK], {"border": "wrap"}),
    "fft in the middle": (Image(), [SOBEL, DISK, UNSHARP], {}),
    "wrap of missing": (
        Image(dtype="float32", missing=(NAN, INF)),
        [BOX, GAUSSIAN | {"border": "wrap"}],
        {"missing": {"rule": "propagate"}},
    ),
    # types
    "bool": (Image(dtype="bool"), [BOX], {}),
    "uint64": (Image(dtype="uint64"), [WHOLE], {}),
    "copy of uint64": (Image(dtype="uint64", most=2**64), [], {}),
    "int64 in floats": (Image(dtype="int64"), [GAUSSIAN], {}),
    "float16": (Image(dtype="float16"), [GAUSSIAN], {"output": {"dtype": "float32"}}),
    "bigendian floats": (Image(dtype=">f4"), [SOBEL], {}),
    "by columns": (Image("npy by columns", ">i2"), [WHOLE], {}),
    "to float64": (Image(), [GAUSSIAN], {"output": {"dtype": "float64"}}),
    # narrowing
    "clipped": (Image(), [SOBEL | {"component": "x"}], {"output": {"dtype": "uint8"}}),
    "type of the input": (Image(dtype="int16"), [GAUSSIAN, UNSHARP], {"output": {"dtype": "input"}}),
    "halves to even": (BYTES, [{"op": "rescale", "gain": 0.5}], {"output": {"dtype": "uint8"}}),
    "wide to int32": (FLOATS, [OWN | {"divide_by": 1e-6}], {"output": {"dtype": "int32"}}),
    "no overflow": (Image(), [BOX], {"output": {"dtype": "uint16", "overflow": "error"}}),
    "overflow": (Image(shape=(40, 50)), [SOBEL], {"output": {"dtype": "uint16", "overflow": "error"}}),
    # missing pixels
    "NaN and infinity": (Image(dtype="float32", missing=(NAN, INF, -INF)), [GAUSSIAN, OWN], {}),
    "NaN by fft": (Image(dtype="float32", missing=(NAN, INF)), [DISK], {"missing": {"rule": "propagate"}}),
    "copy of NaN": (Image(dtype="float64", missing=(NAN, -INF)), [], {}),
    "nodata propagates": (
        Image(dtype="float32", missing=(-99.5,)),
        [BOX, OWN | {"engine": "fft"}],
        {"input": {"nodata": -99.5}, "missing": {"rule": "propagate"}},
    ),
    "nodata filled": (
        Image(missing=(7,)),
        [GAUSSIAN, SOBEL],
        {"input": {"nodata": 7}, "missing": {"rule": "fill", "value": 2.5}},
    ),
    "nodata refused": (
        Image(dtype="float32", shape=(60, 50), missing=(3,)),
        [GAUSSIAN],
        {"input": {"nodata": 3}, "missing": {"rule": "error"}},
    ),
    "missing, to integers": (
        Image(missing=(7,)),
        [GAUSSIAN],
        {"input": {"nodata": 7}, "missing": {"rule": "propagate"}, "output": {"dtype": "input"}},
    ),
    # files
    "tiff strips": (Image("tiff strips", "int16"), [GAUSSIAN], {}),
    "tiff tiles": (Image("tiff tiles"), [GAUSSIAN, SOBEL, UNSHARP], {}),
    "tiff bigendian": (Image("tiff bigendian", "uint32"), [WHOLE], {}),
    "bigtiff": (Image("tiff bigtiff", "float64"), [BOX], {}),
    "bilevel": (Image("tiff bilevel", "bool"), [GAUSSIAN], {}),
    "rgb in planes": (Image("tiff planes", "uint8", (3, 70, 90)), [GAUSSIAN], {"output": {"dtype": "input"}}),
    "rgb": (Image("tiff rgb", "uint8", (70, 90, 3)), [UNSHARP], cut({"c": 3, "y": 40, "x": 90})),
    "rgb of 16 bits with alpha": (Image("tiff alpha", "uint16", (70, 90, 4)), [SOBEL], {}),
    "jpeg tiles": (Image("tiff jpeg", "uint8", (70, 90, 3)), [WHOLE], {}),
    "palette": (Image("tiff palette", "uint8"), [BOX], {}),
    "white is 0": (Image("tiff white is 0", "uint8"), [SOBEL], {}),
    "geotiff with nodata": (
        Image("tiff geotiff", missing=(7,)),
        [GAUSSIAN | {"extent": "valid"}],
        {"missing": {"rule": "propagate"}},
    ),
    "tiff pyramid": (Image("tiff pyramid"), [OWN], {"input": {"level": 1}}),
    "tiff series": (Image("tiff series"), [SOBEL], {"input": {"series": 1}}),
    "ome-tiff": (Image("ome-tiff", "uint16", (1, 2, 3, 50, 70)), [GAUSSIAN, SOBEL], {}),
    "imagej": (Image("imagej", "uint16", (3, 2, 50, 70)), [BOX | {"extent": "full"}], {}),
    "png": (Image("png", "uint16"), [GAUSSIAN], {}),
    "png in colour": (Image("png", "uint8", (70, 90, 3)), [SOBEL], {}),
    "zarr 2": (Image("zarr 2", "int32"), [WHOLE], {}),
    "zarr 3": (Image("zarr 3", "float32"), [GAUSSIAN, SOBEL], {}),
    "zarr 3 in shards": (Image("zarr 3 in shards"), [OWN], {}),
    "zarr with fill": (Image("zarr 3 with fill", missing=(7,)), [BOX], {"missing": {"rule": "fill", "value": 0}}),
    "zarr with a hole": (Image("zarr with a hole"), [SOBEL], {}),
    "ome-zarr 0.4": (Image("ome-zarr 0.4", "uint8", (2, 70, 90)), [GAUSSIAN], {}),
    "ome-zarr 0.5": (Image("ome-zarr 0.5"), [UNSHARP | {"threshold": 0}], {"input": {"level": 1}}),
    # volumes and stacks
    "volume": (VOLUME, [DEEP | {"border": "mirror"}, SOBEL], cut(ZYX)),
    "volume, three components": (VOLUME, [SOBEL | {"over": "zyx"}], cut(ZYX)),
    "volume by fft": (VOLUME, [GAUSSIAN | {"over": "zyx", "sigma": 1, "engine": "fft"}], cut(ZYX)),
    "volume wraps": (VOLUME, [DEEP, BOX | {"over": "zyx", "size": 3, "border": "wrap"}], cut(ZYX)),
    "volume, full and valid": (VOLUME, [DEEP | {"extent": "full"}, DEEP | {"extent": "valid"}], cut(ZYX)),
    "stack of pages": (Image("tiff stack", "uint8", (3, 60, 70)), [OWN], {"input": {"axes": "zyx"}}),
    "axes of an array": (Image("npy", "uint8", (60, 70, 3)), [GAUSSIAN], {"input": {"axes": "yxc"}}),
    "five axes": (Image("npy", "float32", (2, 2, 2, 40, 50)), [SOBEL], {"input": {"axes": "tczyx"}}),
    # files of the result
    "codec zstd": (Image(), [GAUSSIAN], {"output": {"codec": {"name": "zstd", "level": 7}}}),
    "codec gzip": (Image(), [WHOLE], {"output": {"codec": {"name": "gzip"}, "checksum": "none"}}),
    "no codec": (BYTES, [BOX], {"output": {"codec": {"name": "none"}}}),
    "codec blosc": (
        FLOATS,
        [SOBEL],
        {"output": {"codec": {"name": "blosc", "cname": "zstd", "level": 5, "shuffle": "shuffle"}}},
    ),
    "shards": (Image(), [GAUSSIAN], {"output": {"chunks": 16, "shards": 64}}),
    "shards by axis": (
        VOLUME,
        [SOBEL],
        {"output": {"chunks": 20, "shards": {"z": 1, "y": 40, "x": 60}}, "run": {"tile": {"z": 1, "y": 40, "x": 60}}},
    ),
    "format 0.4": (Image(), [GAUSSIAN], {"output": {"format": "0.4"}}),
    "format 0.4, gzip": (
        Image("tiff planes", "uint8", (3, 70, 90)),
        [SOBEL],
        {"output": {"format": "0.4", "codec": {"name": "gzip", "level": 9}}},
    ),
    "all automatic": (Image(shape=(190, 200)), [GAUSSIAN, SOBEL, UNSHARP], cut("auto", workers="auto")),
    # how it is made
    "tiles of 33": (FLOATS, [GAUSSIAN, SOBEL, UNSHARP], cut(33)),
    "tiles of two chunks": (FLOATS, [GAUSSIAN, OWN], {"output": {"chunks": 25}, "run": {"tile": 50}}),
    "narrow tiles": (FLOATS, [OWN, SOBEL], cut({"y": 100, "x": 17})),
    "halos by overlap": (Image("zarr 3"), [GAUSSIAN, OWN], cut(64, halo_method="overlap")),
    "halos by windows": (Image("tiff tiles"), [GAUSSIAN, OWN], cut(64, halo_method="windows")),
    "one worker": (Image("tiff strips"), [GAUSSIAN, SOBEL], cut(64, workers=1)),
    # levels
    "levels by mean": (Image(shape=ODD), [GAUSSIAN], levelled("mean", 5, dtype="input")),
    "levels by mean of floats": (Image(shape=ODD), [SOBEL], levelled("mean")),
    "levels by mean of uint64": (Image(dtype="uint64", shape=ODD, most=2**64), [], levelled("mean")),
    "levels by mode": (Image(dtype="uint8", shape=ODD), [], levelled("mode")),
    "levels by median": (Image(dtype="int16", shape=ODD), [BOX], levelled("median", dtype="input")),
    "levels by nearest": (Image(dtype="int32", shape=ODD), [WHOLE], levelled("nearest", checksum="none")),
    "levels by gaussian": (Image(shape=ODD), [GAUSSIAN], levelled("gaussian", dtype="input")),
    "levels skip NaN": (
        Image(dtype="float32", shape=ODD, missing=(NAN,)),
        [BOX],
        {**levelled("median"), "missing": {"rule": "propagate"}},
    ),
    "levels skip nodata": (
        Image("tiff geotiff", shape=ODD, missing=(7,)),
        [GAUSSIAN],
        {**levelled("gaussian", dtype="input", nodata=7), "missing": {"rule": "propagate"}},
    ),
    "levels in shards": (Image(shape=ODD), [GAUSSIAN], levelled("mean", shards=32)),
    "levels of format 0.4": (Image(dtype="uint8", shape=ODD), [BOX], levelled("mean", format="0.4", dtype="input")),
    "levels by thirds": (
        Image("npy", "uint8", (5, *ODD)),
        [GAUSSIAN],
        {
            "input": {"axes": "zyx"},
            "output": {"chunks": 16, "pyramid": {"levels": 3, "factor": {"z": 2, "y": 3, "x": 2}}},
            "run": {"tile": 48},
        },
    ),
}
