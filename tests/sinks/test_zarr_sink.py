"""The Zarr sink: whole chunks, checksums, and when a store counts as complete."""

import multiprocessing
import os
import pickle
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from sinks.sink_help import array_of, fill, image_of, sink_of

from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SinkError
from tileconv.planning.memory import SHARD_PART_BYTES, encoding_bytes
from tileconv.sinks.writer import GATHER
from tileconv.storage import CODECS, OF_KIND, Storage
from tileconv.stores import steady


@given(
    st.data(),
    st.sampled_from(["yx", "cyx", "tczyx"]),
    st.sampled_from(["uint8", "int16", "uint64", "float16", "float64"]),
    st.sampled_from(["plain", "image", "shards", "shards alone", "0.4"]),
)
def test_any_tiling_by_whole_files_stores_the_image(tmp_path_factory, data, axes, dtype, kind):
    sides, plain = st.integers(1, 9 if len(axes) < 4 else 4), kind == "plain"  # up to a thousand files
    shape = tuple(data.draw(sides) for _ in axes)
    chunks = tuple(data.draw(sides) for _ in axes)
    storage = Storage()
    if kind.startswith("shards"):
        shards = tuple(c * data.draw(st.integers(1, 3)) for c in chunks)
        storage = Storage(shards=shards, checksum="none" if kind == "shards alone" else "crc32c")
    elif kind == "0.4":
        storage = Storage(CODECS[data.draw(st.sampled_from(OF_KIND[""]))], "none", (), "0.4")
        dtype = "float32" if dtype == "float16" else dtype
    tile = tuple(c * data.draw(st.integers(1, 3)) for c in storage.unit(chunks))
    path = tmp_path_factory.mktemp("any") / "out.ome.zarr"
    sink = sink_of(path, shape, dtype, chunks, axes, plain=plain, storage=storage)
    image = image_of(sink, data.draw(st.integers(0, 9)))
    sink.create()
    fill(sink, image, tile)
    sink.finish({})
    stored = zarr.open_array(array_of(sink), mode="r")
    np.testing.assert_array_equal(stored[:], image)
    assert (stored.dtype, stored.chunks, stored.shards or ()) == (image.dtype, chunks, storage.shards)
    names = stored.attrs["_ARRAY_DIMENSIONS"] if kind == "0.4" else stored.metadata.dimension_names
    assert tuple(names) == tuple(axes)
    assert list(sink.custody.strays()) == []
    for box in TileGrid(sink.layout.info.box, chunks):
        np.testing.assert_array_equal(sink.writer.read(box), image[box.within(sink.layout.info.box)])


def test_chunks_equal_to_the_fill_value_are_present(tmp_path):
    sink = sink_of(tmp_path / "zeros.zarr")
    sink.create()
    fill(sink, np.zeros(sink.layout.info.shape, "f4"), (32, 48))
    assert sum(p.is_file() for p in (array_of(sink) / "c").rglob("*")) == 4 * 3


def test_a_write_reads_nothing_back(tmp_path):
    sink = sink_of(tmp_path / "torn.zarr")
    sink.create()
    image = image_of(sink)
    fill(sink, image, (16, 16))
    for chunk in (array_of(sink) / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"torn")
    fill(sink, image, (32, 16))
    np.testing.assert_array_equal(zarr.open_array(array_of(sink), mode="r")[:], image)


@pytest.mark.parametrize(
    ("start", "stop", "problem"),
    [
        ((0, 0), (16, 20), "whole number of chunks"),
        ((8, 0), (16, 16), "whole number of chunks"),
        ((48, 32), (50, 36), "whole number of chunks"),
        ((48, 32), (64, 37), "leaves the output"),
    ],
)
def test_boxes_that_cut_a_chunk_or_leave_the_image_are_refused(tmp_path, start, stop, problem):
    sink = sink_of(tmp_path / "out.zarr")
    box = Box(start, stop)
    with pytest.raises(GeometryError, match=problem):
        sink.writer.write(box, np.zeros(box.shape, "f4"))


