"""The error to expect, and the bound that is never left: measured over random kernels, formulas, types and engines."""

import numpy as np
import pytest
from hypothesis import settings
from oracles import convolution
from properties.runs_help import pipeline, plan_of, printed_bound, windows

from tileconv.engines.kernel import Kernel
from tileconv.errors import PlanError

EXAMPLES = max(12, settings().max_examples // 2)
WIDE = np.longdouble
KINDS = {
    "any": lambda k: k,
    "positive": np.abs,
    "one outer product": lambda k: np.outer(k[:, 0], k[0]),
    "two": lambda k: np.outer(k[:, 0], k[0]) + np.outer(k[:, -1], k[-1]),
}


def random_image(rng, dtype):
    shape = tuple(rng.integers(8, 60, 2))
    if dtype[0] == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def correlated(image, weights, words):
    sums = convolution.slide(image, np.asarray(weights).astype(WIDE), "mirror", 0, "same", None)
    return sums / WIDE(words.get("divide_by", 1)) + WIDE(words.get("offset", 0))


def random_stage(rng, operation, engine):
    """Return a stage, and its truth as a function of pixels in longdouble."""
    weights = KINDS[str(rng.choice(list(KINDS)))](rng.standard_normal(rng.integers(1, 14, 2)))
    words = {"divide_by": 3.7, "offset": 0.3} if rng.random() < 0.4 else {}
    match operation:
        case "linear":
            stage = {"op": "correlate", "kernel": weights.tolist()} | words
            return stage | {"engine": engine, "border": "mirror"}, lambda p: correlated(p, weights, words)
        case "rescale":
            gain, offset = rng.standard_normal(2)
            stage = {"op": "rescale", "gain": float(gain), "offset": float(offset)}
            return stage, lambda p: p * WIDE(gain) + WIDE(offset)
    along_y, along_x = (
        np.array([[-3, -10, -3], [0, 0, 0], [3, 10, 3]]),
        np.array([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]),
    )
    stage = {"op": "scharr", "engine": engine, "border": "mirror"}
    return stage, lambda p: np.hypot(correlated(p, along_y, {}), correlated(p, along_x, {}))


def measured(seed, operation, engine):
    """Return root mean square over expected error, and largest error over bound; None where the plan refuses."""
    rng = np.random.default_rng(seed)
    image = random_image(rng, str(rng.choice(["uint8", "uint16", "float32", "float64", "int32"])))
    stage, truth = random_stage(rng, operation, engine)
    mapping = pipeline([stage], output={"dtype": "float64"}, precision=str(rng.choice(["auto", "float64"])))
    try:
        made, _ = windows(mapping, image)
    except PlanError:
        return None
    (step,) = plan_of(mapping, image).passes[0].stages
    error = np.abs(made.astype(WIDE) - truth(image.astype(WIDE)))
    peak = float(np.abs(image.astype(WIDE)).max())
    bound = printed_bound(step, peak)
    expected = step.expected_error * bound / step.error_bound if bound else 0.0
    assert error.max() <= bound, (seed, operation, engine)
    assert (expected > 0) == (bound > 0)
    assert expected <= bound
    return float(np.sqrt((error**2).mean())) / expected if bound else None


@pytest.mark.parametrize(
    ("operation", "engine"),
    [
        *[("linear", e) for e in ("direct", "separable", "fft")],
        *[("magnitude", e) for e in ("direct", "separable", "fft")],
        ("rescale", ""),
    ],
)
def test_errors_are_as_expected_and_never_above_the_bound(operation, engine):
    ratios = [r for r in (measured(seed, operation, engine) for seed in range(EXAMPLES)) if r is not None]
    assert len(ratios) > 2
    assert 0.1 < np.median(ratios) < 3


@pytest.mark.parametrize("seed", range(3))
def test_float32_transforms_are_as_expected(seed):
    image = np.random.default_rng(seed).uniform(-1, 1, (256, 256)).astype(np.float32)
    weights = np.random.default_rng(seed).standard_normal((41, 37))
    mapping = pipeline([{"op": "correlate", "kernel": weights.tolist(), "engine": "fft", "border": "wrap"}])
    (step,) = plan_of(mapping, image).passes[0].stages
    assert step.choices[0].grid.narrow
    made, _ = windows(mapping, image)
    wide = plan_of(mapping | {"precision": "float64"}, image)
    assert not wide.passes[0].stages[0].choices[0].grid.narrow
    error = np.abs(made - windows(mapping | {"precision": "float64"}, image)[0])
    assert 0.1 < np.sqrt((error**2).mean()) / step.expected_error < 3
    assert error.max() <= step.error_bound


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e6])
@pytest.mark.parametrize("kind", ["one", "two", "three"])
def test_what_the_outer_products_leave_is_part_of_the_bound(kind, scale):
    """Weights that are nearly one outer product: the terms leave up to 8 eps of them (engines/kernel.py REMAINDER)."""
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(EXAMPLES):
        shape = rng.integers(2, 6, 2)
        weights = sum(
            np.outer(rng.uniform(0.5, 1, shape[0]), rng.uniform(0.5, 1, shape[1]))
            for _ in range(["one", "two", "three"].index(kind) + 1)
        )
        noise = rng.choice([-1.0, 1.0], shape) * np.abs(weights).sum() / weights.size
        weights = scale * (weights + noise * 7 * np.finfo(float).eps)
        image = rng.choice([-1.0, 1.0], (12, 13))
        for y, x in np.ndindex(4, 4):  # pixels that make every weight's error count alike
            part = image[y : y + shape[0], x : x + shape[1]]
            part[...] = np.sign(noise)[: part.shape[0], : part.shape[1]]
        mapping = pipeline([{"op": "correlate", "kernel": weights.tolist(), "engine": "separable", "border": "mirror"}])
        try:
            (step,) = plan_of(mapping, image).passes[0].stages
        except PlanError:
            continue
        error = np.abs(windows(mapping, image)[0].astype(WIDE) - correlated(image.astype(WIDE), weights, {})).max()
        worst = max(worst, float(error) / printed_bound(step, 1.0))
    assert 0 < worst <= 1


