"""Many kernels at once: each as alone, to the bit, and reductions as NumPy makes them of all."""

import numpy as np
import pytest
from oracles import convolution
from properties.runs_help import by_plan, overlapped, pipeline, plan_of, tiled

import tileconv
from tileconv.errors import KernelError, PlanError, SpecError
from tileconv.operations.linear import as_operation
from tileconv.planning.model import Plan
from tileconv.spec import spec_from_mapping

RNG = np.random.default_rng(11)
BYTES = RNG.integers(0, 256, (70, 83)).astype(np.uint8)
FLOATS = BYTES / 7.3 - 9
WHOLE = [RNG.integers(-9, 10, shape) for shape in ((3, 3), (4, 5), (3, 3), (1, 6))]
REAL = [RNG.normal(size=shape) for shape in ((5, 5), (5, 5), (7, 4))]
REDUCTIONS = {
    "magnitude": lambda each: np.sqrt((each**2).sum(0)),
    "maximum": lambda each: each.max(0),
    "argmax": lambda each: each.argmax(0),
    "sum": lambda each: each.sum(0),
}


def every(image, kernels):
    return np.array([convolution.correlate(image.astype(np.float64), k, "reflect") for k in kernels])


def lists(kernels):
    return [k.tolist() for k in kernels]


@pytest.mark.parametrize("engine", ["direct", "fft"])
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_whole_numbers_are_exact(engine, reduce):
    found = tileconv.bank(BYTES, WHOLE, reduce=reduce, engine=engine)
    expected = REDUCTIONS[reduce](every(BYTES, WHOLE))
    if reduce == "magnitude":
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("engine", ["auto", "direct", "fft"])
@pytest.mark.parametrize("image", [BYTES, FLOATS, FLOATS.astype(np.float32)], ids=["u1", "f8", "f4"])
def test_every_channel_has_the_bytes_of_its_kernel_alone(engine, image):
    found = tileconv.bank(image, REAL, engine=engine, tile=19)
    alone = np.array([tileconv.correlate(image, kernel, engine=engine) for kernel in REAL])
    assert found.tobytes() == alone.tobytes()


def test_blocks_that_float32_would_drown_have_the_bytes_of_each_alone():
    """A few huge pixels: some kernels fall back to float64, or to direct sums, where others need not."""
    image = FLOATS.astype(np.float32)
    image[40, 40] = 1e12
    image[5, 5] = np.nan
    kernels = [*REAL[:2], REAL[0] * 1e-9, np.ones((5, 5))]
    found = tileconv.bank(image, kernels, engine="fft")
    alone = np.array([tileconv.correlate(image, kernel, engine="fft") for kernel in kernels])
    assert found.tobytes() == alone.tobytes()


@pytest.mark.parametrize("reduce", ["none", *REDUCTIONS])
def test_tiling_is_invisible(reduce):
    stage = {"op": "bank", "kernels": lists(REAL), "reduce": reduce, "engine": "fft"}
    after = [{"op": "gaussian", "sigma": 0.7}] * (reduce != "argmax")
    made = [by_plan(plan_of(tiled([stage, *after], tile), FLOATS), FLOATS)[0] for tile in (16, None)]
    assert made[0].tobytes() == made[1].tobytes()
    assert overlapped(tiled([stage, *after], 16), FLOATS, (20, 83)).tobytes() == made[1].tobytes()


@pytest.mark.parametrize("reduce", ["magnitude", "maximum"])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_reductions_stay_within_their_bound_at_any_scale(reduce, scale):
    image = FLOATS * scale
    plan = plan_of(tiled([{"op": "bank", "kernels": lists(REAL), "reduce": reduce}], None), image)
    found = by_plan(plan, image)[0]
    expected = REDUCTIONS[reduce](every(FLOATS, REAL))
    assert np.abs(found / scale - expected).max() <= plan.graph[0].error_bound * np.abs(FLOATS).max()


