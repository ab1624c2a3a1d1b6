"""Where all is one value nothing is computed, and the bytes stay: engines, borders, types, stages, tiles."""

from dataclasses import replace

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import MACHINE, by_plan, overlapped, plan_of, tiled, windows

from tileconv.engines.fft_factors import Read
from tileconv.operations.registry import OF_ONE
from tileconv.planning.build import make_plan
from tileconv.sources.memory import MemorySource
from tileconv.spec import spec_from_mapping
from tileconv.tiles import compute

LOPSIDED = [[1.5, -2, 3, 4.25], [0, 5, -6, 7], [2, 2, -1, 0.5]]
WEIGHTS = {"whole": [[1, -2, 3], [0, 5, -6]], "none": [[1, -1], [-1, 1]], "below": [[-0.5, -1], [-3, 0.25]]}
ENGINES = ("direct", "separable", "fft", "auto")
OPERATORS = {
    "box": {"size": 5},
    "gaussian": {"sigma": 1.3},
    "disk": {"radius": 2.5},
    "edge": {},
    "sobel": {},
    "scharr": {"component": "x"},
    "prewitt": {},
    "laplacian": {},
    "laplacian_of_gaussian": {"sigma": 1},
    "difference_of_gaussians": {"low_sigma": 1},
    "sharpen": {},
    "unsharp": {"sigma": 1, "threshold": 1},
    "convolve": {"kernel": LOPSIDED},
    "correlate": {"kernel": LOPSIDED, "offset": 3.3},
    "bilateral": {"sigma_spatial": 1, "sigma_color": 9},
    "local_normalize": {"sigma": 1, "epsilon": 2},
    "richardson_lucy": {"psf": [[1, 2, 1], [2, 4, 2], [1, 2, 1]], "iterations": 2},
    "pool": {"method": "mean", "size": 3, "stride": 2},
    "rescale": {"gain": 0.1, "offset": -3},
    "abs": {},
    "invert": {"maximum": 255},
    "clip": {"range": [3, 90.5]},
    "fill": {"method": "constant", "value": 3},
    "median": {"size": 4},
    "rank": {"size": 5, "percentile": 20},
    "local_minimum": {"size": 3},
    "local_maximum": {"radius": 2},
    "variance": {"size": 4},
    "standard_deviation": {"size": 3},
    "bank": {"kernels": [LOPSIDED, LOPSIDED[::-1]], "reduce": "magnitude"},
}
VALUES = (0.0, -0.0, 1.0, 7.0, 0.1, -3.7, 1 / 3, 255.0, 65536.1, 1e-42, 1e300, np.inf, -np.inf, np.nan)


def patches(dtype, value, seed, shape=(50, 66)):
    """Return noise with stretches of one *value*, wide enough for tiles with their halos, at an edge and between."""
    image = strategies.pixels(shape, dtype, seed, peak=2**40)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        value = 3 if not np.isfinite(value) else max(limits.min, min(int(value), limits.max, 2**40))
    with np.errstate(over="ignore"):
        image[..., :42, :44] = image[..., 44:, 30:] = image[..., 8:, 60:] = np.array(value).astype(image.dtype)
    return image


def both(mapping, image, axes=None):
    """Return the pixels as they are made, those with all arithmetic, and how many were left out."""
    return both_of(plan_of(mapping, image, axes), image, axes)


