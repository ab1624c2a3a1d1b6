"""Damaged and hostile TIFF files are refused by name, and never read as zeros."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import tifffile
from sources_help import assert_reads, noise

from tileconv.errors import SourceError, TileconvError
from tileconv.sources.open import open_source

TILED = {"tile": (16, 16)}
PACKED = {"tile": (16, 16), "compression": "zstd"}


def write(path, image, **options):
    tifffile.imwrite(path, image, metadata=None, **options)
    return path


def patch(path, tag, values, *, page=0):
    """Overwrite the values of a tag where tifffile finds them."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        wide = np.max(values) > 65535
        file.pages[page].tags[tag].overwrite(values, dtype="I" if wide else None)


def read_all(path, **options):
    source = open_source(path, **options)
    return source.read(source.info.box)


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 5}, TILED, PACKED, {"compression": "lzw", "rowsperstrip": 8}])
def test_truncated_anywhere_is_refused_or_whole(tmp_path, options):
    image = noise((40, 48), "u2")
    whole = write(tmp_path / "a.tif", image, **options).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path = tmp_path / "b.tif"
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"b\.tif"):
            read_all(path)


def test_damaged_segment_is_named(tmp_path):
    path = write(tmp_path / "a.tif", noise((32, 32), "u2"), **PACKED)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[3]
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="page 0, segment 3 cannot be read"):
        read_all(path)


@pytest.mark.parametrize("compression", ["lzw", "zstd", "deflate", "packbits", "jpeg", "webp", "jpeg2000", "png"])
def test_segment_cut_short_is_named(tmp_path, compression):
    path = write(
        tmp_path / "a.tif", noise((64, 64, 3), "u1"), photometric="rgb", tile=(32, 32), compression=compression
    )
    read_all(path)
    with tifffile.TiffFile(path) as file:
        counts = list(file.pages[0].databytecounts)
    counts[1] //= 2
    patch(path, "TileByteCounts", counts)
    with pytest.raises(SourceError, match="page 0, segment 1 cannot be read"):
        read_all(path)


def test_file_that_shrinks_after_opening(tmp_path):
    path = write(tmp_path / "a.tif", noise((32, 32), "u2"), **TILED)
    source = open_source(path)
    os.truncate(path, 700)
    with pytest.raises(SourceError, match="changed after it was opened"):
        source.read(source.info.box)


@pytest.mark.parametrize("options", [TILED, PACKED])
@pytest.mark.parametrize(("nodata", "value"), [(None, 0), ("7", 7)])
def test_sparse_tiles_are_counted_and_read_as_nodata(tmp_path, options, nodata, value):
    image = noise((48, 32), "u2")
    tags = [(42113, "s", 0, nodata, True)] if nodata else []
    path = write(tmp_path / "a.tif", image, extratags=tags, **options)
    with tifffile.TiffFile(path) as file:
        offsets, counts = list(file.pages[0].dataoffsets), list(file.pages[0].databytecounts)
    offsets[2] = counts[2] = 0
    patch(path, "TileOffsets", offsets)
    patch(path, "TileByteCounts", counts)
    source = open_source(path)
    assert source.missing_chunks_total() == (1, 6)
    assert any("1 of 6 segments" in note for note in source.info.notes)
    image[16:32, :16] = value
    assert_reads(source, image)
    with pytest.raises(SourceError, match="segment 2 is not stored"):
        read_all(path, missing_chunks="error")
    patch(path, "TileOffsets", [0] * 6)
    patch(path, "TileByteCounts", [0] * 6)
    with pytest.raises(SourceError, match="holds no pixels"):
        open_source(path)


def test_a_strip_at_byte_zero_is_missing_and_not_the_header(tmp_path):
    path = write(tmp_path / "a.tif", noise((16, 16), "u1"))
    patch(path, "StripOffsets", [0])
    with pytest.raises(SourceError, match="found 256 at byte 0"):
        open_source(path)
    patch(path, "StripByteCounts", [0])
    with pytest.raises(SourceError, match="holds no pixels"):
        open_source(path)


