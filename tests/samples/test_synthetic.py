"""The synthetic image: independent of boxes, deterministic, natural, and as wide as its type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.boxes import Box, TileGrid
from tileconv.errors import PlanError
from tileconv.samples.synthetic import DTYPES, synthetic

places = st.one_of(st.integers(0, 50), st.integers(0, 2**31 - 50))


@given(
    st.tuples(places, places),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**64),
    st.sampled_from(DTYPES),
)
def test_a_pixel_does_not_depend_on_the_box(start, shape, tile, seed, dtype):
    box = Box(start, tuple(a + n for a, n in zip(start, shape, strict=True)))
    whole = synthetic(box, seed, dtype)
    assert (whole.shape, whole.dtype) == (box.shape, np.dtype(dtype))
    for part in TileGrid(box, tile):
        np.testing.assert_array_equal(synthetic(part, seed, dtype), whole[part.within(box)])


def test_the_seed_decides_the_image():
    box = Box((7, 1000), (263, 1256))
    images = [synthetic(box, seed, "float64") for seed in (0, 1, 2**63)]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert abs(np.corrcoef(np.diff(images[one]).ravel(), np.diff(images[other]).ravel())[0, 1]) < 0.05


def test_the_numbers_stay_the_same_between_versions():
    corner = synthetic(Box((0, 0), (2, 3)), 0, "uint16").tolist()
    assert corner == [[28450, 27690, 27510], [33684, 27202, 34041]]


def test_amplitudes_fall_as_one_over_frequency():
    side = 1024
    pixels = synthetic(Box((5000, 9000), (5000 + side, 9000 + side)), 3, "float64")
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((pixels - pixels.mean()) * window * window[:, None])) ** 2
    line = np.fft.fftfreq(side, 1 / side)
    ring = np.rint(np.hypot(line, line[:, None])).astype(int).ravel()
    amplitude = np.sqrt(np.bincount(ring, power.ravel()) / np.bincount(ring))
    rings = np.arange(8, side // 2)
    slope, _ = np.polyfit(np.log(rings), np.log(amplitude[rings]), 1)
    assert -1.25 < slope < -0.85
    directions = [power[1:64, :8].sum(), power[:8, 1:64].sum()]
    assert 0.5 < directions[0] / directions[1] < 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_types_are_filled_and_hardly_clipped(dtype):
    places = np.random.default_rng(0).integers(0, 2**31 - 9, (400, 2)).tolist()
    pixels = np.stack([synthetic(Box((y, x), (y + 8, x + 8)), 0, dtype) for y, x in places]).astype(np.float64)
    low, high = (0, 1) if dtype.startswith("float") else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    parts = (np.quantile(pixels, [0.02, 0.5, 0.98]) - low) / (high - low)
    np.testing.assert_allclose(parts, [0.2, 0.5, 0.8], atol=0.06)
    assert np.isin(pixels, (low, high)).mean() < 0.005


def test_other_types_and_axes_are_refused():
    with pytest.raises(PlanError, match="uint8, uint16, int16, float32, float64, found complex64"):
        synthetic(Box((0, 0), (1, 1)), 0, "complex64")
    with pytest.raises(PlanError, match="found nonsense"):
        synthetic(Box((0, 0), (1, 1)), 0, "nonsense")
    with pytest.raises(PlanError, match="found 3 axes"):
        synthetic(Box((0, 0, 0), (1, 1, 1)), 0, "uint8")
