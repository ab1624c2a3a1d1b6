"""A result read again: where its first pixel lies, and what is refused when it is not whole."""

import numpy as np
import pytest
import tifffile
import zarr

import tileconv
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.images import ImageInfo
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore


def test_the_origin_moves_by_pixels_times_their_size(tmp_path):
    """A full run shifts the first pixel; a run on its result shifts it again, and a scale of 1 would hide a mistake."""
    image = np.arange(5 * 40 * 50, dtype=np.uint16).reshape(5, 40, 50)
    sizes = {"PhysicalSizeZ": 1.5, "PhysicalSizeY": 0.3, "PhysicalSizeX": 0.2}
    tifffile.imwrite(tmp_path / "a.ome.tif", image, metadata={"axes": "ZYX", **sizes})
    stage = {"op": "gaussian", "sigma": 1, "over": "zyx", "extent": "full"}
    for source, output, expected in (
        ("a.ome.tif", "b.zarr", [-6, -1.2, -0.8]),
        ("b.zarr", "c.zarr", [-12, -2.4, -1.6]),
    ):
        paths = {"input": {"path": str(tmp_path / source)}, "output": {"path": str(tmp_path / output)}}
        tileconv.run({"version": 1, "stages": [stage], **paths})
        (level,) = zarr.open_group(tmp_path / output).attrs["ome"]["multiscales"][0]["datasets"]
        scale, shift = level["coordinateTransformations"]
        assert scale["scale"] == pytest.approx([1.5, 0.3, 0.2])
        assert shift["translation"] == pytest.approx(expected)


def test_the_result_of_a_broken_off_run_is_no_input(tmp_path):
    sink = ZarrSink(LocalStore(tmp_path / "half.zarr"), Layout(ImageInfo((64, 64), "yx", np.dtype("u1"), (32, 32))))
    sink.create()
    sink.writer.write(Box((0, 0), (32, 32)), np.ones((32, 32), np.uint8))
    spec = {
        "version": 1,
        "input": {"path": str(sink.store.root)},
        "stages": [],
        "output": {"path": str(tmp_path / "o.zarr")},
    }
    with pytest.raises(SourceError, match="did not finish"):
        tileconv.run(spec)
