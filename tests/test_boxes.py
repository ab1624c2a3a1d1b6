"""Boxes, halos and tile grids against sets of pixels counted one by one."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.boxes import Box, Halo, TileGrid, default_axes
from tileconv.errors import GeometryError

ends = st.tuples(st.integers(-8, 8), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))
boxes = st.tuples(ends, ends).map(lambda pairs: Box(*zip(*pairs, strict=True)))
halos = st.tuples(*[st.integers(0, 4)] * 4).map(lambda n: Halo(n[:2], n[2:]))


def pixels(box):
    return set(product(*(range(a, b) for a, b in zip(box.start, box.stop, strict=True))))


@given(boxes)
def test_shape_and_size(box):
    assert box.size == len(pixels(box)) == int(np.prod(box.shape))
    assert box.axes == "yx"


@given(boxes, boxes)
def test_intersect_and_contains(one, other):
    assert pixels(one.intersect(other)) == pixels(one) & pixels(other)
    assert one.intersect(one) == one
    if one.contains(other):
        assert pixels(other) <= pixels(one)
    elif other.size:
        assert not pixels(other) <= pixels(one)


@given(boxes, halos, halos)
def test_grow_adds_halos(box, one, other):
    assert box.grow(one).grow(other) == box.grow(one + other)
    assert box.grow(one.union(other)).contains(box.grow(one))
    assert box.grow(one).shape == tuple(n + b + a for n, b, a in zip(box.shape, one.before, one.after, strict=True))
    if box.size:
        around = product(*(range(-b, a + 1) for b, a in zip(one.before, one.after, strict=True)))
        moved = [pixels(box.shift(step)) for step in around]
        assert pixels(box.grow(one)) == set().union(*moved)


@given(boxes, halos)
def test_within_cuts_the_box_out(box, halo):
    outer = box.grow(halo)
    rows, columns = np.mgrid[tuple(slice(a, b) for a, b in zip(outer.start, outer.stop, strict=True))]
    cut = box.within(outer)
    assert set(zip(rows[cut].flat, columns[cut].flat, strict=True)) == pixels(box)


def test_within_refuses_what_sticks_out():
    with pytest.raises(GeometryError, match="y=0:5 x=0:4 does not lie inside y=0:4 x=0:4"):
        Box((0, 0), (5, 4)).within(Box((0, 0), (4, 4)))


@given(boxes, st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_tiles_cover_the_image_once(image, tile):
    grid = TileGrid(image, tile)
    seen = [pixel for box in grid for pixel in pixels(box)]
    assert len(seen) == len(set(seen))
    assert set(seen) == pixels(image)
    assert len(list(grid)) == len(grid) == int(np.prod(grid.counts))
    assert tuple(map(sum, grid.chunks)) == image.shape
    for index, box in zip(np.ndindex(*grid.counts), grid, strict=True):
        assert grid.box(index) == box
        assert box.shape == tuple(sizes[i] for sizes, i in zip(grid.chunks, index, strict=True))
        assert all((a - o) % t == 0 for a, o, t in zip(box.start, image.start, tile, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Box((0,), (1, 2)), "one start and one stop per axis"),
        (lambda: Box((0, 0), (1, 2), "x"), "one start and one stop per axis"),
        (lambda: Box((0, 3), (1, 2)), "cannot stop before it starts"),
        (lambda: Halo((1,), (1, 2)), "as many pixels >= 0 before as after"),
        (lambda: Halo((1,), (-1,)), "as many pixels >= 0 before as after"),
        (lambda: TileGrid(Box.of_shape((4, 4)), (2,)), "one size >= 1 per axis of y=0:4 x=0:4"),
        (lambda: TileGrid(Box.of_shape((4, 4)), (2, 0)), "one size >= 1 per axis"),
        (lambda: default_axes(0), "expected 1 to 5 axes, found 0"),
        (lambda: default_axes(6), "expected 1 to 5 axes, found 6"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(GeometryError, match=message):
        call()


def test_boxes_name_their_axes():
    assert str(Box.of_shape((2, 3, 4))) == "z=0:2 y=0:3 x=0:4"
    assert repr(Box.of_shape((2, 3), "cx")) == "Box(c=0:2, x=0:3)"
    assert [default_axes(n) for n in range(1, 6)] == ["x", "yx", "zyx", "czyx", "tczyx"]
    assert Halo.same(2, axes=3) == Halo((2, 2, 2), (2, 2, 2))
