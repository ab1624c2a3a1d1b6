"""Zarr folders of both formats give back the array that was written, and say what is missing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from sources_help import assert_reads, boxes, noise
from zarr.codecs import ShardingCodec

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.open import open_source
from tileconv.stores.local import LocalStore

STORES = {
    "v3": {"zarr_format": 3, "chunks": (16, 24)},
    "v3 uncompressed": {"zarr_format": 3, "chunks": (16, 24), "compressors": None},
    "v3 sharded": {"zarr_format": 3, "chunks": (8, 12), "shards": (16, 24)},
    "v3 dotted": {"zarr_format": 3, "chunks": (16, 24), "chunk_key_encoding": {"name": "v2", "separator": "."}},
    "v2": {"zarr_format": 2, "chunks": (16, 24)},
    "v2 nested": {"zarr_format": 2, "chunks": (16, 24), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "one chunk larger than the image": {"zarr_format": 3, "chunks": (100, 100)},
}


def write(path, image, **options):
    array = zarr.create_array(path, shape=image.shape, dtype=image.dtype, **{"chunks": image.shape, **options})
    array[...] = image
    return path


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">u2", "u8", "f4", ">f8"])
def test_every_store(tmp_path, store, dtype):
    image = noise((61, 83), np.dtype(dtype).newbyteorder("=")) | 1 if "f" not in dtype else noise((61, 83), dtype)
    write(tmp_path / "a", image.astype(dtype), **STORES[store])
    source = open_source(tmp_path / "a")
    assert source.info.axes == "yx"
    assert source.info.compressed == (store != "v3 uncompressed")
    assert source.missing_chunks_total() == ((0, 1) if "one chunk" in store else (0, 16))
    assert_reads(source, image.astype(np.dtype(dtype).newbyteorder("=")))


@pytest.mark.parametrize("store", ["v3", "v3 uncompressed", "v3 sharded", "v3 dotted", "v2", "v2 nested"])
def test_missing_chunks_are_counted_refused_on_request_and_never_all(tmp_path, store):
    image = noise((61, 83), "u2") | 1
    path = write(tmp_path / "a", image, fill_value=9, **STORES[store])
    keys = {"v3 dotted": "1.2", "v2": "1.2", "v2 nested": "1/2"}
    (path / keys.get(store, "c/1/2")).unlink()
    source = open_source(path)
    assert source.missing_chunks_total() == (1, 16)
    assert any("1 of 16 chunks" in note and "read as 9" in note for note in source.info.notes)
    image[16:32, 48:72] = 9
    assert_reads(source, image)
    strict = open_source(path, missing_chunks="error")
    with pytest.raises(SourceError, match=f"chunk {keys.get(store, 'c/1/2')} is not stored"):
        strict.read(strict.info.box)
    zarr.create_array(path, shape=(61, 83), dtype="u2", overwrite=True, **STORES[store])
    with pytest.raises(SourceError, match="no stored chunk at all"):
        open_source(path)


def test_ome_metadata_that_does_not_fit_names_the_folder(tmp_path):
    group = zarr.open_group(tmp_path / "a", mode="w")
    write(tmp_path / "a" / "0", noise((20, 30), "u2"))
    group.attrs["ome"] = {"multiscales": [{"axes": ["z", "y", "x"], "datasets": [{"path": "0"}]}]}
    with pytest.raises(SourceError, match=rf"^{tmp_path / 'a'}: the OME metadata names 3 axes, the array has 2"):
        open_source(tmp_path / "a")


@pytest.mark.parametrize("location", ["start", "end"])
def test_inner_chunk_that_a_shard_lacks_is_refused_on_request(tmp_path, location):
    image = noise((61, 83), "u2") | 1
    image[24:32, 36:48] = 0
    codec = ShardingCodec(chunk_shape=(8, 12), index_location=location)
    write(tmp_path / "a", image, zarr_format=3, chunks=(16, 24), serializer=codec, compressors=None)
    assert open_source(tmp_path / "a").missing_chunks_total() == (0, 16)
    assert_reads(open_source(tmp_path / "a"), image)
    strict = open_source(tmp_path / "a", missing_chunks="error")
    assert strict.read(Box((0, 0), (24, 83))).shape == (24, 83)
    with pytest.raises(SourceError, match=r"chunk \(1, 1\) of shard c/1/1 is not stored"):
        strict.read(Box((31, 47), (32, 49)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_levels_and_metadata(tmp_path, version):
    image = noise((2, 3, 40, 50), "u2") | 1
    v3 = version == "0.5"
    group = zarr.open_group(tmp_path / "a", mode="w", zarr_format=3 if v3 else 2)
    datasets = []
    for level, part in enumerate((image, image[..., ::2, ::2])):
        names = {"dimension_names": ("c", "z", "y", "x")} if v3 else {}
        array = group.create_array(str(level), shape=part.shape, chunks=(1, 1, 16, 16), dtype=part.dtype, **names)
        array[...] = part
        scale = [1, 2.0, 0.25 * 2**level, 0.5 * 2**level]
        steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": [0, -3.0, 0.5 * level, 7.0]}]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx")]
    overall = [{"type": "scale", "scale": [1, 1, 2, 2]}, {"type": "translation", "translation": [0, 10, 0, 0.25]}]
    multiscales = [
        {"version": version, "axes": axes, "datasets": datasets, "coordinateTransformations": overall},
    ]
    ome = {"multiscales": multiscales, "omero": {"channels": [{"label": "red"}, {"label": "green"}]}}
    group.attrs.update({"ome": {"version": "0.5", **ome}} if v3 else ome)
    source = open_source(tmp_path / "a")
    assert (source.info.axes, source.info.scale) == ("czyx", (1.0, 2.0, 0.5, 1.0))
    assert source.info.origin == (0.0, 7.0, 0.0, 14.25)
    assert source.info.units == ("", "micrometer", "micrometer", "micrometer")
    assert source.info.channels == ("red", "green")
    assert_reads(source, image)
    small = open_source(tmp_path / "a", level=1)
    assert small.info.scale == (1.0, 2.0, 1.0, 2.0)
    assert small.info.origin == (0.0, 7.0, 1.0, 14.25)
    assert_reads(small, image[..., ::2, ::2])
    assert open_source(tmp_path / "a", axes="tzyx").info.axes == "tzyx"
    with pytest.raises(SourceError, match="level of 0 to 1, found 2"):
        open_source(tmp_path / "a", level=2)
    datasets[0]["path"] = "../b"
    group.attrs.update({"ome": {"version": "0.5", **ome}} if v3 else ome)
    write(tmp_path / "b", image)
    with pytest.raises(SourceError, match="outside the folder"):
        open_source(tmp_path / "a")


def test_names_of_axes(tmp_path):
    image = noise((4, 20, 30), "f4")
    write(tmp_path / "named", image, dimension_names=("time", "lat", "lon"), attributes={"_FillValue": -1})
    source = open_source(tmp_path / "named")
    assert (source.info.axes, source.info.nodata) == ("tyx", -1.0)
    write(tmp_path / "xarray", image, zarr_format=2, attributes={"_ARRAY_DIMENSIONS": ["y", "x", "band"]})
    turned = open_source(tmp_path / "xarray")
    assert turned.info.axes == "cyx"
    assert_reads(turned, np.moveaxis(image, -1, 0))
    write(tmp_path / "plain", image)
    plain = open_source(tmp_path / "plain")
    assert plain.info.axes == "zyx"
    assert any("names no axes" in note for note in plain.info.notes)


def test_group_of_one_array_is_that_array_and_of_two_is_refused(tmp_path):
    image = noise((20, 30), "f4")
    zarr.open_group(tmp_path / "a", mode="w")
    write(tmp_path / "a" / "height", image, dimension_names=("y", "x"))
    write(tmp_path / "a" / "y", np.arange(20.0))
    assert_reads(open_source(tmp_path / "a"), image)
    assert "the group is read as its array height" in open_source(tmp_path / "a").info.notes
    write(tmp_path / "a" / "more" / "width", image)
    assert (
        "the group is read as its array height; images beside it: more/width" in open_source(tmp_path / "a").info.notes
    )
    write(tmp_path / "a" / "depth", image)
    with pytest.raises(SourceError, match=r"group of 2 arrays: depth \(20 x 30\), height"):
        open_source(tmp_path / "a")


def test_series_of_a_bioformats_folder(tmp_path):
    group = zarr.open_group(tmp_path / "a", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for series in range(2):
        image = group.create_group(str(series))
        write(tmp_path / "a" / str(series) / "0", np.full((8, 9), series + 1, "u1"), zarr_format=2)
        image.attrs["multiscales"] = [{"version": "0.4", "axes": ["y", "x"], "datasets": [{"path": "0"}]}]
    source = open_source(tmp_path / "a", series=1)
    assert_reads(source, np.full((8, 9), 2, "u1"))


def test_damage_is_named(tmp_path):
    path = write(tmp_path / "a", noise((61, 83), "u2"), **STORES["v3"])
    source = open_source(path)
    chunk = path / "c" / "1" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"reading 16:32 48:72 of a failed"):
        source.read(source.info.box)
    raw = write(tmp_path / "b", noise((61, 83), "u2"), **STORES["v3 uncompressed"])
    source = open_source(raw)
    (raw / "c" / "1" / "2").write_bytes(b"too short")
    with pytest.raises(SourceError, match="reading 16:32 48:72 of b failed"):
        source.read(source.info.box)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2**40, 2**40]},
        {"data_type": "complex64"},
        {"data_type": "nonsense"},
        {"codecs": [{"name": "nonsense"}]},
        {"shape": [-1, 5]},
        {"shape": "wide"},
        {"chunk_key_encoding": None},
        {"chunk_key_encoding": {"name": "nonsense"}},
    ],
)
def test_broken_metadata_is_refused(tmp_path, change):
    path = write(tmp_path / "a", noise((20, 30), "u2"))
    found = json.loads((path / "zarr.json").read_text())
    found["chunk_grid"]["configuration"]["chunk_shape"] = change.get("shape", [20, 30])
    (path / "zarr.json").write_text(json.dumps({**found, **change}))
    with pytest.raises(SourceError, match=rf"^{path}: ."):
        open_source(path)


def test_changed_metadata_and_lost_folder(tmp_path):
    path = write(tmp_path / "a", noise((20, 30), "u2"))
    source = open_source(path)
    (path / "zarr.json").write_text((path / "zarr.json").read_text() + "\n")
    with pytest.raises(SourceError, match="changed after it was opened"):
        source.read(source.info.box)
    shutil.rmtree(path)
    with pytest.raises(SourceError, match="no such file"):
        source.read(source.info.box)


@pytest.mark.parametrize("store", ["v3", "v3 uncompressed", "v3 sharded", "v3 dotted", "v2", "v2 nested"])
def test_chunks_written_anew_are_read_anew_and_change_the_fingerprint(tmp_path, store):
    """The metadata stay as they are; all that is new is one chunk, of the same size, and its time of change."""
    image = noise((61, 83), "u2") | 1
    path = write(tmp_path / "a", image, **STORES[store])
    first, same = open_source(path), open_source(path)
    assert_reads(first, image)
    assert first.fingerprint == same.fingerprint
    chunk = path / {"v3 dotted": "1.2", "v2": "1.2", "v2 nested": "1/2"}.get(store, "c/1/2")
    other = write(tmp_path / "b", image[::-1], **STORES[store]) / chunk.relative_to(path)
    stat = chunk.stat()
    chunk.write_bytes(other.read_bytes())
    os.utime(chunk, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    image[16:32, 48:72] = image[::-1][16:32, 48:72].copy()
    later = open_source(path)
    assert_reads(later, image)
    assert {k for k, v in later.fingerprint.items() if v != first.fingerprint[k]} == {"sample"}
    assert later.changed == stat.st_mtime_ns + 10**9 > first.changed
    for file in path.rglob("*"):
        os.utime(file, ns=(5, 5))
    assert open_source(path).fingerprint == later.fingerprint
    chunk.write_bytes(chunk.read_bytes() + b"0")
    assert open_source(path).fingerprint["stored"] != later.fingerprint["stored"]


def test_threads_and_pickle(tmp_path):
    image = noise((120, 100), "u2")
    source = pickle.loads(pickle.dumps(open_source(write(tmp_path / "a", image, chunks=(16, 16)))))  # noqa: S301
    tasks = list(boxes(image.shape, "yx", count=200))
    with ThreadPoolExecutor(16) as pool:
        for box, block in zip(tasks, pool.map(source.read, tasks), strict=True):
            np.testing.assert_array_equal(block, image[box.start[0] : box.stop[0], box.start[1] : box.stop[1]])


@pytest.mark.parametrize("plain", [False, True])
def test_unfinished_results_of_ours_are_refused_wherever_they_are_opened(tmp_path, plain):
    layout = Layout(ImageInfo((20, 30), "yx", np.dtype("u1"), (20, 30)), plain=plain)
    sink = ZarrSink(LocalStore(tmp_path / "a"), layout)
    sink.create()
    sink.writer.write(layout.info.box, np.ones((20, 30), np.uint8))
    for path in {sink.store.root, sink.store.root / sink.layout.array_key()}:
        with pytest.raises(SourceError, match=r"did not finish.*makes the rest"):
            open_source(path)
    sink.finish({})
    for path in {sink.store.root, sink.store.root / sink.layout.array_key()}:
        assert_reads(open_source(path), np.ones((20, 30), np.uint8))