def test_another_shape_or_dtype_is_refused(tmp_path):
    sink = sink_of(tmp_path / "out.zarr")
    box = Box((48, 32), (50, 37))
    for array in (np.zeros((2, 4), "f4"), np.zeros((1, 1), "f4"), np.zeros((2, 5), "f8"), np.zeros((2, 5), ">f4")):
        with pytest.raises(GeometryError, match=r"needs float32 of shape \(2, 5\)"):
            sink.writer.write(box, array)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_every_flipped_bit_is_noticed(tmp_path, dtype):
    sink = sink_of(tmp_path / "flip.zarr", (64, 64), dtype, (64, 64))
    sink.create()
    sink.writer.write(sink.layout.info.box, image_of(sink))
    chunk = array_of(sink) / "c" / "0" / "0"
    good = chunk.read_bytes()
    for bit in np.random.default_rng(1).integers(0, 8 * len(good), 200).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        chunk.write_bytes(bad)
        with pytest.raises(Exception):  # noqa: B017, PT011 each codec has its own
            zarr.open_array(array_of(sink), mode="r")[:]


def test_the_digest_of_a_tile_is_that_of_its_stored_bytes(tmp_path):
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    told = fill(sink, image_of(sink), (32, 32))
    assert len(set(told.values())) == len(told) == 4
    assert {box: sink.writer.stored_digest(box) for box in told} == told
    chunk = array_of(sink) / "c" / "1" / "1"  # in the first tile
    good = chunk.read_bytes()
    first, *others = told
    for bad in (good[:-1], good + b"\0", bytes([good[0] ^ 1]) + good[1:], good[:-1] + bytes([good[-1] ^ 128])):
        chunk.write_bytes(bad)
        assert sink.writer.stored_digest(first) != told[first]
    assert {box: sink.writer.stored_digest(box) for box in others} == {box: told[box] for box in others}
    assert sink.custody.lacks(first) == ""
    chunk.write_bytes(b"")
    assert sink.custody.lacks(first) == "0/c/1/1"
    chunk.unlink()
    assert sink.custody.lacks(first) == "0/c/1/1"
    with pytest.raises(SinkError, match="chunk 0/c/1/1 is missing"):
        sink.writer.stored_digest(first)


def test_a_shard_is_one_file_and_damage_to_any_byte_of_it_is_found(tmp_path):
    sink = sink_of(tmp_path / "out.zarr", storage=Storage(shards=(32, 32)))
    sink.create()
    with pytest.raises(GeometryError, match=r"whole number of shards of \(32, 32\)"):
        sink.writer.write(Box((0, 0), (16, 32)), np.zeros((16, 32), "f4"))
    told = fill(sink, image_of(sink), (32, 64))
    files = [p for p in (array_of(sink) / "c").rglob("*") if p.is_file()]
    assert len(files) == 4
    first = next(iter(told))
    shard = array_of(sink) / "c" / "0" / "1"  # two of its four chunks lie beyond the image
    good = shard.read_bytes()
    table = np.frombuffer(good[-68:-4], "<u8").reshape(2, 2, 2)
    assert (table[:, 1] == 2**64 - 1).all()
    assert table[:, 0, 1].sum() + 68 == len(good)
    for at in range(0, len(good), 7):
        shard.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        assert sink.writer.stored_digest(first) != told[first]
        assert sink.writer.damaged_chunks(first) == {"0/c/0/1": "is not what was written"}
    shard.write_bytes(good[:50])
    assert list(sink.writer.damaged_chunks(first)) == ["0/c/0/1"]
    shard.unlink()
    assert sink.writer.damaged_chunks(first) == {"0/c/0/1": "is missing"}
    assert sink.custody.lacks(first) == "0/c/0/1"


def test_a_damaged_chunk_is_no_pixels_of_a_result(tmp_path):
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    fill(sink, image_of(sink), (16, 16))
    chunk = array_of(sink) / "c" / "1" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(SinkError, match="chunk 0/c/1/2 is not what was written"):
        sink.finish({})
    assert not sink.custody.complete()


