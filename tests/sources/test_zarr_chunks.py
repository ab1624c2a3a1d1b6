"""Zarr arrays read without Zarr's library: what it says of them, and never other pixels than it decodes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import zarr
from numcodecs import LZ4, Blosc, Delta, GZip, Zstd
from sources_help import assert_reads, noise
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from tileconv.boxes import Box
from tileconv.errors import SourceError
from tileconv.sources import zarr_store
from tileconv.sources.open import open_source
from tileconv.sources.zarr_node import ArrayNode, node_of

LONG = os.environ.get("TILECONV_PROFILE") == "long"
IMAGE = noise((40, 50), "u2") | 1
KNOWN = {
    "plain": {"compressors": None},
    "zstd": {"compressors": ZstdCodec(level=3, checksum=True)},
    "gzip, checksum": {"compressors": [GzipCodec(), Crc32cCodec()]},
    **{
        f"blosc {name}": {"compressors": BloscCodec(cname=name)} for name in ("lz4", "lz4hc", "blosclz", "zlib", "zstd")
    },
    "blosc, checksum": {"compressors": [BloscCodec(cname="lz4", shuffle="bitshuffle"), Crc32cCodec()]},
    "checksum": {"compressors": Crc32cCodec()},
    "shards": {"shards": (32, 48), "compressors": [ZstdCodec(), Crc32cCodec()]},
    "dots": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "big": {"dtype": ">u2", "zarr_format": 2},
    "2, zstd": {"zarr_format": 2, "compressors": Zstd()},
    "2, blosc": {"zarr_format": 2, "compressors": Blosc(), "attributes": {"a": 1}},
    "2, gzip": {"zarr_format": 2, "compressors": GZip(), "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "2, plain": {"zarr_format": 2, "compressors": None, "fill_value": None},
}
UNKNOWN = {
    "two codecs": {"compressors": [ZstdCodec(), GzipCodec()]},
    "transposed": {"filters": [TransposeCodec(order=(1, 0))]},
    "2, lz4": {"zarr_format": 2, "compressors": LZ4()},
    "2, delta": {"zarr_format": 2, "filters": [Delta("<u2")]},
    "2, columns": {"zarr_format": 2, "order": "F"},
}


def write(path, image=IMAGE, **options):
    made = zarr.create_array(path, shape=image.shape, **{"dtype": image.dtype, "chunks": (16, 24), **options})
    made[...] = image
    return path


def chunk_of(path):
    """Return the file of the first chunk, or shard."""
    return next(path / name for name in ("c/0/0", "0.0", "0/0") if (path / name).is_file())


@pytest.fixture
def alone(monkeypatch):
    """Zarr's library may open nothing."""
    monkeypatch.setattr(zarr_store, "opened", lambda folder: pytest.fail(f"zarr opens {folder}"))


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_known_is_read_alone(tmp_path, alone, name):
    source = open_source(write(tmp_path / "a", **KNOWN[name]))
    assert_reads(source, IMAGE)
    assert_reads(open_source(tmp_path / "a", missing_chunks="error"), IMAGE)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", ">u4", "u8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("version", [2, 3])
def test_every_type_is_read_alone(tmp_path, alone, dtype, version):
    image = noise((40, 50), np.dtype(dtype).newbyteorder("="))
    fill = {"?": False, "f4": "NaN", "f2": 1.5}.get(dtype, 7)
    path = write(tmp_path / "a", image, dtype=np.dtype(dtype), zarr_format=version, fill_value=fill)
    chunk_of(path).unlink()
    expected = image.astype("u1") if dtype == "?" else image.astype(np.dtype(dtype).newbyteorder("="))
    expected[:16, :24] = np.float32(fill)
    assert_reads(open_source(path), expected)


@pytest.mark.parametrize("name", KNOWN | UNKNOWN)
def test_a_node_says_what_the_library_says(tmp_path, name):
    path = write(tmp_path / "a", **(KNOWN | UNKNOWN)[name])
    ours, theirs = node_of(path), zarr_store.node_by_library(path)
    assert isinstance(ours, ArrayNode)
    assert ours.known == (name in KNOWN)
    assert {**vars(ours), "known": False, "dtype": 0} == {**vars(theirs), "dtype": 0}
    assert ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
    assert_reads(open_source(path), IMAGE)


