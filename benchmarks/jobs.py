"""What each peer does in a workload, one process per job.

    python -m benchmarks.jobs PEER WORKLOAD INPUT OUTPUT

Prints ``{"inner_seconds": ...}``: of a job that holds the image in memory, the seconds between reading and writing
(the median where it repeats its work), else null. The rules:

- every job reads the same file as tileconv; libvips and OpenCV write uncompressed TIFF, Dask writes Zarr with Dask's
  default codec, the others write ``.npy``;
- threads are left at each library's default; kernels are cut at the radius where tileconv cuts them, but for
  ``libvips``, which stands for libvips as it comes: integer sums, kernel cut where the bell falls below a fifth;
- borders are what the library does by default or cheapest: only the interior is compared;
- libvips sums a large dense kernel for hours, so that job takes the image's upper left corner (see ``crop_side``).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Job = Callable[[Path, Path], float | None]

SHARPEN = ((0, -1, 0), (-1, 5, -1), (0, -1, 0))
VIPS_BENCH = ((-1, -1, -1), (-1, 16, -1), (-1, -1, -1))
VIPS_BENCH_DIVIDE = 8
SOBEL_X = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))
SOBEL_Y = ((-1, -2, -1), (0, 0, 0), (1, 2, 1))
TRUNCATE = 4
DASK_CHUNK = 2048
VOLUME_CHUNK = 552
PSF_SIDE = 63
REPEATS = 5
TILE = 256

MODULES = {
    "dask": "dask",
    "dask-image": "dask_image",
    "dask-skimage": "skimage",
    "halide": "halide",
    "libvips": "pyvips",
    "libvips-float": "pyvips",
    "numpy": "numpy",
    "opencv": "cv2",
    "scipy": "scipy",
    "skimage": "skimage",
    "tensorstore": "tensorstore",
    "tileconv": "tileconv",
    "zarrs": "zarrs",
}
"""The module without which a peer cannot run."""

OF_ZARR = {"dask", "dask-image", "dask-skimage", "tensorstore", "zarrs"}
"""The peers that write Zarr."""

JOBS: dict[tuple[str, str], Job] = {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job and print its inner seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=sorted({peer for peer, _ in JOBS}))
    parser.add_argument("workload", choices=sorted({workload for _, workload in JOBS}))
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args(arguments)
    job = JOBS.get((asked.peer, asked.workload))
    if job is None:
        parser.error(f"{asked.peer} has no job {asked.workload}")
    print(json.dumps({"inner_seconds": job(asked.input, asked.output)}))
    return 0


def crop_side(side: int) -> int:
    """Return the side of the corner that libvips is given of an image of *side* for the dense kernel."""
    return min(side, max(side // 16, 320))


def psf() -> Array:
    """Return the dense kernel: random, lopsided, of sum 1 and of full rank."""
    weights = np.random.default_rng(63).random((PSF_SIDE, PSF_SIDE))
    return np.asarray(weights / weights.sum())


def _job(peer: str, *workloads: str) -> Callable[[Job], Job]:
    def register(function: Job) -> Job:
        JOBS.update(dict.fromkeys([(peer, workload) for workload in workloads], function))
        return function

    return register


def _tiff(path: Path) -> Any:
    """Return a TIFF as a Zarr array, as Dask's users read one."""
    import tifffile
    import zarr

    return zarr.open_array(tifffile.imread(path, aszarr=True), mode="r")


@_job("dask", "copy")
def _dask_copy(source: Path, output: Path) -> None:
    import dask.array as da

    da.from_array(_tiff(source), chunks=DASK_CHUNK).to_zarr(str(output))


@_job("dask", "float copy")
def _dask_float_copy(source: Path, output: Path) -> None:
    _dask_floats(source).to_zarr(str(output))


def _dask_floats(source: Path) -> Any:
    import dask.array as da

    return da.from_array(_tiff(source), chunks=DASK_CHUNK).astype(np.float32)


@_job("dask-image", "chain")
def _dask_image_chain(source: Path, output: Path) -> None:
    import dask.array as da
    from dask_image import ndfilters

    blurred = ndfilters.gaussian_filter(_dask_floats(source), 2, truncate=TRUNCATE)
    length = da.hypot(ndfilters.sobel(blurred, 0), ndfilters.sobel(blurred, 1))
    ndfilters.convolve(length, np.array(SHARPEN, np.float32)).to_zarr(str(output))


@_job("dask-image", "wide blur")
def _dask_image_wide(source: Path, output: Path) -> None:
    from dask_image import ndfilters

    ndfilters.gaussian_filter(_dask_floats(source), 20, truncate=TRUNCATE).to_zarr(str(output))


