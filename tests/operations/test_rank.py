"""Ranks against a sort of every window: each type to its ends, sizes even and lopsided, borders, NaN and zeros."""

import math

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles.borders import RULES, extended
from oracles.nan import touched
from properties.runs_help import pipeline, plan_of, tiled, windows

import tileconv
from tileconv.engines.values import Values
from tileconv.operations.footprint import Footprint
from tileconv.operations.networks import selected
from tileconv.operations.ordered import as_keys, from_keys
from tileconv.operations.sliding import slid

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))
ZEROS = np.array([[0.0, -0.0, 1.0, -1.0, 0.0, -0.0]])


def ranked(image, shape, rank, rule="reflect", value=0, extent="same"):
    """Return the pixel of *rank* of a footprint of *shape*, True where it counts, by sorting every window."""
    shape = np.asarray(shape, bool)
    before, after = [n // 2 for n in shape.shape], [(n - 1) // 2 for n in shape.shape]
    if extent == "full":
        before = after = [n - 1 for n in shape.shape]
    if extent == "valid":
        before = after = [0] * image.ndim
    axes = image.ndim
    wide = extended(image, before, after, [rule] * axes, [value] * axes)
    seen = np.lib.stride_tricks.sliding_window_view(wide, shape.shape)[..., shape]
    return np.sort(seen, axis=-1)[..., rank]


def of_stage(stage, image, **words):
    return windows(pipeline([stage], **words), image)[0]


@given(strategies.images(ndim=2), SIZES, st.sampled_from(RULES), st.sampled_from(("same", "full")), st.data())
def test_a_rank_is_that_of_a_sort(image, sizes, rule, extent, data):
    rank = data.draw(st.integers(0, math.prod(sizes) - 1))
    border = {"rule": rule, "value": 7} if rule == "constant" else rule
    stage = {"op": "rank", "size": dict(zip("yx", sizes, strict=True)), "rank": rank, "extent": extent}
    made = of_stage(stage, image, border=border)
    expected = ranked(image, np.ones(sizes), rank, rule, 7, extent)
    assert made.dtype == image.dtype
    assert np.array_equal(made, expected)


@pytest.mark.parametrize("dtype", strategies.DTYPES)
@pytest.mark.parametrize("size", [3, 8, 12])
def test_every_way_to_select_gives_the_same_pixel(dtype, size):
    image = strategies.pixels((2, 30, 90), dtype, 3)
    image[0, 4:9, 7:30] = image[0, 0, 0]
    box = Footprint((size, size + 1))
    keys = as_keys(image)
    for rank in (1, box.count // 2, box.count - 2):
        expected = np.stack([ranked(plane, np.ones(box.sizes), rank, extent="valid") for plane in image])
        for way in (selected, slid):
            assert from_keys(way(keys, box, rank), image.dtype).tobytes() == expected.tobytes(), way


@pytest.mark.parametrize("op", ["local_minimum", "local_maximum", "median"])
@pytest.mark.parametrize("radius", [1, 2.5, 7])
def test_disks(op, radius):
    image = strategies.pixels((20, 23), "int16", 1)
    shape = tileconv.kernels.disk(radius).weights > 0
    rank = {"local_minimum": 0, "local_maximum": -1, "median": int(shape.sum()) // 2}[op]
    assert np.array_equal(of_stage({"op": op, "radius": radius}, image), ranked(image, shape, rank))


@pytest.mark.parametrize(("over", "shape"), [("zyx", (3, 2, 4)), ("y", (5, 1)), ("zx", (4, 1, 3)), ("z", (3, 1, 1))])
def test_along_any_axes(over, shape):
    image = strategies.pixels((6, 7, 8), "uint16", 2)
    axes = "zyx"[3 - len(shape) :]
    size = {axis: n for axis, n in zip(axes, shape, strict=True) if axis in over}
    made, _ = windows(pipeline([{"op": "median", "size": size, "over": over}]), image, "zyx")
    planes = [image] if "z" in over else image
    box = shape[-planes[0].ndim :]
    expected = np.concatenate([ranked(p, np.ones(box), math.prod(box) // 2).reshape(-1, 7, 8) for p in planes])
    assert np.array_equal(made, expected)


@pytest.mark.parametrize("op", ["median", "local_minimum", "local_maximum"])
@pytest.mark.parametrize("dtype", strategies.FLOATS)
@pytest.mark.parametrize("words", [{"size": 2}, {"size": 9}, {"size": 12}, {"radius": 2}])
def test_nan_reaches_as_far_as_the_footprint(op, dtype, words):
    image = strategies.pixels((21, 33), dtype, 5)
    image[5, 6], image[13, 30] = np.nan, -np.nan
    image[9, 9:12] = np.inf, -np.inf, np.nan
    made = of_stage({"op": op} | words, image)
    side = words.get("size", 5)
    shape = tileconv.kernels.disk(2).weights if "radius" in words else np.ones((side, side))
    assert np.array_equal(np.isnan(made), touched(np.isnan(image), shape, "reflect", (side // 2, side // 2)))
    rank = {"median": int(shape.sum()) // 2, "local_minimum": 0, "local_maximum": -1}[op]
    expected = ranked(np.nan_to_num(image, nan=1, posinf=np.inf, neginf=-np.inf), shape, rank)
    assert np.array_equal(made[~np.isnan(made)], expected[~np.isnan(made)])


@pytest.mark.parametrize("image", [ZEROS, ZEROS[:, ::-1], ZEROS.astype(np.float32)])
def test_zero_below_0_is_less_than_zero(image):
    low, high = (of_stage({"op": f"local_{which}imum"}, image) for which in ("min", "max"))
    assert np.signbit(low[image == 0]).all()
    middle = of_stage({"op": "median", "size": {"y": 1, "x": 2}}, image[:, :2])
    assert not np.signbit(middle[0, 1])
    assert (high >= image).all()


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_pixels_beyond_2_53(dtype):
    image = (np.arange(30, dtype=dtype) + 2**60).reshape(5, 6)
    made = tileconv.median(image)
    assert made.dtype == dtype
    assert np.array_equal(made, ranked(image, np.ones((3, 3)), 4))


def test_what_a_plan_says():
    (stage,) = plan_of(pipeline([{"op": "median", "size": 4}]), np.zeros((9, 9), np.uint16)).passes[0].stages
    assert (stage.error_bound, stage.values_out) == (0, Values.of(np.dtype(np.uint16)))
    assert (stage.halo.before, stage.halo.after) == ((0, 2, 2), (0, 1, 1))


def test_a_border_that_the_type_does_not_hold_widens_it():
    image = strategies.pixels((4, 5), "uint8", 1)
    made = of_stage({"op": "local_minimum"}, image, border={"rule": "constant", "value": -1.5})
    assert made.dtype == np.float32
    assert (made[0] == -1.5).all()
    assert np.array_equal(made[1:3, 1:4], ranked(image, np.ones((3, 3)), 0)[1:3, 1:4])
    rounded = plan_of(
        pipeline([{"op": "median"}], border={"rule": "constant", "value": 0.5}), np.zeros((4, 5), np.int64)
    )
    assert rounded.passes[0].stages[0].error_bound == 2.0**63 * 2.0**-53


def test_tiles_of_one_pixel():
    image = strategies.pixels((7, 9), "float32", 4)
    image[3, 3] = np.nan
    stages = [{"op": "median", "size": 4}, {"op": "local_maximum", "radius": 2}]
    whole = windows(tiled(stages, None), image)[0]
    assert windows(tiled(stages, 1), image)[0].tobytes() == whole.tobytes()
