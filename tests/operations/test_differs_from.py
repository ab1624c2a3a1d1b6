"""What docs/operators.md says of other libraries' functions: each row of its table, the equality and the difference."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as nd
import scipy.signal
import skimage.filters
import skimage.morphology

import tileconv

DOCS = (Path(__file__).parents[2] / "docs" / "operators.md").read_text("utf-8")
IMAGE = np.random.default_rng(0).normal(100, 20, (23, 29))
BYTES = IMAGE.clip(0, 255).astype(np.uint8)
EVEN = np.arange(1.0, 9).reshape(2, 4)
ODD = np.arange(1.0, 16).reshape(3, 5)
INSIDE = (slice(8, -8),) * 2


def alike(ours, theirs, at=(...,)):
    return np.allclose(
        np.asarray(ours, np.float64)[at], np.asarray(theirs, np.float64)[at], rtol=1e-9, atol=1e-9, equal_nan=True
    )


def padded(kernel, x):
    """Return correlation as PyTorch's ``padding="same"`` defines it: zeros, of an odd number one more behind."""
    before = [(n - 1) // 2 for n in kernel.shape]
    wide = np.pad(x, [(b, n - 1 - b) for b, n in zip(before, kernel.shape, strict=True)])
    return np.einsum("yxij,ij->yx", np.lib.stride_tricks.sliding_window_view(wide, kernel.shape), kernel)


def constants():
    pairs = [
        (tileconv.sobel, nd.sobel, {"component": "x"}, {"axis": 1}),
        (tileconv.prewitt, nd.prewitt, {"component": "x"}, {"axis": 1}),
        (tileconv.laplacian_of_gaussian, nd.gaussian_laplace, {"sigma": 1.5}, {"sigma": 1.5}),
    ]
    for ours, theirs, words, named in pairs:
        for border in ("reflect", "mirror", "nearest", "wrap"):
            yield "equal", ours(IMAGE, border=border, **words), theirs(IMAGE, mode=border, **named)
        yield "equal", ours(IMAGE, border="constant", **words), theirs(IMAGE, mode="constant", **named)
        seven = ours(IMAGE, border="constant", cval=7, **words), theirs(IMAGE, mode="constant", cval=7, **named)
        yield "differs", *seven
        yield "equal", *(made[INSIDE] for made in seven)
    for ours, theirs in ((tileconv.gaussian, nd.gaussian_filter), (tileconv.box, nd.uniform_filter)):
        yield "equal", ours(IMAGE, 3, border="constant", cval=7), theirs(IMAGE, 3, mode="constant", cval=7)
    seven = tileconv.laplacian(IMAGE, border="constant", cval=7), nd.laplace(IMAGE, mode="constant", cval=7)
    yield "equal", *seven


def not_finite():
    grid = np.outer([1, 2, 1], [-1, 0, 1])
    for value in (np.nan, np.inf):
        image = IMAGE.copy()
        image[9, 9] = value
        ours, theirs = tileconv.sobel(image, component="x"), nd.sobel(image)
        yield "equal", ours, nd.correlate(image, grid)
        yield "differs", ours, theirs
        assert (np.isfinite(ours).sum(), np.isfinite(theirs).sum()) == (image.size - 6, image.size - 9)


def types():
    yield "equal", tileconv.gaussian(BYTES, 2, precision="float64", dtype="float64"), nd.gaussian_filter(BYTES * 1.0, 2)
    yield "differs", tileconv.gaussian(BYTES, 2, dtype="input"), nd.gaussian_filter(BYTES, 2)
    yield "equal", tileconv.sobel(BYTES, component="x"), nd.sobel(BYTES * 1.0)
    yield "differs", tileconv.sobel(BYTES, component="x"), nd.sobel(BYTES)
    assert tileconv.sobel(BYTES, component="x").dtype == np.int32


def difference():
    def theirs(image, **words):
        return skimage.filters.difference_of_gaussians(image, 1, **words)

    yield "equal", tileconv.difference_of_gaussians(IMAGE, 1, border="nearest"), theirs(IMAGE)
    yield "equal", tileconv.difference_of_gaussians(IMAGE, 1), theirs(IMAGE, mode="reflect")
    yield "differs", tileconv.difference_of_gaussians(IMAGE, 1), theirs(IMAGE)
    scaled = tileconv.difference_of_gaussians(BYTES, 1, border="nearest", precision="float64", dtype="float64")
    yield "differs", scaled, theirs(BYTES)
    yield "equal", scaled / 255, theirs(BYTES)


def unsharp():
    whole = tileconv.unsharp(IMAGE, 2)
    yield "equal", whole, skimage.filters.unsharp_mask(IMAGE, 2, 1, preserve_range=True)
    yield "differs", whole, skimage.filters.unsharp_mask(IMAGE, 2, 1)
    yield "differs", tileconv.unsharp(IMAGE, 2, threshold=5), whole


def gradients():
    for name in ("sobel", "prewitt", "scharr"):
        ours, theirs = getattr(tileconv, name), getattr(skimage.filters, name)
        weight = {"sobel": 4, "prewitt": 3, "scharr": 16}[name]
        yield "equal", ours(IMAGE) / (weight * np.sqrt(2)), theirs(IMAGE)
        yield "differs", ours(IMAGE), theirs(IMAGE)


def opencv():
    """By NumPy's arithmetic, since OpenCV is no library of the tests: its border leaves out the edge pixel."""
    wide = np.pad(IMAGE, 1, mode="reflect")
    for ours, (a, b) in ((tileconv.sobel, (1, 2)), (tileconv.scharr, (3, 10))):
        slope = wide[:, 2:] - wide[:, :-2]
        theirs = a * slope[:-2] + b * slope[1:-1] + a * slope[2:]
        yield "equal", ours(IMAGE, component="x", border="mirror"), theirs
        yield "differs", ours(IMAGE, component="x"), theirs


def disks():
    for radius in (1, 2, 5):
        yield "equal", tileconv.kernels.disk(radius).weights, skimage.morphology.disk(radius)
    ours, theirs = tileconv.kernels.disk(2.5).weights, skimage.morphology.disk(2.5)
    assert (ours.shape, theirs.shape) == ((5, 5), (6, 6))


def signal():
    def theirs(function, kernel):
        return function(IMAGE, kernel, mode="same")

    zeros = {"border": "constant"}
    yield "equal", tileconv.convolve(IMAGE, ODD, **zeros), theirs(scipy.signal.convolve, ODD)
    yield "equal", tileconv.correlate(IMAGE, ODD, **zeros), theirs(scipy.signal.correlate, ODD)
    yield "equal", tileconv.correlate(IMAGE, EVEN, **zeros), theirs(scipy.signal.correlate, EVEN)
    ours, other = tileconv.convolve(IMAGE, EVEN, **zeros), theirs(scipy.signal.convolve, EVEN)
    yield "differs", ours, other
    yield "equal", ours[:-1, :-1], other[1:, 1:]
    for extent in ("full", "valid"):
        yield "equal", tileconv.convolve(IMAGE, EVEN, extent=extent), scipy.signal.convolve(IMAGE, EVEN, mode=extent)


def layers():
    zeros = {"border": "constant"}
    yield "equal", tileconv.correlate(IMAGE, ODD, **zeros), padded(ODD, IMAGE)
    ours, other = tileconv.correlate(IMAGE, EVEN, **zeros), padded(EVEN, IMAGE)
    yield "differs", ours, other
    yield "equal", ours[1:, 1:], other[:-1, :-1]


def absolutes():
    least = np.array([[-128, 5, -3]], np.int8)
    yield "equal", tileconv.absolute(least)[:, 1:], np.abs(least)[:, 1:]
    yield "differs", tileconv.absolute(least), np.abs(least)
    assert (tileconv.absolute(least)[0, 0], np.abs(least)[0, 0]) == (128, -128)


ROWS = {
    "`scipy.ndimage` functions of these names": constants,
    "`scipy.ndimage.sobel` and `prewitt`, on NaN and infinity": not_finite,
    "`scipy.ndimage`": types,
    "`skimage.filters.difference_of_gaussians`": difference,
    "`skimage.filters.unsharp_mask`": unsharp,
    "`skimage.filters` of these names": gradients,
    "OpenCV's `Sobel` and `Scharr` into a float type": opencv,
    "`skimage.morphology.disk`": disks,
    "`scipy.signal.convolve` and `correlate`": signal,
    'PyTorch\'s `conv2d` with `padding="same"`': layers,
    "`numpy.abs`": absolutes,
}
"""The rows of the table by their first cell."""


@pytest.mark.parametrize("row", ROWS)
def test_a_row(row):
    for what, ours, theirs in ROWS[row]():
        assert alike(ours, theirs) == (what == "equal"), what


def test_every_row_has_a_test():
    table = DOCS.split("## Differs from")[1].split("\n\n")[2]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == list(ROWS)
