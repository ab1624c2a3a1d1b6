"""The oracles against scipy: what judges is judged first."""

import numpy as np
import pytest
import scipy.ndimage as nd
import scipy.signal
from oracles import borders, convolution, nan
from strategies import RULES

SHAPES = ((7, 9), (1, 5), (4, 1), (1, 1))
KERNELS = ((3, 4), (2, 2), (5, 1), (4, 3))


def test_the_oracles_import_nothing_of_ours():
    import ast
    from pathlib import Path

    for path in (Path(__file__).parent / "oracles").glob("*.py"):
        imported = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import | ast.ImportFrom)]
        names = [alias.name for n in imported for alias in n.names] + [getattr(n, "module", "") or "" for n in imported]
        assert not [name for name in names if name.startswith("tileconv")], path


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", KERNELS)
def test_same_is_scipy_ndimage(shape, size, rule):
    rng = np.random.default_rng(1)
    image, weights = rng.random(shape), rng.random(size)
    for ours, theirs in ((convolution.correlate, nd.correlate), (convolution.convolve, nd.convolve)):
        expected = theirs(image, weights, mode=rule, cval=2.5)
        np.testing.assert_allclose(ours(image, weights, rule, 2.5), expected, rtol=1e-13)


@pytest.mark.parametrize("extent", ["full", "valid"])
@pytest.mark.parametrize("size", [(3, 4), (2, 2), (5, 1)])
def test_full_and_valid_are_scipy_signal(size, extent):
    rng = np.random.default_rng(2)
    image, weights = rng.random((7, 9)), rng.random(size)
    for ours, theirs in (
        (convolution.convolve, scipy.signal.convolve),
        (convolution.correlate, scipy.signal.correlate),
    ):
        np.testing.assert_allclose(
            ours(image, weights, "constant", extent=extent), theirs(image, weights, extent, "direct"), rtol=1e-12
        )


def test_exact_sums_have_no_limit():
    image, weights = np.array([[2**63 - 1, 2**63 - 1]]), np.array([[2**52, 2**52]])
    assert convolution.correlate_exact(image, weights, "constant").tolist() == [
        [2**52 * (2**63 - 1), 2**53 * (2**63 - 1)]
    ]
    assert convolution.convolve_exact(image, np.array([[1, 0]])).tolist() == [[2**63 - 1, 2**63 - 1]]


def test_at_a_corner_the_later_axis_decides():
    made = borders.extended(np.array([[5.0]]), (1, 1), (0, 0), ("constant", "constant"), (1.0, 2.0))
    assert made.tolist() == [[2, 1], [2, 5]]


def test_a_missing_pixel_reaches_its_copies():
    missing = np.array([[False, False, False, True]])
    assert nan.touched(missing, np.ones((1, 3)), "reflect", (0, 1)).tolist() == [[False, False, True, True]]
    assert nan.touched(missing, np.ones((1, 3)), "wrap", (0, 1)).tolist() == [[True, False, True, True]]
