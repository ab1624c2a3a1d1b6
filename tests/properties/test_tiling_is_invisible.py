"""Tiling is invisible: the bytes depend on no tile size, chunking, halo method, number of workers or executor."""

import hashlib

import dask.array as da
import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.runs_help import overlapped, pipeline, run, tiled, windows, write_tiff, write_zarr

import tileconv

TILES = (64, 100, 257)
LOPSIDED = [[1.5, -2, 3, 4.25], [0, 5, -6, 7], [2, 2, -1, 0.5]]
WHOLE = [[1, -2, 3, 4], [0, 5, -6, 7], [2, 2, -1, 1]]
GAUSSIAN, SOBEL = {"op": "gaussian", "sigma": 2}, {"op": "sobel"}
UNSHARP = {"op": "unsharp", "sigma": 1.2, "amount": 0.6, "threshold": 3}
OWN = {"op": "convolve", "kernel": LOPSIDED}
FFT = OWN | {"engine": "fft"}
WIDE = {"op": "disk", "radius": 9, "engine": "fft"}
FILL = {"rule": "fill", "value": 7}
CHAINS = {
    "blur, edge, sharpen": ("uint16", [GAUSSIAN, SOBEL, UNSHARP], {}),
    "mirror, float32": ("float32", [GAUSSIAN, SOBEL, UNSHARP], {"border": "mirror"}),
    "nearest, float64": ("float64", [GAUSSIAN, SOBEL, UNSHARP], {"border": "nearest"}),
    "constant, int8": ("int8", [GAUSSIAN, SOBEL], {"border": {"rule": "constant", "value": 400.5}}),
    "wrap chain": ("uint8", [GAUSSIAN, OWN, SOBEL], {"border": "wrap"}),
    "wrap after reflect": ("uint16", [SOBEL, GAUSSIAN | {"border": "wrap"}, OWN], {}),
    "a border per axis": ("float32", [OWN, GAUSSIAN], {"border": {"x": "wrap", "y": "mirror"}}),
    "direct": ("float32", [OWN | {"engine": "direct"}, OWN | {"engine": "direct"}], {}),
    "separable": ("float32", [{"op": "box", "size": 12, "engine": "separable"}], {"border": "wrap"}),
    "separable, two terms": ("float64", [{"op": "laplacian_of_gaussian", "sigma": 2, "engine": "separable"}], {}),
    "fft": ("float32", [FFT], {}),
    "fft in the middle": ("uint16", [SOBEL, WIDE, UNSHARP], {}),
    "fft wraps": ("uint16", [FFT, WIDE], {"border": "wrap"}),
    "fft among zeros": ("float32", [FFT | {"extent": "full"}, FFT], {"border": {"rule": "constant", "value": 0}}),
    "fft of whole numbers": ("uint8", [{"op": "correlate", "kernel": WHOLE, "engine": "fft"}, SOBEL], {}),
    "full then valid": ("uint8", [OWN | {"extent": "full", "border": "nearest"}, SOBEL | {"extent": "valid"}], {}),
    "valid fft then full": ("int16", [WIDE | {"extent": "valid"}, FFT | {"extent": "full"}], {"border": "mirror"}),
    "whole numbers": ("int32", [{"op": "correlate", "kernel": WHOLE}, {"op": "laplacian"}, {"op": "abs"}], {}),
    "int64": ("int64", [{"op": "correlate", "kernel": WHOLE}], {}),
    "pointwise": ("uint8", [{"op": "rescale", "gain": -0.3, "offset": 2}, {"op": "clip", "range": [-30, 1]}], {}),
    "clipped uint8": ("uint16", [SOBEL | {"component": "x"}], {"output": {"dtype": "uint8"}}),
    "nodata propagates": ("float32", [GAUSSIAN, FFT], {"missing": {"rule": "propagate"}, "input_": {"nodata": 0}}),
    "nodata filled": ("uint8", [GAUSSIAN, SOBEL], {"missing": FILL, "input_": {"nodata": 3}}),
    "precision": ("uint16", [GAUSSIAN, FFT], {"precision": "float64", "border": "wrap"}),
    "median, edge": ("uint16", [{"op": "median", "size": 4}, SOBEL], {}),
    "ranks among NaN": ("float32", [{"op": "rank", "size": 12, "percentile": 20}, {"op": "local_maximum"}], {}),
    "extremes wrap": ("uint8", [{"op": "local_minimum", "radius": 3}, {"op": "median"}], {"border": "wrap"}),
    "variance": ("float64", [{"op": "variance", "size": 7}, {"op": "standard_deviation", "size": 4}], {}),
    "variance of whole numbers": ("int16", [{"op": "variance", "size": {"y": 12, "x": 5}}], {"border": "wrap"}),
    "copy": ("uint16", [], {}),
    "copy with NaN": ("float64", [], {}),
    "float16": ("float16", [GAUSSIAN], {"output": {"dtype": "input"}}),
}


