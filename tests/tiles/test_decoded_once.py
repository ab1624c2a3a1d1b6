"""Every compressed chunk of the input is decoded once, however many tiles touch it, and waits no longer than needed."""

import os
from collections import Counter
from dataclasses import replace
from itertools import product
from math import prod
from threading import Event

import numpy as np
import pytest
import strategies
import tifffile
import zarr
from oracles.counting import CountingSource
from properties.runs_help import MACHINE, pipeline, windows

from tileconv.boxes import Box
from tileconv.execute.local import threads
from tileconv.planning.build import make_plan
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.sources.cache import CHUNKS, Cache
from tileconv.sources.open import open_source
from tileconv.sources.tiff import TiffSource
from tileconv.sources.zarr import ZarrSource
from tileconv.spec import spec_from_mapping
from tileconv.stores.local import LocalStore
from tileconv.tiles.windows import Job, reads_of

CHAIN = [{"op": "gaussian", "sigma": 1}, {"op": "sobel"}]


def tiff(shape, axes=None, **options):
    def write(path, image):
        tifffile.imwrite(path, image, compression="deflate", predictor=True, **{"tile": (16, 16), **options})

    return shape, axes, write, (16, 16)


def store(shape, chunks, axes=None, **options):
    def write(path, image):
        made = zarr.create_array(path, shape=shape, dtype=image.dtype, chunks=chunks, **options)
        made[...] = image

    return shape, axes, write, chunks


INPUTS = {
    "tiles": tiff((150, 170)),
    "strips": (*tiff((150, 170), tile=None, rowsperstrip=7)[:3], (7, 170)),
    "pages": (*tiff((3, 80, 70), axes="tyx", photometric="minisblack")[:3], (1, 16, 16)),
    "colour": (*tiff((80, 90, 3), axes="yxc", photometric="rgb")[:3], (16, 16, 3)),
    "volume": (*tiff((7, 50, 60), axes="zyx", volumetric=True, tile=(4, 16, 16))[:3], (4, 16, 16)),
    "Zarr": store((150, 170), (16, 24)),
    "Zarr of format 2": store((150, 170), (13, 50), zarr_format=2),
    "shards": store((150, 170), (10, 12), shards=(40, 48)),
    "deep chunks": store((7, 50, 60), (3, 16, 16), axes="zyx"),
    "one chunk": store((50, 60), (100, 100)),
}
RUNS = {
    "chain": (CHAIN, {}, 32),
    "tiles smaller than the halo": ([{"op": "gaussian", "sigma": 3}], {}, 8),
    "wrap": (CHAIN, {"border": "wrap"}, 32),
    "full": ([CHAIN[0] | {"extent": "full"}], {}, 40),
    "valid": ([CHAIN[0] | {"extent": "valid"}], {}, 40),
    "copy": ([], {}, 24),
}

LONG = os.environ.get("TILECONV_PROFILE") == "long"


@pytest.fixture
def decoded(monkeypatch):
    """How often each chunk was decoded from here on; the cache is empty."""
    counts = Counter()
    for kind in (TiffSource, ZarrSource):

        def decode(self, *chunk, make=kind._decode):
            counts[chunk[-2:]] += 1
            return make(self, *chunk)

        monkeypatch.setattr(kind, "_decode", decode)
    CHUNKS.get("nothing", lambda: np.empty(0), 1, 0)
    assert CHUNKS._weight == 0
    return counts


@pytest.fixture
def most(monkeypatch):
    """The bytes that the cache held at most."""
    weights = [0]
    keep = Cache._keep

    def kept(self, *arguments):
        keep(self, *arguments)
        if self is CHUNKS:
            weights.append(self._weight)

    monkeypatch.setattr(Cache, "_keep", kept)
    return lambda: max(weights)


