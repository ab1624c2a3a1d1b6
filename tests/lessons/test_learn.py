"""Kernels learned from images against dense least squares: every option, border and type."""

import json

import numpy as np
import pytest
import tifffile
from oracles import learning

import tileconv
from tileconv.errors import KernelError, PlanError, SourceError

RANDOM = np.random.default_rng(11)
BEFORE = RANDOM.integers(0, 65536, (300, 530), dtype=np.uint16)
KERNEL = RANDOM.normal(size=(4, 5))
AFTER = learning.answer(BEFORE, KERNEL, 9000)
SMALL = BEFORE[:40, :290]
"""Two blocks."""
BLURRED = learning.answer(SMALL, KERNEL, 9000)


def same(learned, expected, tight=1e-11):
    weights, offset = expected
    size = np.abs(weights).max()
    np.testing.assert_allclose(learned.weights.ravel(), weights, rtol=0, atol=tight * size)
    assert learned.offset == pytest.approx(offset, abs=tight * 65536 * size * weights.size)


@pytest.mark.parametrize("border", [None, "reflect", "mirror", "nearest", "wrap", {"rule": "constant", "value": 0.5}])
@pytest.mark.parametrize("size", [(4, 5), 3, (1, 2)])
def test_least_squares(border, size):
    learned = tileconv.learn(SMALL, BLURRED, size=size, border=border)
    matrix, target = learning.rows(SMALL, BLURRED, learned.weights.shape, border)
    weights, offset = expected = learning.least_squares(matrix, target)
    same(learned, expected)
    left = target - matrix @ weights - offset
    assert learned.residual == pytest.approx(np.sqrt(np.square(left).mean()), rel=1e-9)
    assert learned.explained == pytest.approx(1 - left.var() / target.var(), rel=1e-9)
    assert learned.pixels == len(target)
    assert learned.condition == pytest.approx(np.linalg.cond(matrix - matrix.mean(0)) ** 2, rel=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
def test_types_and_small_images(dtype):
    before = np.random.default_rng(1).normal(1000, 40, (23, 9)).clip(0, 255 if dtype == "uint8" else None)
    before = (before / 9 if dtype == "uint8" else before).astype(dtype)
    before[::3, ::2] //= 2
    after = learning.answer(before, KERNEL[:2, :3], 3)
    for border in (None, "wrap", "mirror"):
        learned = tileconv.learn(before, after, size=(2, 3), border=border)
        same(learned, learning.least_squares(*learning.rows(before, after, (2, 3), border)), 1e-9)


def test_an_image_smaller_than_the_halo():
    before, after = np.random.default_rng(2).normal(size=(2, 2, 40))
    learned = tileconv.learn(before, after, size=(7, 2), border="mirror")
    weights, offset = learning.least_squares(*learning.rows(before, after, (7, 2), "mirror"))
    same(learned, (weights, offset), 1e-9)
    with pytest.raises(PlanError, match="no pixel is to learn from"):
        tileconv.learn(before, after, size=(7, 2))


def test_what_gives_an_answer_without_noise_is_recovered():
    learned = tileconv.learn(SMALL, learning.answer(SMALL, KERNEL), size=(4, 5))
    np.testing.assert_allclose(learned.weights, KERNEL, atol=1e-12)
    assert learned.offset == pytest.approx(7, abs=1e-6)
    assert learned.explained == pytest.approx(1, abs=1e-12)
    assert not learned.weights.flags.writeable


@pytest.mark.parametrize("ridge", [0.01, 3.0])
def test_a_ridge(ridge):
    learned = tileconv.learn(SMALL, BLURRED, size=3, ridge=ridge)
    same(learned, learning.least_squares(*learning.rows(SMALL, BLURRED, (3, 3)), ridge=ridge))


def test_wishes_reach_the_weights():
    learned = tileconv.learn(SMALL, BLURRED, size=3, symmetric="x, transpose", sum_one=True, non_negative=True)
    equal = [(0, 2), (2, 6), (6, 8), (1, 3), (3, 5), (5, 7)]
    found = learning.constrained(*learning.rows(SMALL, BLURRED, (3, 3)), equal=equal, total=1.0, non_negative=True)
    np.testing.assert_allclose(learned.weights.ravel(), found, atol=1e-6)
    assert abs(tileconv.learn(SMALL, BLURRED, size=3, zero_sum=True).weights.sum()) < 1e-12


def test_missing_pixels_and_a_mask_do_not_count(tmp_path):
    before, after = BEFORE.astype(np.float32), AFTER.astype(np.float32)
    before[40, 50], before[299, 0], after[7, 256], after[255, 255] = np.nan, -np.inf, np.nan, -9999
    tifffile.imwrite(tmp_path / "after.tif", after, extratags=[(42113, "s", 0, "-9999", True)])
    counts = np.random.default_rng(3).random(BEFORE.shape) < 0.7
    counts[:256, 256:512] = True
    learned = tileconv.learn(before, tmp_path / "after.tif", size=(4, 5), mask=counts)
    after[255, 255] = before[299, 0] = np.nan
    expected = learning.rows(before, after, (4, 5), counts=counts)
    same(learned, learning.least_squares(*expected), 1e-9)
    assert learned.pixels == len(expected[1])
    assert learned.left_out == (300 - 3) * (530 - 4) - learned.pixels


@pytest.mark.parametrize("border", ["reflect", {"rule": "constant", "value": 300.5}])
def test_pixels_that_a_mask_in_the_file_calls_missing(tmp_path, border):
    good = np.random.default_rng(8).random(SMALL.shape) < 0.98
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(SMALL, photometric="minisblack", tile=(32, 32), metadata=None)
        file.write(good, photometric="mask", subfiletype=4, tile=(32, 32), compression="deflate", metadata=None)
    output = tmp_path / "k.yaml"
    learned = tileconv.learn(tmp_path / "a.tif", BLURRED, size=(3, 2), border=border, axes="yx", output=output)
    before = np.where(good, SMALL, np.nan)
    expected = learning.rows(before, BLURRED, (3, 2), border)
    same(learned, learning.least_squares(*expected))
    assert learned.pixels == len(expected[1]) < 0.95 * good.size
    assert np.isnan(tileconv.lazy(output).compute()).sum() == good.size - learned.pixels


def test_all_planes_share_a_kernel_and_a_mask_may_have_fewer_axes():
    random = np.random.default_rng(4)
    before, counts = random.integers(0, 255, (3, 40, 50), dtype=np.uint8), random.random((40, 50)) < 0.5
    after = np.stack([learning.answer(plane, KERNEL[:3, :2], 1) for plane in before])
    learned = tileconv.learn(before, after, size=(3, 2), mask=counts)
    parts = [learning.rows(a, b, (3, 2), counts=counts) for a, b in zip(before, after, strict=True)]
    same(learned, learning.least_squares(np.vstack([m for m, _ in parts]), np.concatenate([t for _, t in parts])))
    colour = tileconv.learn(np.moveaxis(before, 0, -1), np.moveaxis(after, 0, -1), size=(3, 2), axes="yxc")
    alone = tileconv.learn(before, after, size=(3, 2))
    assert colour.weights.tobytes() == alone.weights.tobytes()


def test_volumes():
    random = np.random.default_rng(5)
    before, kernel = random.integers(0, 255, (19, 66, 70), dtype=np.uint8), random.normal(size=(3, 2, 4))
    after = learning.answer(before, kernel, 1)
    learned = tileconv.learn(before, after, size=(3, 2, 4), border="nearest")
    same(learned, learning.least_squares(*learning.rows(before, after, (3, 2, 4), "nearest")))
    assert learned.over == "zyx"
    again = tileconv.learn(before, after, size={"z": 3, "y": 2, "x": 4}, border="nearest", tile=64)
    assert again.weights.tobytes() == learned.weights.tobytes()


def test_blocks_that_are_held_out_tell_how_well_it_does():
    learned = tileconv.learn(BEFORE, AFTER, size=3, validation=0.4, border="reflect")
    held = np.zeros(BEFORE.shape, bool)
    for number in (1, 4):  # of the multiples of the golden ratio those below 0.4
        row, column = divmod(number, 3)
        held[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256] = True
    same(learned, learning.least_squares(*learning.rows(BEFORE, AFTER, (3, 3), "reflect", ~held)))
    matrix, target = learning.rows(BEFORE, AFTER, (3, 3), "reflect", held)
    left = target - matrix @ learned.weights.ravel() - learned.offset
    assert learned.explained_held_out == pytest.approx(1 - np.square(left).sum() / (target.var() * len(left)))
    assert learned.held_out == held.sum()


def test_marked_pixels():
    before = BEFORE[:90, :80]
    odds = learning.answer(before, KERNEL[:3, :3]) / 30000
    marks = odds + np.random.default_rng(6).logistic(size=before.shape) > 1
    learned = tileconv.learn(before, marks, size=3, target="mask", border="nearest")
    weights, offset, loss = learning.logistic(*learning.rows(before, marks, (3, 3), "nearest"))
    np.testing.assert_allclose(learned.weights.ravel() * 65536, weights * 65536, atol=1e-4)
    assert learned.offset == pytest.approx(offset, abs=1e-4)
    assert learned.residual == pytest.approx(loss, rel=1e-8)
    assert 3 <= learned.passes <= 10
    assert np.isnan(learned.explained_held_out)


def test_marks_that_a_kernel_tells_apart_need_a_ridge():
    before = BEFORE[:60, :70]
    marks = before > 30000
    assert "give a ridge" in tileconv.learn(before, marks, size=1, target="mask").notes[0]
    learned = tileconv.learn(before, marks, size=1, target="mask", ridge=1e-4)
    assert not learned.notes
    assert learned.weights[0, 0] > 0
    with pytest.raises(PlanError, match="no pixel is marked"):
        tileconv.learn(before, np.zeros_like(before), size=1, target="mask")


def test_fewer_pixels_than_weights_are_noted():
    before, after = BEFORE[:6, :6], AFTER[:6, :6]
    learned = tileconv.learn(before, after, size=5)
    assert learned.notes == ("4 pixels do not determine 25 weights: of all that fit the shortest is taken",)
    assert learned.condition == np.inf
    assert json.loads(json.dumps(learned.as_json()))["condition"] is None
    same(learned, learning.least_squares(*learning.rows(before, after, (5, 5))), 1e-9)


def test_a_result_shows_itself():
    learned = tileconv.learn(BEFORE[:40, :40], AFTER[:40, :40], size=3)
    assert repr(learned).startswith("<Learned: 3 x 3, offset ")
    assert "<th>condition</th>" in learned._repr_html_()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"after": AFTER[:40, :41]}, "the images must have one shape"),
        ({"mask": AFTER[:4, :4]}, "the mask has the pixels y=4 x=4"),
        ({"size": 33}, "at most 1,024 weights, found 1,089"),
        ({"size": (1, 2, 3, 4)}, "size must be one number, or one for each"),
        ({"size": 0}, "size must be above 0"),
        ({"over": "zyx"}, "the kernel runs over z, y, x"),
        ({"validation": 1.0}, "validation must be a share"),
        ({"validation": 0.5}, "no pixel is held out"),
        ({"sum_one": True, "zero_sum": True}, "exclude each other"),
        ({"target": "labels"}, "target must be one of image, mask"),
        ({"border": "zeros"}, "Its name here is 'constant'"),
        ({"tile": 100}, "not a whole number of blocks of 40. Give 120"),
        ({"memory": "10MiB"}, "learning takes .*, and may take 10.0 MiB"),
        ({"memory": "much"}, "memory must be a size"),
        ({"executor": "gpu"}, "there is no executor 'gpu'"),
        ({"output": "kernel.npy"}, "goes to a .yaml file"),
        ({"before": [1.0, 2.0]}, "expected 2 to 5 axes"),
        ({"before": np.full((40, 40), np.inf)}, "no pixel is to learn from"),
    ],
)
def test_what_does_not_fit_is_refused(words, found):
    words = {"before": BEFORE[:40, :40], "after": AFTER[:40, :40], "size": 3} | words
    with pytest.raises((KernelError, PlanError, SourceError), match=found):
        tileconv.learn(words.pop("before"), words.pop("after"), **words)
