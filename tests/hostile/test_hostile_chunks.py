"""Shards with broken indexes, and chunks that expand to far more than their pixels: one error of ours each."""

from __future__ import annotations

import bz2
import lzma
import shutil
import struct
import zlib
from pathlib import Path

import numcodecs
import numpy as np
import zarr
from hostile_help import PIXELS, Trial, assert_trials, zarr_image
from tiff_writer import noise


def shard(table, data=b"", *, crc=None):
    """Return a shard of 4 chunks whose index is *table*, at the end, with its checksum or another."""
    index = np.array(table, "<u8").tobytes()
    checksum = numcodecs.CRC32C().encode(index)[:4] if crc is None else crc
    return data + index + bytes(checksum)


ABSENT = [2**64 - 1, 2**64 - 1]
SHARDS = {
    "of nothing": b"",
    "of four bytes": b"1234",
    "with a wrong checksum": shard([[0, 100]] * 4, bytes(400), crc=b"abcd"),
    "whose chunks lie beyond the end": shard([[2**40, 100]] * 4, bytes(400)),
    "whose chunks are 2^62 bytes long": shard([[0, 2**62]] * 4, bytes(400)),
    "whose chunks begin at 2^64 - 2": shard([[2**64 - 2, 2]] * 4, bytes(400)),
    "whose chunks are empty": shard([[0, 0]] * 4, bytes(400)),
    "whose chunks are the index": shard([[0, 64]] * 4),
    "that is all index": shard([ABSENT, [0, 68], ABSENT, ABSENT]),
    "of noise": noise((500,), "u1").tobytes(),
}


def test_broken_shards(tmp_path):
    whole = zarr_image(tmp_path / "whole", 3, shards=(32, 32))
    trials = [Trial("whole", whole, "read", PIXELS)]
    for number, (name, content) in enumerate(SHARDS.items()):
        for strict in ("report", "error"):
            path = Path(shutil.copytree(whole, tmp_path / f"{number}{strict}"))
            (path / "0/c/0/0").write_bytes(content)
            trials.append(Trial(f"{name}, {strict}", path, "refuse", options={"missing_chunks": strict}))
    assert_trials(trials)


def bomb(codec, size):
    """Return *size* zeros as the codec of that name stores them."""
    block, blocks = bytes(2**20), size // 2**20
    match codec:
        case "bz2":
            packer = bz2.BZ2Compressor()
        case "lzma":
            packer = lzma.LZMACompressor(preset=0)
        case _:
            packer = zlib.compressobj(wbits=31 if codec == "gzip" else 15)
    return b"".join([*(packer.compress(block) for _ in range(blocks)), packer.flush()])


def bombs():
    """Yield names, which begin with the codec, and chunks that decode to 400 MiB."""
    for codec in ("gzip", "zlib", "bz2", "lzma"):
        yield codec, bomb(codec, 400 * 2**20)
        if codec != "zlib":
            yield f"{codec}, many streams", bomb(codec, 2**20) * 400
    yield "lzma, a window of 1.5 GiB", b"\x5d" + struct.pack("<I", 3 * 2**29) + bytes([255] * 8 + [0] * 20)


def packed(path, version, codec, *, shards=None):
    """Write PIXELS as one array of chunks of 16 pixels, packed by *codec*."""
    settings = {"level": 1} if codec in {"zlib", "bz2"} else {}
    made = zarr.codecs.GzipCodec() if version == 3 else numcodecs.get_codec({"id": codec} | settings)
    array = zarr.create_array(
        path, shape=PIXELS.shape, chunks=(16, 16), shards=shards, dtype="u2", compressors=made, zarr_format=version
    )
    array[...] = PIXELS
    return path


def test_bombs_whose_header_states_no_size(tmp_path):
    """Chunks, and chunks of shards, that decode to 400 MiB instead of 512 bytes; beside them those that are whole."""
    trials = []
    for name, content in bombs():
        codec = name.split(",")[0]
        for version, shards in (2, None), *([(3, None), (3, (32, 32))] if codec == "gzip" else []):
            title = f"{name}, {version}{', shards' * bool(shards)}"
            path = packed(tmp_path / title, version, codec, shards=shards)
            trials.append(Trial(f"{title}, whole", Path(shutil.copytree(path, f"{path}, whole")), "read", PIXELS))
            if shards:
                (path / "c/0/0").write_bytes(shard([[0, len(content)], ABSENT, ABSENT, ABSENT], content))
            else:
                (path / {2: "1.2", 3: "c/1/2"}[version]).write_bytes(content)
            trials.append(Trial(title, path, "refuse", says="its pixels take 512"))
    assert_trials(trials)