def job_of(folder, what, how, **words):
    """Return one pass over a written file, and its plan's source."""
    (shape, axes, write, chunk), (stages, more, tile) = INPUTS[what], RUNS[how]
    image = strategies.pixels(shape, "uint16", 0)
    write(folder / "image", image)
    output = {"path": str(folder / "out.zarr"), "chunks": tile, "dtype": "float32"}
    mapping = pipeline(stages, output=output, input_={"path": str(folder / "image")} | ({"axes": axes} if axes else {}))
    mapping |= more | {"run": mapping["run"] | {"tile": tile, "workers": 1, "halo_method": "windows"} | words}
    source = open_source(folder / "image", axes=axes)
    (job,) = make_plan(spec_from_mapping(mapping), source.info, MACHINE, cache_bytes=source.cache_bytes).passes
    sink = ZarrSink(LocalStore(folder / "out.zarr"), Layout(job.writes[0].info))
    sink.create()
    chunks = prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    return Job(job, (source,), (sink,)), chunks, (mapping, image, axes)


@pytest.mark.parametrize(
    ("what", "how"),
    [pair for n, pair in enumerate(product(INPUTS, RUNS)) if LONG or (n + n // len(RUNS)) % 3 == 0],
)
def test_one_worker_decodes_every_chunk_once_within_what_the_plan_counts(tmp_path, decoded, most, what, how):
    job, chunks, _ = job_of(tmp_path, what, how)
    for box in job.pass_.grid:
        job.run(box)
    assert set(decoded.values()) == {1}
    assert len(decoded) == chunks
    assert CHUNKS._weight == 0  # the last tile that needs a chunk lets go of it
    assert most() <= job.pass_.cache_bytes


@pytest.mark.parametrize("what", ["tiles", "Zarr", "shards", "volume"])
def test_two_workers_decode_every_chunk_once_where_there_is_room(tmp_path, decoded, what):
    """In whatever order tiles come; what the plan counts is for workers that are about as fast as one another."""
    job, chunks, _ = job_of(tmp_path, what, "chain")
    job = replace(job, pass_=replace(job.pass_, cache_bytes=2**30))
    heard = []
    threads(2, ((job, tile) for tile in job.pass_.grid), Event(), lambda _, *receipts: heard.extend(receipts))
    assert [receipt.tile for receipt in sorted(heard, key=lambda r: r.tile.start)] == list(job.pass_.grid)
    assert (len(decoded), set(decoded.values())) == (chunks, {1})
    assert CHUNKS._weight == 0


@pytest.mark.parametrize("what", ["tiles", "colour", "deep chunks"])
def test_a_small_cache_changes_no_byte(tmp_path, decoded, most, what):
    job, chunks, (mapping, image, axes) = job_of(tmp_path, what, "chain")
    room = job.pass_.cache_bytes // 8
    for box in job.pass_.grid:
        replace(job, pass_=replace(job.pass_, cache_bytes=room)).run(box)
    assert most() <= room
    assert len(decoded) == chunks < sum(decoded.values())
    if axes and "c" in axes:
        image, axes = np.moveaxis(image, -1, 0), "cyx"
    expected, _ = windows(mapping, image, axes)
    assert np.array_equal(zarr.open_array(tmp_path / "out.zarr" / "0", mode="r")[...], expected)


@pytest.mark.parametrize("how", RUNS)
def test_boxes_that_touch_a_window_are_counted_without_reading_them(tmp_path, how):
    """Against the boxes that are read, pixel by pixel."""
    job, _, _ = job_of(tmp_path, "tiles", how)
    source = CountingSource(job.sources[0])
    for box in job.pass_.grid:
        Job(job.pass_, (source,), job.sinks).run(box)
    touched = np.zeros(source.info.shape, int)
    for box in source.boxes:
        touched[box.within(source.info.box)] += 1
    for at in np.ndindex(9, 10):
        point = tuple(17 * i for i in at)
        assert reads_of(job.pass_).touching(tuple(slice(p, p + 1) for p in point)) == touched[point]
    wide = Box((20, 33), (51, 90))
    assert reads_of(job.pass_).touching((slice(20, 51), slice(33, 90))) == sum(
        all(a < d and c < b for a, b, c, d in zip(box.start, box.stop, wide.start, wide.stop, strict=True))
        for box in source.boxes
    )


def test_colour_in_tiles_of_one_channel_is_decoded_once(tmp_path, decoded):
    job, chunks, _ = job_of(tmp_path, "colour", "chain", tile={"c": 1, "y": 32, "x": 32})
    assert job.pass_.grid.tile == (1, 32, 32)
    for box in job.pass_.grid:
        job.run(box)
    assert (len(decoded), set(decoded.values())) == (chunks, {1})