def noise(shape, dtype, seed=0):
    image = strategies.pixels(shape, dtype, seed, peak=2**40)
    if image.dtype.kind == "f":
        image[..., 63:65, 63:65] = np.nan  # the corner of four tiles
        image[..., 100, 30] = np.inf
        image[..., 100:103, 32] = -np.inf
        image[..., 64:66, 65:69] = -np.nan  # an operation on both signs keeps either
        image[..., -1, 0] = 0
    return image


def digest(array):
    return hashlib.sha256(array.tobytes()).hexdigest(), array.shape, str(array.dtype)


@pytest.mark.parametrize("name", CHAINS)
def test_tile_sizes_and_halo_methods(name):
    dtype, stages, words = CHAINS[name]
    image = noise((203, 331), dtype)
    whole, counts = windows(tiled(stages, None, **words), image)
    for tile in TILES:
        made, noticed = windows(tiled(stages, tile, **words), image)
        assert digest(made) == digest(whole), tile
        assert noticed.clipped == counts.clipped
        assert noticed.missing == counts.missing
    if whole.dtype.kind == "f":
        assert len(set(whole[np.isnan(whole)].view(f"u{whole.itemsize}"))) <= 1
    assert digest(overlapped(tiled(stages, None, **words), image, (70, 90))) == digest(whole)


@pytest.mark.parametrize("border", ["reflect", "wrap"])
@pytest.mark.parametrize("engine", ["direct", "separable", "fft"])
def test_volumes(border, engine):
    image = noise((9, 70, 110), "uint8")
    kernel = (np.arange(-3, 3)[:, None, None] * np.ones((4, 3))).tolist()
    stages = [
        {"op": "correlate", "kernel": kernel, "over": "zyx", "engine": engine},
        {"op": "gaussian", "sigma": 1, "over": "zyx", "engine": engine},
        SOBEL,
    ]
    whole, _ = windows(tiled(stages, None, border=border), image, "zyx")
    for tile in ({"z": 4, "y": 33, "x": 64}, {"z": 1, "y": 70, "x": 40}):
        made, _ = windows(pipeline(stages, border=border, output={"chunks": tile}, run={"tile": tile}), image, "zyx")
        assert digest(made) == digest(whole)
    assert digest(overlapped(tiled(stages, None, border=border), image, (2, 30, 47), "zyx")) == digest(whole)


@pytest.mark.parametrize(("axes", "shape"), [("cyx", (3, 80, 90)), ("tyx", (2, 80, 90)), ("tczyx", (2, 3, 2, 40, 50))])
def test_stacks_and_colour_are_done_plane_by_plane(axes, shape):
    image = noise(shape, "uint16")
    stages = [GAUSSIAN, SOBEL, UNSHARP]
    whole, _ = windows(tiled(stages, None), image, axes)
    cut = {"c": 2, "y": 33, "x": 40} if "c" in axes else {"y": 33, "x": 40}
    made, _ = windows(pipeline(stages, output={"chunks": cut}, run={"tile": cut}), image, axes)
    assert digest(made) == digest(whole)
    assert digest(overlapped(tiled(stages, None), image, (*(1 for _ in shape[:-2]), 30, 33), axes)) == digest(whole)
    for place in np.ndindex(shape[:-2]):
        plane, _ = windows(tiled(stages, None), image[place])
        assert plane.tobytes() == whole[place].tobytes()


@pytest.mark.parametrize(
    ("dtype", "stages", "border"),
    [("uint16", [GAUSSIAN, SOBEL, UNSHARP], "reflect"), ("float32", [FFT, SOBEL | {"border": "wrap"}], "mirror")],
    ids=["fused", "two passes"],
)
def test_files(tmp_path, dtype, stages, border):
    """TIFF and Zarr sources of different chunks, tiles, workers and halo methods, through the whole program."""
    image = noise((203, 331), dtype)
    sources = [
        write_tiff(tmp_path / "tiles.tif", image, tile=48, compression="zlib"),
        write_tiff(tmp_path / "strips.tif", image, rows=7),
        write_zarr(tmp_path / "a.zarr", image, (50, 120)),
        write_zarr(tmp_path / "b.zarr", image, (203, 17)),
    ]
    expected = windows(tiled(stages, None, border=border), image)[0]
    ways = [(64, 1, "windows"), (100, 2, "overlap"), (257, 2, "windows"), (None, 1, "overlap"), (100, 2, "windows")]
    for number, (tile, workers, method) in enumerate(ways):
        spec = tiled(stages, tile, border=border, run={"workers": workers, "halo_method": method})
        made, _ = run(spec, sources[number % len(sources)], tmp_path)
        assert digest(made) == digest(expected), (tile, workers, method)


