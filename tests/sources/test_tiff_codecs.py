"""Every compression, predictor and photometric that TIFF files have: read, or refused by its name when it is opened."""

from __future__ import annotations

import itertools
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from sources_help import assert_reads, noise

from tileconv.errors import SourceError
from tileconv.sources.open import open_source

COMPRESSIONS = [one for one in tifffile.COMPRESSION if one not in (65000, 65001, 65002)]
"""All that tifffile has a name for, but for electron counts (EER), which are not written."""
WRITTEN = {
    *("NONE", "LZW", "JPEG", "ADOBE_DEFLATE", "DEFLATE", "PIXTIFF", "PACKBITS", "LZMA", "ZSTD", "ZSTD_DEPRECATED"),
    *("LERC", "JPEG_LOSSY", "JPEG2000", "JPEG_2000_LOSSY", "APERIO_JP2000_YCBC", "APERIO_JP2000_RGB", "PNG", "WEBP"),
    *("WEBP_DEPRECATED", "JPEGXR", "JPEGXR_NDPI", "JPEGXL", "JPEGXL_DNG"),
}


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda one: one.name)
def test_what_is_written_is_read(tmp_path, compression):
    """With every predictor and photometric that tifffile writes it with; a lossy codec gives what tifffile decodes."""
    written = 0
    for dtype, predictor, photometric in itertools.product(
        ("u1", "u2", "f4"), (None, 2, 3), ("minisblack", "rgb", "separated")
    ):
        samples = {"minisblack": (), "rgb": (3,), "separated": (4,)}[photometric]
        path = tmp_path / f"{dtype}{predictor}{photometric}.tif"
        options = {"compression": compression, "predictor": predictor, "photometric": photometric, "metadata": None}
        try:
            tifffile.imwrite(path, noise((32, 48, *samples), dtype), rowsperstrip=16, **options)
            expected = tifffile.imread(path)
        except Exception:  # noqa: S112  tifffile has many words for what it does not write
            continue
        written += 1
        source = open_source(path)
        found = source.read(source.info.box)
        np.testing.assert_array_equal(found, np.moveaxis(expected, -1, 0) if samples else expected)
    assert (written > 0) == (compression.name in WRITTEN)


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda one: one.name)
def test_a_codec_without_a_decoder_is_named_when_the_file_is_opened(tmp_path, compression):
    """Segments of random bytes: what no decoder reads is refused by the plan, not by a tile."""
    path = tmp_path / "a.tif"
    bilevel = compression in (2, 3, 4)
    tifffile.imwrite(path, noise((32, 48), "bool" if bilevel else "u1"), rowsperstrip=8, metadata=None)
    overwrite(path, "Compression", int(compression))
    if compression in (1, 2, 3, 4, 5, 32773):  # which make pixels of any bytes, or of most
        return
    with pytest.raises(SourceError, match=compression.name):
        open_source(path)


@pytest.mark.parametrize("form", ["tiff_ccitt", "group3", "group4"])
@pytest.mark.parametrize("options", [{}, {266: 2}, {278: 7}])
def test_fax(tmp_path, form, options):
    bits = noise((37, 61), "bool")
    bits[10:20] = True
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=form, tiffinfo=options)
    Image.fromarray(bits).save(tmp_path / "plain.tif")
    plain = open_source(tmp_path / "plain.tif")
    assert_reads(open_source(tmp_path / "a.tif"), plain.read(plain.info.box))
    assert_reads(plain, bits.astype("u1"))


def write_segments(path, segments, dtype, compression, **options):
    """Write a TIFF of 40 x 48 pixels whose strips of 16 rows are *segments* as they are."""
    options |= {"shape": (40, 48), "dtype": dtype, "rowsperstrip": 16, "metadata": None}
    tifffile.imwrite(path, iter(segments), compression=compression, **options)


def overwrite(path, tag, value):
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value)