def test_groups_of_both_formats(tmp_path, alone):
    for version in (2, 3):
        zarr.open_group(tmp_path / str(version), mode="w", zarr_format=version, attributes={"a": [version]})
        assert node_of(tmp_path / str(version)).attributes == {"a": [version]}


@pytest.mark.parametrize("name", ["zstd", "shards", "2, gzip"])
def test_chunks_that_are_not_stored_are_fill_value_or_refused(tmp_path, alone, name):
    image = IMAGE.copy()
    image[:32, :48] = 7
    path = write(tmp_path / "a", image, **KNOWN[name], fill_value=7)
    assert not any((path / key).exists() for key in ("c/0/0", "0/0"))
    assert_reads(open_source(path), image)
    with pytest.raises(SourceError, match=r"chunk .*0/0 is not stored"):
        open_source(path, missing_chunks="error").read(Box((0, 0), (8, 8)))


def test_a_part_of_a_shard_that_is_not_stored(tmp_path, alone):
    image = IMAGE.copy()
    image[:16, :24] = 7
    path = write(tmp_path / "a", image, **KNOWN["shards"], fill_value=7)
    assert_reads(open_source(path), image)
    with pytest.raises(SourceError, match=r"chunk \(0, 0\) of shard c/0/0 is not stored"):
        open_source(path, missing_chunks="error").read(Box((0, 0), (8, 8)))


def damaged(stored, seed):
    """Return *stored* with a bit flipped, cut short, or with something behind it."""
    rng = np.random.default_rng(seed)
    how, made = rng.integers(5), bytearray(stored)
    if how < 2:  # anywhere, or in a header
        at = int(rng.integers(8 * (len(made) if how else 20)))
        made[at // 8] ^= 1 << at % 8
    elif how == 2:
        del made[int(rng.integers(len(made))) :]
    else:
        made += stored if how == 3 else bytes(int(rng.integers(1, 6)))
    return bytes(made)


@pytest.mark.parametrize(
    "name", [*KNOWN] if LONG else ["plain", "zstd", "gzip, checksum", "blosc lz4", "shards", "2, gzip"]
)
def test_a_damaged_chunk_is_never_other_pixels_than_the_library_decodes(tmp_path, name):
    path = write(tmp_path / "a", **KNOWN[name])
    chunk, box = chunk_of(path), Box((0, 0), (16, 24))
    stored, theirs, ours = chunk.read_bytes(), zarr.open_array(path, mode="r"), open_source(path)
    alike = 0
    for seed in range(300 if LONG else 12):
        chunk.write_bytes(damaged(stored, seed))
        os.utime(chunk, ns=(seed, seed))
        try:
            found = ours.read(box)
        except SourceError:  # of which the library may decode what is far too large
            continue
        np.testing.assert_array_equal(found, theirs[:16, :24], err_msg=str(seed))
        alike += 1
    assert alike < 12


def test_two_members_of_a_stream_are_left_to_the_library(tmp_path):
    """Ours would take the first for all."""
    path = write(tmp_path / "a", compressors=GzipCodec())
    chunk = chunk_of(path)
    whole = gzip.decompress(chunk.read_bytes())
    chunk.write_bytes(gzip.compress(whole[:100]) + gzip.compress(whole[100:]))
    assert_reads(open_source(path), IMAGE)


def test_a_chunk_that_changes_between_reads_is_read_anew(tmp_path, alone):
    source = open_source(write(tmp_path / "a", **KNOWN["shards"]))
    assert_reads(source, IMAGE)
    other = write(tmp_path / "b", IMAGE[::-1].copy(), **KNOWN["shards"])
    chunk_of(other).replace(chunk_of(tmp_path / "a"))
    found = source.read(Box((0, 0), (32, 48)))
    np.testing.assert_array_equal(found, IMAGE[::-1][:32, :48])


def test_no_run_over_known_arrays_imports_the_library(tmp_path):
    write(tmp_path / "0.ome.zarr", **KNOWN["blosc, checksum"])
    for number in range(2):
        spec = {"version": 1, "input": {"path": f"{number}.ome.zarr"}, "stages": []}
        spec["output"] = {"path": f"{number + 1}.ome.zarr", "chunks": 16}
        (tmp_path / f"{number}.yaml").write_text(json.dumps(spec))
    text = (
        "import sys, tileconv; [tileconv.run(f'{n}.yaml') for n in range(2)];"
        "print([name for name in sys.modules if name in ('zarr', 'numcodecs')])"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "2.ome.zarr" / "0", mode="r")[...], IMAGE)
