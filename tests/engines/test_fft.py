"""The FFT engine: overlap-save on the canonical grid, judged by direct sums of the oracle."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution

from tileconv.boxes import Box, Halo
from tileconv.engines.fft import TOLERANCE, fft
from tileconv.engines.grid import ERROR_CONSTANT, Blocks, blocks, error_bound, fast_length, paired_length

EPS = float(np.finfo(np.float64).eps)


@st.composite
def jobs(draw, dtype="float64", peak=None, *, narrow=False):
    """Draw an image, extended by a lopsided kernel's halo, and a grid of a few blocks, perhaps padded ones."""
    sides = st.integers(10, 14) if narrow else st.integers(1, 6)  # fewer weights are never given to float32
    kernel = draw(st.tuples(st.sampled_from((1, 1, 2, 3)), sides, sides))
    before = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    halo = Halo(before, tuple(k - 1 - b for k, b in zip(kernel, before, strict=True)))
    image = draw(st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 30)))
    length = tuple(k + draw(st.integers(1, 12)) for k in kernel)
    transformed = tuple(axis for axis in range(3) if kernel[axis] > 1) or (2,)
    step = tuple(draw(st.integers(max(1, n - k - 2), n - k + 1)) for n, k in zip(length, kernel, strict=True))
    step = tuple(s if axis in transformed else n for axis, (s, n) in enumerate(zip(step, length, strict=True)))
    length = tuple(n if axis in transformed else s for axis, (s, n) in enumerate(zip(step, length, strict=True)))
    grid = Blocks(length, step, transformed, narrow=narrow)
    if narrow and transformed == (1, 2) and draw(st.booleans()):
        rows, columns = (draw(st.sampled_from([32, 48, 64, 144])) for _ in range(2))
        step = (step[0], 2 * draw(st.integers(5, rows - kernel[1] + 1)), draw(st.integers(5, columns - kernel[2] + 1)))
        grid = Blocks((step[0], rows, columns), step, transformed, narrow=True, paired=True)
    domain = Box.of_shape(image).grow(halo)
    block = strategies.pixels(domain.shape, dtype, draw(strategies.seeds), peak=peak)
    rng = np.random.default_rng(draw(strategies.seeds))
    weights = rng.integers(-9, 10, kernel).astype(float) if block.dtype.kind != "f" else rng.standard_normal(kernel)
    return block, domain, Box.of_shape(image), weights, halo, grid


def run(job, want=None, *, exact=False):
    """Return the sums at *want* from the part of the block that the grid's blocks there read."""
    block, domain, image, weights, halo, grid = job
    want = image if want is None else want
    ends = [grid.cover(axis, want.start[axis], want.stop[axis]) for axis in range(3)]
    whole = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    have = whole.intersect(image).grow(halo)
    return fft(block[have.within(domain)], have, want, weights, halo, grid, exact=exact)


def expected(job):
    with np.errstate(invalid="ignore"):
        return convolution.valid(job[0].astype(np.longdouble), job[3].astype(np.longdouble))


def bound(job, norm=None):
    block, _, _, weights, _, grid = job
    peak = np.abs(block.astype(float)).max()
    norm = math.sqrt(grid.held) * peak if norm is None else norm
    eps = float(np.finfo(np.float32).eps) if grid.narrow else EPS
    transforms = error_bound(grid.points, norm, np.linalg.norm(weights), narrow=grid.narrow)
    return (1 if grid.narrow else 2) * transforms + 2 * eps * np.abs(weights).sum() * peak


@given(st.one_of(jobs(), jobs("float32"), jobs("uint16")))
def test_floats_are_within_the_bound(job):
    made, _ = run(job)
    assert made.dtype == np.float64
    assert np.abs(made - expected(job)).max() <= bound(job)


@given(st.one_of(jobs("float32", narrow=True), jobs("uint16", narrow=True), jobs("int16", narrow=True)))
def test_float32_transforms_are_within_their_bound(job):
    made, fallbacks = run(job)
    assert fallbacks == 0
    assert np.abs(made - expected(job)).max() <= bound(job)


