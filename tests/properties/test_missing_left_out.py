"""Missing pixels left out of sums: the weighted mean of those that are there, whatever engine and tile make it."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles.renormalized import renormalized
from properties.renormalized_cases import ENGINES, check
from properties.runs_help import MACHINE, plan_of, printed_bound, tiled, windows

import tileconv
from tileconv.engines.coverage import Coverage, whole_weights
from tileconv.engines.kernel import Kernel
from tileconv.errors import PlanError, TileError

LEFT_OUT = {"rule": "renormalize"}
BLUR = {"op": "gaussian", "sigma": 1.5}


def holed(dtype="float32", shape=(48, 50)):
    """Return pixels far from 0, one of them missing, and a whole tile, and a part of two sides."""
    image = strategies.pixels(shape, dtype, 3) + np.dtype(dtype).type(1000)
    image[21, 17] = image[16:32, 32:48] = image[:2, 5:40] = image[40:, -1] = np.nan
    return image


@given(st.integers(10**6, 2 * 10**6))
def test_random_cases(number):
    """Ten thousand of them: the command of ``renormalized_cases.py``."""
    check(number, tiles=(3, 64))


@pytest.mark.parametrize("engine", ENGINES)
def test_one_missing_pixel_about_the_corner_of_a_tile(engine):
    weights = tileconv.kernels.gaussian(1.5).weights
    clean = strategies.pixels((40, 40), "float32", 1)
    plain = tileconv.gaussian(clean, 1.5, engine=engine)
    for y in (15, 16, 17):
        for x in (15, 16, 17):
            image = clean.copy()
            image[y, x] = np.nan
            whole = tileconv.gaussian(image, 1.5, engine=engine, missing="renormalize")
            parts = tileconv.gaussian(image, 1.5, engine=engine, missing="renormalize", tile=16)
            assert parts.tobytes() == whole.tobytes()
            expected, share = renormalized(image, weights, "reflect")
            assert np.argwhere(np.isnan(parts)).tolist() == [[y, x]]
            np.testing.assert_allclose(parts, expected, rtol=0, atol=1e-3)
            if engine != "fft":  # whose plain sums are those of its block, holes and all
                assert np.array_equal(parts[share == 1], plain[share == 1])


@pytest.mark.parametrize("border", [*strategies.RULES])
def test_whole_tiles_and_missing_borders(border):
    image, made = holed(), {}
    words = {"border": {"rule": border, "value": 7.0} if border == "constant" else border}
    expected, _ = renormalized(image, tileconv.kernels.gaussian(1.5).weights, border, 7.0)
    for engine in ENGINES:
        spec = tiled([BLUR | words | {"engine": engine}], 16, missing=LEFT_OUT)
        made[engine], counts = windows(spec, image)
        assert counts.missing == np.isnan(image).sum()
        assert made[engine].tobytes() == windows(tiled(spec["stages"], None, missing=LEFT_OUT), image)[0].tobytes()
        assert np.array_equal(np.isnan(made[engine]), np.isnan(expected))
        bound = printed_bound(plan_of(spec, image).passes[0].stages[0], np.nanmax(np.abs(image)))
        assert np.nanmax(np.abs(made[engine] - expected)) <= bound


def test_without_missing_pixels_the_bytes_are_those_of_every_rule():
    image = strategies.pixels((40, 50), "float32", 0)
    for engine in ENGINES:
        assert (
            tileconv.gaussian(image, 2, engine=engine, missing="renormalize").tobytes()
            == tileconv.gaussian(image, 2, engine=engine).tobytes()
        )


def test_whole_numbers_with_nodata_and_a_pixel_that_is_filled():
    image = np.array([[4, 6, 0, 8, 10, 0, 0, 0]], np.uint16)
    words = {"nodata": 0, "border": {"rule": "constant", "value": 2}, "axes": -1}
    kept = tileconv.correlate(image, [1, 2, 1], missing="renormalize", **words)
    np.testing.assert_allclose(kept[0], [16, 64 / 3, np.nan, 104 / 3, 112 / 3, np.nan, np.nan, np.nan], rtol=1e-6)
    filled = tileconv.correlate(image, [1, 2, 1], missing={"rule": "renormalize", "keep": False}, **words)
    np.testing.assert_allclose(filled[0], [16, 64 / 3, 28, 104 / 3, 112 / 3, np.nan, np.nan, np.nan], rtol=1e-6)
    more = {"rule": "renormalize", "keep": False, "min_coverage": 0.25}
    made = tileconv.correlate(image, [1, 2, 1], missing=more, **words)
    np.testing.assert_allclose(made[0], [16, 64 / 3, 28, 104 / 3, 112 / 3, 40, np.nan, 8], rtol=1e-6)


def test_unsharp_leaves_missing_pixels_out_of_its_blur():
    image = holed("float64")
    blurred, _ = renormalized(image, tileconv.kernels.gaussian(2).weights, "reflect", keep=False)
    made = tileconv.unsharp(image, 2, amount=0.5, missing=LEFT_OUT)
    np.testing.assert_allclose(made, image + 0.5 * (image - blurred), rtol=1e-6)
    filled = tileconv.unsharp(image, 2, amount=0.5, missing=LEFT_OUT | {"keep": False})
    own = np.where(np.isnan(image), blurred, image)
    np.testing.assert_allclose(filled, own + 0.5 * (own - blurred), rtol=1e-6)


def test_infinities_are_pixels_like_others():
    image = np.array([[1, np.inf, np.nan, 2, 3, np.nan, -np.inf, np.inf]], np.float32)
    made = tileconv.box(image, {"y": 1, "x": 3}, missing=LEFT_OUT)
    np.testing.assert_array_equal(made[0], [np.inf, np.inf, np.nan, 2.5, 2.5, np.nan, np.nan, np.nan])


def test_stages_have_rules_of_their_own():
    image = holed()
    blur = BLUR | {"missing": LEFT_OUT | {"min_coverage": 0}, "id": "blur"}
    once, _ = windows(tiled([blur], 16), image)
    made, _ = windows(tiled([blur, {"op": "sobel", "missing": {"rule": "fill", "value": 1000}}], 16), image)
    np.testing.assert_array_equal(made, tileconv.sobel(np.where(np.isnan(once), np.float32(1000), once)))
    whole, _ = windows(tiled([blur, {"op": "sobel", "missing": {"rule": "propagate"}}], 16, missing=LEFT_OUT), image)
    np.testing.assert_array_equal(whole, tileconv.sobel(once))
    with pytest.raises(TileError, match="before stage 1 sobel"):
        windows(tiled([blur, {"op": "sobel", "missing": {"rule": "error"}}], 16), image)
    fill = {"op": "fill", "method": "blur", "sigma": 2}
    filled, _ = windows(tiled([fill], 16), image)
    made, _ = windows(tiled([fill], 16, missing=LEFT_OUT), image)
    np.testing.assert_array_equal(made, filled)
    scaled, _ = windows(tiled([{"op": "rescale", "gain": 2}, BLUR], 16, missing=LEFT_OUT), image)
    assert np.array_equal(np.isnan(scaled), np.isnan(tileconv.gaussian(image, 1.5, missing=LEFT_OUT)))


def test_nodata_needs_a_rule_on_every_stage_that_reads_the_image():
    image = np.full((20, 20), 5, np.uint8)
    words = {"input_": {"nodata": 5}}
    plan_of(tiled([BLUR | {"missing": LEFT_OUT}], 16, **words), image)
    stages = [BLUR | {"missing": LEFT_OUT, "id": "a"}, BLUR | {"from": "input", "id": "b"}]
    spec = tiled([*stages, {"op": "add", "from": ["a", "b"]}], 16, **words)
    with pytest.raises(PlanError, match="does not say what becomes of them"):
        plan_of(spec, image)


def test_the_rule_belongs_to_the_identity_and_the_plan_says_it():
    image = holed()
    rules = [None, LEFT_OUT, LEFT_OUT | {"keep": False}, LEFT_OUT | {"min_coverage": 0.4}, {"rule": "fill", "value": 1}]
    plans = [plan_of(tiled([BLUR | ({"missing": rule} if rule else {})], 16), image) for rule in rules]
    assert len({plan.fingerprint() for plan in plans}) == len(rules)
    same = plan_of(tiled([BLUR | {"missing": {"rule": "renormalize", "min_coverage": 0.5, "keep": True}}], 16), image)
    assert same.fingerprint() == plans[1].fingerprint()
    (told,) = same.as_json()["passes"][0]["stages"]
    assert told["missing"] == {"rule": "renormalize", "value": None, "min_coverage": 0.5, "keep": True}
    assert told["coverage"][0]["engine"] == "separable"
    assert any(part.name == "missing pixels and coverage" and part.count for part in same.passes[0].memory)
    assert type(same).from_json(same.as_json()) == same


@pytest.mark.parametrize(
    ("kernel", "bits"), [(Kernel.of(np.random.default_rng(0).random((9, 7))), 30), (tileconv.kernels.gaussian(3), 20)]
)
def test_rounded_weights_are_near_the_given_ones(kernel, bits):
    rounded = whole_weights(kernel)
    assert (rounded.integral, rounded.anchor) == (True, kernel.anchor)
    wrong = rounded.weights / rounded.weights.sum() - kernel.weights / kernel.weights.sum()
    assert np.abs(wrong).sum() < 2.0**-bits


def test_a_share_is_the_decimal_number_that_is_written():
    image = plan_of(tiled([BLUR], 16), holed()).passes[0].stages[0].domain_out
    tenth = Coverage.of(Kernel.of(np.ones((1, 10), int)), 0.1, image, MACHINE.costs, None)
    assert (tenth.whole, tenth.least) == (10, 1)


@pytest.mark.parametrize(("border", "theirs"), [("constant", "fill"), ("wrap", "wrap"), ("nearest", "extend")])
def test_as_astropy_has_it(border, theirs):
    """Where its two paths agree: it fills missing pixels, and has no least coverage."""
    convolution = pytest.importorskip("astropy.convolution")
    image = holed("float64")
    image[16:32, 32:48] = np.where(np.random.default_rng(0).random((16, 16)) < 0.5, np.nan, 1000)
    kernel = np.random.default_rng(1).random((5, 7))
    expected = convolution.convolve(image, kernel, boundary=theirs, fill_value=0.0, normalize_kernel=True)
    mine = Kernel.of(kernel, flip=True, divide_by=float(kernel.sum()))
    made = tileconv.correlate(image, mine, border=border, missing=LEFT_OUT | {"keep": False, "min_coverage": 0})
    if border == "wrap":
        other = convolution.convolve_fft(image, kernel, boundary=theirs, normalize_kernel=True)
        np.testing.assert_allclose(other, expected, rtol=1e-9)
    np.testing.assert_allclose(made, expected, rtol=1e-9)
