"""Sinks for tests, and images to fill them with."""

import numpy as np

from tileconv.boxes import TileGrid
from tileconv.images import ImageInfo
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.storage import Storage
from tileconv.stores import steady
from tileconv.stores.local import LocalStore

KINDS = {
    "array": {"plain": True},
    "image": {},
    "shards": {"storage": Storage(shards=(16, 16))},
    "0.4": {"storage": Storage(checksum="none", format="0.4")},
}


def sink_of(path, shape=(50, 37), dtype="float32", chunks=(16, 16), axes="yx", **fields):
    store = LocalStore(steady.resolve(path))
    return ZarrSink(store, Layout(ImageInfo(shape, axes, np.dtype(dtype), chunks), **fields))


def array_of(sink):
    return sink.store.root / sink.layout.array_key()


def image_of(sink, seed=0):
    values = np.random.default_rng(seed).integers(0, 200, sink.layout.info.shape)
    return values.astype(sink.layout.info.dtype)


def fill(sink, image, tile):
    """Write *image* in tiles of *tile*; return the digest of each."""
    whole = sink.layout.info.box
    return {box: sink.writer.write(box, image[box.within(whole)]) for box in TileGrid(whole, tile)}
