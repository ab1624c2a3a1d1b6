"""The border rules pixel by pixel, straight from the pictures in scipy.ndimage's manual."""

from collections.abc import Sequence

import numpy as np

REFLECT, MIRROR, NEAREST, WRAP, CONSTANT = RULES = ("reflect", "mirror", "nearest", "wrap", "constant")


def pixel(position: int, size: int, rule: str) -> int | None:
    """Return the pixel of a line of *size* that stands at *position*; None where a constant does."""
    while not 0 <= position < size:
        left = position < 0
        if rule == CONSTANT:
            return None
        if rule == NEAREST or size == 1:
            return 0 if left else size - 1
        if rule == WRAP:
            position += size if left else -size
        elif rule == REFLECT:  # the mirror stands between the edge pixel and its neighbour outside
            position = -1 - position if left else 2 * size - 1 - position
        elif rule == MIRROR:  # the mirror stands on the edge pixel
            position = -position if left else 2 * size - 2 - position
        else:
            raise AssertionError(rule)
    return position


def extended(
    image: np.ndarray, before: Sequence[int], after: Sequence[int], rules: Sequence[str], values: Sequence[float]
) -> np.ndarray:
    """Return *image* with *before* and *after* more pixels along every axis, the first axis extended first.

    Negative numbers cut pixels off. Every axis has its own rule and constant, so at a corner where two constants meet
    the later axis decides.
    """
    for axis, (low, high, rule, value) in enumerate(zip(before, after, rules, values, strict=True)):
        lines = np.moveaxis(image, axis, 0)
        size = len(lines)
        places = [pixel(p, size, rule) for p in range(-low, size + high)]
        constant = np.full(lines.shape[1:], value, image.dtype)
        made = [constant if place is None else lines[place] for place in places]
        made = np.stack(made) if made else lines[:0]
        image = np.moveaxis(made, 0, axis)
    return image
