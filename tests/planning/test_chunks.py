"""Chunks and shards: a file is neither tiny nor large, whatever the image, and what is asked for is had or refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import pipeline, plan_of

from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.chunks import FILES, LEAST_BYTES, SHARD_BYTES, chunks_of, storage_of
from tileconv.planning.tiles import candidates
from tileconv.spec.model import OutputSpec
from tileconv.stores.location import Location


def info_of(shape, dtype="float32", chunks=None, axes=None):
    axes = axes or "tczyx"[-len(shape) :]
    return ImageInfo(shape, axes, np.dtype(dtype), chunks or shape)


def auto(shape, dtype="float32", asked=None, shards=None, axes=None):
    return chunks_of(info_of(shape, dtype, axes=axes), asked or {}, shards)


def stored(shape, chunks, dtype="float32", **words):
    return storage_of(info_of(shape, dtype, chunks), OutputSpec(Location("o.zarr"), **words))


def test_small_planes_are_put_together():
    assert auto((28672, 96, 220)) == (14, 96, 220)
    assert auto((28672, 96, 220), "uint8") == (51, 96, 220)
    assert auto((7, 96, 220)) == (7, 96, 220)
    assert auto((40, 512, 512)) == (1, 512, 512)
    assert auto((40, 511, 512)) == (2, 511, 512)
    assert auto((500, 4, 3, 64, 64), "uint16") == (46, 1, 3, 64, 64)
    assert auto((500, 4, 3, 64, 64), "uint16", {"t": 1}) == (1, 1, 3, 64, 64)
    assert auto((3, 700, 700), "uint8", axes="cyx") == (1, 700, 700)


def test_large_planes_stay_as_they_are():
    assert auto((16384, 16384), "uint8") == (1024, 1024)
    assert auto((9, 1104, 5000)) == (1, 552, 1024)


@given(
    st.tuples(*[st.integers(1, 3000)] * 3, *[st.integers(1, 5000)] * 2),
    st.sampled_from(["uint8", "uint16", "float32", "float64"]),
)
def test_a_chunk_has_at_least_a_mebibyte_where_there_is_as_much_to_put_together(shape, dtype):
    t, _, z, *plane = auto(shape, dtype)
    item = np.dtype(dtype).itemsize
    held = math.prod((t, z, *plane)) * item
    assert held <= 16 * LEAST_BYTES
    assert held >= LEAST_BYTES or (t, z) == (shape[0], shape[2])
    if z > 1 or t > 1:
        assert held < 4 * LEAST_BYTES


def test_chunks_are_parts_of_shards_that_are_stated():
    assert auto((9000, 9000), shards={"y": 4096, "x": 3000}) == (1024, 1000)
    assert auto((9000, 9000), shards={"y": 300}) == (300, 1024)
    assert auto((100, 200), shards={"y": 4096, "x": 4096}) == (100, 200)
    assert stored((9000, 9000), (1024, 1000), shards={"y": 4096, "x": 3000}).shards == (4096, 3000)
    assert stored((100, 200), (100, 200), shards={"y": 4096, "x": 4096}).shards == (100, 200)
    assert stored((9, 2000, 2000), (1, 512, 512), shards={"y": 4096, "x": 1024}).shards == (1, 2048, 1024)


def test_shards_that_cut_chunks_or_are_too_large_are_refused():
    with pytest.raises(PlanError, match=r"shards of 700 pixels along y are no whole number of chunks of 512") as caught:
        stored((2000, 2000), (512, 512), shards={"y": 700})
    assert caught.value.fix == "Use 1024, or set output.chunks."
    with pytest.raises(PlanError, match="more than 1 GiB"):
        stored((40000, 40000), (1024, 1024), shards={"y": 32768, "x": 32768})
    with pytest.raises(PlanError, match="more than 1 GiB"):
        stored((40000, 40000), (32768, 32768))


def test_many_small_chunks_are_put_into_shards_of_4_to_8_mebibytes():
    assert stored((16384, 16384), (64, 64), "uint8").shards == (2048, 2048)
    assert stored((16384, 16384), (64, 64), "uint8", shards="none").shards == ()
    assert stored((16384, 16384), (64, 64), "uint8", format="0.4").shards == ()
    assert stored((28672, 96, 220), (1, 96, 220), "uint8").shards == (256, 96, 220)
    assert stored((4096, 96, 220), (1, 96, 220), "uint8").shards == ()  # few
    assert stored((65536, 65536), (512, 512)).shards == ()  # not small


@given(
    st.tuples(*[st.integers(1, 300)] * 3, *[st.integers(1, 3000)] * 2),
    st.tuples(*[st.integers(1, 5)] * 3, *[st.integers(1, 200)] * 2),
)
def test_shards_are_whole_chunks_and_neither_tiny_nor_large(shape, chunks):
    info = info_of(shape, "uint16", tuple(map(min, chunks, shape)))
    shards = storage_of(info, OutputSpec(Location("o.zarr"))).shards
    files = math.prod(-(-n // c) for n, c in zip(shape, info.chunks, strict=True))
    assert bool(shards) == (files > FILES and math.prod(info.chunks) * 2 < LEAST_BYTES)
    if shards:
        assert all(s % c == 0 for s, c in zip(shards, info.chunks, strict=True))
        held = math.prod(shards) * 2
        assert held <= 4 * SHARD_BYTES
        assert held >= SHARD_BYTES or all(s >= n for s, n in zip(shards, shape, strict=True))


@pytest.mark.parametrize("shards", [256, 512, {"y": 768, "x": 256}])
def test_every_tile_offered_is_a_whole_number_of_shards(shards):
    output = {"chunks": 256, "shards": shards}
    (job,) = plan_of(pipeline([{"op": "sobel"}], output=output), np.zeros((3000, 5000), np.uint8)).passes
    assert job.writes[0].storage.shards == tuple(shards.values() if isinstance(shards, dict) else (shards, shards))
    offered = candidates(job)
    assert len(offered) > 3
    for tile in (*offered, job.grid.tile):
        assert all(side % unit == 0 for side, unit in zip(tile, job.unit, strict=True))