@given(st.one_of(jobs("uint16"), jobs("int16"), jobs("int32", peak=2**24)))
def test_whole_numbers_are_exact(job):
    made, fallbacks = run(job, exact=True)
    assert fallbacks == 0
    assert np.array_equal(made, convolution.valid(job[0].astype(int), job[3].astype(int)))


@given(st.one_of(jobs(), jobs("float32", narrow=True)), st.data())
def test_cutting_changes_no_byte(job, data):
    image = job[2]
    for value in data.draw(st.lists(st.sampled_from([np.nan, np.inf, 1e15]), max_size=2)):
        job[0][tuple(data.draw(st.integers(0, n - 1)) for n in job[0].shape)] = value
    whole, _ = run(job)
    for axis in range(3):
        places = data.draw(strategies.cuts(image.shape[axis]))
        parts = []
        for a, b in pairwise(places):
            start, stop = list(image.start), list(image.stop)
            start[axis], stop[axis] = a, b
            parts.append(run(job, Box(tuple(start), tuple(stop)))[0])
        assert np.concatenate(parts, axis).tobytes() == whole.tobytes()


@given(st.one_of(jobs(), jobs("float32", narrow=True)), st.data())
def test_nan_and_infinity_stand_where_the_definition_puts_them(job, data):
    values = data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), min_size=1, max_size=3))
    scale = np.abs(job[0]).max()
    for value in values:
        job[0][tuple(data.draw(st.integers(0, n - 1)) for n in job[0].shape)] = value
    made, sums = run(job)[0], expected(job)
    assert np.array_equal(np.isnan(made), np.isnan(sums))
    assert np.array_equal(made[np.isinf(sums)], sums[np.isinf(sums)])
    fine = np.isfinite(sums)
    job[0][~np.isfinite(job[0])] = scale
    assert not fine.any() or np.abs(made[fine] - sums[fine]).max() <= bound(job)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_of_nothing_else(value):
    job = make_job((1, 3, 4), (1, 20, 30))
    job[0][:] = value
    assert np.array_equal(run(job)[0], expected(job), equal_nan=True)


