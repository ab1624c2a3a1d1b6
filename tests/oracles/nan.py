"""Which output pixels a missing pixel reaches: those that have it under a weight that is not 0."""

from collections.abc import Sequence

import numpy as np

from oracles.borders import extended


def touched(missing: np.ndarray, weights: np.ndarray, border: str | Sequence[str], anchor: Sequence[int]) -> np.ndarray:
    """Return where *weights* other than 0 lie on a True of *missing*, the border's copies included."""
    rest = [k - 1 - a for k, a in zip(np.shape(weights), anchor, strict=True)]
    rules = [border] * missing.ndim if isinstance(border, str) else border
    wide = extended(missing, anchor, rest, rules, [False] * missing.ndim)
    out = np.zeros(missing.shape, bool)
    for place in np.argwhere(weights):
        out |= wide[tuple(slice(j, j + n) for j, n in zip(place, missing.shape, strict=True))]
    return out