def test_argmax_takes_the_first_of_several_and_says_where_there_is_none():
    image = np.zeros((9, 9))
    image[4, 4] = np.nan
    kernels = [[[0, 1.0]], [[1.0, 0]], [[1.0, 0]]]
    found = tileconv.bank(image, kernels, reduce="argmax", engine="direct")
    assert found[4, 4] == -1
    assert found[0, 0] == 0
    image[4, 4] = 5
    found = tileconv.bank(image, kernels, reduce="argmax")
    assert (found[4, 4], found[4, 5], found.max()) == (0, 1, 1)


def test_divisors_and_names_of_each():
    made = tileconv.kernels.bank({"up": [[1, 2]], "down": [[2, 4]]}, divide_by=[1, 4])
    assert made.names == ("up", "down")
    np.testing.assert_array_equal(tileconv.bank([[1, 1, 1]], [[[1, 2]], [[2, 4]]], divide_by=[1, 4])[:, 0, 1], [3, 1.5])
    plan = plan_of(
        pipeline([{"op": "bank", "kernels": {"up": [[1, 2]], "down": [[2, 4]]}}]), np.zeros((3, 8, 9), "u1"), "cyx"
    )
    assert plan.info.channels == ("0 up", "0 down", "1 up", "1 down", "2 up", "2 down")


def test_a_file_holds_all_kernels(tmp_path):
    np.save(tmp_path / "bank.npy", np.array(WHOLE[:1] * 3))
    found = tileconv.bank(BYTES, str(tmp_path / "bank.npy"))
    np.testing.assert_array_equal(found, every(BYTES, WHOLE[:1] * 3))
    np.save(tmp_path / "flat.npy", WHOLE[0])
    with pytest.raises(KernelError, match=r"one axis for each of k, y, x, found shape \(3, 3\)"):
        tileconv.bank(BYTES, str(tmp_path / "flat.npy"))


def test_a_compass_points():
    step = np.zeros((7, 7))
    step[:, 4:] = 1
    for name in ("kirsch", "prewitt", "sobel"):
        made = tileconv.kernels.bank(compass=name)
        assert made.names[int(tileconv.bank(step, compass=name, reduce="argmax")[3, 3])] == "east"
        assert all(kernel.total == 0 for kernel in made.kernels)


def test_waves_answer_to_their_length_and_direction():
    y, x = np.mgrid[:120, :120]
    wave = 3 * np.cos(2 * np.pi * (x * np.cos(np.pi / 4) + y * np.sin(np.pi / 4)) / 8 + 1)
    each = tileconv.bank(wave, gabor={"orientations": 4, "wavelengths": 8})[:, 60, 60].reshape(4, 2)
    np.testing.assert_allclose(np.linalg.norm(each, axis=1)[1], 3, rtol=0.02)
    assert np.linalg.norm(each, axis=1)[[0, 2, 3]].max() < 0.3
    assert abs(tileconv.bank(np.full((60, 60), 7.0), gabor={"orientations": 3, "wavelengths": [4, 9]})).max() < 1e-12


def test_steerable_kernels_are_derivatives():
    y, x = np.mgrid[:40, :40] - 20.0
    made = tileconv.bank(x**2 + 3 * x * y, steerable={"order": 2, "sigma": 1.5})[:, 20, 20]
    np.testing.assert_allclose(made, [2, 3, 0], atol=2e-2)  # xx, yx, yy


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({}, "a bank has one of kernels, compass, gabor, steerable, found none"),
        ({"compass": "sobel", "gabor": {}}, "found compass, gabor"),
        ({"gabor": {"wavelengths": 4}}, "orientations is missing"),
        ({"gabor": {"orientations": 2.5, "wavelengths": 4}}, "orientations is a whole number from 1 to 360"),
        ({"gabor": {"orientations": 2, "wavelengths": 1}}, "wavelengths are from 2 to 4,096"),
        ({"steerable": {"order": 9}}, "order is a whole number from 1 to 8"),
        ({"kernels": [[[1.0]]], "divide_by": [1, 2]}, "divide_by needs a number for each of 1 kernels, found 2"),
        ({"kernels": []}, "a bank has 1 to 1,024 kernels, found 0"),
    ],
)
def test_what_makes_no_bank_is_refused(words, problem):
    with pytest.raises(KernelError, match=problem):
        tileconv.kernels.bank(**words)