def make_job(kernel, image, seed=0, *, grid=None, narrow=False):
    """Return a job of random pixels about zero under a random kernel, on the grid that ``blocks`` picks."""
    rng = np.random.default_rng(seed)
    halo = Halo(tuple(k // 2 for k in kernel), tuple(k - 1 - k // 2 for k in kernel))
    domain = Box.of_shape(image).grow(halo)
    weights = rng.standard_normal(kernel)
    grid = blocks(kernel, image, narrow=narrow) if grid is None else grid
    return rng.standard_normal(domain.shape), domain, Box.of_shape(image), weights, halo, grid


@pytest.mark.parametrize("huge", [1e7, 1e12, 1e100, -3e200])
@pytest.mark.parametrize("level", [0.0, 5.0])
def test_a_huge_pixel_does_not_drown_its_block(huge, level):
    job = make_job((1, 7, 9), (1, 60, 70))
    job[0][:] += level
    job[0][0, 40, 50] = huge
    made, fallbacks = run(job)
    far = np.ones(made.shape, bool)
    far[0, 30:50, 40:60] = False
    error = np.abs(made - expected(job))[far].max()
    assert error <= 2 * TOLERANCE * np.abs(job[3]).sum()  # other pixels depart from their level by about 1
    assert fallbacks == (0 if huge == 1e7 else 1)


PAIRED = Blocks((1, 64, 96), (1, 60, 70), (1, 2), narrow=True, paired=True)

PAIRED_HALVES = Blocks((1, 64, 96), (1, 30, 70), (1, 2))


@pytest.mark.parametrize("huge", [3e4, 1e12, 1e38])
@pytest.mark.parametrize("grid", [None, PAIRED])
def test_a_block_that_float32_would_drown_is_made_in_float64_or_directly(huge, grid):
    job = make_job((1, 17, 19), (1, 60, 70), grid=grid, narrow=True)
    job[0][:] = np.abs(job[0])
    job[0][0, 40, 50] = huge
    made = run(job)[0]
    grid = job[5].in_float64
    assert grid == (PAIRED_HALVES if job[5].paired else replace(job[5], narrow=False))
    assert made.tobytes() == run((*job[:5], grid))[0].tobytes()
    far = np.ones(made.shape, bool)
    far[0, 20:45, 30:55] = False
    assert np.abs(made - expected(job))[far].max() <= 1e-6 * np.abs(job[3]).sum()


@pytest.mark.parametrize("scale", [1e-38, 1e-17, 1e17, 1e37, 1e200])
def test_float32_is_not_used_where_its_range_ends(scale):
    """Products of tiny numbers would vanish, and those of large ones overflow."""
    job = make_job((1, 17, 19), (1, 60, 70), narrow=True)
    pixels = np.abs(job[0]) * scale
    job = (pixels, *job[1:])
    error = np.abs(run(job)[0] - expected(job)).max()
    assert error <= 1e-5 * np.abs(job[3]).sum() * scale


@pytest.mark.parametrize("grid", [None, PAIRED])
def test_float32_transforms_are_used_at_all(grid):
    job = make_job((1, 17, 19), (1, 60, 70), grid=grid, narrow=True)
    grid = job[5].in_float64
    assert 1e-9 < np.abs(run(job)[0] - run((*job[:5], grid))[0]).max() < 1e-4


def test_pixels_drowned_by_a_majority_of_huge_ones_are_found_too():
    """Half of a satellite scene may hold -3.4e38, which nobody called missing."""
    job = make_job((1, 7, 9), (1, 60, 70))
    job[0][0, :50] = -3.4e38
    made, fallbacks = run(job)
    assert fallbacks == 1
    assert np.abs(made - expected(job))[0, 55:].max() <= 2 * TOLERANCE * np.abs(job[3]).sum()


def test_a_dark_background_is_no_reason_to_fall_back():
    job = make_job((1, 7, 9), (1, 60, 70))
    job[0][0, :, 20:] = 0
    assert run(job)[1] == 0


def test_an_edge_on_a_bright_field_is_as_exact_as_on_a_dark_one():
    """The mean is taken off first; otherwise rounding is that of 60,000, or the block falls back."""
    _, domain, image, _, halo, grid = make_job((1, 3, 3), (1, 100, 100))
    steps = np.random.default_rng(0).integers(-64, 65, domain.shape) / 2**16  # exact on 60,000
    weights = np.array([[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]])
    job = 60_000 + steps, domain, image, weights, halo, grid
    made, fallbacks = run(job)
    assert fallbacks == 0
    assert np.abs(made - expected(job)).max() <= 1e-16


def test_exact_zeros_have_no_sign():
    _, domain, image, _, halo, grid = make_job((1, 3, 3), (1, 60, 60))
    block = np.random.default_rng(0).integers(0, 3, domain.shape, np.uint8)
    made, _ = run((block, domain, image, np.array([[[1.0, 0, -1], [0, 1, 0], [0, 0, -1]]]), halo, grid), exact=True)
    assert (made == 0).sum() > 100
    assert not np.signbit(made[made == 0]).any()


def test_pixels_beyond_the_image_count_as_the_mean_and_cannot_touch_a_result():
    job = make_job((1, 5, 5), (1, 11, 13), grid=Blocks((1, 32, 32), (1, 28, 28), (1, 2)))
    assert np.abs(run(job)[0] - expected(job)).max() <= bound(job)


@pytest.mark.parametrize("length", [(64,), (96,), (512,), (4096,), (16, 18), (128, 120), (8, 16, 20)])
@pytest.mark.parametrize("kind", ["noise", "impulse", "wave", "steps"])
@pytest.mark.parametrize("narrow", [False, True])
def test_the_error_constant_holds_with_a_factor_of_four(length, kind, narrow):
    hold_the_error_constant(length, kind, narrow=narrow)


@pytest.mark.parametrize("length", [(32, 96), (64, 288), (576, 192)])
@pytest.mark.parametrize("kind", ["noise", "impulse", "wave", "steps"])
def test_the_error_constant_holds_for_pairs(length, kind):
    hold_the_error_constant(length, kind, narrow=True, paired=True)


def hold_the_error_constant(length, kind, *, narrow, paired=False):
    rng = np.random.default_rng(len(length))
    shape = (1,) * (3 - len(length)) + length
    kernel = tuple(1 if n == 1 else max(2, n // 3) for n in shape)
    step = tuple(
        (n - k + 1) * (2 if paired and axis == 1 else 1) for axis, n, k in zip(range(3), shape, kernel, strict=True)
    )
    grid = Blocks(shape, step, tuple(range(3))[-len(length) :], narrow=narrow, paired=paired)
    shape = tuple(s + k - 1 for s, k in zip(step, kernel, strict=True))
    x = np.arange(math.prod(shape)).reshape(shape)
    image = {
        "noise": rng.standard_normal(shape),
        "impulse": (x == x.size // 2) * 1.0,
        "wave": np.sin(x * 0.7),
        "steps": np.sign(np.sin(x * 0.05)),
    }[kind]
    image -= image.mean()
    weights = rng.standard_normal(kernel)
    if narrow:  # what float32 makes of the pixels themselves is no error of the transform
        image = image.astype(np.float32).astype(float)
    halo = Halo(tuple(k - 1 for k in kernel), (0, 0, 0))
    want = Box.of_shape(grid.step)
    made, _ = fft(image, want.grow(halo), want, weights, halo, grid, exact=False)
    # judged by longdouble sums at a few places: all of them would take minutes
    places = [tuple(int(rng.integers(n)) for n in grid.step) for _ in range(40)]
    wide = image.astype(np.longdouble)
    under = [tuple(slice(a, a + k) for a, k in zip(place, kernel, strict=True)) for place in places]
    errors = [abs(made[p] - (wide[window] * weights).sum()) for p, window in zip(places, under, strict=True)]
    unit = error_bound(grid.points, np.linalg.norm(image), np.linalg.norm(weights), narrow=narrow) / ERROR_CONSTANT
    assert max(errors) <= 0.25 * unit


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 40), st.integers(1, 3000), st.integers(1, 3000)),
    st.booleans(),
)
def test_grids_fit_their_kernel(kernel, image, narrow):
    origin = (0, -3, 5)
    grid = blocks(kernel, image, origin, narrow=narrow)
    step = (grid.step[0], grid.step[1] / (1 + grid.paired), grid.step[2])
    assert all(1 <= s <= n - k + 1 for s, n, k in zip(step, grid.length, kernel, strict=True))
    assert all(kernel[axis] == 1 for axis in range(3) if axis not in grid.transformed)
    assert grid.points == math.prod(grid.length[axis] for axis in grid.transformed)
    assert grid.area == math.prod(grid.step[axis] for axis in grid.transformed)
    for axis, (begin, step) in enumerate(zip(origin, grid.step, strict=True)):
        first, last = grid.cover(axis, begin + 1, begin + 2)
        assert first <= begin + 1 < begin + 2 <= last
        assert (first - begin) % step == 0 == (last - begin) % step


def test_fast_lengths_are_scipys():
    assert [fast_length(n) for n in range(1, 5000)] == [scipy.fft.next_fast_len(n, real=True) for n in range(1, 5000)]


def test_paired_lengths_are_the_next_that_three_radices_make():
    smooth = sorted(16 * 2**a * 3**b for a in range(10) for b in range(6))
    assert [paired_length(n) for n in range(1, 5000)] == [next(m for m in smooth if m >= n) for n in range(1, 5000)]
