"""Every operator by another library: scipy.ndimage and scikit-image in float64, or NumPy where neither has it.

``apply(name, image, border, value, **parameters)`` filters a whole float64 image of two or three axes; the border rules
have scipy.ndimage's names. Lengths are one number for every axis. Unsharp and gradients are put together from their
parts, since scikit-image clips, scales and pads in its own way.
"""

import numpy as np
import scipy.ndimage as nd
import skimage.filters
import skimage.morphology
import skimage.util

WIDE = 24


def apply(name: str, image: np.ndarray, border: str = "reflect", value: float = 0.0, **parameters) -> np.ndarray:
    """Return what operator *name* makes of *image*, float64.

    A constant border is laid round the image first, wider than any kernel here: scipy.ndimage lays it anew after each
    axis of a separable filter, which is another answer.
    """
    image = np.asarray(image, np.float64)
    if border == "constant":
        wide = np.pad(image, WIDE, constant_values=value)
        return _OPERATORS[name](wide, {"mode": "nearest"}, **parameters)[(slice(WIDE, -WIDE),) * image.ndim]
    return _OPERATORS[name](image, {"mode": border}, **parameters)


def lesson_grid(axes: int = 2) -> np.ndarray:
    """Return the 3Blue1Brown edge grid along the last axis, divided to give a step's height."""
    if axes == 2:
        return np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 4
    return np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])[None] * np.array([1, 2, 1])[:, None, None] / 16


def _box(image, outside, size=3):
    return nd.uniform_filter(image, size, **outside) if size % 2 else nd.correlate(image, _mean(image, size), **outside)


def _mean(image, size):
    return np.full((size,) * image.ndim, 1 / size**image.ndim)


