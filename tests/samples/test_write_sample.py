"""Samples on disk: the right pixels, in either format, with progress and refusals."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from PIL import Image

from tileconv.boxes import Box
from tileconv.errors import PlanError, SinkError, SourceError
from tileconv.samples import sample_names, write_sample
from tileconv.samples.real import PHOTOGRAPHS, photograph
from tileconv.samples.synthetic import synthetic


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_there(name):
    pixels = photograph(name)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2 or pixels.shape[0] == 3
    assert pixels.std() > 10


def test_hubble_as_tiff_is_the_photograph(tmp_path):
    import skimage

    info = write_sample("hubble", tmp_path / "hubble.tif")
    assert (info.shape, info.axes) == ((3, 872, 1000), "cyx")
    original = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / "hubble_deep_field.jpg"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "hubble.tif"), original)


def test_a_photograph_as_ome_zarr(tmp_path):
    write_sample("coffee", tmp_path / "coffee.ome.zarr", tile=128)
    yaozarrs.validate_zarr_store(str(tmp_path / "coffee.ome.zarr"))
    group = zarr.open_group(tmp_path / "coffee.ome.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], photograph("coffee"))
    assert [c["label"] for c in group.attrs["ome"]["omero"]["channels"]] == ["red", "green", "blue"]
    assert group.attrs["tileconv"] == {"complete": True, "sample": "coffee"}


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".zarr"])
@pytest.mark.parametrize("dtype", [None, "int16", "float32"])
def test_the_synthetic_image_is_the_same_in_every_format(tmp_path, suffix, dtype):
    output = tmp_path / f"out{suffix}"
    calls = []
    write_sample(
        "synthetic", output, shape=(100, 70), dtype=dtype, seed=4, tile=32, progress=lambda *n: calls.append(n)
    )
    stored = zarr.open_array(output / "0", mode="r")[:] if suffix == ".zarr" else tifffile.imread(output)
    np.testing.assert_array_equal(stored, synthetic(Box((0, 0), (100, 70)), 4, dtype or "uint16"))
    assert calls == [(n, 12) for n in range(1, 13)]


@pytest.mark.parametrize("compression", ["deflate", "lzw", "zstd"])
def test_a_tiff_is_compressed_behind_a_predictor(tmp_path, compression):
    write_sample("synthetic", tmp_path / "a.tif", shape=(50, 70), tile=32, compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert (file.pages.first.tile, file.pages.first.predictor) == ((32, 32), 2)
        np.testing.assert_array_equal(file.asarray(), synthetic(Box((0, 0), (50, 70)), 0, "uint16"))


def test_tiles_that_a_tiff_cannot_have(tmp_path):
    with pytest.raises(SinkError, match="multiples of 16 pixels, found 20"):
        write_sample("synthetic", tmp_path / "a.tif", shape=(50, 70), tile=20)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_height(tmp_path):
    def peak(height):
        tracemalloc.start()
        try:
            write_sample("synthetic", tmp_path / f"{height}.tif", shape=(height, 512), tile=64)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(64)
    assert peak(4096) < 1.25 * peak(512) + 64 * 512 * 2


def test_existing_outputs_need_overwrite(tmp_path):
    for output in (tmp_path / "out.tif", tmp_path / "out.zarr"):
        write_sample("synthetic", output, shape=(20, 20))
        with pytest.raises(SinkError, match="already exists"):
            write_sample("camera", output)
        write_sample("camera", output, overwrite=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), photograph("camera"))


@pytest.mark.parametrize(
    ("name", "output", "options", "problem"),
    [
        ("hubbel", "x.tif", {}, "there is no sample 'hubbel'. Did you mean 'hubble'?"),
        ("qqq", "x.tif", {}, "there is no sample 'qqq'. The samples are astronaut"),
        ("camera", "x.png", {}, "expected a TIFF or a Zarr store, found the suffix '.png'"),
        ("camera", "x.tif", {"shape": (5, 5)}, "a photograph has its own"),
        ("camera", "x.tif", {"dtype": "uint8"}, "a photograph has its own"),
        ("camera", "x.zarr", {"compression": "lzw"}, "OME-Zarr always uses zstd"),
        ("camera", "x.zarr", {"tile": 0}, "at least 1 pixel"),
        ("synthetic", "x.tif", {"dtype": "int64"}, "found int64"),
        ("synthetic", "x.tif", {"shape": (0, 5)}, "sides of 1 to 2**31 pixels"),
        ("synthetic", "x.tif", {"shape": (5,)}, "sides of 1 to 2**31 pixels"),
    ],
)
def test_what_does_not_suit_is_refused_before_anything_is_written(tmp_path, name, output, options, problem):
    with pytest.raises(PlanError) as caught:
        write_sample(name, tmp_path / output, **options)
    assert problem in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_scikit_image_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(SourceError, match=r"pip install 'tileconv\[sample\]'"):
        photograph("hubble")


def test_names_for_help():
    assert {"hubble", "camera", "synthetic"} <= set(sample_names())