def write_part(sink, boxes):
    image = image_of(sink)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda box: sink.writer.write(box, image[box.within(sink.layout.info.box)]), boxes))


def test_threads_of_two_processes_write_at_once(tmp_path):
    sink = sink_of(tmp_path / "many.zarr", (200, 200))
    sink.create()
    boxes = list(TileGrid(sink.layout.info.box, (32, 16)))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(write_part, [sink, sink], [boxes[::2], boxes[1::2]]))
    np.testing.assert_array_equal(zarr.open_array(array_of(sink), mode="r")[:], image_of(sink))


def test_what_is_gathered_of_a_shard_is_what_plans_count():
    assert GATHER == SHARD_PART_BYTES


def test_the_recipe_pickles(tmp_path):
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    assert pickle.loads(pickle.dumps(sink)) == sink  # noqa: S301 our own bytes


@pytest.mark.parametrize("shards", [(), (2048, 2048)])
def test_a_write_needs_memory_for_a_few_chunks_not_for_the_tile(tmp_path, shards):
    sink = sink_of(tmp_path / "out.zarr", (2048, 2048), "float32", (256, 256), storage=Storage(shards=shards))
    sink.create()
    image = np.random.default_rng(0).random(sink.layout.info.shape, "float32")
    sink.writer.write(sink.layout.info.box, image)  # imports done
    peaks = []
    for _ in range(3):  # what threads of other tests take counts as well
        tracemalloc.start()
        try:
            sink.writer.write(sink.layout.info.box, image)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert 256 * 256 * 4 <= min(peaks) < encoding_bytes(sink.layout.storage, 256 * 256 * 4) + 256 * 256 * 4


def test_the_store_looks_complete_only_after_finish(tmp_path):
    sink = sink_of(tmp_path / "out.ome.zarr")
    sink.create()
    fill(sink, image_of(sink), (16, 48))
    assert dict(zarr.open_group(sink.store.root, mode="r").attrs) == {"tileconv": {"complete": False}}
    sink.finish({"spec": "abc"})
    attributes = dict(zarr.open_group(sink.store.root, mode="r").attrs)
    assert attributes["tileconv"] == {"complete": True, "spec": "abc"}
    assert attributes["ome"]["multiscales"][0]["name"] == "out"


def test_finish_refuses_a_store_that_lacks_chunks(tmp_path):
    sink = sink_of(tmp_path / "out.ome.zarr")
    sink.create()
    fill(sink, image_of(sink), (16, 16))
    (array_of(sink) / "c" / "1" / "2").rename(array_of(sink) / "c" / "1" / "2.0123.partial")
    with pytest.raises(SinkError, match="1 of 12 chunks were never written"):
        sink.finish({})
    assert "ome" not in zarr.open_group(sink.store.root, mode="r").attrs


def test_the_file_system_refuses(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="cannot write: Not a directory"):
        sink_of(tmp_path / "file" / "out.zarr").create()
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    (array_of(sink) / "c").write_bytes(b"in the way")
    with pytest.raises(SinkError, match="cannot write"):
        sink.writer.write(Box((0, 0), (16, 16)), np.zeros((16, 16), "f4"))
    sink.custody.remove()
    with pytest.raises(SinkError, match="cannot write"):
        sink.writer.write(Box((0, 0), (16, 16)), np.zeros((16, 16), "f4"))


@pytest.mark.parametrize("plain", [False, True])
def test_results_bypass_the_cache_and_intermediate_pixels_do_not(tmp_path, monkeypatch, plain):
    seen = []
    real = os.pwritev

    def pwritev(descriptor, pieces, offset, flags):
        seen.append(flags)
        return real(descriptor, pieces, offset)

    monkeypatch.setattr(os, "pwritev", pwritev)
    for small, count in ((steady.SMALL, 0), (0, 0 if plain else 12)):  # small chunks stay in the cache, too
        monkeypatch.setattr(steady, "SMALL", small)
        sink = sink_of(tmp_path / f"{small}.ome.zarr", plain=plain)
        sink.create()
        fill(sink, image_of(sink), (32, 48))
        assert seen.count(0x80) == count
