"""Operations of several inputs against exact fractions, in every type and at its ends."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from properties.runs_help import pipeline

from tileconv.engines.values import FLOAT32, FLOAT64, INT64, Values
from tileconv.errors import KernelError, SpecError, TileError
from tileconv.operations.registry import OF_SEVERAL
from tileconv.spec import spec_from_mapping

BY_ZERO = -2.5
TRUTH = {
    "add": lambda *p: sum(p),
    "subtract": lambda a, b: a - b,
    "multiply": lambda *p: math.prod(p),
    "divide": lambda a, b: a / b if b else Fraction(BY_ZERO),
    "minimum": min,
    "maximum": max,
    "hypot": lambda *p: Fraction(math.isqrt(int(sum(v * v for v in p) * 4**1200)), 2**1200),
    "mean": lambda *p: sum(p) / len(p),
    "where": lambda mask, a, b: a if mask else b,
}
COMPUTED = {"add", "subtract", "multiply"}
TYPES = ("uint8", "int8", "uint16", "int32", "uint64", "int64", "float32", "float64")
MOST = {dtype: float(np.finfo(dtype).max) for dtype in ("float32", "float64")}


def operation(name):
    return OF_SEVERAL[name](**({"by_zero": BY_ZERO} if name == "divide" else {}))


def counts(name):
    least, most = operation(name).inputs
    return (least,) if most else (least, least + 1, 9)


def planned(name, values, precision="auto"):
    """Return what the output is like, as a plan decides it."""
    done = operation(name)
    out = done.outcome(values, (), precision)
    return done.outcome(values, (), "float64") if done.outgrows_float32(values, (), out) else out


def made(name, images, precision="auto", values=None):
    """Return the output of whole images, and what the plan says of it."""
    values = values or tuple(Values.of(i.dtype) for i in images)
    out = planned(name, values, precision)
    with np.errstate(all="ignore"):
        return operation(name).combine(images, [], (), out), out


def image(dtype, seed):
    """Return ends of a type, zeros, small numbers and others in an order of its own."""
    rng = np.random.default_rng(seed)
    if dtype[0] == "f":
        pixels = np.concatenate([rng.standard_normal(20) * 100, [0.0, -0.0, 1, -1, 3]])
    else:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        pixels = np.array([low, low + 1, high, high - 1, 0, 1, 3, *rng.integers(low, high, 18, dtype)], dtype)
    return rng.permutation(pixels).astype(dtype).reshape(1, 5, 5)


def truths(name, images):
    exact = [[Fraction(v) for v in i.ravel().tolist()] for i in images]
    return [Fraction(TRUTH[name](*pixel)) for pixel in zip(*exact, strict=True)]


def scale(name, values, images, expected):
    """Return what the printed bound is multiplied by."""
    unit = operation(name).error_unit(values)
    largest = [max(abs(v) for v in i.ravel().tolist()) for i, v in zip(images, values, strict=True) if v.nan]
    if not unit:
        return 1
    if unit == "max |result|":
        return max(map(abs, expected))
    if "multiplied" in unit:
        return math.prod(map(Fraction, largest))
    return max(*largest, 1 if unit.startswith("max(1") else 0, 0)


@pytest.mark.parametrize("precision", ["auto", "float64"])
@pytest.mark.parametrize("name", OF_SEVERAL)
@pytest.mark.parametrize("first", TYPES)
def test_exact_or_within_the_bound_in_every_type(name, first, precision):
    for count, second in itertools.product(counts(name), TYPES):
        images = tuple(image(dtype, n) for n, dtype in enumerate(([first, second] * 5)[:count]))
        values = tuple(Values.of(i.dtype) for i in images)
        if precision == "auto" and leaves_int64(name, images):
            with pytest.raises(TileError, match="int64"):
                made(name, images)
            continue
        expected = truths(name, images)
        result, out = made(name, images, precision)
        assert result.dtype == out.dtype
        errors = [abs(Fraction(v) - e) for v, e in zip(result.ravel().tolist(), expected, strict=True)]
        bound = operation(name).error_bound(values, (), out)
        assert max(errors) <= Fraction(bound) * Fraction(scale(name, values, images, expected))
        assert bound == 0 or not out.whole
        assert operation(name).expected_error(values, (), out) <= bound


def leaves_int64(name, images):
    """Return whether whole numbers are refused: they, or what is made of them on the way, lie outside int64."""
    if name not in {*COMPUTED, "where"} or any(i.dtype.kind == "f" for i in images):
        return False
    ends = [(int(np.iinfo(i.dtype).min), int(np.iinfo(i.dtype).max)) for i in images]
    if name == "where":
        chosen = np.where(images[0] != 0, *(i.astype(object) for i in images[1:]))
        return min(a for a, _ in ends[1:]) < 0 and bool((chosen >= 2**63).any())
    peaks = [max(-a, b) for a, b in ends]
    held = math.prod(peaks) if name == "multiply" else sum(peaks)
    there = [v for i in images for v in i.ravel().tolist()] + partials(name, images)
    return held >= 2**63 - 1 and not all(-(2**63) <= v < 2**63 for v in there)


def partials(name, images):
    """Return every sum or product that is made on the way to the results."""
    exact = [[int(v) for v in i.ravel().tolist()] for i in images]
    return [TRUTH[name](*p[:n]) for p in zip(*exact, strict=True) for n in range(2, len(images) + 1)]


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_whole_numbers_stay_exact_wherever_they_fit(name):
    """64-bit pixels whose results fit int64 are neither refused nor rounded."""
    small = {dtype: np.array([[[7, 0, 120, 3]]], dtype) for dtype in TYPES[:6]}
    huge = np.array([[[2**63 - 1, -(2**63), 2**62 + 1, -1]]])
    others = np.array([[[0, 0, 1, -1]]])
    for n in counts(name):
        for images in [tuple(small[d] for d in ([a, b] * 5)[:n]) for a in small for b in small] + [
            (huge, *[others] * (n - 1))
        ]:
            result, out = made(name, images)
            if operation(name).keeps_whole:
                assert out.whole
                assert [Fraction(v) for v in result.ravel().tolist()] == truths(name, images)


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_the_extreme_of_uint64_and_int64_is_exact(name):
    images = np.array([[[2**64 - 1, 5, 2**63]]], np.uint64), np.array([[[-7, 2**63 - 1, -(2**63)]]])
    result, out = made(name, images)
    assert result.ravel().tolist() == truths(name, images)
    assert out.dtype == ("int64" if name == "minimum" else "uint64")


def test_where_refuses_only_what_it_takes():
    mask, a, b = np.array([[[1, 0]]]), np.array([[[3, 2**64 - 1]]], np.uint64), np.array([[[-1, -5]]])
    assert made("where", (mask, a, b))[0].ravel().tolist() == [3, -5]
    with pytest.raises(TileError, match="without rounding"):
        made("where", (1 - mask, a, b))


@pytest.mark.parametrize("name", OF_SEVERAL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_in_any_input_that_counts_is_nan(name, dtype):
    for n in counts(name):
        for place in range(n):
            images = [np.array([[[0.0, 1.0, 2.0, -3.0]]], dtype) for _ in range(n)]
            images[place] = np.array([[[np.nan, 1.0, np.nan, np.nan]]], dtype)
            result, out = made(name, tuple(images))
            asked = {0: [True, False, True, True], 1: [False, False, True, True], 2: [True, False, False, False]}
            expected = asked[place] if name == "where" else asked[0]
            assert np.isnan(result).ravel().tolist() == expected
            assert out.nan


def near(result, expected, added):
    limits = np.finfo(result.dtype)
    slack = Fraction(float(limits.eps)) * (8 * abs(expected) + added) + Fraction(float(limits.smallest_subnormal))
    return bool(np.isfinite(result)) and abs(Fraction(float(result)) - expected) <= slack


@pytest.mark.parametrize(
    ("name", "pixels", "dtype"),
    [
        *((name, (m, m, -m), d) for name in ("add", "mean") for d, m in MOST.items()),
        *(("mean", (0.99 * m,) * n, d) for n in (2, 9, 40) for d, m in MOST.items()),
        *(("add", (m,) * 20 + (-m,) * 19 + (-m / 2,), d) for d, m in MOST.items()),
        ("multiply", (1e200, 1e200, 1e-300), "float64"),
        ("multiply", (1e-200, -1e-120, 1e300), "float64"),
        ("multiply", (1e-30, 1e-20, 1e35, 3.0), "float32"),
        ("multiply", (5e-324, 2.0**1000, 2.0**70), "float64"),
        *(("hypot", (v, -v, v / 2), d) for v, d in ((8e307, "float64"), (1e-200, "float64"), (1e38, "float32"))),
        ("divide", (MOST["float64"], -2.0), "float64"),
        ("divide", (5e-324, 5e-324), "float64"),
        ("subtract", (MOST["float32"], MOST["float32"]), "float32"),
    ],
)
def test_parts_of_a_formula_do_not_leave_the_range(name, pixels, dtype):
    images = tuple(np.full((1, 2, 3), p, dtype) for p in pixels)
    result, _ = made(name, images)
    (expected,) = set(truths(name, images))
    added = sum(map(abs, map(Fraction, pixels))) if name == "add" else 0
    assert all(near(v, expected, added) for v in result.ravel())


def test_what_really_leaves_the_range_is_infinite():
    most = np.full((1, 1, 1), MOST["float64"])
    assert made("add", (most, most))[0] == made("multiply", (most, most, most))[0] == math.inf
    assert made("divide", (most, np.full_like(most, -0.1)))[0] == -math.inf


def test_a_divisor_that_float32_would_make_0_divides():
    images = np.full((1, 1, 1), 3e-50), np.full((1, 1, 1), -1e-50)
    result, out = made("divide", images, "float32")
    assert out.dtype == FLOAT32
    assert result == pytest.approx(-3)


def test_the_plan_takes_the_type_that_holds_the_result():
    wide = Values(FLOAT32, whole=False, low=0.0, high=1e30)
    tiny = Values(FLOAT32, whole=False, low=0.0, high=1e-25)
    byte, unsigned = Values.of(np.dtype(np.uint8)), Values.of(np.dtype(np.uint64))
    assert planned("multiply", (wide, wide)).dtype == planned("multiply", (tiny, tiny)).dtype == FLOAT64
    assert planned("multiply", (byte, byte)) == Values(FLOAT32, whole=True, low=0.0, high=255.0**2)
    assert planned("subtract", (unsigned, unsigned)).dtype == INT64
    assert planned("divide", (byte, byte)) == Values(FLOAT32, whole=False, low=BY_ZERO, high=255.0)
    assert planned("divide", (byte, replace(tiny, low=-1e-25))).dtype == FLOAT32  # nothing bounds it
    assert planned("divide", (byte, tiny)).nan


def test_partial_sums_of_whole_numbers_are_held():
    """The result is small, what is added first is not."""
    values = tuple(Values(INT64, whole=True, low=float(v), high=float(v)) for v in (2**24 + 1, -(2**24), -1))
    images = tuple(np.full((1, 1, 1), v.low, np.int64) for v in values)
    result, out = made("add", images, values=values)
    assert out.whole
    assert result == 0


@pytest.mark.parametrize("name", OF_SEVERAL)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_cutting_changes_no_byte(name, dtype):
    rng = np.random.default_rng(1)
    ends = [0.0, -0.0, 1.5, -1.5] if dtype == "float32" else [0, 1, 2, 3]
    images = tuple(rng.choice(ends, (2, 61, 67)).astype(dtype) for _ in range(3 if name == "where" else 2))
    whole, _ = made(name, images)
    for rows in (slice(0, 1), slice(7, 30)):
        for columns in (slice(0, 1), slice(3, 20), slice(60, 67)):
            part, _ = made(name, tuple(i[:, rows, columns] for i in images))
            assert part.tobytes() == whole[:, rows, columns].tobytes()


def test_by_zero_is_a_finite_number():
    for wrong in (math.inf, math.nan, "0", None):
        with pytest.raises(KernelError, match="by_zero must be"):
            OF_SEVERAL["divide"](wrong)


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_a_stage_of_one_input_is_refused(name):
    words = {"by_zero": 0} if name == "divide" else {}
    with pytest.raises(SpecError, match=f"{name} reads .*, found 1"):
        spec_from_mapping(pipeline([{"op": name} | words]))
