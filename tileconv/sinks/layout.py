"""How an output lies on disk: which files there are, what the metadata say, which chunks a file holds. Touches no file.

Written by hand, because Zarr's own write path copies a chunk several times and takes longer than the codec, and because
importing it takes a fifth of a second (both measured in docs/performance.md). Whoever reads a result uses Zarr; the
tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.storage import USUAL, Codec, Format, Storage

MARKER = "tileconv"
"""The attribute that marks a store as ours and holds where its pixels come from."""
METADATA: dict[Format, tuple[str, ...]] = {"0.5": ("zarr.json",), "0.4": (".zattrs", ".zgroup")}
"""Names of the metadata files of a group; the first holds its attributes."""
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
"""What Zarr v2 calls them."""


@dataclass(frozen=True)
class Layout:
    """The files of an output store: no open file, so it crosses to other processes.

    Attributes
    ----------
    path
        Folder of the store.
    info
        The image as it will be stored: shape, axes, dtype, chunks, scale.
    plain
        Whether *path* is a bare Zarr array, for intermediate results, and not an OME-Zarr image.
    staging
        Folder in which chunks are written before they stand in their places; None for beside these.
    storage
        How chunks are encoded, and which of them share a file.
    """

    path: Path
    info: ImageInfo
    plain: bool = False
    staging: Path | None = None
    storage: Storage = USUAL

    @property
    def array_path(self) -> Path:
        """Folder of the Zarr array that holds the pixels."""
        return self.path if self.plain else self.path / "0"

    @property
    def chunks_path(self) -> Path:
        """Folder below which the files of chunks lie."""
        return self.array_path / "c" if self.storage.format == "0.5" else self.array_path

    @property
    def units(self) -> TileGrid:
        """What each file of pixels holds: a shard where there are any, else a chunk."""
        return TileGrid(self.info.box, self.storage.unit(self.info.chunks))

    def metadata(self, attributes: Mapping[str, object]) -> dict[Path, dict[str, Any]]:
        """Return every metadata file with what it says; the first has the store's *attributes*."""
        place = self.info.georeference.attributes
        if self.storage.format == "0.4":
            return {
                self.path / ".zattrs": dict(attributes),
                self.path / ".zgroup": {"zarr_format": 2},
                self.array_path / ".zarray": array_metadata_2(self.info, self.storage),
                self.array_path / ".zattrs": {"_ARRAY_DIMENSIONS": list(self.info.axes), **place},
            }
        group = {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
        array = array_metadata_3(self.info, self.storage, place | (dict(attributes) if self.plain else {}))
        return ({} if self.plain else {self.path / "zarr.json": group}) | {self.array_path / "zarr.json": array}

    def chunk_files(self, box: Box) -> Iterator[Path]:
        """Yield the files that hold the pixels of *box*, a whole number of them, last axis fastest."""
        unit = self.units.tile
        for part in TileGrid(box, unit):
            index = (a // n for a, n in zip(part.start, unit, strict=True))
            yield self.chunks_path.joinpath(*map(str, index))

    def is_chunk(self, file: Path) -> bool:
        """Return whether *file* is named as one that holds pixels of the array."""
        parts, counts = self.below_chunks(file), self.units.counts
        numbers = [int(part) if part.isascii() and part.isdecimal() else -1 for part in parts]
        written = [str(number) for number in numbers] == list(parts)
        return written and len(parts) == len(counts) and all(0 <= i < n for i, n in zip(numbers, counts, strict=True))

    def below_chunks(self, file: Path) -> Sequence[str]:
        """Return the names that lead from the folder of chunks to *file*; none where it lies elsewhere."""
        return file.relative_to(self.chunks_path).parts if file.is_relative_to(self.chunks_path) else ()

    def name_of(self, file: Path) -> str:
        """Return *file* as messages name it: relative to the store."""
        return file.relative_to(self.path).as_posix()


def array_metadata_3(info: ImageInfo, storage: Storage, attributes: Mapping[str, object]) -> dict[str, Any]:
    """Return the ``zarr.json`` of the array that *info* describes: https://zarr-specs.readthedocs.io/en/latest/v3/.

    Examples
    --------
    >>> import numpy as np
    >>> array_metadata_3(ImageInfo((4, 5), "yx", np.dtype("u1"), (4, 5)), Storage(), {})["dimension_names"]
    ['y', 'x']
    """
    endian = {"configuration": {"endian": "little"}}
    checksum = [{"name": "crc32c"}]
    codecs = [{"name": "bytes"} | (endian if info.dtype.itemsize > 1 else {}), *_codec_3(storage.codec, info)]
    codecs += checksum if storage.checksum == "crc32c" else []
    if storage.shards:
        inner = {"chunk_shape": list(info.chunks), "codecs": codecs, "index_location": "end"}
        index = {"index_codecs": [{"name": "bytes"} | endian, *checksum]}
        codecs = [{"name": "sharding_indexed", "configuration": inner | index}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(info.shape),
        "data_type": info.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(storage.unit(info.chunks))}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _zero(info),
        "codecs": codecs,
        "dimension_names": list(info.axes),
        "attributes": dict(attributes),
    }


def array_metadata_2(info: ImageInfo, storage: Storage) -> dict[str, Any]:
    """Return the ``.zarray`` of the array that *info* describes: https://zarr-specs.readthedocs.io/en/latest/v2/."""
    codec = storage.codec
    compressors: dict[str, Any] = {
        "blosc": {"cname": codec.cname, "clevel": codec.level, "blocksize": 0},
        "none": None,
    }
    compressor = compressors.get(codec.name, {"level": codec.level})
    if compressor is not None:
        compressor = {"id": codec.name} | compressor
    if codec.shuffle:
        compressor["shuffle"] = SHUFFLES[codec.shuffle]
    return {
        "zarr_format": 2,
        "shape": list(info.shape),
        "chunks": list(info.chunks),
        "dtype": info.dtype.newbyteorder("<").str,
        "fill_value": _zero(info),
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
        "compressor": compressor,
    }


def _codec_3(codec: Codec, info: ImageInfo) -> list[dict[str, Any]]:
    if codec.name == "none":
        return []
    options: dict[str, Any] = {"level": codec.level}
    if codec.name == "zstd":
        options["checksum"] = False
    if codec.name == "blosc":
        options = {"cname": codec.cname, "clevel": codec.level, "shuffle": codec.shuffle}
        options |= {"typesize": info.dtype.itemsize, "blocksize": 0}
    return [{"name": codec.name, "configuration": options}]


def _zero(info: ImageInfo) -> float:
    return 0.0 if info.dtype.kind == "f" else 0