def test_a_spec_says_what_is_wrong_with_it():
    stages = [
        {"op": "bank", "gabor": {"orientations": 4, "lengths": 3}},
        {"op": "bank", "compass": "robinson"},
        {"op": "bank", "kernels": {"a": "b.png"}, "reduce": "mean"},
    ]
    with pytest.raises(SpecError) as caught:
        spec_from_mapping(pipeline(stages))
    text = str(caught.value)
    assert "stages[0].gabor.lengths: expected a key of orientations, wavelengths, found 'lengths'" in text
    assert "stages[1].compass: expected 'kirsch', 'prewitt' or 'sobel', found the text 'robinson'" in text
    assert "stages[2].reduce: expected 'none', 'magnitude', 'maximum', 'argmax' or 'sum', found the text 'mean'" in text


def test_a_plan_reads_back_and_knows_every_kernel():
    plans = {}
    for reduce in ("none", *REDUCTIONS):
        plan = plan_of(pipeline([{"op": "bank", "kernels": lists(REAL), "reduce": reduce}]), FLOATS)
        assert Plan.from_json(plan.as_json()) == plan
        plans[reduce] = plan.fingerprint()
    other = plan_of(pipeline([{"op": "bank", "kernels": lists(REAL[::-1])}]), FLOATS)
    named = plan_of(pipeline([{"op": "bank", "kernels": dict(zip("abc", lists(REAL), strict=True))}]), FLOATS)
    assert len({*plans.values(), other.fingerprint(), named.fingerprint()}) == len(plans) + 2


def test_a_tile_of_some_of_its_channels_is_refused():
    stage = {"op": "bank", "kernels": lists(REAL)}
    assert plan_of(pipeline([stage], run={"tile": {"c": 9, "y": 20}}, output={"chunks": 10}), FLOATS)
    with pytest.raises(PlanError, match=r"run\.tile of 1 pixels along c: a tile holds all 3 channels"):
        plan_of(pipeline([stage], run={"tile": {"c": 1}}), FLOATS)


def test_kernels_choose_their_engine_together():
    kernels, image = [RNG.normal(size=(17, 17)).tolist() for _ in range(8)], np.zeros((1024, 1024), np.float32)
    one, many = (plan_of(pipeline([{"op": "bank", "kernels": some}]), image) for some in (kernels[:1], kernels))
    assert one.graph[0].choices[0].engine == "direct"
    assert {choice.engine for choice in many.graph[0].choices} == {"fft"}
    assert many.graph[0].ns_per_pixel < 8 * one.graph[0].ns_per_pixel
    assert Plan.from_json(many.as_json()) == many


def test_missing_pixels_cannot_be_left_out():
    assert as_operation(tileconv.kernels.bank(compass="sobel")).no_mean


def test_labels_stay():
    xarray = pytest.importorskip("xarray")
    image = xarray.DataArray(RNG.random((4, 12, 13)), dims=("t", "y", "x"), coords={"t": [1, 2, 3, 4]})
    made = tileconv.bank(image, WHOLE)
    assert made.dims == ("c", "t", "y", "x")
    assert made.t.to_numpy().tolist() == [1, 2, 3, 4]
    lazy = tileconv.lazy(pipeline([{"op": "bank", "kernels": {"a": [[1, 2]], "b": [[3]]}}]), image)
    assert lazy.dims == ("c", "t", "y", "x")
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous")[1], 3 * image)
