"""Sums that leave missing pixels out where outputs reach beyond the block."""

import numpy as np
import pytest

import tileconv


@pytest.mark.parametrize("keep", [True, False])
def test_one_transform_of_a_whole_image_with_zeros_around(keep):
    """Its block is the image without its border, and its outputs reach beyond it."""
    rng = np.random.default_rng(0)
    image, kernel = rng.random(40), rng.random(30)
    image[[7, 8, 30]] = np.nan
    rule = {"rule": "renormalize", "min_coverage": 0.2, "keep": keep}
    fft, direct = (
        tileconv.convolve(image, kernel, extent="full", engine=engine, missing=rule) for engine in ("fft", "direct")
    )
    np.testing.assert_allclose(fft, direct, rtol=1e-12)  # NaN in the same places
    assert np.isnan(direct).any() == keep
