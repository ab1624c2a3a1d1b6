"""The oracle of random chains: a chain over a whole image, stage by stage, in 80-bit floats or in Python's integers.

It reads the words of a spec and knows nothing of the engine: kernels are built here once more from their definitions in
docs/operators.md, borders are index maps, and a sum is one product after the other over the weights that are not 0.
"""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from tests.oracles.borders import pixel

WIDE = np.longdouble
SPACE = "zyx"


@dataclass(frozen=True)
class Weights:
    """Weights as they slide over the image, with the index of the one on the output pixel, and what divides the sum."""

    grid: np.ndarray
    anchor: tuple[int, ...]
    divide_by: float = 1.0

    @property
    def gain(self) -> float:
        """By how much the sum can enlarge its largest pixel."""
        return float(np.abs(self.grid.astype(WIDE)).sum() / abs(WIDE(self.divide_by)))


def bell(sigma, truncate=4.0):
    """Return the Gaussian's samples in float64, which are the weights by definition."""
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


def outer(*lines):
    """Return the outer product of lines, whole numbers as they are and others in 80 bits."""
    whole = all(np.asarray(line).dtype.kind in "iu" for line in lines)
    wide = [np.asarray(line).astype(object if whole else WIDE) for line in lines]
    return reduce(np.multiply.outer, wide)


