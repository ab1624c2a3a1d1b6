"""Index maps and extend() against the rules pixel by pixel."""

from itertools import product

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import borders as oracle

from tileconv.boxes import Box
from tileconv.engines.borders import ALIASES, OUTSIDE, RULES, Border, extend, index_map, source_interval
from tileconv.errors import GeometryError

intervals = st.tuples(st.integers(-60, 60), st.integers(0, 60)).map(lambda pair: (pair[0], sum(pair)))
sizes = st.integers(1, 20)
rules = st.sampled_from(RULES)


def test_the_rules_and_their_other_names():
    assert set(RULES) == set(oracle.RULES)
    assert not set(ALIASES) & set(RULES)
    assert set(ALIASES.values()) <= set(RULES)
    assert [str(Border()), str(Border("wrap", 3)), str(Border("constant", 1.5))] == ["reflect", "wrap", "constant 1.5"]


@given(intervals, sizes, rules)
def test_index_map(interval, size, rule):
    places = [oracle.pixel(p, size, rule) for p in range(*interval)]
    assert index_map(*interval, size, rule).tolist() == [OUTSIDE if place is None else place for place in places]


def test_an_image_without_pixels_has_no_map():
    with pytest.raises(GeometryError, match="without pixels"):
        index_map(0, 1, 0, "reflect")


@given(intervals, sizes, rules)
def test_source_interval_is_the_smallest_that_holds_every_pixel(interval, size, rule):
    low, high = source_interval(*interval, size, rule)
    places = [p for p in (oracle.pixel(p, size, rule) for p in range(*interval)) if p is not None]
    if rule == "wrap":
        assert (low, high) == interval
    elif places:
        assert (low, high) == (min(places), max(places) + 1)
    else:
        assert low == high
        assert 0 <= low <= size or interval[0] == interval[1]


@st.composite
def views(draw):
    """Draw an image somewhere in space, a border per axis, a part to make and a part that holds all that it needs."""
    image = draw(strategies.images(dtype=st.sampled_from(["uint8", "int16", "float32", "float64"]), ndim=3))
    origin = draw(st.tuples(*[st.integers(-5, 5)] * 3))
    axes = draw(strategies.borders(3, whole=True))
    want, have = [], []
    for size, (rule, _) in zip(image.shape, axes, strict=True):
        start = draw(st.integers(-30, 30))
        stop = start + draw(st.integers(0, 12))
        want.append((start, stop))
        low, high = source_interval(start, stop, size, rule)
        if rule == "wrap" and draw(st.booleans()):
            have.append((low, high))  # handed over already folded, as a reader of pieces does
        else:
            low, high = (0, size) if rule == "wrap" else (min(max(low, 0), size), min(max(high, 0), size))
            have.append((draw(st.integers(0, low)), draw(st.integers(high, size))))
    return image, origin, axes, want, have


@given(views())
def test_extend_makes_what_the_rules_say(view):
    image, origin, axes, want, have = view

    def at(places):
        ends = [(a + o, b + o) for (a, b), o in zip(places, origin, strict=True)]
        return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))

    names, values = zip(*axes, strict=True)

    def made(places, rules):
        before = [-a for a, _ in places]
        after = [b - n for (_, b), n in zip(places, image.shape, strict=True)]
        return oracle.extended(image, before, after, rules, values)

    expected = made(want, names)
    block = made(have, ["wrap"] * 3)  # have leaves the image along wrap axes only
    borders = [Border(*axis) for axis in axes]
    result = extend(block, at(have), at(want), at([(0, n) for n in image.shape]), borders)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("names", [*product(RULES, repeat=3)])
def test_images_much_smaller_than_what_is_made_around_them(names):
    image = np.arange(1.0, 13.0).reshape(2, 3, 2)
    before, after = (20, 21, 22), (23, 22, 21)
    box = Box.of_shape(image.shape)
    want = Box(tuple(-n for n in before), tuple(n + more for n, more in zip(image.shape, after, strict=True)))
    made = extend(image, box, want, box, [Border(name, -5.0) for name in names])
    np.testing.assert_array_equal(made, oracle.extended(image, before, after, names, [-5.0] * 3))


def plane(*ends):
    """Return a box of one plane, rows and columns *ends*."""
    return Box((0, ends[0], ends[2]), (1, ends[1], ends[3]))


def test_extend_copies_nothing_where_nothing_is_made():
    block = np.arange(20.0).reshape(1, 4, 5)
    box = plane(0, 4, 0, 5)
    result = extend(block, box, plane(1, 3, 1, 5), box, [Border()] * 3)
    assert np.shares_memory(result, block)
    assert result.tolist() == block[:, 1:3, 1:5].tolist()


@pytest.mark.parametrize("rule", RULES)
def test_a_missing_pixel_is_an_error_and_not_another_pixel(rule):
    block = np.zeros((1, 1, 4))
    for want in (plane(0, 1, 2, 5), plane(0, 1, 5, 8), plane(0, 1, -1, 5)):
        with pytest.raises(GeometryError, match="lacks pixels"):
            extend(block, plane(0, 1, 3, 7), want, plane(0, 1, 0, 9), [Border("reflect")] * 2 + [Border(rule)])


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 256), ("uint8", -1), ("int16", 0.5), ("int64", np.nan)])
def test_a_constant_that_the_type_cannot_hold_is_refused(dtype, value):
    box, block, borders = plane(0, 2, 0, 2), np.ones((1, 2, 2), dtype), [Border("constant", value)] * 3
    for want in (plane(-1, 2, 0, 2), plane(0, 2, 5, 6)):
        with pytest.raises(GeometryError, match=f"pixels of type {dtype} cannot hold the border value"):
            extend(block, box, want, box, borders)
    assert extend(block, box, box, box, borders).sum() == 4


def test_not_a_number_is_a_constant_for_floats():
    box = plane(0, 1, 0, 1)
    made = extend(np.ones((1, 1, 1), np.float32), box, plane(0, 1, -1, 1), box, [Border("constant", np.nan)] * 3)
    np.testing.assert_array_equal(made, [[[np.nan, 1]]])


def test_where_constants_meet_the_later_axis_decides():
    box = Box.of_shape((1, 1, 1))
    borders = [Border("constant", value) for value in (1, 2, 3)]
    made = extend(np.zeros((1, 1, 1), np.uint8), box, Box((-1, -1, -1), (1, 1, 1)), box, borders)
    assert made.tolist() == [[[3, 2], [3, 1]], [[3, 2], [3, 0]]]