def _vips(source: Path) -> Any:
    import pyvips

    return pyvips.Image.new_from_file(str(source), access="sequential")


def _vips_write(image: Any, output: Path) -> None:
    image.tiffsave(str(output), tile=True, tile_width=TILE, tile_height=TILE, bigtiff=True)


def _vips_blur(image: Any, sigma: float) -> Any:
    """Return libvips' float blur, cut where tileconv cuts, which ``gaussblur`` itself does not allow."""
    import pyvips

    radius = int(TRUNCATE * sigma + 0.5)
    ampl = math.exp(-((radius + 0.5) ** 2) / (2 * sigma**2))  # between the last pixel kept and the first one dropped
    return image.convsep(pyvips.Image.gaussmat(sigma, ampl, separable=True, precision="float"), precision="float")


@_job("libvips-float", "chain", "half chain", "deflate")
def _vips_chain(source: Path, output: Path) -> None:
    _vips_edges(_vips_blur(_vips(source).cast("float"), 2), output)


@_job("libvips", "chain")
def _vips_first_chain(source: Path, output: Path) -> None:
    _vips_edges(_vips(source).cast("float").gaussblur(2), output)


def _vips_edges(blurred: Any, output: Path) -> None:
    import pyvips

    across, down = (
        blurred.conv(pyvips.Image.new_from_array([list(row) for row in kernel]), precision="float")
        for kernel in (SOBEL_X, SOBEL_Y)
    )
    length = (across * across + down * down) ** 0.5
    made = length.conv(pyvips.Image.new_from_array([list(row) for row in SHARPEN]), precision="float")
    _vips_write(made.cast("float"), output)


@_job("libvips", "small blur", "colour")
def _vips_small(source: Path, output: Path) -> None:
    _vips_write(_vips(source).gaussblur(2), output)


@_job("libvips-float", "small blur")
def _vips_small_float(source: Path, output: Path) -> None:
    image = _vips(source)
    _vips_write(_vips_blur(image.cast("float"), 2).rint().cast(image.format), output)


@_job("libvips-float", "wide blur")
def _vips_wide(source: Path, output: Path) -> None:
    _vips_write(_vips_blur(_vips(source).cast("float"), 20), output)


@_job("libvips", "wide blur")
def _vips_first_wide(source: Path, output: Path) -> None:
    _vips_write(_vips(source).cast("float").gaussblur(20, precision="float"), output)


@_job("libvips-float", "dense kernel")
def _vips_dense(source: Path, output: Path) -> None:
    import pyvips

    image = _vips(source)
    corner = image.crop(0, 0, crop_side(image.width), crop_side(image.height)).cast("float")
    _vips_write(corner.conv(pyvips.Image.new_from_array(psf().tolist()), precision="float"), output)


@_job("libvips", "vips-bench", "large vips-bench")
def _vips_sharpen(source: Path, output: Path) -> None:
    import pyvips

    kernel = pyvips.Image.new_from_array([list(row) for row in VIPS_BENCH], scale=VIPS_BENCH_DIVIDE)
    _vips_write(_vips(source).conv(kernel, precision="integer"), output)