def centred(grid, divide_by=1.0):
    """Return *grid* with its middle on the output pixel."""
    return Weights(grid, tuple(n // 2 for n in grid.shape), divide_by)


def cross(axes, centre, arm):
    """Return 3 weights along every axis: *centre*, and *arm* on the nearest neighbours."""
    distance = sum(np.abs(np.arange(-1, 2)).reshape([3 if a == b else 1 for b in range(axes)]) for a in range(axes))
    return np.where(distance == 0, centre, np.where(distance == 1, arm, 0)).astype(object)


def kernels(op, words, axes):
    """Return the kernels of operator *op* over *axes* axes (their last one is x); none for what has no kernel."""
    if op in {"convolve", "correlate"}:
        given = np.asarray(words["kernel"])
        grid = given.astype(object if given.dtype.kind in "iu" else WIDE)
        anchor = tuple(n // 2 for n in grid.shape)
        if op == "convolve":
            grid, anchor = np.flip(grid), tuple(n - 1 - a for n, a in zip(grid.shape, anchor, strict=True))
        return [Weights(grid, anchor, float(words.get("divide_by", 1.0)))]
    if op == "box":
        size = words.get("size", 3)
        return [centred(outer(*[np.ones(size, int)] * axes), float(size**axes))]
    if op in {"gaussian", "unsharp"}:
        return [centred(outer(*[bell(words["sigma"], words.get("truncate", 4.0))] * axes))]
    if op == "disk":
        radius = words["radius"]
        squares = np.arange(-int(radius), int(radius) + 1) ** 2
        inside = reduce(np.add.outer, [squares] * axes) <= radius**2
        return [centred(inside.astype(int).astype(object), float(inside.sum()))]
    if op == "laplacian":
        return [centred(cross(axes, -2 * axes, 1))]
    if op == "sharpen":
        return [centred(cross(axes, 2 * axes + 1, -1))]
    if op in GRADIENTS:
        smooth, slope, divide_by = GRADIENTS[op]
        component = words.get("component", "x" if op == "edge" else "magnitude")
        along = range(axes) if component == "magnitude" else [SPACE[-axes:].index(component)]
        lines = [[slope if a == b else smooth for b in range(axes)] for a in along]
        return [centred(outer(*each), float(divide_by ** (axes - 1))) for each in lines]
    return []


GRADIENTS = {
    "edge": ((1, 2, 1), (1, 0, -1), 4),
    "sobel": ((1, 2, 1), (-1, 0, 1), 1),
    "scharr": ((3, 10, 3), (-1, 0, 1), 1),
    "prewitt": ((1, 1, 1), (-1, 0, 1), 1),
}


def extended(image, before, after, rules):
    """Return *image* grown along every axis, the first axis first; *rules* holds ``(name, value)`` per axis."""
    for axis, (low, high, (rule, value)) in enumerate(zip(before, after, rules, strict=True)):
        places = [pixel(p, image.shape[axis], rule) for p in range(-low, image.shape[axis] + high)]
        made = np.take(image, [p or 0 for p in places], axis)
        outside = [n for n, p in enumerate(places) if p is None]
        if outside:
            made[(slice(None),) * axis + (outside,)] = value
        image = made
    return image


def slide(image, weights, rules, extent):
    """Return the undivided sums; weights of 0 take no part."""
    anchor, shape = weights.anchor, weights.grid.shape
    rest = [n - 1 - a for n, a in zip(shape, anchor, strict=True)]
    more = {"same": (anchor, rest), "valid": ([0] * len(rest), [0] * len(rest))}
    more["full"] = ([n - 1 for n in shape], [n - 1 for n in shape])
    wide = extended(image, *more[extent], rules)
    windows = np.lib.stride_tricks.sliding_window_view(wide, shape)
    used = weights.grid != 0
    picked, factors = windows[..., used], weights.grid[used]
    if not factors.size:
        return np.zeros(picked.shape[:-1], image.dtype)
    if image.dtype == object:
        return (picked * factors).sum(axis=-1)
    return np.einsum("...k,k->...", picked, factors.astype(WIDE))


def own_pixels(image, weights, rules, extent):
    """Return the pixels that lie where the sums of *extent* do."""
    only = np.zeros(weights.grid.shape, int).astype(object)
    only[weights.anchor] = 1
    return slide(image, Weights(only, weights.anchor), rules, extent)


def stage(image, op, words, axes, rules, extent):
    """Return what one stage makes of *image*, whose last *axes* axes it acts on, in the image's own kind of number."""
    if image.ndim > axes:
        return np.stack([stage(plane, op, words, axes, rules, extent) for plane in image])
    made = kernels(op, words, axes)
    whole = image.dtype == object
    with np.errstate(all="ignore"):
        sums = [
            slide(image, w, rules, extent) if whole else slide(image, w, rules, extent) / WIDE(w.divide_by)
            for w in made
        ]
        if op == "unsharp":
            image = own_pixels(image, made[0], rules, extent)
            difference = image - sums[0]
            sharp = image + WIDE(words.get("amount", 1.0)) * difference
            return np.where(np.abs(difference) < WIDE(words.get("threshold", 0.0)), image, sharp)
        if len(made) > 1:
            return np.sqrt(sum(s * s for s in sums))
        if made:
            offset = words.get("offset", 0)
            return sums[0] + (int(offset) if whole else WIDE(offset))
        if op == "rescale":
            gain, offset = words.get("gain", 1), words.get("offset", 0)
            return image * int(gain) + int(offset) if whole else image * WIDE(gain) + WIDE(offset)
        if op == "clip":
            low, high = words["range"]
            return np.clip(image, int(low), int(high)) if whole else np.clip(image, WIDE(low), WIDE(high))
        return np.abs(image)


def stays_whole(op, words, axes, rules):
    """Return whether the stage makes whole numbers of whole numbers, by its definition."""
    if op in {"unsharp", "gaussian"}:
        return False
    made = kernels(op, words, axes)
    constants = [v for rule, v in rules if rule == "constant"] if made else []
    numbers = [*constants, words.get("offset", 0), words.get("gain", 1), *words.get("range", ())]
    single = len(made) <= 1 and all(w.divide_by == 1 and w.grid.dtype == object for w in made)
    return single and all(math.isfinite(n) and float(n).is_integer() for n in numbers)


def gain(op, words, axes):
    """Return by how much a stage can enlarge an error of its input."""
    each = [w.gain for w in kernels(op, words, axes)]
    if op == "unsharp":
        return 1 + abs(words.get("amount", 1.0)) * (1 + each[0])
    if op == "rescale":
        return abs(words.get("gain", 1.0))
    return math.hypot(*each) if each else 1.0
