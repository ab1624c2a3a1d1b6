"""Chunks, shards and metadata as zarr itself would write them, and read back by it."""

import json
from itertools import product

import imagecodecs
import numpy as np
import pytest
import zarr
from numcodecs import Blosc, GZip, Zstd
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from tileconv.images import ImageInfo
from tileconv.sinks.encoding import decode, encode, encode_alike, intact, pack_index, unpack_index
from tileconv.sinks.layout import Layout
from tileconv.storage import CODECS, OF_KIND, Codec, Storage

DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
OF_STORES = [CODECS[name] for name in OF_KIND[""]]
OF_CODECS = [*OF_STORES, Codec("blosc", 5, "zstd", "shuffle"), Codec("zstd", 9, None, None)]
STORAGES = {
    f"{codec}, {checksum}, {format_}": Storage(codec, checksum, (), format_)
    for codec, (checksum, format_) in product(OF_CODECS, (("crc32c", "0.5"), ("none", "0.5"), ("none", "0.4")))
}


def image_info(dtype: str) -> ImageInfo:
    return ImageInfo((2, 50, 70), "cyx", np.dtype(dtype), (1, 32, 32))


def by_zarr(path, info: ImageInfo, storage: Storage) -> zarr.Array:
    codec, size = storage.codec, info.dtype.itemsize
    if storage.format == "0.4":
        made = {
            "blosc": lambda: Blosc(codec.cname, codec.level, {"shuffle": 1, "bitshuffle": 2}[codec.shuffle]),
            "zstd": lambda: Zstd(codec.level),
            "gzip": lambda: GZip(codec.level),
        }
    else:
        made = {
            "blosc": lambda: BloscCodec(
                cname=codec.cname, clevel=codec.level, shuffle=codec.shuffle, typesize=size, blocksize=0
            ),
            "zstd": lambda: ZstdCodec(level=codec.level),
            "gzip": lambda: GzipCodec(level=codec.level),
        }
    compressors = [made[codec.name]()] if codec.name in made else []
    return zarr.create_array(
        path,
        shape=info.shape,
        dtype=info.dtype,
        chunks=info.chunks,
        shards=storage.shards or None,
        compressors=[*compressors, *([Crc32cCodec()] if storage.checksum == "crc32c" else [])] or None,
        fill_value=0,
        dimension_names=None if storage.format == "0.4" else tuple(info.axes),
        zarr_format=2 if storage.format == "0.4" else 3,
        chunk_key_encoding={"name": "v2", "separator": "/"} if storage.format == "0.4" else None,
    )


def metadata_are_those_of_zarr(tmp_path, info, storage):
    name = ".zarray" if storage.format == "0.4" else "zarr.json"
    by_zarr(tmp_path / "theirs.zarr", info, storage)
    theirs = json.loads((tmp_path / "theirs.zarr" / name).read_text())
    theirs.pop("storage_transformers", None)  # optional, and empty
    if isinstance(theirs.get("compressor"), dict):
        theirs["compressor"].pop("checksum", None)  # of newer versions of numcodecs, and off
    assert Layout(info, storage=storage).metadata({})[f"0/{name}"] == theirs


@pytest.mark.parametrize("dtype", DTYPES)
def test_metadata_are_those_that_zarr_writes(tmp_path, dtype):
    metadata_are_those_of_zarr(tmp_path, image_info(dtype), Storage())


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_metadata_of_every_codec_are_those_that_zarr_writes(tmp_path, storage):
    metadata_are_those_of_zarr(tmp_path, image_info("u2"), storage)


