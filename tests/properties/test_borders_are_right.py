"""Borders are right: five rules, mixed per axis, on images smaller than the halo, for every extent and in chains."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from oracles.borders import extended
from properties.runs_help import pipeline, windows

import tileconv


def rules_of(borders, axes="yx"):
    return {a: {"rule": r, "value": v} if r == "constant" else r for a, (r, v) in zip(axes, borders, strict=True)}


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strategies.borders(whole=True),
    st.tuples(*[st.integers(1, 23)] * 2),
    st.data(),
)
def test_one_weight_copies_the_extended_image(shape, borders, size, data):
    """A single 1 anywhere in a kernel far larger than the image shows each pixel outside as it is."""
    image = strategies.pixels(shape, "int16", data.draw(strategies.seeds))
    kernel = np.zeros(size, int)
    place = tuple(data.draw(st.integers(0, n - 1)) for n in size)
    kernel[place] = 1
    made, _ = windows(pipeline([{"op": "correlate", "kernel": kernel.tolist(), "border": rules_of(borders)}]), image)
    rules, values = zip(*borders, strict=True)
    before = [n // 2 for n in size]
    wide = extended(image.astype(int), before, [n - 1 - b for n, b in zip(size, before, strict=True)], rules, values)
    expected = wide[tuple(slice(p, p + n) for p, n in zip(place, shape, strict=True))]
    assert np.array_equal(made, expected)


@given(
    strategies.images("int16", ndim=2),
    strategies.kernels(whole=True),
    strategies.kernels(whole=True, longest=5),
    strategies.borders(whole=True),
    strategies.borders(whole=True),
    st.tuples(*[st.sampled_from(("same", "full"))] * 2),
)
def test_every_stage_extends_its_own_input(image, first, second, border, other, extents):
    """Two stages of whole numbers, both with a border per axis, in Python's integers."""
    expected = image
    stages = []
    for kernel, borders, extent in ((first, border, extents[0]), (second, other, extents[1])):
        rules, values = zip(*borders, strict=True)
        expected = convolution.correlate_exact(expected, kernel, rules, values, extent=extent)
        words = {"kernel": kernel.tolist(), "border": rules_of(borders), "extent": extent}
        stages.append({"op": "correlate"} | words)
    made, _ = windows(pipeline(stages, output={"chunks": 7}, run={"tile": 7}), image)
    assert made.tolist() == expected.tolist()


@given(st.tuples(*[st.integers(1, 4)] * 3), strategies.borders(ndim=3, whole=True), strategies.kernels(3, whole=True))
def test_three_axes(shape, borders, kernel):
    image = strategies.pixels(shape, "uint8", 5)
    stages = [{"op": "convolve", "kernel": kernel.tolist(), "over": "zyx", "border": rules_of(borders, "zyx")}]
    made, _ = windows(pipeline(stages), image, "zyx")
    rules, values = zip(*borders, strict=True)
    assert made.tolist() == convolution.convolve_exact(image, kernel, rules, values).tolist()


@pytest.mark.parametrize("border", strategies.RULES)
@pytest.mark.parametrize("engine", ["direct", "separable", "fft"])
def test_a_halo_wider_than_the_image_in_every_engine(border, engine):
    image = strategies.pixels((2, 3), "uint8", 1)
    kernel = np.outer(np.arange(1, 12), np.arange(-9, 10))
    made = tileconv.correlate(image, kernel, border=border, cval=9, engine=engine)
    assert made.tolist() == convolution.correlate_exact(image, kernel, border, 9).tolist()


def test_the_global_border_is_overridden_by_a_stage():
    image = strategies.pixels((6, 6), "uint8", 2)
    kernel = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    step = {"op": "correlate", "kernel": kernel}
    made, _ = windows(pipeline([step, step | {"border": "wrap"}], border="mirror"), image)
    between = convolution.correlate_exact(image, np.array(kernel), "mirror")
    assert made.tolist() == convolution.correlate_exact(between, np.array(kernel), "wrap").tolist()


def test_the_extent_valid_needs_no_border():
    image = strategies.pixels((6, 9), "uint8", 3)
    made = [tileconv.correlate(image, [[1, 2, 4]], extent="valid", border=rule).tolist() for rule in strategies.RULES]
    assert made == [convolution.correlate_exact(image, np.array([[1, 2, 4]]), extent="valid").tolist()] * 5