def both_of(plan, image, axes=None):
    made, counts = by_plan(plan, image, axes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tileconv.tiles.idle.one_of", lambda _: None)
        patch.setattr(Read, "level", False)
        computed, all_counts = by_plan(plan, image, axes)
    assert all_counts.idle == 0
    assert (counts.clipped, counts.missing) == (all_counts.clipped, all_counts.missing)
    return made.tobytes(), computed.tobytes(), counts.idle


def test_there_is_a_case_of_every_operator():
    others = {"conv_layer", "rgb_to_gray", "project"}  # which mix channels, or planes, and have tests of their own
    assert {*OPERATORS, *others} == set(OF_ONE)


@pytest.mark.parametrize("name", OPERATORS)
def test_of_every_operator(name):
    for dtype, value, border in (("uint8", 255, "reflect"), ("float32", 0.1, {"rule": "constant", "value": 7})):
        image = patches(dtype, value, 1)
        made, computed, idle = both(tiled([{"op": name, **OPERATORS[name]}], 16, border=border), image)
        assert made == computed, (dtype, value, border)
        assert idle


@st.composite
def chains(draw):
    """Draw one to three stages with an engine each."""
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        engine = draw(st.sampled_from(ENGINES))
        kernel = draw(st.sampled_from([*WEIGHTS.values(), LOPSIDED, np.ones((4, 5)).tolist()]))
        separable = {"op": "gaussian", "sigma": draw(st.sampled_from((0.7, 2.0)))}
        stages.append(
            (separable if engine == "separable" else {"op": "correlate", "kernel": kernel}) | {"engine": engine}
        )
    return stages


BORDERS = st.sampled_from(["reflect", "wrap", "nearest", *({"rule": "constant", "value": v} for v in (0, 7, 0.1))])


@given(chains(), strategies.dtypes, st.sampled_from(VALUES), BORDERS, st.sampled_from((16, 64)), strategies.seeds)
def test_of_chains(stages, dtype, value, border, tile, seed):
    image = patches(dtype, value, seed)
    words = {"missing": {"rule": "propagate"}} if image.dtype.kind == "f" else {}
    if image.dtype.itemsize >= 4 and image.dtype.kind in "iu":
        words["precision"] = "float64"
    made, computed, _ = both(tiled(stages, tile, border=border, **words), image)
    assert made == computed


@given(st.sampled_from(VALUES), st.sampled_from(("float32", "float64", "uint16")), st.sampled_from([*WEIGHTS.values()]))
def test_transforms_of_one_value_are_left_out_block_by_block(value, dtype, kernel):
    """Blocks of the canonical grid: one tile holds some of one value and some of noise."""
    image = patches(dtype, value, 3, (100, 300))
    image[:80, 20:280] = image[20, 20]
    stages = [{"op": "correlate", "kernel": np.pad(np.array(kernel), 4).tolist(), "engine": "fft"}]
    made, computed, _ = both(tiled(stages, None), image)
    assert made == computed


def test_zeros_under_weights_below_zero():
    """Transforms make zeros of either sign, and direct sums of zeros none: no negative zero may come of them."""
    stages = [{"op": "correlate", "kernel": np.pad(np.array(WEIGHTS["below"]), 4).tolist(), "engine": "fft"}]
    made, computed, idle = both(tiled(stages, 64), np.zeros((200, 200), np.float32))
    assert made == computed
    assert idle == 0


def test_zeros_of_both_signs_are_two_values():
    """Half of them negative, also where a few looks see the same zero."""
    image = np.zeros((48, 48), np.float32)
    image[::3, ::5] = -0.0
    for stages in ([{"op": "rescale", "gain": -1}], [{"op": "correlate", "kernel": [[-1]]}]):
        made, computed, idle = both(tiled(stages, 16), image)
        assert made == computed
        assert idle == 0


def test_one_value_that_no_mean_gives_back():
    """Sums of a float64 are rounded, so that a block of them is no longer one value once their mean is taken off."""
    image = np.full((300, 300), 1 / 3)
    stages = [{"op": "correlate", "kernel": np.random.default_rng(0).random((9, 9)).tolist(), "engine": "fft"}]
    made, computed, idle = both(tiled(stages, 64), image)
    assert made == computed
    assert idle == 0
    assert both(tiled(stages, 64), image.astype(np.float32))[2] == image.size


def test_stacks_and_channels():
    image = np.stack([patches("uint8", value, value) for value in (3, 250, 0)])
    for over, words in (("yx", {}), ("zyx", {})):
        axes = "cyx" if over == "yx" else "zyx"
        stages = [{"op": "box", "size": 3, "over": over}, {"op": "sobel", "over": over}]
        made, computed, idle = both(tiled(stages, 16, **words), image, axes)
        assert made == computed
        assert (idle > 0) == (over == "yx")  # planes differ
    bank = [{"op": "bank", "kernels": [LOPSIDED, LOPSIDED[::-1]]}, {"op": "box", "size": 3}]
    made, computed, idle = both(tiled(bank, 16), image, "cyx")
    assert made == computed
    assert idle


@pytest.mark.parametrize("method", ["max", "mean", "std"])
def test_projections(method):
    image = np.stack([patches("uint8", 7, 1)] * 3)
    made, computed, _ = both(tiled([{"op": "project", "over": "z", "method": method}], 16), image, "zyx")
    assert made == computed


OF_CHANNELS = {
    "some": [{"op": "gaussian", "sigma": 1, "channels": [1]}, {"op": "sobel"}],
    "gray": [{"op": "rgb_to_gray"}, {"op": "gaussian", "sigma": 1}],
    "max": [{"op": "project", "over": "c", "method": "max"}, {"op": "sobel"}],
    "std": [{"op": "box", "size": 3}, {"op": "project", "over": "c", "method": "std"}],
    "layer": [{"op": "conv_layer", "weights": np.arange(54.0).reshape(2, 3, 3, 3).tolist()}],
}


@pytest.mark.parametrize("name", OF_CHANNELS)
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_stages_of_several_channels(name, dtype):
    image = np.stack([patches(dtype, value, value) for value in (3, 250, 0)])
    made, computed, idle = both(tiled(OF_CHANNELS[name], 16), image, "cyx")
    assert made == computed
    assert (idle > 0) == (name != "layer")  # whose products of matrices are rounded by their place


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_colours_beside_an_alpha_of_one_value(dtype, monkeypatch):
    """Transparent or opaque all over: alpha is not filtered, nor are colours that it hides, whatever they are."""
    alpha = patches(dtype, 0, 1) % 2 * (255 if dtype == "uint8" else 1)
    image = np.stack([*(patches(dtype, value, value) for value in (3, 250, 9)), alpha])
    noise = np.stack([*(strategies.pixels(alpha.shape, dtype, n, peak=99) for n in range(3)), alpha])
    opaque = np.concatenate([noise[:3], np.full_like(noise[:1], alpha.max())])
    info = replace(MemorySource(image, "cyx").info, alpha="straight", channels=("r", "g", "b", "a"))
    spec = spec_from_mapping(tiled([{"op": "gaussian", "sigma": 1}, {"op": "sobel"}], 32))
    plan, summed = make_plan(spec, info, MACHINE), []
    real = compute.stage_sums
    monkeypatch.setattr(compute, "stage_sums", lambda *given: summed.append(1) or real(*given))
    for pixels in (image, noise, opaque):
        summed.clear()
        by_plan(plan, pixels, "cyx")
        count = len(summed)
        made, computed, idle = both_of(plan, pixels, "cyx")
        assert made == computed
        assert count < len(summed) - 2 * count  # beside both others
        assert (idle > 0) == (pixels is image)


def test_several_inputs():
    stages = [
        {"op": "gaussian", "sigma": 1, "id": "a"},
        {"op": "subtract", "from": ["input", "a"], "id": "b"},
        {"op": "divide", "from": ["b", "a"], "by_zero": 0},
    ]
    made, computed, idle = both(tiled(stages, 16), patches("uint8", 9, 1))
    assert made == computed
    assert idle


def test_clipped_pixels_are_counted_and_refused_as_many():
    from tileconv.errors import TileError

    stages, image = [{"op": "rescale", "gain": 2}], np.full((40, 40), 200, np.uint8)
    _, counts = windows(tiled(stages, 16, output={"dtype": "uint8"}), image)
    assert (counts.clipped, counts.idle) == (1600, 1600)
    with pytest.raises(TileError, match="256 pixels do not fit"):
        windows(tiled(stages, 16, output={"dtype": "uint8", "overflow": "error"}), image)


def test_halos_exchanged_by_map_overlap():
    image, stages = patches("uint16", 900, 5), [{"op": "gaussian", "sigma": 1}, {"op": "sobel"}]
    mapping = tiled(stages, None)
    assert overlapped(mapping, image, (25, 33)).tobytes() == windows(mapping, image)[0].tobytes()


@pytest.mark.parametrize("border", ["reflect", "wrap", {"rule": "constant", "value": 7}])
@pytest.mark.parametrize("axes", ["yx", "zyx"])
def test_strips_are_parted_where_they_look_idle(axes, border):
    """Glass beside tissue in one strip, also where one row looks idle and others are not, and at both ends."""
    rng = np.random.default_rng(3)
    image = rng.integers(0, 200, (40, 1500)).astype(np.uint8)
    image[:, 300:900], image[:30, 1100:] = 243, 9
    image = image if axes == "yx" else np.stack([image] * 3)
    stages = [{"op": "gaussian", "sigma": 1.5, "over": axes}, {"op": "sobel"}]
    made, computed, idle = both(tiled(stages, None, border=border), image, axes)
    assert made == computed
    holed = np.where(image == 243, np.nan, image).astype(np.float32)
    words = {"missing": {"rule": "renormalize", "min_coverage": 0.1}}
    made, computed, hidden = both(tiled([{"op": "gaussian", "sigma": 1.5}], None, border=border, **words), holed, axes)
    assert made == computed
    assert (idle > 0, hidden > 0) == ((isinstance(border, str),) * 2)
