"""The row machine makes the bytes that its stages make one by one, and counts what they count."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import plan_of, tiled, windows

from tileconv.boxes import Box
from tileconv.engines.row_table import RowTable
from tileconv.tiles import compute
from tileconv.tiles.blocks import Block

PEAKS = {"uint8": None, "uint16": None, "int16": 300, "float32": None, "float64": None, "int8": None, "uint32": None}
OUTPUTS = ("auto", "auto", "float32", "uint8", "uint16", "int16", "float64")
RULES = [*strategies.RULES[:4], {"rule": "constant", "value": 3}, {"rule": "constant", "value": 0.5}]
CHAIN = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "sharpen"}, {"op": "unsharp", "sigma": 1}]
borders = st.sampled_from(RULES)
engines = st.sampled_from(["auto", "direct", "separable"])


@st.composite
def stages(draw):
    """Draw one stage with words of its own."""
    odd = st.integers(1, 9)
    words = draw(
        st.one_of(
            st.builds(lambda s: {"op": "gaussian", "sigma": s}, st.sampled_from([0.4, 1, 2.5, 9])),
            st.builds(lambda y, x: {"op": "box", "size": {"y": y, "x": x}}, odd, odd),
            st.sampled_from([{"op": "sobel"}, {"op": "scharr", "component": "x"}, {"op": "sharpen"}, {"op": "abs"}]),
            st.sampled_from([{"op": "laplacian_of_gaussian", "sigma": 0.8}, {"op": "edge", "component": "magnitude"}]),
            st.builds(lambda t: {"op": "unsharp", "sigma": 0.7, "threshold": t}, st.sampled_from([0, 5])),
            st.builds(
                lambda k, d, o: {"op": "correlate", "kernel": k.tolist(), "divide_by": d, "offset": o},
                strategies.kernels(),
                st.sampled_from([1, 3, -2.5]),
                st.sampled_from([0, 7, -0.5]),
            ),
        )
    )
    if words["op"] in ("abs", "laplacian_of_gaussian"):
        return words | ({} if words["op"] == "abs" else {"border": draw(borders)})
    extent = draw(st.sampled_from(["same", "same", "full"]))
    asked = "auto" if words["op"] in ("correlate", "sharpen") else draw(engines)
    return words | {"border": draw(borders), "extent": extent, "engine": asked}


def both(mapping, image):
    """Return what the machine makes, and what the stages one by one make: pixels and counts of each."""
    fast = windows(mapping, image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "by_rows", lambda *_: None)
        return fast, windows(mapping, image)


@given(
    st.sampled_from(sorted(PEAKS)), strategies.shapes(2), strategies.seeds, st.lists(stages(), min_size=1, max_size=4),
    st.sampled_from([None, None, 5, 16]), st.sampled_from(OUTPUTS), st.booleans(),
)  # fmt: skip
def test_rows_make_what_stages_make(dtype, shape, seed, chain, tile, output, strange):
    image = strategies.pixels(shape, dtype, seed, peak=PEAKS[dtype])
    if image.dtype.kind == "f":
        image.flat[0], output = np.inf if strange else 7, "float32"
    (fast, counts), (slow, as_before) = both(tiled(chain, tile, output={"dtype": output}), image)
    assert fast.tobytes() == slow.tobytes()
    assert counts == as_before


@pytest.mark.parametrize("border", RULES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "output"), [("uint16", "float32"), ("uint8", "uint8"), ("float64", "float64"), ("float32", "float32")]
)
def test_chains_are_made_by_rows(dtype, output, border, monkeypatch):
    given_up, real = [], RowTable.make

    def make(*given):
        found = real(*given)
        given_up.append(found is None)
        return found

    monkeypatch.setattr(RowTable, "make", make)
    image = strategies.pixels((50, 79), dtype, 0)
    fast, slow = both(tiled(CHAIN, 37, border=border, output={"dtype": output}), image)  # no whole vectors
    assert fast[0].tobytes() == slow[0].tobytes()
    assert fast[1] == slow[1]
    assert given_up
    assert not any(given_up)


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_strange_pixels_are_left_to_the_stages(strange):
    image = strategies.pixels((40, 50), "float32", 0)
    image[20, 30] = strange
    (fast, _), (slow, _) = both(tiled(CHAIN, 16), image)
    assert fast.tobytes() == slow.tobytes()
    assert not np.isfinite(fast).all()


@pytest.mark.parametrize("scale", [1e-160, 1e-130, 1e160])
def test_squares_that_leave_the_range_are_left_to_the_stages(scale):
    image = strategies.pixels((20, 30), "float64", 0) * scale
    image[5:15, 5:15] = 0
    (fast, _), (slow, _) = both(tiled([{"op": "sobel"}], None), image)
    assert fast.tobytes() == slow.tobytes()
    assert np.isfinite(fast).all()


def test_strips_are_made_at_once_but_for_those_that_rest(monkeypatch):
    """Glass in the middle stands apart; where one number leaves the range the strips are made one by one."""
    made, real = [], RowTable.make

    def make(table, places, plane, out):
        made.append(out.shape[0])
        return real(table, places, plane, out)

    monkeypatch.setattr(RowTable, "make", make)
    image = strategies.pixels((4000, 600), "uint16", 0)
    mapping = tiled([{"op": "gaussian", "sigma": 1}], None)
    rows = plan_of(mapping, image).passes[0].strip
    windows(mapping, image)
    image[2 * rows - 5 : 3 * rows + 50] = 7
    _, counts = windows(mapping, image)
    assert made == [4000, 2 * rows, 4000 - 3 * rows]
    assert counts.idle == rows * 600
    odd = image.astype(np.float32)
    odd[-1, 0] = np.nan
    made.clear()
    (fast, counts), (slow, as_before) = both(mapping, odd)
    assert (fast.tobytes(), counts) == (slow.tobytes(), as_before)
    assert made


def test_pixels_that_nobody_may_write_are_read_as_they_lie(monkeypatch):
    """Blocks that come from another process may be such."""
    read, real = [], RowTable.make

    def make(table, places, plane, out):
        read.append(plane)
        return real(table, places, plane, out)

    monkeypatch.setattr(RowTable, "make", make)
    image = strategies.pixels((40, 50), "uint16", 0)
    image.flags.writeable = False
    box = Box.of_shape(image.shape)
    compute.compute_tile(plan_of(tiled(CHAIN, None), image).passes[0], [Block(image, box)], box)
    assert read
    assert all(np.shares_memory(plane, image) for plane in read)
