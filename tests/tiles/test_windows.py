"""Halos pushed down into the read: every tile reads one box, and sends back a receipt and no pixels."""

import pickle

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles.counting import CountingSource
from properties.runs_help import pipeline, plan_of, tiled, windows, write_tiff

from tileconv.boxes import Box, space, with_space
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.memory import MemorySource
from tileconv.sources.open import open_source
from tileconv.stores.local import LocalStore
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import Counts, compute_tile, make_tile, needed
from tileconv.tiles.windows import Job, Receipt, read

CHAIN = [{"op": "gaussian", "sigma": 1}, {"op": "sobel"}]


def job_of(tmp_path, image, tile=32, **words):
    (job,) = plan_of(tiled(CHAIN, tile, **words), image).passes
    sink = ZarrSink(LocalStore(tmp_path / "o.zarr"), Layout(job.writes[0].info))
    sink.create()
    return job, sink


def test_every_tile_reads_one_box(tmp_path):
    image = strategies.pixels((70, 90), "uint16", 0)
    job, sink = job_of(tmp_path, image)
    source = CountingSource(MemorySource(image, "yx"))
    for box in job.grid:
        Job(job, (source,), (sink,)).run(box)
    assert len(source.boxes) == len(job.grid) == 9
    assert source.boxes == [needed(job, box)[0] for box in job.grid]
    halo = sum(s.halo.before[1] for s in job.stages)
    assert source.boxes[4] == Box((32 - halo, 32 - halo), (64 + halo, 64 + halo))
    assert job.read_amplification == pytest.approx(source.pixels / image.size)


def test_wrap_reads_the_far_side_in_a_box_of_its_own(tmp_path):
    image = strategies.pixels((70, 90), "uint16", 0)
    job, sink = job_of(tmp_path, image, border="wrap")
    source = CountingSource(MemorySource(image, "yx"))
    Job(job, (source,), (sink,)).run(job.grid.box((0, 0)))
    assert len(source.boxes) == 4
    assert source.pixels == needed(job, job.grid.box((0, 0)))[0].size


@pytest.mark.parametrize(
    ("dtype", "words", "same"),
    [
        ("uint16", {}, True),
        ("uint16", {"dtype": "float32"}, False),
        ("uint16", {"nodata": 3}, False),
        ("float32", {}, False),
    ],
)
def test_a_copy_is_what_is_read(dtype, words, same):
    image = strategies.pixels((8, 9), dtype, 0)
    (job,) = plan_of(tiled([], None, output=words), image).passes
    block = Block(image, Box.of_shape(image.shape))
    (made,), _ = make_tile(job, [block], block.box)
    assert np.shares_memory(made, image) == same
    np.testing.assert_array_equal(made, image)


def test_copies_of_unlike_outputs_are_each_their_own():
    image = strategies.pixels((8, 9), "uint16", 0)
    asked = pipeline([]) | {
        "outputs": {"a": {"path": "a.zarr"}, "b": {"path": "b.zarr", "dtype": "float32", "nodata": 5}}
    }
    asked.pop("output")
    (job,) = plan_of(asked, image).passes
    block = Block(image, Box.of_shape(image.shape))
    made, counts = make_tile(job, [block], block.box)
    assert [array.dtype for array in made] == ["uint16", "float32"]
    assert counts[1].like_nodata == (image == 5).sum()


def test_receipts_are_small_and_hold_no_pixels(tmp_path):
    image = strategies.pixels((70, 90), "uint16", 0)
    job, sink = job_of(tmp_path, image, output={"dtype": "uint8"})
    _, counts = windows(tiled(CHAIN, 32, output={"dtype": "uint8"}), image)
    receipts = [Job(job, (MemorySource(image, "yx"),), (sink,)).run(box) for box in job.grid]
    assert max(len(pickle.dumps(r)) for r in receipts) < 1024
    assert [r.tile for r in receipts] == list(job.grid)
    assert sum((r.counts[0] for r in receipts), Counts()) == counts
    three = (Counts(2**60, 2**60, 2**60),) * 3, ("0" * 60,) * 3
    assert len(pickle.dumps(Receipt(Box((2**60,) * 5, (2**61,) * 5), 1e9, *three))) < 1024


def test_a_job_is_a_recipe(tmp_path):
    """It crosses to a worker without pixels and without an open file, and works there."""
    image = strategies.pixels((300, 400), "uint16", 0)
    job, sink = job_of(tmp_path, image, tile=100)
    source = open_source(write_tiff(tmp_path / "a.tif", image, tile=64))
    source.read(source.info.box)
    crossed = pickle.dumps(Job(job, (source,), (sink,)))
    assert len(crossed) < image.nbytes / 8
    box = job.grid.box((1, 2))
    receipt = pickle.loads(crossed).run(box)  # noqa: S301 our own bytes
    assert receipt.tile == box


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 7)),
    st.tuples(*[st.integers(-20, 20)] * 2),
    st.tuples(*[st.integers(1, 15)] * 2),
)
def test_reading_beyond_the_image_is_its_repetition(shape, start, size):
    image = strategies.pixels(shape, "uint8", 1)
    (job,) = plan_of(tiled(CHAIN, None, border="wrap"), image).passes
    box = Box(start, tuple(a + n for a, n in zip(start, size, strict=True)))
    rows, columns = (np.arange(a, a + n) % m for a, n, m in zip(start, size, shape, strict=True))
    assert np.array_equal(read(MemorySource(image, "yx"), job.reads[0].domain, box), image[np.ix_(rows, columns)])


def test_the_work_takes_a_larger_block_than_it_needs():
    image = strategies.pixels((70, 90), "float32", 0)
    (job,) = plan_of(tiled(CHAIN, None), image).passes
    tile = Box((20, 30), (40, 50))
    (box,) = needed(job, tile)
    (exact,), _ = compute_tile(job, [Block(image[box.within(job.image)], box)], tile)
    (more,), _ = compute_tile(job, [Block(image, job.image)], tile)
    assert exact.tobytes() == more.tobytes()


def test_the_spatial_part_of_a_box():
    box = Box((1, 2, 3), (4, 5, 6), "cyx")
    assert space(box) == Box((0, 2, 3), (1, 5, 6))
    assert with_space(box, Box((0, 7, 8), (1, 9, 9))) == Box((1, 7, 8), (4, 9, 9), "cyx")
