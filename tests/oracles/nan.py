"""Which output pixels a missing pixel reaches: its footprint is the kernel's whole rectangle, zero weights included."""

from collections.abc import Sequence

import numpy as np

from oracles.borders import extended


def touched(
    missing: np.ndarray, shape: Sequence[int], border: str | Sequence[str], anchor: Sequence[int]
) -> np.ndarray:
    """Return where a kernel of *shape* and *anchor* touches a True of *missing*, the border's copies included."""
    rest = [k - 1 - a for k, a in zip(shape, anchor, strict=True)]
    rules = [border] * missing.ndim if isinstance(border, str) else border
    wide = extended(missing, anchor, rest, rules, [False] * missing.ndim)
    out = np.zeros(missing.shape, bool)
    for place in np.ndindex(*shape):
        out |= wide[tuple(slice(j, j + n) for j, n in zip(place, missing.shape, strict=True))]
    return out
