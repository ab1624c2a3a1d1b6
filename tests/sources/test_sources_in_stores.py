"""What lies in a store is read as what lies on a disk: the same pixels, by ranges, whatever the server does."""

from __future__ import annotations

import pickle
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sources.served import serving
from sources.sources_help import boxes, noise

from tileconv import run
from tileconv.errors import SourceError
from tileconv.sources.cache import CHUNKS
from tileconv.sources.open import open_source
from tileconv.stores.ahead import GAP_SHARE, RUN_BYTES, Ahead, Part, runs_of
from tileconv.stores.anywhere import Remote, opened
from tileconv.stores.location import Location
from tileconv.stores.memory import MemoryStore
from tileconv.stores.store import ChangedError

PIXELS = noise((70, 91), "u2")


def _tiff(**words):
    return lambda path: tifffile.imwrite(path, words.pop("data", PIXELS), **words)


def _zarr(**words):
    return lambda path: zarr.create_array(path, data=PIXELS, chunks=(16, 13), **words)


def _picture(path):
    Image.fromarray((PIXELS >> 8).astype("u1")).save(path)


FILES = {
    "tiles.tif": _tiff(tile=(16, 32), compression="zlib"),
    "plain_tiles.tif": _tiff(tile=(16, 32)),
    "strips.tif": _tiff(rowsperstrip=9, compression="lzw"),
    "one.tif": _tiff(),
    "big_endian.tif": _tiff(byteorder=">"),
    "floats.tif": _tiff(data=noise((5, 40, 50), "f4"), byteorder=">", predictor=3, compression="zlib"),
    "bits.tif": _tiff(data=noise((40, 50), "?")),
    "stack.ome.tif": _tiff(data=noise((2, 5, 40, 50), "u1"), metadata={"axes": "CZYX"}),
    "planar.tif": _tiff(data=noise((3, 40, 50), "u1"), photometric="rgb", planarconfig="separate", tile=(16, 16)),
    "imagej.tif": _tiff(data=noise((5, 40, 50), "u1"), imagej=True),
    "array.npy": lambda path: np.save(path, PIXELS),
    "turned.npy": lambda path: np.save(path, np.asfortranarray(noise((2, 40, 50), "i4")).astype(">i4")),
    "picture.png": _picture,
    "picture.jpg": _picture,
    "v2.zarr": _zarr(zarr_format=2),
    "v2_nested.zarr": _zarr(zarr_format=2, chunk_key_encoding={"name": "v2", "separator": "/"}),
    "v3.zarr": _zarr(),
    "plain.zarr": _zarr(compressors=None),
    "shards.zarr": _zarr(shards=(32, 39)),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """All files, on a disk and as objects."""
    folder = tmp_path_factory.mktemp("stored")
    for name, write in FILES.items():
        write(folder / name)
    group = zarr.create_group(folder / "image.zarr", zarr_format=2)
    group.create_array("0", data=PIXELS, chunks=(32, 32))
    zarr.consolidate_metadata(folder / "image.zarr")
    keys = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return SimpleNamespace(folder=folder, objects=keys)


@pytest.fixture(scope="module")
def web(stored):
    with serving(stored.objects) as served:
        yield served


@pytest.fixture
def served(stored):
    """A server of its own for a test that lets it fail; nothing is decoded before."""
    with serving(stored.objects) as served:
        yield served
    forget()


def forget():
    """Drop all that is kept decoded."""
    CHUNKS.get(object(), lambda: np.zeros(1), None, 0)


def url(served, name):
    return Location(f"{served.url}/{name}")


def pixels(source):
    return source.read(source.info.box)


def remote(kind, stored, web, name):
    if kind == "web":
        return url(web, name)
    store = MemoryStore()
    for key, data in stored.objects.items():
        store.write(key, [[data]])
    return Remote(store, name)


@pytest.mark.parametrize("kind", ["memory", "web"])
@pytest.mark.parametrize("name", [*FILES, "image.zarr"])
def test_the_same_pixels_as_from_a_disk(stored, web, name, kind):
    local = open_source(stored.folder / name)
    far = open_source(remote(kind, stored, web, name))
    assert far.info.shape == local.info.shape
    assert far.info.dtype == local.info.dtype
    assert far.info.notes == local.info.notes
    assert far.missing_chunks_total()[0] == local.missing_chunks_total()[0] == 0
    for box in boxes(local.info.shape, local.info.axes, count=4):
        np.testing.assert_array_equal(far.read(box), local.read(box), err_msg=str(box))
    far.check_stored()
    if kind == "web":
        again = pickle.loads(pickle.dumps(far))  # noqa: S301 our own bytes
        np.testing.assert_array_equal(pixels(again), pixels(local))
        assert again.fingerprint == far.fingerprint == open_source(url(web, name)).fingerprint


def test_a_run_gives_the_bytes_of_a_run_on_files(stored, web, tmp_path):
    outputs = []
    for number, place in enumerate([stored.folder / "tiles.tif", url(web, "tiles.tif"), url(web, "shards.zarr")]):
        spec = {
            "version": 1,
            "input": {"path": str(place)},
            "stages": [{"op": "gaussian", "sigma": 2}],
            "output": {"path": str(tmp_path / f"{number}.zarr"), "chunks": 32},
            "run": {"tile": 32},
        }
        run(spec)
        chunks = tmp_path / f"{number}.zarr" / "0"
        outputs.append({str(f.relative_to(chunks)): f.read_bytes() for f in chunks.rglob("*") if f.is_file()})
    assert len(outputs[0]) > 9
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize("status", [503, -1])
@pytest.mark.parametrize("name", ["tiles.tif", "shards.zarr"])
def test_a_server_that_fails_now_and_then_is_asked_again(served, name, status):
    """Every second request is refused, or its answer is cut in its middle."""
    served.fail = lambda _, number: status if number % 5 == 2 else 0
    np.testing.assert_array_equal(pixels(open_source(url(served, name))), PIXELS)
    assert served.sent


@pytest.mark.parametrize("name", ["tiles.tif", "one.tif", "array.npy", "shards.zarr", "v3.zarr"])
def test_what_is_replaced_while_it_is_read_is_told(served, name):
    source = open_source(url(served, name))
    source.read(next(iter(boxes(source.info.shape, source.info.axes, count=0))))
    part = {key: data for key, data in served.objects.items() if key.startswith(name)}
    forget()
    for key, data in part.items():  # of the same size
        served.objects[key] = data.replace(b"\x00", b"\x01") if "json" not in key else data.replace(b"0", b"1", 1)
    with pytest.raises(SourceError, match="changed after it was opened"):
        pixels(source)
    with pytest.raises(SourceError):
        source.check_stored()


@pytest.mark.parametrize("name", ["tiles.tif", "array.npy", "v3.zarr", "picture.png"])
def test_a_server_without_ranges_is_told(stored, name):
    with serving(stored.objects, ranges=False) as served, pytest.raises(SourceError) as caught:
        open_source(url(served, name))
    assert "Copy" in caught.value.fix


def test_a_server_that_states_no_version(stored):
    with serving(stored.objects, tags=False) as served:
        source = open_source(url(served, "tiles.tif"))
        np.testing.assert_array_equal(pixels(source), PIXELS)
        assert source.fingerprint == open_source(stored.folder / "tiles.tif").fingerprint


@pytest.mark.parametrize(("name", "key"), [("v3.zarr", "c/1/2"), ("v2.zarr", "1.2"), ("shards.zarr", "c/1/1")])
def test_a_chunk_that_is_not_there_is_missing_and_one_that_is_refused_an_error(served, name, key):
    del served.objects[f"{name}/{key}"]
    source = open_source(url(served, name))
    assert source.missing_chunks_total()[0] == 1
    assert "1 of " in source.info.notes[-1]
    assert not pixels(source)[33:47, 40:51].any() or name != "shards.zarr"
    assert not pixels(source)[16:32, 26:39].any() or name == "shards.zarr"
    with pytest.raises(SourceError, match="is not stored"):
        pixels(open_source(url(served, name), missing_chunks="error"))
    forget()
    served.fail = lambda path, _: 403 if path == f"{name}/{key}" else 0
    if name == "shards.zarr":  # of which it is known that it is not there
        return
    with pytest.raises(SourceError, match="403"):
        pixels(source)


def test_nothing_at_a_url(served):
    with pytest.raises(SourceError, match="found nothing"):
        open_source(url(served, "other.tif"))


def test_a_store_that_tells_of_nothing_else(served):
    """What it does not hold it refuses, as buckets do that may not be listed."""
    served.fail = lambda path, _: 403 if path not in served.objects else 0
    for name in ("tiles.tif", "v2.zarr"):
        np.testing.assert_array_equal(pixels(open_source(url(served, name))), PIXELS)


def test_a_group_on_the_web_needs_its_metadata_in_one(served):
    del served.objects["image.zarr/.zmetadata"]
    with pytest.raises(SourceError, match="does not list"):
        open_source(url(served, "image.zarr"))
    np.testing.assert_array_equal(pixels(open_source(url(served, "image.zarr/0"))), PIXELS)


def test_few_requests_bring_little_more_than_the_segments(tmp_path):
    data = noise((1024, 1024), "u2")
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(64, 64), compression="zlib")
    with serving({"a.tif": (tmp_path / "a.tif").read_bytes()}) as served:
        source = open_source(url(served, "a.tif"))
        served.forget()
        np.testing.assert_array_equal(pixels(source), data)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            needed = sum(file.pages[0].databytecounts)
        assert needed <= served.sent <= 1.01 * needed
        assert served.count <= 2 + needed // RUN_BYTES


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 9_000)), min_size=1, max_size=30))
def test_runs_hold_every_part_and_few_bytes_beside(places):
    place = Remote(MemoryStore(), "a")
    parts = [Part(place, start, start + size) for start, size in dict(places).items()]
    runs = [*runs_of(parts)]
    assert sorted(part for one in runs for part in one.parts) == sorted(parts)
    for one in runs:
        ends = sorted((part.start, part.stop) for part in one.parts)
        gaps = stop = 0
        for start, end in ends:
            gaps, stop = gaps + (max(0, start - stop) if stop else 0), max(stop, end)
        assert GAP_SHARE * gaps <= one.size <= RUN_BYTES or len(one.parts) == 1
        assert (one.whole.start, one.whole.stop) == (ends[0][0], stop)
    first = [min(map(parts.index, one.parts)) for one in runs]
    assert all(one < other for one, other in pairwise(first))


def test_two_readers_fetch_a_part_once():
    class Counting(MemoryStore):
        asked = 0

        def read(self, key, start, stop, version=""):
            self.asked += 1
            return super().read(key, start, stop, version)

    store = Counting()
    store.write("a", [[bytes(range(100))]])
    part = Part(Remote(store, "a"), 10, 20)
    with Ahead([part]) as one, Ahead([part]) as other:
        assert one.read(part) == other.read(part) == bytes(range(10, 20))
        one.done(part)
        assert other.read(part) == bytes(range(10, 20))
    assert store.asked == 1
    assert Part(part.place, 95, 200).read() == bytes(range(95, 100))


def test_an_object_as_a_file(stored):
    store = MemoryStore()
    data = stored.objects["one.tif"] * 9
    store.write("a", [[data]])
    rng = np.random.default_rng(3)
    with opened(Remote(store, "a")) as file:
        for at, count in rng.integers(0, len(data) + 9, (50, 2)).tolist():
            file.seek(at)
            assert file.read(count) == data[at : at + count]
        version = store.stat("a").version
        store.write("a", [[data]])
        with opened(Remote(store, "a"), version) as old, pytest.raises(ChangedError):
            old.read(1)
