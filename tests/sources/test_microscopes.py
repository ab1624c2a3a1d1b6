"""Files that Zeiss' own library wrote, read by bioio: ``make test-microscopes``, in an environment of its own."""

import pickle
import sys

import numpy as np
import pytest
import zarr
from scipy import ndimage

import tileconv
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.sources.open import open_source

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 60_000, (2, 3, 70, 90)).astype(np.uint16)
"""Axes c, z, y, x."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    czi = pytest.importorskip("pylibCZIrw.czi", reason="a package of another environment: make test-microscopes")
    pytest.importorskip("bioio_czi")
    path = tmp_path_factory.mktemp("czi") / "a.czi"
    with czi.create_czi(str(path)) as file:
        for c, z in np.ndindex(2, 3):
            file.write(data=IMAGE[c, z][..., None], plane={"T": 0, "C": c, "Z": z})
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("doc", channel_names=names, scale_x=0.3e-6, scale_y=0.4e-6, scale_z=2e-6)
    return path


def test_pixels_axes_sizes_and_names_are_those_that_were_written(path):
    source = open_source(path)
    info = source.info
    assert (info.axes, info.shape, info.dtype) == ("czyx", IMAGE.shape, IMAGE.dtype)
    np.testing.assert_allclose(info.scale[1:], (2, 0.4, 0.3))
    assert info.units == ("", *["micrometer"] * 3)
    assert info.channels == ("DAPI", "GFP")
    np.testing.assert_array_equal(source.read(info.box), IMAGE)
    box = Box((1, 0, 10, 20), (2, 2, 33, 90))
    again = pickle.loads(pickle.dumps(source))  # noqa: S301  as workers get it
    np.testing.assert_array_equal(again.read(box), IMAGE[1:2, 0:2, 10:33, 20:])


def test_lengths_are_of_its_pixel_sizes(path, tmp_path):
    asked = {"version": 1, "stages": [{"op": "gaussian", "sigma": "0.6 um", "over": "zyx"}], "run": {"tile": 32}}
    report = tileconv.run(asked | {"output": {"path": str(tmp_path / "o.ome.zarr"), "chunks": 32}}, input=path)
    expected = [ndimage.gaussian_filter(c.astype(float), (0.3, 1.5, 2)) for c in IMAGE]
    np.testing.assert_allclose(zarr.open_array(report.output / "0", mode="r")[...], expected, rtol=0, atol=0.51)


def test_another_scene_a_level_and_a_chunk_over_the_limit_are_refused(path):
    for words, says in (({"series": 1}, "series"), ({"level": 1}, "level"), ({"max_chunk": 1000}, "limit is 1,000")):
        with pytest.raises(SourceError, match=says):
            open_source(path, **words)


def test_a_file_that_is_cut_off_is_an_error(path, tmp_path):
    (tmp_path / "a.czi").write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(SourceError, match=r"a\.czi"):
        tileconv.run(
            {"version": 1, "stages": [], "output": {"path": str(tmp_path / "o.zarr")}}, input=tmp_path / "a.czi"
        )


@pytest.mark.parametrize("head", [b"ZISRAWFILE", b"\x70\0\0\0", b"\xda\xce\xbe\x0a", b"OLYMPUSRAWFORMAT"])
def test_without_bioio_the_extra_is_named(tmp_path, monkeypatch, head):
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.img").write_bytes(head.ljust(5000, b"\1"))
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "a.img")
    assert caught.value.fix == "pip install 'tileconv[bioio]'"