def test_the_remainder_is_what_weights_and_terms_differ_by():
    weights = np.outer([1.0, 0.7, 0.3], [0.9, 0.4]) + 5e-16 * np.array([[0, 1], [-1, 0], [0, 1]])
    kernel = Kernel.of(weights)
    terms = sum(np.multiply.outer(y.astype(WIDE), x.astype(WIDE)) for y, x in kernel.terms)
    assert len(kernel.terms) == 1
    assert 0 < np.abs(terms - weights).sum() <= kernel.remainder < 8.1 * np.finfo(float).eps * kernel.absolute_sum
    assert Kernel.of([[1, 2], [2, 4]]).remainder == 0
    assert Kernel.separable([[0.1, 0.3], [1.0, 2.0]]).remainder > 0


def test_moving_numbers_is_exact():
    image = np.zeros((4, 5), np.int16)
    for stage in ({"op": "abs"}, {"op": "clip", "range": [-0.5, 8]}):
        (step,) = plan_of(pipeline([stage]), image).passes[0].stages
        assert step.error_bound == step.expected_error == 0
    (step,) = plan_of(pipeline([{"op": "clip", "range": [0.1, 1e7 + 0.3]}]), image).passes[0].stages
    assert step.error_bound >= 1e7 + 0.3 - float(np.float32(1e7 + 0.3))


def test_a_clip_to_ends_far_from_the_pixels_counts_their_rounding():
    image = np.zeros((2, 2), np.uint8)
    mapping = pipeline([{"op": "clip", "range": [2.0**31 + 0.5, 2.0**31 + 0.5]}])
    (step,) = plan_of(mapping, image).passes[0].stages
    made, _ = windows(mapping, image)
    assert np.abs(made.astype(float) - (2.0**31 + 0.5)).max() <= step.error_bound
