"""The memory of a run as a sum: written out by hand for small plans, and what makes it grow."""

import json
import tracemalloc
from functools import partial

import numpy as np
import pytest
from properties.runs_help import pipeline, plan_of, tiled

from tileconv.boxes import Box
from tileconv.engines.fft import fft
from tileconv.planning.machine import available_bytes
from tileconv.planning.memory import BASE_BYTES, Bytes, kernel_bytes, peak_bytes, total
from tileconv.planning.together import together_bytes

BOX = {"op": "correlate", "kernel": [[0.5, 1, 0.25]], "engine": "direct"}


def sums(stages, tile=64, dtype="float32", **words):
    job = plan_of(tiled(stages, tile, **words), np.zeros((256, 256), dtype)).passes[0]
    return {part.name: part.count for part in job.memory if part.count}, job


def test_a_copy_holds_what_it_reads_and_what_it_makes():
    held, _ = sums([], dtype="float32", output={"dtype": "uint8"})
    pixels = 64 * 64
    assert held["block read"] == 4 * pixels
    assert held["tile in the output's type"] == pixels


def test_one_stage_by_hand():
    held, job = sums([BOX])
    assert job.strip == 64
    wide, out = 64 * 66, 64 * 64
    assert held["block read"] == 4 * wide
    assert held["tile in the output's type"] == 4 * out
    assert held["extended by the border"] == 4 * wide
    assert held["sums"] == 4 * out
    assert "output of 0 correlate" not in held  # the sums are the output
    assert job.tile_bytes == sum(held.values())


def test_missing_pixels_and_fft_blocks_are_counted():
    plain, _ = sums([BOX], dtype="uint8")
    marked, _ = sums([BOX], dtype="uint8", missing={"rule": "propagate"}, input_={"nodata": 0})
    assert sum(marked.values()) > sum(plain.values())
    held, job = sums([BOX | {"engine": "fft"}])
    assert held["engine's own"] >= 7 * 8 * np.prod(job.stages[0].choices[0].grid.length)


@pytest.mark.parametrize(("precision", "kept"), [("float32", 2), ("float64", 1)])
def test_every_transform_of_a_kernel_is_counted_with_the_weights_it_is_known_by(precision, kept):
    """A block that float32 would drown is made in float64, so that a kernel then has a transform of both.

    That of a pair is kept in strips of 48 lines, whole ones.
    """
    kernel = {"op": "correlate", "kernel": np.ones((33, 31)).tolist(), "engine": "fft"}
    (job,) = plan_of(tiled([kernel], 64, precision=precision), np.zeros((256, 256), np.float32)).passes
    grid = job.stages[0].choices[0].grid
    assert grid.narrow == grid.paired == (precision == "float32")
    _, rows, columns = grid.length
    strips = (rows + 47) // 48 * grid.narrow
    transforms = 8 * strips * 48 * columns + 16 * rows * (columns // 2 + 1)
    assert kernel_bytes(job.stages) == (3 + kept) * 8 * 33 * 31 + transforms


@pytest.mark.parametrize("drowned", [False, True])
def test_a_paired_block_takes_no_more_than_is_counted(drowned):
    """Strips of a transform are not seen by tracemalloc, and small."""
    kernel = {"op": "correlate", "kernel": np.random.default_rng(0).random((63, 63)).tolist(), "engine": "fft"}
    (job,) = plan_of(tiled([kernel], 2048, precision="float32"), np.zeros((2048, 2048), np.float32)).passes
    choice = job.stages[0].choices[0]
    assert choice.grid.paired
    made = Box((0, 0, 0), choice.grid.step)
    have = made.grow(choice.halo)
    block = np.ones(have.shape, np.float32)
    block[0, 100:300, 100:300] = 1e30 if drowned else 2
    run = partial(fft, block, have, made, choice.weights, choice.halo, choice.grid, exact=False, dtype=block.dtype)
    run()  # compiles, and keeps the kernel's transform
    tracemalloc.start()
    try:
        out, _ = run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    own = {part.name: part.count for part in job.memory}["engine's own"]
    assert own / 5 < peak - out.nbytes <= own


@pytest.mark.parametrize(("executor", "processes"), [("threads", 1), ("processes", 4)])
def test_every_process_and_every_worker_counts(executor, processes):
    assert peak_bytes(1000, [(10, 7)], 3, executor) == processes * 1000 + 3 * 10
    made = plan_of(tiled([BOX], 64, run={"executor": executor, "workers": 3}), np.zeros((256, 256), np.uint8))
    assert made.peak_bytes == processes * made.passes[0].process_bytes + 3 * made.passes[0].tile_bytes
    assert made.passes[0].process_bytes >= BASE_BYTES


def test_a_worker_without_a_tile_holds_none():
    """So that many workers do not make a run of few tiles, or a batch of small images, look large."""
    assert peak_bytes(1000, [(10, 2)], 16, "threads") == 1000 + 2 * 10
    assert peak_bytes(1000, [(10, 2), (1, 9), (50, 1)], 5, "threads") == 1000 + 50 + 2 * 10 + 2 * 1
    made = plan_of(tiled([BOX], 128, run={"workers": 16}), np.zeros((256, 256), np.uint8))
    assert made.peak_bytes == made.passes[0].process_bytes + 4 * made.passes[0].tile_bytes
    own = made.passes[0].process_bytes - BASE_BYTES
    assert together_bytes([made] * 3) == BASE_BYTES + 3 * own + 12 * made.passes[0].tile_bytes
    assert together_bytes([made] * 9) == BASE_BYTES + 9 * own + 16 * made.passes[0].tile_bytes


def test_several_passes_take_the_most_of_them():
    stages = [{"op": "sobel"}, {"op": "gaussian", "sigma": 9, "border": "wrap"}]
    made = plan_of(tiled(stages, 64), np.zeros((256, 256), np.uint8))
    assert len(made.passes) == 2
    assert made.peak_bytes == max(p.process_bytes + made.workers * p.tile_bytes for p in made.passes)


def test_totals_and_what_the_machine_has():
    assert total([Bytes("a", 3), Bytes("b", 4)]) == 7
    assert 0 <= available_bytes() < 2**50
    made = plan_of(pipeline([BOX], run={"memory": "auto"}), np.zeros((8, 8), np.uint8))
    assert "free" in made.memory_why
    assert made.memory_limit > 0
    assert json.loads(json.dumps(made.as_json()))["peak_bytes"] == made.peak_bytes


@pytest.mark.parametrize(
    ("path", "stages", "bare"),
    [("a.tif", [], True), ("s3://bucket/a.tif", [], False), ("a.czi", [], False), ("a.tif", [BOX], False)],
)
def test_a_process_without_loops_counts_for_less(path, stages, bare):
    """Nothing is compiled where pixels are stored as they are, and no large library reads the image."""
    words = {"input_": {"path": path}, "output": {"dtype": "float32"}}
    made = plan_of(pipeline(stages, **words), np.zeros((90, 70), np.uint16))
    assert (made.passes[0].process_bytes < BASE_BYTES) == bare
