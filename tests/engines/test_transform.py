"""The float32 transform of two blocks at once is held against SciPy's of each."""

import sys

import numpy as np
import pytest
import scipy.fft

from tileconv.boxes import Halo
from tileconv.engines.fft_factors import Factor
from tileconv.engines.grid import ERROR_CONSTANT, blocks, error_bound
from tileconv.engines.transform import LANES, convolve, spectrum, stages

LENGTHS = [(16, 16), (48, 32), (96, 144), (64, LANES), (LANES, 64), (32, 576), (576, 48), (128, 384)]


def correlated(block, weights, length):
    """Return the circular sums of *block* under *weights* by SciPy's transforms in float64."""
    both = (scipy.fft.rfft2(array.astype(float), s=length) for array in (block, weights))
    pixels, kernel = both
    return scipy.fft.irfft2(pixels * kernel.conj(), s=length)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 7), (12, 5)])
def test_two_blocks_at_once_are_what_scipy_makes_of_each(length, kernel):
    rng = np.random.default_rng(sum(length))
    high, wide = length[0] - 1, length[1] - 3  # the rest of a transform is zeros
    rows = length[0] - kernel[0] + 1
    pixels = rng.standard_normal((rows + high, wide)).astype(np.float32)
    weights = rng.standard_normal(kernel)
    of_weights = spectrum(weights, length)
    out = np.full((2 * rows + 2, length[1] + 1), np.nan, np.float32)
    box = (1, 1, 0, 2, 2 * rows, length[1] - 2)
    convolve(pixels, rows, stages(length[0]), stages(length[1]), of_weights, np.zeros_like(of_weights), 0.5, out, box)
    first, second = (correlated(block, weights, length)[:rows, 2:] for block in (pixels[:high], pixels[rows:]))
    expected = np.concatenate([first, second])
    written = out[1:-1, 1:-2]
    unit = error_bound(length[0] * length[1], np.linalg.norm(pixels), np.linalg.norm(weights), narrow=True)
    rounding = np.finfo(np.float32).eps * (np.abs(expected).max() + 0.5)  # where the base is added
    assert np.abs(written - 0.5 - expected).max() <= 0.25 * unit / ERROR_CONSTANT + rounding
    assert np.isnan(out).sum() == out.size - written.size


def test_paired_blocks_do_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    weights, grid = np.ones((1, 9, 31)), blocks((1, 9, 31), (1, 4096, 4096), narrow=True)
    assert grid.paired
    assert Factor(weights, Halo((0, 4, 15), (0, 4, 15)), grid, exact=False).spectrum.dtype == np.float32
