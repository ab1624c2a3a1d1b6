"""Regions against the oracle: an output pixel changes exactly when one of the pixels that its region names does."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from properties.runs_help import pipeline, plan_of

from tileconv.boxes import Box
from tileconv.tiles.compute import needed

RULES = st.sampled_from(("reflect", "mirror", "nearest", "constant"))


@st.composite
def chains(draw, rules):
    """Draw stages of positive weights: nothing cancels, so that what is needed can be seen."""
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        rule = draw(rules)
        stages.append(
            {
                "op": "correlate",
                "kernel": np.ones(shape).tolist(),
                "border": {"rule": rule, "value": 0} if rule == "constant" else rule,
                "extent": draw(st.sampled_from(("same", "full") if rule != "wrap" else ("same",))),
                "engine": "direct",
            }
        )
    return stages


def seen(stages, shape):
    """Yield, for every pixel of the image, where the chain's output changes when the pixel does."""
    for place in np.ndindex(*shape):
        image = np.zeros(shape)
        image[place] = 1
        for stage in stages:
            rule = stage["border"] if isinstance(stage["border"], str) else "constant"
            image = convolution.correlate(image, np.array(stage["kernel"]), rule, extent=stage["extent"])
        yield place, image != 0


@given(st.one_of(chains(RULES), chains(st.just("wrap"))), st.tuples(*[st.integers(1, 7)] * 2), st.data())
def test_a_tile_reads_exactly_what_it_needs(stages, shape, data):
    image = np.zeros(shape, np.uint8)
    (job,) = plan_of(pipeline(stages), image).passes
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in job.image.shape]
    ends = [(a, max(b, a + 1)) if a < n else (a - 1, a) for (a, b), n in zip(ends, job.image.shape, strict=True)]
    local = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    (box,) = needed(job, local.shift(job.image.start))
    needs = {
        place for place, changed in seen(stages, shape) if changed[tuple(map(slice, local.start, local.stop))].any()
    }
    reads = {
        (y % shape[0], x % shape[1]) for y in range(box.start[0], box.stop[0]) for x in range(box.start[1], box.stop[1])
    }
    assert needs == reads


def test_a_pixel_just_outside_changes_nothing():
    image = np.zeros((20, 20), np.uint8)
    (job,) = plan_of(pipeline([{"op": "correlate", "kernel": [[1, 2, 3, 4]], "engine": "direct"}]), image).passes
    assert needed(job, Box((5, 5), (6, 8))) == (Box((5, 3), (6, 9)),)


@pytest.mark.parametrize("start", [0, 1, 300])
def test_the_fft_reads_whole_canonical_blocks(start):
    image = strategies.pixels((700, 700), "uint8", 0)
    (job,) = plan_of(pipeline([{"op": "disk", "radius": 5, "engine": "fft"}]), image).passes
    step, halo = job.stages[0].choices[0].grid.step, job.stages[0].halo
    region = job.regions.of(Box((0, start, start), (1, start + 1, start + 1)))[0]
    for axis in (1, 2):
        first, last = region.want.start[axis] + halo.before[axis], region.want.stop[axis] - halo.after[axis]
        assert first % step[axis] == 0
        assert last % step[axis] == 0 or last == 700
        assert first <= start < last


def test_pointwise_stages_need_their_own_pixels():
    (job,) = plan_of(pipeline([{"op": "abs"}, {"op": "rescale", "gain": 2}]), np.zeros((9, 9), np.uint8)).passes
    assert needed(job, Box((2, 3), (4, 9))) == (Box((2, 3), (4, 9)),)
