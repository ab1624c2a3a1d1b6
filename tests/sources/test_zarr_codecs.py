"""Every codec that Zarr arrays have here: read, or refused by its name when the array is opened."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs as names3
from sources_help import noise

from tileconv.errors import SourceError
from tileconv.sources.open import open_source

IMAGE = noise((20, 30), "u2")
V2 = {
    **{name: {"compressors": getattr(numcodecs, name)()} for name in ("Zlib", "GZip", "BZ2", "LZMA", "Zstd", "LZ4")},
    **{f"Blosc {name}": {"compressors": numcodecs.Blosc(cname=name)} for name in numcodecs.blosc.list_compressors()},
    **{
        name: {"filters": [getattr(numcodecs, name)()]} for name in ("CRC32", "Adler32", "Fletcher32", "JenkinsLookup3")
    },
    "Shuffle": {"filters": [numcodecs.Shuffle(2)]},
    "Delta": {"filters": [numcodecs.Delta("<u2")]},
    "FixedScaleOffset": {"filters": [numcodecs.FixedScaleOffset(offset=5, scale=0.5, dtype="<f4", astype="<i4")]},
    "Quantize": {"filters": [numcodecs.Quantize(2, "<f4")]},
    "BitRound": {"filters": [numcodecs.BitRound(8)]},
    "AsType": {"filters": [numcodecs.AsType("<i8", "<u2")]},
    "PackBits": {"filters": [numcodecs.PackBits()]},
    "big-endian F": {"order": "F", "dtype": ">u2"},
}
BYTES = {name: {} for name in ("Zlib", "GZip", "BZ2", "LZMA", "Zstd", "LZ4", "Blosc", "CRC32", "CRC32C", "Adler32")}
BYTES |= {"Fletcher32": {}, "Shuffle": {"elementsize": 2}}
FIXED = {"offset": 5, "scale": 0.5, "dtype": "<f4", "astype": "<i4"}
ARRAYS = {"Delta": {"dtype": "<u2"}, "BitRound": {"keepbits": 8}, "FixedScaleOffset": FIXED}
V3 = {
    **{name: lambda n=name: {"compressors": getattr(names3, n)(**BYTES[n])} for name in BYTES},
    **{name: lambda n=name: {"filters": getattr(names3, n)(**ARRAYS[n])} for name in ARRAYS},
    "transpose": lambda: {"filters": zarr.codecs.TransposeCodec(order=(1, 0))},
    "big-endian": lambda: {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "blosc": lambda: {"compressors": zarr.codecs.BloscCodec()},
    "gzip": lambda: {"compressors": [zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()]},
    "sharding": lambda: {"shards": (32, 32), "compressors": zarr.codecs.ZstdCodec()},
}
FLOATS = ("FixedScaleOffset", "Quantize", "BitRound")


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3")
@pytest.mark.parametrize(
    ("version", "codec"), [*((2, name) for name in V2), *((3, name) for name in V3)], ids=lambda value: str(value)
)
def test_what_zarr_writes_is_read(tmp_path, version, codec):
    """As Zarr itself reads it, where the codec loses something."""
    options = {"dtype": "f4" if codec in FLOATS else "?" if codec == "PackBits" else "u2"}
    options |= V2[codec] if version == 2 else V3[codec]()
    array = zarr.create_array(tmp_path / "a", shape=IMAGE.shape, chunks=(16, 16), zarr_format=version, **options)
    array[...] = IMAGE.astype(array.dtype)
    expected = array[...]
    np.testing.assert_allclose(expected, IMAGE.astype(array.dtype), rtol=0.01)
    source = open_source(tmp_path / "a")
    np.testing.assert_array_equal(source.read(source.info.box), expected.astype(source.info.dtype))


@pytest.mark.parametrize("codec", ["imagecodecs_jpegxl", "zfpy", "pcodec", "vlen-utf8", "pickle", "json2", "nonsense"])
@pytest.mark.parametrize("place", ["compressor", "filter", "codec"])
def test_a_codec_that_is_not_here_is_named_when_the_array_is_opened(tmp_path, codec, place):
    array = zarr.create_array(tmp_path / "a", data=IMAGE, chunks=(16, 16), zarr_format=3 if place == "codec" else 2)
    file = tmp_path / "a" / ("zarr.json" if place == "codec" else ".zarray")
    found = json.loads(file.read_text())
    change = {"compressor": {"compressor": {"id": codec}}, "filter": {"filters": [{"id": codec}]}}
    change |= {"codec": {"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": codec}]}}
    file.write_text(json.dumps(found | change[place]))
    assert array.ndim == 2
    with pytest.raises(SourceError, match=codec):
        open_source(tmp_path / "a")
