"""Chunks and metadata as zarr itself would write them, and read back by it."""

import json

import imagecodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from tileconv.images import ImageInfo
from tileconv.sinks.encoding import array_metadata, encode, intact

DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")


def image_info(dtype: str) -> ImageInfo:
    return ImageInfo((2, 50, 70), "cyx", np.dtype(dtype), (1, 32, 32))


def by_zarr(path, info: ImageInfo) -> zarr.Array:
    blosc = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=info.dtype.itemsize, blocksize=0)
    return zarr.create_array(
        path,
        shape=info.shape,
        dtype=info.dtype,
        chunks=info.chunks,
        compressors=[blosc, Crc32cCodec()],
        fill_value=0,
        dimension_names=tuple(info.axes),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_metadata_are_those_that_zarr_writes(tmp_path, dtype):
    info = image_info(dtype)
    by_zarr(tmp_path / "theirs.zarr", info)
    theirs = json.loads((tmp_path / "theirs.zarr" / "zarr.json").read_text())
    theirs.pop("storage_transformers", None)  # optional, and empty
    assert array_metadata(info, {}) == theirs


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_chunks_are_those_that_zarr_writes(tmp_path, dtype, order):
    info = image_info(dtype)
    pixels = np.random.default_rng(1).integers(0, 100, info.chunks).astype(np.dtype(dtype).newbyteorder(order))
    theirs = by_zarr(tmp_path / "theirs.zarr", info)
    theirs[0:1, 0:32, 0:32] = pixels
    assert b"".join(encode(pixels)) == (tmp_path / "theirs.zarr" / "c" / "0" / "0" / "0").read_bytes()


def test_pixels_that_no_codec_makes_shorter_fit():
    noise = np.random.default_rng(2).integers(0, 256, (512, 512), np.uint8)
    packed, checksum = encode(noise)
    assert len(packed) > noise.nbytes
    np.testing.assert_array_equal(np.frombuffer(imagecodecs.blosc_decode(packed), np.uint8), noise.ravel())
    assert intact(bytes(packed) + checksum)


def test_chunk_of_a_strided_view_is_encoded_as_its_pixels():
    pixels = np.arange(64 * 64, dtype="u2").reshape(64, 64)
    assert encode(pixels[::2, ::2]) == encode(pixels[::2, ::2].copy())
