"""Index maps against the rules for every small image and every position near it: no luck of a draw."""

import pytest
from oracles import borders as oracle

from tileconv.engines.borders import OUTSIDE, RULES, index_map


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", range(1, 7))
def test_every_small_image(rule, size):
    places = [oracle.pixel(p, size, rule) for p in range(-20, 20)]
    assert index_map(-20, 20, size, rule).tolist() == [OUTSIDE if place is None else place for place in places]
