"""Halos by ``map_overlap``: lazy, chunks merged on purpose, shapes and chunks of the result, receipts by rows."""

import dask
import dask.array as da
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolution
from oracles.counting import CountingCall
from properties.runs_help import pipeline, plan_of, tiled, windows

import tileconv
from tileconv.sources.memory import MemorySource
from tileconv.tiles import overlap as module
from tileconv.tiles.overlap import as_dask, overlap

KERNEL = np.array([[1.5, 2, 0.5, 3], [0, 1, -4, 2], [2, -0.5, 1, 1]])
STAGE = {"op": "correlate", "kernel": KERNEL.tolist()}


def refuse(*_args, **_kwargs):
    raise AssertionError("something was computed")


@pytest.mark.parametrize("border", strategies.RULES)
@pytest.mark.parametrize("extent", ["same", "full", "valid"])
def test_nothing_is_computed_before_it_is_asked_for(border, extent):
    image = da.random.default_rng(0).random((60, 70), chunks=(20, 13)).astype("float32")
    with dask.config.set(scheduler=refuse):
        lazy = tileconv.correlate(image, KERNEL, border=border, extent=extent, cval=1)
        assert isinstance(lazy, da.Array)
        assert lazy.dtype == np.float32
        with pytest.raises(AssertionError, match="something was computed"):
            lazy.compute()
    pixels = image.compute(scheduler="synchronous")
    expected = convolution.correlate(pixels, KERNEL, border, 1.0, extent=extent)
    assert lazy.shape == expected.shape
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), expected, rtol=1e-4, atol=1e-4)


def test_planning_computes_no_tile(monkeypatch):
    """Without meta, map_overlap would try the function on an empty array."""
    counting = CountingCall(module.compute_tile)
    monkeypatch.setattr(module, "compute_tile", counting)
    image = da.zeros((40, 40), chunks=10, dtype="uint8")
    (job,) = plan_of(pipeline([STAGE]), np.zeros((40, 40), np.uint8)).passes
    (lazy,) = overlap([image], job)
    assert not counting.calls
    lazy.compute(scheduler="synchronous")
    assert len(counting.calls) == 16


def test_chunks_that_are_large_enough_stay():
    image = da.zeros((60, 70), chunks=((20, 25, 15), (30, 40)), dtype="uint8")
    assert tileconv.correlate(image, KERNEL).chunks == image.chunks


def test_full_and_valid_change_the_outer_chunks_alone():
    image = da.zeros((60, 70), chunks=((20, 25, 15), (30, 40)), dtype="uint8")
    assert tileconv.correlate(image, KERNEL, extent="full").chunks == ((21, 25, 16), (31, 42))
    assert tileconv.correlate(image, KERNEL, extent="valid").chunks == ((19, 25, 14), (28, 39))


@given(st.data(), st.integers(1, 60), st.integers(1, 8))
def test_merged_chunks_cover_the_image_and_the_halo(data, size, radius):
    """Every merged chunk is a run of whole given ones, and none is shorter than what its neighbour needs of it."""
    chunks = tuple(np.diff(data.draw(strategies.cuts(size))).tolist())
    image = np.zeros((size, 5), np.uint8)
    weights = np.ones((2 * radius + 1, 1)).tolist()
    (job,) = plan_of(pipeline([{"op": "correlate", "kernel": weights, "engine": "direct"}]), image).passes
    ends = [0, *module._merged(np.cumsum(chunks)[:-1].tolist(), job, 0), size]
    merged = tuple(np.diff(ends).tolist())
    assert sum(merged) == size
    assert set(np.cumsum(merged)) <= set(np.cumsum(chunks))
    for number in range(1, len(merged)):  # pixels needed across the cut, as far as there are any
        cut = ends[number]
        assert merged[number - 1] >= min(radius, cut)
        assert merged[number] >= min(radius, size - cut)
    if min(chunks) >= radius and 2 * radius < size:
        assert merged == chunks


def test_small_chunks_at_the_end_are_merged_and_not_cut_off_any_grid():
    """Dask's own rechunk would give (1024, 1024, 1024, 1016, 12)."""
    image = da.zeros((64 * 4 + 4, 40), chunks=((64,) * 4 + (4,), 40), dtype="uint8")
    assert tileconv.correlate(image, np.ones((25, 1))).chunks[0] == (64, 64, 64, 68)


@pytest.mark.parametrize("border", ["reflect", "wrap"])
def test_one_chunk_per_pixel(border):
    image = strategies.pixels((9, 11), "float32", 0)
    made = tileconv.correlate(da.from_array(image, chunks=1), KERNEL, border=border).compute(scheduler="synchronous")
    assert made.tobytes() == tileconv.correlate(image, KERNEL, border=border).tobytes()


def test_threads_give_the_same_bytes():
    image = strategies.pixels((90, 110), "uint16", 0)
    lazy = tileconv.gaussian(da.from_array(image, chunks=(20, 33)), 2)
    assert lazy.compute(scheduler="threads", num_workers=2).tobytes() == tileconv.gaussian(image, 2).tobytes()


def test_a_source_as_a_lazy_array_reads_a_box_per_chunk():
    image = strategies.pixels((40, 50), "uint16", 0)
    lazy = as_dask(MemorySource(image, "yx"), ((15, 25), (20, 30)))
    assert lazy.chunks == ((15, 25), (20, 30))
    assert np.array_equal(lazy.compute(scheduler="synchronous"), image)


def test_a_slice_computes_only_what_it_needs(monkeypatch):
    counting = CountingCall(module.compute_tile)
    monkeypatch.setattr(module, "compute_tile", counting)
    image = strategies.pixels((80, 80), "float32", 0)
    (job,) = plan_of(tiled([STAGE], None), image).passes
    (lazy,) = overlap([da.from_array(image, chunks=20)], job)
    part = lazy[25:30, 45:50].compute(scheduler="synchronous")
    assert len(counting.calls) == 1
    assert np.array_equal(part, windows(tiled([STAGE], None), image)[0][25:30, 45:50])


@pytest.mark.parametrize("extent", ["same", "full", "valid"])
@pytest.mark.parametrize("chunks", [(1, 3, 1), (1, 1, 2, 1), (0, 4, 0, 1), (2, 3), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_chunks_of_which_nothing_is_left_join_a_neighbour(extent, chunks, lead):
    """``valid`` cuts off whole chunks at the ends; axes before the kernel's make a reshape, which takes none of 0."""
    image = strategies.pixels((*lead, 4, 5), "float64", 0)
    kernel = np.arange(1.0, 6).reshape(1, 5)
    words = {"extent": extent, "axes": (-2, -1), "border": "constant"}
    lazy = da.from_array(image, chunks=((1,) * lead[0] if lead else (2, 2), *lead[1:], *([4] if lead else []), chunks))
    made = tileconv.convolve(lazy, kernel, **words)
    assert 0 not in {size for along in made.chunks for size in along}
    assert made.compute(scheduler="synchronous").tolist() == tileconv.convolve(image, kernel, **words).tolist()