@pytest.mark.parametrize("checksum", ["crc32c", "none"])
def test_metadata_of_shards_are_those_that_zarr_writes(tmp_path, checksum):
    metadata_are_those_of_zarr(tmp_path, image_info("f4"), Storage(checksum=checksum, shards=(2, 64, 96)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_chunks_are_those_that_zarr_writes(tmp_path, dtype, order):
    info = image_info(dtype)
    pixels = np.random.default_rng(1).integers(0, 100, info.chunks).astype(np.dtype(dtype).newbyteorder(order))
    theirs = by_zarr(tmp_path / "theirs.zarr", info, Storage())
    theirs[0:1, 0:32, 0:32] = pixels
    assert b"".join(encode(pixels, Storage())) == (tmp_path / "theirs.zarr" / "c" / "0" / "0" / "0").read_bytes()


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_zarr_reads_chunks_of_every_codec(tmp_path, storage, dtype):
    info = image_info(dtype)
    pixels = np.random.default_rng(1).integers(0, 100, info.chunks).astype(dtype)
    theirs = by_zarr(tmp_path / "ours.zarr", info, storage)
    file = tmp_path / "ours.zarr" / ("0/0/0" if storage.format == "0.4" else "c/0/0/0")
    file.parent.mkdir(parents=True)
    stored = b"".join(encode(pixels, storage))
    file.write_bytes(stored)
    np.testing.assert_array_equal(theirs[0:1, 0:32, 0:32], pixels)
    np.testing.assert_array_equal(decode(stored, storage, np.dtype(dtype), info.chunks), pixels)
    assert encode(pixels.copy(), storage) == encode(pixels, storage)  # no time and no name in it


@pytest.mark.parametrize("storage", [s for s in STORAGES.values() if s.checksum == "crc32c"], ids=str)
def test_a_flipped_bit_is_decoded_to_nothing(storage):
    pixels = np.random.default_rng(1).integers(0, 100, (32, 32), np.uint16)
    good = b"".join(encode(pixels, storage))
    for bit in np.random.default_rng(2).integers(0, 8 * len(good), 50).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert decode(bytes(bad), storage, pixels.dtype, pixels.shape) is None
    for bad in (b"", good[:3], good[:-1]):
        assert decode(bad, storage, pixels.dtype, pixels.shape) is None


@pytest.mark.parametrize("codec", OF_STORES, ids=str)
def test_bytes_of_another_length_are_no_chunk_whatever_they_decode_to(codec):
    storage = Storage(codec, "none")
    short = b"".join(encode(np.ones((8, 8), np.uint16), storage))
    assert decode(short, storage, np.dtype("u2"), (8, 9)) is None
    assert decode(b"nonsense", storage, np.dtype("u2"), (8, 8)) is None


@pytest.mark.parametrize("codec", OF_CODECS, ids=str)
def test_pixels_that_no_codec_makes_shorter_fit(codec):
    noise = np.random.default_rng(2).integers(0, 256, (512, 512), np.uint8)
    packed, checksum = encode(noise, Storage(codec))
    assert len(packed) >= noise.nbytes
    np.testing.assert_array_equal(decode(bytes(packed) + checksum, Storage(codec), noise.dtype, noise.shape), noise)
    if codec == CODECS["blosc"]:
        np.testing.assert_array_equal(np.frombuffer(imagecodecs.blosc_decode(packed), np.uint8), noise.ravel())
        assert intact(bytes(packed) + checksum, Storage())


def test_chunk_of_a_strided_view_is_encoded_as_its_pixels():
    pixels = np.arange(64 * 64, dtype="u2").reshape(64, 64)
    assert encode(pixels[::2, ::2], Storage()) == encode(pixels[::2, ::2].copy(), Storage())


def test_an_index_that_is_damaged_is_none():
    index = np.arange(12, dtype=np.uint64).reshape(2, 3, 2)
    end = pack_index(index)
    np.testing.assert_array_equal(unpack_index(end, (2, 3)), index)
    assert unpack_index(end[1:], (2, 3)) is None
    assert unpack_index(bytes([end[0] ^ 1]) + end[1:], (2, 3)) is None


@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_a_chunk_of_one_value_is_encoded_once_as_any_other(storage):
    for dtype in DTYPES:
        chunk = np.full((1, 32, 32), 7, dtype)
        made = [*map(bytes, encode(chunk, storage))]
        for _ in range(2):
            assert [*encode_alike(chunk.tobytes()[: chunk.itemsize], chunk.dtype, chunk.shape, storage)] == made
