"""How the pixels of an output lie in its files: codec, checksum, shards and format. Never chosen by a pixel's value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from tileconv.bounds import Ge
from tileconv.quick import dataclass

OME_TIFF, TIFF, PNG, NPY = "OME-TIFF", "TIFF", "PNG", "NumPy file"
FILES = {
    **{".ome.tif": OME_TIFF, ".ome.tiff": OME_TIFF, ".tif": TIFF, ".tiff": TIFF},
    **{".png": PNG, ".npy": NPY},
}
"""Suffixes of outputs that are one file, and what that is; any other is the name of a store."""


def file_kind(name: str) -> str:
    """Return what kind of file an output called *name* is; empty where it is a store.

    Examples
    --------
    >>> file_kind("cells.OME.tif"), file_kind("edges.tif"), file_kind("edges.ome.zarr")
    ('OME-TIFF', 'TIFF', '')
    """
    return next((kind for suffix, kind in FILES.items() if name.lower().endswith(suffix)), "")


OME_TYPES = {
    **{name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
    **{"float32": "float", "float64": "double"},
}
"""What OME-XML calls the types of pixels that it has."""

CodecName = Literal["blosc", "zstd", "gzip", "none", "deflate", "lzw", "jpeg"]
Checksum = Literal["crc32c", "none"]
Format = Literal["0.5", "0.4"]


@dataclass(frozen=True)
class Codec:
    """How chunks are compressed; ``cname`` and ``shuffle`` belong to blosc, and None stands where there is nothing."""

    name: Annotated[CodecName, "What compresses a chunk."] = "blosc"
    level: Annotated[Annotated[int, Ge(0)] | None, "How hard it tries; blosc 1, zstd 3 and gzip 5 by default."] = 1
    cname: Annotated[Literal["lz4", "zstd"] | None, "What blosc compresses with; lz4 by default."] = "lz4"
    shuffle: Annotated[
        Literal["bitshuffle", "shuffle", "noshuffle"] | None,
        "How blosc sorts the bits of pixels first; bitshuffle by default.",
    ] = "bitshuffle"

    def __str__(self) -> str:
        words = [self.name, self.cname, self.shuffle, None if self.level is None else f"level {self.level}"]
        return "no compression" if self.name == "none" else " ".join(word for word in words if word)


CODECS = {
    "blosc": Codec(),
    "zstd": Codec("zstd", 3, None, None),
    "gzip": Codec("gzip", 5, None, None),
    "none": Codec("none", None, None, None),
    "deflate": Codec("deflate", 6, None, None),
    "lzw": Codec("lzw", None, None, None),
    "jpeg": Codec("jpeg", 90, None, None),
}
"""Every codec with the options that it has by default."""
LEVELS = {"blosc": (0, 9), "zstd": (1, 19), "gzip": (1, 9), "deflate": (1, 9), "jpeg": (1, 100)}
"""The levels of each codec; zstd beyond 19 takes gigabytes, and of JPEG it is the quality."""
TILED = ("deflate", "zstd", "lzw", "jpeg", "none")
"""The codecs of a file by tiles; the first is the usual one."""
OF_KIND = {"": ("blosc", "zstd", "gzip", "none"), OME_TIFF: TILED, TIFF: TILED, PNG: ("none",), NPY: ("none",)}
"""The codecs that each kind of output has, a store by the name of none; the first is the usual one."""


@dataclass(frozen=True)
class Storage:
    """How the chunks of an array are stored.

    Attributes
    ----------
    checksum
        What stands behind every chunk; format 0.4 has no place for one.
    shards
        Pixels along each axis of what one file holds, a whole number of chunks; empty where each chunk has its file.
    format
        Version of OME-Zarr: 0.5 is Zarr v3, 0.4 is Zarr v2.
    """

    codec: Codec = CODECS["blosc"]
    checksum: Checksum = "crc32c"
    shards: tuple[int, ...] = ()
    format: Format = "0.5"

    def unit(self, chunks: tuple[int, ...]) -> tuple[int, ...]:
        """Return the pixels along each axis that are written at once: one file."""
        return self.shards or chunks

    def as_json(self) -> dict[str, Any]:
        """Return it under the names of a pipeline file."""
        return {f"output.{name}": value for name, value in asdict(self).items()}


USUAL = Storage()
"""How an output is stored that says nothing of it."""
