"""Which transforms a plan may use, what it promises of them, and the constants that the choice is made with."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from properties.runs_help import pipeline, plan_of, printed_bound, windows

import tileconv
from tileconv.boxes import Box
from tileconv.engines import calibrate as calibration
from tileconv.engines.choose import ENGINES, choose
from tileconv.engines.cost import Costs, read_costs, shipped_costs
from tileconv.engines.grid import blocks
from tileconv.engines.values import Values
from tileconv.errors import PlanError
from tileconv.kernels import Kernel
from tileconv.spec.model import Engine

IMAGE = Box.of_shape((1, 3000, 3000))


def psf(side, seed=0, *, signed=False):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((side, side)) if signed else rng.random((side, side))


def chosen(weights, dtype="uint16", precision="auto"):
    return choose(Kernel.of(weights), Values.of(np.dtype(dtype)), precision, "fft", IMAGE, shipped_costs())


@pytest.mark.parametrize(
    ("weights", "dtype", "precision", "narrow"),
    [
        (psf(41), "uint16", "auto", True),
        (psf(41), "float32", "auto", True),
        (psf(41), "float64", "float32", True),
        (psf(41), "float32", "float64", False),
        (psf(41), "float64", "auto", False),
        (psf(5), "uint16", "auto", False),  # few weights: direct sums promise more
        (
            psf(41) * 1e-6 + np.eye(41, 41, 40),
            "uint16",
            "auto",
            False,
        ),  # nearly one weight: the transform's error is large beside it
        (psf(41) * 1e-14, "uint16", "auto", False),  # products could vanish in float32
        (psf(41) * 1e12, "float32", "auto", False),
    ],
)
def test_when_transforms_are_in_float32(weights, dtype, precision, narrow):
    choice = chosen(weights, dtype, precision)
    assert choice.grid.narrow == narrow
    assert ("transforms in float32" in choice.why) == narrow


@given(st.integers(5, 70), strategies.seeds, st.booleans(), st.sampled_from(["uint8", "uint16", "float32"]))
def test_float32_transforms_promise_no_less_than_direct_float32_sums(side, seed, signed, dtype):
    choice = chosen(psf(side, seed, signed=signed), dtype)
    direct, fft = (next(c for c in choice.candidates if c.engine == e) for e in ("direct", "fft"))
    assert fft.bound_per_peak <= direct.bound_per_peak * (1 + 1e-12)


def test_exact_sums_are_never_transformed_in_float32():
    choice = choose(Kernel.of(np.ones((41, 41))), Values.of(np.dtype("uint8")), "auto", "fft", IMAGE, shipped_costs())
    assert choice.sums.exact
    assert not choice.grid.narrow


@pytest.mark.parametrize("kind", ["noise", "bright", "hot pixels", "steps", "dark"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_the_printed_bound_holds_in_float32(kind, dtype):
    """Judged in float64 sums of the oracle, on images of several blocks."""
    rng = np.random.default_rng(0)
    shape, top = (90, 120), 250
    image = {
        "noise": lambda: rng.integers(0, top, shape),
        "bright": lambda: top - rng.integers(0, 3, shape),
        "hot pixels": lambda: np.where(rng.random(shape) < 0.001, top, rng.integers(0, 3, shape)),
        "steps": lambda: top * (np.arange(shape[1]) // 20 % 2) * np.ones(shape),
        "dark": lambda: np.zeros(shape),
    }[kind]().astype(dtype)
    stages = [{"op": "correlate", "kernel": psf(21, signed=kind == "noise").tolist(), "engine": "fft"}]
    spec = pipeline(stages, output={"dtype": "float64"})
    stage = plan_of(spec, image).passes[0].stages[0]
    assert stage.choices[0].grid.narrow
    error = np.abs(windows(spec, image)[0] - convolution.correlate(image, np.array(stages[0]["kernel"]))).max()
    assert error <= printed_bound(stage, float(np.abs(image.astype(float)).max()))
    assert error > 0 or kind == "dark"


def test_calibration_at_a_tiny_size_makes_constants_that_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "ROWS", 4)
    monkeypatch.setattr(calibration, "COLUMNS", 32)
    monkeypatch.setattr(calibration, "ROUNDS", 1)
    heard = []
    made = calibration.calibrate(heard.append)
    made.write(tmp_path / "costs.json")
    assert read_costs(tmp_path / "costs.json") == made
    assert len(heard) == 6


@pytest.mark.parametrize("times", [(9.0, 5.0, 1.0), (1.0, 5.0, 9.0), (1.0, 20.0, 60.0)])
def test_a_line_through_noise_has_no_negative_part(times):
    assert min(calibration._line(list(zip((1.0, 2.0, 3.0), times, strict=True)))) >= 0


def test_a_calibration_decides_the_engines_of_plans_and_of_no_array(tmp_path, monkeypatch):
    """Where direct sums are said to cost nothing a plan takes them; arrays are filtered the same on every machine."""
    image, costs = psf(64), tmp_path / "tileconv" / "costs.json"
    np.save(tmp_path / "a.npy", image)
    spec = pipeline([{"op": "gaussian", "sigma": 3}], input_={"path": str(tmp_path / "a.npy")})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    filtered = tileconv.gaussian(image, 3)
    assert (tileconv.gaussian(image, 3, engine="direct") != filtered).any()
    costs.parent.mkdir()
    for direct, expected in ((shipped_costs().direct_wide, "separable"), ((0.0, 0.0), "direct")):
        replace(shipped_costs(), direct_wide=direct).write(costs)
        read_costs.cache_clear()
        assert tileconv.plan(spec).passes[0].stages[0].choices[0].engine == expected
        assert (tileconv.gaussian(image, 3) == filtered).all()


def test_constants_of_another_version_are_refused(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"measured": "2026-01-01", "versions": "", "fft": 0.3}))
    with pytest.raises(PlanError, match="calibrate again"):
        read_costs(path)
    assert set(Costs.__dataclass_fields__) >= {"fft_narrow", "fft_wide"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(700,), (3, 700), (40, 50)])
def test_one_transform_of_a_whole_image_with_zeros_around_it(shape, dtype):
    """Pixels and weights of a single line share one call."""
    image = strategies.pixels(shape, dtype, 0)
    kernel = np.random.default_rng(1).random((300,) if shape[0] != 40 else (31, 20))
    made = tileconv.convolve(image, kernel, extent="full", engine="fft", axes=tuple(range(-kernel.ndim, 0)))
    lines = image.reshape(-1, shape[-1]) if kernel.ndim == 1 else [image]
    expected = [convolution.convolve(x, kernel, "constant", 0.0, extent="full") for x in lines]
    bound = 100 * np.finfo(dtype).eps * kernel.sum() * np.abs(image).max()
    assert np.abs(made.reshape(np.shape(expected)) - expected).max() <= bound


def test_steps_divide_common_tiles():
    """A tile of 2048 then makes no block that stands out of it."""
    for narrow in (False, True):
        for side in (9, 25, 63, 129):
            assert {2048 % s for s in blocks((1, side, side), (1, 16384, 16384), narrow=narrow).step} == {0}


def test_a_spec_has_a_word_for_every_engine():
    assert get_args(Engine) == ("auto", *ENGINES)
