"""``.npy``, PNG and JPEG, memory, and the choice between kinds of files."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from sources_help import assert_reads, noise

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.sources.memory import MemorySource
from tileconv.sources.open import open_source
from tileconv.sources.raster import PictureSource
from tileconv.sources.source import Source


def first_pixel(path):
    return open_source(path).read(Box((0, 0), (1, 1)))


@pytest.mark.parametrize("dtype", ["u1", ">i2", "f2", "f8", "u8", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, dtype, order):
    image = noise((3, 20, 31), np.dtype(dtype).newbyteorder("="))
    np.save(tmp_path / "a.dat", np.asarray(image.astype(dtype), order=order))
    (tmp_path / "a.dat.npy").rename(tmp_path / "a.dat")
    source = open_source(tmp_path / "a.dat")
    assert isinstance(source, Source)
    assert source.info.axes == "zyx"
    assert any("names no axes" in note for note in source.info.notes)
    expected = image.astype("u1") if dtype == "bool" else image
    assert_reads(source, expected)
    turned = pickle.loads(pickle.dumps(open_source(tmp_path / "a.dat", axes="xcy")))  # noqa: S301
    assert not turned.info.notes
    assert_reads(turned, np.moveaxis(expected, 0, -1))


PEAK = """
import sys
from tileconv.boxes import Box
from tileconv.execute.report import peak_bytes
from tileconv.sources.open import open_source
source, (rows, columns) = open_source(sys.argv[1]), (8192, 8192)
source.read(Box((0, 0), (1, 1)))
before = peak_bytes()
for start in range(0, rows, 1024):
    source.read(Box((start, 0), (start + 1024, 1024)))
    source.read(Box((0, start), (1024, start + 1024)))
print(peak_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory of a process of its own is Linux's to tell")
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_leaves_no_memory_behind(tmp_path, order):
    """256 MiB (a sparse file) read in windows of 4 MiB: the pages of a memory map would stay in the process."""
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": order == "F", "shape": (8192, 8192)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * 8192 * 8192)
    found = subprocess.run([sys.executable, "-c", PEAK, str(path)], check=True, capture_output=True, text=True)
    assert int(found.stdout) < 24 * 2**20


def test_npy_that_lies(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, noise((20, 30), "u2"))
    whole = path.read_bytes()
    for length in (8, 60, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"a\.npy"):
            open_source(path)
    path.write_bytes(whole.replace(b"(20, 30)", b"(20, 99)"))
    with pytest.raises(SourceError, match=r"a\.npy"):
        open_source(path)
    np.save(path, np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(SourceError, match="found object"):
        open_source(path)
    np.save(path, np.zeros((4, 4), complex))
    with pytest.raises(SourceError, match="integers or floats"):
        open_source(path)
    np.save(path, np.zeros((0, 4)))
    with pytest.raises(SourceError, match="no pixels"):
        open_source(path)
    np.save(path, np.zeros(4))
    with pytest.raises(SourceError, match="2 to 5 axes"):
        open_source(path)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png(tmp_path, channels, dtype):
    image = noise((20, 31, channels), dtype)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(image[..., 0] if channels == 1 else image))
    source = open_source(path)
    assert_reads(source, image[..., 0] if channels == 1 else np.moveaxis(image, -1, 0))
    assert source.cache_bytes == image.nbytes
    alpha = channels in (2, 4)
    assert source.info.notes == ("the last sample is alpha",) * alpha
    assert source.info.alpha == "straight" * alpha


def test_png_of_one_bit_and_of_a_palette(tmp_path):
    bits = noise((20, 31), "bool")
    Image.fromarray(bits).save(tmp_path / "bits.png")
    assert_reads(open_source(tmp_path / "bits.png"), bits.astype("u1"))
    colours = noise((4, 3), "u1")
    indices = noise((20, 31), "u1") % 4
    picture = Image.new("P", (31, 20))
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(colours.ravel().tolist())
    picture.save(tmp_path / "palette.png")
    source = open_source(tmp_path / "palette.png")
    assert any("palette is applied" in note for note in source.info.notes)
    assert_reads(source, np.moveaxis(colours[indices], -1, 0))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_equals_what_pillow_decodes(tmp_path, mode):
    Image.fromarray(noise((20, 31, 3), "u1")).convert(mode).save(tmp_path / "a.jpg")
    expected = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert_reads(open_source(tmp_path / "a.jpg"), expected if mode == "L" else np.moveaxis(expected, -1, 0))


def test_picture_over_the_limit_is_refused_before_decoding(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (40, 30)).save(path)
    assert PictureSource(path, pixel_limit=1200).info.shape == (30, 40)
    with pytest.raises(SourceError, match=r"40 x 30 px, the limit is 1199"):
        PictureSource(path, pixel_limit=1199)
    data = bytearray(path.read_bytes())
    for side in (4_000, 60_000):
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
        with pytest.raises(
            SourceError, match=rf"a\.png: its header declares {side} x {side} px, and a file of \d+ bytes"
        ):
            first_pixel(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damaged_pictures_are_refused(tmp_path, name):
    Image.fromarray(noise((64, 64, 3), "u1")).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for length in (10, 40, len(whole) // 2):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(SourceError, match=name):
            first_pixel(tmp_path / name)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.tif").write_text("not a TIFF")
    with pytest.raises(SourceError, match=r"expected a TIFF, .*found a file that begins with b'not a TI'"):
        open_source(tmp_path / "a.tif")
    (tmp_path / "empty.tif").write_bytes(b"")
    with pytest.raises(SourceError, match="an empty file"):
        open_source(tmp_path / "empty.tif")
    with pytest.raises(SourceError, match="found nothing"):
        open_source(tmp_path / "absent.tif")
    with pytest.raises(SourceError, match=r"folder without zarr\.json"):
        open_source(tmp_path)
    Image.new("L", (4, 3)).save(tmp_path / "misnamed.tif", "PNG")
    assert open_source(tmp_path / "misnamed.tif").info.shape == (3, 4)
    with pytest.raises(SourceError, match="one image only"):
        open_source(tmp_path / "misnamed.tif", series=1)


def test_memory(tmp_path):
    image = noise((3, 20, 31), "i2").astype(">i2")
    source = MemorySource(image, "cyx")
    assert isinstance(source, Source)
    assert_reads(source, image.astype("i2"))
    assert not np.shares_memory(source.read(source.info.box), image)
    assert source.fingerprint == MemorySource(image.copy()).fingerprint
    assert source.fingerprint != MemorySource(image + 1).fingerprint