def _gaussian(image, outside, sigma=None, size=None, truncate=4.0):
    if size is None:
        return nd.gaussian_filter(image, sigma, truncate=truncate, **outside)
    deviation = (size - 1) / 4 if sigma is None else sigma
    return nd.gaussian_filter(image, deviation, radius=size // 2, **outside)


def _disk(image, outside, radius):
    shape = skimage.morphology.disk(radius) if image.ndim == 2 else skimage.morphology.ball(radius)
    return nd.correlate(image, shape / shape.sum(), **outside)


def _gradient(derivative, default):
    def apply_gradient(image, outside, component=default):
        axes = {"x": -1, "y": -2, "z": -3}
        if component != "magnitude":
            return derivative(image, axes[component], outside)
        return np.sqrt(sum(derivative(image, -1 - d, outside) ** 2 for d in range(image.ndim)))

    return apply_gradient


def _edge(image, axis, outside):
    return nd.correlate(image, np.swapaxes(lesson_grid(image.ndim), axis, -1), **outside)


def _sobel(image, axis, outside):
    return nd.sobel(image, axis, **outside)


def _prewitt(image, axis, outside):
    return nd.prewitt(image, axis, **outside)


def _scharr(image, axis, outside):
    impulse = np.zeros((5,) * image.ndim)
    impulse[(2,) * image.ndim] = 1
    answer = skimage.filters.scharr(impulse, axis=axis % image.ndim)  # its answer to an impulse is its kernel, turned
    kernel = answer[(slice(1, 4),) * image.ndim]
    return nd.convolve(image, kernel * 16 ** (image.ndim - 1), **outside)


def _log(image, outside, sigma, truncate=4.0):
    return nd.gaussian_laplace(image, sigma, truncate=truncate, **outside)


def _dog(image, outside, low_sigma, high_sigma=None, truncate=4.0):
    high = 1.6 * low_sigma if high_sigma is None else high_sigma
    low = nd.gaussian_filter(image, low_sigma, truncate=truncate, **outside)
    return low - nd.gaussian_filter(image, high, truncate=truncate, **outside)


def _sharpen(image, outside):
    return image - nd.laplace(image, **outside)


def _unsharp(image, outside, sigma, amount=1.0, threshold=0.0, truncate=4.0):
    difference = image - nd.gaussian_filter(image, sigma, truncate=truncate, **outside)
    return np.where(np.abs(difference) < threshold, image, image + amount * difference)


def _own(slide):
    def apply_own(image, outside, kernel, normalize=False, divide_by=1.0, offset=0.0):
        kernel = np.asarray(kernel, np.float64)
        return slide(image, kernel, **outside) / (kernel.sum() if normalize else divide_by) + offset

    return apply_own


def _richardson_lucy(image, outside, psf, iterations=10):
    weights, estimate = np.asarray(psf, np.float64) / np.sum(psf), np.full(image.shape, 0.5)
    for _ in range(iterations):
        ratio = image / (nd.convolve(estimate, weights, **outside) + 1e-12)
        estimate = estimate * nd.correlate(ratio, weights, **outside)
    return estimate


def _ranked(filtered):
    def apply_ranked(image, outside, size=3, radius=None, **words):
        if radius is None:
            return filtered(image, size=size, **words, **outside)
        shape = skimage.morphology.disk(radius) if image.ndim == 2 else skimage.morphology.ball(radius)
        return filtered(image, footprint=shape, **words, **outside)

    return apply_ranked


def _rank(image, outside, percentile=None, **words):
    if percentile is None:
        return _ranked(nd.rank_filter)(image, outside, **words)
    return _ranked(nd.percentile_filter)(image, outside, percentile=percentile, **words)


_OPERATORS = {
    "box": _box,
    "gaussian": _gaussian,
    "disk": _disk,
    "edge": _gradient(_edge, "x"),
    "sobel": _gradient(_sobel, "magnitude"),
    "scharr": _gradient(_scharr, "magnitude"),
    "prewitt": _gradient(_prewitt, "magnitude"),
    "laplacian": lambda image, outside: nd.laplace(image, **outside),
    "laplacian_of_gaussian": _log,
    "difference_of_gaussians": _dog,
    "sharpen": _sharpen,
    "unsharp": _unsharp,
    "convolve": _own(nd.convolve),
    "correlate": _own(nd.correlate),
    "richardson_lucy": _richardson_lucy,
    "rescale": lambda image, _outside, gain=1.0, offset=0.0: gain * image + offset,
    "abs": lambda image, _outside: np.abs(image),
    "clip": lambda image, _outside, range: np.clip(image, *range),
    "median": _ranked(nd.median_filter),
    "rank": _rank,
    "local_minimum": _ranked(nd.minimum_filter),
    "local_maximum": _ranked(nd.maximum_filter),
    "variance": lambda image, outside, size=3: nd.generic_filter(image, np.var, size, **outside),
    "standard_deviation": lambda image, outside, size=3: nd.generic_filter(image, np.std, size, **outside),
}
NAMES = tuple(_OPERATORS)
CASES = (
    ("box", {"size": 3}),
    ("box", {"size": 4}),
    ("gaussian", {"sigma": 1.3}),
    ("gaussian", {"sigma": 2, "truncate": 2.5}),
    ("gaussian", {"size": 5}),
    ("gaussian", {"sigma": 0.8, "size": 7}),
    ("disk", {"radius": 2}),
    *((name, {"component": c}) for name in ("edge", "sobel", "scharr", "prewitt") for c in ("x", "y", "magnitude")),
    ("laplacian", {}),
    ("laplacian_of_gaussian", {"sigma": 1.2}),
    ("difference_of_gaussians", {"low_sigma": 1.0}),
    ("difference_of_gaussians", {"low_sigma": 0.7, "high_sigma": 2.1, "truncate": 3.0}),
    ("sharpen", {}),
    ("unsharp", {"sigma": 1.5, "amount": 0.6, "threshold": 2.0}),
    ("convolve", {"kernel": [[1, 2, 3, 4], [0, 5, -6, 7]], "divide_by": 3.0, "offset": 1.5}),
    ("correlate", {"kernel": [[1, 2, 3, 4], [0, 5, -6, 7]], "normalize": True}),
    ("rescale", {"gain": -0.5, "offset": 3.0}),
    ("abs", {}),
    ("clip", {"range": [-10, 20]}),
    ("median", {}),
    ("median", {"size": 4}),
    ("median", {"radius": 2}),
    ("rank", {"size": 3, "rank": -2}),
    ("rank", {"radius": 3, "percentile": 30}),
    ("local_minimum", {"size": 4}),
    ("local_maximum", {"radius": 2}),
    ("variance", {"size": 4}),
    ("standard_deviation", {"size": 5}),
)
APART = {"bank", "bilateral", "conv_layer", "fill", "invert", "local_normalize", "pool"} | {
    *("project", "rgb_to_gray", "richardson_lucy")
}
"""Those with tests of their own: test_local, test_fill, test_bank, test_conv_layer, test_project."""