@pytest.mark.parametrize(
    ("tag", "values", "found"),
    [
        ("TileOffsets", [0, 600, 600, 600], "segment 0"),
        ("TileOffsets", [600, 600, 600, 2**31], "segment 3"),
        ("TileByteCounts", [512, 512, 511, 512], "segment 2"),
        ("TileByteCounts", [512, 512, 512, 2**31], "segment 3"),
        ("TileOffsets", [600, 600], "found 2 offsets"),
        ("ImageWidth", 2**31 - 1, "segments"),
        ("ImageLength", 0, ""),
        ("TileWidth", 0, ""),
        ("TileLength", 2**31 - 16, ""),
        ("Compression", 61234, "61234"),
        ("BitsPerSample", 128, "found None|bits"),
        ("PhotometricInterpretation", 3, "palette"),
    ],
)
def test_contradicting_tags_are_refused(tmp_path, tag, values, found):
    path = write(tmp_path / "a.tif", noise((32, 32), "u2"), **TILED)
    patch(path, tag, values)
    with pytest.raises(SourceError, match=rf"a\.tif.*{found}"):
        read_all(path)


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "rowsperstrip": 32}])
def test_absurd_sizes_are_refused_without_allocating(tmp_path, options):
    path = write(tmp_path / "a.tif", noise((32, 32), "u2"), **options)
    for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
        patch(path, tag, 2**31 - 1)
    with pytest.raises(SourceError, match=r"a\.tif"):
        read_all(path)


def test_circle_of_pages_ends(tmp_path):
    image = noise((4, 16, 16), "u1")
    path = write(tmp_path / "a.tif", image, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[3].offset
        count = len(file.pages[3].tags)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, last + 2 + 12 * count, first)
    path.write_bytes(data)
    try:
        block = read_all(path)
    except SourceError:
        return
    np.testing.assert_array_equal(block, image)


@pytest.mark.parametrize("name", ["../b.tif", "/etc/hostname", "b.tif"])
def test_ome_xml_that_names_another_file_is_refused(tmp_path, name):
    image = noise((16, 16), "u1")
    (tmp_path / "in").mkdir()
    for other in (tmp_path / "b.tif", tmp_path / "in" / "b.tif"):
        write(other, image)
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="I"><Pixels ID="P" DimensionOrder="XYCZT" Type="uint8" SizeX="16" SizeY="16" SizeC="1" SizeZ="1"'
        f' SizeT="1"><TiffData IFD="0"><UUID FileName="{name}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    path = tmp_path / "in" / "a.ome.tif"
    write(path, image, description=xml)
    with pytest.raises(SourceError, match="another file"):
        open_source(path)
    write(path, image, description=xml.replace("urn:uuid:2", "urn:uuid:1"))
    assert_reads(open_source(path), image)
    write(path, image, description=xml.replace("<OME", '<!DOCTYPE OME [<!ENTITY a "b">]><OME', 1))
    with pytest.raises(SourceError, match="document type"):
        open_source(path)


def test_ome_xml_that_promises_more_planes_than_there_are(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise((2, 16, 16), "u1"), metadata={"axes": "ZYX"}, photometric="minisblack")
    data = path.read_bytes()
    assert data.count(b'SizeZ="2"') == 1
    path.write_bytes(data.replace(b'SizeZ="2"', b'SizeZ="4"'))
    with pytest.raises(SourceError, match=r"page 2 of 4 is not in the file|segments|found 2 pages"):
        read_all(path)


@pytest.mark.parametrize("options", [{"rowsperstrip": 5}, TILED, PACKED])
def test_flipped_header_bytes_never_leak_another_error(tmp_path, options):
    image = noise((24, 32), "u2")
    path = write(tmp_path / "a.tif", image, **options)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        header = min(file.pages[0].dataoffsets)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(250):
        data = bytearray(whole)
        for position in rng.integers(0, header, 2):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            source = open_source(path)
            if source.info.nbytes < 2**24:
                assert source.read(source.info.box).shape == source.info.shape
        except TileconvError as error:
            refused += "a.tif" in str(error)
    assert refused > 20