def test_processes(tmp_path):
    """Both halo methods on a cluster: tests/execute."""
    image = noise((203, 331), "uint16")
    source = write_tiff(tmp_path / "a.tif", image, tile=64)
    stages = [SOBEL, FFT, GAUSSIAN | {"border": "wrap"}]
    spec = tiled(stages, 100, run={"executor": "processes"})
    assert digest(run(spec, source, tmp_path)[0]) == digest(windows(tiled(stages, None), image)[0])


ONES = st.sampled_from(
    [
        GAUSSIAN,
        SOBEL,
        UNSHARP,
        OWN,
        FFT,
        {"op": "gaussian", "sigma": 3, "engine": "fft"},
        {"op": "box", "size": 4},
        {"op": "laplacian"},
        {"op": "difference_of_gaussians", "low_sigma": 1},
        {"op": "rescale", "gain": 0.5, "offset": 1},
    ]
)


@st.composite
def chains(draw):
    """Draw a chain whose stages have borders and extents of their own."""
    stages = []
    for stage in draw(st.lists(ONES, min_size=1, max_size=4)):
        words = {"border": draw(st.sampled_from(strategies.RULES))}
        if words["border"] == "constant":
            words["border"] = {"rule": "constant", "value": draw(st.sampled_from((0, -5, 300)))}
        if stage["op"] != "rescale":
            words["extent"] = draw(st.sampled_from(("same", "same", "full")))
        stages.append(stage | words)
    return stages


@given(chains(), strategies.images(ndim=2, peak=2**30), st.data())
def test_any_chain_any_tile_any_chunks(stages, image, data):
    """Tiles of a few pixels, and Dask chunks far smaller than the halos."""
    whole, _ = windows(tiled(stages, None), image)
    tile = {a: data.draw(st.integers(4, 30), label=a) for a in "yx"}
    made, _ = windows(pipeline(stages, output={"chunks": tile}, run={"tile": tile}), image)
    assert digest(made) == digest(whole)
    chunks = tuple(tuple(np.diff(data.draw(strategies.cuts(n))).tolist()) for n in image.shape)
    assert digest(overlapped(tiled(stages, None), image, chunks)) == digest(whole)


@given(
    strategies.images(peak=2**40),
    st.data(),
    st.sampled_from(strategies.RULES),
    st.sampled_from(("same", "full")),
    st.sampled_from(("auto", "direct", "fft")),
    st.sampled_from((0.0, 5.0)),
)
def test_arrays(image, data, border, extent, engine, cval):
    """``tile`` and the chunks of a Dask array change no byte of what ``tileconv.convolve`` returns."""
    kernel = data.draw(strategies.kernels(image.ndim, longest=7, whole=False))
    kernel[(0,) * image.ndim] = 0.5  # not whole: exact int64 has no FFT
    options = {"border": border, "extent": extent, "engine": engine, "cval": cval, "axes": tuple(range(image.ndim))}
    whole = tileconv.convolve(image, kernel, **options)
    tile = [data.draw(st.integers(1, 12)) for _ in image.shape]
    assert digest(tileconv.convolve(image, kernel, tile=tile, **options)) == digest(whole)
    chunks = tuple(tuple(np.diff(data.draw(strategies.cuts(n))).tolist()) for n in image.shape)
    lazy = tileconv.convolve(da.from_array(image, chunks=chunks), kernel, **options)
    assert lazy.shape == whole.shape
    assert digest(lazy.compute(scheduler="synchronous")) == digest(whole)


@settings(max_examples=10)
@given(st.data(), st.sampled_from(strategies.RULES), st.sampled_from(("separable", "fft")))
def test_chunks_smaller_than_a_wide_halo(data, border, engine):
    image = strategies.pixels((60, 70), "float32", 3)
    chunks = tuple(data.draw(st.integers(3, 12)) for _ in image.shape)
    lazy = tileconv.gaussian(da.from_array(image, chunks=chunks), 5, border=border, engine=engine)
    assert digest(lazy.compute(scheduler="synchronous")) == digest(
        tileconv.gaussian(image, 5, border=border, engine=engine)
    )
