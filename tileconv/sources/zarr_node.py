"""What a Zarr folder says that it is, group or array: by our own reading where that is nothing unusual.

Whatever is not known here word by word is left to Zarr's own library, which knows more, refuses what is wrong, and
takes a fifth of a second to import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np

from tileconv.quick import dataclass
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

Document = Mapping[str, Any]
Order = Literal["<", ">"]

CHECKSUM = "crc32c"
_COMPRESSORS = ("blosc", "zstd", "gzip")
_CNAMES = ("lz4", "lz4hc", "blosclz", "zlib", "zstd")
_ORDERS: dict[str, Order] = {"little": "<", "big": ">"}
_SEPARATORS = ("/", ".")
_KINDS: dict[str, tuple[type, ...]] = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}
"""Kinds of pixels, and what a fill value of each is in JSON."""
_SPECIAL = ("NaN", "Infinity", "-Infinity")
_TYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_TYPES += ("float16", "float32", "float64")
_GROUP_3 = {"zarr_format", "node_type", "attributes"}
_ARRAY_3 = _GROUP_3 | {"shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"}
_ARRAY_3 |= {"dimension_names", "storage_transformers"}
_ARRAY_2 = {"zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order", "filters"}


@dataclass(frozen=True)
class Node:
    """A group with its attributes, or what an array has as well."""

    attributes: Document


@dataclass(frozen=True)
class ArrayNode(Node):
    """An array; axes in its own order.

    Attributes
    ----------
    shards
        Pixels of what one file holds; empty where each chunk has its file.
    dtype
        In the byte order in which pixels are stored.
    compressors
        Names of all codecs but the one that makes bytes of pixels, checksums too.
    fill_value
        A number of the type; None of format 2 for one that is not stated.
    names
        Of the axes, where format 3 states them.
    known
        Whether ``stores.packed`` decodes its chunks.
    filtered
        Whether other codecs stand before the one that makes bytes of pixels.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    dtype: np.dtype[Any]
    compressors: tuple[str, ...]
    fill_value: Any
    names: Sequence[str | None] | None = None
    known: bool = False
    filtered: bool = False

    @property
    def codec(self) -> str:
        """The name of the one compressor beside a checksum; ``""`` for none, and for several."""
        names = [name for name in self.compressors if name != CHECKSUM]
        return names[0] if len(names) == 1 else ""


