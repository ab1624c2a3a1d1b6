"""FITS files that astropy wrote: every type, compressed or not, several images, and where the pixels lie in the sky."""

import sys

import numpy as np
import pytest
import zarr

import tileconv
from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.sources.open import open_source

fits = pytest.importorskip("astropy.io.fits")
wcs = pytest.importorskip("astropy.wcs")
RNG = np.random.default_rng(7)
IMAGE = RNG.integers(0, 65536, (37, 53)).astype(np.uint16)
TYPES = ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")


def sky(ctype=("RA---TAN", "DEC--TAN")):
    """Return coordinates that are turned, sheared and of unequal scale."""
    world = wcs.WCS(naxis=2)
    world.wcs.crpix, world.wcs.cdelt, world.wcs.crval = [20.5, 11.25], [-2e-4, 3e-4], [150.0, 2.2]
    world.wcs.ctype, world.wcs.pc = ctype, [[0.9, -0.1], [0.2, 0.95]]
    return world


def distorted():
    """Return the same with a distortion of second order."""
    world = sky(("RA---TAN-SIP", "DEC--TAN-SIP"))
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], a[1, 1], b[0, 2], b[1, 1] = 1e-3, -2e-3, 3e-3, 1e-3
    world.sip = wcs.Sip(a, b, None, None, world.wcs.crpix)
    return world


def write(path, *units):
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path)
    return path


def windows(source):
    """Yield windows, the whole among them, with what the source reads there."""
    corner = Box(tuple(n // 3 for n in source.info.shape), tuple(n - n // 5 for n in source.info.shape))
    for box in (source.info.box, corner):
        yield tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True)), source.read(box)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["ImageHDU", "CompImageHDU"])
def test_windows_are_those_of_astropy(tmp_path, dtype, kind):
    if (kind, dtype) in {("CompImageHDU", "i8"), ("CompImageHDU", "u4")}:
        pytest.skip("the compression of FITS has no such pixels")
    pixels = (RNG.random((37, 53)) * 250).astype(dtype)
    path = write(tmp_path / "a.fits", getattr(fits, kind)(pixels))
    source = open_source(path)
    expected = fits.getdata(path, 1)
    assert source.info.dtype == np.dtype(dtype)
    assert source.info.axes == "yx"
    assert source.info.compressed == (kind == "CompImageHDU")
    for window, read in windows(source):
        assert read.flags.c_contiguous
        assert read.dtype.isnative
        np.testing.assert_array_equal(read, expected[window])


def test_axes_beyond_the_second_are_named_by_what_they_count(tmp_path):
    unit = fits.ImageHDU(RNG.random((2, 4, 5, 6)).astype("f4"))
    unit.header["CTYPE3"], unit.header["CTYPE4"] = "FREQ", "STOKES"
    path = write(tmp_path / "a.fits", unit)
    source = open_source(path)
    assert (source.info.axes, source.info.shape) == ("czyx", (2, 4, 5, 6))
    for window, read in windows(source):
        np.testing.assert_array_equal(read, fits.getdata(path, 1)[window])
    assert open_source(path, axes="tcyx").info.axes == "tcyx"


def test_every_image_of_a_file_is_a_series(tmp_path, call):
    path = write(tmp_path / "a.fits", fits.ImageHDU(IMAGE), fits.BinTableHDU.from_columns([]), fits.ImageHDU(IMAGE[1:]))
    assert [open_source(path, series=n).info.shape for n in (0, 1)] == [(37, 53), (36, 53)]
    with pytest.raises(SourceError, match="series"):
        open_source(path, series=2)
    (tmp_path / "a.yaml").write_text(
        "version: 1\ninput: {path: a.fits, series: all}\nstages: [{op: box}]\n"
        "output: {path: 'o/{series}.ome.zarr'}\nrun: {workers: 1}\n"
    )
    assert call("run", str(tmp_path / "a.yaml"))[0] == 0
    assert sorted(p.name for p in (tmp_path / "o").glob("*.ome.zarr")) == ["0.ome.zarr", "1.ome.zarr"]


@pytest.mark.parametrize("world", [sky(), distorted()], ids=["linear", "distorted"])
@pytest.mark.parametrize(
    ("stage", "input_", "first", "step"),
    [
        ({"op": "gaussian", "sigma": 1}, {"region": {"y": [5, 30], "x": [7, 50]}}, (7, 5), 1),
        ({"op": "box", "size": 5, "extent": "valid"}, {}, (2, 2), 1),
        ({"op": "box", "size": 3, "extent": "full"}, {}, (-1, -1), 1),
        ({"op": "pool", "method": "mean", "size": 3}, {}, (0, 0), 3),
    ],
    ids=["region", "valid", "full", "strides"],
)
def test_a_pixel_of_the_result_lies_where_it_lay(tmp_path, world, stage, input_, first, step):
    header = world.to_header(relax=True)
    path = write(tmp_path / "a.fits", fits.ImageHDU(IMAGE, header))
    out = tmp_path / "o.ome.zarr"
    pyramid = {"levels": 2}
    asked = {"version": 1, "input": input_, "stages": [stage], "output": {"path": str(out), "pyramid": pyramid}}
    tileconv.run(asked, input=path)
    for level in range(2):
        told = dict(zarr.open_array(out / str(level), mode="r").attrs)
        found = wcs.WCS(fits.Header(told["fits_wcs"]))
        at = np.array([[3.0, 4.0], [9.0, 2.5]])
        full = (at + 0.5) * 2**level - 0.5  # of a level, in pixels of the result
        np.testing.assert_allclose(
            found.all_pix2world(at, 0), world.all_pix2world(full * step + first, 0), rtol=0, atol=1e-10
        )
    again = open_source(out)
    assert again.info.georeference.attributes["fits_wcs"]["CTYPE1"] == world.wcs.ctype[0]


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "a.fits", fits.ImageHDU(IMAGE))
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(SourceError, match="cut off"):
        open_source(path)


def test_a_level_is_refused(tmp_path):
    path = write(tmp_path / "a.fits", fits.ImageHDU(IMAGE))
    with pytest.raises(SourceError, match="one level"):
        open_source(path, level=1)


def test_a_tile_larger_than_the_limit_is_refused(tmp_path):
    path = write(tmp_path / "a.fits", fits.CompImageHDU(IMAGE, tile_shape=(37, 53)))
    with pytest.raises(SourceError, match=r"3,922 bytes, the limit is 1,000"):
        open_source(path, max_chunk=1000)


def test_without_astropy_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.fits", fits.ImageHDU(IMAGE))
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert caught.value.fix == "pip install 'tileconv[fits]'"