STREAMS = {
    "adobe_deflate": zlib.compress,
    "deflate": zlib.compress,
    "pixtiff": zlib.compress,
    "lzma": imagecodecs.lzma_encode,
    "zstd": imagecodecs.zstd_encode,
    "lzw": imagecodecs.lzw_encode,
    "packbits": imagecodecs.packbits_encode,
}


@pytest.mark.parametrize("codec", STREAMS)
@pytest.mark.parametrize("predictor", [None, 2])
def test_a_strip_with_more_than_its_pixels(tmp_path, codec, predictor):
    """As writers do that fill the last strip up, or that count bytes generously."""
    image = noise((40, 48), "u2")
    coded = imagecodecs.delta_encode(image, axis=-1) if predictor else image
    for surplus in (0, 48 * 2 - 1):
        strips = [coded[at : at + 16].tobytes().ljust(16 * 48 * 2, b"\7") + b"\7" * surplus for at in (0, 16, 32)]
        write_segments(tmp_path / "a.tif", map(STREAMS[codec], strips), "u2", codec, predictor=predictor)
        source = open_source(tmp_path / "a.tif")
        np.testing.assert_array_equal(source.read(source.info.box), image)


@pytest.mark.parametrize("codec", ["adobe_deflate", "zstd", "packbits"])
def test_a_strip_with_a_row_more_than_the_others_is_refused(tmp_path, codec):
    """Such as 16 bits where 8 are declared: its pixels would be read, and wrongly."""
    strips = [bytes(17 * 48 * 2)] * 3
    write_segments(tmp_path / "a.tif", map(STREAMS[codec], strips), "u2", codec)
    with pytest.raises(SourceError, match=f"{codec.upper()} cannot be read"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", [4, 12])
def test_a_strip_of_packed_bits_with_more_than_its_pixels(tmp_path, bits):
    image = noise((40, 48), "u2" if bits > 8 else "u1") & (2**bits - 1)
    strips = [imagecodecs.packints_encode(image[at : at + 16], bits) + b"\7" * 23 for at in (0, 16, 32)]
    write_segments(tmp_path / "a.tif", map(zlib.compress, strips), image.dtype, "adobe_deflate")
    overwrite(tmp_path / "a.tif", "BitsPerSample", bits)
    assert_reads(open_source(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("codec", STREAMS)
def test_strips_with_less_than_their_pixels_are_refused_when_the_file_is_opened(tmp_path, codec):
    strips = [noise((rows, 48), "u2").tobytes()[:-2] for rows in (16, 16, 8)]
    write_segments(tmp_path / "a.tif", map(STREAMS[codec], strips), "u2", codec)
    with pytest.raises(SourceError, match=f"{codec.upper()} cannot be read"):
        open_source(tmp_path / "a.tif")


def test_old_jpeg_is_refused_by_the_plan_and_one_that_decodes_is_read(tmp_path):
    image = np.add.outer(np.arange(40), np.arange(48)).astype("u1")
    strips = [imagecodecs.jpeg8_encode(image[at : at + 16]) for at in (0, 16, 32)]
    for name, parts in (("whole.tif", strips), ("bare.tif", [strip[200:] for strip in strips])):
        write_segments(tmp_path / name, parts, "u1", "jpeg")
        overwrite(tmp_path / name, "Compression", 6)
    source = open_source(tmp_path / "whole.tif")
    np.testing.assert_allclose(source.read(source.info.box).astype(int), image, atol=8)
    with pytest.raises(SourceError, match="compression OJPEG cannot be read"):
        open_source(tmp_path / "bare.tif")


def test_one_damaged_strip_does_not_refuse_the_others(tmp_path):
    image = noise((40, 48), "u2")
    strips = [zlib.compress(image[at : at + 16].tobytes()) for at in (0, 16, 32)]
    strips[0] = strips[0][:9] + struct.pack("<Q", 7) * 9
    write_segments(tmp_path / "a.tif", strips, "u2", "adobe_deflate")
    source = open_source(tmp_path / "a.tif")
    with pytest.raises(SourceError, match="page 0, segment 0 cannot be read"):
        source.read(source.info.box)
