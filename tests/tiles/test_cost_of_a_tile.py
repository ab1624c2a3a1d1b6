"""What a tile costs beside its pixels, in calls of Python functions: of a million tiny tiles that is nearly all."""

import sys

import numpy as np
import pytest
from properties.runs_help import plan_of, tiled

from tileconv.sources.memory import MemorySource
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile, needed
from tileconv.tiles.windows import read


def calls(pass_, source, number):
    """Return how many Python functions are called while a tile is read and made; NumPy's own differ by version."""
    tile, count = list(pass_.grid)[number], 0

    def called(frame, event, _):
        nonlocal count
        count += event == "call" and "tileconv" in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        (have,) = needed(pass_, tile)
        compute_tile(pass_, [Block(read(source, pass_.reads[0].domain, have), have)], tile)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("stages", "most"), [(1, 240), (3, 520)])
def test_a_tiny_tile_takes_few_calls(stages, most):
    image = np.ones((24, 24), np.float32)
    plan = plan_of(tiled([{"op": "gaussian", "sigma": 0.5}] * stages, 8), image)
    (pass_,), source = plan.passes, MemorySource(image, "yx")
    calls(pass_, source, 3)
    assert calls(pass_, source, 5) <= most
