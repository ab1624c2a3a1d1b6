"""Convolution of a whole image by its definition: one loop over the weights, in numbers wide enough not to matter.

``correlate`` slides the weights as written; ``convolve`` turns them round first. The centre is weight ``n // 2`` of the
weights as written, as in scipy.ndimage. Sums are made in ``longdouble`` and rounded once; ``*_exact`` uses Python's own
integers, which have no limit.
"""

from collections.abc import Sequence

import numpy as np

from oracles.borders import extended

Rules = str | Sequence[str]
Values = float | Sequence[float]


def correlate(
    image: np.ndarray,
    weights: np.ndarray,
    border: Rules = "reflect",
    value: Values = 0.0,
    *,
    extent: str = "same",
    anchor: Sequence[int] | None = None,
) -> np.ndarray:
    """Return float64 ``out[p] = sum over j of weights[j] * image[p + j - anchor]``.

    *border* and *value* are one for all axes or one per axis. *extent* is ``same``, ``full`` (every place where the
    weights touch the image) or ``valid`` (every place where they lie inside it).
    """
    wide = np.asarray(weights).astype(np.longdouble)
    with np.errstate(all="ignore"):
        return slide(np.asarray(image).astype(np.longdouble), wide, border, value, extent, anchor).astype(np.float64)


def convolve(
    image: np.ndarray, weights: np.ndarray, border: Rules = "reflect", value: Values = 0.0, *, extent: str = "same"
) -> np.ndarray:
    """Return float64 ``out[p] = sum over j of weights[j] * image[p - j + centre]``."""
    weights = np.asarray(weights)
    return correlate(image, np.flip(weights), border, value, extent=extent, anchor=_turned(weights))


def correlate_exact(
    image: np.ndarray,
    weights: np.ndarray,
    border: Rules = "reflect",
    value: int | Sequence[int] = 0,
    *,
    extent: str = "same",
    anchor: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the same sums of whole numbers as Python integers (dtype object)."""
    return slide(_integers(image), _integers(weights), border, value, extent, anchor)


def convolve_exact(
    image: np.ndarray,
    weights: np.ndarray,
    border: Rules = "reflect",
    value: int | Sequence[int] = 0,
    *,
    extent: str = "same",
) -> np.ndarray:
    """Return the same convolution of whole numbers as Python integers (dtype object)."""
    weights = np.asarray(weights)
    return correlate_exact(image, np.flip(weights), border, value, extent=extent, anchor=_turned(weights))


def valid(block: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sums wherever *weights* fit inside *block*, in the numbers that the arrays hold; 0 takes no part."""
    shape = tuple(n - k + 1 for n, k in zip(block.shape, weights.shape, strict=True))
    out = np.zeros(shape, block.dtype)
    for place in np.argwhere(weights):
        out = out + weights[tuple(place)] * block[tuple(slice(j, j + n) for j, n in zip(place, shape, strict=True))]
    return out


def _turned(weights: np.ndarray) -> list[int]:
    return [n - 1 - n // 2 for n in weights.shape]


def _integers(array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    numbers = np.empty(array.size, object)
    numbers[:] = [int(v) for v in array.ravel().tolist()]
    assert all(a == b for a, b in zip(numbers, array.ravel().tolist(), strict=True)), "not whole numbers"
    return numbers.reshape(array.shape)


def slide(
    image: np.ndarray, weights: np.ndarray, border: Rules, value: Values, extent: str, anchor: Sequence[int] | None
) -> np.ndarray:
    axes = range(image.ndim)
    anchor = [n // 2 for n in weights.shape] if anchor is None else anchor
    rest = [n - 1 - a for n, a in zip(weights.shape, anchor, strict=True)]
    more = {  # output pixels more than the image, before and after
        "same": ([0 for _ in axes], [0 for _ in axes]),
        "full": (rest, anchor),
        "valid": ([-a for a in anchor], [-r for r in rest]),
    }[extent]
    rules = [border] * image.ndim if isinstance(border, str) else border
    values = value if isinstance(value, Sequence) else [value] * image.ndim
    before = [m + a for m, a in zip(more[0], anchor, strict=True)]
    after = [m + r for m, r in zip(more[1], rest, strict=True)]
    return valid(extended(image, before, after, rules, values), weights)