@_job("opencv", "chain")
def _opencv_chain(source: Path, output: Path) -> float:
    import cv2
    import tifffile

    image = tifffile.imread(source)
    began = time.perf_counter()
    side = 2 * TRUNCATE * 2 + 1
    blurred = cv2.GaussianBlur(image.astype(np.float32), (side, side), 2, borderType=cv2.BORDER_REFLECT)
    length = cv2.magnitude(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    made = cv2.filter2D(length, cv2.CV_32F, np.array(SHARPEN, np.float32))
    seconds = time.perf_counter() - began
    tifffile.imwrite(output, made, bigtiff=True)
    return seconds


@_job("opencv", "dense kernel")
def _opencv_dense(source: Path, output: Path) -> float:
    import cv2
    import tifffile

    image = tifffile.imread(source)
    began = time.perf_counter()
    made = cv2.filter2D(image.astype(np.float32), cv2.CV_32F, psf().astype(np.float32))
    seconds = time.perf_counter() - began
    tifffile.imwrite(output, made, bigtiff=True)
    return seconds


@_job("scipy", "dense kernel")
def _scipy_dense(source: Path, output: Path) -> float:
    import tifffile
    from scipy.signal import oaconvolve

    image = tifffile.imread(source)
    began = time.perf_counter()
    made = oaconvolve(image.astype(np.float32), psf()[::-1, ::-1].astype(np.float32), mode="same")
    seconds = time.perf_counter() - began
    tifffile.imwrite(output, made, bigtiff=True)
    return seconds


@_job("tensorstore", "chunks of 256")
def _tensorstore_copy(source: Path, output: Path) -> None:
    import tensorstore

    metadata = json.loads((source / "zarr.json").read_text())
    codec = {"driver": "zarr3", "metadata": {"codecs": metadata["codecs"]}}
    place = {"driver": "file", "path": str(output)}
    image = tensorstore.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": str(source)}}).result()
    made = tensorstore.open(codec | {"kvstore": place}, create=True, schema=image.schema).result()
    made.write(image).result()


@_job("zarrs", "chunks of 256")
def _zarrs_copy(source: Path, output: Path) -> None:
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    image = zarr.open_array(source, mode="r")
    zarr.create_array(output, data=image[...], chunks=image.chunks, compressors=image.compressors)


@_job("skimage", "volume")
def _skimage_volume(source: Path, output: Path) -> float:
    from skimage.filters import gaussian

    volume = np.load(source)
    began = time.perf_counter()
    made = gaussian(volume, sigma=(0, 3, 3), truncate=TRUNCATE)
    seconds = time.perf_counter() - began
    np.save(output, made)
    return seconds


@_job("dask-skimage", "volume")
def _dask_skimage_volume(source: Path, output: Path) -> None:
    import dask.array as da
    from skimage.filters import gaussian

    volume = da.from_array(np.load(source, mmap_mode="r"), chunks=(1, VOLUME_CHUNK, VOLUME_CHUNK))
    depth = (0, 3 * TRUNCATE, 3 * TRUNCATE)
    smooth = {"sigma": (0, 3, 3), "truncate": TRUNCATE, "dtype": np.float32, "meta": np.empty((0, 0, 0), np.float32)}
    da.map_overlap(gaussian, volume, depth=depth, boundary="nearest", **smooth).to_zarr(str(output))


def _repeated(make: Callable[[int], Array], output: Path, repeats: int = REPEATS) -> float:
    """Return the median seconds of *make*, which is told the number of the repeat; the last result is kept."""
    seconds = []
    for number in reversed(range(repeats)):
        began = time.perf_counter()
        made = make(number)
        seconds.append(time.perf_counter() - began)
    np.save(output, made)
    return statistics.median(seconds)


@_job("tileconv", "sobel")
def _tileconv_sobel(source: Path, output: Path) -> float:
    import tileconv

    image = np.load(source)
    return _repeated(lambda _: np.asarray(tileconv.sobel(image)), output)


@_job("skimage", "sobel")
def _skimage_sobel(source: Path, output: Path) -> float:
    """Time scikit-image's gradient; its weights are a quarter and its length is over the root of two."""
    from skimage.filters import sobel

    image = np.load(source)
    seconds = _repeated(lambda _: np.asarray(sobel(image)), output)
    np.save(output, np.load(output) * (4 * math.sqrt(2)))
    return seconds


def _headline(source: Path, output: Path, convolve: Callable[[Array, Array], Array], repeats: int = REPEATS) -> float:
    """Time a full convolution; every repeat has another kernel, so that no spectrum is used twice."""
    first, second = np.load(source)
    kernels = [np.roll(second, number) for number in range(repeats)]
    return _repeated(lambda number: convolve(first, kernels[number]), output, repeats)


@_job("tileconv", "fused")
def _tileconv_fused(source: Path, output: Path) -> float:
    """Time the tiles of the plan of a run, made by all processors of an array into an array."""
    import tileconv
    from tileconv.allocator import keep_freed_memory
    from tileconv.tiles.in_memory import in_memory

    keep_freed_memory()  # as a run does
    stages = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "sharpen"}]
    result = {"path": str(output.with_suffix(".zarr")), "dtype": "float32"}
    (made,) = tileconv.plan({"version": 1, "stages": stages, "output": result}, input=source).passes
    image = np.load(source)
    return _repeated(lambda _: in_memory(image, made), output)


@_job("halide", "fused")
def _halide_fused(source: Path, output: Path) -> float:
    from benchmarks.halide_chain import chain

    return _repeated(chain(np.load(source), TRUNCATE, SOBEL_X, SOBEL_Y, SHARPEN), output)


@_job("tileconv", "headline")
def _tileconv_headline(source: Path, output: Path) -> float:
    import tileconv

    return _headline(source, output, lambda a, b: np.asarray(tileconv.convolve(a, b, extent="full")))


@_job("scipy", "headline")
def _scipy_headline(source: Path, output: Path) -> float:
    from scipy.signal import fftconvolve

    return _headline(source, output, lambda a, b: np.asarray(fftconvolve(a, b)))


@_job("numpy", "headline")
def _numpy_headline(source: Path, output: Path) -> float:
    return _headline(source, output, np.convolve, repeats=1)


if __name__ == "__main__":
    raise SystemExit(main())
