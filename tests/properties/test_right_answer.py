"""It is the right answer: every operator, border and type, and chains of them, against whole-image oracles."""

import itertools
import os

import numpy as np
import pytest
import strategies
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import convolution, operators
from properties.runs_help import gains, pipeline, plan_of, printed_bound, windows

import tileconv
from tileconv.errors import TileError

LONG = os.environ.get("TILECONV_PROFILE") == "long"
EPS = float(np.finfo(np.float64).eps)
PLAIN = [(name, words) for name, words in operators.CASES]
FLOAT = {"output": {"dtype": "float64"}}


def oracle_error(operation, peak):
    """Return what the oracle itself, float64 in another order, may be wrong by; many roundings of its largest sum."""
    return 64 * EPS * (gains(operation) * peak + abs(getattr(operation, "offset", 0.0)))


def judged(stages, image, words, expected):
    """Assert that the chain makes what *expected* (one float64 image per stage) says, within the printed bounds."""
    made, _ = windows(pipeline(stages, **words), image)
    error, bound = np.abs(made - expected[-1]), 0.0
    inputs = [image.astype(np.float64), *expected]
    steps = [stage for job in plan_of(pipeline(stages, **words), image).passes for stage in job.stages]
    for stage, pixels in zip(steps, inputs, strict=False):
        outside = max((abs(b.value) for b in stage.borders if b.rule == "constant"), default=0.0)
        peak = max(np.abs(pixels).max(), outside)
        bound = gains(stage.operation) * bound + printed_bound(stage, peak) + oracle_error(stage.operation, peak)
    assert made.shape == expected[-1].shape
    return error, bound


@pytest.mark.parametrize("border", strategies.RULES)
@pytest.mark.parametrize(("name", "words"), PLAIN, ids=[f"{n} {' '.join(map(str, w.values()))}" for n, w in PLAIN])
def test_every_operator(name, words, border):
    """Every type on one image smaller than the halo, one of a single row, and one larger than the halo.

    The quick profile takes a fifth of them under each border, another for every border.
    """
    rule = {"rule": "constant", "value": 12.5} if border == "constant" else border
    stages = [{"op": name, "border": rule} | words]
    for number, (dtype, shape) in enumerate(itertools.product(strategies.DTYPES, [(1, 1), (3, 2), (1, 9), (23, 31)])):
        if not LONG and (number + len(name)) % len(strategies.RULES) != strategies.RULES.index(border):
            continue
        image = strategies.pixels(shape, dtype, number, peak=2**30)
        expected = operators.apply(name, image, border, 12.5, **words)
        error, bound = judged(stages, image, FLOAT, [expected])
        if "threshold" in words:  # next to the threshold both answers are right
            blurred = operators.apply("gaussian", image, border, 12.5, sigma=words["sigma"])
            error = error[np.abs(np.abs(image - blurred) - words["threshold"]) > bound]
        assert error.max(initial=0) <= bound, (dtype, shape)


@given(strategies.images(peak=2**30), strategies.kernels(whole=False), st.data())
def test_any_kernel(image, kernel, data):
    """Lopsided kernels of any size on images of any size, every engine, a border per axis, all extents."""
    plane = image if image.ndim == 2 else image[0]
    border = data.draw(strategies.borders())
    fits = all(n >= k for n, k in zip(plane.shape, kernel.shape, strict=True))
    extent = data.draw(st.sampled_from(("same", "full", "valid") if fits else ("same", "full")))
    turned = data.draw(st.booleans())
    if not turned and (kernel.astype(int) == kernel).all():
        kernel = kernel + 0.5
    stage = {
        "op": "convolve" if turned else "correlate",
        "kernel": kernel.tolist(),
        "border": {
            a: {"rule": r, "value": v} if r == "constant" else r for a, (r, v) in zip("yx", border, strict=True)
        },
        "extent": extent,
    }
    slide = convolution.convolve if turned else convolution.correlate
    rules, values = zip(*border, strict=True)
    expected = slide(plane, kernel, rules, values, extent=extent)
    error, bound = judged([stage], plane, FLOAT, [expected])
    assert error.max() <= bound


def exact(image, kernel, border, value, extent):
    return convolution.correlate_exact(image, kernel, border, value, extent=extent)


@given(
    strategies.images(st.sampled_from(strategies.INTEGERS), ndim=2, peak=2**50),
    strategies.kernels(whole=True),
    st.sampled_from(strategies.RULES),
    st.integers(-300, 300),
    st.sampled_from(("same", "full")),
    st.sampled_from(("auto", "direct", "separable", "fft")),
)
def test_whole_numbers_are_exact(image, kernel, border, value, extent, engine):
    """Python's integers are the judge, for sums up to the edge of int64; what cannot be exact is refused."""
    assume(not (image.dtype == np.uint64 and border == "constant" and value < 0))  # no integer type holds both
    options = {"border": border, "cval": value, "extent": extent}
    try:
        made = tileconv.correlate(image, kernel, engine=engine, **options)
    except tileconv.errors.PlanError:
        assert engine in {"separable", "fft"}
        made = tileconv.correlate(image, kernel, **options)
    expected = exact(image, kernel, border, value, extent)
    assert made.dtype.kind == "i"
    assert made.tolist() == expected.tolist()


