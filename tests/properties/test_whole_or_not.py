"""Whole or not whole: what the plan calls exact is exact, whatever the border, the missing pixels and the range."""

import numpy as np
import strategies
from hypothesis import given
from oracles import fractions_of
from properties.runs_help import gains, pipeline, plan_of, printed_bound, windows

from tileconv.errors import PlanError, TileError

HALVES = (0, 0, 1, -1, 0.5, -2.5, 0.25, 255.5, 300, -0.0, 7, 1e-3, 2.0**31 + 0.5, -(2.0**40))


def number(rng):
    """Return a number that is a fraction as often as not."""
    return float(HALVES[rng.integers(len(HALVES))])


def stage_of(rng):
    """Return a stage: whole or fractional weights, divisors, offsets, gains, ends and borders."""
    sides = [{"rule": str(rng.choice(strategies.RULES[:4]))} for _ in "yx"]
    for side in sides:
        if rng.random() < 0.6:
            side |= {"rule": "constant", "value": number(rng)}
    border = {"border": dict(zip("yx", sides, strict=True))}
    match rng.integers(8):
        case 0:
            return {"op": "laplacian"} | border
        case 1:
            return {"op": "box", "size": int(rng.integers(1, 5))} | border
        case 2:
            return {"op": "rescale", "gain": number(rng), "offset": number(rng)}
        case 3:
            return {"op": "abs"}
        case 4:
            return {"op": "clip", "range": sorted([number(rng), number(rng)])}
    return correlation_of(rng) | border


def correlation_of(rng):
    """Return a stage of whole weights, any engine, perhaps divided or moved by a fraction."""
    weights = rng.integers(-3, 4, rng.integers(1, 4, 2))
    if rng.random() < 0.5:
        weights = np.outer(weights[:, 0], weights[0])
    words = {"kernel": weights.tolist(), "engine": str(rng.choice(["auto", "auto", "direct", "separable", "fft"]))}
    if rng.random() < 0.3:
        words |= {"divide_by": float(rng.choice([1, 2, -3, 0.5]))}
    if rng.random() < 0.3:
        words |= {"offset": number(rng)}
    return {"op": "correlate"} | words


def filled(rng, image):
    """Return words of the spec for missing pixels, and the image in fractions with those filled."""
    exact = fractions_of.exact_image(image)
    if rng.random() < 0.5:
        return {}, exact
    nodata, value = int(image.flat[rng.integers(image.size)]), number(rng)
    exact[image == image.dtype.type(nodata)] = fractions_of.Fraction(value)
    return {"missing": {"rule": "fill", "value": value}, "input_": {"nodata": nodata}}, exact


def expected_of(stages, pixels):
    """Yield what every stage makes, in fractions, and the largest pixel that it reads."""
    for stage in stages:
        border = stage.get("border", {})
        rules = [border[a]["rule"] if a in border else "reflect" for a in "yx"]
        values = [border.get(a, {}).get("value", 0.0) for a in "yx"]
        words = {k: v for k, v in stage.items() if k not in {"op", "border", "engine"}}
        peak = float(max([*abs(pixels).flat, *map(abs, values)]))
        pixels = fractions_of.apply(stage["op"], pixels, rules, values, **words)
        yield pixels, peak


def judge(seed):
    """Run one random chain; return whether the plan called it exact, or None where it was refused."""
    rng = np.random.default_rng(seed)
    dtype = str(rng.choice([*strategies.INTEGERS, "bool"]))
    shape = tuple(rng.integers(1, 8, 2))
    image = rng.random(shape) < 0.5 if dtype == "bool" else strategies.pixels(shape, dtype, seed)
    if rng.random() < 0.5 and dtype != "bool":
        image = image // max(1, np.iinfo(dtype).max // 100)
    words, exact = filled(rng, image)
    stages = [stage_of(rng) for _ in range(rng.integers(1, 4))]
    mapping = pipeline(stages, precision=str(rng.choice(["auto", "auto", "float64"])), **words)
    try:
        made, _ = windows(mapping, image)
    except (PlanError, TileError):
        return None
    steps = [stage for job in plan_of(mapping, image).passes for stage in job.stages]
    bound = 0.0
    expected = list(expected_of(stages, exact))
    for stage, (_, peak) in zip(steps, expected, strict=True):
        bound = gains(stage.operation) * bound + printed_bound(stage, peak)
    error = max(abs(fractions_of.exact_image(made) - expected[-1][0]).flat)
    assert error <= bound * (1 + 1e-9), (seed, stages, image.dtype, float(error), bound)
    return bound == 0


@given(strategies.seeds)
def test_exact_is_exact_and_the_rest_within_the_bound(seed):
    judge(seed)


def test_chains_that_stay_whole_are_called_exact():
    assert sum(judge(seed) is True for seed in range(60)) >= 10


FRACTIONAL = {"rule": "constant", "value": 0.5}


def test_a_fractional_border_after_a_whole_stage_ends_exactness():
    weights = [[1, 2, 1], [0, 0, 0], [-1, -2, 1]]
    stages = [{"op": "laplacian"}, {"op": "correlate", "kernel": weights, "border": FRACTIONAL}]
    image = strategies.pixels((40, 50), "uint8", 0)
    [(exact, _)] = expected_of(stages[:1], fractions_of.exact_image(image))
    exact = fractions_of.apply("correlate", exact, ["constant"] * 2, [0.5] * 2, kernel=weights)
    for engine in ("direct", "separable", "fft"):
        mapping = pipeline([stages[0], stages[1] | {"engine": engine}])
        try:
            plan = plan_of(mapping, image)
        except PlanError:
            continue
        made, _ = windows(mapping, image)
        assert made.dtype == np.float32
        assert plan.passes[-1].stages[-1].error_bound > 0
        np.testing.assert_allclose(made, exact.astype(float), atol=plan.passes[-1].stages[-1].error_bound, rtol=0)
