"""Weights under every wish against general minimisers, and what contradicts itself."""

import numpy as np
import pytest
from oracles.learning import constrained

from tileconv.errors import KernelError, PlanError
from tileconv.lessons.wishes import SYMMETRIES, Wishes, best, orbits

ONE = {"total": 1.0}
CASES = {
    "non-negative": (Wishes(non_negative=True), {"non_negative": True}),
    "sum one": (Wishes(total=1.0), ONE),
    "zero sum": (Wishes(total=0.0), {"total": 0.0}),
    "both": (Wishes(non_negative=True, total=1.0), ONE | {"non_negative": True}),
    "mirrored": (Wishes(symmetric=("x",)), {"equal": [(0, 2), (3, 5), (6, 8)]}),
    "half a turn": (Wishes(symmetric=("point",), total=1.0), ONE | {"equal": [(n, 8 - n) for n in range(4)]}),
    "transposed": (Wishes(symmetric=("transpose",)), {"equal": [(1, 3), (2, 6), (5, 7)]}),
    "quarter turn, signs": (
        Wishes(symmetric=("rotate",), non_negative=True, total=1.0),
        ONE | {"non_negative": True, "equal": [(0, 2), (2, 8), (8, 6), (1, 3), (3, 7), (7, 5)]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_weights(name):
    wishes, rules = CASES[name]
    random = np.random.default_rng(7)
    matrix = random.normal(size=(200, 9)) @ (np.eye(9) + 0.3 * random.normal(size=(9, 9)))
    target = matrix @ random.normal(size=9) + random.normal(size=200)
    centred = matrix - matrix.mean(0)
    weights, _ = best(centred.T @ centred, centred.T @ (target - target.mean()), (1, 3, 3), wishes, 0.0)
    np.testing.assert_allclose(weights, constrained(matrix, target, **rules), atol=1e-5)
    if wishes.total is not None:
        assert weights.sum() == pytest.approx(wishes.total, abs=1e-12)
    assert not wishes.non_negative or (weights >= 0).all()
    for symmetry in wishes.symmetric:
        grid = weights.reshape(1, 3, 3)
        assert (SYMMETRIES[symmetry](grid) == grid).all()


def test_of_several_the_shortest():
    weights, condition = best(np.ones((2, 2)), np.ones(2), (1, 1, 2), Wishes(), 0.0)
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=1e-12)
    assert condition == np.inf
    nothing = np.zeros((2, 2)), np.zeros(2), (1, 1, 2)
    np.testing.assert_allclose(best(*nothing, Wishes(total=1.0), 0.0)[0], [0.5, 0.5])
    assert (best(*nothing, Wishes(non_negative=True), 0.0)[0] == 0).all()


def test_one_weight_that_sums_to_one():
    assert best(np.eye(1), np.zeros(1), (1, 1, 1), Wishes(total=1.0), 0.0)[0] == 1


def test_kinds_of_weights():
    counts = {("x", "transpose"): 15, ("rotate",): 21, ("point",): 41, ("y",): 45, (): 81}
    for symmetric, count in counts.items():
        basis = orbits((1, 9, 9), symmetric)
        assert basis.shape == (81, count)
        np.testing.assert_allclose(basis.T @ basis, np.eye(count), atol=1e-15)


def test_what_contradicts_itself_is_refused():
    with pytest.raises(KernelError, match="needs a square kernel, found 3 x 4"):
        orbits((1, 3, 4), ("transpose",))
    with pytest.raises(PlanError, match="symmetric takes z, y, x, point"):
        Wishes(symmetric=("diagonal",))
    with pytest.raises(PlanError, match="exclude each other"):
        Wishes(non_negative=True, total=0.0)
    with pytest.raises(PlanError, match="ridge must be"):
        Wishes(ridge=-1.0)
