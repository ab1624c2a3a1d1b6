"""How an output lies in a store: its keys, what the metadata say, which chunks an object holds. Reads nothing.

Written by hand, because Zarr's own write path copies a chunk several times and takes longer than the codec, and because
importing it takes a fifth of a second (both measured in docs/performance.md). Whoever reads a result uses Zarr; the
tests hold the two together.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import le
from typing import Any

import numpy as np

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.quick import dataclass
from tileconv.sinks.levels import Level
from tileconv.storage import CODECS, USUAL, Codec, Format, Storage

MARKER = "tileconv"
"""The attribute that marks a store as ours and holds where its pixels come from."""
METADATA: dict[Format, tuple[str, ...]] = {"0.5": ("zarr.json",), "0.4": (".zattrs", ".zgroup")}
"""Names of the metadata files of a group; the first holds its attributes."""
GRID_MAPPING = "spatial_ref"
"""What the variable is called that says where the full size lies on the earth: the name that rioxarray looks for."""
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
"""What Zarr v2 calls them."""


_NUMBER = ImageInfo((), "", np.dtype("i4"), ())
"""An array of one number, 0 where nothing is stored."""


@dataclass(frozen=True)
class Layout:
    """The keys of an output, and what is stored under each.

    Attributes
    ----------
    info
        The image as it will be stored: shape, axes, dtype, chunks, scale.
    plain
        Whether the store is a bare Zarr array, for intermediate results, and not an OME-Zarr image.
    storage
        How chunks are encoded, and which of them share an object.
    levels
        The levels above the full size.
    level
        Which level this is of another layout, if it is such.

    Examples
    --------
    >>> import numpy as np
    >>> layout = Layout(ImageInfo((4, 5), "yx", np.dtype("u1"), (2, 5)))
    >>> list(layout.metadata({})), list(layout.chunk_keys(layout.info.box))
    (['zarr.json', '0/zarr.json'], ['0/c/0/0', '0/c/1/0'])
    >>> layout.metadata_key
    '0/zarr.json'
    """

    info: ImageInfo
    plain: bool = False
    storage: Storage = USUAL
    levels: tuple[Level, ...] = ()
    level: int = 0

    def at(self, level: int) -> Layout:
        """Return how *level* lies in the store, alone; 0 is the full size."""
        of: Layout | Level = self.levels[level - 1] if level else self
        return Layout(of.info, self.plain, of.storage, level=level)

    @property
    def each(self) -> list[Layout]:
        """Every level alone, the full size first."""
        return [self.at(level) for level in range(len(self.levels) + 1)]

    @cached_property
    def units(self) -> TileGrid:
        """What each object of pixels holds: a shard where there are any, else a chunk."""
        return TileGrid(self.info.box, self.storage.unit(self.info.chunks))

    def array_key(self) -> str:
        """Return what the keys of the array begin with."""
        return "" if self.plain else f"{self.level}/"

    def chunks_key(self) -> str:
        """Return what the keys of the chunks begin with."""
        return self.array_key() + "c/" * (self.storage.format == "0.5")

    @property
    def grid_mapping(self) -> str:
        """The name of the variable that says where this level lies on the earth; empty where nothing is known of it."""
        placed = self.info.georeference.attributes and not self.plain
        return GRID_MAPPING + f"_{self.level}" * bool(self.level) if placed else ""

    @property
    def metadata_key(self) -> str:
        """The key of what ``metadata`` says last: without it there is no array."""
        return self.array_key() + ("zarr.json" if self.storage.format == "0.5" else ".zattrs")

    def metadata(self, attributes: Mapping[str, object]) -> dict[str, dict[str, Any]]:
        """Return the keys of all metadata with what they say; the first has the *attributes* of the store."""
        group: dict[str, dict[str, Any]] = {
            "zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}
        }
        if self.storage.format == "0.4":
            group = {".zattrs": dict(attributes), ".zgroup": {"zarr_format": 2}}
        files = {} if self.plain else group
        for layout in self.each:
            files |= layout.array_metadata(attributes if self.plain else {})
        return files

    def array_metadata(self, attributes: Mapping[str, object]) -> dict[str, dict[str, Any]]:
        """Return the keys of the metadata of the array, with what they say beside its *attributes*."""
        said, key = self.info.georeference.attributes | fill_value(self.info, self.storage), self.array_key()
        said |= {"grid_mapping": self.grid_mapping} if self.grid_mapping else {}
        return _array_metadata(key, self.info, self.storage, said | dict(attributes))

    def grid_mapping_metadata(self) -> dict[str, dict[str, Any]]:
        """Return the keys of the metadata of the variable ``grid_mapping``, an array of one number, with what they say.

        CF has it beside the array; a level has its own, for its pixels are larger.
        """
        if not self.grid_mapping:
            return {}
        bare = Storage(CODECS["none"], "none", format=self.storage.format)
        return _array_metadata(f"{self.grid_mapping}/", _NUMBER, bare, self.info.georeference.grid_mapping)

    def chunk_keys(self, box: Box) -> Iterator[str]:
        """Yield the keys of what holds the pixels of *box*, a whole number of objects, last axis fastest."""
        return (key for _, key in self.objects(box))

    def objects(self, box: Box) -> Iterator[tuple[Box, str]]:
        """Yield what of *box*, a whole number of objects, each of them holds, with its key; last axis fastest."""
        unit, start = self.units.tile, self.chunks_key()
        one = all(map(le, box.shape, unit))  # as tiny tiles are
        for part in (box,) if one else TileGrid(box, unit):
            yield part, start + "/".join([str(a // n) for a, n in zip(part.start, unit, strict=True)])

    def is_chunk(self, key: str) -> bool:
        """Return whether *key* is one of the pixels of the array."""
        parts, counts = self.below_chunks(key), self.units.counts
        numbers = [int(part) if part.isascii() and part.isdecimal() else -1 for part in parts]
        written = [str(number) for number in numbers] == list(parts)
        return written and len(parts) == len(counts) and all(0 <= i < n for i, n in zip(numbers, counts, strict=True))

    def below_chunks(self, key: str) -> Sequence[str]:
        """Return the parts of *key* behind that of all chunks; none where it is another."""
        start = self.chunks_key()
        return key.removeprefix(start).split("/") if key.startswith(start) else ()


def _array_metadata(
    key: str, info: ImageInfo, storage: Storage, attributes: Mapping[str, object]
) -> dict[str, dict[str, Any]]:
    """Return the keys of the metadata of an array below *key*, with what they say beside its *attributes*."""
    if storage.format == "0.4":
        named = {"_ARRAY_DIMENSIONS": list(info.axes), **attributes}
        return {f"{key}.zarray": array_metadata_2(info, storage), f"{key}.zattrs": named}
    return {f"{key}zarr.json": array_metadata_3(info, storage, attributes)}


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
        "fill_value": _fill(info),
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
        "fill_value": _fill(info),
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


def fill_value(info: ImageInfo, storage: Storage) -> dict[str, Any]:
    """Return the attribute that says which value means missing, as xarray, rioxarray and GDAL read it; or none.

    Floats of Zarr 3 are written as xarray does: the eight bytes of the float64, from the lowest up, in base64.

    Examples
    --------
    >>> import numpy as np
    >>> info = ImageInfo((4, 5), "yx", np.dtype("f4"), (4, 5), nodata=-9998.0)
    >>> fill_value(info, Storage()), fill_value(info, Storage(format="0.4"))
    ({'_FillValue': 'AAAAAACHw8A='}, {'_FillValue': -9998.0})
    """
    if info.nodata is None:
        return {}
    coded = info.dtype.kind == "f" and storage.format == "0.5"
    return {"_FillValue": b64encode(struct.pack("<d", info.nodata)).decode() if coded else _fill(info)}


def _fill(info: ImageInfo) -> float:
    """Return what the metadata call the fill value, which GDAL takes for the value of missing pixels."""
    return (float if info.dtype.kind == "f" else int)(info.nodata or 0)
