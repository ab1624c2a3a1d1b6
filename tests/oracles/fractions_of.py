"""Stages in exact fractions: what a chain is before anything rounds."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from oracles import convolution


def exact_image(image: np.ndarray) -> np.ndarray:
    """Return *image* as an array of Fractions (dtype object)."""
    numbers = np.empty(image.size, object)
    numbers[:] = [Fraction(v) for v in image.ravel().tolist()]
    return numbers.reshape(image.shape)


def apply(name: str, image: np.ndarray, rules: Sequence[str], values: Sequence[float], **words) -> np.ndarray:
    """Return what stage *name* makes of *image*, Fractions both; rules and values of the border per axis."""
    if name == "correlate":
        weights = exact_image(np.asarray(words["kernel"]))
        constants = [Fraction(v) for v in values]
        made = convolution.slide(image, weights, rules, constants, words.get("extent", "same"), None)
        return made / Fraction(words.get("divide_by", 1)) + Fraction(words.get("offset", 0))
    if name == "box":
        ones = np.ones((words["size"],) * image.ndim, int)
        return apply("correlate", image, rules, values, kernel=ones, divide_by=ones.size)
    if name == "laplacian":
        return apply("correlate", image, rules, values, kernel=[[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    if name == "rescale":
        return image * Fraction(words["gain"]) + Fraction(words["offset"])
    if name == "clip":
        low, high = map(Fraction, words["range"])
        return np.minimum(np.maximum(image, low), high)
    assert name == "abs"
    return np.abs(image)