@pytest.mark.parametrize("sign", [1, -1])
def test_int64_is_exact_up_to_its_edge_and_refused_beyond(sign):
    image = np.full((5, 7), sign * (2**63 // 9), np.int64)
    made = tileconv.correlate(image, np.ones((3, 3), int))
    assert made.tolist() == exact(image, np.ones((3, 3)), "reflect", 0, "same").tolist()
    image[2, 3] += sign
    with pytest.raises(TileError, match="could leave int64"):
        tileconv.correlate(image, np.ones((3, 3), int))
    assert tileconv.correlate(image, np.ones((3, 3), int), precision="float64").dtype == np.float64


def test_an_unsigned_number_above_int64_is_refused():
    image = np.array([[2**63, 1]], np.uint64)
    with pytest.raises(TileError, match="could leave int64"):
        tileconv.correlate(image, [[1]])
    image[0, 0] -= 1
    assert tileconv.correlate(image, [[1]]).tolist() == [[2**63 - 1, 1]]


OWN = [[1.5, -2, 3], [0.25, 1, 4]]
STEPS = (
    ("gaussian", {"sigma": 1.1}),
    ("box", {"size": 4}),
    ("sobel", {"component": "magnitude"}),
    ("edge", {"component": "y"}),
    ("laplacian", {}),
    ("unsharp", {"sigma": 1.5, "amount": 0.6}),
    ("convolve", {"kernel": OWN, "offset": 2.0}),
    ("rescale", {"gain": -0.5, "offset": 3.0}),
    ("abs", {}),
    ("clip", {"range": [-500, 900]}),
)


@given(
    strategies.images(st.sampled_from(strategies.DTYPES), ndim=2, peak=2**20),
    st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(strategies.RULES)), min_size=2, max_size=5),
    st.sampled_from(("auto", "float64")),
)
def test_chains_where_every_stage_extends_its_own_input(image, steps, precision):
    expected, pixels, stages = [], image, []
    for (name, words), border in steps:
        pixels = operators.apply(name, pixels, border, -7.0, **words)
        expected.append(pixels)
        stages.append({"op": name, "border": {"rule": "constant", "value": -7} if border == "constant" else border})
        stages[-1] |= words
    error, bound = judged(stages, image, FLOAT | {"precision": precision}, expected)
    assert error.max() <= bound


@given(
    strategies.images("float64", ndim=2),
    st.lists(
        st.tuples(
            strategies.kernels(longest=4, whole=False),
            st.sampled_from(strategies.RULES),
            st.sampled_from(("same", "full")),
        ),
        min_size=2,
        max_size=4,
    ),
)
def test_chains_that_grow(image, steps):
    """Every stage extends an image larger than the one before."""
    expected, pixels, stages = [], image, []
    for kernel, border, extent in steps:
        pixels = convolution.correlate(pixels, kernel, border, 3.0, extent=extent)
        expected.append(pixels)
        rule = {"rule": "constant", "value": 3} if border == "constant" else border
        stages.append({"op": "correlate", "kernel": kernel.tolist(), "border": rule, "extent": extent})
    error, bound = judged(stages, image, {}, expected)
    assert error.max() <= bound


@pytest.mark.parametrize("border", strategies.RULES)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gaussian", {"sigma": 1}),
        ("sobel", {}),
        ("prewitt", {"component": "z"}),
        ("scharr", {"component": "x"}),
        ("edge", {"component": "z"}),
        ("laplacian", {}),
        ("sharpen", {}),
        ("disk", {"radius": 2}),
        ("box", {"size": 2}),
        ("laplacian_of_gaussian", {"sigma": 1}),
    ],
)
def test_volumes(name, words, border):
    for number, (dtype, shape) in enumerate([("uint8", (5, 6, 7)), ("float32", (2, 9, 3)), ("int16", (1, 1, 4))]):
        image = strategies.pixels(shape, dtype, number)
        expected = operators.apply(name, image, border, 0.0, **words)
        rule = {"rule": "constant", "value": 0} if border == "constant" else border
        stages = [{"op": name, "over": "zyx", "border": rule} | words]
        error, bound = judged_volume(stages, image, expected)
        assert error.max() <= bound


def judged_volume(stages, image, expected):
    made, _ = windows(pipeline(stages, **FLOAT), image, "zyx")
    stage = plan_of(pipeline(stages, **FLOAT), image, "zyx").passes[0].stages[0]
    peak = np.abs(image.astype(float)).max()
    return np.abs(made - expected), printed_bound(stage, peak) + oracle_error(stage.operation, peak)


def test_a_wrong_answer_would_be_seen():
    """The bounds are tight enough to tell a kernel from its mirror image, and reflect from mirror."""
    image = strategies.pixels((20, 20), "float32", 0)
    stages = [{"op": "correlate", "kernel": OWN}]
    right = convolution.correlate(image, np.array(OWN))
    for wrong in (convolution.convolve(image, np.array(OWN)), convolution.correlate(image, np.array(OWN), "mirror")):
        error, bound = judged(stages, image, FLOAT, [wrong])
        assert error.max() > 1000 * bound
    error, bound = judged(stages, image, FLOAT, [right * (1 + 1e-5)])
    assert error.max() > bound
