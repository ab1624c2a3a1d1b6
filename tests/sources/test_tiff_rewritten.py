"""TIFF files that are written anew while they are known, and what the fuzzer found (tests/fuzz)."""

import os
import struct

import numpy as np
import pytest
import tifffile
from sources_help import assert_reads, noise

from tileconv.errors import SourceError
from tileconv.sources.open import open_source


def write(path, image, later=0, **options):
    """Write a file whose time of change is *later* by some seconds, whatever the clock of the file system shows."""
    tifffile.imwrite(path, image, metadata=None, **options)
    os.utime(path, ns=(10**18, 10**18 + later * 10**9))
    return path


def test_a_file_written_over_with_one_of_the_same_size(tmp_path):
    source = open_source(write(tmp_path / "a.tif", noise((40, 48), "u2"), tile=(16, 16)))
    before = (tmp_path / "a.tif").stat().st_size
    write(tmp_path / "a.tif", noise((40, 48), "u2", 1), later=1, tile=(16, 16))
    assert (tmp_path / "a.tif").stat().st_size == before
    with pytest.raises(SourceError, match="changed after it was opened"):
        source.read(source.info.box)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_decoded_pixels_are_those_of_the_file_as_it_is_now(tmp_path, compression):
    for later in range(3):
        image = noise((40, 48), "u2", later)
        path = write(tmp_path / "a.tif", image, later, tile=(16, 16), compression=compression)
        assert_reads(open_source(path), image)


def patched(path, code, change):
    """Change the entry of tag *code* of the first page: *change* takes and returns type, count and value."""
    data = bytearray(path.read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == code:
            struct.pack_into("<HII", data, entry + 2, *change(*struct.unpack_from("<HII", data, entry + 2)))
    path.write_bytes(data)
    return path


def test_what_the_fuzzer_found(tmp_path):
    """Eight bits under a codec for one bit were decoded to zeros; lost OME-XML made channels into planes."""
    fax = patched(write(tmp_path / "a.tif", noise((20, 33), "u1")), 259, lambda kind, count, _: (kind, count, 4))
    with pytest.raises(SourceError, match="compression 4 is for pixels of 1 bit, these have 8"):
        open_source(fax)
    lost = tmp_path / "b.ome.tif"
    image = np.ones((2, 3, 20, 17), np.uint8)
    tifffile.imwrite(lost, image, ome=True, photometric="minisblack", metadata={"axes": "CZYX"})
    assert open_source(lost).info.shape == image.shape
    patched(lost, 270, lambda kind, count, _: (kind, count, 2**24))
    with pytest.raises(SourceError, match="the description should lie at byte 16777216 of"):
        open_source(lost)
