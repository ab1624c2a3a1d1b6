"""Weighted means of the pixels that are there, by their definition: in long double, under the weights as given."""

from collections.abc import Sequence

import numpy as np

from oracles.convolution import Rules, Values, slide


def renormalized(
    image: np.ndarray,
    weights: np.ndarray,
    border: Rules,
    value: Values = 0.0,
    *,
    min_coverage: float = 0.5,
    keep: bool = True,
    extent: str = "same",
    anchor: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums over valid pixels times the whole weight over that on them, and what share of it that is.

    NaN of *image* are missing. A pixel outside is valid if that is which it copies; a constant is.
    """
    absent, wide = np.isnan(image), weights.astype(np.longdouble)
    places = [n // 2 for n in weights.shape] if anchor is None else anchor
    here = np.zeros(weights.shape)
    here[tuple(places)] = 1
    with np.errstate(all="ignore"):
        total = slide(np.where(absent, 0, image).astype(np.longdouble), wide, border, value, extent, places)
        lost = slide(absent.astype(np.longdouble), wide, border, 0.0, extent, places)
        own = slide(absent.astype(np.longdouble), here, border, 0.0, extent, places)
        share = 1 - lost / wide.sum()
        made = np.where(lost == 0, total, total / share).astype(np.float64)
    made[(share < min_coverage) | (share <= 0)] = np.nan
    if keep:
        made[own > 0] = np.nan
    return made, share.astype(np.float64)
