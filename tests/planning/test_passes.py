"""Which stages share one read and one write, and the reason where they do not."""

import numpy as np
import pytest
import strategies
from properties.runs_help import pipeline, plan_of, tiled, windows

GAUSSIAN, SOBEL = {"op": "gaussian", "sigma": 2}, {"op": "sobel"}
FFT = {"op": "disk", "radius": 20, "engine": "fft"}
IMAGE = np.zeros((3000, 3000), np.uint16)


def groups(stages, image=IMAGE, **words):
    return [(len(job.stages), job.why) for job in plan_of(pipeline(stages, **words), image).passes]


@pytest.mark.parametrize(
    "stages",
    [[], [GAUSSIAN], [GAUSSIAN, SOBEL, {"op": "unsharp", "sigma": 1}], [GAUSSIAN | {"border": "wrap"}, SOBEL]],
    ids=len,
)
def test_local_stages_share_one_pass(stages):
    assert groups(stages) == [(len(stages), "reads the input")]


def test_wrap_after_wrap_shares_one_pass():
    assert groups([GAUSSIAN, SOBEL, GAUSSIAN], border="wrap") == [(3, "reads the input")]


def test_wrap_after_pointwise_shares_one_pass():
    assert groups([{"op": "abs"}, GAUSSIAN | {"border": "wrap"}]) == [(2, "reads the input")]


@pytest.mark.parametrize("before", [SOBEL, GAUSSIAN | {"extent": "full", "border": "wrap"}, FFT | {"border": "wrap"}])
def test_wrap_after_what_does_not_repeat_is_cut(before):
    (_, first), (_, second) = groups([before, GAUSSIAN | {"border": "wrap", "id": "late"}])
    assert first == "reads the input"
    assert second == "late wraps along y, and what lies before it does not repeat there"


def test_wrap_along_one_axis_names_it():
    late = {"op": "gaussian", "sigma": 2, "border": {"x": "wrap", "y": "reflect"}, "id": "late"}
    assert groups([SOBEL, late])[1][1] == "late wraps along x, and what lies before it does not repeat there"


def test_an_fft_is_cut_off_where_its_halo_costs_more_than_a_file():
    direct = [{"op": "convolve", "kernel": (np.arange(9409) + 0.5).reshape(97, 97).tolist(), "engine": "direct"}]
    (_, _), (_, why) = groups([*direct, FFT])
    fused, apart = (float(word) for word in why.split() if word.isdigit())
    assert fused > apart


def test_a_cheap_stage_before_an_fft_stays_with_it():
    assert groups([{"op": "rescale", "gain": 2}, FFT | {"radius": 3}]) == [(2, "reads the input")]


def test_sharing_a_halo_changes_nothing():
    """One pass is the same as a run per stage, whose results are held in the same type."""
    image = strategies.pixels((70, 90), "float32", 0)
    stages = [GAUSSIAN, SOBEL | {"border": "mirror"}, {"op": "unsharp", "sigma": 1, "border": "nearest"}]
    together, _ = windows(tiled(stages, 32), image)
    apart = image
    for stage in stages:
        apart, _ = windows(tiled([stage], 48), apart)
    assert together.tobytes() == apart.tobytes()