def node_of(folder: Place) -> Node:
    """Return what *folder* is.

    Raises
    ------
    SourceError
        If it is neither group nor array, or Zarr's library does not open it.
    """
    with suppress(_UnusualError, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return _known(folder)
    from tileconv.sources.zarr_store import node_by_library

    return node_by_library(folder)


class _UnusualError(Exception):
    """What is said is left to Zarr's library."""


def _expect(*usual: bool) -> None:
    if not all(usual):
        raise _UnusualError


def _known(folder: Place) -> Node:
    """Return what *folder* is; any error if not all that it says is known here."""
    said = _document(folder / "zarr.json")
    if said is not None:
        _expect(said["zarr_format"] == 3)
        return _array_3(said) if said["node_type"] == "array" else _group_3(said)
    attributes = _document(folder / ".zattrs") or {}
    if (said := _document(folder / ".zarray")) is not None:
        return _array_2(said, attributes)
    _expect(_document(folder / ".zgroup") == {"zarr_format": 2}, _document(folder / ".zmetadata") is None)
    return Node(attributes)


def _document(file: Place) -> dict[str, Any] | None:
    """Return what is said in *file*; None if it is not there."""
    if (stored := anywhere.content(file)) is None:
        return None
    found = json.loads(stored)
    _expect(isinstance(found, dict))
    return found  # type: ignore[no-any-return]


def _group_3(said: Document) -> Node:
    _expect(said["node_type"] == "group", said.keys() <= _GROUP_3)
    return Node(_attributes(said))


def _attributes(said: Document) -> Document:
    found = said.get("attributes", {})
    _expect(isinstance(found, dict))
    return found  # type: ignore[no-any-return]


def _array_3(said: Document) -> ArrayNode:
    grid, keys, codecs, names = (
        said["chunk_grid"],
        said["chunk_key_encoding"],
        said["codecs"],
        said.get("dimension_names"),
    )
    _expect(said.keys() <= _ARRAY_3, not said.get("storage_transformers"), said["data_type"] in _TYPES)
    _expect(grid["name"] == "regular", keys["name"] in {"default", "v2"})
    _expect(keys.get("configuration", {}).get("separator", "/") in _SEPARATORS)
    shape, chunks = _sizes(said["shape"]), _sizes(grid["configuration"]["chunk_shape"])
    shards: tuple[int, ...] = ()
    if codecs[0]["name"] == "sharding_indexed":
        (sharding,) = codecs
        shards, (chunks, codecs) = chunks, _in_shards(sharding["configuration"])
        _expect(not any(s % c for s, c in zip(shards, chunks, strict=True)))
    _expect(len(chunks) == len(shape))
    if (names := said.get("dimension_names")) is not None:
        _expect(len(names) == len(shape), all(isinstance(name, str | None) for name in names))
    dtype = np.dtype(said["data_type"])
    order, compressors = _coded(codecs, dtype.itemsize)
    fill, dtype = _fill(said["fill_value"], dtype), dtype.newbyteorder(order)
    return ArrayNode(_attributes(said), shape, chunks, shards, dtype, compressors, fill, names, known=True)


def _in_shards(said: Document) -> tuple[tuple[int, ...], Sequence[Document]]:
    """Return pixels and codecs of the chunks of a shard, whose table lies there as it always does."""
    order, *rest = said["index_codecs"]
    _expect(order == {"name": "bytes", "configuration": {"endian": "little"}}, [c["name"] for c in rest] == [CHECKSUM])
    _expect(said.keys() <= {"chunk_shape", "codecs", "index_codecs", "index_location"})
    _expect(said.get("index_location", "end") in {"start", "end"})
    return _sizes(said["chunk_shape"]), said["codecs"]


def _coded(codecs: Sequence[Document], itemsize: int) -> tuple[Order, tuple[str, ...]]:
    """Return the byte order of pixels and the names of the codecs behind it, one at most and a checksum."""
    first, *rest = codecs
    endian = first.get("configuration", {}).get("endian", "little" if itemsize == 1 else None)
    _expect(first["name"] == "bytes", endian in _ORDERS)
    names = tuple(codec["name"] for codec in rest)
    _expect(names[:-1] + names[-1:] * (names[-1:] != (CHECKSUM,)) in [(), *((name,) for name in _COMPRESSORS)])
    _expect(all(_usual(codec.get("configuration", {})) for codec in rest))
    return _ORDERS[endian], names


def _usual(compressor: Document) -> bool:
    """Return whether blosc holds what every decoder of it knows."""
    return compressor.get("cname", "lz4") in _CNAMES


def _array_2(said: Document, attributes: Document) -> ArrayNode:
    dtype, compressor = np.dtype(said["dtype"]), said["compressor"]
    _expect(said.keys() - {"dimension_separator"} == _ARRAY_2, said["zarr_format"] == 2, said["order"] == "C")
    _expect(said["filters"] is None, said.get("dimension_separator", ".") in _SEPARATORS)
    _expect(dtype.str == said["dtype"], dtype.kind in _KINDS, dtype.itemsize <= 8)
    shape, chunks = _sizes(said["shape"]), _sizes(said["chunks"])
    _expect(len(shape) == len(chunks))
    names: tuple[str, ...] = ()
    if compressor is not None:
        names = (compressor["id"],)
        _expect(names[0] in _COMPRESSORS, _usual(compressor))
    fill = None if said["fill_value"] is None else _fill(said["fill_value"], dtype)
    return ArrayNode(attributes, shape, chunks, (), dtype, names, fill, known=True)


def _sizes(said: Any) -> tuple[int, ...]:
    """Return a row of numbers of pixels."""
    _expect(isinstance(said, list), bool(said), all(type(n) is int and n > 0 for n in said))
    return tuple(said)


def _fill(said: Any, dtype: np.dtype[Any]) -> Any:
    _expect(type(said) in _KINDS[dtype.kind] or (dtype.kind == "f" and said in _SPECIAL))
    return dtype.type(said)
